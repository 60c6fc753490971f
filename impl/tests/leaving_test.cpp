// What a participant leaves behind when it goes: its accesses and its counts stay, though nobody looks at it any more.
#include "catch.hpp"
#include "tracked.hpp"

#include <hotindex/monitor/lock_free_stats.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace {
using namespace hotindex;
using Stats = LockFreeStats<ProductionBackend>;
constexpr std::uint64_t turns = 1000;

/// Shards of which only some are visited: those whose owners are there.
struct Shards {
    explicit Shards(std::size_t n) : all(n), there(n, true) {}
    [[nodiscard]] auto visit() const {
        return [this](auto&& v) {
            for (std::size_t i = 0; i != all.size(); ++i)
                if (there[i])
                    v(static_cast<const Stats::Shard&>(all[i]));
        };
    }
    std::vector<Stats::Shard> all;
    std::vector<bool> there;
};
} // namespace

TEMPLATE_TEST_CASE("accesses stay counted when nobody looks at the participant any more that gathered them",
                   "[monitor]", DefaultTraits, TinyTraits) {
    Tracked<TestType> records(tracked(Tracking::exact, {.hot_accesses = 2}), 3);
    std::vector<RecordId> ids;
    for (int i = 0; i != 400; ++i)
        ids.push_back(records.tracker.track(records.local(), records.begin));
    for (std::size_t p = 0; p != 3; ++p)
        for (std::size_t i = 0; i != ids.size(); ++i)
            records.tracker.access(records.local(p), ids[i],
                                   records.begin + 10 * static_cast<std::int64_t>(p) + static_cast<std::int64_t>(i));
    const AccessStats before = records.stats(ids[399]);
    CHECK(before.count == 3);
    records.tracker.leave(records.local(2));
    CHECK(records.stats(ids[399]).count == 3); // still looked at: not counted twice
    records.locals.pop_back();
    records.tracker.leave(records.local(1));
    records.locals.pop_back();
    std::size_t wrong = 0;
    for (const RecordId id : ids)
        wrong += records.stats(id).count != 3;
    CHECK(wrong == 0);
    CHECK(records.stats(ids[399]).last == before.last);
    CHECK(records.manage(records.begin).promotions == ids.size());
}

TEST_CASE("a participant that leaves twice, or comes back, counts nothing twice", "[monitor]") {
    Tracked<> records(tracked(Tracking::exact));
    const RecordId id = records.tracker.track(records.local(), records.begin);
    for (std::uint64_t round = 1; round != 4; ++round) {
        records.tracker.access(records.local(), id, records.begin);
        records.tracker.leave(records.local());
        records.tracker.leave(records.local());
        CHECK(records.stats(id).count == round);
    }
}

TEST_CASE("a participant that leaves drops its accesses to lives that are over", "[monitor]") {
    Tracked<> records(tracked(Tracking::exact), 2);
    const RecordId id = records.tracker.track(records.local(0), records.begin);
    records.tracker.access(records.local(1), id, records.begin);
    records.tracker.forget(records.local(0), id);
    REQUIRE(records.tracker.track(records.local(0), records.begin) == id);
    records.tracker.leave(records.local(1));
    CHECK(records.stats(id).count == 0);
    CHECK_FALSE(records.stats(id).last.has_value());
}

TEST_CASE("ten threads that access and leave again and again are counted exactly", "[monitor]") {
    Tracked<> records(tracked(Tracking::exact), team_size);
    std::vector<RecordId> ids;
    for (int i = 0; i != 20; ++i)
        ids.push_back(records.tracker.track(records.local(), records.begin));
    in_team([&](std::size_t t) {
        for (std::size_t i = 0; i != turns; ++i) {
            records.tracker.access(records.local(t), ids[i % ids.size()], records.begin);
            if (i % 7 == t % 7)
                records.tracker.leave(records.local(t));
        }
        records.tracker.leave(records.local(t));
    });
    records.locals.clear(); // nobody is looked at
    std::size_t wrong = 0;
    for (const RecordId id : ids)
        wrong += records.stats(id).count != team_size * turns / ids.size();
    CHECK(wrong == 0);
}

TEST_CASE("what a shard counted stays in the totals when its owner has left, and a reset covers it", "[monitor]") {
    Stats stats;
    Shards shards(3);
    const auto count = [&](std::size_t shard, std::uint64_t n) {
        shards.all[shard].promoted(n);
        shards.all[shard].answered(Stats::Timer(true), n, 10 * n);
    };
    const auto promotions = [&] { return stats.total(shards.visit()).promotions; };
    const auto leaves = [&](std::size_t shard) {
        stats.leave(shards.all[shard]);
        shards.there[shard] = false;
    };
    for (std::size_t shard = 0; shard != 3; ++shard)
        count(shard, shard + 1);
    CHECK(promotions() == 6);
    leaves(1);
    CHECK(promotions() == 6);
    CHECK(stats.total(shards.visit()).queries == 6);
    CHECK(stats.total(shards.visit()).similarity_computations == 60);
    stats.reset(shards.visit());
    CHECK(promotions() == 0);
    count(0, 5);
    leaves(0); // counted before and after the reset: only the latter shows
    CHECK(promotions() == 5);
    shards.there[1] = true; // another participant takes the shard over
    count(1, 7);
    CHECK(promotions() == 12);
    leaves(1);
    leaves(2);
    CHECK(promotions() == 12);
    stats.reset(shards.visit());
    CHECK(promotions() == 0);
    CHECK(stats.total(shards.visit()).query_time.count() == 0);
}

TEST_CASE("threads that count, leave and come back are never counted twice, and in the end exactly", "[monitor]") {
    Stats stats;
    std::vector<Stats::Shard> shards(team_size);
    const auto visit = [&](auto&& v) {
        for (const Stats::Shard& s : shards)
            v(s);
    };
    std::atomic<std::size_t> running{team_size - 1};
    std::atomic<bool> too_many{false};
    in_team([&](std::size_t t) {
        if (t != 0) {
            for (std::uint64_t i = 0; i != turns; ++i) {
                shards[t].demoted(3);
                stats.leave(shards[t]);
            }
            --running;
            return;
        }
        do {
            if (stats.total(visit).demotions > 3 * turns * (team_size - 1))
                too_many = true;
        } while (running != 0);
    });
    CHECK_FALSE(too_many);
    CHECK(stats.total(visit).demotions == 3 * turns * (team_size - 1));
    stats.reset(visit);
    CHECK(stats.total(visit).demotions == 0);
}

TEST_CASE("a total beside a participant that is stopped while it leaves comes after a few attempts", "[monitor]") {
    // A visit that itself begins a departure each time stands for departures without end.
    Stats stats;
    Stats::Shard restless;
    Stats::Shard other;
    other.promoted(5);
    int visits = 0;
    const auto visit = [&](auto&& v) {
        ++visits;
        stats.leave(restless);
        v(static_cast<const Stats::Shard&>(restless));
        v(static_cast<const Stats::Shard&>(other));
    };
    CHECK(stats.total(visit).promotions == 5);
    CHECK(visits > 1);
    CHECK(visits <= 100);
}
