// The maps at real size, on real threads: small histories searched for an order that explains them, threads that stop
// for ever at every step, and visits in order beside changes. What needs no order runs on all maps.
#include "catch.hpp"
#include "checkers/linearizability.hpp"
#include "harness/map_subject.hpp"
#include "harness/random_calls.hpp"
#include "harness/stopped_thread.hpp"
#include "harness/stress_backend.hpp"
#include "harness/subject.hpp"
#include "harness/visits.hpp"
#include "tests/history_plans.hpp"

#include <hotindex/map/lock_free_btree.hpp>
#include <hotindex/map/lock_free_hash_map.hpp>
#include <hotindex/map/lock_free_skip_list.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace hotindex;
using namespace hotindex::stress;

template <class Traits>
using HashMap =
    LockFreeHashMap<std::string, Value, DefaultHash<std::string>, DefaultEqual<std::string>, StressBackend, Traits>;
template <class Traits>
using SkipList = LockFreeSkipList<std::string, Value, DefaultLess<std::string>, StressBackend, Traits>;
template <class Traits>
using BTree = LockFreeBTree<std::string, Value, DefaultLess<std::string>, StressBackend, Traits>;

/// The report of the first violation in so many rounds.
template <class Map, class MakeSchedule>
std::optional<std::string> violation_of(std::size_t rounds, MakeSchedule make_schedule) {
    for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
        Plan plan = small_plan(seed);
        plan.weights = {4, 3, 3, 2, 0};
        MapSubject<Map> subject;
        const std::unique_ptr<Schedule> schedule = make_schedule(plan.threads, seed);
        const History history = play(subject, plan, schedule.get());
        const Verdict verdict = check_linearizable(history);
        if (verdict.kind != Verdict::linearizable)
            return "seed " + std::to_string(seed) + ": " + report(history, verdict);
        if (!subject.join()->drain())
            return "seed " + std::to_string(seed) + ": something stays in limbo";
    }
    return std::nullopt;
}

/// Ends the process where a call takes more steps than any does that waits for nobody.
class Allowance final : public StepListener {
  public:
    void before(Step) override {
        if (++steps_ > 1'000'000)
            std::_Exit(ControlledSchedule::no_progress_status);
    }

  private:
    std::uint64_t steps_ = 0;
};

/// Stops a thread at each step of `work(map, me)`, which concerns keys that begin with "3" only; how many steps there are. The
/// others go on meanwhile, with right answers.
template <class Map>
std::size_t stops_in(const std::function<void(Map&, const typename Map::Handle&)>& work, std::size_t& wrong) {
    for (std::size_t step = 0;; ++step) {
        Map map;
        const auto me = map.join();
        for (int i = 0; i != 6; ++i)
            map.insert(me, std::to_string(i), Value{1});
        {
            const StoppedThread stopped(step, [&](StepListener& listener) {
                const auto own = map.join();
                const Listening listening(listener);
                work(map, own);
            });
            if (!stopped.where())
                return step;
            Allowance allowance;
            const Listening listening(allowance);
            for (int i = 0; i != 8; ++i) {
                const std::string key = std::to_string(i);
                const bool there = map.contains(me, key);
                const auto right = [&wrong](bool is_right) { wrong += is_right ? 0u : 1u; };
                right(i == 3 || there == (i < 6));
                right(map.insert(me, key, Value{2}) != there);
                right(map.update(me, key, [](Value) { return Value{3}; }));
                right(map.exchange(me, key, Value{4}) == Value{3});
                right(map.get(me, key) == Value{4});
                right(map.erase(me, key));
                right(!map.contains(me, key));
                right(map.insert(me, key, Value{5}));
            }
            std::size_t seen = 0;
            map.for_each(me, [&seen](const std::string&, Value value) { seen += value == 5 ? 1u : 0u; });
            wrong += seen == 8 ? 0u : 1u;
        }
        wrong += map.drain(me) ? 0u : 1u;
    }
}

/// Wrong visits, of so many numbers, while others write as long as the visits take.
template <class Map>
std::size_t wrong_visits_in(int numbers, int walks) {
    Map map;
    return wrong_visits_beside_changes(map, VisitPlan{.numbers = numbers, .walks = walks}, nullptr) +
           (map.drain() ? 0u : 1u);
}
} // namespace

TEMPLATE_TEST_CASE("small histories of a map are linearizable", "[map][history]", HashMap<TinyTraits>,
                   SkipList<TinyTraits>, SkipList<DefaultTraits>, BTree<TinyTraits>, BTree<DefaultTraits>) {
    const auto none = [](std::size_t rounds, auto schedule) {
        const auto violation = violation_of<TestType>(rounds, schedule);
        INFO(violation.value_or(""));
        CHECK_FALSE(violation.has_value());
    };
    none(scaled(30), freely);
    none(scaled(30), disturbed);
    none(scaled(100), controlled);
}

TEMPLATE_TEST_CASE("a thread that stops for ever at any step of a map's operation stops nobody else", "[map][progress]",
                   HashMap<TinyTraits>, SkipList<TinyTraits>, BTree<TinyTraits>) {
    using Map = TestType;
    using Me = typename Map::Handle;
    std::size_t wrong = 0;
    std::size_t stops = 0;
    const auto stop_in = [&](auto work) { stops += stops_in<Map>(work, wrong); };
    stop_in([](Map& map, const Me& me) { map.insert_or_assign(me, "3", Value{9}); });
    stop_in([](Map& map, const Me& me) { map.update(me, "3", [](Value v) { return v; }); });
    stop_in([](Map& map, const Me& me) { map.erase(me, "3"); });
    stop_in([](Map& map, const Me& me) {
        map.erase(me, "3");
        map.insert(me, "3", Value{9});
    });
    stop_in([](Map& map, const Me& me) { // more than fit in a leaf
        for (const char* const key : {"30", "31", "32"})
            map.insert(me, key, Value{9});
        for (const char* const key : {"30", "31", "32"})
            map.erase(me, key);
    });
    stop_in([](Map& map, const Me& me) { (void)map.get(me, "3"); });
    stop_in([](Map& map, const Me& me) { map.for_each(me, [](const std::string&, Value) {}); });
    CHECK(wrong == 0);
    CHECK(stops > 150);
}

TEMPLATE_TEST_CASE("8 threads do whatever a map can on a few keys, and the totals come out", "[map][workload]",
                   HashMap<TinyTraits>, SkipList<TinyTraits>, SkipList<DefaultTraits>, BTree<TinyTraits>,
                   BTree<DefaultTraits>) {
    TestType map;
    std::atomic<std::int64_t> balance{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t != 8; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random(t);
            std::int64_t mine = 0;
            for (std::size_t i = 0; i != scaled(2000); ++i) {
                const std::string key = name_of_id(static_cast<Id>(random() % 24));
                switch (random() % 5) {
                case 0:
                    mine += map.insert(key, static_cast<Value>(i)) ? 1 : 0;
                    break;
                case 1:
                    mine += map.insert_or_assign(key, static_cast<Value>(i)) ? 1 : 0;
                    break;
                case 2:
                    map.update(key, [](Value v) { return v + 1; });
                    break;
                case 3:
                    (void)map.get(std::string_view(key));
                    break;
                default:
                    mine -= map.erase(key) ? 1 : 0;
                }
            }
            balance += mine;
        });
    for (auto& t : threads)
        t.join();
    CHECK(static_cast<std::int64_t>(map.size()) == balance);
    std::int64_t seen = 0;
    map.for_each([&seen](const std::string&, Value) { ++seen; });
    CHECK(seen == balance);
    map.clear();
    CHECK(map.empty());
    CHECK(map.drain());
    CHECK(map.epoch_stats().limbo_objects == 0);
}

TEMPLATE_TEST_CASE("what is there throughout is seen once and in order by every visit beside changes", "[map][visits]",
                   SkipList<TinyTraits>, BTree<TinyTraits>) {
    CHECK(wrong_visits_in<TestType>(40, static_cast<int>(scaled(100))) == 0);
}
TEMPLATE_TEST_CASE("the same in a large map", "[map][visits]", SkipList<DefaultTraits>, BTree<DefaultTraits>) {
    CHECK(wrong_visits_in<TestType>(1000, static_cast<int>(scaled(20))) == 0);
}
