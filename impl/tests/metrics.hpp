// All metrics, for tests that go through them, and the floats that are no numbers.
#pragma once

#include <hotindex/vector_index.hpp>

#include <limits>

namespace hotindex::tests {

inline constexpr Metric metrics[] = {Metric::cosine, Metric::inner_product, Metric::squared_euclidean};
inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

} // namespace hotindex::tests
