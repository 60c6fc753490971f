#include "dataset/random.hpp"
#include "workloads/keys.hpp"

#include <catch.hpp>
#include <cmath>
#include <cstddef>
#include <random>
#include <set>
#include <vector>

namespace hotindex::bench {
namespace {

static_assert(std::uniform_random_bit_generator<Random>);

template <class Keys>
std::vector<double> counts_of(const Keys& keys, std::size_t draws, std::uint64_t seed) {
    std::vector<double> counts(keys.size());
    Random random(seed);
    for (std::size_t i = 0; i != draws; ++i)
        ++counts.at(keys(random));
    return counts;
}

/// Pearson's statistic in standard deviations from its expectation; |z| above 5 is no accident.
template <class Keys>
double surprise(const std::vector<double>& counts, const Keys& expected) {
    double draws = 0;
    for (const double count : counts)
        draws += count;
    double statistic = 0;
    for (std::size_t rank = 0; rank != counts.size(); ++rank) {
        const double mean = draws * expected.probability(rank);
        statistic += (counts[rank] - mean) * (counts[rank] - mean) / mean;
    }
    const auto freedom = static_cast<double>(counts.size() - 1);
    return (statistic - freedom) / std::sqrt(2 * freedom);
}

TEST_CASE("the random numbers of a seed and stream never change") {
    // xoshiro256** from the state that SplitMix64 gives; these values pin every dataset and workload.
    Random random(1);
    CHECK(random() == 0x6082E9993631E7D5u);
    CHECK(random() == 0xE9ACC0D447272233u);
    Random other(1, 1);
    CHECK(other() == 0xB797DE902293AD79u);
}

TEST_CASE("different seeds and different streams give different numbers") {
    std::set<std::uint64_t> firsts;
    for (std::uint64_t seed = 0; seed != 100; ++seed)
        for (std::uint64_t stream = 0; stream != 100; ++stream)
            firsts.insert(Random(seed, stream)());
    CHECK(firsts.size() == 10'000);
}

TEST_CASE("the wide product has the right halves") {
    CHECK(multiply_wide(~std::uint64_t{0}, ~std::uint64_t{0}).high == ~std::uint64_t{0} - 1);
    CHECK(multiply_wide(~std::uint64_t{0}, ~std::uint64_t{0}).low == 1);
    CHECK(multiply_wide(std::uint64_t{1} << 40, std::uint64_t{1} << 30).high == std::uint64_t{1} << 6);
}

TEST_CASE("Zipf probabilities are those of the definition") {
    const ZipfKeys keys(1000, 0.99);
    double sum = 0;
    for (std::size_t rank = 0; rank != keys.size(); ++rank)
        sum += keys.probability(rank);
    CHECK(sum == Catch::Approx(1));
    CHECK(keys.probability(0) / keys.probability(1) == Catch::Approx(std::pow(2, 0.99)));
    CHECK(keys.probability(0) / keys.probability(999) == Catch::Approx(std::pow(1000, 0.99)));
    CHECK(keys.probability(1000) == 0);
}

TEST_CASE("Zipf keys come as often as expected") {
    const double theta = GENERATE(0.0, 0.5, 0.99, 1.0, 1.5);
    const ZipfKeys keys(1000, theta);
    const auto counts = counts_of(keys, 4'000'000, 7);
    CAPTURE(theta);
    CHECK(std::fabs(surprise(counts, keys)) < 5);
    for (std::size_t rank = 0; rank != 10; ++rank) {
        const double mean = 4'000'000 * keys.probability(rank);
        CAPTURE(rank, counts[rank], mean);
        CHECK(std::fabs(counts[rank] - mean) < 5 * std::sqrt(mean));
    }
}

TEST_CASE("the frequency check notices a slightly wrong skew") {
    CHECK(surprise(counts_of(ZipfKeys(1000, 0.99), 4'000'000, 7), ZipfKeys(1000, 0.98)) > 5);
    CHECK(surprise(counts_of(UniformKeys(1000), 4'000'000, 7), ZipfKeys(1000, 0.02)) > 5);
}

TEST_CASE("uniform keys come equally often") {
    const UniformKeys keys(1000);
    CHECK(std::fabs(surprise(counts_of(keys, 4'000'000, 7), keys)) < 5);
}

TEST_CASE("a chooser of one key always chooses it") {
    Random random(3);
    const ZipfKeys zipf(1);
    const UniformKeys uniform(1);
    for (int i = 0; i != 100; ++i) {
        CHECK(zipf(random) == 0);
        CHECK(uniform(random) == 0);
    }
}

TEST_CASE("a large Zipf chooser reaches the tail and favours the head") {
    const ZipfKeys keys(1'000'000);
    Random random(5);
    std::size_t head = 0;
    std::size_t tail = 0;
    std::size_t outside = 0;
    for (int i = 0; i != 1'000'000; ++i) {
        const std::size_t key = keys(random);
        outside += key >= keys.size() ? 1 : 0;
        head += key < 100 ? 1 : 0;
        tail += key >= 500'000 ? 1 : 0;
    }
    double expected_head = 0;
    for (std::size_t rank = 0; rank != 100; ++rank)
        expected_head += keys.probability(rank);
    CHECK(static_cast<double>(head) / 1e6 == Catch::Approx(expected_head).margin(0.003));
    CHECK(tail > 30'000);
    CHECK(outside == 0);
}

TEST_CASE("choosers refuse bad arguments and say which") {
    CHECK_THROWS_WITH(UniformKeys(0), "UniformKeys: n is 0; give the number of keys, at least 1");
    CHECK_THROWS_WITH(ZipfKeys(0), "ZipfKeys: n is 0; give the number of keys, 1 to 4294967295");
    CHECK_THROWS_WITH(ZipfKeys(10, -1),
                      "ZipfKeys: theta is -1; give a number from 0 (uniform) to 10, for example 0.99");
    CHECK_THROWS_AS(ZipfKeys(10, std::nan("")), InvalidArgument);
}

} // namespace
} // namespace hotindex::bench
