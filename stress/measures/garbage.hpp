// How much memory waits to be used again while searches stand still for ever, measured against the bound that the index
// states: see "Memory" in lock_free_hot_vector_index.hpp.
#pragma once

#include "checkers/history.hpp"
#include "harness/subject.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace hotindex::stress {

struct GarbagePlan {
    std::size_t vectors = 1000;
    std::size_t dimension = 128;
    std::size_t stopped = 1;              ///< threads that stop in the middle of an operation
    Operation inside = Operation::search; ///< of this one: search, or get
    std::size_t step = 200;               ///< before which of its atomic operations; of a get: 5
    std::size_t updates = 100'000;        ///< in all: replacements, and removals followed by inserts
    std::size_t samples = 50;
};

/// Thread i of n stops after i / n of the first half of the updates; all go on after nine tenths of all updates.
struct GarbageSample {
    std::size_t updates = 0;
    std::size_t stopped = 0; ///< threads that stand still now
    EpochStats limbo;
    std::size_t seen = 0;  ///< slots and entries that were there at the times of the searches that stand still
    std::size_t bound = 0; ///< objects that may wait
};

struct GarbageRun {
    std::vector<GarbageSample> samples;
    std::size_t over = 0;   ///< samples beyond their bound
    std::size_t wrong = 0;  ///< searches that did not answer from the state in which they were stopped
    std::size_t missed = 0; ///< threads that ended before that step
    bool drained = false;   ///< nothing was left when all had gone on
};

/// Plays the plan on an index of its own; `each` hears every sample.
[[nodiscard]] GarbageRun measure_garbage(const GarbagePlan& plan,
                                         const std::function<void(const GarbageSample&)>& each = {});

} // namespace hotindex::stress
