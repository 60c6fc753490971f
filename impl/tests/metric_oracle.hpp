// The definition of each metric, in double precision, for the tests of the library.
#pragma once

#include <hotindex/search/metric.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>

namespace hotindex::tests {

struct ExactScore {
    double value;
    double terms; ///< the sum of the absolute terms: what rounding is measured by
};

/// Of two vectors of one dimension.
inline ExactScore exact_score(std::span<const float> a, std::span<const float> b, Metric metric) {
    double dot = 0, products = 0, distance = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i != a.size(); ++i) {
        const double x = a[i], y = b[i];
        dot += x * y;
        products += std::abs(x * y);
        distance += (x - y) * (x - y);
        aa += x * x;
        bb += y * y;
    }
    switch (metric) {
    case Metric::cosine:
        return {dot / std::sqrt(aa * bb), 1};
    case Metric::inner_product:
        return {dot, products};
    case Metric::squared_euclidean:
        return {distance, distance};
    }
    throw std::invalid_argument("exact_score: a metric that it does not know");
}

} // namespace hotindex::tests
