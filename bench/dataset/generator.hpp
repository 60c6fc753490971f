// Vectors that are the same on every machine: what is measured when no file is given.
#pragma once

#include "dataset/dataset.hpp"

#include <cstddef>
#include <cstdint>

namespace hotindex::bench {

/// What generate() makes; the defaults are the benchmark's dataset when no file is given.
struct MixtureOptions {
    std::size_t rows = 100'000;
    std::size_t queries = 1'000;
    std::size_t dimension = 128;
    std::size_t clusters = 100;
    std::size_t intrinsic_dimension = 16; ///< 1 to min(dimension, 4096): degrees of freedom inside a cluster
    double center_spread = 1.0;           ///< standard deviation of a coordinate of the cluster centers, 0 to 100
    double cluster_spread = 0.5;          ///< standard deviation of a coordinate inside a cluster, 0 to 100
    double noise = 0.01;                  ///< standard deviation of the noise on each coordinate, 0 to 100
    std::uint64_t seed = 1;
};

/// A mixture of `clusters` Gaussians of low intrinsic dimension, as embeddings have it:
///   row = center(c) + A(c) z + noise,   c uniform, z of intrinsic_dimension independent normal numbers,
/// where A(c) is a random dimension x intrinsic_dimension matrix of the cluster. Queries come from the same mixture.
///
/// The bytes are the same on every platform and with every compiler, whatever the floating-point flags: a "normal"
/// number is the centered sum of 12 uniform 16-bit integers (Irwin-Hall; standard deviation 1, tails end at 6, excess
/// kurtosis -0.1), all sums are 64-bit fixed point, and the only rounding is the last one, from integer to float. Each
/// row has its own random stream: the first n rows do not depend on how many are asked for, nor do the queries.
///
/// InvalidArgument for options out of range. O((rows + queries) * dimension * intrinsic_dimension) time.
[[nodiscard]] Dataset generate(const MixtureOptions& options = {});

} // namespace hotindex::bench
