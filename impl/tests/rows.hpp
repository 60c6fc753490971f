// Rows as an index stores them, and the score of one of them alone.
#pragma once

#include <hotindex/search/similarity.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace hotindex::tests {

/// Rows as an index stores them. Padding is zero; every row is filled.
struct Rows {
    Rows(std::size_t n, std::size_t d, unsigned seed) : count(n), dimension(d), stride(row_stride(d)) {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        at = floats.reserve(n * stride);
        std::fill_n(at, n * stride, 0.0F);
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t e = 0; e < d; ++e)
                at[i * stride + e] = normal(random);
            inverse_norms.push_back(inverse_norm(row(i), stride));
        }
    }
    [[nodiscard]] const float* row(std::size_t i) const { return at + i * stride; }
    [[nodiscard]] std::span<const float> vector(std::size_t i) const { return {row(i), dimension}; }

    std::size_t count, dimension, stride;
    kernel::AlignedFloats floats;
    float* at;
    std::vector<float> inverse_norms;
};

inline std::uint32_t bits(float x) {
    return std::bit_cast<std::uint32_t>(x);
}

inline float score_alone(const PreparedQuery& query, const Rows& rows, std::size_t i) {
    float scores[64];
    score_rows(query, rows.row(i), rows.inverse_norms.data() + i, 1, 1, scores);
    return scores[0];
}

} // namespace hotindex::tests
