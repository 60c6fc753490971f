// BTree: the search tree under LockFreeBTree.
//
// The problem: a B-tree is shallow and kind to caches, but a split or a merge changes several nodes at once, which no
// CAS does.
//
// The idea: copies, and branches that can be frozen. Leaves and separators never change. What changes are the branches
// of nodes, and each change is one CAS on one branch:
//   insert    a leaf with one more entry in the place of a leaf. A full one is cut into two, below a new node that is
//             tagged: it makes the tree too deep there, and is to be taken in by the node above.
//   erase     takes the value from the entry. Then a leaf without the entry comes in the place of its leaf.
//   repair    a node that has taken its tagged children in, or made one of thin neighbours, in the place of a node
//             whose branches were frozen before, so that nothing is lost: see TreeRepair.
// Two words say what there is: the value word of an entry (without a value the key is absent, whatever leads to the
// entry), and the branch (tree::Word).
//
// Invariants
//   T1  The keys that belong below a node are those of [low, high), the separators beside it on the way from the root.
//       They stay the same as long as the node is there: what has other bounds is a new node or leaf.
//   T2  Entries of a leaf ascend, and belong there. Each entry is in one leaf that is there, until it is taken out for
//       good, which happens after it has lost its value.
//   T3  A branch leads to one thing after another, until it is frozen. A node is unlinked when all its branches are
//       frozen, so nothing is ever put below a node that is not there. What an unlinked node leads to was there when
//       the node was unlinked.
//   T4  All leaves are at the same depth, not counting tagged nodes. The root is not tagged.
//   T5  A node, leaf, entry or separator is unlinked by one CAS, and whoever made that CAS retires it.
//   T6  When nothing runs, and nobody has stopped or run out of memory: no node is tagged, no branch is frozen, no leaf
//       holds an erased entry, and no two neighbours fit together (TreeRepair) that did not become thin at the same
//       time. Who brings in what is wrong repairs it: nodes on the way to its key, from the root down, until there is
//       nothing to repair.
//
// Linearization. insert: the CAS on the branch. erase, assign: the CAS on the value word. Lookups: the load of the
// value; where the leaf has no entry for the key, an instant at which the leaf was there (T3: the load of the branch,
// or the end of the node that it is in).
//
// Progress: lock-free. Lookups write nothing and never begin again: as many steps as the tree is deep, new levels
// included. A thread that stops in the middle leaves at most one node frozen with those that it takes in, which the
// next update below replaces; or one tagged node, erased entry or thin leaf, which the next repair on that way sees to.
//
// Sources: see TreeRepair. The value word after ConcurrentSkipListMap (Lea).
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/map/key_digest.hpp>
#include <hotindex/map/order.hpp>
#include <hotindex/map/tree_draft.hpp>
#include <hotindex/map/tree_node.hpp>
#include <hotindex/map/tree_repair.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace hotindex {

/// `Local` (the domain's) derives from TreeLocal with the same parameters.
template <class B, class Traits, class Local, class Key, class Value, class Less>
class BTree {
    using Draft = TreeDraft<B, Traits, Local, Key, Value, Less>;
    using Repair = TreeRepair<B, Traits, Local, Key, Value, Less>;
    using Digest = KeyDigest<Key, Less>;

  public:
    using Pools = TreePools<B, Traits, Local, Key, Value, Less>;
    using Domain = EpochDomain<B, Traits, Local>;
    using Guard = typename Domain::Guard;
    using Element = typename Pools::Entry;
    using Box = typename Pools::Box;
    using Leaf = typename Pools::Leaf;
    using Node = typename Pools::Node;
    using Separator = typename Pools::Separator;
    using Entries = typename Leaf::Entries;
    using Branch = typename Node::Branch;
    using Bounds = typename Repair::Bounds;

    BTree(Domain& domain, Pools& pools, Less less)
        : domain_(domain), pools_(pools), less_(std::move(less)), root_(tree::empty) {}
    BTree(const BTree&) = delete;
    BTree& operator=(const BTree&) = delete;
    /// Destroys all elements, and the pools are to end. Nothing may be running, and the domain's limbo must have been
    /// reclaimed.
    ~BTree() { destroy(root_.load(B::relaxed()), {nullptr, nullptr}); } // relaxed: destruction overlaps with nothing

    [[nodiscard]] const Less& order() const { return less_; }
    [[nodiscard]] bool less(const auto& a, const auto& b) const { return less_(a, b); }

    // ---- looking ----

    /// A leaf that was there at some instant of the call, and how it was found.
    struct Position {
        Branch* branch;
        tree::Word word; ///< what the branch held
        Node* above;     ///< the node with the branch; nullptr: it is the root's
        std::uint32_t index;
        Bounds bounds; ///< of the leaf
        /// nullptr: no entries.
        [[nodiscard]] const Entries* entries() const {
            const Leaf* const leaf = leaf_of(word);
            return leaf == nullptr ? nullptr : &leaf->entries.get();
        }
    };
    /// The leaf below all separators that are before the place, and above the others. For keys from a place on that is
    /// an UpperBound, for keys before it a LowerBound; the leaf may have none of them, then its neighbour does.
    template <class Place>
    [[nodiscard]] Position descend(const Guard&, const Place& place) const {
        // [tree_child] acquire-load; synchronizes-with the release-CASes of repair(), link(), take_out()
        Position at{&root_, root_.load(B::acquire(edge::tree_child)), nullptr, 0, {nullptr, nullptr}};
        while (!tree::is_leaf(at.word)) {
            at.above = &node_of(at.word);
            const auto& separators = at.above->separators.get();
            at.index = separators.before(place);
            if (at.index != 0)
                at.bounds.low = separators.items[at.index - 1];
            if (at.index != separators.count)
                at.bounds.high = separators.items[at.index];
            at.branch = &at.above->branches[at.index];
            // [tree_child] acquire-load; synchronizes-with the release-CASes of repair(), link(), take_out()
            at.word = at.branch->load(B::acquire(edge::tree_child));
        }
        return at;
    }
    /// The entry with this key, or nullptr. It may have lost its value. Valid while the guard lives.
    template <class K>
    [[nodiscard]] Element* find(const Guard& guard, const K& key) const {
        const Entries* const entries = descend(guard, UpperBound{less_, key}).entries();
        return entries == nullptr ? nullptr : entries->find(key, less_);
    }
    /// The value that counts now; nullptr: the entry has none any more.
    [[nodiscard]] Box* value(const Guard&, Element* e) const {
        // [tree_value] acquire-load; synchronizes-with the release-CASes of assign(), erase()
        return e->value.load(B::acquire(edge::tree_value));
    }

    // ---- changing ----

    /// Puts `fresh`, which has a value, into the tree, unless an entry with its key has one; returns the entry that now
    /// has the key. Throws std::bad_alloc, and what comparing and copying keys throws; `fresh` is still the caller's
    /// then.
    [[nodiscard]] Element* link(const Guard& guard, Element* fresh) {
        const Key& key = fresh->key.get();
        for (;;) {
            const Position at = descend(guard, UpperBound{less_, key});
            const Entries* const there = at.entries();
            const std::uint32_t place = there == nullptr ? 0 : there->before(LowerBound{less_, key});
            Element* same = there == nullptr || place == there->count ? nullptr : there->items[place];
            if (same != nullptr && less_(key, same->key.get()))
                same = nullptr;
            if (same != nullptr && value(guard, same) != nullptr)
                return same;
            if (tree::is_frozen(at.word)) {
                repair(guard, key);
                continue;
            }
            Draft draft(guard);
            const tree::Word next = with(guard, draft, at, place, same, fresh);
            tree::Word expected = at.word;
            // [tree_child] acq_rel-CAS; synchronizes-with the acquire-loads of branches, and with the release-CAS in
            // take_out(): all empty leaves are the same word, so this may be a later one than was read; publishes: leaf
            // and entries
            // relaxed on failure: the place is looked for again
            if (!at.branch->compare_exchange_strong(expected, next, B::acq_rel(edge::tree_child), B::relaxed()))
                continue;
            draft.commit();
            guard.local().net_elements.add(1);
            if (tree::is_tagged(next))
                repair_if_possible(guard, key);
            return fresh;
        }
    }

    /// Puts `fresh` in the place of the value `old`; false if the entry has another one, or none. The caller who gets
    /// true retires `old`.
    [[nodiscard]] bool assign(const Guard&, Element* e, Box* old, Box* fresh) {
        // [tree_value] release-CAS; synchronizes-with the acquire-load in value(); publishes: the new value
        // relaxed on failure: the value is read again
        return e->value.compare_exchange_strong(old, fresh, B::release(edge::tree_value), B::relaxed());
    }

    /// Erases the entry if this is its value. The caller who gets true retires `old`.
    [[nodiscard]] bool erase(const Guard& guard, Element* e, Box* old) {
        // [tree_value] release-CAS; synchronizes-with the acquire-load in value(); publishes: what came before this
        // relaxed on failure: the value is read again
        if (!e->value.compare_exchange_strong(old, nullptr, B::release(edge::tree_value), B::relaxed()))
            return false;
        guard.local().net_elements.add(~std::uint64_t{0});
        if_possible([&] { take_out(guard, e); });
        return true;
    }

    /// After assign or erase, by whoever did it: frees the value after the grace period.
    void retire(const Guard& guard, Box* box) { guard.retire(box, &Local::template reclaim<Box>, sizeof(Box)); }

    /// Exact when no operation is running, otherwise off by at most the operations that are running.
    [[nodiscard]] std::size_t size() const {
        const std::uint64_t sum =
            domain_.total(pools_.departed, [](const Local& local) { return local.net_elements.read(); });
        return static_cast<std::int64_t>(sum) < 0 ? 0 : static_cast<std::size_t>(sum);
    }

  private:
    [[nodiscard]] static Node& node_of(tree::Word w) { return *reinterpret_cast<Node*>(w & tree::address); }
    [[nodiscard]] static Leaf* leaf_of(tree::Word w) { return reinterpret_cast<Leaf*>(w & tree::address); }

    /// What comes in the place of a leaf: one with `fresh` at that place, instead of `erased` if there is one; or a
    /// node with two leaves.
    [[nodiscard]] tree::Word with(const Guard& guard, Draft& draft, const Position& at, std::uint32_t place,
                                  Element* erased, Element* fresh) {
        const Entries* const there = at.entries();
        if (there == nullptr || there->count + (erased == nullptr ? 1 : 0) <= Leaf::most) {
            Entries grown;
            grown.skip = there == nullptr ? at.bounds.skip() : there->skip;
            if (there != nullptr) {
                grown.append(*there, 0, place);
                draft.replaces(leaf_of(at.word));
                if (erased != nullptr)
                    draft.replaces(erased);
            }
            grown.append(fresh);
            if (there != nullptr)
                grown.append(*there, place + (erased == nullptr ? 0 : 1), there->count);
            return draft.leaf(grown);
        }
        return in_two(guard, draft, at, place, fresh);
    }

    /// A full leaf with one more entry, in two leaves; or in one, if threads have left erased entries behind.
    [[nodiscard]] tree::Word in_two(const Guard& guard, Draft& draft, const Position& at, std::uint32_t place,
                                    Element* fresh) {
        const Entries& there = *at.entries();
        std::array<Element*, Leaf::most + 1> all;
        std::uint32_t n = 0;
        for (std::uint32_t i = 0; i <= there.count; ++i) {
            if (i == place)
                all[n++] = fresh;
            if (i == there.count)
                break;
            if (value(guard, there.items[i]) != nullptr)
                all[n++] = there.items[i];
            else
                draft.replaces(there.items[i]);
        }
        draft.replaces(leaf_of(at.word));
        const auto leaf = [&](std::uint32_t first, std::uint32_t last, Bounds bounds) {
            Entries entries;
            entries.skip = bounds.skip();
            for (std::uint32_t i = first; i != last; ++i)
                entries.append(all[i]);
            return draft.leaf(entries);
        };
        if (n <= Leaf::most)
            return leaf(0, n, at.bounds);
        // Keys that ascend fill leaves.
        const std::uint32_t cut = at.bounds.high == nullptr && place == there.count ? n - 1 : n / 2;
        Separator* const middle = draft.separator(Digest::between(all[cut - 1]->key.get(), all[cut]->key.get()));
        typename Node::Separators separators;
        separators.skip = at.bounds.skip();
        separators.append(middle);
        const std::array<tree::Word, 2> halves{leaf(0, cut, {at.bounds.low, middle}),
                                               leaf(cut, n, {middle, at.bounds.high})};
        return draft.node(separators, halves.data(), at.above == nullptr ? 0 : tree::tagged);
    }

    /// Takes an erased entry out of its leaf, unless another thread does.
    void take_out(const Guard& guard, Element* e) {
        const Key& key = e->key.get();
        for (;;) {
            const Position at = descend(guard, UpperBound{less_, key});
            const Entries* const there = at.entries();
            const std::uint32_t place = there == nullptr ? 0 : there->before(LowerBound{less_, key});
            if (there == nullptr || place == there->count || there->items[place] != e)
                return;
            if (tree::is_frozen(at.word)) {
                repair(guard, key);
                continue;
            }
            Draft draft(guard);
            Entries rest;
            rest.skip = there->skip;
            rest.append(*there, 0, place);
            rest.append(*there, place + 1, there->count);
            const tree::Word next = draft.leaf(rest);
            draft.replaces(leaf_of(at.word));
            draft.replaces(e);
            tree::Word expected = at.word;
            // [tree_child] release-CAS; synchronizes-with the acquire-loads of branches; publishes: the leaf, and what
            // came before the erase
            // relaxed on failure: the entry is looked for again
            if (!at.branch->compare_exchange_strong(expected, next, B::release(edge::tree_child), B::relaxed()))
                continue;
            draft.commit();
            if (at.above != nullptr && fits_beside(*at.above, at.index, next))
                repair(guard, key);
            return;
        }
    }

    /// Does a child fit together with the one before or behind it?
    [[nodiscard]] static bool fits_beside(Node& node, std::uint32_t i, tree::Word child) {
        // relaxed, both: a hint; the repair looks at frozen words
        return (i != 0 && Repair::fit_together(node.branches[i - 1].load(B::relaxed()), child)) ||
               (i + 1 != node.children() && Repair::fit_together(child, node.branches[i + 1].load(B::relaxed())));
    }

    /// Repairs the nodes on the way to a key until there is nothing to repair. Throws std::bad_alloc; a later update
    /// goes on then.
    void repair(const Guard& guard, const Key& key) {
        // Each turn replaces a node, or another thread has changed what this one looked at.
        while (repair_one(guard, key)) {
        }
    }
    bool repair_one(const Guard& guard, const Key& key) {
        Branch* branch = &root_;
        // [tree_child] acquire-load; synchronizes-with the release-CASes of repair(), link(), take_out()
        tree::Word word = branch->load(B::acquire(edge::tree_child));
        Bounds bounds{nullptr, nullptr};
        while (!tree::is_leaf(word)) {
            Node& node = node_of(word);
            const auto& separators = node.separators.get();
            const std::uint32_t i = separators.before(UpperBound{less_, key});
            // [tree_child] acquire-load; synchronizes-with the release-CASes of repair(), link(), take_out()
            const tree::Word child = node.branches[i].load(B::acquire(edge::tree_child));
            const bool is_root = branch == &root_;
            if (tree::is_frozen(child) || tree::is_tagged(child) || (is_root && separators.count == 0) ||
                fits_beside(node, i, child)) {
                Repair::repair(guard, *branch, word, bounds, is_root);
                return true;
            }
            if (i != 0)
                bounds.low = separators.items[i - 1];
            if (i != separators.count)
                bounds.high = separators.items[i];
            branch = &node.branches[i];
            word = child;
        }
        return false;
    }
    void repair_if_possible(const Guard& guard, const Key& key) {
        if_possible([&] { repair(guard, key); });
    }
    /// For what must not fail any more: without memory, or where keys cannot be compared, a later update sees to it.
    template <class Work>
    void if_possible(Work work) {
        if constexpr (noexcept(less_(std::declval<const Key&>(), std::declval<const Key&>()))) {
            try {
                work();
            } catch (const std::bad_alloc&) { // NOLINT(bugprone-empty-catch): see above
            }
        } else {
            try {
                work();
            } catch (...) { // NOLINT(bugprone-empty-catch): see above
            }
        }
    }

    /// How many levels there were.
    std::uint32_t destroy(tree::Word word, Bounds bounds) {
        if constexpr (B::verifies)
            B::verify(!tree::is_tagged(word) && !tree::is_frozen(word), "T6: what is tagged or frozen is repaired");
        if (tree::is_leaf(word)) {
            if (Leaf* const leaf = leaf_of(word)) {
                destroy_entries(leaf->entries.get(), bounds);
                pools_.leaves.destroy_last(leaf);
            }
            return 0;
        }
        Node& node = node_of(word);
        const auto& separators = node.separators.get();
        std::uint32_t levels = 0;
        for (std::uint32_t i = 0; i <= separators.count; ++i) {
            const Bounds below{i == 0 ? bounds.low : separators.items[i - 1],
                               i == separators.count ? bounds.high : separators.items[i]};
            const std::uint32_t under = destroy(node.branches[i].load(B::relaxed()), below); // relaxed: see ~BTree
            if constexpr (B::verifies)
                B::verify(i == 0 || under == levels, "T4: all leaves are at the same depth");
            levels = under;
        }
        for (std::uint32_t i = 0; i != separators.count; ++i)
            pools_.separators.destroy_last(separators.items[i]);
        pools_.nodes.destroy_last(&node);
        return levels + 1;
    }
    void destroy_entries(const Entries& entries, Bounds bounds) {
        if constexpr (B::verifies)
            for (std::uint32_t i = 0; i != entries.count; ++i) {
                B::verify(i == 0 || less_(entries.key(i - 1), entries.key(i)), "T2: entries ascend");
                B::verify((bounds.low == nullptr || !less_(entries.key(i), bounds.low->key.get())) &&
                              (bounds.high == nullptr || less_(entries.key(i), bounds.high->key.get())),
                          "T2: entries belong where they are");
            }
        for (std::uint32_t i = 0; i != entries.count; ++i) {
            Box* const box = entries.items[i]->value.load(B::relaxed()); // relaxed: see ~BTree
            if constexpr (B::verifies)
                B::verify(box != nullptr, "T6: what is erased is taken out");
            if (box != nullptr)
                pools_.boxes.destroy_last(box);
            pools_.entries.destroy_last(entries.items[i]);
        }
    }

    Domain& domain_;
    Pools& pools_;
    [[no_unique_address]] Less less_;
    mutable Branch root_; ///< leads to the topmost node or leaf; never frozen, never tagged
};

} // namespace hotindex
