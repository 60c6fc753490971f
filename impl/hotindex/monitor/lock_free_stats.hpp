// LockFreeStats: what an index has done, counted without anybody noticing.
//
// Each participant counts in a shard of its own: plain loads and stores on lines that nobody else writes. A total is
// the sum over all shards; a reset remembers the sum of that moment as the baseline and writes to no shard. So counting
// costs a search a handful of stores to lines that are its own, and two clock reads; switched off, nothing.
//
// What a participant counted moves into the total of the departed when it leaves: see leave(). A total beside that is
// taken again, a few times at most.
//
// Linearization: none is promised while operations run: a total contains everything that returned before the call and
// perhaps part of what runs beside it. At quiescence it is exact. Two resets at once leave the baseline of one or the
// other, counter by counter. A participant that is stopped in the middle of leaving may be missing from a total, and
// what it moves is then counted after a reset. Progress: all wait-free (totals are bounded by the participants).
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/threads/counters.hpp>
#include <hotindex/vector_index.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace hotindex {

template <class B>
class LockFreeStats {
    enum Counter : std::size_t { queries, nanoseconds, similarities, promotions, demotions, counters };

  public:
    /// Runs from its construction; reads no clock when off.
    class Timer {
      public:
        explicit Timer(bool on) : on_(on), begin_(on ? Clock::now() : Clock::time_point()) {}
        [[nodiscard]] bool on() const noexcept { return on_; }
        [[nodiscard]] std::chrono::nanoseconds elapsed() const { return Clock::now() - begin_; }

      private:
        using Clock = std::chrono::steady_clock;
        bool on_;
        Clock::time_point begin_;
    };

    /// One participant's counts. Written by its owner only.
    class alignas(isolation) Shard {
      public:
        /// `n` queries were answered since the timer began, with `scored` similarity computations. Nothing when it is
        /// off.
        void answered(const Timer& timer, std::uint64_t n, std::uint64_t scored) {
            if (!timer.on())
                return;
            counts_[queries].add(n);
            counts_[similarities].add(scored);
            counts_[nanoseconds].add(static_cast<std::uint64_t>(timer.elapsed().count()));
        }
        void promoted(std::uint64_t n) {
            if (n != 0)
                counts_[promotions].add(n);
        }
        void demoted(std::uint64_t n) {
            if (n != 0)
                counts_[demotions].add(n);
        }

      private:
        friend class LockFreeStats;
        std::array<OwnedCounter<B>, counters> counts_;
    };

    LockFreeStats() : leaves_begun_(0), leaves_done_(0) {
        for (auto* const totals : {&departed_, &baseline_})
            for (auto& t : *totals)
                t.store(0, B::relaxed()); // relaxed: construction overlaps with nothing
    }

    /// The shard's owner leaves: what it counted goes to the total of the departed, and the shard begins at 0 again for
    /// its next owner. Called by its owner. Wait-free.
    void leave(Shard& shard) noexcept {
        // relaxed, all: see the promise above
        leaves_begun_.fetch_add(1, B::relaxed());
        for (std::size_t c = 0; c != counters; ++c) {
            const std::uint64_t n = shard.counts_[c].read();
            shard.counts_[c].add(~n + 1); // first, so that nobody counts it twice
            departed_[c].fetch_add(n, B::relaxed());
        }
        leaves_done_.fetch_add(1, B::relaxed());
    }

    /// `for_each_shard(visit)` calls visit(const Shard&) for every shard that was not left. `vectors` is left to the
    /// index.
    template <class ForEachShard>
    [[nodiscard]] IndexStats total(ForEachShard for_each_shard) const {
        Sums sum = sums(for_each_shard);
        for (std::size_t c = 0; c != counters; ++c) {
            const std::uint64_t baseline = baseline_[c].load(B::relaxed()); // relaxed: see the promise above
            sum[c] -= std::min(sum[c], baseline); // a reset beside this call may already count more
        }
        IndexStats s;
        s.queries = sum[queries];
        s.query_time = std::chrono::nanoseconds(sum[nanoseconds]);
        s.similarity_computations = sum[similarities];
        s.promotions = sum[promotions];
        s.demotions = sum[demotions];
        return s;
    }

    template <class ForEachShard>
    void reset(ForEachShard for_each_shard) {
        const Sums sum = sums(for_each_shard);
        for (std::size_t c = 0; c != counters; ++c)
            baseline_[c].store(sum[c], B::relaxed()); // relaxed: see the promise above
    }

  private:
    using Sums = std::array<std::uint64_t, counters>;

    /// The sums at a moment at which nobody was leaving, if there is one within a few attempts.
    template <class ForEachShard>
    [[nodiscard]] Sums sums(ForEachShard& for_each_shard) const {
        for (int attempt = 1;; ++attempt) {
            // relaxed, both: see the promise above
            const std::uint64_t done = leaves_done_.load(B::relaxed());
            const Sums sum = sums_now(for_each_shard);
            if (leaves_begun_.load(B::relaxed()) == done || attempt == most_attempts)
                return sum;
            B::pause();
        }
    }

    template <class ForEachShard>
    [[nodiscard]] Sums sums_now(ForEachShard& for_each_shard) const {
        Sums sum{};
        for (std::size_t c = 0; c != counters; ++c)
            sum[c] = departed_[c].load(B::relaxed()); // relaxed: see the promise above; first, as leave() adds last
        for_each_shard([&sum](const Shard& shard) {
            for (std::size_t c = 0; c != counters; ++c)
                sum[c] += shard.counts_[c].read();
        });
        return sum;
    }

    static constexpr int most_attempts = 16; ///< a thread leaves within a microsecond unless it is stopped
    using Totals = std::array<typename B::template atomic<std::uint64_t>, counters>;
    alignas(isolation) typename B::template atomic<std::uint64_t> leaves_begun_;
    typename B::template atomic<std::uint64_t> leaves_done_;
    Totals departed_; ///< counted by participants that have left
    Totals baseline_; ///< at the last reset
};

} // namespace hotindex
