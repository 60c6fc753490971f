// What goes into an index: which vectors, ids and options are refused, and that the others are kept as they were given,
// shown so by visits and snapshots, and saved and loaded.
#include "catch.hpp"
#include "every_index.hpp"
#include "index_oracle.hpp"
#include "saved_bytes.hpp"
#include "scratch_folder.hpp"

#include <hotindex/storage/saved_index.hpp>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
using namespace std::chrono_literals;
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

TEMPLATE_TEST_CASE("a batch is added as a whole, or not at all", "[contract]", HotVectorIndex<std::mutex>,
                   HotVectorIndex<std::shared_mutex>) {
    using Views = std::vector<std::string_view>;
    TestType index(options_of(2, Metric::cosine));
    index.add_vector("here", Vector{5, 5});
    const auto is_as_before = [&] {
        return index.size() == 1 && index.get_vector("here") == Vector{5, 5} && !index.contains("a");
    };
    CHECK_FALSE(index.add_batch(Views{}, Vector{}).has_value());
    CHECK(index.add_batch(Views{"a", "b", "here", "c"}, Vector{1, 1, 2, 2, 3, 3, 4, 4}) == 2);
    CHECK(is_as_before());
    const auto says = [&](const Views& ids, const Vector& vectors) {
        return refusal([&] { (void)index.add_batch(ids, vectors); });
    };
    CHECK(lacks(says({"a", "b", "a"}, {1, 1, 2, 2, 3, 3}), {"\"a\"", "twice", "at 0", "at 2"}) == "");
    CHECK(lacks(says({"a", ""}, {1, 1, 2, 2}), {"id 1", "empty"}) == "");
    CHECK(lacks(says({"a", "b"}, {1, 1, 2}), {"2 ids", "3 floats"}) == "");
    CHECK(lacks(says({"a", "b"}, {1, 1, 2, infinity}), {"vector 1", "inf", "position 1"}) == "");
    CHECK(lacks(says({"a", "b"}, {1, 1, 0, 0}), {"vector 1", "norm 0"}) == "");
    CHECK(is_as_before());
    std::mt19937 random(7);
    Oracle oracle;
    oracle.vectors["here"] = Vector{5, 5};
    Ids ids;
    Vector vectors;
    for (int i = 0; i != 300; ++i) {
        ids.push_back(numbered("an id of more than fifteen characters ", i));
        const Vector v = oracle.vectors[ids.back()] = random_vector(random, 2);
        vectors.insert(vectors.end(), v.begin(), v.end());
    }
    CHECK_FALSE(index.add_batch(Views(ids.begin(), ids.end()), vectors).has_value());
    CHECK(index.size() == 301);
    for (const auto& [id, vector] : oracle.vectors)
        CHECK(same_bits(index.get_vector(id).value(), vector));
    const Vector query = random_vector(random, 2);
    CHECK(oracle.objection(index.search(query, 50), query, 50, Metric::cosine) == "");
    CHECK(index.add_batch(Views{ids[7]}, Vector{1, 1}) == 0);
}

TEMPLATE_TEST_CASE("a batch of removals counts those that were there", "[contract]", EVERY_INDEX) {
    TestType index(options_of(1, Metric::inner_product));
    const std::vector<std::string_view> none;
    CHECK(index.remove_batch(none) == 0);
    for (int i = 0; i != 200; ++i)
        index.add_vector(std::to_string(i), Vector{static_cast<float>(i)});
    const std::vector<std::string_view> some{"7", "nobody", "0", "199", "7", "", "100"}; // "7" twice
    CHECK(index.remove_batch(some) == 4);
    CHECK(index.remove_batch(some) == 0);
    CHECK(index.size() == 196);
    for (int i = 0; i != 200; ++i)
        CHECK(index.contains(std::to_string(i)) == (i != 7 && i != 0 && i != 199 && i != 100));
    CHECK(index.add_vector("7", Vector{7}) == AddOutcome::inserted);
    CHECK(ids_of(index.search(Vector{1}, 2)) == Ids{"198", "197"});
}

TEMPLATE_TEST_CASE("an index that was cleared is empty, and fills again", "[contract]", EVERY_INDEX) {
    TestType index(options_of(1, Metric::inner_product, Tracking::exact));
    CHECK(index.clear() == 0);
    for (const int n : {1, 64, 300, 20}) {
        for (int i = 0; i != n; ++i)
            REQUIRE(index.add_vector(std::to_string(i), Vector{static_cast<float>(i)}) == AddOutcome::inserted);
        CHECK(index.access("0"));
        const auto before = index.snapshot();
        CHECK(index.clear() == static_cast<std::size_t>(n));
        CHECK(index.empty());
        CHECK(index.search(Vector{1}, 10).empty());
        CHECK(index.snapshot().empty());
        CHECK_FALSE(index.contains("0"));
        CHECK_FALSE(index.access_stats("0").has_value());
        CHECK(before.size() == static_cast<std::size_t>(n));
        CHECK(index.clear() == 0);
    }
    index.add_vector("0", Vector{1});
    CHECK(index.access_stats("0").value().count == 0); // of a new life
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

TEMPLATE_TEST_CASE("bad arguments are refused by name and value, and change nothing", "[contract]", EVERY_INDEX) {
    CHECK(lacks(refusal([] { TestType(IndexOptions{}); }), {"dimension is 0"}) == "");
    TestType index(IndexOptions{.dimension = 3});
    index.add_vector("a", Vector{1, 2, 3});
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(lacks(refusal([&] { index.add_vector("", Vector{1, 2, 3}); }), {"id is empty"}) == "");
    CHECK(lacks(refusal([&] { index.add_vector("a", Vector{}); }), {"vector is empty"}) == "");
    CHECK(lacks(refusal([&] { index.add_vector("a", Vector{1, 2}); }), {"2 floats"}) == "");
    CHECK(lacks(refusal([&] { index.add_vector("a", Vector{1, nan, 3}); }), {"nan at position 1"}) == "");
    CHECK(lacks(refusal([&] { index.add_vector("a", Vector{1, 2, infinity}); }), {"inf at position 2"}) == "");
    CHECK(lacks(refusal([&] { index.add_vector("a", Vector{0, 0, 0}); }), {"squared norm 0"}) == "");
    CHECK(lacks(refusal([&] { (void)index.search(Vector{}, 1); }), {"query is empty"}) == "");
    CHECK(lacks(refusal([&] { (void)index.search(Vector{1, 2, 3, 4}, 1); }), {"4 floats"}) == "");
    CHECK(lacks(refusal([&] { (void)index.search(Vector{0, 0, 0}, 1); }), {"squared norm 0"}) == "");
    CHECK(lacks(refusal([&] { (void)index.search_batch(Vector{1, 2, 3, 4}, 1); }), {"multiple of the dimension 3"}) ==
          "");
    CHECK(lacks(refusal([&] { (void)index.search_batch(Vector{1, 2, 3, 0, 0, 0}, 1); }), {"query 1 of the batch"}) ==
          "");
    CHECK(index.size() == 1);
    CHECK(index.get_vector("a") == Vector{1, 2, 3});
    CHECK_FALSE(index.contains(""));
    CHECK_FALSE(index.remove_vector(""));
    CHECK_FALSE(index.access(""));
    CHECK_FALSE(index.get_vector("").has_value());
    CHECK_FALSE(index.access_stats("b").has_value());
}

TEMPLATE_TEST_CASE("a visit shows each vector once, as it was added", "[contract]", EVERY_INDEX) {
    std::mt19937 random(5);
    TestType index(options_of(17, Metric::inner_product, Tracking::exact));
    Oracle oracle;
    const auto is_shown_by = [](const auto& shows) {
        Oracle seen;
        std::size_t calls = 0;
        shows.for_each([&](std::string_view id, std::span<const float> vector) {
            ++calls;
            seen.vectors[std::string(id)].assign(vector.begin(), vector.end());
        });
        CHECK(calls == seen.vectors.size());
        return seen.vectors;
    };
    CHECK(is_shown_by(index).empty());
    CHECK(index.snapshot().empty());
    for (int i = 0; i != 2000; ++i) { // replaced, removed, and come back
        const std::string id = numbered(i % 2 == 0 ? "" : "an id of more than fifteen characters ", random() % 300);
        if (random() % 3 == 0) {
            index.remove_vector(id);
            oracle.vectors.erase(id);
        } else {
            index.add_vector(id, oracle.vectors[id] = random_vector(random, 17));
        }
    }
    CHECK((is_shown_by(index) == oracle.vectors));
    const auto state = index.snapshot();
    CHECK((is_shown_by(state) == oracle.vectors));
    CHECK(state.size() == oracle.vectors.size());
    CHECK(state.options().dimension == 17);
    struct Enough {};
    int seen = 0;
    CHECK_THROWS_AS(index.for_each([&seen](std::string_view, std::span<const float>) {
        if (++seen == 3)
            throw Enough();
    }),
                    Enough);
    CHECK(seen == 3);
    CHECK(index.add_vector("after", random_vector(random, 17)) == AddOutcome::inserted); // no lock was left behind
    CHECK(index.access_stats(oracle.vectors.begin()->first).value().count == 0);
}

TEMPLATE_TEST_CASE("an index that is loaded answers as the one that was saved, to the last bit", "[storage]",
                   EVERY_INDEX) {
    const ScratchFolder folder;
    TestType index(options_of(3));
    for (int i = 0; i != 500; ++i)
        index.add_vector(numbered("id ", i % 400), Vector{1, static_cast<float>(i), static_cast<float>(i % 7)});
    CHECK(index.remove_vector("id 7"));
    CHECK(save(index, folder / "saved").vectors == 399);
    const auto state = index.snapshot();
    index.add_vector("later", Vector{1, 2, 3});
    CHECK(save(state, folder / "state").vectors == 399);
    CHECK(index.remove_vector("later"));

    IndexOptions options = options_of(3);
    options.tracking = Tracking::exact;
    for (const char* name : {"saved", "state"}) {
        const auto loaded = load<TestType>(folder / name, options);
        CHECK(loaded->size() == 399);
        CHECK(loaded->options().tracking == Tracking::exact);
        CHECK_FALSE(loaded->get_vector("id 7").has_value());
        CHECK(loaded->access_stats("id 8").value().count == 0);
        CHECK(loaded->search(Vector{1, 2, 3}, 50) == index.search(Vector{1, 2, 3}, 50));
        CHECK(loaded->add_vector("id 7", Vector{1, 1, 1}) == AddOutcome::inserted);
    }
    CHECK(load<TestType>(folder / "saved")->options().metric == Metric::cosine);
    CHECK(index.access("id 8")); // saving changes nothing
}

TEMPLATE_TEST_CASE("what is saved while a writer goes on is a state that the index was in", "[storage][threads]",
                   EVERY_INDEX) {
    const ScratchFolder folder;
    TestType index(options_of(2, Metric::inner_product));
    std::atomic<bool> done{false};
    std::atomic<int> generations{0};
    std::thread writer([&] {
        for (float generation = 1; !done; ++generation, ++generations)
            for (int i = 0; i != 100; ++i)
                index.add_vector(std::to_string(i), Vector{static_cast<float>(i), generation});
    });
    while (generations == 0)
        std::this_thread::yield();
    for (int i = 0; i != 10; ++i) {
        const int before = generations;
        (void)save(index, folder / "saved");
        CHECK(objection_to_saved(folder / "saved", 100) == "");
        while (generations == before) // the next one is another
            std::this_thread::yield();
    }
    done = true;
    writer.join();
}

TEMPLATE_TEST_CASE("a snapshot stays as it was, whatever is added, replaced and removed", "[contract]", EVERY_INDEX) {
    TestType index(options_of(2, Metric::inner_product, Tracking::exact));
    for (int i = 0; i != 100; ++i)
        index.add_vector(std::to_string(i), Vector{static_cast<float>(i), 1});
    const auto state = index.snapshot();
    const auto is_as_it_was = [&state] {
        std::map<std::string, Vector> seen;
        state.for_each([&](std::string_view id, std::span<const float> v) {
            CHECK(seen.emplace(id, Vector(v.begin(), v.end())).second);
        });
        CHECK(seen.size() == 100);
        CHECK(state.size() == 100);
        for (int i = 0; i != 100; ++i) {
            const Vector then{static_cast<float>(i), 1};
            CHECK(state.get_vector(std::to_string(i)) == then);
            CHECK(seen[std::to_string(i)] == then);
        }
        CHECK_FALSE(state.get_vector("100").has_value());
        CHECK_FALSE(state.get_vector("").has_value());
    };
    is_as_it_was(); // when nothing has changed yet
    for (int i = 0; i != 150; ++i)
        switch (i % 5) {
        case 0: // replaced
            index.add_vector(std::to_string(i), Vector{-1, -1});
            break;
        case 1: // removed
            index.remove_vector(std::to_string(i));
            break;
        case 2: // removed, and another one added
            index.remove_vector(std::to_string(i));
            index.add_vector(std::to_string(i), Vector{-2, -2});
            break;
        case 3: // replaced twice, and removed
            index.add_vector(std::to_string(i), Vector{-3, -3});
            index.add_vector(std::to_string(i), Vector{-4, -4});
            index.remove_vector(std::to_string(i));
            break;
        default: // as it was, or not there
            break;
        }
    is_as_it_was();
    state.for_each([&index](std::string_view id, std::span<const float>) { index.remove_vector(id); });
    is_as_it_was();
    CHECK(index.access_stats("110").value().count == 0);
    CHECK(index.snapshot().size() == index.size());
    CHECK(index.snapshot().get_vector("110") == Vector{-1, -1});
}
