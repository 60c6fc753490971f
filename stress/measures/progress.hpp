// Does anybody have to wait for a thread that has stopped for ever? Certified by stopping one: at every atomic
// operation of every operation of the index, one after the other, while others must complete calls of every kind.
//
// What is certified is the executions that were played: from the states prepared here, with one thread (or two)
// stopped. The model checker covers schedules; this covers every step of the real code at the size that ships.
#pragma once

#include "checkers/history.hpp"
#include "harness/stress_backend.hpp"
#include "harness/subject.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace hotindex::stress {

/// A place where a thread was stopped.
struct Stop {
    std::string operation;        ///< of the thread that stopped
    std::size_t step = 0;         ///< its number within the operation, from 0
    Step before{};                ///< what it was about to do
    std::uint64_t completed = 0;  ///< calls that others completed meanwhile
    std::uint64_t most_steps = 0; ///< of one of those calls
    bool blocked = false;         ///< a call did not end within the allowance of steps
    bool wrong = false;           ///< the history of the run is not linearizable
};

struct ProgressReport {
    std::vector<Stop> stops;
    [[nodiscard]] std::size_t blocked() const;
    [[nodiscard]] std::size_t wrong() const;
    [[nodiscard]] std::uint64_t completed() const;
    [[nodiscard]] std::uint64_t most_steps() const;
};

/// Stops a thread at each step of each operation; then others complete `rounds` calls of every kind. With `second_seed`
/// a second thread is stopped too, at a step drawn from it, on the same ids. A call that takes more than a million
/// steps counts as blocked where the index waits on a mutex, and ends the process elsewhere.
[[nodiscard]] ProgressReport certify_progress(std::unique_ptr<Subject> (*make)(IndexOptions), std::size_t rounds,
                                              std::uint64_t second_seed = 0);

/// Atomic operations that one search takes when others complete `updates` updates before each of its steps, `most` in
/// all. `on_snapshot`: it is made on a snapshot taken before, so that the announcement is not counted, and the slots
/// that there are are those of that time.
[[nodiscard]] std::uint64_t steps_of_a_disturbed_search(std::size_t vectors, std::size_t updates, std::size_t most,
                                                        bool on_snapshot);

/// The table: for each operation and each kind of step in it, how often a thread was stopped there and what the others
/// did meanwhile. Markdown.
[[nodiscard]] std::string table_of(const ProgressReport& report);

} // namespace hotindex::stress
