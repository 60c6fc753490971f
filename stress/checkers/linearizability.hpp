// Is there an order of the calls of a history that explains every answer and never puts a call before one that had
// ended when it began? The black-box check: it knows nothing of the index but the sequential oracle.
//
// Wing and Gong's search ("Testing and verifying concurrent objects", JPDC 1993) with Lowe's memory of configurations
// ("Testing for linearizability", CCPE 2017): a configuration, the set of calls taken and the state they led to, that
// was tried once is not tried again. Configurations are compared whole, not by hash. Where no call is a search, ids are
// independent of each other and each is checked alone (Herlihy and Wing's locality); a search ties all ids together,
// and the state is then that of the whole index.
//
// A call that never returned (end == never) may have taken effect or not, whatever else is in its record.
#pragma once

#include "checkers/history.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hotindex::stress {

/// What the search found.
struct Verdict {
    enum Kind : std::uint8_t { linearizable, violation, undecided } kind = linearizable;
    /// Calls, by their place in the history: the longest order that explains all its answers.
    std::vector<std::size_t> order;
    /// A call that had ended before any call that is not in `order` could go on (violation only).
    std::size_t blamed = 0;
    std::uint64_t configurations = 0; ///< that were looked at
};

/// Gives up as `undecided` after so many configurations: exponential time is what this search can take.
[[nodiscard]] Verdict check_linearizable(const History& history, std::uint64_t most_configurations = 2'000'000);

/// A smaller history that violates too, and only because `history` does: the calls up to the first impossible answer,
/// without the reads and ids that have nothing to do with it, begun at the last quiet moment whose state is certain.
[[nodiscard]] History minimised(const History& history);

// ---- for people (timeline.cpp) ----

/// The history as text, a line a call, with the longest explanation and the blamed call.
[[nodiscard]] std::string report(const History& history, const Verdict& verdict);

/// The same as an HTML page with a lane for each thread.
[[nodiscard]] std::string timeline(const History& history, const Verdict& verdict, const std::string& title);

} // namespace hotindex::stress
