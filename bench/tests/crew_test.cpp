// The threads of a measurement: what their laps come to together.
#include "harness/crew.hpp"

#include <atomic>
#include <catch.hpp>
#include <chrono>
#include <cstddef>
#include <sched.h>
#include <thread>
#include <vector>

namespace hotindex::bench {
namespace {
using namespace std::chrono_literals;

/// A lap from begin to end, in milliseconds.
Lap lap(int begin, int end, Tally tally = {}) {
    Lap made;
    made.begin = Clock::time_point(std::chrono::milliseconds(begin));
    made.end = Clock::time_point(std::chrono::milliseconds(end));
    made.tally = tally;
    return made;
}

/// What a crew with these laps comes to.
CrewLap sum_of(const std::vector<Lap>& laps) {
    Crew crew(laps.size());
    for (std::size_t i = 0; i != laps.size(); ++i)
        crew.lap(i) = laps[i];
    return crew.sum();
}

TEST_CASE("a crew's lap lasts from the first begin to the last end") {
    CHECK(sum_of({lap(100, 300), lap(150, 400), lap(120, 200)}).seconds == Catch::Approx(0.3));
    CHECK(sum_of({lap(100, 250)}).seconds == Catch::Approx(0.15));
}

TEST_CASE("fairness is the shortest lap to the longest") {
    CHECK(sum_of({lap(0, 200), lap(50, 150), lap(0, 400)}).fairness == Catch::Approx(0.25));
    CHECK(sum_of({lap(0, 200)}).fairness == 1);
    CHECK(sum_of({lap(5, 5), lap(5, 5)}).fairness == 1);
}

/// How even threads were with these laps, one a thread, each kept twice.
Evenness evenness_of(const std::vector<Lap>& laps) {
    Crew crew(laps.size());
    for (std::size_t i = 0; i != laps.size(); ++i) {
        crew.lap(i) = laps[i];
        crew.keep_worked(i);
        crew.forget_worked(i);
        crew.keep_worked(i);
        crew.keep_worked(i);
    }
    return crew.evenness();
}

TEST_CASE("threads have rates of their own, and Jain's index says how even they are") {
    const Evenness even = evenness_of({lap(0, 100, {50, 0, 0}), lap(10, 110, {30, 20, 0})});
    CHECK(even.jain == Catch::Approx(1));
    CHECK(even.slowest == Catch::Approx(500));
    CHECK(even.fastest == Catch::Approx(500));
    const Evenness uneven = evenness_of({lap(0, 100, {50, 0, 0}), lap(0, 300, {50, 0, 0})}); // 3 to 1
    CHECK(uneven.jain == Catch::Approx(16.0 / 20));
    CHECK(uneven.slowest == Catch::Approx(500.0 / 3));
    CHECK(uneven.fastest == Catch::Approx(500));
    CHECK(evenness_of({lap(0, 100, {50, 0, 0}), lap(0, 100)}).jain == Catch::Approx(0.5)); // one alone
    CHECK(evenness_of({lap(5, 5), lap(5, 5)}).jain == 1);
}

TEST_CASE("what the threads did is added, what succeeded apart from what failed") {
    std::vector<Lap> laps{lap(0, 100, {7, 2, 5}), lap(0, 100, {1, 3, -9})};
    laps[0].processor_seconds = 0.25;
    laps[1].processor_seconds = 0.5;
    const CrewLap whole = sum_of(laps);
    CHECK(whole.tally.succeeded == 8);
    CHECK(whole.tally.failed == 5);
    CHECK(whole.tally.growth == -4);
    CHECK(whole.processor_seconds == 0.75);
}

TEST_CASE("the thread beside is counted from the first begin to the last end") {
    std::vector<Lap> laps{lap(100, 200), lap(50, 150)};
    laps[0].beside_begin = 20;
    laps[0].beside_end = 60;
    laps[1].beside_begin = 10;
    laps[1].beside_end = 40;
    CHECK(sum_of(laps).beside_per_second == Catch::Approx(50 / 0.15));
    CHECK(sum_of({lap(5, 5)}).beside_per_second == 0);
}

TEST_CASE("a lap notes its work and that it took time") {
    Lap mine;
    mine.time([] {
        std::this_thread::sleep_for(2ms);
        return Tally{3, 4, 5};
    });
    CHECK(mine.tally.succeeded == 3);
    CHECK(mine.tally.failed == 4);
    CHECK(mine.tally.growth == 5);
    CHECK(mine.end - mine.begin >= 2ms);
    CHECK(mine.processor_seconds >= 0);
}

TEST_CASE("what one does alone, the others wait for") {
    constexpr std::size_t threads = 4;
    Crew crew(threads);
    CHECK(crew.size() == threads);
    std::atomic<int> arrived{0};
    std::atomic<int> wrong{0};
    int done = 0; // not atomic: the crew orders it
    std::vector<std::thread> all;
    for (std::size_t me = 0; me != threads; ++me)
        all.emplace_back([&, me] {
            for (int round = 1; round != 50; ++round) {
                ++arrived;
                crew.alone(me, [&] {
                    wrong += arrived == round * static_cast<int>(threads) ? 0 : 1;
                    ++done;
                });
                wrong += done == round ? 0 : 1;
                crew.meet();
            }
        });
    for (std::thread& each : all)
        each.join();
    CHECK(wrong == 0);
    CHECK(done == 49);
}

TEST_CASE("a pinned thread runs on one processor, and afterwards where it did before") {
    const auto allowed = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
        return set;
    };
    const cpu_set_t before = allowed();
    CHECK(static_cast<int>(usable_processors().size()) == CPU_COUNT(&before));
    for (std::size_t n = 0; n != usable_processors().size() + 1; ++n) {
        const Pinned pinned(true, n);
        const cpu_set_t now = allowed();
        CHECK(CPU_COUNT(&now) == 1);
        CHECK(CPU_ISSET(usable_processors()[n % usable_processors().size()], &now));
    }
    const cpu_set_t after = allowed();
    CHECK(CPU_EQUAL(&before, &after));
    const Pinned not_really(false, 0);
    const cpu_set_t free = allowed();
    CHECK(CPU_EQUAL(&before, &free));
}

} // namespace
} // namespace hotindex::bench
