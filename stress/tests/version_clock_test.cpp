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
constexpr Word some_times[] = {0, 1, 2, Word{1} << 32, (Word{1} << 61) - 1, Word{1} << 61, (Word{1} << 62) - 1};

Word content(const Clock::AtomicWord& word) {
    return word.load(B::relaxed());
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
        Clock::AtomicWord word(version::pending(life));
        const Word stamp = clock.stamp(word, version::pending(life), edge::slot_birth);
        CHECK(stamp > latest);
        CHECK(content(word) == stamp);
        CHECK(clock.now() >= stamp); // a search from now on sees it
        latest = life % 3 == 0 ? clock.tick() : stamp;
    }
}

TEST_CASE("of two that stamp a word one wins, and both have its time", "[clock]") {
    Clock clock;
    Clock::AtomicWord word(version::pending(7));
    Word other = 0;
    Word mine = 0;
    {
        const Before between(Step::compare_exchange, edge::slot_birth,
                             [&] { other = clock.stamp(word, version::pending(7), edge::slot_birth); });
        mine = clock.stamp(word, version::pending(7), edge::slot_birth);
        REQUIRE(between.happened());
    }
    CHECK(version::is_timestamp(mine));
    CHECK(mine == other);
    CHECK(content(word) == mine);
    Clock::AtomicWord next(version::pending(8)); // the loser's time is nobody's
    CHECK(clock.stamp(next, version::pending(8), edge::slot_birth) == 3);
}

TEST_CASE("a stamp that is repeated changes nothing", "[clock]") {
    Clock clock;
    Clock::AtomicWord word(version::alive(3));
    const Word first = clock.stamp(word, version::alive(3), edge::slot_death);
    CHECK(clock.stamp(word, version::alive(3), edge::slot_death) == first);
    CHECK(content(word) == first);
}

TEST_CASE("a helper that comes late does not stamp another life", "[clock]") {
    const auto [from, becomes] = GENERATE(std::array{version::pending(1), version::pending(2)},
                                          std::array{version::pending(1), version::pending(version::lives - 1)},
                                          std::array{version::alive(1), version::alive(2)});
    const edge named = from == version::alive(1) ? edge::slot_death : edge::slot_birth;
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

TEST_CASE("what waits for its time is later than any time, and of one life", "[clock]") {
    std::set<Word> words;
    for (const std::uint64_t life : some_lives) {
        CHECK(words.insert(version::pending(life)).second);
        CHECK(words.insert(version::alive(life)).second);
    }
    for (const Word word : words) {
        CHECK_FALSE(version::is_timestamp(word));
        for (const Word time : some_times)
            CHECK(word > time);
    }
    for (const Word time : some_times)
        CHECK(version::is_timestamp(time));
}

TEST_CASE("the next life's number can be taken from the word of this one", "[clock]") {
    for (const std::uint64_t life : some_lives) {
        CHECK(version::pending(version::pending(life) + 1) == version::pending(life + 1));
        CHECK(version::alive(version::pending(life)) == version::alive(life));
    }
}

TEST_CASE("numbers of lives repeat after two to the sixtieth, and not before", "[clock]") {
    CHECK(version::lives == std::uint64_t{1} << 60);
    for (const std::uint64_t life : some_lives) {
        CHECK(version::pending(life + version::lives) == version::pending(life));
        CHECK(version::alive(life + version::lives) == version::alive(life));
    }
}

TEST_CASE("threads that stamp the same words agree on every time, and no time is given twice", "[clock][threads]") {
    constexpr std::size_t threads = 4;
    constexpr std::size_t words = 2000;
    Clock clock;
    std::vector<std::unique_ptr<Clock::AtomicWord>> cells;
    for (std::size_t i = 0; i != words; ++i)
        cells.push_back(std::make_unique<Clock::AtomicWord>(version::pending(i)));
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
                got[t].push_back(clock.stamp(*cells[i], version::pending(i), edge::slot_birth));
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
