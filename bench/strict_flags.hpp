// Command lines without surprises: a flag that nobody knows is an error which names the nearest one that is known.
//
// Flags are --name or --name=value. Nothing is abbreviated, nothing is ignored, nothing stands alone.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace hotindex::bench {

/// What is wrong with the command line, in words. Programs print it and end with exit status 2.
class BadFlag : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

enum class Value : unsigned char { none, optional, required };

struct Flag {
    std::string_view name; ///< with its dashes: "--threads"
    Value value = Value::none;
};

struct GivenFlag {
    std::string_view name;
    std::optional<std::string_view> value;
};

/// Insertions, deletions and substitutions between two words (Levenshtein). O(|a| |b|).
[[nodiscard]] inline std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j != row.size(); ++j)
        row[j] = j;
    for (std::size_t i = 0; i != a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j != b.size(); ++j) {
            const std::size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({substituted, diagonal + 1, row[j] + 1});
        }
    }
    return row.back();
}

/// The nearest of the known flags, of which there is at least one.
[[nodiscard]] inline std::string_view nearest(std::string_view given, std::span<const Flag> known) {
    return std::ranges::min_element(known, {}, [given](const Flag& flag) { return edit_distance(given, flag.name); })
        ->name;
}

/// The arguments after the program's name. Throws BadFlag.
[[nodiscard]] inline std::vector<GivenFlag> read_flags(std::span<const char* const> arguments,
                                                       std::span<const Flag> known) {
    std::vector<GivenFlag> given;
    for (const std::string_view argument : arguments) {
        const std::size_t equals = argument.find('=');
        const std::string_view name = argument.substr(0, equals);
        const auto flag = std::ranges::find(known, name, &Flag::name);
        if (!name.starts_with('-'))
            throw BadFlag(fmt::format("unexpected argument '{}': flags are --name or --name=value", argument));
        if (flag == known.end())
            throw BadFlag(fmt::format("unknown flag {}; did you mean {}?", name, nearest(name, known)));
        if (equals == std::string_view::npos && flag->value == Value::required)
            throw BadFlag(fmt::format("{0} needs a value: {0}=...", name));
        if (equals != std::string_view::npos && flag->value == Value::none)
            throw BadFlag(fmt::format("{} takes no value, but was given '{}'", name, argument.substr(equals + 1)));
        given.push_back(
            {flag->name, equals == std::string_view::npos ? std::nullopt : std::optional(argument.substr(equals + 1))});
    }
    return given;
}

/// A number in [least, most], all of the text. Throws BadFlag.
template <class Number>
[[nodiscard]] Number read_number(std::string_view flag, std::string_view text, Number least, Number most) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || !(number >= least && number <= most))
        throw BadFlag(fmt::format("{}: '{}' is not a number from {} to {}", flag, text, least, most));
    return number;
}

/// Numbers separated by commas, each in [1, most]; ascending, without duplicates. Throws BadFlag.
[[nodiscard]] inline std::vector<std::size_t> read_list(std::string_view flag, std::string_view text,
                                                        std::size_t most) {
    std::vector<std::size_t> list;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        list.push_back(read_number<std::size_t>(flag, text.substr(begin, end - begin), 1, most));
        begin = end + 1;
    }
    std::ranges::sort(list);
    list.erase(std::unique(list.begin(), list.end()), list.end());
    return list;
}

} // namespace hotindex::bench
