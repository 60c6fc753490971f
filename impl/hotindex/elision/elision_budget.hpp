// ElisionBudget: how many transactions an acquisition of one lock tries before it takes the mutex, as the lock learns it.
//
// Each lock has a credit, in commits; an acquisition has a try for each elision_commits_per_try of it, rounded up.
//   a commit                        adds 1, up to elision_tries tries
//   tried in vain, conflicts        takes one try
//   tried in vain, does not fit     takes three quarters: capacity, system calls, page faults
//   the lock was held all the time  takes nothing: that says nothing of the section
// Without a whole try the lock rests: so many sections take the mutex at once, then there are two tries. Each rest is
// twice as long as the one before, up to elision_longest_rest, until the credit has been full again. So a lock whose
// sections never fit wastes one transaction in elision_longest_rest sections, and one whose sections begin to fit is
// back after at most as many sections, and elision_tries * elision_commits_per_try commits.
//
// In a steady state nothing is written: full credit is only read. What commits side by side lose of their gain makes
// learning slower, and nothing else.
//
// Thread-safety: tries() and committed() anywhere; spent() and rested() by the owner of the lock. Progress: wait-free.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/elision/transactions.hpp>

#include <algorithm>
#include <cstdint>

namespace hotindex {

template <class B, class Traits>
class ElisionBudget {
  public:
    ElisionBudget() : credit_(full), rest_(0), next_rest_(Traits::elision_first_rest) {}

    /// Of the next acquisition.
    [[nodiscard]] std::uint32_t tries() const noexcept {
        // relaxed: any recent value will do
        return (credit_.load(B::relaxed()) + a_try - 1) / a_try;
    }
    /// A transaction has committed.
    void committed() noexcept {
        const std::uint32_t credit = credit_.load(B::relaxed()); // relaxed, all: as in tries()
        if (credit == full) [[likely]]
            return;
        credit_.store(credit + 1, B::relaxed());
        if (credit + 1 == full)
            next_rest_.store(Traits::elision_first_rest, B::relaxed());
    }
    /// An acquisition has tried in vain, the last time for this reason.
    void spent(AbortReason last) noexcept {
        if (last == AbortReason::lock_held)
            return;
        const std::uint32_t credit = credit_.load(B::relaxed()); // relaxed, all: as in tries()
        const std::uint32_t less = last == AbortReason::conflict ? credit - std::min(credit, a_try) : credit / 4;
        if (less >= a_try) {
            credit_.store(less, B::relaxed());
            return;
        }
        const std::uint32_t rest = next_rest_.load(B::relaxed());
        credit_.store(0, B::relaxed());
        rest_.store(rest, B::relaxed());
        next_rest_.store(std::min(rest * 2, Traits::elision_longest_rest), B::relaxed());
    }
    /// An acquisition has taken the mutex without a try.
    void rested() noexcept {
        const std::uint32_t left = rest_.load(B::relaxed()); // relaxed, all: as in tries()
        if (left > 1)
            rest_.store(left - 1, B::relaxed());
        else
            credit_.store(after_rest, B::relaxed());
    }

  private:
    static constexpr std::uint32_t a_try = Traits::elision_commits_per_try; ///< in units of credit
    static constexpr std::uint32_t full = Traits::elision_tries * a_try;
    static constexpr std::uint32_t after_rest = std::min(2 * a_try, full);

    typename B::template atomic<std::uint32_t> credit_;    ///< 0, or a_try to full
    typename B::template atomic<std::uint32_t> rest_;      ///< sections until the next try
    typename B::template atomic<std::uint32_t> next_rest_; ///< how many there will be the next time
};

} // namespace hotindex
