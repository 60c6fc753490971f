// Tree visits: walks over a part of a BTree, forwards and backwards, from leaf to leaf.
//
// Leaves do not lead to each other: the next one is looked for from the top, by the separator that bounds the last one,
// O(log n) for as many elements as a leaf has.
//
// Guarantee. What is there throughout is seen exactly once, keys in order. What comes or goes meanwhile is seen once or
// not at all. Why: a leaf has all elements between its bounds that were there at an instant after the walk came to it
// (BTree, T2 and T3), and the walk goes on exactly where the bounds end. A key that has a value when the walk looks is
// seen with that value.
//
// Nothing long happens while pinned: after Traits::passed_per_pin entries and leaves, erased and empty ones included, a
// walk copies the last key, unpins, pins, and looks for the place behind that key.
#pragma once

#include <hotindex/map/order.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace hotindex {

template <class Traits, class Tree, class Handle, class Key>
class TreeVisits {
    using Guard = typename Tree::Guard;
    using Entries = typename Tree::Entries;
    using Position = typename Tree::Position;

  public:
    TreeVisits(const Tree& tree, const Handle& me) : tree_(tree), me_(me) {}

    /// use(guard, entry) for each entry from the place at which is_before(key) becomes false, as long as
    /// is_within(key), until it returns false.
    template <class IsBefore, class IsWithin, class Use>
    void forwards(const IsBefore& is_before, const IsWithin& is_within, const Use& use) const {
        Rest rest = section<true>(is_before, is_before, is_within, use);
        while (rest.from) {
            const Rest now = std::move(rest);
            const UpperBound behind{tree_.order(), *now.from};
            rest = now.with_it ? section<true>(behind, LowerBound{tree_.order(), *now.from}, is_within, use)
                               : section<true>(behind, behind, is_within, use);
        }
    }
    /// The same from the last entry before that place, backwards.
    template <class IsBefore, class IsWithin, class Use>
    void backwards(const IsBefore& is_before, const IsWithin& is_within, const Use& use) const {
        Rest rest = section<false>(is_before, is_before, is_within, use);
        while (rest.from) {
            const Rest now = std::move(rest);
            const LowerBound before{tree_.order(), *now.from};
            rest = section<false>(before, before, is_within, use);
        }
    }

  private:
    /// Where a walk goes on, if it does.
    struct Rest {
        std::optional<Key> from;
        bool with_it = false; ///< forwards: may `from` itself come next?
    };

    /// A walk under one pin, from a place in the leaf that `way` leads to.
    template <bool Forwards, class Way, class Place, class IsWithin, class Use>
    [[nodiscard]] Rest section(const Way& way, const Place& place, const IsWithin& is_within, const Use& use) const {
        const Guard guard(me_);
        Position at = tree_.descend(guard, way);
        std::uint32_t i = before(at, place);
        for (std::uint32_t passed = 1;; ++passed) {
            if (const Entries* const entries = at.entries())
                for (; i != (Forwards ? entries->count : 0); ++passed) {
                    auto* const entry = entries->items[Forwards ? i++ : --i];
                    if (!is_within(entry->key.get()) || !use(guard, entry))
                        return {};
                    if (passed >= Traits::passed_per_pin)
                        return {entry->key.get(), false};
                }
            const auto* const bound = Forwards ? at.bounds.high : at.bounds.low;
            if (bound == nullptr || !is_within(bound->key.get()))
                return {};
            const Key& key = bound->key.get();
            if (passed >= Traits::passed_per_pin)
                return {key, true};
            const LowerBound lower{tree_.order(), key};
            if constexpr (Forwards)
                at = tree_.descend(guard, UpperBound{tree_.order(), key});
            else
                at = tree_.descend(guard, lower);
            i = before(at, lower);
        }
    }
    template <class Place>
    [[nodiscard]] static std::uint32_t before(const Position& at, const Place& place) {
        const Entries* const entries = at.entries();
        return entries == nullptr ? 0 : entries->before(place);
    }

    const Tree& tree_;
    const Handle& me_;
};

} // namespace hotindex
