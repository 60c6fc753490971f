// Access tracker and statistics as units, and their totals as the indexes report them after many threads.
#include "catch.hpp"
#include "tracked.hpp"

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/lock_free_hot_vector_index.hpp>
#include <hotindex/monitor/lock_free_access_tracker.hpp>
#include <hotindex/monitor/lock_free_stats.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;
using namespace std::chrono_literals;

constexpr int turns = 1000;

std::int64_t in_milliseconds(std::chrono::system_clock::time_point t) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}
} // namespace

TEST_CASE("ten threads that access an index are counted exactly", "[monitor]") {
    LockFreeHotVectorIndex index(tracked(Tracking::exact));
    constexpr int vectors = 700; // more than a participant has cells
    for (int i = 0; i != vectors; ++i)
        index.add_vector(std::to_string(i), std::vector<float>{static_cast<float>(i)});
    std::atomic<int> missing{0};
    in_team([&](std::size_t t) {
        for (int i = 0; i != turns; ++i) {
            if (!index.access("0"))
                ++missing;
            if (!index.access(std::to_string((static_cast<std::size_t>(i) * 13 + t) % vectors)))
                ++missing;
        }
    });
    CHECK(missing == 0);
    std::uint64_t sum = 0;
    for (int i = 0; i != vectors; ++i)
        sum += index.access_stats(std::to_string(i)).value().count;
    CHECK(sum == 2 * team_size * turns);
    CHECK(index.access_stats("0").value().count >= team_size * turns);
}

TEST_CASE("ten threads that search an index are counted exactly, results, queries and computations", "[monitor]") {
    LockFreeHotVectorIndex index(tracked(Tracking::exact));
    constexpr std::uint64_t vectors = 50;
    for (std::uint64_t i = 0; i != vectors; ++i)
        index.add_vector(std::to_string(i), std::vector<float>{static_cast<float>(i)});
    std::atomic<int> wrong{0};
    in_team([&](std::size_t) {
        const std::vector<float> query{1};
        for (int i = 0; i != turns; ++i)
            if (index.search(query, 3).size() != 3)
                ++wrong;
    });
    CHECK(wrong == 0);
    for (std::uint64_t i = 0; i != vectors; ++i)
        CHECK(index.access_stats(std::to_string(i)).value().count == (i + 3 >= vectors ? team_size * turns : 0));
    const IndexStats stats = index.get_stats();
    CHECK(stats.queries == team_size * turns);
    CHECK(stats.similarity_computations == team_size * turns * vectors);
    CHECK(stats.query_time.count() > 0);
    CHECK(stats.vectors == vectors);
}

TEMPLATE_TEST_CASE("ten participants of a tracker are counted exactly, cell by cell", "[monitor]", DefaultTraits,
                   TinyTraits) {
    Tracked<TestType> tracked_records(tracked(Tracking::exact), team_size);
    auto& tracker = tracked_records.tracker;
    constexpr std::uint32_t records = 600;
    std::vector<RecordId> ids;
    for (std::uint32_t i = 0; i != records; ++i)
        ids.push_back(tracker.track(tracked_records.local(), tracked_records.begin));
    in_team([&](std::size_t t) {
        for (std::uint32_t i = 0; i != turns; ++i)
            tracker.access(tracked_records.local(t), ids[(i * 7) % records],
                           tracked_records.begin + static_cast<std::int64_t>(i) + 1000);
    });
    std::vector<std::uint64_t> expected(records);
    std::vector<std::int64_t> last(records);
    for (std::uint32_t i = 0; i != turns; ++i) {
        expected[(i * 7) % records] += team_size;
        last[(i * 7) % records] = tracked_records.begin + static_cast<std::int64_t>(i) + 1000;
    }
    std::size_t wrong = 0;
    for (std::uint32_t i = 0; i != records; ++i) {
        const AccessStats stats = tracked_records.stats(ids[i]);
        wrong += stats.count != expected[i] || in_milliseconds(stats.last.value()) != last[i];
    }
    CHECK(wrong == 0);
}

TEST_CASE("sampling is unbiased, whichever participants sample", "[monitor]") {
    Tracked<> records(tracked(Tracking::sampled), team_size);
    const RecordId id = records.tracker.track(records.local(), records.begin);
    constexpr std::uint64_t each = std::uint64_t{10} * turns;
    in_team([&](std::size_t t) {
        for (std::uint64_t i = 0; i != each; ++i)
            records.tracker.access(records.local(t), id, records.begin);
    });
    const std::uint64_t count = records.stats(id).count;
    CHECK(count % DefaultTraits::tracking_sample_period == 0);
    CHECK(count > team_size * each * 85 / 100); // more than ten standard deviations either way
    CHECK(count < team_size * each * 115 / 100);
}

TEST_CASE("tracking switched off leaves records alone", "[monitor]") {
    Tracked<> records(tracked(Tracking::off));
    const RecordId id = records.tracker.track(records.local(), records.begin);
    records.tracker.access(records.local(), id, records.begin);
    CHECK(records.stats(id).count == 0);
    CHECK_FALSE(records.stats(id).last.has_value());
}

TEST_CASE("creation and last access are the times they were told, whoever accessed last", "[monitor]") {
    Tracked<> records(tracked(Tracking::exact), 2);
    const RecordId id = records.tracker.track(records.local(), records.begin + 500);
    const RecordId same_cell = [&] {
        RecordId r = id;
        while (r != id + DefaultTraits::tracked_cells)
            r = records.tracker.track(records.local(), records.begin);
        return r;
    }();
    CHECK(in_milliseconds(records.stats(id).created) == records.begin + 500);
    CHECK_FALSE(records.stats(id).last.has_value());
    records.tracker.access(records.local(0), id, records.begin + 2000);
    CHECK(in_milliseconds(records.stats(id).last.value()) == records.begin + 2000);
    records.tracker.access(records.local(1), id, records.begin + 1000); // a clock that is behind
    CHECK(in_milliseconds(records.stats(id).last.value()) == records.begin + 2000);
    records.tracker.access(records.local(0), same_cell, records.begin + 2500); // writes back
    records.tracker.access(records.local(1), same_cell, records.begin + 2600); // writes back an earlier time
    CHECK(in_milliseconds(records.stats(id).last.value()) == records.begin + 2000);
    CHECK(records.stats(id).count == 2);
    CHECK(records.stats(same_cell).count == 2);
}

TEST_CASE("times in an index lie between before and after", "[monitor]") {
    LockFreeHotVectorIndex index(tracked(Tracking::exact));
    const std::int64_t before = ProductionBackend::read_clock_ms();
    index.add_vector("a", std::vector<float>{1});
    std::this_thread::sleep_for(3ms);
    const std::int64_t between = ProductionBackend::read_clock_ms();
    index.access("a");
    const std::int64_t after = ProductionBackend::read_clock_ms();
    const AccessStats stats = index.access_stats("a").value();
    CHECK(in_milliseconds(stats.created) >= before);
    CHECK(in_milliseconds(stats.created) < between);
    CHECK(in_milliseconds(stats.last.value()) >= between);
    CHECK(in_milliseconds(stats.last.value()) <= after);
}

TEST_CASE("tiers follow the thresholds to the millisecond", "[monitor]") {
    Tracked<> records(tracked(Tracking::exact, {.hot_accesses = 3, .hot_within = 100ms, .cold_after = 1000ms}), 2);
    auto& tracker = records.tracker;
    const std::int64_t t0 = ProductionBackend::read_clock_ms() + 10'000;
    const RecordId often = tracker.track(records.local(), t0);
    const RecordId seldom = tracker.track(records.local(), t0);
    const RecordId never = tracker.track(records.local(), t0);
    const auto tiers = [&] {
        return std::vector<Tier>{records.stats(often).tier, records.stats(seldom).tier, records.stats(never).tier};
    };
    tracker.access(records.local(0), often, t0);
    tracker.access(records.local(1), often, t0); // three in all, from two participants
    tracker.access(records.local(1), often, t0);
    tracker.access(records.local(0), seldom, t0);
    tracker.access(records.local(0), seldom, t0 + 50);

    TierMoves moves = records.manage(t0 + 100);
    CHECK(moves.promotions == 1);
    CHECK(moves.demotions == 0);
    CHECK(tiers() == std::vector<Tier>{Tier::hot, Tier::warm, Tier::warm});
    moves = records.manage(t0 + 101); // no longer recent
    CHECK(moves.promotions == 0);
    CHECK(moves.demotions == 1);
    CHECK(tiers() == std::vector<Tier>{Tier::warm, Tier::warm, Tier::warm});
    moves = records.manage(t0 + 1000);
    CHECK(moves.promotions + moves.demotions == 0);
    moves = records.manage(t0 + 1001);
    CHECK(moves.demotions == 2);
    CHECK(tiers() == std::vector<Tier>{Tier::cold, Tier::warm, Tier::cold});
    moves = records.manage(t0 + 1051);
    CHECK(moves.demotions == 1);
    tracker.access(records.local(0), often, t0 + 2000); // straight from cold to hot
    tracker.access(records.local(0), never, t0 + 2000);
    moves = records.manage(t0 + 2000);
    CHECK(moves.promotions == 2);
    CHECK(tiers() == std::vector<Tier>{Tier::hot, Tier::cold, Tier::warm});
    moves = records.manage(t0 + 3001);
    CHECK(moves.demotions == 2);
}

TEST_CASE("promotion ends at hot and demotion at cold", "[monitor]") {
    Tracked<> records(tracked(Tracking::exact));
    const RecordId id = records.tracker.track(records.local(), records.begin);
    const RecordId other = records.tracker.track(records.local(), records.begin);
    CHECK(records.tracker.promote(id));
    CHECK(records.stats(id).tier == Tier::hot);
    CHECK_FALSE(records.tracker.promote(id));
    CHECK(records.stats(id).tier == Tier::hot);
    CHECK(records.tracker.demote(id));
    CHECK(records.stats(id).tier == Tier::warm);
    CHECK(records.tracker.demote(id));
    CHECK(records.stats(id).tier == Tier::cold);
    CHECK_FALSE(records.tracker.demote(id));
    CHECK(records.stats(id).tier == Tier::cold);
    CHECK(records.stats(other).tier == Tier::warm);
}

TEST_CASE("ten threads that move one tier never lose a step", "[monitor]") {
    LockFreeHotVectorIndex index(tracked(Tracking::off));
    index.add_vector("a", std::vector<float>{1});
    std::atomic<std::uint64_t> up{0};
    std::atomic<std::uint64_t> down{0};
    in_team([&](std::size_t t) {
        for (int i = 0; i != turns; ++i) {
            if (t % 2 == 0)
                up += index.promote("a") ? 1 : 0;
            else
                down += index.demote("a") ? 1 : 0;
        }
    });
    const auto tier = static_cast<std::int64_t>(index.access_stats("a").value().tier);
    CHECK(static_cast<std::int64_t>(Tier::warm) + static_cast<std::int64_t>(down) - static_cast<std::int64_t>(up) ==
          tier);
    CHECK(index.get_stats().promotions == up);
    CHECK(index.get_stats().demotions == down);
}

TEST_CASE("a record's next life begins without the counts, times and tier of the last", "[monitor]") {
    Tracked<> records(tracked(Tracking::exact), 2);
    auto& tracker = records.tracker;
    std::vector<RecordId> ids;
    for (std::size_t i = 0; i != DefaultTraits::tracked_cells + 1; ++i)
        ids.push_back(tracker.track(records.local(), records.begin));
    const RecordId id = ids.front();
    const RecordId same_cell = ids.back();
    REQUIRE(same_cell - id == DefaultTraits::tracked_cells);
    tracker.access(records.local(0), id, records.begin + 10);
    tracker.access(records.local(1), id, records.begin + 10); // remains in the other participant's cell
    tracker.access(records.local(0), same_cell, records.begin + 10);
    CHECK(tracker.promote(id));
    CHECK(records.stats(id).count == 2);
    for (std::int64_t life = 1; life != 50; ++life) {
        tracker.forget(records.local(), id);
        REQUIRE(tracker.track(records.local(), records.begin + 100 * life) == id);
        AccessStats stats = records.stats(id);
        CHECK(stats.count == 0);
        CHECK_FALSE(stats.last.has_value());
        CHECK(stats.tier == Tier::warm);
        CHECK(in_milliseconds(stats.created) == records.begin + 100 * life);
        tracker.access(records.local(1), same_cell, records.begin); // writes back the last life's access: dropped
        stats = records.stats(id);
        CHECK(stats.count == 0);
        CHECK_FALSE(stats.last.has_value());
        tracker.access(records.local(1), id, records.begin + 100 * life);
        CHECK(records.stats(id).count == 1);
        CHECK((life % 2 == 0 ? tracker.promote(id) : tracker.demote(id)));
    }
}

TEST_CASE("records that are not live are not managed", "[monitor]") {
    Tracked<> records(tracked(Tracking::exact, {.hot_within = 0ms, .cold_after = 0ms}));
    const RecordId a = records.tracker.track(records.local(), records.begin);
    (void)records.tracker.track(records.local(), records.begin);
    records.tracker.forget(records.local(), a);
    CHECK(records.manage(records.begin + 10'000).demotions == 1);
}

TEST_CASE("automatic management waits until it is due and goes step by step", "[monitor]") {
    IndexOptions options = tracked(Tracking::exact, {.hot_within = 0ms, .cold_after = 0ms});
    options.tiers.manage_every = 1000ms;
    Tracked<> records(options);
    constexpr std::uint32_t n = 3 * DefaultTraits::tier_sweep + 10;
    for (std::uint32_t i = 0; i != n; ++i)
        (void)records.tracker.track(records.local(), records.begin);
    const std::int64_t now = records.begin + 10'000;
    std::uint64_t moved = 0;
    for (int step = 0; step != 4; ++step) {
        const TierMoves moves = records.tick(now);
        CHECK(moves.demotions <= DefaultTraits::tier_sweep);
        moved += moves.demotions;
    }
    CHECK(moved == n);
    CHECK(records.tick(now).demotions == 0); // the sweep ends here
    (void)records.tracker.track(records.local(), records.begin);
    for (int step = 0; step != 10; ++step)
        CHECK(records.tick(now + 999).demotions == 0); // not due
    moved = 0;
    for (int step = 0; step != 4; ++step)
        moved += records.tick(now + 1000).demotions;
    CHECK(moved == 1);
}

TEST_CASE("automatic management every 0 ms means by hand only", "[monitor]") {
    Tracked<> records(tracked(Tracking::exact, {.hot_within = 0ms, .cold_after = 0ms}));
    (void)records.tracker.track(records.local(), records.begin);
    for (int step = 0; step != 10; ++step)
        CHECK(records.tick(records.begin + 1'000'000).demotions == 0);
    CHECK(records.manage(records.begin + 1'000'000).demotions == 1);
}

TEST_CASE("totals add up over shards, and a reset leaves nothing of before", "[monitor]") {
    using Stats = LockFreeStats<ProductionBackend>;
    Stats stats;
    std::vector<Stats::Shard> shards(team_size);
    const auto visit = [&](auto&& v) {
        for (const Stats::Shard& s : shards)
            v(s);
    };
    const auto work = [&](std::size_t t) {
        for (int i = 0; i != turns; ++i) {
            shards[t].answered(Stats::Timer(true), 2, 30);
            shards[t].answered(Stats::Timer(false), 1000, 1000); // off: nothing
            shards[t].promoted(t % 2);
            shards[t].demoted(3);
        }
    };
    const auto check = [&](const IndexStats& s) {
        CHECK(s.queries == 2 * team_size * turns);
        CHECK(s.similarity_computations == 30 * team_size * turns);
        CHECK(s.promotions == team_size / 2 * turns);
        CHECK(s.demotions == 3 * team_size * turns);
        CHECK(s.query_time.count() >= 0);
    };
    const auto check_zero = [](const IndexStats& s) {
        CHECK(s.queries == 0);
        CHECK(s.similarity_computations == 0);
        CHECK(s.promotions == 0);
        CHECK(s.demotions == 0);
        CHECK(s.query_time.count() == 0);
    };
    check_zero(stats.total(visit));
    in_team(work);
    check(stats.total(visit));
    stats.reset(visit);
    check_zero(stats.total(visit));
    in_team(work);
    check(stats.total(visit));
    stats.reset(visit);
    stats.reset(visit);
    check_zero(stats.total(visit));
}

TEST_CASE("totals never run backwards nor wrap around while threads count and reset", "[monitor]") {
    LockFreeHotVectorIndex index(tracked(Tracking::exact));
    index.add_vector("a", std::vector<float>{1});
    std::atomic<std::size_t> running{team_size - 1};
    std::atomic<std::uint64_t> largest{0};
    in_team([&](std::size_t t) {
        if (t != 0) {
            const std::vector<float> query{1};
            for (int i = 0; i != turns; ++i)
                (void)index.search(query, 1);
            --running;
            return;
        }
        do {
            largest = std::max(largest.load(), index.get_stats().queries);
            index.reset_stats();
        } while (running != 0);
    });
    CHECK(largest <= (team_size - 1) * turns);
    index.reset_stats();
    CHECK(index.get_stats().queries == 0);
    CHECK(index.access_stats("a").value().count == (team_size - 1) * turns);
}
