// CountingBackend: what an operation costs in shared memory, counted and not timed.
//
// Behaves as ProductionBackend and tallies, for each thread, every atomic operation by edge (relaxed ones under
// edge::unnamed), every fence, and on request the addresses that were written. Figures are exact and repeatable, so
// that tests and gates can compare them without statistics.
#pragma once

#include <hotindex/backend/production.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hotindex {

/// Operations of one edge, or a sum.
struct OperationCounts {
    std::uint64_t loads = 0;
    std::uint64_t stores = 0;
    std::uint64_t rmws = 0; ///< exchange, fetch_add, and successful compare-exchange
    std::uint64_t cas_failures = 0;
    std::uint64_t light_fences = 0;
    std::uint64_t heavy_fences = 0;

    OperationCounts& operator+=(const OperationCounts& o) noexcept {
        loads += o.loads;
        stores += o.stores;
        rmws += o.rmws;
        cas_failures += o.cas_failures;
        light_fences += o.light_fences;
        heavy_fences += o.heavy_fences;
        return *this;
    }
    friend bool operator==(const OperationCounts&, const OperationCounts&) = default;
};

/// The calling thread's tally.
struct Tally {
    std::array<OperationCounts, edge_count> by_edge{};
    bool record_writes = false;
    std::vector<const void*> writes; ///< addresses of stores and read-modify-writes, failed ones too, while recorded

    [[nodiscard]] OperationCounts& of(edge e) noexcept { return by_edge[static_cast<std::size_t>(e)]; }
    [[nodiscard]] OperationCounts total() const noexcept {
        OperationCounts sum;
        for (const OperationCounts& c : by_edge)
            sum += c;
        return sum;
    }
    void wrote(const void* address) {
        if (record_writes)
            writes.push_back(address);
    }
    void reset() {
        by_edge.fill({});
        writes.clear();
    }
};

struct CountingBackend : ProductionBackend {
    struct order {
        std::memory_order memory_order;
        edge named;
    };
    static constexpr order relaxed() noexcept { return {std::memory_order_relaxed, edge::unnamed}; }
    static constexpr order acquire(edge e) noexcept { return {std::memory_order_acquire, e}; }
    static constexpr order release(edge e) noexcept { return {std::memory_order_release, e}; }
    static constexpr order acq_rel(edge e) noexcept { return {std::memory_order_acq_rel, e}; }

    [[nodiscard]] static std::int64_t read_timer_us() noexcept { return 0; } // what is counted is the same every time

    [[nodiscard]] static Tally& tally() noexcept {
        thread_local Tally mine;
        return mine;
    }

    template <class T>
    class atomic {
      public:
        atomic() = default;
        explicit atomic(T value) : cell_(value) {}
        atomic(const atomic&) = delete;
        atomic& operator=(const atomic&) = delete;
        ~atomic() = default;

        [[nodiscard]] T load(order o) const noexcept {
            ++tally().of(o.named).loads;
            return cell_.load(o.memory_order);
        }
        void store(T value, order o) {
            ++tally().of(o.named).stores;
            tally().wrote(this);
            cell_.store(value, o.memory_order);
        }
        T exchange(T value, order o) {
            ++tally().of(o.named).rmws;
            tally().wrote(this);
            return cell_.exchange(value, o.memory_order);
        }
        T fetch_add(T value, order o) {
            ++tally().of(o.named).rmws;
            tally().wrote(this);
            return cell_.fetch_add(value, o.memory_order);
        }
        bool compare_exchange_strong(T& expected, T desired, order success, order failure) {
            return count(cell_.compare_exchange_strong(expected, desired, success.memory_order, failure.memory_order),
                         success.named);
        }
        bool compare_exchange_weak(T& expected, T desired, order success, order failure) {
            return count(cell_.compare_exchange_weak(expected, desired, success.memory_order, failure.memory_order),
                         success.named);
        }

      private:
        bool count(bool done, edge e) {
            ++(done ? tally().of(e).rmws : tally().of(e).cas_failures);
            tally().wrote(this);
            return done;
        }
        std::atomic<T> cell_;
    };

    static void light_fence(edge e) noexcept {
        ++tally().of(e).light_fences;
        ProductionBackend::light_fence(e);
    }
    static void heavy_fence(edge e) noexcept {
        ++tally().of(e).heavy_fences;
        ProductionBackend::heavy_fence(e);
    }
};
static_assert(Backend<CountingBackend>);

} // namespace hotindex
