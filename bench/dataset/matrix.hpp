// Rows of numbers, as the readers give them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotindex::bench {

/// rows x columns values, row after row.
template <class T>
struct Matrix {
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::vector<T> values;
    bool cut = false; ///< the file has more rows: max_rows left them out

    [[nodiscard]] std::span<const T> row(std::size_t i) const {
        return std::span<const T>(values).subspan(i * columns, columns);
    }
};

struct ReadOptions {
    std::optional<std::size_t> max_rows{}; ///< read only the first so many rows; at least 1
    std::uint64_t max_bytes = 64ull << 30; ///< refuse a matrix that needs more memory than this
};

/// Checks max_rows; InvalidArgument.
void check_options(const ReadOptions& options);

/// Reason and remedy for a value that is not finite.
[[nodiscard]] std::string not_finite(double value, std::uint64_t row, std::uint64_t column);
inline constexpr std::string_view not_finite_remedy =
    "give finite numbers within the range of float32 (remove or replace such rows)";

} // namespace hotindex::bench
