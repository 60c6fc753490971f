// Generated vectors.
#include "catch.hpp"
#include "dataset/generator.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

namespace hotindex::bench {
namespace {

MixtureOptions small_mixture() {
    return {.rows = 1000, .queries = 10, .dimension = 32, .clusters = 10, .intrinsic_dimension = 4};
}

TEST_CASE("generated vectors are the same bytes everywhere") {
    const auto data = generate(small_mixture());
    CHECK(data.name == "mixture-32d-4i-10c-1000");
    CHECK(data.base_rows() == 1000);
    CHECK(data.query_rows() == 10);
    CHECK(checksum(data.base) == 0x47FF5E598E924084u);
    CHECK(checksum(data.queries) == 0xC81D28A1143E764Au);
}

TEST_CASE("the checksum is FNV-1a of the little-endian bytes") {
    CHECK(checksum({}) == 0xCBF29CE484222325u);
    const float value = std::bit_cast<float>(0x6F6F6F66u); // "fooo"
    std::uint64_t expected = 0xCBF29CE484222325u;
    for (const char byte : std::string_view("fooo"))
        expected = (expected ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
    CHECK(checksum({&value, 1}) == expected);
}

TEST_CASE("generated rows do not depend on how many are asked for") {
    auto options = small_mixture();
    const auto many = generate(options);
    options.rows = 100;
    options.queries = 3;
    const auto few = generate(options);
    CHECK(std::equal(few.base.begin(), few.base.end(), many.base.begin()));
    CHECK(std::equal(few.queries.begin(), few.queries.end(), many.queries.begin()));
    options.seed = 2;
    CHECK(generate(options).base != few.base);
}

/// The two-NN estimator of Facco, d'Errico, Rodriguez, Laio (Scientific Reports 7, 2017): the ratio of the distances to
/// the second and the first neighbour follows a Pareto law whose exponent is the intrinsic dimension.
double two_nn_dimension(const Dataset& data) {
    double logarithms = 0;
    for (std::size_t i = 0; i != data.base_rows(); ++i) {
        float first = std::numeric_limits<float>::infinity();
        float second = first;
        const float* a = data.base.data() + i * data.dimension;
        for (std::size_t j = 0; j != data.base_rows(); ++j) {
            if (j == i)
                continue;
            const float* b = data.base.data() + j * data.dimension;
            float squared = 0;
            for (std::size_t c = 0; c != data.dimension; ++c)
                squared += (a[c] - b[c]) * (a[c] - b[c]);
            second = std::min(second, std::max(first, squared));
            first = std::min(first, squared);
        }
        logarithms += 0.5 * std::log(static_cast<double>(second) / static_cast<double>(first));
    }
    return static_cast<double>(data.base_rows() - 1) / logarithms;
}

TEST_CASE("generated clusters have about the intrinsic dimension asked for") {
    MixtureOptions options{.rows = 1500, .queries = 0, .dimension = 64, .clusters = 3, .noise = 1e-4};
    options.intrinsic_dimension = 2;
    const double two = two_nn_dimension(generate(options));
    options.intrinsic_dimension = 8;
    const double eight = two_nn_dimension(generate(options));
    options.intrinsic_dimension = 32;
    const double many = two_nn_dimension(generate(options));
    CAPTURE(two, eight, many);
    CHECK((two > 1.7 && two < 2.3));
    CHECK((eight > 6 && eight < 9));
    CHECK((many > 14 && many < 32)); // 1500 points do not fill 32 dimensions: the estimator falls short, as is known
}

TEST_CASE("generated coordinates have the spread asked for") {
    MixtureOptions options{.rows = 20'000, .queries = 0, .dimension = 8, .clusters = 1, .intrinsic_dimension = 8};
    const auto deviation = [](const Dataset& data) { // root of the mean coordinate variance
        double total = 0;
        for (std::size_t c = 0; c != data.dimension; ++c) {
            double sum = 0;
            double squares = 0;
            for (std::size_t i = 0; i != data.base_rows(); ++i) {
                const auto value = static_cast<double>(data.base_row(i)[c]);
                sum += value;
                squares += value * value;
            }
            const auto n = static_cast<double>(data.base_rows());
            total += squares / n - (sum / n) * (sum / n);
        }
        return std::sqrt(total / static_cast<double>(data.dimension));
    };
    options.cluster_spread = 0;
    options.noise = 0.25;
    CHECK(deviation(generate(options)) == Catch::Approx(0.25).epsilon(0.02));
    options.noise = 0;
    options.cluster_spread = 2; // one random matrix: its own variance shows
    CHECK(deviation(generate(options)) == Catch::Approx(2).epsilon(0.25));
    options.cluster_spread = 0;
    options.center_spread = 3;
    options.clusters = 5000;
    CHECK(deviation(generate(options)) == Catch::Approx(3).epsilon(0.05));
}

TEST_CASE("generator options out of range are refused by name") {
    const auto refused = [](const std::function<void(MixtureOptions&)>& change) {
        auto options = small_mixture();
        change(options);
        try {
            static_cast<void>(generate(options));
        } catch (const InvalidArgument& error) {
            return std::string(error.what());
        }
        return std::string("no error");
    };
    CHECK(refused([](auto& o) { o.dimension = 0; }) ==
          "MixtureOptions.dimension is 0; give a number from 1 to 1048576");
    CHECK(refused([](auto& o) { o.rows = 0; }) == "MixtureOptions.rows is 0; give a number from 1 to 2147483648");
    CHECK(refused([](auto& o) { o.intrinsic_dimension = 33; }) ==
          "MixtureOptions.intrinsic_dimension is 33; give a number from 1 to 32");
    CHECK(refused([](auto& o) { o.clusters = 0; }) == "MixtureOptions.clusters is 0; give a number from 1 to 2097152");
    CHECK(refused([](auto& o) { o.noise = -1; }) == "MixtureOptions.noise is -1; give a number from 0 to 100");
    CHECK(refused([](auto& o) { o.cluster_spread = NAN; }) ==
          "MixtureOptions.cluster_spread is nan; give a number from 0 to 100");
}

} // namespace
} // namespace hotindex::bench
