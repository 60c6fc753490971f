// The contract of vector_index.hpp, for all indexes: the same tests, and the same answers bit for bit.
#include "catch.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <shared_mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#define EVERY_INDEX HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>, LockFreeHotVectorIndex

namespace {
using namespace hotindex;
using namespace std::chrono_literals;
using Vector = std::vector<float>;
using Ids = std::vector<std::string>;

constexpr Metric metrics[] = {Metric::cosine, Metric::inner_product, Metric::squared_euclidean};
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t all_of_them = std::numeric_limits<std::size_t>::max();

/// Tiers by hand only, so that no clock has a say.
IndexOptions options_of(std::size_t dimension, Metric metric = Metric::cosine, Tracking tracking = Tracking::off) {
    IndexOptions options;
    options.dimension = dimension;
    options.metric = metric;
    options.tracking = tracking;
    options.tiers.manage_every = 0ms;
    return options;
}

/// "text-7" and the like; appended to, since g++ 12 suspects an overlap in literal + std::to_string() (GCC bug 105651).
template <class Number>
std::string numbered(std::string text, Number n) {
    return text.append(std::to_string(n));
}

/// What a refusal says; empty when nothing was refused.
template <class Operation>
std::string refusal(Operation operation) {
    try {
        operation();
    } catch (const InvalidArgument& e) {
        return e.what();
    }
    return {};
}

/// Empty when the message has all these parts, else what is missing.
std::string lacks(const std::string& message, const std::vector<std::string>& parts) {
    for (const std::string& part : parts)
        if (message.find(part) == std::string::npos)
            return "no \"" + part + "\" in \"" + message + "\"";
    return {};
}

Ids ids_of(const std::vector<Match>& matches) {
    Ids ids;
    for (const Match& m : matches)
        ids.push_back(m.id);
    return ids;
}

Vector random_vector(std::mt19937& random, std::size_t dimension) {
    std::normal_distribution<float> normal;
    Vector v(dimension);
    for (float& x : v)
        x = normal(random);
    return v;
}

bool same_bits(float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}
bool same_bits(const Vector& a, const Vector& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) { return same_bits(x, y); });
}
/// Equal, score by score in all bits, id by id.
bool same_bits(const std::vector<Match>& a, const std::vector<Match>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Match& x, const Match& y) { return x.id == y.id && same_bits(x.score, y.score); });
}

/// The naive index: a sorted map and double precision.
struct Oracle {
    struct Score {
        double value;
        double tolerance;
    };
    static Score score(const Vector& a, std::span<const float> b, Metric metric) {
        double dot = 0, terms = 0, distance = 0, aa = 0, bb = 0;
        for (std::size_t i = 0; i != a.size(); ++i) {
            const double x = a[i], y = b[i];
            dot += x * y;
            terms += std::abs(x * y);
            distance += (x - y) * (x - y);
            aa += x * x;
            bb += y * y;
        }
        switch (metric) {
        case Metric::squared_euclidean:
            return {distance, 1e-6 * (distance + 1e-30)};
        case Metric::inner_product:
            return {dot, 1e-6 * (terms + 1e-30)};
        case Metric::cosine:
            break;
        }
        return {dot / std::sqrt(aa * bb), 2e-6};
    }

    /// Why `matches` is not the answer to this query; empty if it is one.
    [[nodiscard]] std::string objection(const std::vector<Match>& matches, std::span<const float> query, std::size_t k,
                                        Metric metric, const IdPredicate& allowed = {}) const {
        std::size_t candidates = 0;
        for (const auto& [id, vector] : vectors)
            candidates += !allowed || allowed(id);
        if (matches.size() != std::min(k, candidates))
            return "wrong number of matches";
        const double sign = metric == Metric::squared_euclidean ? -1 : 1; // higher is better from here on
        std::set<std::string> answered;
        for (std::size_t i = 0; i != matches.size(); ++i) {
            const auto there = vectors.find(matches[i].id);
            if (there == vectors.end() || (allowed && !allowed(matches[i].id)))
                return "answered an id that is not there: " + matches[i].id;
            if (!answered.insert(matches[i].id).second)
                return "answered twice: " + matches[i].id;
            const Score expected = score(there->second, query, metric);
            if (std::abs(expected.value - matches[i].score) > expected.tolerance)
                return "wrong score for " + matches[i].id;
            if (i == 0)
                continue;
            const double before = sign * matches[i - 1].score, now = sign * matches[i].score;
            if (before < now || (matches[i - 1].score == matches[i].score && matches[i - 1].id >= matches[i].id))
                return "wrong order at " + matches[i].id;
        }
        if (matches.empty())
            return {};
        const double worst = sign * matches.back().score;
        for (const auto& [id, vector] : vectors) {
            if (answered.contains(id) || (allowed && !allowed(id)))
                continue;
            const Score missed = score(vector, query, metric);
            if (sign * missed.value - 2 * missed.tolerance > worst)
                return "missed " + id;
        }
        return {};
    }

    std::map<std::string, Vector, std::less<>> vectors;
};
} // namespace

TEMPLATE_TEST_CASE("an empty id is refused by add and is not there for everything else", "[contract]", EVERY_INDEX) {
    TestType index(options_of(2));
    CHECK(lacks(refusal([&] { index.add_vector("", Vector{1, 2}); }), {"id", "\"\""}) == "");
    CHECK(index.empty());
    CHECK_FALSE(index.contains(""));
    CHECK_FALSE(index.get_vector("").has_value());
    CHECK_FALSE(index.remove_vector(""));
    CHECK_FALSE(index.access(""));
    CHECK_FALSE(index.access_stats("").has_value());
    CHECK_FALSE(index.promote(""));
    CHECK_FALSE(index.demote(""));
}

TEMPLATE_TEST_CASE("empty vectors and wrong dimensions are refused with both sizes named", "[contract]", EVERY_INDEX) {
    TestType index(options_of(3));
    index.add_vector("a", Vector{1, 2, 3});
    const Vector none, two(2, 1.0F), seventeen(17, 1.0F);
    CHECK(lacks(refusal([&] { index.add_vector("a", none); }), {"vector is empty", "3"}) == "");
    CHECK(lacks(refusal([&] { (void)index.search(none, 1); }), {"query is empty", "3"}) == "");
    CHECK(lacks(refusal([&] { index.add_vector("a", seventeen); }), {"vector", "17", "3"}) == "");
    CHECK(lacks(refusal([&] { index.add_vector("b", two); }), {"vector", "2", "3"}) == "");
    CHECK(lacks(refusal([&] { (void)index.search(seventeen, 1); }), {"query", "17", "3"}) == "");
    CHECK(lacks(refusal([&] { (void)index.search(seventeen, 0); }), {"query", "17", "3"}) == "");
    CHECK(lacks(refusal([&] { (void)index.search(two, 1, [](std::string_view) { return true; }); }), {"2", "3"}) == "");
    CHECK(lacks(refusal([&] { (void)index.search_batch(seventeen, 1); }), {"batch", "17", "3"}) == "");
    CHECK(index.size() == 1);
    CHECK(index.get_vector("a") == Vector{1, 2, 3});
    CHECK_FALSE(index.contains("b"));
}

TEMPLATE_TEST_CASE("NaN and infinity are refused with value and position", "[contract]", EVERY_INDEX) {
    for (const Metric metric : metrics) {
        TestType index(options_of(4, metric));
        index.add_vector("a", Vector{1, 2, 3, 4});
        for (const float bad : {not_a_number, infinity, -infinity})
            for (std::size_t at = 0; at != 4; ++at) {
                Vector v{1, 2, 3, 4};
                v[at] = bad;
                Vector batch{1, 2, 3, 4};
                batch.insert(batch.end(), v.begin(), v.end());
                const std::string value = std::isnan(bad) ? "nan" : bad > 0 ? "inf" : "-inf";
                const std::string position = numbered("position ", at);
                CHECK(lacks(refusal([&] { index.add_vector("a", v); }), {"vector", value, position}) == "");
                CHECK(lacks(refusal([&] { index.add_vector("b", v); }), {"vector", value, position}) == "");
                CHECK(lacks(refusal([&] { (void)index.search(v, 1); }), {"query", value, position}) == "");
                CHECK(lacks(refusal([&] { (void)index.search_batch(batch, 1); }), {"query 1", value, position}) == "");
            }
        CHECK(index.size() == 1);
        CHECK(index.get_vector("a") == Vector{1, 2, 3, 4});
    }
}

TEMPLATE_TEST_CASE("a vector without direction is refused under cosine and welcome elsewhere", "[contract]",
                   EVERY_INDEX) {
    const Vector zero(3, 0.0F);
    for (const Metric metric : metrics) {
        TestType index(options_of(3, metric));
        index.add_vector("a", Vector{1, 2, 2});
        if (metric != Metric::cosine) {
            CHECK(index.add_vector("zero", zero) == AddOutcome::inserted);
            CHECK(index.search(zero, 2).size() == 2);
            CHECK(index.search_batch(zero, 2).at(0).size() == 2);
            continue;
        }
        CHECK(lacks(refusal([&] { index.add_vector("zero", zero); }), {"vector", "norm 0"}) == "");
        CHECK(lacks(refusal([&] { (void)index.search(zero, 1); }), {"query", "norm 0"}) == "");
        CHECK(lacks(refusal([&] { (void)index.search_batch(zero, 1); }), {"query 0", "norm 0"}) == "");
        // Too short and too long for float arithmetic are refused as well.
        CHECK(lacks(refusal([&] { index.add_vector("short", Vector{1e-16F, 0, 0}); }), {"norm"}) == "");
        CHECK(lacks(refusal([&] { index.add_vector("long", Vector{1e20F, 0, 0}); }), {"norm inf"}) == "");
        CHECK(index.add_vector("near", Vector{1.1e-15F, 0, 0}) == AddOutcome::inserted);
        CHECK(lacks(refusal([&] { index.add_vector("long", Vector{1.1e19F, 0, 0}); }), {"norm 1.2", "at most 1e+38"}) ==
              "");
        CHECK(index.add_vector("far", Vector{0.9e19F, 0, 0}) == AddOutcome::inserted);
        CHECK(std::abs(index.search(Vector{1, 0, 0}, 2).at(1).score - 1.0F) < 1e-6F);
        CHECK(index.size() == 3);
    }
}

TEMPLATE_TEST_CASE("impossible options are refused with their value", "[contract]", EVERY_INDEX) {
    const auto complaint = [](const IndexOptions& options) { return refusal([&] { TestType index(options); }); };
    CHECK(lacks(complaint(options_of(0)), {"dimension is 0", std::to_string(max_dimension)}) == "");
    CHECK(lacks(complaint(options_of(max_dimension + 1)), {std::to_string(max_dimension + 1)}) == "");
    CHECK(complaint(options_of(max_dimension)).empty());
    const auto with = [&](std::chrono::milliseconds TierThresholds::* member, std::chrono::milliseconds value) {
        IndexOptions options = options_of(1);
        options.tiers.*member = value;
        return complaint(options);
    };
    CHECK(lacks(with(&TierThresholds::hot_within, -7ms), {"-7"}) == "");
    CHECK(lacks(with(&TierThresholds::cold_after, -8ms), {"-8"}) == "");
    CHECK(lacks(with(&TierThresholds::manage_every, -9ms), {"-9"}) == "");
    CHECK(lacks(with(&TierThresholds::hot_within, 600'001ms), {"600001", "600000"}) == "");
    CHECK(with(&TierThresholds::hot_within, 600'000ms).empty());
}

TEMPLATE_TEST_CASE("options come back as they were given", "[contract]", EVERY_INDEX) {
    IndexOptions options = options_of(5, Metric::inner_product, Tracking::sampled);
    options.expected_vectors = 77;
    options.stats = false;
    const TestType index(options);
    CHECK(index.options().dimension == 5);
    CHECK(index.options().metric == Metric::inner_product);
    CHECK(index.options().tracking == Tracking::sampled);
    CHECK(index.options().expected_vectors == 77);
    CHECK_FALSE(index.options().stats);
}

TEMPLATE_TEST_CASE("every metric scores as its definition says, best first", "[contract]", EVERY_INDEX) {
    const auto matches = [](Metric metric) {
        TestType index(options_of(2, metric));
        index.add_vector("a", Vector{3, 4});
        index.add_vector("b", Vector{1, 0});
        index.add_vector("c", Vector{-2, 0});
        return index.search(Vector{2, 0}, 3);
    };
    const auto cosine = matches(Metric::cosine);
    REQUIRE(ids_of(cosine) == Ids{"b", "a", "c"});
    CHECK(std::abs(cosine[0].score - 1.0F) < 1e-6F);
    CHECK(std::abs(cosine[1].score - 0.6F) < 1e-6F);
    CHECK(std::abs(cosine[2].score + 1.0F) < 1e-6F);
    CHECK(matches(Metric::inner_product) == std::vector<Match>{{"a", 6}, {"b", 2}, {"c", -4}});
    CHECK(matches(Metric::squared_euclidean) == std::vector<Match>{{"b", 1}, {"c", 16}, {"a", 17}});
}

TEMPLATE_TEST_CASE("adding says whether it inserted or replaced", "[contract]", EVERY_INDEX) {
    TestType index(options_of(2, Metric::inner_product));
    CHECK(index.empty());
    CHECK(index.add_vector("a", Vector{1, 0}) == AddOutcome::inserted);
    CHECK(index.add_vector("a", Vector{5, 0}) == AddOutcome::replaced);
    CHECK(index.add_vector("a", Vector{5, 0}) == AddOutcome::replaced);
    CHECK(index.size() == 1);
    CHECK(index.get_vector("a") == Vector{5, 0});
    CHECK(index.search(Vector{1, 1}, 5) == std::vector<Match>{{"a", 5}});
    CHECK(index.remove_vector("a"));
    CHECK_FALSE(index.remove_vector("a"));
    CHECK_FALSE(index.contains("a"));
    CHECK(index.search(Vector{1, 1}, 5).empty());
    CHECK(index.add_vector("a", Vector{2, 2}) == AddOutcome::inserted);
    CHECK(index.get_vector("a") == Vector{2, 2});
    CHECK_FALSE(index.empty());
}

TEMPLATE_TEST_CASE("what is not there is answered, not thrown", "[contract]", EVERY_INDEX) {
    TestType index(options_of(2));
    for (const bool with_others : {false, true}) {
        if (with_others)
            index.add_vector("somebody", Vector{1, 1});
        CHECK_FALSE(index.contains("nobody"));
        CHECK_FALSE(index.get_vector("nobody").has_value());
        CHECK_FALSE(index.remove_vector("nobody"));
        CHECK_FALSE(index.access("nobody"));
        CHECK_FALSE(index.access_stats("nobody").has_value());
        CHECK_FALSE(index.promote("nobody"));
        CHECK_FALSE(index.demote("nobody"));
    }
}

TEMPLATE_TEST_CASE("an empty index answers with nothing", "[contract]", EVERY_INDEX) {
    const TestType index(options_of(2));
    CHECK(index.search(Vector{1, 1}, 3).empty());
    CHECK(index.search(Vector{1, 1}, all_of_them, [](std::string_view) { return true; }).empty());
    CHECK(index.search_batch(Vector{1, 1, 2, 2}, 3) == std::vector<std::vector<Match>>(2));
    CHECK(index.manage_tiers() == 0);
    CHECK(index.size() == 0);
}

TEMPLATE_TEST_CASE("equal scores are ordered by ascending id", "[contract]", EVERY_INDEX) {
    for (const Metric metric : metrics) {
        TestType index(options_of(3, metric));
        Ids ids;
        for (int i = 0; i != 200; ++i)
            ids.push_back(numbered("id-", i * 7919 % 200));
        for (const std::string& id : ids)
            index.add_vector(id, Vector{1, 2, 2});
        std::sort(ids.begin(), ids.end());
        for (const std::size_t k : {1u, 2u, 47u, 48u, 49u, 100u, 199u, 200u, 300u}) {
            const Ids best(ids.begin(),
                           ids.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(k, ids.size())));
            CHECK(ids_of(index.search(Vector{2, 1, 2}, k)) == best);
            CHECK(ids_of(index.search_batch(Vector{2, 1, 2}, k).at(0)) == best);
        }
    }
}

TEMPLATE_TEST_CASE("get returns exactly what was added", "[contract]", EVERY_INDEX) {
    std::mt19937 random(1);
    for (const Metric metric : metrics)
        for (const std::size_t dimension : {1u, 2u, 15u, 16u, 17u, 100u, 784u}) {
            TestType index(options_of(dimension, metric));
            std::map<std::string, Vector> added;
            for (int i = 0; i != 20; ++i) {
                Vector v = random_vector(random, dimension);
                v[0] = i % 2 == 0 ? v[0] * 1e9F : v[0] + 1e-3F;
                if (dimension > 1)
                    v[1] = i % 3 == 0 ? -0.0F : std::numeric_limits<float>::denorm_min(); // kept, bit for bit
                const std::string id = numbered("v", i);
                index.add_vector(id, v);
                added[id] = v;
            }
            for (const auto& [id, v] : added)
                CHECK(same_bits(index.get_vector(id).value(), v));
        }
}

TEMPLATE_TEST_CASE("a predicate decides which ids are answered", "[contract]", EVERY_INDEX) {
    TestType index(options_of(1, Metric::inner_product));
    for (int i = 0; i != 300; ++i)
        index.add_vector(std::to_string(i), Vector{static_cast<float>(i)});
    const auto even = [](std::string_view id) { return (id.back() - '0') % 2 == 0; };
    CHECK(ids_of(index.search(Vector{1}, 3, even)) == Ids{"298", "296", "294"});
    CHECK(index.search(Vector{1}, 1000, even).size() == 150);
    CHECK(index.search(Vector{1}, 3, [](std::string_view) { return false; }).empty());
    CHECK(index.search(Vector{1}, 3, [](std::string_view) { return true; }) == index.search(Vector{1}, 3));
    CHECK(ids_of(index.search(Vector{1}, 2, [](std::string_view id) { return id == "7"; })) == Ids{"7"});
    CHECK(index.search(Vector{1}, 0, even).empty());
    std::map<std::string, int> asked;
    (void)index.search(Vector{1}, 300, [&](std::string_view id) {
        ++asked[std::string(id)];
        return true;
    });
    CHECK(asked.size() == 300);
    CHECK(std::all_of(asked.begin(), asked.end(), [](const auto& a) { return a.second == 1; }));
}

TEMPLATE_TEST_CASE("a predicate that throws leaves the index as it was, and usable", "[contract]", EVERY_INDEX) {
    TestType index(options_of(1, Metric::inner_product, Tracking::exact));
    for (int i = 0; i != 100; ++i)
        index.add_vector(std::to_string(i), Vector{static_cast<float>(i)});
    for (const int survive : {0, 1, 50, 99}) {
        int calls = 0;
        const IdPredicate throwing = [&](std::string_view) {
            if (calls++ == survive)
                throw std::runtime_error("refused");
            return true;
        };
        CHECK_THROWS_AS((void)index.search(Vector{1}, 100, throwing), std::runtime_error);
    }
    CHECK(index.get_stats().queries == 0);
    CHECK(index.access_stats("99").value().count == 0);
    CHECK(ids_of(index.search(Vector{1}, 2)) == Ids{"99", "98"});
    CHECK(index.add_vector("99", Vector{-1}) == AddOutcome::replaced);
    CHECK(index.remove_vector("98"));
    std::thread([&] { index.add_vector("200", Vector{200}); }).join(); // no lock was left behind
    CHECK(ids_of(index.search(Vector{1}, 2)) == Ids{"200", "97"});
}

TEMPLATE_TEST_CASE("k goes from zero to more than there are", "[contract]", EVERY_INDEX) {
    TestType index(options_of(1, Metric::squared_euclidean));
    for (int i = 0; i != 60; ++i)
        index.add_vector(numbered("n", 100 + i), Vector{static_cast<float>(i)});
    CHECK(index.search(Vector{0}, 0).empty());
    CHECK(index.search_batch(Vector{0, 1}, 0) == std::vector<std::vector<Match>>(2));
    const auto all = index.search(Vector{0}, 60);
    REQUIRE(all.size() == 60);
    for (std::size_t i = 0; i != 60; ++i)
        CHECK(all[i] == Match{numbered("n", 100 + i), static_cast<float>(i * i)});
    CHECK(index.search(Vector{0}, 61) == all);
    CHECK(index.search(Vector{0}, all_of_them) == all);
    CHECK(index.search_batch(Vector{0}, all_of_them).at(0) == all);
    for (std::ptrdiff_t k = 1; k != 60; ++k)
        CHECK(index.search(Vector{0}, static_cast<std::size_t>(k)) == std::vector<Match>(all.begin(), all.begin() + k));
}

TEMPLATE_TEST_CASE("vectors of one float and of 1,536 floats are vectors like any other", "[contract]", EVERY_INDEX) {
    std::mt19937 random(2);
    for (const Metric metric : metrics)
        for (const std::size_t dimension : {1u, 1536u}) {
            TestType index(options_of(dimension, metric));
            Oracle oracle;
            for (int i = 0; i != 100; ++i) {
                const std::string id = std::to_string(i);
                oracle.vectors[id] = random_vector(random, dimension);
                index.add_vector(id, oracle.vectors[id]);
            }
            const Vector query = random_vector(random, dimension);
            CHECK(oracle.objection(index.search(query, 10), query, 10, metric) == "");
            CHECK(oracle.objection(index.search_batch(query, 10).at(0), query, 10, metric) == "");
            for (const auto& [id, vector] : oracle.vectors)
                CHECK(same_bits(index.get_vector(id).value(), vector));
        }
}

TEMPLATE_TEST_CASE("a batch answers what single searches answer, bit for bit", "[contract]", EVERY_INDEX) {
    std::mt19937 random(3);
    for (const Metric metric : metrics) {
        TestType index(options_of(33, metric));
        for (int i = 0; i != 500; ++i)
            index.add_vector(std::to_string(i), random_vector(random, 33));
        CHECK(index.search_batch(Vector{}, 5).empty());
        for (const std::size_t queries : {1u, 2u, 15u, 16u, 17u, 40u}) { // around the kernels' group size
            const Vector batch = random_vector(random, 33 * queries);
            for (const std::size_t k : {1u, 10u, 60u}) {
                const auto answers = index.search_batch(batch, k);
                REQUIRE(answers.size() == queries);
                for (std::size_t q = 0; q != queries; ++q)
                    CHECK(same_bits(answers[q], index.search(std::span(batch).subspan(q * 33, 33), k)));
            }
        }
        CHECK(index.search_batch(Vector{}, 5).empty());
    }
}

TEMPLATE_TEST_CASE("statistics count what was answered, and reset begins anew", "[contract]", EVERY_INDEX) {
    TestType index(options_of(2));
    CHECK(index.get_stats().vectors == 0);
    CHECK(index.get_stats().queries == 0);
    for (int i = 0; i != 100; ++i)
        index.add_vector(std::to_string(i), Vector{1, static_cast<float>(i)});
    (void)index.search(Vector{1, 1}, 3);
    (void)index.search(Vector{1, 1}, 3, [](std::string_view) { return true; });
    (void)index.search_batch(Vector{1, 1, 2, 2, 3, 1}, 3);
    IndexStats stats = index.get_stats();
    CHECK(stats.vectors == 100);
    CHECK(stats.queries == 5);
    CHECK(stats.similarity_computations == 500);
    CHECK(stats.query_time.count() > 0);
    CHECK(stats.promotions == 0);
    CHECK(stats.demotions == 0);
    (void)index.search_batch(Vector{}, 3);
    (void)refusal([&] { (void)index.search(Vector{1}, 3); });
    CHECK(index.get_stats().queries == 5);
    CHECK(index.promote("1"));
    CHECK(index.demote("2"));
    index.reset_stats();
    stats = index.get_stats();
    CHECK(stats.vectors == 100); // a state, not a total
    CHECK(stats.queries == 0);
    CHECK(stats.similarity_computations == 0);
    CHECK(stats.query_time.count() == 0);
    CHECK(stats.promotions == 0);
    CHECK(stats.demotions == 0);
    index.remove_vector("1");
    (void)index.search(Vector{1, 1}, 3);
    stats = index.get_stats();
    CHECK(stats.vectors == 99);
    CHECK(stats.queries == 1);
    CHECK(stats.similarity_computations == 99);
}

TEMPLATE_TEST_CASE("statistics switched off count no query", "[contract]", EVERY_INDEX) {
    IndexOptions options = options_of(2);
    options.stats = false;
    TestType index(options);
    index.add_vector("a", Vector{1, 1});
    (void)index.search(Vector{1, 1}, 3);
    (void)index.search_batch(Vector{1, 1}, 3);
    CHECK(index.get_stats().queries == 0);
    CHECK(index.get_stats().similarity_computations == 0);
    CHECK(index.get_stats().query_time.count() == 0);
    CHECK(index.get_stats().vectors == 1);
}

TEMPLATE_TEST_CASE("tracking switched off counts no access", "[contract]", EVERY_INDEX) {
    TestType index(options_of(1, Metric::inner_product, Tracking::off));
    index.add_vector("a", Vector{1});
    CHECK(index.access("a"));
    CHECK(index.get_vector("a").has_value());
    CHECK(index.search(Vector{1}, 1).size() == 1);
    const AccessStats stats = index.access_stats("a").value();
    CHECK(stats.count == 0);
    CHECK_FALSE(stats.last.has_value());
    CHECK(stats.tier == Tier::warm);
}

TEMPLATE_TEST_CASE("exact tracking counts every result, get and access, and nothing else", "[contract]", EVERY_INDEX) {
    const auto before = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    TestType index(options_of(1, Metric::inner_product, Tracking::exact));
    for (int i = 0; i != 10; ++i)
        index.add_vector(std::to_string(i), Vector{static_cast<float>(i)});
    const auto count = [&](const char* id) { return index.access_stats(id).value().count; };
    CHECK_FALSE(index.access_stats("9").value().last.has_value());
    (void)index.search(Vector{1}, 2);              // 9 and 8
    (void)index.search_batch(Vector{1, 1, -1}, 1); // 9, 9, 0
    (void)index.search(Vector{1}, 1, [](std::string_view id) { return id == "5"; });
    (void)index.get_vector("7");
    CHECK(index.access("7"));
    CHECK(index.contains("7"));
    CHECK(index.promote("6"));
    CHECK(count("9") == 3);
    CHECK(count("8") == 1);
    CHECK(count("7") == 2);
    CHECK(count("6") == 0);
    CHECK(count("5") == 1);
    CHECK(count("0") == 1);
    CHECK(count("1") == 0);
    const AccessStats stats = index.access_stats("7").value();
    CHECK(stats.created >= before);
    CHECK(stats.last.value() >= stats.created);
    CHECK(stats.last.value() <= std::chrono::system_clock::now());

    index.add_vector("7", Vector{-5}); // the record survives replacement ...
    CHECK(count("7") == 2);
    CHECK(index.access_stats("7").value().created == stats.created);
    CHECK(index.promote("7"));
    CHECK(index.remove_vector("7")); // ... and ends with removal
    CHECK_FALSE(index.access_stats("7").has_value());
    index.add_vector("7", Vector{-5});
    CHECK(count("7") == 0);
    CHECK_FALSE(index.access_stats("7").value().last.has_value());
    CHECK(index.access_stats("7").value().tier == Tier::warm);
}

TEMPLATE_TEST_CASE("sampled tracking estimates without bias", "[contract]", EVERY_INDEX) {
    TestType index(options_of(1, Metric::inner_product, Tracking::sampled));
    index.add_vector("a", Vector{1});
    constexpr std::uint64_t accesses = 32'000;
    for (std::uint64_t i = 0; i != accesses; ++i)
        (void)index.access("a");
    const std::uint64_t count = index.access_stats("a").value().count;
    CHECK(count % DefaultTraits::tracking_sample_period == 0);
    CHECK(count > accesses * 8 / 10); // more than eight standard deviations either way
    CHECK(count < accesses * 12 / 10);
    CHECK(index.access_stats("a").value().last.has_value());
}

TEMPLATE_TEST_CASE("tiers move one step by hand and stop at both ends", "[contract]", EVERY_INDEX) {
    for (const Tracking tracking : {Tracking::off, Tracking::exact}) {
        TestType index(options_of(1, Metric::inner_product, tracking));
        index.add_vector("a", Vector{1});
        index.add_vector("b", Vector{1});
        const auto tier = [&](const char* id) { return index.access_stats(id).value().tier; };
        CHECK(tier("a") == Tier::warm);
        CHECK(index.promote("a"));
        CHECK(tier("a") == Tier::hot);
        CHECK_FALSE(index.promote("a"));
        CHECK(tier("a") == Tier::hot);
        CHECK(index.demote("a"));
        CHECK(index.demote("a"));
        CHECK(tier("a") == Tier::cold);
        CHECK_FALSE(index.demote("a"));
        CHECK(tier("a") == Tier::cold);
        CHECK(tier("b") == Tier::warm);
        CHECK(index.get_stats().promotions == 1);
        CHECK(index.get_stats().demotions == 2);
        CHECK(index.add_vector("a", Vector{2}) == AddOutcome::replaced);
        CHECK(tier("a") == Tier::cold);
    }
}

TEMPLATE_TEST_CASE("managing tiers makes the often used hot and gives the others their due", "[contract]",
                   EVERY_INDEX) {
    IndexOptions options = options_of(1, Metric::inner_product, Tracking::exact);
    options.tiers.hot_accesses = 3;
    TestType index(options);
    for (int i = 0; i != 300; ++i)
        index.add_vector(std::to_string(i), Vector{static_cast<float>(i)});
    const auto tier = [&](int i) { return index.access_stats(std::to_string(i)).value().tier; };
    for (int i = 0; i != 300; ++i)
        for (int a = 0; a != i % 5; ++a)
            CHECK(index.access(std::to_string(i)));
    CHECK(index.manage_tiers() == 120); // those with three or four accesses
    CHECK(index.get_stats().promotions == 120);
    for (int i = 0; i != 300; ++i)
        CHECK(tier(i) == (i % 5 >= 3 ? Tier::hot : Tier::warm));
    CHECK(index.manage_tiers() == 0);
    CHECK(index.promote("0")); // not deserved: goes back
    CHECK(index.demote("1"));  // not deserved either
    CHECK(index.demote("4"));
    CHECK(index.manage_tiers() == 3);
    CHECK(tier(0) == Tier::warm);
    CHECK(tier(1) == Tier::warm);
    CHECK(tier(4) == Tier::hot);
    CHECK(index.get_stats().promotions == 120 + 1 + 2);
    CHECK(index.get_stats().demotions == 2 + 1);
    CHECK(index.remove_vector("3"));
    CHECK(index.manage_tiers() == 0);
}

TEMPLATE_TEST_CASE("what nobody uses becomes cold", "[contract]", EVERY_INDEX) {
    IndexOptions options = options_of(1, Metric::inner_product, Tracking::exact);
    options.tiers.hot_accesses = 1;
    options.tiers.hot_within = 0ms;
    options.tiers.cold_after = 1ms;
    TestType index(options);
    index.add_vector("used once", Vector{1});
    index.add_vector("never used", Vector{1});
    CHECK(index.access("used once"));
    std::this_thread::sleep_for(10ms);
    CHECK(index.manage_tiers() == 2);
    CHECK(index.access_stats("used once").value().tier == Tier::cold);
    CHECK(index.access_stats("never used").value().tier == Tier::cold);
    CHECK(index.get_stats().demotions == 2);
    CHECK(index.manage_tiers() == 0);
}

TEMPLATE_TEST_CASE("tiers are managed automatically in the course of operations", "[contract]", EVERY_INDEX) {
    IndexOptions options = options_of(1, Metric::inner_product, Tracking::exact);
    options.tiers.hot_accesses = 10;
    options.tiers.manage_every = 1ms;
    TestType index(options);
    for (int i = 0; i != 1000; ++i)
        index.add_vector(std::to_string(i), Vector{static_cast<float>(i)});
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (index.access_stats("999").value().tier != Tier::hot && std::chrono::steady_clock::now() < until)
        (void)index.search(Vector{1}, 1);
    CHECK(index.access_stats("999").value().tier == Tier::hot);
    CHECK(index.access_stats("5").value().tier == Tier::warm);
    CHECK(index.get_stats().promotions == 1);
}

TEMPLATE_TEST_CASE("ids of any length and any bytes are told apart", "[contract]", EVERY_INDEX) {
    TestType index(options_of(1, Metric::inner_product));
    Ids ids;
    for (const std::size_t length : {1u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 64u, 1000u, 70'000u})
        for (const char last : {'a', 'b', '\0', '\x7f'})
            ids.push_back(std::string(length - 1, 'x') + last);
    for (std::size_t i = 0; i != ids.size(); ++i)
        CHECK(index.add_vector(ids[i], Vector{static_cast<float>(i)}) == AddOutcome::inserted);
    CHECK(index.size() == ids.size());
    for (std::size_t i = 0; i != ids.size(); ++i) {
        CHECK(index.get_vector(ids[i]) == Vector{static_cast<float>(i)});
        const auto found = index.search(Vector{1}, 1, [&](std::string_view id) { return id == ids[i]; });
        CHECK((found.size() == 1 && found[0].id == ids[i]));
    }
    for (std::size_t i = 0; i != ids.size(); i += 2)
        CHECK(index.remove_vector(ids[i]));
    for (std::size_t i = 0; i != ids.size(); ++i)
        CHECK(index.contains(ids[i]) == (i % 2 == 1));
}

TEMPLATE_TEST_CASE("the index keeps its own copy of id and vector", "[contract]", EVERY_INDEX) {
    TestType index(options_of(2, Metric::inner_product));
    std::string id = "an id of more than fifteen characters";
    const std::string original = id;
    Vector v{1, 2};
    index.add_vector(id, v);
    id.assign(id.size(), '?');
    v.assign(2, 9.0F);
    CHECK(index.get_vector(original) == Vector{1, 2});
    CHECK(index.search(Vector{1, 1}, 1) == std::vector<Match>{{original, 3}});
    CHECK_FALSE(index.contains(id));
}

TEMPLATE_TEST_CASE("removal of first, middle and last vectors leaves the others as they are", "[contract]",
                   EVERY_INDEX) {
    constexpr int n = 130; // more than two blocks of rows
    for (const int victim : {0, 1, 63, 64, 65, 127, 128, 129}) {
        TestType index(options_of(3, Metric::inner_product));
        Oracle oracle;
        for (int i = 0; i != n; ++i) {
            const Vector v{static_cast<float>(i), 1, static_cast<float>(i % 7)};
            oracle.vectors[std::to_string(i)] = v;
            index.add_vector(std::to_string(i), v);
        }
        CHECK(index.remove_vector(std::to_string(victim)));
        oracle.vectors.erase(std::to_string(victim));
        CHECK(index.size() == n - 1);
        const auto check = [&] {
            for (int i = 0; i != n; ++i) {
                const auto there = oracle.vectors.find(std::to_string(i));
                CHECK(index.contains(std::to_string(i)) == (there != oracle.vectors.end()));
                if (there != oracle.vectors.end())
                    CHECK(index.get_vector(there->first) == there->second);
            }
            const Vector query{1, 1, 1};
            CHECK(oracle.objection(index.search(query, all_of_them), query, all_of_them, Metric::inner_product) == "");
        };
        check();
        // The one that may have moved can still be replaced and removed.
        const std::string last = std::to_string(victim == n - 1 ? n - 2 : n - 1);
        oracle.vectors[last] = Vector{7, 7, 7};
        CHECK(index.add_vector(last, oracle.vectors[last]) == AddOutcome::replaced);
        check();
        oracle.vectors.erase(last);
        CHECK(index.remove_vector(last));
        check();
    }
}

TEMPLATE_TEST_CASE("ten thousand vectors come, are found and go", "[contract]", EVERY_INDEX) {
    constexpr int n = 10'000;
    std::mt19937 random(4);
    for (const std::size_t expected : {std::size_t{0}, std::size_t{n}}) {
        IndexOptions options = options_of(8, Metric::squared_euclidean);
        options.expected_vectors = expected;
        TestType index(options);
        Oracle oracle;
        const auto id_of = [](int i) { return numbered("vector number ", i); };
        for (int i = 0; i != n; ++i) {
            const Vector v = oracle.vectors[id_of(i)] = random_vector(random, 8);
            REQUIRE(index.add_vector(id_of(i), v) == AddOutcome::inserted);
        }
        CHECK(index.size() == n);
        for (int i = 0; i < n; i += 3) {
            REQUIRE(index.remove_vector(id_of(i)));
            oracle.vectors.erase(id_of(i));
        }
        for (int i = 1; i < n; i += 3) {
            const Vector v = oracle.vectors[id_of(i)] = random_vector(random, 8);
            REQUIRE(index.add_vector(id_of(i), v) == AddOutcome::replaced);
        }
        CHECK(index.size() == oracle.vectors.size());
        for (int q = 0; q != 5; ++q) {
            const Vector query = random_vector(random, 8);
            for (const std::size_t k : {1u, 10u, 100u})
                CHECK(oracle.objection(index.search(query, k), query, k, Metric::squared_euclidean) == "");
        }
        std::size_t wrong = 0;
        for (int i = 0; i != n; ++i) {
            const auto there = oracle.vectors.find(id_of(i));
            const auto got = index.get_vector(id_of(i));
            wrong += got.has_value() != (there != oracle.vectors.end()) || (got && !same_bits(*got, there->second));
        }
        CHECK(wrong == 0);
        for (const auto& [id, vector] : oracle.vectors)
            REQUIRE(index.remove_vector(id));
        CHECK(index.empty());
        CHECK(index.search(Vector(8, 1.0F), 10).empty());
    }
}

TEST_CASE("random operations get equal answers from all indexes, bit for bit, and right ones", "[contract]") {
    for (unsigned seed = 1; seed <= 12; ++seed) {
        std::mt19937 random(seed);
        const Metric metric = metrics[seed % 3];
        const std::size_t dimension = seed % 4 == 0 ? 1 + random() % 3 : 1 + random() % 70;
        const bool with_ties = seed % 2 == 0;
        const unsigned population = seed % 5 == 0 ? 700 : 90;
        const IndexOptions options = options_of(dimension, metric, Tracking::exact);
        HotVectorIndex<std::mutex> one(options);
        HotVectorIndex<std::shared_mutex> two(options);
        LockFreeHotVectorIndex three(options);
        Oracle oracle;
        INFO("seed " << seed << ", dimension " << dimension << ", " << name_of(metric));
        const auto some_id = [&] {
            const unsigned i = static_cast<unsigned>(random() % population);
            return numbered(i % 3 == 0 ? "an id of more than fifteen characters " : "", i);
        };
        const auto some_vector = [&] {
            if (!with_ties)
                return random_vector(random, dimension);
            Vector v(dimension);
            for (float& x : v) // few values: many equal vectors and scores
                x = static_cast<float>(random() % 3);
            v[random() % dimension] = 1;
            return v;
        };
        for (int step = 0; step != 3000; ++step) {
            const std::string id = some_id();
            const auto there = oracle.vectors.find(id);
            const bool known = there != oracle.vectors.end();
            switch (random() % 8) {
            case 0:
            case 1:
            case 2: {
                const Vector v = some_vector();
                const AddOutcome expected = known ? AddOutcome::replaced : AddOutcome::inserted;
                REQUIRE(one.add_vector(id, v) == expected);
                REQUIRE(two.add_vector(id, v) == expected);
                REQUIRE(three.add_vector(id, v) == expected);
                oracle.vectors[id] = v;
                break;
            }
            case 3:
                REQUIRE(one.remove_vector(id) == known);
                REQUIRE(two.remove_vector(id) == known);
                REQUIRE(three.remove_vector(id) == known);
                oracle.vectors.erase(id);
                break;
            case 4: {
                const std::optional<Vector> expected = known ? std::optional<Vector>(there->second) : std::nullopt;
                REQUIRE((one.get_vector(id) == expected));
                REQUIRE((two.get_vector(id) == expected));
                REQUIRE((three.get_vector(id) == expected));
                REQUIRE(one.contains(id) == known);
                REQUIRE(two.contains(id) == known);
                REQUIRE(three.contains(id) == known);
                break;
            }
            case 5: {
                const std::size_t queries = random() % 4, k = random() % 20;
                Vector batch;
                for (std::size_t q = 0; q != queries; ++q) {
                    const Vector v = some_vector();
                    batch.insert(batch.end(), v.begin(), v.end());
                }
                const auto a = one.search_batch(batch, k);
                const auto b = two.search_batch(batch, k);
                const auto c = three.search_batch(batch, k);
                REQUIRE(a.size() == queries);
                REQUIRE(b.size() == queries);
                REQUIRE(c.size() == queries);
                for (std::size_t q = 0; q != queries; ++q) {
                    REQUIRE(same_bits(a[q], b[q]));
                    REQUIRE(same_bits(a[q], c[q]));
                    REQUIRE(oracle.objection(a[q], std::span(batch).subspan(q * dimension, dimension), k, metric) ==
                            "");
                }
                break;
            }
            case 6: {
                const Vector query = some_vector();
                const std::size_t k = random() % 100;
                const IdPredicate allowed = [](std::string_view i) { return i.back() % 2 == 0; };
                const auto a = one.search(query, k, allowed);
                REQUIRE(same_bits(a, two.search(query, k, allowed)));
                REQUIRE(same_bits(a, three.search(query, k, allowed)));
                REQUIRE(oracle.objection(a, query, k, metric, allowed) == "");
                break;
            }
            default: {
                const Vector query = some_vector();
                const std::size_t k = random() % 10 == 0 ? all_of_them : random() % 100;
                const auto a = one.search(query, k);
                REQUIRE(same_bits(a, two.search(query, k)));
                REQUIRE(same_bits(a, three.search(query, k)));
                REQUIRE(oracle.objection(a, query, k, metric) == "");
            }
            }
            REQUIRE(one.size() == oracle.vectors.size());
            REQUIRE(two.size() == oracle.vectors.size());
            REQUIRE(three.size() == oracle.vectors.size());
        }
        for (const auto& [id, vector] : oracle.vectors) {
            const std::uint64_t count = one.access_stats(id).value().count;
            REQUIRE(two.access_stats(id).value().count == count);
            REQUIRE(three.access_stats(id).value().count == count);
        }
        const IndexStats a = one.get_stats(), b = two.get_stats(), c = three.get_stats();
        CHECK(a.queries == b.queries);
        CHECK(a.queries == c.queries);
        CHECK(a.similarity_computations == b.similarity_computations);
        CHECK(a.similarity_computations == c.similarity_computations);
        CHECK(three.drain());
    }
}
