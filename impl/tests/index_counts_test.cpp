// What an index counts: queries, accesses, and the tiers that follow from them.
#include "catch.hpp"
#include "every_index.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
using namespace std::chrono_literals;
} // namespace

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

TEMPLATE_TEST_CASE("memory is told by what it is for", "[contract]", EVERY_INDEX) {
    constexpr std::size_t n = 3000, dimension = 30; // rows are padded to 32 floats
    TestType index(options_of(dimension, Metric::inner_product));
    const auto id_of = [](std::size_t i) {
        return numbered("an id of exactly sixty-four characters, where its number is ", 1000 + i);
    };
    CHECK(id_of(0).size() == 64);
    const MemoryUsage empty = index.memory_usage();
    CHECK(empty.rows <= std::size_t{64} * 128);
    for (std::size_t i = 0; i != n; ++i)
        index.add_vector(id_of(i), Vector(dimension, static_cast<float>(i)));
    const MemoryUsage full = index.memory_usage();
    CHECK(full.rows >= n * 128);
    CHECK(full.rows <= 3 * n * 128);
    CHECK(full.bookkeeping >= n * sizeof(float));
    CHECK(full.bookkeeping <= 3 * n * 128);
    CHECK(full.ids >= n * (65 + sizeof(std::string)));
    CHECK(full.ids <= n * 300);
    CHECK(full.table >= n * sizeof(void*) / 2);
    CHECK(full.table <= 64 * n);
    CHECK(full.records >= n * 32);
    CHECK(full.limbo <= full.total() / 10);
    CHECK(full.total() == full.rows + full.bookkeeping + full.ids + full.table + full.records);
    CHECK(index.memory_usage().rows == full.rows); // looking takes nothing
    CHECK(index.clear() == n);
    if constexpr (requires { index.drain(); })
        CHECK(index.drain());
    const MemoryUsage cleared = index.memory_usage();
    CHECK(cleared.rows <= full.rows / 4);
    CHECK(cleared.ids <= full.ids / 4);
    CHECK(cleared.limbo == 0);
}

TEST_CASE("what a snapshot keeps is in limbo", "[contract]") {
    LockFreeHotVectorIndex index(options_of(32, Metric::inner_product));
    for (int i = 0; i != 100; ++i)
        index.add_vector(std::to_string(i), Vector(32, 1));
    {
        const auto state = index.snapshot();
        CHECK(index.clear() == 100);
        CHECK(index.memory_usage().limbo >= 100 * 32 * sizeof(float));
    }
    CHECK(index.drain());
    CHECK(index.memory_usage().limbo == 0);
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

TEMPLATE_TEST_CASE("statistics, accesses and tiers are counted", "[contract]", EVERY_INDEX) {
    TestType index(IndexOptions{.dimension = 1,
                                .metric = Metric::inner_product,
                                .tracking = Tracking::exact,
                                .tiers = {.hot_accesses = 3, .manage_every = {}}});
    index.add_vector("a", Vector{1});
    index.add_vector("b", Vector{2});
    (void)index.search(Vector{1}, 1);
    (void)index.search_batch(Vector{1, 1}, 1);
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
    index.add_vector("b", Vector{3});
    CHECK(index.access_stats("b")->count == 3); // survives replacement ...
    index.remove_vector("b");
    index.add_vector("b", Vector{3});
    CHECK(index.access_stats("b")->count == 0); // ... but not removal
    index.reset_stats();
    CHECK(index.get_stats().queries == 0);
    CHECK(index.get_stats().vectors == 2);
}
