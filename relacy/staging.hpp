// Staging: how a scenario brings its threads into the window that it is about.
#pragma once

#include "checker_backend.hpp"

#include <source_location>
#include <string_view>

namespace hotindex::model {

/// Plays the work up to its first atomic operation of that edge and no further, as if its thread had stopped there for
/// ever: a way to stage a window. In a scenario's constructor; the work releases what it holds on the way out.
template <class Work>
void play_until(edge e, Work work, const std::source_location at = std::source_location::current()) {
    staging.stop_before = e;
    bool stopped = false;
    try {
        work();
    } catch (const Stopped&) {
        stopped = true;
    }
    staging.stop_before = edge::unnamed;
    expect(stopped, "play_until() comes to that edge", at);
}

/// Calls `look(site)` before each atomic operation of the threads: to stage a window in the middle of an operation, by
/// hold_until(). In a scenario's constructor. What it notes goes into plain members, which order nothing.
template <class Look>
void stage(Look look) {
    staging.before_step = look;
}
/// Is this an operation of the function of that bare name?
[[nodiscard]] inline bool within(const Site& site, std::string_view function) {
    return bare_function(site.function) == function;
}
/// Holds the calling thread up until `holds()`, or until the others have had their turn often enough: a mutant that
/// makes the condition fail must not be killed by the staging.
template <class Condition>
void hold_until(Condition holds, const std::source_location at = std::source_location::current()) {
    for (int turns = 0; turns != 1000 && !holds(); ++turns) {
        // Relacy takes a yield for a thread that waits for news, and does not show it values again that it saw before.
        const rl::timestamp_t before = rl::ctx().threadx_->last_yield_;
        CheckerBackend::pause(at);
        rl::ctx().threadx_->last_yield_ = before;
    }
}

} // namespace hotindex::model
