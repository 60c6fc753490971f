#include "command_line/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace hotindex::command_line {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
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

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
    return *std::ranges::min_element(known, {}, [word](std::string_view each) { return edit_distance(word, each); });
}

std::optional<std::string_view> look_alike(std::string_view word, std::span<const std::string_view> known) {
    std::optional<std::string_view> found;
    std::size_t least = 4; // further away is no suggestion
    for (const std::string_view each : known) {
        const std::size_t distance = edit_distance(word, each);
        if (distance < least && distance < std::max(word.size(), each.size())) {
            least = distance;
            found = each;
        }
    }
    return found;
}

} // namespace hotindex::command_line
