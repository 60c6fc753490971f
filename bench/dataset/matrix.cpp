#include "dataset/matrix.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <cmath>

namespace hotindex::bench {

void check_options(const ReadOptions& options) {
    if (options.max_rows == 0u)
        throw InvalidArgument("max_rows is 0; give at least 1, or leave it unset to read all rows");
}

std::string not_finite(double value, std::uint64_t row, std::uint64_t column) {
    return fmt::format("row {} has {} at position {}{}", row, value, column,
                       std::isfinite(value) ? ", which is beyond the range of float32" : "");
}

} // namespace hotindex::bench
