// Ordered visits: walks over a part of a SkipList, forwards and backwards.
//
// Forwards is from tower to tower on level 0. There are no links back: each step backwards looks for the place before
// the last key from the top, O(log n).
//
// Guarantee. What is there throughout is seen exactly once, keys in order. What comes or goes meanwhile is seen once or
// not at all. Why: two towers that a walk passes one after the other were neighbours at an instant after it came to the
// first one (SkipList, Gap), so nothing that was there throughout lies between them. A key that has a value when the
// walk looks is seen with that value.
//
// Nothing long happens while pinned: after Traits::passed_per_pin towers, those without a value included, a walk copies
// the last key, unpins, pins, and looks for the place behind that key. Where keys cannot be copied it stays pinned.
#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace hotindex {

template <class Traits, class List, class Handle, class Key>
class OrderedVisits {
    using Element = typename List::Element;
    using Guard = typename List::Guard;
    static constexpr bool in_sections = std::is_copy_constructible_v<Key>;

  public:
    OrderedVisits(const List& list, const Handle& me) : list_(list), me_(me) {}

    /// use(guard, tower) for each tower from the place at which is_before(key) becomes false, as long as
    /// is_within(key), until it returns false.
    template <class IsBefore, class IsWithin, class Use>
    void forwards(IsBefore is_before, IsWithin is_within, Use use) const {
        const auto begin = [&](const Guard& guard, [[maybe_unused]] const Last& last) {
            if constexpr (in_sections)
                if (last)
                    return list_.descend(guard, [&](const Key& k) { return !list_.less(*last, k); }).after;
            return list_.descend(guard, is_before).after;
        };
        in_turn(begin, [&](const Guard& guard, Element* t) { return list_.next(guard, t); }, is_within, use);
    }

    /// The same from the last tower before that place, backwards.
    template <class IsBefore, class IsWithin, class Use>
    void backwards(IsBefore is_before, IsWithin is_within, Use use) const {
        const auto before = [&](const Guard& guard, const Key& key) {
            return list_.descend(guard, [&](const Key& k) { return list_.less(k, key); }).before;
        };
        const auto begin = [&](const Guard& guard, [[maybe_unused]] const Last& last) {
            if constexpr (in_sections)
                if (last)
                    return before(guard, *last);
            return list_.descend(guard, is_before).before;
        };
        in_turn(begin, [&](const Guard& guard, Element* t) { return before(guard, t->key.get()); }, is_within, use);
    }

  private:
    struct NoKey {};
    /// The key of the last tower of the section before.
    using Last = std::conditional_t<in_sections, std::optional<Key>, NoKey>;

    template <class Begin, class Step, class IsWithin, class Use>
    void in_turn(Begin begin, Step step, IsWithin is_within, Use use) const {
        Last last{};
        for (;;) {
            const Guard guard(me_);
            Element* t = begin(guard, last);
            for (std::uint32_t passed = 1;; ++passed) {
                if (t == nullptr || !is_within(t->key.get()) || !use(guard, t))
                    return;
                if constexpr (in_sections)
                    if (passed == Traits::passed_per_pin) {
                        last.emplace(t->key.get());
                        break;
                    }
                t = step(guard, t);
            }
        }
    }

    const List& list_;
    const Handle& me_;
};

} // namespace hotindex
