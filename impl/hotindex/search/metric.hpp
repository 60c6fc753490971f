// Metric: what two vectors are compared by. An entry here and a kernel in similarity.cpp make a metric.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace hotindex {

/// How two vectors are compared.
enum class Metric : std::uint8_t {
    cosine,        ///< score = a.b / (|a| |b|), in [-1, 1] up to rounding; higher is better. Zero vectors are refused.
    inner_product, ///< score = a.b; higher is better
    squared_euclidean, ///< score = |a - b|^2, >= 0; lower is better
};

/// What everybody else must know of a metric.
struct MetricFacts {
    Metric metric;
    std::string_view name; ///< in messages, benchmark names and files
    bool higher_is_better; ///< a larger score is a better one
    bool needs_norm;       ///< rows come with their inverse norm, and vectors without a norm are refused
};
/// By Metric.
inline constexpr std::array metric_facts{
    MetricFacts{Metric::cosine, "cosine", true, true},
    MetricFacts{Metric::inner_product, "inner_product", true, false},
    MetricFacts{Metric::squared_euclidean, "squared_euclidean", false, false},
};
static_assert([] {
    for (std::size_t i = 0; i != metric_facts.size(); ++i)
        if (metric_facts[i].metric != static_cast<Metric>(i))
            return false;
    return true;
}());

/// "unknown" for what is none of them.
[[nodiscard]] constexpr std::string_view name_of(Metric metric) noexcept {
    const auto i = static_cast<std::size_t>(metric);
    return i < metric_facts.size() ? metric_facts[i].name : "unknown";
}
[[nodiscard]] constexpr bool higher_is_better(Metric metric) noexcept {
    return metric_facts[static_cast<std::size_t>(metric)].higher_is_better;
}
/// No score is worse: an infinity.
[[nodiscard]] constexpr float worst_score(Metric metric) noexcept {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    return higher_is_better(metric) ? -infinity : infinity;
}
[[nodiscard]] constexpr bool needs_norm(Metric metric) noexcept {
    return metric_facts[static_cast<std::size_t>(metric)].needs_norm;
}

} // namespace hotindex
