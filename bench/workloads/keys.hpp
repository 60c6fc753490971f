// Which key does an operation touch? Uniform and Zipf choosers for the workloads.
//
// A chooser is immutable once built: share one between all threads, and give each thread its own Random. A key is a
// rank, 0 to n - 1; under Zipf rank 0 is the most popular one. Popular keys are therefore neighbours: a workload that
// wants them scattered maps ranks through a permutation of its own.
#pragma once

#include "dataset/random.hpp"

#include <hotindex/vector_index.hpp>

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hotindex::bench {

/// Every key equally often.
class UniformKeys {
  public:
    /// n >= 1, else InvalidArgument.
    explicit UniformKeys(std::size_t n) : size_(n) {
        if (n == 0)
            throw InvalidArgument("UniformKeys: n is 0; give the number of keys, at least 1");
    }

    [[nodiscard]] std::size_t operator()(Random& random) const noexcept {
        return static_cast<std::size_t>(random.below(size_));
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] double probability(std::size_t rank) const noexcept {
        return rank < size_ ? 1 / static_cast<double>(size_) : 0;
    }

  private:
    std::size_t size_;
};

/// Rank i with probability (1 / (i + 1)^theta) / H(n, theta): the Zipf distribution, and with theta = 0.99 the skew of
/// YCSB (Cooper et al., SoCC 2010). YCSB itself draws by an approximation (Gray et al., SIGMOD 1994) that is wrong for
/// the first ranks; here the probabilities are exact to about 2^-32 of a key's share.
///
/// Walker's alias method in Vose's form (IEEE Trans. Software Eng. 17(9), 1991): n columns of equal weight, each shared
/// by at most two ranks. A draw is one 64-bit random number, one multiplication and one 8-byte table entry: O(1).
/// Construction O(n) time, 8n bytes kept, about 28n bytes while building.
class ZipfKeys {
  public:
    static constexpr std::size_t max_keys = 0xFFFF'FFFFu; ///< ranks are stored in 32 bits

    /// n in [1, max_keys]; theta in [0, 10] (0 is uniform, larger is more skewed), else InvalidArgument.
    explicit ZipfKeys(std::size_t n, double theta = 0.99) : theta_(theta) {
        if (n == 0 || n > max_keys)
            throw InvalidArgument(fmt::format("ZipfKeys: n is {}; give the number of keys, 1 to {}", n, max_keys));
        if (!(theta >= 0 && theta <= 10))
            throw InvalidArgument(
                fmt::format("ZipfKeys: theta is {}; give a number from 0 (uniform) to 10, for example 0.99", theta));
        build(n);
    }

    [[nodiscard]] std::size_t operator()(Random& random) const noexcept {
        // The high half of draw * n is the column; given the column, the low half is still uniform and picks the side.
        const Product128 draw = multiply_wide(random(), columns_.size());
        const Column& column = columns_[static_cast<std::size_t>(draw.high)];
        const auto own = static_cast<std::uint32_t>(draw.high);
        const auto side = static_cast<std::uint32_t>(draw.low >> 32);
        // A mask instead of a branch that would be mispredicted every few draws.
        const std::uint32_t mask = std::uint32_t{0} - static_cast<std::uint32_t>(side > column.own);
        return own ^ ((own ^ column.other) & mask);
    }

    [[nodiscard]] std::size_t size() const noexcept { return columns_.size(); }
    [[nodiscard]] double theta() const noexcept { return theta_; }

    /// Expected share of a rank.
    [[nodiscard]] double probability(std::size_t rank) const noexcept {
        return rank < size() ? weight(rank) / total_ : 0;
    }

  private:
    struct Column {
        std::uint32_t own = 0xFFFF'FFFFu; ///< up to this the column's own rank is drawn, above it `other`
        std::uint32_t other = 0;
    };

    [[nodiscard]] double weight(std::size_t rank) const noexcept {
        return std::pow(static_cast<double>(rank) + 1, -theta_);
    }

    void build(std::size_t n) {
        columns_.resize(n);
        std::vector<double> share(n);        // in columns: the average is 1
        for (std::size_t i = n; i-- != 0;) { // smallest first: the sum loses least
            share[i] = weight(i);
            total_ += share[i];
        }
        const double scale = static_cast<double>(n) / total_;
        std::vector<std::uint32_t> small; // need less than a column
        std::vector<std::uint32_t> large; // need more
        for (std::size_t i = n; i-- != 0;) {
            share[i] *= scale;
            columns_[i].other = static_cast<std::uint32_t>(i);
            (share[i] < 1 ? small : large).push_back(static_cast<std::uint32_t>(i));
        }
        while (!small.empty() && !large.empty()) {
            const std::uint32_t filled = small.back();
            const std::uint32_t giver = large.back();
            small.pop_back();
            columns_[filled].own = threshold(share[filled]);
            columns_[filled].other = giver;
            share[giver] -= 1 - share[filled];
            if (share[giver] < 1) {
                large.pop_back();
                small.push_back(giver);
            }
        }
        // What is left differs from a full column by rounding only and keeps its own rank throughout.
    }

    /// The largest 32-bit number that still picks the column's own rank when `share` of the column is its own.
    [[nodiscard]] static std::uint32_t threshold(double share) noexcept {
        const double count = share * 4294967296.0;
        return count < 1 ? 0 : static_cast<std::uint32_t>(std::fmin(count, 4294967296.0) - 1);
    }

    double theta_;
    double total_ = 0;
    std::vector<Column> columns_;
};

} // namespace hotindex::bench
