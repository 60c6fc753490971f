// SerialTransactions: transactions in software for an ElidedMutex around an index, which nothing can roll back.
//
// One runs at a time; one that would run beside it is aborted by a conflict. The lock's word is exchanged when none runs,
// as if the running one had committed just before. So all that an aborted transaction leaves behind is what it did to
// the schedule, as in a processor. Some abort at once for reasons drawn from a seed. The word's orders are those of the
// source, so that ThreadSanitizer sees what a transaction learns of sections behind the mutex.
#pragma once

#include "harness/stress_backend.hpp"

#include <hotindex/elision/transactions.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

namespace hotindex::stress {

/// Running: a mutex, held while a transaction runs.
template <class Running>
class SerialTransactions {
    using Status = TransactionStatus;

  public:
    template <class B>
    class word {
      public:
        explicit word(std::uint32_t value) : value_(value) {}
        [[nodiscard]] std::uint32_t load(typename B::order o) const { return value_.load(o); }
        void store(std::uint32_t value, typename B::order o) { value_.store(value, o); }
        std::uint32_t exchange(std::uint32_t value, typename B::order o) {
            const std::scoped_lock alone(running);
            return value_.exchange(value, o);
        }

      private:
        typename B::template atomic<std::uint32_t> value_;
    };

    static bool available() { return true; }
    static Status begin() {
        if (mine.pending != Status::in_transaction)
            return Status(std::exchange(mine.pending, Status::in_transaction));
        // Half of them run.
        constexpr std::array reasons{Status::capacity, Status::retry, Status::conflict | Status::retry, 0u};
        mine.random = mine.random * 6364136223846793005u + 1442695040888963407u;
        const std::uint64_t drawn = mine.random >> 33;
        if (drawn % 2 == 0)
            return Status(reasons[drawn / 2 % reasons.size()]);
        if (!running.try_lock())
            return Status(Status::conflict | Status::retry);
        return Status(Status::in_transaction);
    }
    static void commit() { running.unlock(); }
    static void abort_because_held() {
        running.unlock();
        mine.pending = Status::lock_held;
    }

  private:
    struct Thread {
        std::uint64_t random = seeds.fetch_add(1, std::memory_order_relaxed); // relaxed: any will do
        std::uint32_t pending = Status::in_transaction;
    };
    static inline std::atomic<std::uint64_t> seeds = 1;
    static inline Running running;
    static inline thread_local Thread mine;
};

} // namespace hotindex::stress
