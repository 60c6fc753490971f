// The word that somebody meant, among those that are known.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace hotindex::command_line {

/// Insertions, deletions and substitutions of single letters from one word to the other (Levenshtein). O(|a| |b|).
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The known word at the least distance, however far; the first of several. `known`: at least one.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

/// The nearest of the known words that look like this one: at most 3 letters differ, and not all of them.
[[nodiscard]] std::optional<std::string_view> look_alike(std::string_view word,
                                                         std::span<const std::string_view> known);

} // namespace hotindex::command_line
