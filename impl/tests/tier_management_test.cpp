// What tier management costs and whom it waits for, counted; and that the order in which a sweep goes does not matter.
#include "catch.hpp"
#include "tracked.hpp"

#include <hotindex/backend/counting.hpp>
#include <hotindex/hot_vector_index.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

namespace {
using namespace hotindex;
using namespace std::chrono_literals;

using CountedTracked = Tracked<DefaultTraits, CountingBackend>;

/// Sweeps every second; whatever was accessed `hot_accesses` times is hot.
IndexOptions swept(std::uint64_t hot_accesses) {
    IndexOptions options = tracked(Tracking::exact, {.hot_accesses = hot_accesses});
    options.tiers.manage_every = 1000ms;
    return options;
}

template <class Operation>
std::uint64_t loads_of(Operation operation) {
    CountingBackend::tally().reset();
    operation();
    return CountingBackend::tally().total().loads;
}

/// What one step may load: a cell is three words; a record four and its segment; and the sweep's own few words.
std::uint64_t bound_of_step(std::size_t participants) {
    return 3 * std::max(DefaultTraits::tier_sweep_cells, participants) + std::uint64_t{5} * DefaultTraits::tier_sweep +
           10;
}

/// A mutex that counts how often it is locked.
struct CountedMutex {
    inline static std::uint64_t locked = 0;
    void lock() { ++locked; }
    void unlock() {}
    bool try_lock() {
        ++locked;
        return true;
    }
};
} // namespace

TEST_CASE("a step of tier management costs the same bounded number of loads beside any number of participants",
          "[monitor]") {
    for (const std::size_t participants : {1u, 4u, 5u, 64u, 1000u, 2000u}) {
        CountedTracked records(swept(1), participants);
        constexpr std::uint32_t n = 3000;
        std::vector<RecordId> ids;
        for (std::uint32_t i = 0; i != n; ++i)
            ids.push_back(records.tracker.track(records.local(), records.begin));
        for (std::size_t p = 0; p != participants; ++p) // every cell of every participant is occupied
            for (std::uint32_t i = 0; i != DefaultTraits::tracked_cells; ++i)
                records.tracker.access(records.local(p), ids[(p * 31 + i) % n], records.begin);
        const auto accessed = static_cast<std::uint64_t>(
            std::count_if(ids.begin(), ids.end(), [&](RecordId id) { return records.stats(id).count != 0; }));
        std::uint64_t most = 0;
        std::uint64_t moved = 0;
        for (int step = 0; step != 300; ++step) // a sweep, whatever its width
            most = std::max(most, loads_of([&] { moved += records.tick(records.begin + 2000).promotions; }));
        INFO(participants << " participants");
        CHECK(most <= bound_of_step(participants));
        CHECK(moved == accessed);
    }
}

TEST_CASE("a sweep that participants join in the middle goes on in steps that stay bounded", "[monitor]") {
    CountedTracked records(swept(1));
    constexpr std::uint32_t n = 5000;
    std::vector<RecordId> ids;
    for (std::uint32_t i = 0; i != n; ++i)
        ids.push_back(records.tracker.track(records.local(), records.begin));
    const std::int64_t now = records.begin + 2000;
    (void)records.tick(now);
    records.join(999);
    for (std::size_t p = 0; p != 1000; ++p)
        for (std::uint32_t i = 0; i != DefaultTraits::tracked_cells; ++i)
            records.tracker.access(records.local(p), ids[(p * DefaultTraits::tracked_cells + i) % n], records.begin);
    std::uint64_t most = 0;
    std::uint64_t moved = 0;
    for (std::size_t step = 0; step != 600; ++step)
        most = std::max(most, loads_of([&] { moved += records.tick(now).promotions; }));
    CHECK(most <= bound_of_step(1000));
    CHECK(moved == n); // every record was accessed by somebody
    CHECK(records.tick(now).promotions == 0);
}

TEMPLATE_TEST_CASE("a sweep step by step assigns the tiers that managing by hand assigns", "[monitor]", DefaultTraits,
                   TinyTraits) {
    for (const std::size_t participants : {1u, 2u, 3u, 7u, 150u}) {
        Tracked<TestType> by_hand(swept(3), participants);
        Tracked<TestType> by_steps(swept(3), participants);
        constexpr std::uint32_t n = 1500;
        std::vector<RecordId> ids;
        const std::int64_t now = std::max(by_hand.begin, by_steps.begin) + 2000;
        for (std::uint32_t i = 0; i != n; ++i) {
            ids.push_back(by_hand.tracker.track(by_hand.local(), now));
            REQUIRE(by_steps.tracker.track(by_steps.local(), now) == ids.back());
        }
        std::uint64_t x = 88172645463325252u; // xorshift64
        for (int i = 0; i != 2000; ++i) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            const RecordId id = ids[(x >> 20) % n];
            by_hand.tracker.access(by_hand.local(x % participants), id, now);
            by_steps.tracker.access(by_steps.local(x % participants), id, now);
        }
        std::uint64_t moved = 0;
        for (int step = 0; step != 4000; ++step)
            moved += by_steps.tick(now).promotions;
        CHECK(by_hand.manage(now).promotions == moved);
        CHECK(by_steps.manage(now).promotions == 0);
        std::size_t wrong = 0;
        std::size_t hot = 0;
        for (const RecordId id : ids) {
            const AccessStats stats = by_hand.stats(id);
            hot += stats.tier == Tier::hot;
            wrong += stats.tier != (stats.count >= 3 ? Tier::hot : Tier::warm);
            wrong += by_steps.stats(id).tier != stats.tier;
        }
        CHECK(wrong == 0);
        CHECK(hot > n / 20);
        CHECK(hot < n / 2);
    }
}

TEST_CASE("managing tiers by hand looks once at each record and once at each cell", "[monitor]") {
    constexpr std::size_t participants = 300;
    constexpr std::uint32_t n = 5000;
    constexpr std::uint64_t accessed = 1000;
    CountedTracked records(tracked(Tracking::exact, {.hot_accesses = 1}), participants);
    std::vector<RecordId> ids;
    for (std::uint32_t i = 0; i != n; ++i)
        ids.push_back(records.tracker.track(records.local(), records.begin));
    for (std::uint32_t i = 0; i != accessed; ++i)
        records.tracker.access(records.local(i % participants), ids[i], records.begin);
    std::uint64_t promotions = 0;
    const std::uint64_t loads = loads_of([&] { promotions = records.manage(records.begin).promotions; });
    CHECK(promotions == accessed);
    // A cell's key; five more words of an occupied one; of a record four words and its segment (and of
    // up to 16 that were handed out in advance), and that again to move it.
    CHECK(loads <= participants * DefaultTraits::tracked_cells + 5 * accessed + std::uint64_t{5} * (n + 16) + accessed);
}

TEST_CASE("managing tiers by hand pins nothing", "[monitor][cost]") {
    BasicLockFreeHotVectorIndex<CountingBackend, DefaultTraits> index(tracked(Tracking::exact, {.hot_accesses = 1}));
    const auto handle = index.join();
    for (int i = 0; i != 100; ++i)
        index.add_vector(handle, std::to_string(i), std::vector<float>{1});
    (void)index.access(handle, "7");
    CountingBackend::tally().reset();
    CHECK(index.manage_tiers(handle) >= 1);
    CHECK(CountingBackend::tally().of(edge::epoch_pin).stores == 0);
    CHECK(CountingBackend::tally().of(edge::epoch_unpin).stores == 0);
    CHECK(index.access_stats(handle, "7").value().tier == Tier::hot);
}

TEST_CASE("managing tiers by hand takes no lock", "[monitor]") {
    HotVectorIndex<CountedMutex> index(tracked(Tracking::exact, {.hot_accesses = 1}));
    for (int i = 0; i != 100; ++i)
        index.add_vector(std::to_string(i), std::vector<float>{1});
    CHECK(index.access("7"));
    const std::uint64_t before = CountedMutex::locked;
    CHECK(before >= 101);
    CHECK(index.manage_tiers() == 1);
    CHECK(CountedMutex::locked == before);
    CHECK(index.access_stats("7").value().tier == Tier::hot);
}

TEMPLATE_TEST_CASE("tiers are managed while vectors come and go", "[monitor]", LockFreeHotVectorIndex,
                   HotVectorIndex<std::mutex>, HotVectorIndex<std::shared_mutex>) {
    IndexOptions options = tracked(Tracking::exact, {.hot_accesses = 1});
    options.tiers.manage_every = 1ms;
    TestType index(options);
    for (int i = 0; i != 500; ++i)
        index.add_vector("there-" + std::to_string(i), std::vector<float>{1});
    in_team([&](std::size_t t) {
        for (int i = 0; i != 300; ++i) {
            const std::string mine = std::to_string(t) + "-" + std::to_string(i % 20);
            if (t == 0) {
                (void)index.manage_tiers();
            } else if (t % 2 == 0) {
                index.add_vector(mine, std::vector<float>{2});
                (void)index.access("there-" + std::to_string(i));
            } else {
                index.add_vector(mine, std::vector<float>{3});
                index.remove_vector(mine);
            }
        }
    });
    (void)index.manage_tiers();
    std::size_t wrong = 0;
    for (int i = 0; i != 500; ++i)
        wrong += index.access_stats("there-" + std::to_string(i)).value().tier != (i < 300 ? Tier::hot : Tier::warm);
    CHECK(wrong == 0);
    CHECK(index.get_stats().promotions >= 300);
}
