// The white-box checker, checked: a correct history of many calls is accepted, and every kind of wrong stamp or answer
// is refused.
#include "catch.hpp"
#include "checkers/version_check.hpp"

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace {
using namespace hotindex::stress;

/// A history of an atomic index whose clock ticks once an update, as several threads would leave it.
History atomic_history(unsigned seed, std::size_t size) {
    std::mt19937 random(seed);
    History history{{}, {0, 1, 0, 0, 1, 0, 0, 0}, 2};
    std::vector<Value> state = history.start;
    std::uint64_t clock = 10;
    for (std::size_t i = 0; i != size; ++i) {
        Call c;
        c.operation = static_cast<Operation>(random() % 5);
        c.id = static_cast<Id>(random() % state.size());
        c.value = c.operation == Operation::add ? static_cast<Value>(i + 2) : state[c.id];
        c.yes = (state[c.id] != 0) != (c.operation == Operation::add);
        c.query = static_cast<Query>(random() % query_count);
        c.most = 1 + static_cast<std::uint32_t>(random() % 10);
        if (c.operation == Operation::search)
            c.found = best_of(state, c.query, c.most, 2);
        c.first_tick = clock - random() % 5;
        if (c.operation == Operation::add || (c.operation == Operation::remove && c.yes))
            c.stamp = ++clock;
        else if (c.operation == Operation::search)
            c.stamp = clock;
        c.last_tick = clock + random() % 5;
        REQUIRE(step(state, c, 2));
        history.calls.push_back(c);
    }
    return history;
}

/// The first call that `fits` from the middle on.
template <class Fits>
Call& some(History& history, Fits fits) {
    for (std::size_t i = history.calls.size() / 2; i != history.calls.size(); ++i)
        if (fits(history.calls[i]))
            return history.calls[i];
    FAIL("no such call");
    return history.calls.front();
}
} // namespace

TEST_CASE("a long correct history is accepted", "[checker]") {
    const History history = atomic_history(1, 20'000);
    const VersionVerdict verdict = check_versions(history);
    CHECK(verdict.correct());
    CHECK(verdict.updates + verdict.reads + verdict.searches == history.calls.size());
    CHECK(verdict.updates > 4000);
    CHECK(verdict.searches > 3000);
}

TEST_CASE("every kind of wrong stamp and answer is refused", "[checker]") {
    const History right = atomic_history(2, 2000);
    History history = right;
    std::size_t expected = 1; // wrong calls; a wrong update may make others wrong with it

    SECTION("an update before its call") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::add; });
        c.first_tick = c.stamp;
    }
    SECTION("an update after its call") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::remove && x.yes; });
        c.last_tick = c.stamp - 1;
    }
    SECTION("two updates at one time") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::add; });
        some(history, [&](const Call& x) {
            return x.operation == Operation::add && x.stamp > c.stamp && x.stamp <= c.stamp + 4;
        }).stamp = c.stamp;
    }
    SECTION("an insert that was a replacement") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::add && !x.yes; });
        c.yes = true;
    }
    SECTION("a removal of nothing") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::remove && !x.yes; });
        c.yes = true;
        c.stamp = c.last_tick;
    }
    SECTION("a get of what never was") {
        some(history, [](const Call& x) { return x.operation == Operation::get; }).value = 99'999;
    }
    SECTION("a get of what is gone") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::get && x.value != 0; });
        c.value = history.calls.front().value + 2;
        for (const Call& x : right.calls)
            if (x.operation == Operation::add && x.id == c.id) {
                c.value = x.value; // the first version of that id
                break;
            }
    }
    SECTION("a get of another id's value") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::get && x.value > 1; });
        c.id = (c.id + 1) % 8;
    }
    SECTION("a get that misses what was there all the time") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::get && x.value != 0; });
        c.value = 0;
        c.first_tick = c.last_tick = c.last_tick - (c.last_tick - c.first_tick) / 2;
        History whole = history;
        std::erase_if(history.calls, [&](const Call& x) { return x.operation == Operation::remove && x.id == c.id; });
        // What is left is not an execution any more; but the id was never removed, so no absence can be right.
    }
    SECTION("contains, yes and no") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::contains && !x.yes; });
        c.id = 7;
        c.yes = true;
        std::erase_if(history.calls, [](const Call& x) { return x.operation == Operation::add && x.id == 7; });
    }
    SECTION("a search outside of its call") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::search; });
        c.last_tick = c.stamp - 1;
        c.first_tick = c.stamp - 1;
    }
    SECTION("a search of another time") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::search && x.most == 10; });
        c.stamp += 2;
        c.last_tick = c.stamp + 10;
    }
    SECTION("a search that leaves out the best") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::search && x.found.size() > 1; });
        c.found.erase(c.found.begin());
    }
    SECTION("a search with one score wrong") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::search && x.found.size() > 1; });
        c.found[1].score += 1;
    }
    SECTION("a search with one result twice") {
        Call& c = some(history, [](const Call& x) { return x.operation == Operation::search && x.found.size() > 1; });
        c.found[1] = c.found[0];
    }

    REQUIRE(check_versions(right).correct());
    const VersionVerdict verdict = check_versions(history);
    CHECK(verdict.wrong >= expected);
    REQUIRE_FALSE(verdict.mistakes.empty());
    const Excerpt excerpt = excerpt_of(history, verdict);
    CHECK(excerpt.history.calls.size() <= 13);
    CHECK(in_words(excerpt.history.calls[excerpt.verdict.blamed]) == in_words(history.calls[verdict.mistakes[0].call]));
    CHECK(report(excerpt.history, excerpt.verdict).find("no order explains this") != std::string::npos);
}
