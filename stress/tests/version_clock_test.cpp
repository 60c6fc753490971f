// The version clock: times grow, a word is stamped once, and no special word is taken for a time or for another one.
#include "catch.hpp"
#include "tests/interruption.hpp"

#include <hotindex/store/version_clock.hpp>

#include <array>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::tests;
using B = StressBackend;
using Clock = VersionClock<B>;
using version::Word;

constexpr std::uint64_t some_lives[] = {0, 1, 2, 0xFFFF'FFFF, version::lives - 1};
constexpr std::uint32_t some_slots[] = {0, 1, 63, (std::uint32_t{1} << 31) - 1, ~std::uint32_t{0} - 1};
constexpr Word some_times[] = {0, 1, 2, Word{1} << 32, (Word{1} << 61) - 1, Word{1} << 61, (Word{1} << 62) - 1};

Word content(const Clock::AtomicWord& word) {
    return word.load(B::relaxed());
}

/// Bit 63 of these is what a scan of eight slots goes by.
bool top(Word w) {
    return w >> 63 == 1;
}
bool is_unfinished_birth(Word birth) {
    return top(birth & birth << 2);
}
bool is_unfinished_death(Word death) {
    return top(death & (death + 1));
}
} // namespace

TEST_CASE("a clock begins at zero and a tick is the next time", "[clock]") {
    Clock clock;
    CHECK(clock.now() == 0);
    for (Word t = 1; t != 100; ++t) {
        CHECK(clock.tick() == t);
        CHECK(clock.now() == t);
    }
}

TEST_CASE("every stamp is later than all that were seen before it", "[clock]") {
    Clock clock;
    Word latest = clock.now();
    for (std::uint64_t life = 0; life != 100; ++life) {
        Clock::AtomicWord word(version::unstamped(life));
        const Word stamp = clock.stamp(word, version::unstamped(life), edge::slot_birth);
        CHECK(stamp > latest);
        CHECK(content(word) == stamp);
        CHECK(clock.now() >= stamp); // a search from now on sees it
        latest = life % 3 == 0 ? clock.tick() : stamp;
    }
}

TEST_CASE("of two that stamp a word one wins, and both have its time", "[clock]") {
    Clock clock;
    Clock::AtomicWord word(version::unstamped(7));
    Word other = 0;
    Word mine = 0;
    {
        const Before between(Step::compare_exchange, edge::slot_birth,
                             [&] { other = clock.stamp(word, version::unstamped(7), edge::slot_birth); });
        mine = clock.stamp(word, version::unstamped(7), edge::slot_birth);
        REQUIRE(between.happened());
    }
    CHECK(version::is_timestamp(mine));
    CHECK(mine == other);
    CHECK(content(word) == mine);
    Clock::AtomicWord next(version::unstamped(8)); // the loser's time is nobody's
    CHECK(clock.stamp(next, version::unstamped(8), edge::slot_birth) == 3);
}

TEST_CASE("a stamp that is repeated changes nothing", "[clock]") {
    Clock clock;
    Clock::AtomicWord word(version::dead_unstamped(3));
    const Word first = clock.stamp(word, version::dead_unstamped(3), edge::slot_death);
    CHECK(clock.stamp(word, version::dead_unstamped(3), edge::slot_death) == first);
    CHECK(content(word) == first);
}

TEST_CASE("a helper that comes late does not stamp another life", "[clock]") {
    const auto [from, becomes] = GENERATE(std::array{version::unstamped(1), version::vacant},
                                          std::array{version::unstamped(1), version::pending(2)},
                                          std::array{version::unstamped(1), version::unstamped(2)},
                                          std::array{version::unstamped(1), version::unstamped(version::lives - 1)},
                                          std::array{version::dead_unstamped(1), version::alive},
                                          std::array{version::dead_unstamped(1), version::link(1)},
                                          std::array{version::dead_unstamped(1), version::dead_unstamped(2)});
    const edge named = version::is_dead_unstamped(from) ? edge::slot_death : edge::slot_birth;
    Clock clock;
    Clock::AtomicWord word(from);
    Word returned = 0;
    {
        const Before between(Step::compare_exchange, named, [&, next = becomes] { word.store(next, B::relaxed()); });
        returned = clock.stamp(word, from, named);
        REQUIRE(between.happened());
    }
    CHECK(content(word) == becomes);
    CHECK(returned == becomes); // which is no time
    CHECK_FALSE(version::is_timestamp(returned));
}

TEST_CASE("every special word is later than any time, and each is told from the others", "[clock]") {
    std::set<Word> births{version::vacant};
    std::set<Word> deaths{version::alive};
    for (const std::uint64_t life : some_lives) {
        CHECK(births.insert(version::pending(life)).second);
        CHECK(births.insert(version::unstamped(life)).second);
        CHECK(deaths.insert(version::dead_unstamped(life)).second);
        CHECK(version::is_pending(version::pending(life)));
        CHECK(version::is_unstamped(version::unstamped(life)));
        CHECK(version::is_dead_unstamped(version::dead_unstamped(life)));
        CHECK_FALSE(version::is_pending(version::unstamped(life)));
        CHECK_FALSE(version::is_unstamped(version::pending(life)));
    }
    for (const std::uint32_t slot : some_slots) {
        CHECK(deaths.insert(version::link(slot)).second);
        CHECK(version::successor_of(version::link(slot)) == slot);
        CHECK_FALSE(version::is_dead_unstamped(version::link(slot)));
    }
    CHECK_FALSE(version::is_pending(version::vacant));
    CHECK_FALSE(version::is_unstamped(version::vacant));
    CHECK_FALSE(version::is_dead_unstamped(version::alive));
    for (const auto& words : {births, deaths})
        for (const Word word : words) {
            CHECK_FALSE(version::is_timestamp(word));
            for (const Word time : some_times)
                CHECK(word > time);
        }
    for (const Word time : some_times) {
        CHECK(version::is_timestamp(time));
        CHECK_FALSE(version::is_pending(time));
        CHECK_FALSE(version::is_unstamped(time));
        CHECK_FALSE(version::is_dead_unstamped(time));
    }
}

TEST_CASE("one bit of a word tells a scan whether there is something to finish", "[clock]") {
    CHECK_FALSE(is_unfinished_birth(version::vacant));
    CHECK_FALSE(is_unfinished_death(version::alive));
    for (const std::uint64_t life : some_lives) {
        CHECK_FALSE(is_unfinished_birth(version::pending(life)));
        CHECK(is_unfinished_birth(version::unstamped(life)));
        CHECK(is_unfinished_death(version::dead_unstamped(life)));
        CHECK(version::unstamped(life) < version::first_special + (Word{1} << 62));
    }
    CHECK(version::vacant < version::first_special + (Word{1} << 62));
    for (const std::uint32_t slot : some_slots)
        CHECK(is_unfinished_death(version::link(slot)));
    for (const Word time : some_times) {
        CHECK_FALSE(is_unfinished_birth(time));
        CHECK_FALSE(is_unfinished_death(time));
    }
}

TEST_CASE("numbers of lives repeat after two to the sixtieth, and not before", "[clock]") {
    CHECK(version::lives == std::uint64_t{1} << 60);
    for (const std::uint64_t life : some_lives) {
        CHECK(version::pending(life + version::lives) == version::pending(life));
        CHECK(version::unstamped(life + version::lives) == version::unstamped(life));
        CHECK(version::dead_unstamped(life + version::lives) == version::dead_unstamped(life));
    }
}

TEST_CASE("threads that stamp the same words agree on every time, and no time is given twice", "[clock][threads]") {
    constexpr std::size_t threads = 4;
    constexpr std::size_t words = 2000;
    Clock clock;
    std::vector<std::unique_ptr<Clock::AtomicWord>> cells;
    for (std::size_t i = 0; i != words; ++i)
        cells.push_back(std::make_unique<Clock::AtomicWord>(version::unstamped(i)));
    std::array<std::vector<Word>, threads> got;
    std::array<bool, threads> grew{};
    std::barrier at_once(threads);
    std::vector<std::thread> team;
    for (std::size_t t = 0; t != threads; ++t)
        team.emplace_back([&, t] {
            at_once.arrive_and_wait();
            bool later = true;
            for (std::size_t i = 0; i != words; ++i) {
                const Word before = clock.now();
                got[t].push_back(clock.stamp(*cells[i], version::unstamped(i), edge::slot_birth));
                const Word after = clock.now();
                later = later && after > before && got[t].back() <= after;
            }
            grew[t] = later;
        });
    for (auto& t : team)
        t.join();
    std::set<Word> times;
    for (std::size_t i = 0; i != words; ++i)
        times.insert(content(*cells[i]));
    CHECK(times.size() == words);
    CHECK(clock.now() == threads * words);
    for (std::size_t t = 0; t != threads; ++t) {
        CHECK(grew[t]);
        std::size_t others = 0;
        for (std::size_t i = 0; i != words; ++i)
            others += got[t][i] != content(*cells[i]) ? 1 : 0;
        CHECK(others == 0);
    }
}
