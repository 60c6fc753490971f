// TopK: the k best of a stream of (score, slot) pairs.
//
// The order is total: better score first (which way is better depends on the metric), equal scores by ascending id. The
// id is asked for, through a callable, on an exact tie of scores only. So the result depends on the set of pairs alone,
// not on the order in which they come: scans in any order, and both indexes, give the same answer.
//
// Until k pairs are there they are only collected, whatever k is; so a k beyond the number of rows costs no memory.
// Then a small k keeps a sorted array (insertion moves a few neighbouring entries, cheaper than a heap), a large one a
// heap with the worst pair on top.
//
// With a bound only pairs are taken whose score is not worse than that, so there may be fewer than k.
//
// A score that is not a number (a sum in which infinities of both signs met) counts as the worst possible score and is
// reported as that: an infinity.
//
// Invariants
//   I1  at most k entries; full once k pairs were taken. threshold() is the bound until then, the score of the worst
//       entry from then on.
//   I2  full and k <= sorted_up_to: entries are in order, best first. Full and larger: a heap, worst entry in front.
//   I3  until sorted() is called, an entry holds its score, negated where a lower one is better: so one
//       comparison does for every metric.
// Complexity: push of a pair that is worse than the threshold O(1); else O(k) for k <= sorted_up_to, O(log k) above.
// Thread-safety: none, one scan owns it. Memory: grows to the largest number of entries ever held and is kept for
// reuse, until keep_at_most() finds it too much.
#pragma once

#include <hotindex/vector_index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace hotindex {

/// `Slot`: what stands for a row, any small trivially copyable value; `id_of(slot)` gives its id, or a view of it, is
/// called on exact ties of scores only, and what it throws leaves the object fit for reset() alone.
template <class Slot = std::uint32_t>
class TopK {
    static_assert(std::is_trivially_copyable_v<Slot>);

  public:
    struct Entry {
        float score;
        Slot slot;
    };
    /// Largest k that is kept as a sorted array.
    static constexpr std::size_t sorted_up_to = 48;

    TopK() = default;
    TopK(std::size_t k, Metric metric) { reset(k, metric); }

    /// Empties it for another search; keeps the memory.
    void reset(std::size_t k, Metric metric) noexcept { reset(k, metric, worst_score(metric)); }
    /// The same, for pairs whose score is not worse than `bound`, a number or an infinity.
    void reset(std::size_t k, Metric metric, float bound) noexcept {
        entries_.clear();
        k_ = k;
        sign_ = higher_is_better(metric) ? 1.0F : -1.0F;
        least_ = ranked(bound);
        told_ = false;
    }

    /// The memory that it has.
    [[nodiscard]] std::size_t bytes() const noexcept { return entries_.capacity() * sizeof(Entry); }
    /// Gives its memory back if that is more than so many bytes. Then reset() comes next.
    void keep_at_most(std::size_t bytes) noexcept {
        if (this->bytes() > bytes)
            std::vector<Entry>().swap(entries_);
    }

    [[nodiscard]] std::size_t k() const noexcept { return k_; }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] bool full() const noexcept { return entries_.size() >= k_; }
    /// A pair with a worse score than this cannot enter; one with this very score may, if its id is smaller. The bound,
    /// or the worst score there is (an infinity), until k pairs are there.
    [[nodiscard]] float threshold() const noexcept { return least_ * sign_; }

    /// Whether push() would take the pair now.
    template <class IdOf>
    [[nodiscard]] bool would_take(float score, Slot slot, IdOf&& id_of) const {
        if (k_ == 0)
            return false;
        const float offered = ranked(score);
        if (!full())
            return offered >= least_;
        if (offered > least_)
            return true;
        return offered == least_ && ids_in_order(slot, worst().slot, id_of);
    }

    /// Offers a pair; true if it is now among the k best. Throws std::bad_alloc (then the pair is not in) while fewer
    /// than k pairs are there, and whatever id_of throws.
    template <class IdOf>
    bool push(float score, Slot slot, IdOf&& id_of) {
        if (!would_take(score, slot, id_of))
            return false;
        take(score, slot, id_of);
        return true;
    }

    /// push() of a pair for which would_take() has just said yes.
    template <class IdOf>
    void take(float score, Slot slot, IdOf&& id_of) {
        const Entry e{ranked(score), slot};
        const auto before = [&](const Entry& a, const Entry& b) { return precedes(a, b, id_of); };
        if (!full()) [[unlikely]] {
            entries_.push_back(e);
            if (!full())
                return;
            if (k_ <= sorted_up_to)
                std::sort(entries_.begin(), entries_.end(), before);
            else
                std::make_heap(entries_.begin(), entries_.end(), before);
        } else if (k_ <= sorted_up_to) {
            Entry* const first = entries_.data();
            Entry* at = first + (k_ - 1);
            for (; at != first && before(e, at[-1]); --at)
                *at = at[-1];
            *at = e;
        } else {
            sink(e, before);
        }
        least_ = worst().score;
    }

    /// The entries, best first, ties by ascending id. Valid until the next reset() or push(); reset() must come before
    /// another push().
    template <class IdOf>
    [[nodiscard]] std::span<const Entry> sorted(IdOf&& id_of) {
        if (!std::exchange(told_, true)) {
            if (k_ > sorted_up_to || !full())
                std::sort(entries_.begin(), entries_.end(),
                          [&](const Entry& a, const Entry& b) { return precedes(a, b, id_of); });
            for (Entry& e : entries_)
                e.score *= sign_;
        }
        return entries_;
    }

  private:
    /// Of what entries hold.
    static constexpr float worst_of_all = -std::numeric_limits<float>::infinity();

    /// What an entry of that score holds (I3).
    [[nodiscard]] float ranked(float score) const noexcept { return score == score ? score * sign_ : worst_of_all; }
    [[nodiscard]] const Entry& worst() const noexcept {
        return k_ <= sorted_up_to ? entries_.back() : entries_.front();
    }
    template <class IdOf>
    [[nodiscard]] static bool precedes(const Entry& a, const Entry& b, IdOf& id_of) {
        if (a.score > b.score)
            return true;
        return a.score == b.score && ids_in_order(a.slot, b.slot, id_of);
    }
    // Not inlined: it is seldom needed, and takes registers from what is.
    template <class IdOf>
    [[nodiscard, gnu::noinline]] static bool ids_in_order(Slot a, Slot b, IdOf& id_of) {
        return id_of(a) < id_of(b);
    }
    /// Replaces the worst entry, in front of the heap, by `e`.
    template <class Before>
    void sink(const Entry& e, const Before& before) {
        std::size_t at = 0;
        for (;;) {
            std::size_t child = 2 * at + 1;
            if (child >= k_)
                break;
            if (child + 1 < k_ && before(entries_[child], entries_[child + 1]))
                ++child;
            if (!before(e, entries_[child]))
                break;
            entries_[at] = entries_[child];
            at = child;
        }
        entries_[at] = e;
    }

    std::vector<Entry> entries_;
    std::size_t k_ = 0;
    float least_ = worst_of_all; ///< what the worst entry holds, when it is full; the bound before
    float sign_ = 1;
    bool told_ = false; ///< sorted() has been called
};

} // namespace hotindex
