#include "dataset/metrics.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace hotindex::bench {

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

} // namespace hotindex::bench
