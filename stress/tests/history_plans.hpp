// Plans for random histories and searches for a violation among them, for the tests of the shipped sources and for
// those that show what the checks find.
#pragma once

#include "checkers/linearizability.hpp"
#include "checkers/version_check.hpp"
#include "harness/random_calls.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace hotindex::stress {

inline constexpr std::size_t history_dimension = 16;

/// Ten times as much when HOTINDEX_DEEP is set.
inline std::size_t scaled(std::size_t n) {
    return std::getenv("HOTINDEX_DEEP") != nullptr ? n * 10 : n;
}

using Make = std::unique_ptr<Subject> (*)(IndexOptions);

/// Small histories, each on an index of its own.
inline Plan small_plan(std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 2 + seed % 3;
    plan.calls = 12 / plan.threads + seed % 4;
    plan.ids = static_cast<Id>(1 + seed / 3 % 5);
    plan.present = seed % 3;
    plan.ticks = false;
    plan.calls_of_a_session = seed % 5 == 0 ? 3 : 0;
    if (seed % 4 == 3)
        plan.weights = {4, 3, 3, 2, 0}; // ids are independent then
    return plan;
}

/// The report of the first violation in so many rounds.
template <class MakeSchedule>
std::optional<std::string> find_violation(Make make, std::size_t rounds, MakeSchedule make_schedule) {
    for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
        const Plan plan = small_plan(seed);
        const auto subject = make(history_options(history_dimension));
        const std::unique_ptr<Schedule> schedule = make_schedule(plan.threads, seed);
        const History history = play(*subject, plan, schedule.get());
        const Verdict verdict = check_linearizable(history);
        if (verdict.kind != Verdict::linearizable) {
            const History least = minimised(history);
            return "seed " + std::to_string(seed) + ": " + report(least, check_linearizable(least));
        }
    }
    return std::nullopt;
}
inline constexpr auto freely = [](std::size_t, std::uint64_t) { return std::unique_ptr<Schedule>(); };
inline constexpr auto disturbed = [](std::size_t threads, std::uint64_t seed) -> std::unique_ptr<Schedule> {
    return std::make_unique<DisturbedSchedule>(threads, seed, 1 + static_cast<std::uint32_t>(seed % 16));
};
inline constexpr auto controlled = [](std::size_t threads, std::uint64_t seed) -> std::unique_ptr<Schedule> {
    return std::make_unique<ControlledSchedule>(threads, seed);
};

inline Plan long_plan(std::uint64_t seed, std::size_t calls) {
    Plan plan;
    plan.seed = seed;
    plan.threads = 4;
    plan.calls = calls;
    plan.ids = seed % 2 == 0 ? 12 : 60;
    plan.present = plan.ids / 2;
    plan.calls_of_a_session = seed % 3 == 0 ? 100 : 0;
    return plan;
}
/// Of threads that stand still for long at a few operations: the first mistake in so many rounds.
inline std::optional<std::string> find_mistake_with_stops(std::size_t rounds) {
    for (std::uint64_t seed = 1; seed <= rounds; ++seed) {
        auto [plan, places] = plan_with_stops(seed);
        const auto subject = make_tiny_subject(history_options(history_dimension));
        ControlledSchedule schedule(plan.threads, seed, 1, std::move(places));
        const VersionVerdict verdict = check_versions(play(*subject, plan, &schedule));
        if (!verdict.correct())
            return "seed " + std::to_string(seed) + ": " + verdict.mistakes[0].what;
    }
    return std::nullopt;
}

} // namespace hotindex::stress
