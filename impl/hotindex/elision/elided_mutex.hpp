// ElidedMutex: a mutex that critical sections need not take, where the processor has transactions.
//
// Problem: most sections that one mutex guards touch different data, and wait for each other for nothing. Idea: run the
// section as a transaction that only reads the lock's word. Two sections then exclude each other where they touch the
// same data, and nowhere else. A section that cannot be a transaction takes the mutex, which aborts all of them.
//
// Protocol. `word_` is 1 while a section runs behind the mutex.
//   transaction:       begin; load word_, and abort if it is 1; the section; commit
//   behind the mutex:  lock the mutex; exchange word_ to 1; the section; store 0 to word_; unlock the mutex
// A transaction that has read 0 is aborted by the exchange. What it committed before lies before the exchange, which is
// a full fence, and so before every access of the section behind it: a plain store could still wait in its store buffer
// while that section reads. Only the mutex's owner writes word_, so unlock() knows by it which way its section went in.
//
// After an abort, by its reason:
//   lock held         wait for the word, for a bounded time, and try again
//   conflict          pause, longer each time, and try again
//   any, without the processor's hint that a retry may succeed     take the mutex: capacity, system calls, page faults
// until the tries are used up: how many there are is what the lock learns (ElisionBudget).
//
// Where the processor has no transactions this is the mutex, and a branch that is always predicted.
//
// Invariants
//   E1  word_ is 1 only between the exchange and the store of the mutex's owner.
//   E2  a committed transaction read word_ as 0, and nobody wrote it before the commit.
// Linearization: a transaction at its commit, a section behind the mutex anywhere between exchange and store. Progress:
// blocking; tries and pauses are bounded.
// Memory: about a kilobyte, so that what is written does not abort those who read its neighbour.
//
// When not to use it? Where sections end in system calls, or write one common line, each first try is wasted: about
// 0.1 us, and soon once in elision_longest_rest sections only. Do not lock it while something else spins within a
// transaction. lock() and unlock() by RAII: a transaction left open ends with the thread's next interrupt only.
//
// Sources: Rajwar, Goodman: "Speculative Lock Elision", MICRO 2001. Yoo, Hughes, Lai, Rajwar: "Performance Evaluation of
// Intel Transactional Synchronization Extensions for High-Performance Computing", SC 2013 (five tries; waiting for a
// held lock). Dice, Kogan, Lev, Merrifield, Moir: "Adaptive Integration of Hardware and Software Lock Elision
// Techniques", SPAA 2014 (statistics, learning for each lock).
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/elision/elision_budget.hpp>
#include <hotindex/elision/transactions.hpp>
#include <hotindex/threads/counters.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace hotindex {

/// What became of the acquisitions of one lock. All 0 where there are no transactions: nothing is counted then.
struct ElisionStats {
    bool available = false;    ///< has the processor transactions?
    std::uint64_t commits = 0; ///< sections that were transactions
    std::uint64_t behind = 0;  ///< sections behind the mutex ...
    std::uint64_t untried = 0; ///< ... of which so many tried no transaction, because the lock had none to spare
    std::array<std::uint64_t, abort_reasons> aborts{}; ///< of transactions, by AbortReason
    [[nodiscard]] std::uint64_t aborted(AbortReason reason) const {
        return aborts.at(static_cast<std::size_t>(reason));
    }
};

/// T: transactions (transactions.hpp). Fallback: lock(), unlock() and try_lock() of a mutex.
/// Meets Lockable: for std::unique_lock, std::scoped_lock, std::condition_variable_any. Not recursive.
template <class B, class Traits, class T = RestrictedTransactions, class Fallback = std::mutex>
class BasicElidedMutex {
  public:
    /// What one acquisition knows of itself while it tries.
    class Acquisition {
        friend class BasicElidedMutex;
        explicit Acquisition(std::uint32_t tries) noexcept : tries_left(tries), untried(tries == 0) {}
        std::uint32_t tries_left;
        std::uint32_t pauses = 1;
        bool untried;
        AbortReason last = AbortReason::other;
    };

    BasicElidedMutex() : elides_(T::available()), word_(0) {}
    BasicElidedMutex(const BasicElidedMutex&) = delete;
    BasicElidedMutex& operator=(const BasicElidedMutex&) = delete;
    ~BasicElidedMutex() = default;

    /// Throws what the fallback's lock() throws. Blocking.
    void lock() {
        if (!elides_) [[likely]] {
            fallback_.lock();
            return;
        }
        Acquisition mine = acquisition();
        lock(mine);
    }

    /// One transaction at most, and no waiting.
    [[nodiscard]] bool try_lock() {
        if (!elides_) [[likely]]
            return fallback_.try_lock();
        Acquisition mine = acquisition();
        mine.tries_left = std::min(mine.tries_left, 1U);
        if (elide(mine))
            return true;
        if (!fallback_.try_lock())
            return false;
        taken(mine);
        return true;
    }

    void unlock() {
        if (!elides_) [[likely]] {
            fallback_.unlock();
            return;
        }
        // relaxed: the owner's own store, or what its transaction has read before
        if (word_.load(B::relaxed()) == 0) {
            T::commit();
            stripe().commits.fetch_add(1, B::relaxed()); // relaxed: a statistic
            budget_.committed();
            return;
        }
        // [elided_word] release-store; synchronizes-with the acquire-load of a transaction; publishes: the section
        word_.store(0, B::release(edge::elided_word));
        fallback_.unlock(); // after it: E1
    }

    // ---- for those who run sections again themselves, because their transactions are software ----

    [[nodiscard]] Acquisition acquisition() const noexcept { return Acquisition(budget_.tries()); }
    /// Goes on with an acquisition: returns within a transaction, or behind the mutex. Only where is elides().
    void lock(Acquisition& mine) {
        if (elide(mine))
            return;
        fallback_.lock();
        taken(mine);
    }
    /// Its transaction was aborted: what the second return of begin() leads to.
    void aborted(Acquisition& mine, TransactionStatus status) noexcept {
        mine.last = status.reason();
        stripe().aborts[static_cast<std::size_t>(mine.last)].fetch_add(1, B::relaxed()); // relaxed: a statistic
        --mine.tries_left;
        if (!status.may_succeed())
            mine.tries_left = 0;
        if (mine.tries_left == 0)
            return;
        if (mine.last == AbortReason::lock_held) {
            if (!becomes_free())
                mine.tries_left = 0; // its owner takes long, or is not running
            return;
        }
        for (std::uint32_t i = 0; i != mine.pauses; ++i)
            B::pause();
        mine.pauses *= 2;
    }

    /// Are sections tried as transactions? The same answer as long as the mutex lives.
    [[nodiscard]] bool elides() const noexcept { return elides_; }
    /// Exact when nothing is running, otherwise close. O(1).
    [[nodiscard]] ElisionStats stats() const noexcept {
        ElisionStats s;
        s.available = elides_;
        s.behind = behind_.read();
        s.untried = untried_.read();
        for (const Stripe& stripe : stripes_) {
            s.commits += stripe.commits.load(B::relaxed()); // relaxed: a statistic
            for (std::size_t r = 0; r != abort_reasons; ++r)
                s.aborts[r] += stripe.aborts[r].load(B::relaxed()); // relaxed: a statistic
        }
        return s;
    }

  private:
    using Counter = typename B::template atomic<std::uint64_t>;
    /// Counts of some threads; the lines of others stay where they are.
    struct alignas(isolation) Stripe {
        Stripe() : commits(0) {
            for (Counter& c : aborts)
                c.store(0, B::relaxed()); // relaxed: construction overlaps with nothing
        }
        Counter commits;
        std::array<Counter, abort_reasons> aborts;
    };

    /// true: a transaction runs, and the lock was free in it.
    [[nodiscard]] bool elide(Acquisition& mine) {
        while (mine.tries_left != 0) {
            const TransactionStatus status = T::begin();
            if (!status.started()) {
                aborted(mine, status);
                continue;
            }
            // [elided_word] acquire-load; synchronizes-with the release-store of unlock(); publishes: the last section
            // behind the mutex. From here on the exchange of taken() aborts this transaction.
            if (word_.load(B::acquire(edge::elided_word)) == 0)
                return true;
            T::abort_because_held();
        }
        return false;
    }

    /// The caller has just locked the fallback.
    void taken(const Acquisition& mine) noexcept {
        // [elided_word] acquire-exchange; synchronizes-with the commit of each transaction that read the word as 0;
        // publishes: its section. An exchange: see the protocol.
        word_.exchange(1, B::acquire(edge::elided_word));
        behind_.add(1);
        if (mine.untried) {
            untried_.add(1);
            budget_.rested();
        } else {
            budget_.spent(mine.last);
        }
    }

    /// Waits until the word is 0, for a bounded time.
    [[nodiscard]] bool becomes_free() const noexcept {
        for (std::uint32_t i = 0; i != Traits::elision_pauses; ++i) {
            if (word_.load(B::relaxed()) == 0) // relaxed: a hint, the transaction looks again
                return true;
            B::pause();
        }
        return false;
    }

    /// Threads differ by where their stacks are.
    [[nodiscard]] Stripe& stripe() noexcept {
        const char here = 0;
        const auto place = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&here)) >> 16;
        return stripes_[static_cast<std::size_t>(place * 0x9E3779B97F4A7C15U >> 32) % Traits::elision_stripes];
    }

    // What everybody reads and nearly nobody writes.
    alignas(isolation) const bool elides_;
    ElisionBudget<B, Traits> budget_;
    // What its owner writes.
    alignas(isolation) Fallback fallback_;
    OwnedCounter<B> behind_; ///< one owner at a time
    OwnedCounter<B> untried_;
    // What transactions watch, alone: whatever is written beside it would abort them.
    alignas(isolation) typename T::template word<B> word_;
    std::array<Stripe, Traits::elision_stripes> stripes_;
};

/// As the Mutex of HotVectorIndex, or of anything else.
using ElidedMutex = BasicElidedMutex<ProductionBackend, DefaultTraits>;

} // namespace hotindex
