// The soak's command line: --name or --name=value. A name that nobody knows is an error which names the nearest one.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

namespace hotindex::stress {

/// What is wrong with the command line, in words.
class BadFlag : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The known name with the fewest letters to insert, delete or replace. `known`: at least one.
[[nodiscard]] inline std::string_view nearest(std::string_view given, std::span<const std::string_view> known) {
    const auto distance = [given](std::string_view name) {
        std::vector<std::size_t> row(name.size() + 1);
        std::iota(row.begin(), row.end(), std::size_t{0});
        for (std::size_t i = 0; i != given.size(); ++i) {
            std::size_t diagonal = row[0]++;
            for (std::size_t j = 0; j != name.size(); ++j) {
                const std::size_t replaced = diagonal + (given[i] == name[j] ? 0 : 1);
                diagonal = row[j + 1];
                row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
            }
        }
        return row.back();
    };
    return *std::ranges::min_element(known, {}, distance);
}

struct Flag {
    std::string_view name; ///< with its dashes, and with a '=' at its end if it takes a value
    std::string_view value;
};

/// The arguments as flags of `known`, which end in '=' where they need a value. Throws BadFlag.
[[nodiscard]] inline std::vector<Flag> read_flags(std::span<const char* const> arguments,
                                                  std::span<const std::string_view> known) {
    std::vector<Flag> given;
    for (const std::string_view argument : arguments) {
        const std::size_t end = argument.find('=');
        const std::string_view name = argument.substr(0, end == std::string_view::npos ? end : end + 1);
        if (std::ranges::find(known, name) == known.end())
            throw BadFlag(fmt::format("unexpected {}; did you mean {}?", argument, nearest(name, known)));
        given.push_back({name, argument.substr(name.size())});
    }
    return given;
}

/// A number in [least, most], all of the text. Throws BadFlag.
template <class Number>
[[nodiscard]] Number read_number(std::string_view flag, std::string_view text, Number least, Number most) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || !(number >= least && number <= most))
        throw BadFlag(fmt::format("{}'{}' is not a number from {} to {}", flag, text, least, most));
    return number;
}

} // namespace hotindex::stress
