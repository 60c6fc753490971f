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
//
// The asymmetric fence is modelled as what Backend promises and no more: of a light and a heavy one, or of two heavy
// ones, the first one's earlier accesses are visible after the second. Two light fences order nothing, a light fence
// without a partner orders nothing, and the order is not transitive through a heavy fence (two clocks, below). That is
// weaker than std::atomic_thread_fence and weaker than membarrier(2), so whatever passes here is right on both. It is
// stronger than C++ in one point: Relacy has one clock for visibility and for happens-before, so a pair of fences also
// orders plain data; what only a fence orders must therefore be looked at by ThreadSanitizer, which sees no fence.
#pragma once

#include "clean_relacy.hpp"
#include "sites.hpp"
#include "trace.hpp"

#include <hotindex/backend/backend.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace hotindex::model {

inline constexpr int max_threads = 4;

/// The clocks of the running execution that the checker keeps itself; cleared at its start.
struct FenceClocks {
    std::array<rl::timestamp_t, max_threads> light{}; ///< what was before some light fence
    std::array<rl::timestamp_t, max_threads> heavy{}; ///< what was before some heavy fence
};
extern FenceClocks fence_clocks;

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
[[nodiscard]] inline bool tracing() {
    return trace.on;
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

/// A vector-clock cell: who read and wrote last, for plain data and for the life of objects.
class Probe {
  public:
    Probe() noexcept { wrote(); }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    ~Probe() { life_ = dead; }

    void read(const Place& at, const char* complaint) const {
        check_life(at);
        rl::thread_info_base& me = *rl::ctx().threadx_;
        for (rl::thread_id_t i = 0; i != threads(); ++i)
            if (me.acq_rel_order_[i] < writes_[static_cast<std::size_t>(i)])
                return fail(complaint, rl::test_result_data_race, at);
        me.own_acq_rel_order_ += 1;
        reads_[static_cast<std::size_t>(me.index_)] = me.own_acq_rel_order_;
    }
    void write(const Place& at, const char* complaint) {
        check_life(at);
        const rl::thread_info_base& me = *rl::ctx().threadx_;
        for (rl::thread_id_t i = 0; i != threads(); ++i)
            if (me.acq_rel_order_[i] <
                std::max(writes_[static_cast<std::size_t>(i)], reads_[static_cast<std::size_t>(i)]))
                return fail(complaint, rl::test_result_data_race, at);
        wrote();
    }
    void check_life(const Place& at) const {
        if (life_ != alive)
            fail("access to an object that was destroyed", rl::test_result_access_to_freed_memory, at);
    }

  private:
    static constexpr std::uint64_t alive = 0x5AFE'0B1E'C70F'1CE5;
    static constexpr std::uint64_t dead = 0xDEAD'DEAD'DEAD'DEAD;
    [[nodiscard]] static rl::thread_id_t threads() { return rl::ctx().get_thread_count(); }
    void wrote() noexcept {
        rl::thread_info_base& me = *rl::ctx().threadx_;
        me.own_acq_rel_order_ += 1;
        writes_[static_cast<std::size_t>(me.index_)] = me.own_acq_rel_order_;
    }
    volatile std::uint64_t life_ = alive; // volatile: the store in the destructor is the point of it
    mutable std::array<rl::timestamp_t, max_threads> reads_{};
    std::array<rl::timestamp_t, max_threads> writes_{};
};

/// Memory that is never given out twice within an execution: what was freed stays poisoned. Addresses are the same in
/// every execution, as the tree searches need.
class Arena {
  public:
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment, const Place& at) {
        const auto begin = reinterpret_cast<std::uintptr_t>(memory_.data());
        alignment = std::max(alignment, alignof(Arena));
        used_ = ((begin + used_ + alignment - 1) & ~(alignment - 1)) - begin;
        void* const memory = memory_.data() + used_;
        used_ += bytes;
        if (used_ > memory_.size())
            fail("the model needs more memory than Arena has", rl::test_result_memory_leak, at);
        return memory;
    }
    void reset() noexcept {
        used_ = 0;
        objects = 0;
    }
    std::int64_t objects = 0; ///< made and not yet destroyed

  private:
    alignas(128) std::array<std::byte, std::size_t{1} << 22> memory_;
    std::size_t used_ = 0;
};
extern Arena arena;

template <class T>
[[nodiscard]] std::string in_words(const T& value) {
    if constexpr (std::is_pointer_v<T>)
        return value == nullptr ? "null" : fmt::format("{}", fmt::ptr(value));
    else if constexpr (std::is_same_v<T, std::uint64_t>)
        return value > 0xFFFF'FFFF ? fmt::format("{:#x}", value) : fmt::format("{}", value);
    else if constexpr (std::is_arithmetic_v<T>)
        return fmt::format("{}", value);
    else
        return "...";
}

struct CheckerBackend {
    struct order {
        Site* site;
    };
    using Location = std::source_location;

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

    template <class T>
    class atomic {
      public:
        atomic() : atomic(T{}) {}
        explicit atomic(T value) : newest_(value) {
            rl::context& c = rl::ctx();
            c.disable_preemption(); // initialisation is not an atomic operation
            cell_.store(value, rl::mo_relaxed, rl::debug_info("", "initialisation", 0));
            c.enable_preemption();
        }
        atomic(const atomic&) = delete;
        atomic& operator=(const atomic&) = delete;
        ~atomic() { life_.write(Location::current(), "destruction races with another access"); }

        [[nodiscard]] T load(order o) const {
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
        void store(T value, order o) {
            begin(o, Operation::store);
            cell_.store(value, rl_order(*o.site), rl_info(*o.site));
            if (tracing())
                trace.add(current_thread(), fmt::format("store {} -> {}", in_words(newest_), in_words(value)), *o.site);
            newest_ = value;
        }
        T exchange(T value, order o) {
            begin(o, Operation::exchange);
            const T old = cell_.exchange(value, rl_order(*o.site), rl_info(*o.site));
            if (tracing())
                trace.add(current_thread(), fmt::format("exchange {} -> {}", in_words(old), in_words(value)), *o.site);
            newest_ = value;
            return old;
        }
        T fetch_add(T value, order o) {
            begin(o, Operation::fetch_add);
            const T old = cell_.fetch_add(value, rl_order(*o.site), rl_info(*o.site));
            if (tracing())
                trace.add(current_thread(), fmt::format("fetch_add {} + {}", in_words(old), in_words(value)), *o.site);
            newest_ = static_cast<T>(old + value);
            return old;
        }
        bool compare_exchange_strong(T& expected, T desired, order success, order failure) {
            return compare_exchange<false>(expected, desired, success, failure);
        }
        bool compare_exchange_weak(T& expected, T desired, order success, order failure) {
            return compare_exchange<true>(expected, desired, success, failure);
        }

      private:
        void begin(order o, Operation operation) const {
            if (o.site->named == staging.stop_before && staging.stop_before != edge::unnamed)
                throw Stopped();
            o.site->operation = operation;
            if (staging.before_step && staging.threads_run)
                staging.before_step(*o.site);
            life_.read(*o.site, "an atomic operation races with the object's construction or destruction");
        }
        template <bool Weak>
        bool compare_exchange(T& expected, T desired, order success, order failure) {
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
        friend struct CheckerBackend;
        T newest_; ///< for traces and invariants
    };

    /// Plain data: every get and set is an access that a race is looked for on.
    template <class T>
    class var {
      public:
        var() = default;
        explicit var(T value) : value_(std::move(value)) {}
        var(const var&) = delete;
        var& operator=(const var&) = delete;
        ~var() { probe_.write(Location::current(), "destruction races with an access to plain data"); }
        [[nodiscard]] const T& get(const Location at = Location::current()) const {
            probe_.read(at, "a read of plain data races with a write");
            if (tracing())
                trace.add(current_thread(), fmt::format("read {}", in_words(value_)), at);
            return value_;
        }
        void set(T value, const Location at = Location::current()) {
            probe_.write(at, "a write of plain data races with another access");
            if (tracing())
                trace.add(current_thread(), fmt::format("write {}", in_words(value)), at);
            value_ = std::move(value);
        }

      private:
        T value_{};
        Probe probe_;
    };

    /// One probe a run.
    template <class T>
    class array {
      public:
        array(std::size_t runs, std::size_t width)
            : width_(width), runs_(runs),
              data_(static_cast<T*>(arena.allocate(runs * width * sizeof(T), alignof(T), Location::current()))),
              probes_(std::make_unique<Probe[]>(runs)) {
            std::memset(static_cast<void*>(data_), 0xDD, runs * width * sizeof(T));
        }
        array(const array&) = delete;
        array& operator=(const array&) = delete;
        ~array() {
            for (std::size_t i = 0; i != runs_; ++i)
                probes_[i].write(Location::current(), "destruction races with an access to an array");
            std::memset(static_cast<void*>(data_), 0xDD, runs_ * width_ * sizeof(T));
        }
        [[nodiscard]] const T* read(std::size_t run, const Location at = Location::current()) const {
            touch(run, at);
            return data_ + run * width_;
        }
        [[nodiscard]] const T* read_some(std::size_t first, std::uint64_t mask,
                                         const Location at = Location::current()) const {
            for (std::size_t i = 0; mask != 0; ++i, mask >>= 1)
                if ((mask & 1) != 0)
                    touch(first + i, at);
            return data_ + first * width_;
        }
        [[nodiscard]] T* write(std::size_t run, const Location at = Location::current()) {
            probes_[run].write(at, "a write to an array races with another access");
            if (tracing())
                trace.add(current_thread(), fmt::format("write run {} of an array", run), at);
            return data_ + run * width_;
        }

      private:
        void touch(std::size_t run, const Place& at) const {
            probes_[run].read(at, "a read of an array races with a write");
            if (tracing())
                trace.add(current_thread(), fmt::format("read run {} of an array", run), at);
        }
        std::size_t width_;
        std::size_t runs_;
        T* data_;
        std::unique_ptr<Probe[]> probes_;
    };

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

    static constexpr bool verifies = true;
    template <class T>
    [[nodiscard]] static T newest(const atomic<T>& a) {
        return a.newest_;
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

    template <class T, class... Args>
    [[nodiscard]] static T* make(Args&&... args) {
        T* const object =
            ::new (arena.allocate(sizeof(T), alignof(T), Location::current())) T(std::forward<Args>(args)...);
        ++arena.objects;
        return object;
    }
    template <class T>
    static void destroy(T* object) {
        destroy_and_poison(object);
        --arena.objects;
    }
    template <class T, class... Args>
    static T* construct_at(void* memory, Args&&... args) {
        T* const object = ::new (memory) T(std::forward<Args>(args)...);
        ++arena.objects;
        return object;
    }
    template <class T>
    static void destroy_at(T* object) {
        destroy_and_poison(object);
        --arena.objects;
    }
    template <class T, class Init>
    [[nodiscard]] static T* make_array(std::size_t n, Init init) {
        auto* const memory = static_cast<std::byte*>(arena.allocate(n * sizeof(T), alignof(T), Location::current()));
        for (std::size_t i = 0; i != n; ++i)
            init(static_cast<void*>(memory + i * sizeof(T)));
        return reinterpret_cast<T*>(memory);
    }
    template <class T>
    static void destroy_array(T* objects, std::size_t n) {
        for (std::size_t i = 0; i != n; ++i)
            destroy_at(objects + i);
    }

    /// A structure's domain. Models use explicit handles, so no thread needs to know whether it still is there.
    template <class T>
    class anchored {
      public:
        template <class... Args>
        explicit anchored(std::in_place_t, Args&&... args) : domain_(make<T>(std::forward<Args>(args)...)) {}
        anchored(const anchored&) = delete;
        anchored& operator=(const anchored&) = delete;
        ~anchored() { destroy(domain_); }
        void close() noexcept {}
        [[nodiscard]] T* operator->() const noexcept { return domain_; }
        [[nodiscard]] T& operator*() const noexcept { return *domain_; }

      private:
        T* domain_;
    };

    template <class T>
    [[nodiscard]] static T* make_zeroed_array(std::size_t n) {
        return make_array<T>(n, [](void* at) { construct_at<T>(at); });
    }
    template <class T>
    static void destroy_zeroed_array(T* objects, std::size_t n) {
        destroy_array(objects, n);
    }
    /// A new object in its place: who still uses the old one, or reads what it left behind, fails.
    template <class T>
    static void discard(T* object) {
        destroy_at(object);
        construct_at<T>(object);
    }

    /// Time stands still but for what a model does to it.
    [[nodiscard]] static std::int64_t read_clock_ms() noexcept { return clock_ms; }
    static inline std::int64_t clock_ms = 1'000'000;

  private:
    template <class T>
    static void destroy_and_poison(T* object) {
        object->~T();
        std::memset(static_cast<void*>(object), 0xDD, sizeof(T));
        asm volatile("" : : "r"(object) : "memory"); // the poison is to be seen by whoever still has the address
    }
    [[nodiscard]] static rl::memory_order rl_order(const Site& site) noexcept {
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
    [[nodiscard]] static rl::debug_info rl_info(const Site& site) noexcept {
        return rl::debug_info("", site.file, site.line);
    }
    /// What relaxed loads of this thread have put aside for an acquire fence.
    [[nodiscard]] static rl::timestamp_t* put_aside() {
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
    [[nodiscard]] static rl::timestamp_t* clock() { return rl::ctx().threadx_->acq_rel_order_; }
    template <class Into, class From>
    static void join(Into& into, const From& from) {
        for (rl::thread_id_t i = 0; i != rl::ctx().get_thread_count(); ++i)
            into[i] = std::max(into[i], from[i]);
    }
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
static_assert(Backend<CheckerBackend>);

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
