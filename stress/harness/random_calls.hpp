// Random calls by several threads on an index, recorded as a history; all drawn from a seed.
#pragma once

#include "checkers/history.hpp"
#include "harness/schedule.hpp"
#include "harness/subject.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hotindex::stress {

struct Plan {
    std::size_t threads = 3;
    std::size_t calls = 10; ///< of each thread
    Id ids = 4;
    std::uint64_t seed = 1;
    /// How often each operation is called, in the order of Operation.
    std::array<std::uint32_t, operation_count> weights{4, 3, 2, 1, 3};
    std::uint32_t most = 10;            ///< a search asks for 1 to so many, or for all
    bool ticks = true;                  ///< read the version clock before and after each call, for check_versions()
    std::size_t calls_of_a_session = 0; ///< a thread leaves and joins again after so many calls; 0: it stays
    bool batches_and_snapshots = true;  ///< some searches come as a batch, or on a snapshot held for a few calls
    std::size_t present = 2;            ///< ids that are there at the start
};

/// A few calls on a few ids, and where the threads stop meanwhile: for a ControlledSchedule of the same seed.
struct PlanWithStops {
    Plan plan;
    std::vector<StoppingPlace> places;
};
[[nodiscard]] PlanWithStops plan_with_stops(std::uint64_t seed);

/// Threads call as planned, on the schedule if there is one. Values differ from each other for each id. The index is
/// empty before; afterwards every id is looked at once more, so that what was lost at the end is in the history too.
[[nodiscard]] History play(Subject& subject, const Plan& plan, Schedule* schedule = nullptr);

} // namespace hotindex::stress
