// Is every answer of a history that of the state at the operation's own time? The white-box check, for millions of
// calls: operations say where they took place, so no order has to be searched for.
//
// The index's version clock gives every update a time of its own. Before and after each call the clock is read, and
//   add, remove that did   took place at the stamp they report, after the clock was read first and not after it was
//                          read last; the answer is the oracle's there, and no two stamps are equal;
//   search                 took place at the time it reports; the answer is the exact top-k of the state at that time;
//   get, contains, remove  took place at any time within the call at which their answer is right; there must be one.
//   that did not
// Together that is an order of all calls that explains every answer and keeps to real time: a proof of linearizability,
// in O((calls + results) log(ids)).
#pragma once

#include "checkers/linearizability.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hotindex::stress {

/// The first calls whose answers are wrong, and how.
struct VersionVerdict {
    struct Mistake {
        std::size_t call = 0; ///< its place in the history
        std::string what;
    };
    std::vector<Mistake> mistakes; ///< at most a few
    std::uint64_t wrong = 0;       ///< all of them
    std::uint64_t updates = 0;     ///< adds, and removes that did
    std::uint64_t reads = 0;
    std::uint64_t searches = 0;
    [[nodiscard]] bool correct() const noexcept { return wrong == 0; }
};

/// The values added to one id differ from each other and from the one it has at the start. All calls have returned.
[[nodiscard]] VersionVerdict check_versions(const History& history);

/// The first mistake with the calls around it, small enough to read: those on its id (or, for a search, on the ids in
/// which the answer differs) near its time. A history for report() and timeline(), with its verdict.
struct Excerpt {
    History history;
    Verdict verdict;
};
[[nodiscard]] Excerpt excerpt_of(const History& history, const VersionVerdict& verdict);

} // namespace hotindex::stress
