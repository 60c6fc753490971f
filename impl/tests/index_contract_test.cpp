// The contract of VectorIndex, line by line, for every index.
#include "catch.hpp"

#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {
using namespace hotindex;
using MutexIndex = HotVectorIndex<std::mutex>;
using RwLockIndex = HotVectorIndex<std::shared_mutex>;
using Row = std::vector<float>;

/// What an InvalidArgument says, or "" when nothing was thrown.
template <class Call>
std::string refusal(Call call) {
    try {
        call();
    } catch (const InvalidArgument& e) {
        return e.what();
    }
    return "";
}
bool says(const std::string& message, std::string_view part) {
    return message.find(part) != std::string::npos;
}
} // namespace

TEMPLATE_TEST_CASE("bad arguments are refused by name and value, and change nothing", "[contract]", MutexIndex,
                   RwLockIndex, LockFreeHotVectorIndex) {
    CHECK(says(refusal([] { TestType(IndexOptions{}); }), "dimension is 0"));
    TestType index(IndexOptions{.dimension = 3});
    index.add_vector("a", Row{1, 2, 3});
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(says(refusal([&] { index.add_vector("", Row{1, 2, 3}); }), "id is empty"));
    CHECK(says(refusal([&] { index.add_vector("a", Row{}); }), "vector is empty"));
    CHECK(says(refusal([&] { index.add_vector("a", Row{1, 2}); }), "2 floats"));
    CHECK(says(refusal([&] { index.add_vector("a", Row{1, nan, 3}); }), "nan at position 1"));
    CHECK(says(refusal([&] { index.add_vector("a", Row{1, 2, infinity}); }), "inf at position 2"));
    CHECK(says(refusal([&] { index.add_vector("a", Row{0, 0, 0}); }), "squared norm 0"));
    CHECK(says(refusal([&] { (void)index.search(Row{}, 1); }), "query is empty"));
    CHECK(says(refusal([&] { (void)index.search(Row{1, 2, 3, 4}, 1); }), "4 floats"));
    CHECK(says(refusal([&] { (void)index.search(Row{0, 0, 0}, 1); }), "squared norm 0"));
    CHECK(says(refusal([&] { (void)index.search_batch(Row{1, 2, 3, 4}, 1); }), "multiple of the dimension 3"));
    CHECK(says(refusal([&] { (void)index.search_batch(Row{1, 2, 3, 0, 0, 0}, 1); }), "query 1 of the batch"));
    CHECK(index.size() == 1);
    CHECK(index.get_vector("a") == Row{1, 2, 3});
    CHECK_FALSE(index.contains(""));
    CHECK_FALSE(index.remove_vector(""));
    CHECK_FALSE(index.access(""));
    CHECK_FALSE(index.get_vector("").has_value());
    CHECK_FALSE(index.access_stats("b").has_value());
}

TEMPLATE_TEST_CASE("results are the k best, best first, ties by id", "[contract]", MutexIndex, RwLockIndex,
                   LockFreeHotVectorIndex) {
    TestType index(IndexOptions{.dimension = 1, .metric = Metric::squared_euclidean});
    CHECK(index.empty());
    CHECK(index.search(Row{0}, 5).empty());
    for (const char* id : {"c", "a", "b"})
        CHECK(index.add_vector(id, Row{1}) == AddOutcome::inserted);
    CHECK(index.add_vector("d", Row{5}) == AddOutcome::inserted);
    CHECK(index.add_vector("d", Row{2}) == AddOutcome::replaced);
    CHECK(index.search(Row{0}, 0).empty());
    CHECK(index.search(Row{0}, 2) == std::vector<Match>{{"a", 1}, {"b", 1}});
    CHECK(index.search(Row{0}, 100) == std::vector<Match>{{"a", 1}, {"b", 1}, {"c", 1}, {"d", 4}});
    const auto allowed = [](std::string_view id) { return id > "a"; };
    CHECK(index.search(Row{0}, 2, allowed) == std::vector<Match>{{"b", 1}, {"c", 1}});
    CHECK_THROWS_AS(index.search(Row{0}, 2, [](std::string_view) -> bool { throw std::runtime_error("no"); }),
                    std::runtime_error);
    CHECK(index.remove_vector("b"));
    CHECK_FALSE(index.remove_vector("b"));
    CHECK(index.search(Row{0}, 2) == std::vector<Match>{{"a", 1}, {"c", 1}});
    CHECK(index.search_batch(Row{}, 3).empty());
    CHECK(index.search_batch(Row{0, 2}, 1) == std::vector<std::vector<Match>>{{{"a", 1}}, {{"d", 0}}});
}

TEMPLATE_TEST_CASE("statistics, accesses and tiers are counted", "[contract]", MutexIndex, RwLockIndex,
                   LockFreeHotVectorIndex) {
    TestType index(IndexOptions{.dimension = 1,
                                .metric = Metric::inner_product,
                                .tracking = Tracking::exact,
                                .tiers = {.hot_accesses = 3, .manage_every = {}}});
    index.add_vector("a", Row{1});
    index.add_vector("b", Row{2});
    (void)index.search(Row{1}, 1);
    (void)index.search_batch(Row{1, 1}, 1);
    CHECK(index.get_stats().queries == 3);
    CHECK(index.get_stats().similarity_computations == 6);
    CHECK(index.get_stats().vectors == 2);
    CHECK(index.access_stats("b")->count == 3);
    CHECK(index.access_stats("a")->count == 0);
    CHECK_FALSE(index.access_stats("a")->last.has_value());
    CHECK(index.access("a"));
    CHECK(index.access_stats("a")->last.has_value());
    CHECK(index.manage_tiers() == 1);
    CHECK(index.access_stats("b")->tier == Tier::hot);
    CHECK_FALSE(index.promote("b"));
    CHECK(index.demote("b"));
    CHECK(index.demote("b"));
    CHECK_FALSE(index.demote("b"));
    CHECK(index.access_stats("b")->tier == Tier::cold);
    CHECK(index.get_stats().promotions == 1);
    CHECK(index.get_stats().demotions == 2);
    index.add_vector("b", Row{3});
    CHECK(index.access_stats("b")->count == 3); // survives replacement ...
    index.remove_vector("b");
    index.add_vector("b", Row{3});
    CHECK(index.access_stats("b")->count == 0); // ... but not removal
    index.reset_stats();
    CHECK(index.get_stats().queries == 0);
    CHECK(index.get_stats().vectors == 2);
}

TEST_CASE("equal states give equal answers in every index, to the last bit", "[contract]") {
    for (const Metric metric : {Metric::cosine, Metric::inner_product, Metric::squared_euclidean}) {
        constexpr std::size_t dimension = 19;
        const IndexOptions options{.dimension = dimension, .metric = metric};
        MutexIndex mutex(options);
        RwLockIndex rwlock(options);
        LockFreeHotVectorIndex lock_free(options);
        std::map<std::string, Row> oracle;
        std::mt19937 random(7);
        const auto row = [&random] {
            Row r(dimension);
            for (float& x : r)
                x = static_cast<float>(random() % 5) - 2;
            r[0] = 3;
            return r;
        };
        for (int i = 0; i != 3000; ++i) {
            const std::string id = "an-id-that-is-not-short-" + std::to_string(random() % 300);
            if (random() % 3 == 0) {
                const bool there = oracle.erase(id) == 1;
                REQUIRE(mutex.remove_vector(id) == there);
                REQUIRE(rwlock.remove_vector(id) == there);
                REQUIRE(lock_free.remove_vector(id) == there);
            } else {
                const Row r = row();
                const auto outcome =
                    oracle.insert_or_assign(id, r).second ? AddOutcome::inserted : AddOutcome::replaced;
                REQUIRE(mutex.add_vector(id, r) == outcome);
                REQUIRE(rwlock.add_vector(id, r) == outcome);
                REQUIRE(lock_free.add_vector(id, r) == outcome);
            }
            if (i % 20 == 0) {
                const Row query = row();
                const auto expected = mutex.search(query, 25);
                REQUIRE(rwlock.search(query, 25) == expected);
                REQUIRE(lock_free.search(query, 25) == expected);
                REQUIRE(lock_free.search_batch(query, 25)[0] == expected);
                REQUIRE(mutex.search_batch(query, 25)[0] == expected);
                REQUIRE(expected.size() == std::min<std::size_t>(25, oracle.size()));
            }
        }
        for (const auto& [id, r] : oracle) {
            CHECK(mutex.get_vector(id) == r);
            CHECK(lock_free.get_vector(id) == r);
        }
        CHECK(lock_free.size() == oracle.size());
    }
}
