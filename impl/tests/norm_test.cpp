// Cosine at the edges of float arithmetic: what is accepted has a score with everything else, about 1 with itself.
#include "catch.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/search/similarity.hpp>

#include <hwy/targets.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace {
using namespace hotindex;
using Vector = std::vector<float>;

template <class Call>
bool refuses(Call call) {
    try {
        call();
        return false;
    } catch (const InvalidArgument&) {
        return true;
    }
}

/// About `squared` long, exactly but for a few units in the last place; positive, as is worst for the sum.
Vector vector_near(std::mt19937& random, std::size_t dimension, double squared) {
    std::uniform_real_distribution<double> value(0.1, 1.1);
    std::uniform_real_distribution<double> error(1 - 3e-7, 1 + 3e-7);
    std::vector<double> exact(dimension);
    double sum = 0;
    for (double& x : exact) {
        x = value(random);
        sum += x * x;
    }
    const double scale = std::sqrt(squared / sum) * error(random);
    Vector v;
    for (const double x : exact)
        v.push_back(static_cast<float>(x * scale));
    return v;
}

/// Any finite floats: exponents from the denormal to the largest.
Vector any_vector(std::mt19937& random, std::size_t dimension) {
    const int lowest = std::uniform_int_distribution(-149, 127)(random);
    const int highest = std::uniform_int_distribution(lowest, 127)(random);
    std::uniform_real_distribution<float> fraction(-1, 1);
    Vector v;
    for (std::size_t i = 0; i != dimension; ++i)
        v.push_back(std::ldexp(fraction(random), std::uniform_int_distribution(lowest, highest)(random)));
    return v;
}

/// Adds each to an index of its own: refused everywhere, or accepted everywhere and found with about 1.
template <class Index>
std::size_t accepted_of(const std::vector<Vector>& vectors) {
    std::size_t accepted = 0;
    Index together({.dimension = vectors.at(0).size()});
    std::vector<const Vector*> queries;
    for (const Vector& v : vectors) {
        Index alone({.dimension = v.size()});
        const bool refused = refuses([&] { alone.add_vector("v", v); });
        CHECK(refuses([&] { (void)alone.search(v, 1); }) == refused);
        CHECK(refuses([&] { (void)alone.search_batch(v, 1); }) == refused);
        CHECK(alone.size() == (refused ? 0 : 1));
        if (refused)
            continue;
        ++accepted;
        queries.push_back(&v);
        together.add_vector(std::to_string(accepted), v);
        for (const Match& m : {alone.search(v, 1).at(0), alone.search_batch(v, 1).at(0).at(0)})
            CHECK(std::abs(m.score - 1) < 1e-5F);
    }
    for (const Vector* q : queries)
        for (const Match& m : together.search(*q, vectors.size()))
            if (!(std::abs(m.score) < 1.00001F))
                FAIL_CHECK("a score of " << m.score);
    return accepted;
}
} // namespace

TEMPLATE_TEST_CASE("a vector is refused under cosine, or has scores with all others, at the edges of its norm",
                   "[contract][norm]", LockFreeHotVectorIndex, HotVectorIndex<std::mutex>) {
    std::mt19937 random(1);
    for (const std::size_t dimension : {1u, 9u, 17u, 33u, 64u, 128u, 768u})
        for (const double edge : {double{smallest_squared_norm}, double{largest_squared_norm}}) {
            std::vector<Vector> vectors;
            for (int i = 0; i != 40; ++i)
                vectors.push_back(vector_near(random, dimension, edge));
            const std::size_t accepted = accepted_of<TestType>(vectors);
            INFO(dimension << " floats, near " << edge);
            CHECK(accepted > 0);
            CHECK(accepted < vectors.size());
        }
    // What the sum of squares of the other edge would be: all too long.
    for (const std::size_t dimension : {9u, 33u, 128u}) {
        std::vector<Vector> vectors;
        for (int i = 0; i != 40; ++i)
            vectors.push_back(vector_near(random, dimension, double{std::numeric_limits<float>::max()}));
        CHECK(accepted_of<TestType>(vectors) == 0);
    }
}

TEMPLATE_TEST_CASE("a vector is refused under cosine, or has scores with all others, whatever its floats are",
                   "[contract][norm]", LockFreeHotVectorIndex, HotVectorIndex<std::mutex>) {
    std::mt19937 random(2);
    std::size_t accepted = 0;
    for (const std::size_t dimension : {1u, 3u, 16u, 50u})
        for (int round = 0; round != 5; ++round) {
            std::vector<Vector> vectors;
            for (int i = 0; i != 40; ++i)
                vectors.push_back(any_vector(random, dimension));
            accepted += accepted_of<TestType>(vectors);
        }
    CHECK(accepted > 100);
}

TEST_CASE("the squared norm is to the last bit what the kernels give for a vector and itself", "[norm]") {
    struct RestoreTargets {
        RestoreTargets() = default;
        RestoreTargets(const RestoreTargets&) = delete;
        RestoreTargets& operator=(const RestoreTargets&) = delete;
        ~RestoreTargets() { hwy::SetSupportedTargetsForTest(0); }
    } const restore;
    std::mt19937 random(3);
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
        hwy::SetSupportedTargetsForTest(target);
        for (std::size_t dimension = 1; dimension != 200; ++dimension) {
            const Vector v = vector_near(random, dimension, dimension % 2 == 0 ? 1.0 : 9e37);
            const PreparedQuery query(v, Metric::inner_product);
            float scores[block_rows]; // a kernel writes a whole vector
            score_rows(query, query.data(), nullptr, 1, 1, scores);
            // Where the caller's vector begins does not matter.
            Vector shifted(v.size() + 1);
            std::copy(v.begin(), v.end(), shifted.begin() + 1);
            CHECK(std::bit_cast<std::uint32_t>(squared_norm(v)) == std::bit_cast<std::uint32_t>(scores[0]));
            CHECK(squared_norm(std::span(shifted).subspan(1)) == squared_norm(v));
        }
    }
}
