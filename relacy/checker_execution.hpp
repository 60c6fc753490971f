// The running execution: what every part of the checker asks of it, how it fails, and what its scenario has staged.
#pragma once

#include "clean_relacy.hpp"
#include "sites.hpp"
#include "trace.hpp"

#include <fmt/format.h>

#include <functional>
#include <source_location>

namespace hotindex::model {

using Location = std::source_location; ///< of a step

inline constexpr int max_threads = 4;

/// What the scenario of the running execution has staged; cleared at its start.
struct Staging {
    edge stop_before = edge::unnamed;             ///< where the operation that play_until() plays stops
    std::function<void(const Site&)> before_step; ///< see stage()
    bool threads_run = false;                     ///< construction is over, and after() has not begun
};
extern Staging staging;
struct Stopped {};

[[nodiscard]] inline int current_thread() {
    return rl::ctx().current_thread();
}

/// Ends the execution as a failure; does not return to its caller.
inline void fail(const char* why, rl::test_result_e kind, const Place& at) {
    if (tracing())
        trace.add(current_thread(), fmt::format("FAILURE: {}", why), at);
    rl::ctx().fail_test(why, kind, rl::debug_info("", at.file, at.line));
}

/// The assertion of models and scenarios.
inline void expect(bool holds, const char* what, const std::source_location at = std::source_location::current()) {
    if (!holds)
        fail(what, rl::test_result_user_assert_failed, at);
}

} // namespace hotindex::model
