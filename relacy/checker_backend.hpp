// CheckerBackend: the seam's third backend. The production templates, instantiated with it, run under Relacy, which
// plays all schedules up to a bound (or random ones) and lets loads see stale values.
//
// What is checked, beyond a model's own assertions:
//   races        every B::var, every run of a B::array, and the construction and destruction of every object is an
//                access to a probe with vector clocks: two unordered ones, one of them a write, are a failure;
//   lifetime     destroyed objects are poisoned, and a probe or an atomic that is used afterwards says so; memory is
//                never used twice within an execution, but for what the pools under test recycle themselves;
//   leaks        every atomic, every object of make() and of construct_at() must be gone at the end.
//
// Orders are looked up by site at each use (sites.hpp), so that a single one can be weakened at run time.
#pragma once

#include "checker_atomic.hpp"
#include "checker_execution.hpp"
#include "checker_fences.hpp"
#include "checker_objects.hpp"
#include "checker_plain_data.hpp"

#include <hotindex/backend/backend.hpp>

#include <cstdint>
#include <source_location>

namespace hotindex::model {

struct CheckerBackend : CheckerObjects, CheckerFences {
    using order = CheckerOrder;
    template <class T>
    using atomic = CheckerAtomic<T>;
    template <class T>
    using var = CheckerVar<T>;
    template <class T>
    using array = CheckerArray<T>;

    static order relaxed(const Location at = Location::current()) {
        return {&sites.find(at, edge::unnamed, Strength::relaxed)};
    }
    static order acquire(edge e, const Location at = Location::current()) {
        return {&sites.find(at, e, Strength::acquire)};
    }
    static order release(edge e, const Location at = Location::current()) {
        return {&sites.find(at, e, Strength::release)};
    }
    static order acq_rel(edge e, const Location at = Location::current()) {
        return {&sites.find(at, e, Strength::acq_rel)};
    }

    static constexpr bool verifies = true;
    template <class T>
    [[nodiscard]] static T newest(const atomic<T>& a) {
        return a.newest();
    }
    static void verify(bool holds, const char* what, const Location at = Location::current()) {
        expect(holds, what, at);
    }

    static void took_place(std::uint64_t) noexcept {}
    static void prefetch(const void*) noexcept {}
    static void yield() noexcept {}
    static void pause(const Location at = Location::current()) {
        rl::ctx().yield(1, rl::debug_info("", at.file_name(), at.line()));
    }

    /// Time stands still but for what a model does to it.
    [[nodiscard]] static std::int64_t read_clock_ms() noexcept { return clock_ms; }
    static inline std::int64_t clock_ms = 1'000'000;
    [[nodiscard]] static std::int64_t read_timer_us() noexcept { return 0; }
};
static_assert(Backend<CheckerBackend>);

} // namespace hotindex::model
