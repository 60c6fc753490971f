// SkipList: the sorted list under LockFreeSkipList.
//
// The problem: an ordered map that nobody waits for. A balanced tree moves many links at once; a skip list changes one
// at a time, each by a CAS.
//
// The idea (Fraser; Herlihy and Shavit): towers of random height, linked in the order of keys on each of their levels.
// Level 0 is the map; the levels above lead to the right place in O(log n) steps. Three words say what there is:
//   value     of a tower: its box, or nothing. Without one the key is absent, whatever links the tower.
//   link      on each level: the next tower, and a mark. A mark freezes the link, so nothing is inserted behind a
//             tower that is on its way out. Whoever meets a marked tower may take it out of that level.
//   linked    of a tower: on how many levels it is linked, or may still be. Who brings that to zero retires it.
// An erase takes the value, marks the links, and walks to the key once more, which unlinks the tower.
//
// Invariants
//   S1  On each level keys ascend, and no key comes twice.
//   S2  A tower is linked from the bottom up and marked from the top down. It is marked only when its value is gone,
//       and unlinked only where it is marked. Neither a mark nor the loss of the value is ever taken back.
//   S3  Whoever walks goes down only from a tower whose link on the upper level it has read unmarked. By S2 that tower
//       is linked on the lower level then. So each tower met on a level was linked there at some instant after the pin.
//   S4  `linked` is not zero while a level links the tower. Its inserter counts all levels in advance and gives back
//       those that it does not link. So a level that is linked late, of a tower that is erased meanwhile, keeps the
//       tower's memory.
//   S5  A retired tower is met by nobody who pins from then on: not from a linked tower (S4), and not through the
//       frozen link of an unlinked one, because that one is seen marked on the level above, if it is linked there (S3).
//   S6  When nothing runs, no level links an erased tower: its inserter and whoever marked it look for what is linked,
//       the one after its last link, the other after the mark, and one of the two knows of both (tower_built).
//
// Linearization. insert: the CAS that links level 0. erase, assign: the CAS on the value. Lookups: the load of the
// value; where no tower has the key, an instant at which the two towers that they ended between were neighbours.
//
// Progress: lock-free. Lookups write nothing and never begin again: they take as many steps as there are towers ahead
// of them, new ones included. A thread that stops in the middle leaves at most one tower that others walk past, until
// an update passes.
//
// Sources: Pugh, "Skip lists", CACM 1990; Fraser, "Practical lock-freedom", 2004, section 4.3; Herlihy and Shavit, "The
// Art of Multiprocessor Programming", 14.4; the value word after ConcurrentSkipListMap (Lea).
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/map/tower.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace hotindex {

/// `Local` (the domain's) derives from SkipListLocal with the same parameters.
template <class B, class Traits, class Local, class Key, class Value, class Less>
class SkipList {
    using Link = typename Tower<B, Local, Key, Value>::Link;

  public:
    using Element = Tower<B, Local, Key, Value>;
    using Box = typename Element::Box;
    using Domain = EpochDomain<B, Traits, Local>;
    using Guard = typename Domain::Guard;
    using Pools = TowerPools<B, Traits, Local, Key, Value>;

    SkipList(Domain& domain, Pools& pools, Less less)
        : domain_(domain), pools_(pools), less_(std::move(less)), top_(1u) {}
    SkipList(const SkipList&) = delete;
    SkipList& operator=(const SkipList&) = delete;

    /// Destroys all elements, and the pools are to end. Nothing may be running, and the domain's limbo must have been
    /// reclaimed.
    ~SkipList() {
        // A tower that an update has left behind may be linked on some levels only: each is gathered once.
        Retirable<B, Local>* all = nullptr;
        for (std::uint32_t level = Traits::most_levels; level-- != 0;)
            // relaxed, here and below: destruction overlaps with nothing
            for (Element* t = Element::of(head_[level].load(B::relaxed())); t != nullptr;
                 t = Element::of(t->links()[level].load(B::relaxed())))
                if (t->reclaim.get() == nullptr) {
                    t->reclaim.set(&reclaim_tower);
                    t->next_in_limbo.set(all);
                    all = t;
                }
        while (all != nullptr) {
            auto* const t = static_cast<Element*>(all);
            all = t->next_in_limbo.get();
            Box* const box = t->value.load(B::relaxed()); // relaxed: see above
            if (box != nullptr)
                pools_.boxes.destroy_last(box);
            if constexpr (B::verifies)
                B::verify(box != nullptr, "S6: what is erased is unlinked when nothing runs");
            if (t->height.get() <= Pools::low_levels)
                pools_.low.destroy_last(reinterpret_cast<typename Pools::Low*>(t));
            else
                pools_.high.destroy_last(reinterpret_cast<typename Pools::High*>(t));
        }
    }

    [[nodiscard]] const Less& order() const { return less_; }
    [[nodiscard]] bool less(const auto& a, const auto& b) const { return less_(a, b); }

    // ---- looking ----

    /// The last tower that is before a place, and the first that is not; nullptr where there is none. Neighbours at
    /// some instant of the call. Either may have lost its value.
    struct Gap {
        Element* before;
        Element* after;
    };
    /// The place is where is_before(key) becomes false; it must be true for all smaller keys and false for all greater.
    template <class IsBefore>
    [[nodiscard]] Gap descend(const Guard&, IsBefore is_before) const {
        Gap gap{nullptr, nullptr};
        const Link* links = head_.data();
        // relaxed: a hint, and a level too low is as good a start
        for (std::uint32_t level = top_.load(B::relaxed()); level-- != 0;) {
            Element* const known = gap.after; // is not before the place
            // [tower_link] acquire-load; synchronizes-with the release-CASes of link(), build(), locate()
            Element* t = Element::of(links[level].load(B::acquire(edge::tower_link)));
            while (t != nullptr && t != known && is_before(t->key.get())) {
                // [tower_link] acquire-load; synchronizes-with the release-CASes of link(), build(), locate()
                const tower::Word next = t->links()[level].load(B::acquire(edge::tower_link));
                if (level == 0 || !tower::is_marked(next)) { // S3
                    gap.before = t;
                    links = t->links();
                }
                t = Element::of(next);
            }
            gap.after = t;
        }
        return gap;
    }
    /// The tower with this key, or nullptr. It may have lost its value. Valid while the guard lives.
    template <class K>
    [[nodiscard]] Element* find(const Guard& guard, const K& key) const {
        Element* const t = descend(guard, [&](const Key& k) { return less_(k, key); }).after;
        return t == nullptr || less_(key, t->key.get()) ? nullptr : t;
    }
    /// The next tower on level 0, or nullptr.
    [[nodiscard]] Element* next(const Guard&, Element* t) const {
        // [tower_link] acquire-load; synchronizes-with the release-CASes of link(), build(), locate()
        return Element::of(t->links()[0].load(B::acquire(edge::tower_link)));
    }
    /// The value that counts now; nullptr: the tower has none any more.
    [[nodiscard]] Box* value(const Guard&, Element* t) const {
        // [tower_value] acquire-load; synchronizes-with the release-CASes of assign(), erase()
        return t->value.load(B::acquire(edge::tower_value));
    }

    // ---- changing ----

    /// Links `fresh`, which has a value, unless a tower with its key has one; returns the tower that now has the key.
    /// Throws what comparing keys throws; `fresh` is still the caller's then.
    [[nodiscard]] Element* link(const Guard& guard, Element* fresh) {
        const std::uint32_t height = fresh->height.get();
        Place place;
        for (;;) {
            locate(guard, fresh->key.get(), height, place);
            Element* const after = place.after[0];
            if (after != nullptr && !less_(fresh->key.get(), after->key.get())) {
                if (value(guard, after) != nullptr)
                    return after;
                mark_all(after); // whoever has erased it may have stopped
                continue;
            }
            // relaxed: nobody sees the links of `fresh` before the CAS
            for (std::uint32_t level = 0; level != height; ++level)
                fresh->links()[level].store(Element::pack(place.after[level]), B::relaxed());
            tower::Word expected = Element::pack(after);
            // [tower_link] release-CAS; synchronizes-with the acquire-loads of links; publishes: the tower, its value
            // relaxed on failure: the place is looked for again
            if (!place.at[0]->compare_exchange_strong(expected, Element::pack(fresh), B::release(edge::tower_link),
                                                      B::relaxed()))
                continue;
            guard.local().net_elements.add(1);
            if (height != 1)
                build(guard, fresh, place);
            return fresh;
        }
    }

    /// Puts `fresh` in the place of the value `old`; false if the tower has another one, or none. The caller who gets
    /// true retires `old`.
    [[nodiscard]] bool assign(const Guard&, Element* t, Box* old, Box* fresh) {
        // [tower_value] release-CAS; synchronizes-with the acquire-load in value(); publishes: the new value
        // relaxed on failure: the value is read again
        return t->value.compare_exchange_strong(old, fresh, B::release(edge::tower_value), B::relaxed());
    }

    /// Erases the tower if this is its value. The caller who gets true retires `old`.
    [[nodiscard]] bool erase(const Guard& guard, Element* t, Box* old) {
        // [tower_value] release-CAS; synchronizes-with the acquire-load in value(); publishes: what came before this
        // relaxed on failure: the value is read again
        if (!t->value.compare_exchange_strong(old, nullptr, B::release(edge::tower_value), B::relaxed()))
            return false;
        guard.local().net_elements.add(~std::uint64_t{0});
        mark_all(t);
        Place place;
        (void)locate_if_possible(guard, t, place); // S2: what is marked is unlinked on the way
        return true;
    }

    /// After assign or erase, by whoever did it: frees the value after the grace period.
    void retire(const Guard& guard, Box* box) {
        guard.retire(
            box,
            [](Retirable<B, Local>* r, Local& local) {
                local.destroy_box(static_cast<Box*>(r));
                return sizeof(Box);
            },
            sizeof(Box));
    }

    /// Exact when no operation is running, otherwise off by at most the operations that are running.
    [[nodiscard]] std::size_t size() const {
        const std::uint64_t sum =
            domain_.total(pools_.departed, [](const Local& local) { return local.net_elements.read(); });
        return static_cast<std::int64_t>(sum) < 0 ? 0 : static_cast<std::size_t>(sum);
    }

  private:
    /// Where a tower belongs, level by level: the link that leads there, and the tower that it led to.
    struct Place {
        std::array<Link*, Traits::most_levels> at;
        std::array<Element*, Traits::most_levels> after;
    };

    /// Finds the place of a key on `height` levels at least, and unlinks every marked tower that it meets. So a tower
    /// with this key that is marked is linked on none of its levels afterwards.
    void locate(const Guard& guard, const Key& key, std::uint32_t height, Place& place) {
        // Begins again only where another thread has marked or changed what this one stood on.
        while (!try_locate(guard, key, height, place)) {
        }
    }
    bool try_locate(const Guard& guard, const Key& key, std::uint32_t height, Place& place) {
        Link* links = head_.data();
        // relaxed: a hint
        for (std::uint32_t level = std::max(height, top_.load(B::relaxed())); level-- != 0;) {
            // [tower_link] acquire-load; synchronizes-with the release-CASes of link(), build(), locate()
            const tower::Word first = links[level].load(B::acquire(edge::tower_link));
            if (tower::is_marked(first))
                return false;
            Element* t = Element::of(first);
            while (t != nullptr) {
                // [tower_link] acquire-load; synchronizes-with the release-CASes of link(), build(), locate()
                // [tower_mark] acquire-load; synchronizes-with the acq_rel-CAS in mark_all()
                const tower::Word next = t->links()[level].load(B::acquire(edge::tower_link));
                if (tower::is_marked(next)) {
                    tower::Word expected = Element::pack(t);
                    // [tower_link] release-CAS; synchronizes-with the acquire-loads of links; publishes: the next
                    // tower, and that this one is marked on all levels from here up
                    // relaxed on failure: all is looked at again
                    if (!links[level].compare_exchange_strong(expected, next & ~tower::mark,
                                                              B::release(edge::tower_link), B::relaxed()))
                        return false;
                    give_back(guard, t, 1);
                } else if (less_(t->key.get(), key)) {
                    links = t->links();
                } else {
                    break;
                }
                t = Element::of(next);
            }
            place.at[level] = &links[level];
            place.after[level] = t;
        }
        return true;
    }
    /// For what must not fail any more. false: keys could not be compared; a later update will unlink what is marked.
    bool locate_if_possible(const Guard& guard, Element* t, Place& place) {
        if constexpr (noexcept(less_(t->key.get(), t->key.get()))) {
            locate(guard, t->key.get(), t->height.get(), place);
            return true;
        } else {
            try {
                locate(guard, t->key.get(), t->height.get(), place);
                return true;
            } catch (...) {
                return false;
            }
        }
    }

    /// Links a tower that is linked on level 0 on its other levels, unless it is erased meanwhile.
    void build(const Guard& guard, Element* t, Place& place) {
        const std::uint32_t height = t->height.get();
        // relaxed, both: a hint
        for (std::uint32_t top = top_.load(B::relaxed()); top < height;)
            top_.compare_exchange_strong(top, height, B::relaxed(), B::relaxed());
        std::uint32_t level = 1;
        bool located = true;
        while (level != height && located) {
            Link& mine = t->links()[level];
            // relaxed, all: whoever reads this link has come here through the one that leads to it on this level
            tower::Word next = mine.load(B::relaxed());
            if (tower::is_marked(next))
                break;
            Element* const neighbour = place.after[level];
            // S1: it may be the erased tower in whose place this one came. Then it is marked, and seen so, because it
            // was unlinked from level 0 before this one was linked there.
            if (neighbour != nullptr && tower::is_marked(neighbour->links()[level].load(B::relaxed()))) {
                located = locate_if_possible(guard, t, place);
                continue;
            }
            const tower::Word after = Element::pack(neighbour);
            if (next != after && !mine.compare_exchange_strong(next, after, B::relaxed(), B::relaxed()))
                break; // marked
            tower::Word expected = after;
            // [tower_link] release-CAS; synchronizes-with the acquire-loads of links; publishes: the tower, and that it
            // is linked on the level below
            // relaxed on failure: the place is looked for again
            if (place.at[level]->compare_exchange_strong(expected, Element::pack(t), B::release(edge::tower_link),
                                                         B::relaxed()))
                ++level;
            else
                located = locate_if_possible(guard, t, place);
        }
        if (level != height)
            give_back(guard, t, height - level);
        // [tower_built] release-RMW; synchronizes-with the acquire-CAS in mark_all(); publishes: what is linked
        // A load would not do: either it sees the mark, or the mark sees the links.
        if (tower::is_marked(t->links()[height - 1].fetch_add(0, B::release(edge::tower_built)))) {
            mark_all(t);
            (void)locate_if_possible(guard, t, place); // S4
        }
    }

    /// From the top down (S2). The value is gone.
    void mark_all(Element* t) {
        for (std::uint32_t level = t->height.get(); level-- != 0;) {
            Link& link = t->links()[level];
            tower::Word next = link.load(B::relaxed()); // relaxed: a first guess, the CAS decides
            // [tower_mark] acq_rel-CAS; synchronizes-with the acquire-loads of links; publishes: the marks above
            // [tower_built] acquire-CAS; synchronizes-with the release-RMW in build(): who unlinks finds what is linked
            // relaxed on failure: only tried again
            while (
                !tower::is_marked(next) &&
                !link.compare_exchange_strong(next, next | tower::mark, B::acq_rel(edge::tower_mark), B::relaxed())) {
            }
        }
    }

    /// The caller has unlinked the tower from so many levels, or will not link it there. The last one retires it.
    void give_back(const Guard& guard, Element* t, std::uint32_t levels) {
        // [tower_unlinked] acq_rel-RMW; synchronizes-with itself; publishes: every unlinking to who retires the tower
        if (t->height.get() != 1 && t->linked.fetch_add(0u - levels, B::acq_rel(edge::tower_unlinked)) != levels)
            return;
        guard.retire(t, &reclaim_tower, bytes_of(t));
    }
    static std::size_t bytes_of(const Element* t) {
        return t->height.get() <= Pools::low_levels ? sizeof(typename Pools::Low) : sizeof(typename Pools::High);
    }
    static std::size_t reclaim_tower(Retirable<B, Local>* retired, Local& local) {
        auto* const t = static_cast<Element*>(retired);
        const std::size_t bytes = bytes_of(t);
        local.destroy_element(t);
        return bytes;
    }

    Domain& domain_;
    Pools& pools_;
    [[no_unique_address]] Less less_;
    std::array<Link, Traits::most_levels> head_{};   ///< links of the tower before all others
    typename B::template atomic<std::uint32_t> top_; ///< no tower was higher; a hint
};

} // namespace hotindex
