// History: what operations of one execution were called when and what they answered, and whether some order of them
// explains the answers (Wing and Gong's search, for a handful of operations).
//
// "Before" is happens-before, not the checker's clock: under release and acquire a call may well miss what another
// thread has done at an earlier step of the execution, as long as nothing told it so. Whoever is told (by any
// synchronization, the structure's own included) must see it. That is linearizability as C++ programs can observe it.
#pragma once

#include "checker_backend.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <source_location>

namespace hotindex::model {

/// Oracle: copyable, default-constructed as the start; `bool takes(const Call&)` applies a call and says whether its
/// answer is right. Call: what was called and what it answered.
template <class Call, class Oracle>
class History {
  public:
    static constexpr std::size_t most_calls = 12;

    explicit History(const Oracle& start = Oracle()) : start_(start) {}

    /// Runs `work`, which returns the call with its answer, as one operation.
    template <class Work>
    void record(Work work) {
        Entry& mine = entries_[size_++];
        rl::thread_info_base& me = *rl::ctx().threadx_;
        mine.thread = static_cast<std::size_t>(me.index_);
        std::copy_n(me.acq_rel_order_, rl::ctx().get_thread_count(), mine.known_at_begin.begin());
        mine.call = work();
        me.own_acq_rel_order_ += 1; // a moment of its own for the end
        mine.end = me.own_acq_rel_order_;
    }

    /// Fails the execution if no order explains the answers.
    void check(const std::source_location at = std::source_location::current()) const {
        if (!explained(start_, 0))
            fail("no order of the operations explains their answers: not linearizable",
                 rl::test_result_user_assert_failed, at);
    }

  private:
    struct Entry {
        std::size_t thread = 0;
        std::array<rl::timestamp_t, max_threads> known_at_begin{};
        rl::timestamp_t end = never;
        Call call{};
    };
    static constexpr rl::timestamp_t never = ~rl::timestamp_t{0};
    [[nodiscard]] bool explained(const Oracle& state, std::uint32_t done) const {
        if (done == (std::uint32_t{1} << size_) - 1)
            return true;
        for (std::size_t i = 0; i != size_; ++i) {
            if ((done >> i & 1) != 0 || !may_come_next(i, done))
                continue;
            Oracle next = state;
            if (next.takes(entries_[i].call) && explained(next, done | std::uint32_t{1} << i))
                return true;
        }
        return false;
    }
    /// No call that is still to come happened before call i.
    [[nodiscard]] bool may_come_next(std::size_t i, std::uint32_t done) const {
        for (std::size_t j = 0; j != size_; ++j)
            if (j != i && (done >> j & 1) == 0 && entries_[i].known_at_begin[entries_[j].thread] >= entries_[j].end)
                return false;
        return true;
    }

    Oracle start_;
    std::size_t size_ = 0;
    std::array<Entry, most_calls> entries_{};
};

} // namespace hotindex::model
