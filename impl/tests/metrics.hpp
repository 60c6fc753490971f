// All metrics, for tests that go through them, and the floats that are no numbers.
#pragma once

#include <hotindex/search/metric.hpp>

#include <algorithm>
#include <array>
#include <limits>

namespace hotindex::tests {

inline constexpr auto metrics = [] {
    std::array<Metric, metric_facts.size()> all{};
    std::ranges::transform(metric_facts, all.begin(), &MetricFacts::metric);
    return all;
}();
inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

} // namespace hotindex::tests
