// The random numbers of datasets, key choosers and workloads: one small generator, the same on every platform.
//
// xoshiro256** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 47(4), 2021), seeded
// through SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). Integers only: no library distribution, no libm, so a (seed,
// stream) pair gives the same numbers with every compiler and standard library.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

namespace hotindex::bench {

/// A finalizer that spreads every input bit over all output bits; a bijection (the output function of SplitMix64).
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t value) noexcept {
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

/// The two halves of the 128-bit product a * b.
struct Product128 {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
};

[[nodiscard]] constexpr Product128 multiply_wide(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
}

/// Uniform 64-bit integers; satisfies std::uniform_random_bit_generator. One object per thread (not thread-safe): give
/// every thread the run's seed and its own number as the stream, never the same pair twice.
class Random {
  public:
    using result_type = std::uint64_t;

    explicit constexpr Random(std::uint64_t seed, std::uint64_t stream = 0) noexcept {
        std::uint64_t next = mix64(mix64(seed) + stream); // for one seed, different streams start at different points
        for (auto& word : state_) {
            word = mix64(next);
            next += 0x9E3779B97F4A7C15u;
        }
    }

    constexpr std::uint64_t operator()() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    /// Uniform in [0, bound), bound > 0. One draw, no division; the bias is below bound / 2^64.
    constexpr std::uint64_t below(std::uint64_t bound) noexcept { return multiply_wide((*this)(), bound).high; }

    static constexpr std::uint64_t min() noexcept { return 0; }
    static constexpr std::uint64_t max() noexcept { return std::numeric_limits<std::uint64_t>::max(); }

  private:
    std::array<std::uint64_t, 4> state_{};
};

} // namespace hotindex::bench
