// Announced times: which lives they keep, who decides one that is undecided, and when it ends.
#include "catch.hpp"
#include "tests/interruption.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/store/snapshot_times.hpp>
#include <hotindex/store/version_clock.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
using B = StressBackend;
using Times = SnapshotTimes<B, DefaultTraits>;
using Announcement = Times::Announcement;
using version::Word;

struct Instants {
    VersionClock<B> clock;
    Times times{clock};
    void pass_to(Word time) {
        while (clock.now() < time)
            clock.tick();
    }
    /// As a pass over limbo asks: a look first.
    [[nodiscard]] bool watched(Word birth, Word death) { return times.watched(times.announced_range(), birth, death); }
};

struct Searcher {
    explicit Searcher(Instants& i) : place(i.times) { place.join(); }
    Searcher(const Searcher&) = delete;
    Searcher& operator=(const Searcher&) = delete;
    ~Searcher() { place.leave(); }
    [[nodiscard]] Announcement announce() { return Announcement(place); }
    Times::Announcer place;
};

/// Where the searcher has opened its announcement and has not read the clock yet.
template <class Others>
[[nodiscard]] Announcement announce_while(Searcher& searcher, Others others) {
    const Before between(Step::load, edge::version_clock, others);
    Announcement a = searcher.announce();
    REQUIRE(between.happened());
    return a;
}

/// Another thread that looks, and stands still where it has met an undecided one and has not decided it yet.
class LateDecision {
  public:
    explicit LateDecision(Instants& instants) : instants_(instants) {}
    /// Returns when it stands still, or has met none.
    void begin() {
        thread_ = std::thread([this] {
            const Before between(Step::compare_exchange, edge::snapshot_decided, [this] {
                has_met_it_.release();
                goes_on_.acquire();
            });
            seen_ = instants_.times.announced_range();
            has_met_it_.release();
        });
        has_met_it_.acquire();
    }
    void finish() {
        goes_on_.release();
        thread_.join();
    }
    /// What its look returned.
    [[nodiscard]] const Times::Range& seen() const { return seen_; }

  private:
    Instants& instants_;
    Times::Range seen_;
    std::counting_semaphore<2> has_met_it_{0};
    std::binary_semaphore goes_on_{0};
    std::thread thread_;
};

bool is_empty(const Times::Range& range) {
    return range.oldest > range.newest;
}
bool is_from_to(const Times::Range& range, Word oldest, Word newest) {
    return range.oldest == oldest && range.newest == newest;
}
} // namespace

TEST_CASE("an announcement is of the clock's time, and lasts until its end", "[snapshots]") {
    Instants instants;
    Searcher searcher(instants);
    CHECK(is_empty(instants.times.announced_range()));
    CHECK(instants.times.announced() == 0);
    CHECK_FALSE(instants.watched(0, version::first_special - 1));
    for (const Word time : {0u, 4u, 9u}) {
        instants.pass_to(time);
        const Announcement a = searcher.announce();
        instants.pass_to(time + 3);
        CHECK(a.time() == time);
        CHECK(instants.times.announced() == 1);
        CHECK(is_from_to(instants.times.announced_range(), time, time));
    }
    CHECK(instants.times.announced() == 0);
    CHECK(is_empty(instants.times.announced_range()));
}

TEST_CASE("a life contains the time of its birth, and not that of its death", "[snapshots]") {
    Instants instants;
    Searcher searcher(instants);
    instants.pass_to(5);
    const Announcement a = searcher.announce();
    instants.pass_to(20);
    CHECK(instants.watched(5, 6));
    CHECK(instants.watched(4, 6));
    CHECK(instants.watched(0, 20));
    CHECK_FALSE(instants.watched(4, 5));
    CHECK_FALSE(instants.watched(6, 20));
    CHECK_FALSE(instants.watched(0, 4));
}

TEST_CASE("a life between two announced times is kept by neither", "[snapshots]") {
    Instants instants;
    Searcher early(instants), late(instants);
    instants.pass_to(2);
    const Announcement a = early.announce();
    instants.pass_to(8);
    const Announcement b = late.announce();
    instants.pass_to(20);
    CHECK(is_from_to(instants.times.announced_range(), 2, 8));
    CHECK_FALSE(instants.watched(3, 8));
    CHECK_FALSE(instants.watched(4, 6));
    CHECK(instants.watched(3, 9));
    CHECK(instants.watched(2, 3));
}

TEST_CASE("an announcement that has ended since the look keeps nothing", "[snapshots]") {
    Instants instants;
    Searcher searcher(instants);
    instants.pass_to(5);
    auto a = std::optional(searcher.announce());
    instants.pass_to(9);
    const Times::Range range = instants.times.announced_range();
    CHECK(instants.times.watched(range, 4, 9));
    a.reset();
    CHECK_FALSE(instants.times.watched(range, 4, 9));
}

TEST_CASE("who meets an undecided announcement decides it, and its searcher takes that time", "[snapshots]") {
    Instants instants;
    Searcher searcher(instants);
    instants.pass_to(5);
    Times::Range seen;
    const Announcement a = announce_while(searcher, [&] {
        CHECK(instants.times.announced() == 1);
        seen = instants.times.announced_range();
        instants.pass_to(8);
    });
    CHECK(is_from_to(seen, 5, 5));
    CHECK(a.time() == 5);
    CHECK(is_from_to(instants.times.announced_range(), 5, 5));
    CHECK(instants.watched(5, 6));
}

TEST_CASE("of two that decide an announcement one wins, and the other takes that time", "[snapshots]") {
    Instants instants;
    Searcher searcher(instants);
    instants.pass_to(5);
    Times::Range first, second;
    const Announcement a = announce_while(searcher, [&] {
        const Before between(Step::load, edge::version_clock, [&] {
            first = instants.times.announced_range();
            instants.pass_to(8);
        });
        second = instants.times.announced_range();
        CHECK(between.happened());
    });
    CHECK(is_from_to(first, 5, 5));
    CHECK(is_from_to(second, 5, 5));
    CHECK(a.time() == 5);
}

TEST_CASE("a decision that comes late does not reach the searcher's next announcement", "[snapshots][threads]") {
    Instants instants;
    Searcher searcher(instants);
    instants.pass_to(5);
    LateDecision other(instants);
    {
        const Announcement first = announce_while(searcher, [&] { other.begin(); });
        CHECK(first.time() == 5);
    }
    instants.pass_to(8);
    const Announcement second = announce_while(searcher, [&] { other.finish(); });
    CHECK(second.time() == 8);
    CHECK(is_empty(other.seen())); // the first has ended, and the second was opened after the look
    CHECK(is_from_to(instants.times.announced_range(), 8, 8));
}

TEST_CASE("a decision that comes after the announcement's end is no time", "[snapshots][threads]") {
    Instants instants;
    Searcher searcher(instants);
    instants.pass_to(5);
    LateDecision other(instants);
    {
        const Announcement a = announce_while(searcher, [&] { other.begin(); });
    }
    other.finish();
    CHECK(is_empty(other.seen()));
    CHECK(instants.times.announced() == 0);
}

TEST_CASE("an announcement that begins after the look keeps nothing that had died", "[snapshots]") {
    Instants instants;
    Searcher early(instants), late(instants), latest(instants);
    instants.pass_to(2);
    const Announcement a = early.announce();
    instants.pass_to(8);
    const Announcement b = late.announce();
    const Times::Range range = instants.times.announced_range();
    const Announcement c = announce_while(latest, [&] { CHECK_FALSE(instants.times.watched(range, 4, 6)); });
    CHECK(c.time() >= 6);
}

TEST_CASE("announcements of one searcher end one by one, in any order", "[snapshots]") {
    Instants instants;
    Searcher searcher(instants);
    std::vector<std::optional<Announcement>> all;
    for (const Word time : {1u, 3u, 5u}) {
        instants.pass_to(time);
        all.emplace_back(searcher.announce());
        CHECK(all.back()->time() == time);
    }
    instants.pass_to(9);
    CHECK(instants.times.announced() == 3);
    const std::size_t first_to_end = GENERATE(0u, 1u, 2u);
    for (std::size_t i = 0; i != 3; ++i) {
        const std::size_t ends = (first_to_end + i) % 3;
        CHECK(instants.watched(2 * ends + 1, 2 * ends + 2));
        all[ends].reset();
        CHECK_FALSE(instants.watched(2 * ends + 1, 2 * ends + 2));
        CHECK(instants.times.announced() == 2 - i);
    }
    const Announcement again = searcher.announce();
    CHECK(again.time() == 9);
    CHECK(is_from_to(instants.times.announced_range(), 9, 9));
}

TEST_CASE("an announcement that was moved ends once, where it has gone", "[snapshots]") {
    Instants instants;
    Searcher searcher(instants);
    instants.pass_to(5);
    {
        auto from = std::optional(searcher.announce());
        const Announcement to(std::move(*from));
        from.reset();
        CHECK(to.time() == 5);
        CHECK(instants.times.announced() == 1);
        CHECK(instants.watched(5, 6));
    }
    CHECK(instants.times.announced() == 0);
}

TEST_CASE("an announcement outlasts its searcher's leaving, and nobody gets its cell meanwhile", "[snapshots]") {
    Instants instants;
    Times::Announcer place(instants.times);
    place.join();
    instants.pass_to(3);
    auto a = std::optional<Announcement>(place);
    place.leave();
    instants.pass_to(7);
    {
        Searcher other(instants);
        const Announcement b = other.announce();
        CHECK(b.time() == 7);
        CHECK(instants.times.announced() == 2);
        CHECK(is_from_to(instants.times.announced_range(), 3, 7));
    }
    CHECK(instants.watched(3, 4));
    a.reset();
    CHECK(instants.times.announced() == 0);
    CHECK_FALSE(instants.watched(3, 4));
}

TEST_CASE("a time lies between call and return, and no look misses it while it is announced", "[snapshots][threads]") {
    constexpr int searches = 3000;
    constexpr std::size_t searchers = 3;
    Instants instants;
    std::atomic<std::size_t> at_work{searchers};
    std::atomic<int> outside{0}, missed{0}, unwatched{0};
    std::vector<std::thread> team;
    for (std::size_t s = 0; s != searchers; ++s)
        team.emplace_back([&] {
            Searcher searcher(instants);
            for (int i = 0; i != searches; ++i) {
                const Word before = instants.clock.now();
                const Announcement a = searcher.announce();
                const Word time = a.time();
                outside += time < before || time > instants.clock.now() ? 1 : 0;
                const Times::Range range = instants.times.announced_range();
                missed += time < range.oldest || time > range.newest ? 1 : 0;
                unwatched += instants.times.watched(range, time, time + 1) ? 0 : 1;
                outside += a.time() == time ? 0 : 1;
            }
            --at_work;
        });
    team.emplace_back([&] { // as updates do, and decides what is undecided
        while (at_work != 0) {
            instants.clock.tick();
            (void)instants.times.announced_range();
        }
    });
    for (auto& t : team)
        t.join();
    CHECK(outside == 0);
    CHECK(missed == 0);
    CHECK(unwatched == 0);
    CHECK(instants.times.announced() == 0);
}
