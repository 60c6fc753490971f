// Atomics under the checker: Relacy's, with each operation's order looked up by site, so that a single one can be
// weakened at run time (sites.hpp), and its step in the trace.
#pragma once

#include "checker_execution.hpp"
#include "checker_plain_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <source_location>

namespace hotindex::model {

/// What an atomic operation takes.
struct CheckerOrder {
    Site* site;
};
[[nodiscard]] inline rl::memory_order rl_order(const Site& site) noexcept {
    switch (site.now) {
    case Strength::acquire:
        return rl::mo_acquire;
    case Strength::release:
        return rl::mo_release;
    case Strength::acq_rel:
        return rl::mo_acq_rel;
    default:
        return rl::mo_relaxed;
    }
}
[[nodiscard]] inline rl::debug_info rl_info(const Site& site) noexcept {
    return {"", site.file, site.line};
}
/// What relaxed loads of this thread have put aside for an acquire fence.
[[nodiscard]] inline rl::timestamp_t* put_aside() {
    rl::thread_info_base* const me = rl::ctx().threadx_;
    switch (rl::ctx().get_thread_count()) {
    case 2:
        return static_cast<rl::thread_info<2>*>(me)->acquire_fence_order_;
    case 3:
        return static_cast<rl::thread_info<3>*>(me)->acquire_fence_order_;
    default:
        return static_cast<rl::thread_info<4>*>(me)->acquire_fence_order_;
    }
}

/// Knows its newest value, whatever a load may see.
template <class T>
class CheckerAtomic {
  public:
    CheckerAtomic() : CheckerAtomic(T{}) {}
    explicit CheckerAtomic(T value) : newest_(value) {
        rl::context& c = rl::ctx();
        c.disable_preemption(); // initialisation is not an atomic operation
        cell_.store(value, rl::mo_relaxed, rl::debug_info("", "initialisation", 0));
        c.enable_preemption();
    }
    CheckerAtomic(const CheckerAtomic&) = delete;
    CheckerAtomic& operator=(const CheckerAtomic&) = delete;
    ~CheckerAtomic() { life_.write(Location::current(), "destruction races with another access"); }

    [[nodiscard]] T load(CheckerOrder o) const {
        begin(o, Operation::load);
        const T value = cell_.load(rl_order(*o.site), rl_info(*o.site));
        if (tracing())
            trace.add(current_thread(),
                      value == newest_
                          ? fmt::format("load -> {}", in_words(value))
                          : fmt::format("load -> {} (stale; the newest is {})", in_words(value), in_words(newest_)),
                      *o.site);
        return value;
    }
    void store(T value, CheckerOrder o) {
        begin(o, Operation::store);
        cell_.store(value, rl_order(*o.site), rl_info(*o.site));
        if (tracing())
            trace.add(current_thread(), fmt::format("store {} -> {}", in_words(newest_), in_words(value)), *o.site);
        newest_ = value;
    }
    T exchange(T value, CheckerOrder o) {
        begin(o, Operation::exchange);
        const T old = cell_.exchange(value, rl_order(*o.site), rl_info(*o.site));
        if (tracing())
            trace.add(current_thread(), fmt::format("exchange {} -> {}", in_words(old), in_words(value)), *o.site);
        newest_ = value;
        return old;
    }
    T fetch_add(T value, CheckerOrder o) {
        begin(o, Operation::fetch_add);
        const T old = cell_.fetch_add(value, rl_order(*o.site), rl_info(*o.site));
        if (tracing())
            trace.add(current_thread(), fmt::format("fetch_add {} + {}", in_words(old), in_words(value)), *o.site);
        newest_ = static_cast<T>(old + value);
        return old;
    }
    bool compare_exchange_strong(T& expected, T desired, CheckerOrder success, CheckerOrder failure) {
        return compare_exchange<false>(expected, desired, success, failure);
    }
    bool compare_exchange_weak(T& expected, T desired, CheckerOrder success, CheckerOrder failure) {
        return compare_exchange<true>(expected, desired, success, failure);
    }

    /// Without an operation: for invariants.
    [[nodiscard]] T newest() const { return newest_; }

  private:
    void begin(CheckerOrder o, Operation operation) const {
        if (o.site->named == staging.stop_before && staging.stop_before != edge::unnamed)
            throw Stopped();
        o.site->operation = operation;
        if (staging.before_step && staging.threads_run)
            staging.before_step(*o.site);
        life_.read(*o.site, "an atomic operation races with the object's construction or destruction");
    }
    template <bool Weak>
    bool compare_exchange(T& expected, T desired, CheckerOrder success, CheckerOrder failure) {
        begin(success, Operation::cas);
        failure.site->operation = Operation::cas_failure;
        const T wanted = expected;
        // Relacy ties the failure order to the success order; here it is independent, as in C++17 and later: the
        // failed read is relaxed and puts what it would acquire aside for an acquire fence, where nothing else is.
        std::fill_n(put_aside(), rl::ctx().get_thread_count(), rl::timestamp_t{0});
        const bool done =
            Weak ? cell_.compare_exchange_weak(expected, desired, rl_order(*success.site), rl_info(*success.site),
                                               rl::mo_relaxed, rl_info(*failure.site))
                 : cell_.compare_exchange_strong(expected, desired, rl_order(*success.site), rl_info(*success.site),
                                                 rl::mo_relaxed, rl_info(*failure.site));
        if (!done && failure.site->now == Strength::acquire)
            rl::ctx().atomic_thread_fence_acquire();
        if (tracing())
            trace.add(current_thread(),
                      done ? fmt::format("cas {} -> {}", in_words(wanted), in_words(desired))
                           : fmt::format("cas {} -> {} failed{}, found {}", in_words(wanted), in_words(desired),
                                         expected == wanted ? " spuriously" : "", in_words(expected)),
                      done ? *success.site : *failure.site);
        if (done)
            newest_ = desired;
        return done;
    }

    mutable Probe life_;
    mutable rl::atomic<T> cell_;
    T newest_;
};

} // namespace hotindex::model
