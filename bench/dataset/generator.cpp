// The deterministic mixture: 64-bit fixed point throughout, see generate().
#include "dataset/generator.hpp"

#include "dataset/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace hotindex::bench {

namespace {

// Fixed-point units. Bounds: a normal number is at most 6 * 2^16; a factor at most 100 * 2^20; so a product is below
// 2^46, a sum over 4096 latent coordinates (the matrix is itself a product, in units of 2^-20, at most 600 * 2^20)
// below 2^61.
constexpr int normal_bits = 16;
constexpr int factor_bits = 20;
constexpr float unit = 0x1p-36F; // of a product: 2^-(normal_bits + factor_bits)
constexpr double largest_factor = 100;
constexpr std::size_t most_latent = 4096;

// Streams of Random: base rows use their row number, the rest is set apart by the top bits.
constexpr std::uint64_t query_streams = std::uint64_t{1} << 63;
constexpr std::uint64_t cluster_streams = std::uint64_t{1} << 62;

/// Irwin-Hall: 12 uniform 16-bit integers, centered; in units of 2^-16 its variance is 1 - 2^-32.
[[nodiscard]] std::int64_t normal(Random& random) noexcept {
    std::uint64_t sum = 0;
    for (int word = 0; word != 3; ++word) {
        const std::uint64_t bits = random();
        sum += (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48);
    }
    return static_cast<std::int64_t>(sum) - 12 * 0xFFFF / 2;
}

/// Exact scaling by a power of two, then round to integer: no room for platforms to differ.
[[nodiscard]] std::int64_t fixed(double factor) noexcept {
    return std::llround(factor * static_cast<double>(1 << factor_bits));
}

struct Mixture {
    std::size_t dimension = 0;
    std::size_t latent = 0;
    std::uint64_t clusters = 0;
    std::int64_t noise = 0;
    std::vector<std::int64_t> centers;  ///< clusters x dimension, units of 2^-36
    std::vector<std::int32_t> matrices; ///< clusters x dimension x latent, units of 2^-20
};

[[nodiscard]] Mixture draw_mixture(const MixtureOptions& options) {
    Mixture mixture;
    mixture.dimension = options.dimension;
    mixture.latent = options.intrinsic_dimension;
    mixture.clusters = options.clusters;
    mixture.noise = fixed(options.noise);
    mixture.centers.reserve(options.clusters * options.dimension);
    mixture.matrices.reserve(options.clusters * options.dimension * options.intrinsic_dimension);
    const std::int64_t center = fixed(options.center_spread);
    // A coordinate of A z has variance latent * (entry variance), hence the root (which IEEE 754 rounds correctly).
    const std::int64_t entry =
        fixed(options.cluster_spread / std::sqrt(static_cast<double>(options.intrinsic_dimension)));
    for (std::uint64_t cluster = 0; cluster != options.clusters; ++cluster) {
        Random random(options.seed, cluster_streams | cluster);
        for (std::size_t i = 0; i != options.dimension; ++i)
            mixture.centers.push_back(normal(random) * center);
        for (std::size_t i = 0; i != options.dimension * options.intrinsic_dimension; ++i)
            mixture.matrices.push_back(static_cast<std::int32_t>((normal(random) * entry) >> normal_bits));
    }
    return mixture;
}

[[nodiscard]] std::vector<float> draw_rows(const Mixture& mixture, std::uint64_t seed, std::uint64_t first_stream,
                                           std::size_t rows) {
    std::vector<float> values;
    values.reserve(rows * mixture.dimension);
    std::vector<std::int32_t> latent(mixture.latent);
    for (std::size_t row = 0; row != rows; ++row) {
        Random random(seed, first_stream | row);
        const auto cluster = static_cast<std::size_t>(random.below(mixture.clusters));
        for (auto& coordinate : latent)
            coordinate = static_cast<std::int32_t>(normal(random));
        const std::int64_t* center = mixture.centers.data() + cluster * mixture.dimension;
        const std::int32_t* matrix = mixture.matrices.data() + cluster * mixture.dimension * mixture.latent;
        for (std::size_t i = 0; i != mixture.dimension; ++i) {
            std::int64_t sum = center[i] + normal(random) * mixture.noise;
            for (std::size_t j = 0; j != mixture.latent; ++j)
                sum += std::int64_t{matrix[i * mixture.latent + j]} * latent[j];
            values.push_back(static_cast<float>(sum) * unit); // one rounding; the scaling is exact
        }
    }
    return values;
}

void check_range(std::string_view name, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
    if (value < least || value > most)
        throw InvalidArgument(
            fmt::format("MixtureOptions.{} is {}; give a number from {} to {}", name, value, least, most));
}

void check_factor(std::string_view name, double value) {
    if (!(value >= 0 && value <= largest_factor))
        throw InvalidArgument(
            fmt::format("MixtureOptions.{} is {}; give a number from 0 to {}", name, value, largest_factor));
}

void check(const MixtureOptions& options) {
    constexpr std::uint64_t most_floats = std::uint64_t{1} << 36;  // 256 GiB
    constexpr std::uint64_t most_entries = std::uint64_t{1} << 28; // 1 GiB of cluster matrices
    check_range("dimension", options.dimension, 1, max_dimension);
    check_range("rows", options.rows, 1, most_floats / options.dimension);
    check_range("queries", options.queries, 0, most_floats / options.dimension);
    check_range("intrinsic_dimension", options.intrinsic_dimension, 1, std::min(options.dimension, most_latent));
    check_range("clusters", options.clusters, 1,
                std::max<std::uint64_t>(1, most_entries / (options.dimension * options.intrinsic_dimension)));
    check_factor("center_spread", options.center_spread);
    check_factor("cluster_spread", options.cluster_spread);
    check_factor("noise", options.noise);
}

} // namespace

Dataset generate(const MixtureOptions& options) {
    check(options);
    const Mixture mixture = draw_mixture(options);
    Dataset dataset;
    dataset.dimension = options.dimension;
    dataset.base = draw_rows(mixture, options.seed, 0, options.rows);
    dataset.queries = draw_rows(mixture, options.seed, query_streams, options.queries);
    dataset.name = fmt::format("mixture-{}d-{}i-{}c-{}", options.dimension, options.intrinsic_dimension,
                               options.clusters, options.rows);
    dataset.source =
        fmt::format("generated: mixture of {} Gaussians of intrinsic dimension {} in {} dimensions, {} rows, {} "
                    "queries, center spread {}, cluster spread {}, noise {}, seed {}",
                    options.clusters, options.intrinsic_dimension, options.dimension, options.rows, options.queries,
                    options.center_spread, options.cluster_spread, options.noise, options.seed);
    return dataset;
}

} // namespace hotindex::bench
