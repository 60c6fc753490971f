#include "rounds.hpp"

#include "checkers/linearizability.hpp"
#include "checkers/version_check.hpp"
#include "harness/random_calls.hpp"
#include "harness/visits.hpp"
#include "measures/progress.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/memory/memory_pool.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>

namespace hotindex::stress {
namespace {

constexpr std::size_t dimension = 16;

enum class Running : std::uint8_t { freely, disturbed, controlled };

std::unique_ptr<Schedule> schedule_for(Running running, std::size_t threads, std::uint64_t seed, std::uint64_t steps) {
    if (running == Running::disturbed)
        return std::make_unique<DisturbedSchedule>(threads, seed, 1 + static_cast<std::uint32_t>(seed % 64));
    if (running == Running::controlled)
        return std::make_unique<ControlledSchedule>(threads, seed, steps);
    return nullptr;
}

std::unique_ptr<Subject> subject_for(std::uint64_t seed, IndexOptions options) {
    return seed % 4 == 0 ? make_shipped_subject(std::move(options)) : make_tiny_subject(std::move(options));
}

/// The last part of every round: everything can be reclaimed when nobody looks any more.
Outcome finish(Subject& subject, const History& history) {
    Outcome outcome;
    outcome.calls = history.calls.size();
    outcome.limbo = subject.epoch_stats().limbo_objects;
    if (!subject.join()->drain() && checks)
        outcome.failure = {"limbo is left after a drain at rest", ""};
    return outcome;
}

/// The last part of rounds whose histories are searched for an order.
Outcome judged_by_order(Subject& subject, const History& history) {
    Outcome outcome = finish(subject, history);
    if (!checks)
        return outcome;
    const Verdict verdict = check_linearizable(history);
    if (verdict.kind != Verdict::linearizable) {
        const History least = minimised(history);
        const Verdict why = check_linearizable(least);
        outcome.failure = {report(least, why), timeline(least, why, "A history that no order explains")};
    }
    return outcome;
}

Outcome black_box(Running running, std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 2 + seed % 3;
    plan.calls = 14 / plan.threads + seed % 5;
    plan.ids = static_cast<Id>(1 + seed / 3 % 7);
    plan.present = seed / 2 % 4;
    plan.ticks = false;
    plan.calls_of_a_session = seed % 5 == 0 ? 2 : 0;
    if (seed % 8 == 3)
        plan.weights = {4, 3, 3, 2, 0};
    if (seed % 8 == 5)
        plan.weights = {6, 6, 1, 0, 2}; // little but change
    const auto subject = subject_for(seed, history_options(dimension));
    const auto schedule = schedule_for(running, plan.threads, seed, 1500);
    return judged_by_order(*subject, play(*subject, plan, schedule.get()));
}

/// Small histories of each map in turn.
Outcome maps(Running running, std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 2 + seed / 3 % 3;
    plan.calls = 15 / plan.threads + seed % 5;
    plan.ids = static_cast<Id>(1 + seed / 9 % 7);
    plan.present = seed / 2 % 5;
    plan.ticks = false;
    plan.calls_of_a_session = seed % 5 == 0 ? 2 : 0;
    plan.weights = {6, 5, 3, 2, 0};
    const auto subject = make_map_subject(static_cast<MapKind>(seed % 3));
    const auto schedule = schedule_for(running, plan.threads, seed, 1500);
    return judged_by_order(*subject, play(*subject, plan, schedule.get()));
}

/// Visits of an ordered map in both directions, beside changes.
Outcome visits(std::uint64_t seed) {
    VisitPlan plan;
    plan.seed = seed;
    plan.numbers = seed / 4 % 2 == 0 ? 24 : 40;
    plan.walks = 6;
    plan.changes = 40;
    const Running running = seed / 2 % 2 == 0 ? Running::controlled : Running::disturbed;
    const auto schedule = schedule_for(running, VisitPlan::writers + VisitPlan::visitors, seed, 20'000);
    Outcome outcome;
    outcome.calls = VisitPlan::writers * 40 + VisitPlan::visitors * 6;
    const std::size_t wrong = wrong_visits(seed % 2 == 0 ? MapKind::skip_list : MapKind::tree, plan, schedule.get());
    if (checks && wrong != 0)
        outcome.failure = {fmt::format("{} visits did not see once and in order what was there throughout", wrong), ""};
    return outcome;
}

/// The last part of rounds whose calls say where they took place.
Outcome judged_by_versions(Subject& subject, const History& history) {
    Outcome outcome = finish(subject, history);
    if (!checks)
        return outcome;
    const VersionVerdict verdict = check_versions(history);
    if (!verdict.correct()) {
        const Excerpt excerpt = excerpt_of(history, verdict);
        outcome.failure = {fmt::format("{} answers are wrong, the first: {}: {}\n{}", verdict.wrong,
                                       in_words(history.calls[verdict.mistakes[0].call]), verdict.mistakes[0].what,
                                       report(excerpt.history, excerpt.verdict)),
                           timeline(excerpt.history, excerpt.verdict, "An answer that is wrong at its own time")};
    }
    return outcome;
}

Outcome white_box(Running running, std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 3 + seed % 3;
    plan.calls = running == Running::controlled ? 40 : running == Running::disturbed ? 600 : 4000;
    constexpr Id sizes[] = {6, 40, 1, 2};
    plan.ids = sizes[seed % 4];
    plan.present = plan.ids / 2;
    plan.calls_of_a_session = seed % 3 == 0 ? 25 : 0;
    if (seed % 3 == 1)
        plan.weights = {8, 4, 1, 1, 4};
    const auto subject = subject_for(seed / 2, history_options(dimension));
    const auto schedule = schedule_for(running, plan.threads, seed, 30'000);
    return judged_by_versions(*subject, play(*subject, plan, schedule.get()));
}

/// Threads that stand still at chosen operations, while others go on for long.
Outcome stopping(std::uint64_t seed) {
    auto [plan, places] = plan_with_stops(seed);
    const auto subject = make_tiny_subject(history_options(dimension));
    ControlledSchedule schedule(plan.threads, seed, 1, std::move(places));
    return judged_by_versions(*subject, play(*subject, plan, &schedule));
}

/// Every get of a vector is counted for the life of its id in which it was read, and for no other.
Outcome accesses(std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 2 + seed % 3;
    plan.calls = 20;
    plan.ids = static_cast<Id>(1 + seed % 4);
    plan.present = 0;
    plan.weights = {4, 2, 6, 0, 0};
    IndexOptions options = history_options(dimension);
    options.tracking = Tracking::exact;
    options.tiers.manage_every = std::chrono::milliseconds(0);
    const auto subject = make_tiny_subject(options);
    const auto schedule =
        schedule_for(seed % 2 == 0 ? Running::controlled : Running::disturbed, plan.threads, seed, 3000);
    const History history = play(*subject, plan, schedule.get());
    Outcome outcome = finish(*subject, history);
    const auto session = subject->join();
    for (Id id = 0; id != plan.ids && checks; ++id) {
        std::map<Value, std::uint64_t> stamps;
        std::uint64_t inserted = 0;
        for (const Call& c : history.calls)
            if (c.operation == Operation::add && c.id == id) {
                stamps[c.value] = c.stamp;
                if (c.yes)
                    inserted = std::max(inserted, c.stamp);
            }
        std::uint64_t expected = 0;
        for (const Call& c : history.calls)
            if (c.operation == Operation::get && c.id == id && c.value != 0 && stamps[c.value] >= inserted)
                ++expected;
        const auto counted = session->accesses(id);
        if (counted && *counted != expected)
            outcome.failure = {
                fmt::format("id {}: {} accesses counted, {} made\n{}", id, *counted, expected, report(history, {})),
                ""};
    }
    return outcome;
}

/// The invariants that the algorithms state themselves, on controlled schedules.
Outcome invariants(std::uint64_t seed) {
    broken_invariant = nullptr;
    const bool checked = std::exchange(checks, false);
    Outcome outcome = seed % 2 == 0 ? black_box(Running::controlled, seed) : white_box(Running::controlled, seed);
    checks = checked;
    if (const char* const broken = broken_invariant; broken != nullptr && checks)
        outcome.failure = {broken, ""};
    return outcome;
}

/// Threads take objects from a pool and give them back, on a controlled schedule; nobody else writes to one meanwhile.
Outcome pool(std::uint64_t seed) {
    struct Mark {
        explicit Mark(std::uint64_t v) : value(v) {}
        std::uint64_t value;
    };
    using Pool = MemoryPool<StressBackend, TinyTraits, Mark>;
    constexpr std::size_t threads = 3;
    constexpr std::size_t calls = 40;
    Pool shared;
    std::atomic<std::uint64_t> strangers{0};
    ControlledSchedule schedule(threads, seed, 2000);
    std::vector<std::thread> crew;
    for (std::size_t t = 0; t != threads; ++t)
        crew.emplace_back([&, t] {
            std::mt19937_64 random(seed * 31 + t);
            typename Pool::Cache cache;
            std::vector<std::pair<Mark*, std::uint64_t>> mine;
            schedule.enter(t);
            for (std::size_t i = 0; i != calls; ++i) {
                if (mine.empty() || (mine.size() < 6 && random() % 2 == 0)) {
                    const std::uint64_t value = t << 32 | i;
                    mine.emplace_back(shared.make(cache, value), value);
                } else {
                    std::swap(mine[random() % mine.size()], mine.back());
                    strangers += mine.back().first->value == mine.back().second ? 0u : 1u;
                    shared.destroy(cache, mine.back().first);
                    mine.pop_back();
                }
            }
            for (const auto& [object, value] : mine) {
                strangers += object->value == value ? 0u : 1u;
                shared.destroy(cache, object);
            }
            schedule.leave(t);
        });
    for (auto& t : crew)
        t.join();
    Outcome outcome;
    outcome.calls = threads * calls;
    if (checks && strangers != 0)
        outcome.failure = {fmt::format("{} objects of a pool belonged to two threads", strangers.load()), ""};
    return outcome;
}

Outcome progress(std::uint64_t seed) {
    const ProgressReport report = certify_progress(seed % 2 == 0 ? make_shipped_subject : make_tiny_subject, 1, seed);
    Outcome outcome;
    outcome.calls = report.completed();
    if (checks && report.blocked() + report.wrong() != 0)
        outcome.failure = {table_of(report), ""};
    return outcome;
}

} // namespace

const std::vector<Kind>& kinds() {
    static const std::vector<Kind> all{
        {"black_free", [](std::uint64_t s) { return black_box(Running::freely, s); }, 10, false},
        {"black_disturbed", [](std::uint64_t s) { return black_box(Running::disturbed, s); }, 20, false},
        {"black_controlled", [](std::uint64_t s) { return black_box(Running::controlled, s); }, 60, true},
        {"white_free", [](std::uint64_t s) { return white_box(Running::freely, s); }, 3, false},
        {"white_disturbed", [](std::uint64_t s) { return white_box(Running::disturbed, s); }, 3, false},
        {"white_controlled", [](std::uint64_t s) { return white_box(Running::controlled, s); }, 20, true},
        {"stopping", stopping, 40, true},
        {"accesses", accesses, 10, false},
        {"invariants", invariants, 10, true},
        {"pool", pool, 10, true},
        {"progress", progress, 1, true},
        {"maps_disturbed", [](std::uint64_t s) { return maps(Running::disturbed, s); }, 15, false},
        {"maps_controlled", [](std::uint64_t s) { return maps(Running::controlled, s); }, 30, true},
        {"visits", visits, 8, false},
    };
    return all;
}

} // namespace hotindex::stress
