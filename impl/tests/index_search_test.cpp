// What a search answers: the best by every metric, in order, of those that a predicate allows; the same from every index.
#include "catch.hpp"
#include "every_index.hpp"
#include "index_oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <shared_mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
} // namespace

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

TEMPLATE_TEST_CASE("a radius is a score, and what has that very score is within", "[contract]", EVERY_INDEX) {
    TestType near(options_of(1, Metric::squared_euclidean));
    for (int i = 0; i != 200; ++i)
        near.add_vector(std::to_string(i), Vector{static_cast<float>(i)});
    CHECK(near.search_radius(Vector{10}, 4) ==
          std::vector<Match>{{"10", 0}, {"11", 1}, {"9", 1}, {"12", 4}, {"8", 4}}); // the square of a distance of 2
    CHECK(near.search_radius(Vector{10}, 3.9F).size() == 3);
    CHECK(near.search_radius(Vector{10}, 4, 2) == std::vector<Match>{{"10", 0}, {"11", 1}});
    CHECK(ids_of(near.search_radius(Vector{10}, 4, no_limit, [](std::string_view id) { return id.back() == '2'; })) ==
          Ids{"12"});
    CHECK(near.search_radius(Vector{10}, -1).empty());
    CHECK(near.search_radius(Vector{10}, 4, 0).empty());
    CHECK(near.search_radius(Vector{10}, -infinity).empty());
    CHECK(near.search_radius(Vector{10}, infinity) == near.search(Vector{10}, 200));
    TestType alike(options_of(2, Metric::cosine));
    alike.add_vector("same", Vector{2, 0});
    alike.add_vector("across", Vector{0, 3});
    alike.add_vector("opposite", Vector{-1, 0});
    CHECK(ids_of(alike.search_radius(Vector{1, 0}, 0.5F)) == Ids{"same"});
    CHECK(ids_of(alike.search_radius(Vector{1, 0}, 0)) == Ids{"same", "across"});
    CHECK(alike.search_radius(Vector{1, 0}, infinity).empty());
    CHECK(lacks(refusal([&] { (void)near.search_radius(Vector{1}, not_a_number); }), {"radius", "nan"}) == "");
    CHECK(lacks(refusal([&] { (void)near.search_radius(Vector{1, 2}, 1); }), {"query", "2", "1"}) == "");
    CHECK(alike.get_stats().queries == 3);
}

TEMPLATE_TEST_CASE("a predicate holds for every query of a batch", "[contract]", EVERY_INDEX) {
    std::mt19937 random(6);
    TestType index(options_of(7, Metric::inner_product, Tracking::exact));
    for (int i = 0; i != 300; ++i)
        index.add_vector(std::to_string(i), random_vector(random, 7));
    const IdPredicate some = [](std::string_view id) { return id.back() % 3 == 0; };
    const Vector batch = random_vector(random, 7 * 20);
    const auto answers = index.search_batch(batch, 10, some);
    REQUIRE(answers.size() == 20);
    for (std::size_t q = 0; q != 20; ++q)
        CHECK(same_bits(answers[q], index.search(std::span(batch).subspan(q * 7, 7), 10, some)));
    CHECK(index.search_batch(batch, 10, [](std::string_view) { return false; }) == std::vector<std::vector<Match>>(20));
    const std::uint64_t before = index.get_stats().queries;
    CHECK_THROWS_AS(
        (void)index.search_batch(batch, 10, [](std::string_view) -> bool { throw std::runtime_error("no"); }),
        std::runtime_error);
    CHECK(index.get_stats().queries == before);
    CHECK(index.search_batch(batch, 10) == index.search_batch(batch, 10, [](std::string_view) { return true; }));
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
                // Within a radius that is one of the scores, mostly: what a search for all answers, cut off there.
                const auto all = one.search(query, all_of_them, allowed);
                const float radius = all.empty() ? 0 : all[random() % all.size()].score;
                auto expected = within(all, radius, metric);
                expected.resize(std::min(expected.size(), k));
                (void)two.search(query, all_of_them, allowed); // all count the same accesses
                (void)three.search(query, all_of_them, allowed);
                REQUIRE(same_bits(one.search_radius(query, radius, k, allowed), expected));
                REQUIRE(same_bits(two.search_radius(query, radius, k, allowed), expected));
                REQUIRE(same_bits(three.search_radius(query, radius, k, allowed), expected));
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

TEMPLATE_TEST_CASE("results are the k best, best first, ties by id", "[contract]", EVERY_INDEX) {
    TestType index(IndexOptions{.dimension = 1, .metric = Metric::squared_euclidean});
    CHECK(index.empty());
    CHECK(index.search(Vector{0}, 5).empty());
    for (const char* id : {"c", "a", "b"})
        CHECK(index.add_vector(id, Vector{1}) == AddOutcome::inserted);
    CHECK(index.add_vector("d", Vector{5}) == AddOutcome::inserted);
    CHECK(index.add_vector("d", Vector{2}) == AddOutcome::replaced);
    CHECK(index.search(Vector{0}, 0).empty());
    CHECK(index.search(Vector{0}, 2) == std::vector<Match>{{"a", 1}, {"b", 1}});
    CHECK(index.search(Vector{0}, 100) == std::vector<Match>{{"a", 1}, {"b", 1}, {"c", 1}, {"d", 4}});
    const auto allowed = [](std::string_view id) { return id > "a"; };
    CHECK(index.search(Vector{0}, 2, allowed) == std::vector<Match>{{"b", 1}, {"c", 1}});
    CHECK_THROWS_AS(index.search(Vector{0}, 2, [](std::string_view) -> bool { throw std::runtime_error("no"); }),
                    std::runtime_error);
    CHECK(index.remove_vector("b"));
    CHECK_FALSE(index.remove_vector("b"));
    CHECK(index.search(Vector{0}, 2) == std::vector<Match>{{"a", 1}, {"c", 1}});
    CHECK(index.search_batch(Vector{}, 3).empty());
    CHECK(index.search_batch(Vector{0, 2}, 1) == std::vector<std::vector<Match>>{{{"a", 1}}, {{"d", 0}}});
}

TEST_CASE("equal states give equal answers in every index, to the last bit", "[contract]") {
    for (const Metric metric : {Metric::cosine, Metric::inner_product, Metric::squared_euclidean}) {
        constexpr std::size_t dimension = 19;
        const IndexOptions options{.dimension = dimension, .metric = metric};
        HotVectorIndex<std::mutex> mutex(options);
        HotVectorIndex<std::shared_mutex> rwlock(options);
        LockFreeHotVectorIndex lock_free(options);
        std::map<std::string, Vector> oracle;
        std::mt19937 random(7);
        const auto row = [&random] {
            Vector r(dimension);
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
                const Vector r = row();
                const auto outcome =
                    oracle.insert_or_assign(id, r).second ? AddOutcome::inserted : AddOutcome::replaced;
                REQUIRE(mutex.add_vector(id, r) == outcome);
                REQUIRE(rwlock.add_vector(id, r) == outcome);
                REQUIRE(lock_free.add_vector(id, r) == outcome);
            }
            if (i % 20 == 0) {
                const Vector query = row();
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
