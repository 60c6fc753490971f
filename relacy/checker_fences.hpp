// The asymmetric fence under the checker.
//
// It is modelled as what Backend promises and no more: of a light and a heavy one, or of two heavy ones, the first
// one's earlier accesses are visible after the second. Two light fences order nothing, a light fence without a partner
// orders nothing, and the order is not transitive through a heavy fence (two clocks, below). That is weaker than
// std::atomic_thread_fence and weaker than membarrier(2), so whatever passes here is right on both. It is stronger than
// C++ in one point: Relacy has one clock for visibility and for happens-before, so a pair of fences also orders plain
// data; what only a fence orders must therefore be looked at by ThreadSanitizer, which sees no fence.
#pragma once

#include "checker_execution.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <source_location>

namespace hotindex::model {

/// The clocks of the running execution that the checker keeps itself; cleared at its start.
struct FenceClocks {
    std::array<rl::timestamp_t, max_threads> light{}; ///< what was before some light fence
    std::array<rl::timestamp_t, max_threads> heavy{}; ///< what was before some heavy fence
};
extern FenceClocks fence_clocks;

/// The fences that CheckerBackend offers.
struct CheckerFences {
    static void light_fence(edge e, const Location at = Location::current()) {
        Site& site = sites.find(at, e, Strength::light_fence);
        site.operation = Operation::fence;
        if (site.now == Strength::nothing)
            return;
        rl::ctx().sched();
        join(fence_clocks.light, clock());
        join(clock(), fence_clocks.heavy);
        if (tracing())
            trace.add(current_thread(), "light fence", site);
    }
    static void heavy_fence(edge e, const Location at = Location::current()) {
        Site& site = sites.find(at, e, Strength::heavy_fence);
        site.operation = Operation::fence;
        if (site.now == Strength::nothing)
            return;
        rl::ctx().sched();
        const std::array<rl::timestamp_t, max_threads> seen = fence_clocks.heavy;
        join(fence_clocks.heavy, clock()); // before the light ones are taken in: not transitive
        join(clock(), fence_clocks.light);
        join(clock(), seen);
        if (tracing())
            trace.add(current_thread(), "heavy fence", site);
    }

  private:
    [[nodiscard]] static rl::timestamp_t* clock() { return rl::ctx().threadx_->acq_rel_order_; }
    template <std::size_t N>
    static void join(std::array<rl::timestamp_t, N>& into, const rl::timestamp_t* from) {
        for (rl::thread_id_t i = 0; i != rl::ctx().get_thread_count(); ++i) {
            auto& mine = into[static_cast<std::size_t>(i)];
            mine = std::max(mine, from[i]);
        }
    }
    template <std::size_t N>
    static void join(rl::timestamp_t* into, const std::array<rl::timestamp_t, N>& from) {
        for (rl::thread_id_t i = 0; i != rl::ctx().get_thread_count(); ++i)
            into[i] = std::max(into[i], from[static_cast<std::size_t>(i)]);
    }
};

} // namespace hotindex::model
