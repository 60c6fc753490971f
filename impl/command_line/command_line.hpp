// The command line of a program: its flags, what they mean and where their values go, in one list.
//
//   CommandLine line("stress_churn", "what insertions and removals keep in memory");
//   line.add("--structure=NAME", "map, index or rows (default: map)", one_of(plan.structure, structures));
//   line.add("--threads=N", "default: 4", number(plan.threads, 1, 1024));
//   line.add("--stop-at-first", "ends with the first violation", yes(plan.stop_at_first));
//   if (!line.read(arguments)) { // --help
//       fmt::print("{}", line.help());
//       return 0;
//   }
//
// The syntax is the same in every program of this project: --name, --name=value, --name value. Nothing is abbreviated,
// nothing is ignored, nothing stands alone. When a flag is repeated, the last one counts. What is wrong is a BadFlag
// that names the value and the remedy; the nearest name, if a name is not known.
//
// For bench, stress and relacy; the installed library does not contain it. Our own, because CLI11 2.1 reads
// `--out= --pin` as an output file called "--pin", takes `--pin=3` and a list "2,,3", and knows no nearest name: what
// would have to stand around it is longer than this.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace hotindex::command_line {

/// What is wrong with the command line, in words. Programs print it and end with exit status 2: see run_main().
class BadFlag : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// A flag as it was given.
struct Given {
    std::string_view name;                 ///< with its dashes: "--threads"
    std::optional<std::string_view> value; ///< always there where the flag needs one
};

/// What is done with a flag. Throws BadFlag.
using Take = std::function<void(const Given&)>;

class CommandLine {
  public:
    /// `purpose`: what the program does, in half a sentence, for the help.
    CommandLine(std::string_view program, std::string_view purpose);

    /// `usage`: "--pin" takes no value, "--rows=N" needs one, "--color[=WHEN]" may have one (by '=' only). `help` is
    /// wrapped and may have line breaks. Views are kept: pass literals. The order is that of the help.
    void add(std::string_view usage, std::string help, Take take);

    /// A paragraph of the help, between the flags before it and those after it; and an entry of a list there.
    void say(std::string text);
    void entry(std::string_view name, std::string text);

    /// Takes the arguments after the program's name. false: --help is among them, and all of them are right.
    /// Throws BadFlag.
    [[nodiscard]] bool read(std::span<const char* const> arguments) const;

    /// What --help prints.
    [[nodiscard]] std::string help() const;

  private:
    enum class Value : unsigned char { none, optional, required };
    struct Flag {
        std::string_view usage;
        std::string_view name;
        Value value;
        std::string help;
        Take take;
    };
    struct Paragraph {
        std::size_t before;    ///< so many flags come first
        std::string_view name; ///< of an entry
        std::string text;
    };

    [[nodiscard]] const Flag& flag_named(std::string_view name) const;

    std::string_view program_;
    std::string_view purpose_;
    std::vector<Flag> flags_;
    std::vector<Paragraph> paragraphs_;
};

/// main() of a program: gives `run` the arguments after the program's name and returns what it returns; 2 after a
/// BadFlag, 1 after any other exception, which it prints on standard error.
[[nodiscard]] int run_main(std::string_view program, int argc, char** argv,
                           const std::function<int(std::span<const char* const>)>& run);

// ---- values ----

/// A number in [least, most], all of the text. Throws BadFlag.
template <class Number>
[[nodiscard]] Number read_number(std::string_view flag, std::string_view text, std::type_identity_t<Number> least,
                                 std::type_identity_t<Number> most) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number >= least && number <= most) // not NaN
        return number;
    if (most == std::numeric_limits<Number>::max())
        throw BadFlag(fmt::format("{}: '{}' is not a number of {} or more", flag, text, least));
    throw BadFlag(fmt::format("{}: '{}' is not a number from {} to {}", flag, text, least, most));
}

/// What stands between the commas; at least one part, which may be empty.
[[nodiscard]] std::vector<std::string_view> parts(std::string_view text, char comma = ',');

/// Names and what they stand for.
template <class T>
using Choices = std::vector<std::pair<std::string_view, T>>;

/// The position of `text` among `names`, of which there is at least one. Throws BadFlag with all names if they are few,
/// and the nearest.
[[nodiscard]] std::size_t position_of(std::string_view flag, std::string_view text,
                                      std::span<const std::string_view> names);

/// What this name stands for. Throws BadFlag.
template <class T>
[[nodiscard]] T choose(std::string_view flag, std::string_view text, const Choices<T>& choices) {
    std::vector<std::string_view> names;
    names.reserve(choices.size());
    for (const auto& choice : choices)
        names.push_back(choice.first);
    return choices[position_of(flag, text, names)].second;
}

// ---- what is done with a flag: yes() where it takes no value, the others where it needs one ----
//
// `into` must outlive read().

/// The flag was given.
[[nodiscard]] Take yes(bool& into);

/// A text that is not empty. Text: std::string, std::filesystem::path, or an optional of one.
template <class Text>
[[nodiscard]] Take text(Text& into) {
    return [&into](const Given& given) {
        if (given.value->empty())
            throw BadFlag(fmt::format("{0} needs a value: {0}=...", given.name));
        into = Text(*given.value);
    };
}

/// A number in [least, most]; of a std::optional, too.
template <class Number>
[[nodiscard]] Take number(Number& into, std::type_identity_t<Number> least,
                          std::type_identity_t<Number> most = std::numeric_limits<Number>::max()) {
    return
        [&into, least, most](const Given& given) { into = read_number<Number>(given.name, *given.value, least, most); };
}
template <class Number>
[[nodiscard]] Take number(std::optional<Number>& into, std::type_identity_t<Number> least,
                          std::type_identity_t<Number> most = std::numeric_limits<Number>::max()) {
    return
        [&into, least, most](const Given& given) { into = read_number<Number>(given.name, *given.value, least, most); };
}

/// Numbers from 1 to `most`, separated by commas; ascending and without duplicates, whatever their order.
[[nodiscard]] Take ascending(std::vector<std::size_t>& into, std::size_t most);

/// One of the names.
template <class T, class Into>
requires std::assignable_from<Into&, T>
[[nodiscard]] Take one_of(Into& into, Choices<T> choices) {
    return
        [&into, choices = std::move(choices)](const Given& given) { into = choose(given.name, *given.value, choices); };
}

/// Some of the names, separated by commas, in the order given. They replace what is there.
template <class T>
[[nodiscard]] Take some_of(std::vector<T>& into, Choices<T> choices) {
    return [&into, choices = std::move(choices)](const Given& given) {
        into.clear();
        for (const std::string_view part : parts(*given.value))
            into.push_back(choose(given.name, part, choices));
    };
}

} // namespace hotindex::command_line
