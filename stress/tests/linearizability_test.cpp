// The black-box checker, checked: histories that it must accept, histories that it must refuse, and what is left of a
// long one when it is made small.
#include "catch.hpp"
#include "checkers/linearizability.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

namespace {
using namespace hotindex::stress;

// Calls of one line each: thread, begin, end, what, answer.
Call add(std::uint32_t thread, std::uint64_t begin, std::uint64_t end, Id id, Value value, bool inserted) {
    Call c;
    c.operation = Operation::add, c.thread = thread, c.begin = begin, c.end = end;
    c.id = id, c.value = value, c.yes = inserted;
    return c;
}
Call remove(std::uint32_t thread, std::uint64_t begin, std::uint64_t end, Id id, bool removed) {
    Call c;
    c.operation = Operation::remove, c.thread = thread, c.begin = begin, c.end = end, c.id = id, c.yes = removed;
    return c;
}
Call get(std::uint32_t thread, std::uint64_t begin, std::uint64_t end, Id id, Value value) {
    Call c;
    c.operation = Operation::get, c.thread = thread, c.begin = begin, c.end = end, c.id = id, c.value = value;
    return c;
}
Call contains(std::uint32_t thread, std::uint64_t begin, std::uint64_t end, Id id, bool yes) {
    Call c;
    c.operation = Operation::contains, c.thread = thread, c.begin = begin, c.end = end, c.id = id, c.yes = yes;
    return c;
}
/// The answer is that of a state.
Call search(std::uint32_t thread, std::uint64_t begin, std::uint64_t end, const std::vector<Value>& state,
            std::uint32_t k = 10, Query query = Query::largest) {
    Call c;
    c.operation = Operation::search, c.thread = thread, c.begin = begin, c.end = end, c.query = query, c.most = k;
    c.found = best_of(state, query, k, 2);
    return c;
}

Verdict::Kind verdict(std::vector<Call> calls, std::vector<Value> start = {0, 0, 0}) {
    History history{std::move(calls), std::move(start), 2};
    const Verdict forward = check_linearizable(history);
    std::reverse(history.calls.begin(), history.calls.end()); // the order in which they are noted means nothing
    CHECK(check_linearizable(history).kind == forward.kind);
    return forward.kind;
}
constexpr auto good = Verdict::linearizable;
constexpr auto bad = Verdict::violation;

/// Random calls by up to `threads` threads that answer as at one moment inside each call.
History atomic_history(unsigned seed, std::uint32_t threads, std::size_t size, bool searches) {
    std::mt19937 random(seed);
    History history{{}, {0, 5, 0}, 2};
    std::vector<Value> state = history.start;
    std::vector<std::uint64_t> free_from(threads, 0);
    std::uint64_t moment = 1000;
    for (std::size_t i = 0; i != size; ++i) {
        const auto thread = static_cast<std::uint32_t>(random() % threads);
        moment = std::max(moment, free_from[thread] + 1) + 1 + random() % 40;
        Call c;
        c.operation = static_cast<Operation>(random() % (searches ? 5 : 4));
        c.thread = thread;
        c.id = static_cast<Id>(random() % 3);
        c.begin = std::max(free_from[thread] + 1, moment - random() % 200);
        c.end = moment + random() % 200;
        free_from[thread] = c.end;
        c.value = c.operation == Operation::add ? static_cast<Value>(i + 10) : state[c.id];
        c.yes = (state[c.id] != 0) != (c.operation == Operation::add);
        c.most = 1 + static_cast<std::uint32_t>(random() % 4);
        c.query = static_cast<Query>(random() % query_count);
        if (c.operation == Operation::search)
            c.found = best_of(state, c.query, c.most, 2);
        CHECK(step(state, c, 2));
        history.calls.push_back(c);
    }
    return history;
}
} // namespace

TEST_CASE("rows carry their own checksum, and scores follow from it", "[checker]") {
    for (const std::size_t dimension : {2u, 16u, 128u})
        for (const Value value : {1u, 17u, 61u, most_value}) {
            auto row = row_of(value, dimension);
            CHECK(value_of(row) == value);
            for (std::size_t q = 0; q != query_count; ++q) {
                const auto floats = floats_of(static_cast<Query>(q), dimension);
                CHECK(std::inner_product(row.begin(), row.end(), floats.begin(), 0.0) ==
                      static_cast<double>(score_of(static_cast<Query>(q), value, dimension)));
            }
            row[dimension - 1] += 1;
            CHECK(value_of(row) == std::nullopt);
        }
    CHECK(id_of_name(name_of_id(12)) == 12);
    CHECK(id_of_name("id-12") == std::nullopt);
    CHECK(name_of_id(9) < name_of_id(10));
}

TEST_CASE("histories that have an order are accepted", "[checker]") {
    CHECK(verdict({}) == good);
    CHECK(verdict({add(0, 1, 2, 0, 7, true), get(1, 3, 4, 0, 7), remove(0, 5, 6, 0, true), get(1, 7, 8, 0, 0)}) ==
          good);
    // Overlapping calls in either order.
    CHECK(verdict({add(0, 1, 10, 0, 7, true), get(1, 2, 3, 0, 0), get(1, 4, 5, 0, 7)}) == good);
    CHECK(verdict({add(0, 1, 10, 0, 7, true), add(1, 1, 10, 0, 8, false), get(2, 11, 12, 0, 8)}) == good);
    CHECK(verdict({add(0, 1, 10, 0, 7, false), add(1, 1, 10, 0, 8, true), get(2, 11, 12, 0, 7)}) == good);
    // Calls that touch at one moment overlap.
    CHECK(verdict({add(0, 1, 5, 0, 7, true), get(1, 5, 6, 0, 0)}) == good);
    // A search in the middle of two adds sees any beginning of one order of them.
    CHECK(verdict({add(0, 1, 10, 0, 7, true), add(1, 1, 10, 1, 8, true), search(2, 2, 9, {0, 8, 0})}) == good);
    CHECK(verdict({search(0, 1, 2, {9, 8, 0}, 1, Query::smallest)}, {9, 8, 0}) == good);
    // What has not returned may have happened, or not.
    CHECK(verdict({add(0, 1, never, 0, 7, false), get(1, 5, 6, 0, 0), get(1, 7, 8, 0, 7)}) == good);
    CHECK(verdict({remove(0, 1, never, 0, false), get(1, 5, 6, 0, 3), contains(1, 7, 8, 0, false)}, {3, 0, 0}) == good);
}

TEST_CASE("histories that have no order are refused", "[checker]") {
    CHECK(verdict({get(0, 1, 2, 0, 7)}) == bad);                                              // out of thin air
    CHECK(verdict({add(0, 1, 2, 0, 7, true), get(1, 3, 4, 0, 0)}) == bad);                    // lost
    CHECK(verdict({add(0, 1, 2, 0, 7, false)}) == bad);                                       // replaced nothing
    CHECK(verdict({add(0, 1, 9, 0, 7, true), add(1, 1, 9, 0, 8, true)}) == bad);              // inserted twice
    CHECK(verdict({remove(0, 1, 9, 0, true), remove(1, 1, 9, 0, true)}, {3, 0, 0}) == bad);   // removed twice
    CHECK(verdict({remove(0, 1, 2, 0, true), contains(1, 3, 4, 0, true)}, {3, 0, 0}) == bad); // still there
    // New, then old again.
    CHECK(verdict({add(0, 1, 10, 0, 7, false), get(1, 2, 3, 0, 7), get(1, 4, 5, 0, 3)}, {3, 0, 0}) == bad);
    CHECK(verdict({add(0, 1, never, 0, 7, false), get(1, 2, 3, 0, 7), get(1, 4, 5, 0, 3)}, {3, 0, 0}) == bad);
    // Two threads see two adds in opposite orders: every id by itself is in order, the searches are not.
    CHECK(verdict({add(0, 1, 20, 0, 7, true), add(1, 1, 20, 1, 8, true), search(2, 2, 9, {7, 0, 0}),
                   search(3, 2, 9, {0, 8, 0})}) == bad);
    // A search that misses what one before it has seen.
    CHECK(verdict({add(0, 1, 20, 0, 7, true), search(1, 2, 3, {7, 0, 0}), search(1, 4, 5, {0, 0, 0})}) == bad);
    // A state that never was: the token is in neither place.
    CHECK(verdict({add(0, 1, 2, 1, 8, true), remove(0, 3, 4, 0, true), search(1, 1, 5, {0, 0, 0})}, {7, 0, 0}) == bad);
    // The second best as the best, a wrong score, and one too many.
    CHECK(verdict({search(0, 1, 2, {0, 8, 0}, 1)}, {9, 8, 0}) == bad);
    Call wrong = search(0, 1, 2, {9, 8, 0});
    wrong.found[1].score += 1;
    CHECK(verdict({wrong}, {9, 8, 0}) == bad);
    Call twice = search(0, 1, 2, {9, 8, 0});
    twice.found.push_back(twice.found[1]);
    CHECK(verdict({twice}, {9, 8, 0}) == bad);
    // Equal scores in the wrong order of ids.
    Call tie = search(0, 1, 2, {9, 9, 0});
    CHECK(verdict({tie}, {9, 9, 0}) == good);
    std::swap(tie.found[0], tie.found[1]);
    CHECK(verdict({tie}, {9, 9, 0}) == bad);
}

TEST_CASE("histories of an atomic index are accepted, and refused with one answer changed", "[checker]") {
    int refused = 0;
    for (unsigned seed = 0; seed != 300; ++seed) {
        const bool searches = seed % 2 == 0;
        History history = atomic_history(seed, 4, 24, searches);
        const Verdict verdict = check_linearizable(history);
        REQUIRE(verdict.kind == good);
        CHECK(verdict.order.size() == history.calls.size());
        // A get that answers what was never written is wrong in any order.
        for (Call& c : history.calls)
            if (c.operation == Operation::get) {
                c.value = 9'999;
                CHECK(check_linearizable(history).kind == bad);
                ++refused;
                break;
            }
    }
    CHECK(refused > 200);
}

TEST_CASE("a search that takes too long is given up, and says so", "[checker]") {
    History history{{}, {0}, 2};
    for (std::uint32_t t = 0; t != 20; ++t)
        history.calls.push_back(add(t, 1, 100, 0, t + 1, t == 0));
    history.calls.push_back(get(20, 200, 201, 0, 99));
    CHECK(check_linearizable(history, 1000).kind == Verdict::undecided);
}

TEST_CASE("a violating history is made small, and is still wrong for the same reason", "[checker]") {
    for (unsigned seed = 0; seed != 40; ++seed) {
        History history = atomic_history(seed, 3, 40, seed % 2 == 0);
        // A remove that everybody has seen, undone.
        const std::uint64_t late = 1'000'000;
        history.calls.push_back(add(0, late, late + 10, 0, 50, true));
        std::vector<Value> state = history.start;
        for (const Call& c : history.calls)
            (void)step(state, c, 2);
        history.calls.back().yes = check_linearizable(history).kind == good;
        REQUIRE(check_linearizable(history).kind == good);
        history.calls.push_back(remove(1, late + 20, late + 30, 0, true));
        history.calls.push_back(contains(2, late + 25, late + 26, 1, state[1] != 0));
        history.calls.push_back(get(2, late + 40, late + 50, 0, 50));
        history.calls.push_back(add(1, late + 60, late + 70, 0, 51, true));
        REQUIRE(check_linearizable(history).kind == bad);
        const History least = minimised(history);
        const Verdict verdict = check_linearizable(least);
        CHECK(verdict.kind == bad);
        CHECK(least.calls.size() <= 3);
        CHECK(in_words(least.calls[verdict.blamed]) == "get id 0: 50");
        const std::string text = report(least, verdict);
        CHECK(text.find("get id 0: 50") != std::string::npos);
        CHECK(text.find("no order explains this") != std::string::npos);
        const std::string page = timeline(least, verdict, "planted <violation>");
        CHECK(page.find("planted &lt;violation&gt;") != std::string::npos);
        CHECK(page.find("#e4572e") != std::string::npos);
        CHECK(page.find("</svg>") != std::string::npos);
    }
}

TEST_CASE("the recorder keeps the calls of each thread with a begin before the end", "[checker]") {
    Recorder recorder(2);
    recorder.lane(0).record(add(9, 0, 0, 1, 5, false), [](Call& c) { c.yes = true; });
    recorder.lane(1).record(get(9, 0, 0, 1, 0), [](Call& c) { c.value = 5; });
    const std::vector<Call> calls = recorder.take();
    REQUIRE(calls.size() == 2);
    CHECK(calls[0].thread == 0);
    CHECK(calls[0].yes);
    CHECK(calls[0].begin <= calls[0].end);
    CHECK(calls[0].end <= calls[1].begin);
    CHECK(calls[1].thread == 1);
    CHECK(calls[1].value == 5);
    CHECK(recorder.take().empty());
}
