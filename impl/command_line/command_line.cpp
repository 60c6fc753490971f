#include "command_line/command_line.hpp"

#include "command_line/nearest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <exception>

namespace hotindex::command_line {
namespace {

constexpr std::string_view help_flag = "--help";
constexpr std::size_t line_length = 120;
constexpr std::size_t longest_in_column = 24; ///< what is longer has its help on the next line
constexpr std::size_t few = 12;               ///< so many names are all listed in a message

/// Appends `text`, of which all lines begin in column `indent`, the first one at the end of `out`. Words stay whole.
void append_wrapped(std::string& out, std::string_view text, std::size_t indent) {
    std::size_t at = indent;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find_first_of(" \n", begin), text.size());
        if (at != indent && at + end - begin > line_length) { // the blank before is the line's end
            out.back() = '\n';
            out.append(indent, ' ');
            at = indent;
        }
        out += text.substr(begin, end - begin);
        at += end - begin + 1;
        if (end == text.size() || text[end] == '\n') {
            out += '\n';
            if (end != text.size())
                out.append(indent, ' ');
            at = indent;
        } else {
            out += ' ';
        }
        begin = end + 1;
    }
}

} // namespace

CommandLine::CommandLine(std::string_view program, std::string_view purpose) : program_(program), purpose_(purpose) {}

void CommandLine::add(std::string_view usage, std::string help, Take take) {
    const std::size_t end = std::min(usage.find_first_of("[="), usage.size());
    const Value value = end == usage.size() ? Value::none : usage[end] == '[' ? Value::optional : Value::required;
    flags_.push_back({usage, usage.substr(0, end), value, std::move(help), std::move(take)});
}

void CommandLine::say(std::string text) {
    paragraphs_.push_back({flags_.size(), {}, std::move(text)});
}

void CommandLine::entry(std::string_view name, std::string text) {
    paragraphs_.push_back({flags_.size(), name, std::move(text)});
}

const CommandLine::Flag& CommandLine::flag_named(std::string_view name) const {
    const auto flag = std::ranges::find(flags_, name, &Flag::name);
    if (flag != flags_.end())
        return *flag;
    std::vector<std::string_view> names{help_flag};
    for (const Flag& each : flags_)
        names.push_back(each.name);
    throw BadFlag(fmt::format("unknown flag {}; did you mean {}?", name, nearest(name, names)));
}

bool CommandLine::read(std::span<const char* const> arguments) const {
    bool help = false;
    for (std::size_t i = 0; i != arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (!argument.starts_with('-'))
            throw BadFlag(
                fmt::format("unexpected argument '{}': flags are --name, --name=value or --name value", argument));
        const std::size_t equals = argument.find('=');
        Given given{argument.substr(0, equals), std::nullopt};
        if (equals != std::string_view::npos)
            given.value = argument.substr(equals + 1);
        const bool asks_for_help = given.name == help_flag;
        const Flag* const flag = asks_for_help ? nullptr : &flag_named(given.name);
        const Value value = asks_for_help ? Value::none : flag->value;
        if (given.value && value == Value::none)
            throw BadFlag(fmt::format("{} takes no value, but was given '{}'", given.name, *given.value));
        if (!given.value && value == Value::required) {
            // What looks like the next flag is not taken for a value: --name=value can say that.
            if (i + 1 == arguments.size() || std::string_view(arguments[i + 1]).starts_with("--"))
                throw BadFlag(fmt::format("{} needs a value: {}", given.name, flag->usage));
            given.value = arguments[++i];
        }
        if (asks_for_help)
            help = true;
        else
            flag->take(given);
    }
    return !help;
}

std::string CommandLine::help() const {
    std::size_t column = help_flag.size();
    const auto widen = [&column](std::string_view name) {
        if (name.size() <= longest_in_column)
            column = std::max(column, name.size());
    };
    for (const Flag& flag : flags_)
        if (!flag.help.empty())
            widen(flag.usage);
    for (const Paragraph& paragraph : paragraphs_)
        widen(paragraph.name);
    column += 4;
    std::string out = fmt::format("{0}: {1}\n\nusage: {0} [flags]\n\n", program_, purpose_);
    const auto append_entry = [&out, column](std::string_view name, std::string_view text) {
        out += fmt::format("  {}", name);
        if (text.empty()) {
            out += '\n';
        } else {
            out += name.size() + 4 > column ? fmt::format("\n{:{}}", "", column)
                                            : fmt::format("{:{}}", "", column - 2 - name.size());
            append_wrapped(out, text, column);
        }
    };
    auto paragraph = paragraphs_.begin();
    const auto append_paragraphs = [&](std::size_t before) {
        for (; paragraph != paragraphs_.end() && paragraph->before == before; ++paragraph)
            if (paragraph->name.empty())
                append_wrapped(out, paragraph->text, 0);
            else
                append_entry(paragraph->name, paragraph->text);
    };
    for (std::size_t i = 0; i != flags_.size(); ++i) {
        append_paragraphs(i);
        append_entry(flags_[i].usage, flags_[i].help);
    }
    append_entry(help_flag, "this text");
    append_paragraphs(flags_.size());
    return out;
}

int run_main(std::string_view program, int argc, char** argv,
             const std::function<int(std::span<const char* const>)>& run) {
    try {
        return run(std::span<const char* const>(argv, static_cast<std::size_t>(argc)).subspan(1));
    } catch (const BadFlag& wrong) {
        fmt::print(stderr, "{0}: {1}\nSee {0} --help.\n", program, wrong.what());
        return 2;
    } catch (const std::exception& failure) {
        fmt::print(stderr, "{}: {}\n", program, failure.what());
        return 1;
    }
}

std::vector<std::string_view> parts(std::string_view text, char comma) {
    std::vector<std::string_view> all;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(comma, begin), text.size());
        all.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return all;
}

std::size_t position_of(std::string_view flag, std::string_view text, std::span<const std::string_view> names) {
    const auto found = std::ranges::find(names, text);
    if (found != names.end())
        return static_cast<std::size_t>(found - names.begin());
    if (names.size() > few)
        throw BadFlag(fmt::format("{}: nothing is called '{}'; did you mean {}?", flag, text, nearest(text, names)));
    const auto meant = look_alike(text, names);
    throw BadFlag(fmt::format("{}: '{}' is not one of {}{}", flag, text, fmt::join(names, ", "),
                              meant ? fmt::format("; did you mean {}?", *meant) : ""));
}

Take yes(bool& into) {
    return [&into](const Given&) { into = true; };
}

Take ascending(std::vector<std::size_t>& into, std::size_t most) {
    return [&into, most](const Given& given) {
        into.clear();
        for (const std::string_view part : parts(*given.value))
            into.push_back(read_number<std::size_t>(given.name, part, 1, most));
        std::ranges::sort(into);
        into.erase(std::unique(into.begin(), into.end()), into.end());
    };
}

} // namespace hotindex::command_line
