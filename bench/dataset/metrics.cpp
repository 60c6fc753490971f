#include "dataset/metrics.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace hotindex::bench {

std::string metrics_in_words(std::string_view prefix, std::optional<Metric> left_out) {
    std::vector<std::string> names;
    for (const MetricFacts& each : metric_facts)
        if (each.metric != left_out)
            names.push_back(fmt::format("{}{}", prefix, each.name));
    const std::string last = std::move(names.back());
    names.pop_back();
    return fmt::format("{} or {}", fmt::join(names, ", "), last);
}

std::optional<Metric> metric_named(std::string_view name) {
    std::string plain(name);
    for (char& c : plain)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c == ' ' || c == '-' ? '_' : c;
    // ann-benchmarks: angular, euclidean, ip; its dot files, and those of other benchmarks: the rest. "normalized" are
    // unit vectors by their cosine.
    constexpr std::array<std::pair<std::string_view, Metric>, 14> names{{
        {"cosine", Metric::cosine},
        {"angular", Metric::cosine},
        {"cos", Metric::cosine},
        {"normalized", Metric::cosine},
        {"squared_euclidean", Metric::squared_euclidean},
        {"euclidean", Metric::squared_euclidean},
        {"sqeuclidean", Metric::squared_euclidean},
        {"l2", Metric::squared_euclidean},
        {"l2_squared", Metric::squared_euclidean},
        {"inner_product", Metric::inner_product},
        {"innerproduct", Metric::inner_product},
        {"ip", Metric::inner_product},
        {"dot", Metric::inner_product},
        {"dot_product", Metric::inner_product},
    }};
    const auto found = std::ranges::find(names, plain, [](const auto& each) { return each.first; });
    return found == names.end() ? std::nullopt : std::optional(found->second);
}

double exact_score(Metric metric, std::span<const float> a, std::span<const float> b) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    double difference = 0;
    for (std::size_t i = 0; i != a.size(); ++i) {
        const double x = a[i];
        const double y = b[i];
        dot += x * y;
        aa += x * x;
        bb += y * y;
        difference += (x - y) * (x - y);
    }
    switch (metric) {
    case Metric::cosine:
        return dot / std::sqrt(aa * bb);
    case Metric::inner_product:
        return dot;
    case Metric::squared_euclidean:
        return difference;
    }
    return 0;
}

} // namespace hotindex::bench
