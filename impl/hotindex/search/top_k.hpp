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
// A score that is not a number (a sum in which infinities of both signs met) counts as the worst possible score and is
// reported as that: an infinity.
//
// Invariants
//   I1  at most k entries; full once k pairs were offered, and then threshold() is the score of the worst entry.
//   I2  full and k <= sorted_up_to: entries are in order, best first. Full and larger: a heap, worst entry in front.
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
#include <vector>

namespace hotindex {

/// `Slot`: what stands for a row, any small trivially copyable value; `id_of(slot)` gives its id as a std::string_view,
/// is called on exact ties of scores only, and what it throws leaves the object fit for reset() alone.
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
    void reset(std::size_t k, Metric metric) noexcept {
        entries_.clear();
        k_ = k;
        higher_ = higher_is_better(metric);
        threshold_ = worst_score();
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
    /// A pair with a worse score than this cannot enter; one with this very score may, if its id is smaller. The worst
    /// score there is (an infinity) until k pairs are there.
    [[nodiscard]] float threshold() const noexcept { return threshold_; }

    /// Whether push() would take the pair now.
    template <class IdOf>
    [[nodiscard]] bool would_take(float score, Slot slot, IdOf&& id_of) const {
        if (!full())
            return true;
        if (k_ == 0)
            return false;
        score = number(score);
        if (score != threshold_)
            return better(score, threshold_);
        return id_of(slot) < id_of(worst().slot);
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
        const Entry e{number(score), slot};
        const auto before = [&](const Entry& a, const Entry& b) { return precedes(a, b, id_of); };
        if (!full()) {
            entries_.push_back(e);
            if (!full())
                return;
            if (k_ <= sorted_up_to)
                std::sort(entries_.begin(), entries_.end(), before);
            else
                std::make_heap(entries_.begin(), entries_.end(), before);
        } else if (k_ <= sorted_up_to) {
            std::size_t at = k_ - 1;
            for (; at > 0 && before(e, entries_[at - 1]); --at)
                entries_[at] = entries_[at - 1];
            entries_[at] = e;
        } else {
            sink(e, before);
        }
        threshold_ = worst().score;
    }

    /// The entries, best first, ties by ascending id. Valid until the next reset() or push(); reset() must come before
    /// another push().
    template <class IdOf>
    [[nodiscard]] std::span<const Entry> sorted(IdOf&& id_of) {
        if (k_ > sorted_up_to || !full())
            std::sort(entries_.begin(), entries_.end(),
                      [&](const Entry& a, const Entry& b) { return precedes(a, b, id_of); });
        return entries_;
    }

  private:
    [[nodiscard]] float worst_score() const noexcept {
        constexpr float infinity = std::numeric_limits<float>::infinity();
        return higher_ ? -infinity : infinity;
    }
    [[nodiscard]] float number(float score) const noexcept { return score == score ? score : worst_score(); }
    [[nodiscard]] bool better(float a, float b) const noexcept { return higher_ ? a > b : a < b; }
    [[nodiscard]] const Entry& worst() const noexcept {
        return k_ <= sorted_up_to ? entries_.back() : entries_.front();
    }
    template <class IdOf>
    [[nodiscard]] bool precedes(const Entry& a, const Entry& b, IdOf& id_of) const {
        if (a.score != b.score)
            return better(a.score, b.score);
        return id_of(a.slot) < id_of(b.slot);
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
    float threshold_ = -std::numeric_limits<float>::infinity();
    bool higher_ = true;
};

} // namespace hotindex
