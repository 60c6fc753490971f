// StressBackend: the production algorithms at full size, with an ear at every atomic operation.
//
// Behaves as ProductionBackend, real threads and real std::atomic included, and besides
//   - tells the calling thread's StepListener before every atomic operation and fence, so that a listener can count
//     steps, disturb the schedule, decide it, or park the thread for ever;
//   - remembers where the thread's last operation says that it took place (B::took_place);
//   - looks at the invariants that the algorithms state (B::verify) and remembers one that was broken;
//   - has the orders of one named edge weakened to relaxed;
//   - poisons destroyed objects for AddressSanitizer: memory in pools is reused and never freed, so it would
//     not notice.
#pragma once

#include <hotindex/backend/production.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define HOTINDEX_STRESS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOTINDEX_STRESS_ASAN 1
#endif
#endif
#ifdef HOTINDEX_STRESS_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace hotindex::stress {

/// An atomic operation or fence that is about to happen.
struct Step {
    enum Kind : std::uint8_t {
        load,
        store,
        exchange,
        fetch_add,
        compare_exchange,
        light_fence,
        heavy_fence,
        lock
    } kind;
    edge named; ///< edge::unnamed for relaxed operations
};
[[nodiscard]] constexpr const char* name_of(Step::Kind kind) noexcept {
    constexpr const char* names[] = {"load",        "store",       "exchange", "fetch_add", "compare_exchange",
                                     "light fence", "heavy fence", "lock"};
    return names[kind];
}

class StepListener {
  public:
    virtual void before(Step step) = 0;

  protected:
    ~StepListener() = default;
};

/// The calling thread's; nullptr: nobody listens.
inline constinit thread_local StepListener* step_listener = nullptr;
/// Where the calling thread's last operation took place, in ticks of the version clock.
inline constinit thread_local std::uint64_t last_stamp = 0;

/// Set while no other thread runs.
inline constinit edge weakened_edge = edge::unnamed;

/// An invariant that did not hold, in words; nullptr: none.
inline constinit std::atomic<const char*> broken_invariant = nullptr;

struct StressBackend : ProductionBackend {
    struct order {
        std::memory_order memory_order;
        edge named;
    };
    static order relaxed() noexcept { return {std::memory_order_relaxed, edge::unnamed}; }
    static order acquire(edge e) noexcept { return ordered(std::memory_order_acquire, e); }
    static order release(edge e) noexcept { return ordered(std::memory_order_release, e); }
    static order acq_rel(edge e) noexcept { return ordered(std::memory_order_acq_rel, e); }

    static void took_place(std::uint64_t time) noexcept { last_stamp = time; }
    /// Where a listener decides the schedule, a run is to be repeatable.
    [[nodiscard]] static std::int64_t read_timer_us() noexcept {
        return step_listener != nullptr ? 0 : ProductionBackend::read_timer_us();
    }

    static void hear(Step::Kind kind, edge e) {
        if (step_listener != nullptr)
            step_listener->before({kind, e});
    }

    // Each operation is a switch over constant orders: a compiler that sees an order as a variable takes the strongest.
    template <class T>
    class atomic {
      public:
        atomic() = default;
        explicit atomic(T value) : cell_(value) {}
        atomic(const atomic&) = delete;
        atomic& operator=(const atomic&) = delete;
        ~atomic() = default;

        [[nodiscard]] T load(order o) const {
            hear(Step::load, o.named);
            return o.memory_order == std::memory_order_acquire ? cell_.load(std::memory_order_acquire)
                                                               : cell_.load(std::memory_order_relaxed);
        }
        void store(T value, order o) {
            hear(Step::store, o.named);
            if (o.memory_order == std::memory_order_release)
                cell_.store(value, std::memory_order_release);
            else
                cell_.store(value, std::memory_order_relaxed);
        }
        T exchange(T value, order o) {
            hear(Step::exchange, o.named);
            switch (o.memory_order) {
            case std::memory_order_acq_rel:
                return cell_.exchange(value, std::memory_order_acq_rel);
            case std::memory_order_acquire:
                return cell_.exchange(value, std::memory_order_acquire);
            case std::memory_order_release:
                return cell_.exchange(value, std::memory_order_release);
            default:
                return cell_.exchange(value, std::memory_order_relaxed);
            }
        }
        T fetch_add(T value, order o) {
            hear(Step::fetch_add, o.named);
            switch (o.memory_order) {
            case std::memory_order_acq_rel:
                return cell_.fetch_add(value, std::memory_order_acq_rel);
            case std::memory_order_acquire:
                return cell_.fetch_add(value, std::memory_order_acquire);
            case std::memory_order_release:
                return cell_.fetch_add(value, std::memory_order_release);
            default:
                return cell_.fetch_add(value, std::memory_order_relaxed);
            }
        }
        bool compare_exchange_strong(T& expected, T desired, order success, order failure) {
            hear(Step::compare_exchange, success.named);
            const bool acquires = failure.memory_order == std::memory_order_acquire;
            switch (success.memory_order) {
            case std::memory_order_acq_rel:
                return acquires ? exchange_if<std::memory_order_acq_rel, std::memory_order_acquire>(expected, desired)
                                : exchange_if<std::memory_order_acq_rel, std::memory_order_relaxed>(expected, desired);
            case std::memory_order_acquire:
                return acquires ? exchange_if<std::memory_order_acquire, std::memory_order_acquire>(expected, desired)
                                : exchange_if<std::memory_order_acquire, std::memory_order_relaxed>(expected, desired);
            case std::memory_order_release:
                return acquires ? exchange_if<std::memory_order_release, std::memory_order_acquire>(expected, desired)
                                : exchange_if<std::memory_order_release, std::memory_order_relaxed>(expected, desired);
            default: // only with a weakened edge; g++ warns of a failure order above the success order
                return acquires ? exchange_if<std::memory_order_acquire, std::memory_order_acquire>(expected, desired)
                                : exchange_if<std::memory_order_relaxed, std::memory_order_relaxed>(expected, desired);
            }
        }
        /// Never fails without a reason, so that a schedule can be replayed.
        bool compare_exchange_weak(T& expected, T desired, order success, order failure) {
            return compare_exchange_strong(expected, desired, success, failure);
        }

      private:
        friend struct StressBackend;
        template <std::memory_order Success, std::memory_order Failure>
        bool exchange_if(T& expected, T desired) {
            return cell_.compare_exchange_strong(expected, desired, Success, Failure);
        }
        std::atomic<T> cell_;
    };

    static constexpr bool verifies = true;
    template <class T>
    [[nodiscard]] static T newest(const atomic<T>& a) noexcept {
        return a.cell_.load(std::memory_order_relaxed); // relaxed: looked at, not acted upon
    }
    static void verify(bool holds, const char* what) noexcept {
        if (!holds)
            broken_invariant.store(what, std::memory_order_relaxed); // relaxed: read when all threads have ended
    }

    static void light_fence(edge e) {
        hear(Step::light_fence, e);
        if (e != weakened_edge)
            ProductionBackend::light_fence(e);
    }
    static void heavy_fence(edge e) {
        hear(Step::heavy_fence, e);
        if (e != weakened_edge)
            ProductionBackend::heavy_fence(e);
    }

    template <class T, class... Args>
    static T* construct_at(void* memory, Args&&... args) {
#ifdef HOTINDEX_STRESS_ASAN
        __asan_unpoison_memory_region(memory, sizeof(T));
#endif
        return ::new (memory) T(std::forward<Args>(args)...);
    }
    template <class T>
    static void destroy_at(T* object) noexcept {
        std::destroy_at(object);
#ifdef HOTINDEX_STRESS_ASAN
        __asan_poison_memory_region(object, sizeof(T));
#endif
    }

  private:
    static order ordered(std::memory_order o, edge e) noexcept {
        return {e == weakened_edge ? std::memory_order_relaxed : o, e};
    }
};
static_assert(Backend<StressBackend>);

} // namespace hotindex::stress
