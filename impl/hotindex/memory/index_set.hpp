// IndexSet: a set of small numbers that threads put numbers into and take numbers out of, without locks.
//
// The problem: free slots, free blocks and free cells have to find their way from who frees them to who needs one. A
// list of them must be walked, or cut, or it hides everything behind the thread that holds its head. The answer: one
// bit a number. Giving a number is one addition to its word. Taking is one CAS, which takes a few of a word at once.
// Nothing is walked, nothing is cut, no link is followed, so there is no ABA; and whoever stops midway hides no more
// than the few numbers that it was taking.
//
// Where to look: two levels of summaries over the words. A summary's bit says that the word below may have a number;
// take() goes to the lowest one. So what is taken lies as low as possible, and what lies high falls empty.
//
// Invariants, with every operation complete
//   N1  a number is in the set, or it belongs to one thread: the one that took it, until it puts it.
//   N2  a word that is not empty has its bit in the summary above, up to the top. While a put is at work its numbers
//       may be missing there; the next put to that word repairs that if the first one has stopped.
// Why N2 holds although bits are cleared. Who finds a word empty clears its bit, then looks at the word again. Who
// fills an empty word sets its bit afterwards, by a read-modify-write even if it is set. If the clearing comes later,
// it reads that bit (edge index_set_summary) and so sees the word filled, and sets the bit again.
// Linearization: put at its addition, take at its CAS, a take that finds nothing at the last summary that it read.
// Progress: put is lock-free, bounded by the levels but for CASes that fail because another one succeeded; take is
// lock-free: it goes on only where another thread took or put numbers meanwhile.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/memory/segmented_array.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace hotindex {

template <class B, class Traits>
class IndexSet {
    static constexpr std::size_t levels = 3;
    using Cell = typename B::template atomic<std::uint64_t>;

  public:
    using Index = std::uint32_t;
    using Word = std::uint64_t;
    /// Numbers that share a word, and are taken and given together: `first`, a multiple of it, to first + width - 1.
    static constexpr Index width = Traits::set_width;
    /// Some numbers of one word: first + i for each bit i of the mask.
    struct Batch {
        Index first;
        Word mask;
    };

    /// Makes room for the number; it is not in the set yet. Throws std::bad_alloc and changes nothing then.
    void grow_to(Index i) {
        top().grow_through(i / (width * width * width));
        summary().grow_to(i / (width * width));
        words().grow_to(i / width);
    }

    /// Gives numbers that are not in the set, and for which there is room. Every use of them happens-before their next
    /// take.
    void put(Batch b) {
        // [index_set] release-RMW; synchronizes-with the acquire-CASes in take() and take_all(), also through other
        // operations on the word, which continue its release sequence; publishes: all uses of the numbers. The bits
        // were clear, so adding sets them
        const Word before = words().at(b.first / width).fetch_add(b.mask, B::release(edge::index_set));
        announce(1, b.first / width, before == 0);
    }
    void put(Index i) { put(Batch{i / width * width, Word{1} << i % width}); }

    /// Takes up to `wanted` numbers of one word, as low as possible; nothing if none is there.
    [[nodiscard]] std::optional<Batch> take(Index wanted) {
        for (Index at = 0;;) {
            const Cell* const cell = top().find(at);
            if (cell == nullptr)
                return std::nullopt;
            // [index_set_summary] acquire-load; synchronizes-with the release-CAS in announce(): the word below is
            // there
            const Word above = cell->load(B::acquire(edge::index_set_summary));
            if (above == 0) {
                ++at;
                continue;
            }
            const Index middle = at * width + static_cast<Index>(std::countr_zero(above));
            // [index_set_summary] acquire-load; synchronizes-with the release-CAS in announce(): as above
            const Word below = summary().at(middle).load(B::acquire(edge::index_set_summary));
            if (below == 0) {
                retract(2, middle);
                continue;
            }
            const Index low = middle * width + static_cast<Index>(std::countr_zero(below));
            if (const Word mask = take_some(low, wanted); mask != 0)
                return Batch{low * width, mask};
            retract(1, low);
        }
    }

    /// Takes exactly these numbers, or none of them; false then.
    [[nodiscard]] bool take_all(Batch b) {
        Cell& word = words().at(b.first / width);
        // relaxed: a first guess, the CAS decides
        Word seen = word.load(B::relaxed());
        do {
            if ((seen & b.mask) != b.mask)
                return false;
            // [index_set] acquire-CAS; synchronizes-with the release-RMW in put()
            // relaxed on failure: another guess
        } while (!word.compare_exchange_weak(seen, seen & ~b.mask, B::acquire(edge::index_set), B::relaxed()));
        if (seen == b.mask)
            retract(1, b.first / width);
        return true;
    }

    /// Those of a number's word that are in the set now: a hint, unless nobody else is at work.
    [[nodiscard]] Word peek(Index i) const {
        const Cell* const word = words().find(i / width);
        return word == nullptr ? 0 : word->load(B::relaxed()); // relaxed: a hint
    }

    /// No number in the set lies below this one: a hint, unless nobody else is at work. nullopt: there seems to be
    /// none.
    [[nodiscard]] std::optional<Index> lowest() const {
        for (Index at = 0; const Cell* const cell = top().find(at); ++at)
            // [index_set_summary] acquire-load; synchronizes-with the release-CAS in announce(), as in take()
            if (const Word above = cell->load(B::acquire(edge::index_set_summary)); above != 0) {
                const Index middle = at * width + static_cast<Index>(std::countr_zero(above));
                // relaxed: a hint
                const Word below = summary().at(middle).load(B::relaxed());
                return (middle * width + (below == 0 ? 0 : static_cast<Index>(std::countr_zero(below)))) * width;
            }
        return std::nullopt;
    }

  private:
    using Words = SegmentedArray<B, Traits, Cell, Traits::set_first_words>; // all empty at first
    using Top = SegmentedArray<B, Traits, Cell, 1>;                         // take() looks at every word of it
    Words& words() { return words_; }
    Words& summary() { return summary_; }
    Top& top() { return top_; }
    const Words& words() const { return words_; }
    const Words& summary() const { return summary_; }
    const Top& top() const { return top_; }
    /// 0: words, 1: their summary, 2: the top.
    [[nodiscard]] Cell& cell(std::size_t level, Index i) {
        return level == 0 ? words_.at(i) : level == 1 ? summary_.at(i) : top_.at(i);
    }

    [[nodiscard]] Word take_some(Index at, Index wanted) {
        Cell& word = words().at(at);
        // relaxed: a first guess, the CAS decides
        for (Word seen = word.load(B::relaxed()); seen != 0;) {
            Word left = wanted < width ? seen : 0;
            for (Index i = 0; i != wanted && left != 0; ++i)
                left &= left - 1;
            // [index_set] acquire-CAS; synchronizes-with the release-RMW in put()
            // relaxed on failure: another guess
            if (word.compare_exchange_weak(seen, left, B::acquire(edge::index_set), B::relaxed())) {
                if (left == 0)
                    retract(1, at);
                return seen ^ left;
            }
        }
        return 0;
    }

    /// The word `child` of the level below has a number. `surely`: it was empty before.
    void announce(std::size_t level, Index child, bool surely) {
        for (; level != levels; ++level) {
            Cell& above = cell(level, child / width);
            const Word bit = Word{1} << child % width;
            // relaxed: a first guess, the CAS decides
            Word seen = above.load(B::relaxed());
            if (surely || (seen & bit) == 0) {
                // [index_set_summary] release-CAS; synchronizes-with the acquire-loads in take() and the acquire-CAS
                // in retract(); publishes: the number in the word below
                // relaxed on failure: another guess
                while (
                    !above.compare_exchange_weak(seen, seen | bit, B::release(edge::index_set_summary), B::relaxed())) {
                }
                surely = seen == 0;
            }
            child /= width;
        }
    }

    /// The word `child` of the level below was found empty.
    void retract(std::size_t level, Index child) {
        for (; level != levels; ++level) {
            Cell& above = cell(level, child / width);
            const Word bit = Word{1} << child % width;
            // relaxed: a first guess, the CAS decides
            Word seen = above.load(B::relaxed());
            do {
                if ((seen & bit) == 0)
                    return;
                // [index_set_summary] acquire-CAS; synchronizes-with the release-CAS in announce()
                // relaxed on failure: another guess
            } while (
                !above.compare_exchange_weak(seen, seen & ~bit, B::acquire(edge::index_set_summary), B::relaxed()));
            // relaxed: what was announced before the bit was cleared happened-before this load (N2)
            if (cell(level - 1, child).load(B::relaxed()) != 0)
                return announce(level, child, true);
            if (seen != bit)
                return;
            child /= width;
        }
    }

    Words words_;
    Words summary_;
    Top top_;
};

} // namespace hotindex
