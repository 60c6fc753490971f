// TreeRepair: puts another node in the place of one that is not as it should be.
//
// What can be wrong shows in the words of a node's branches: a child is tagged (two halves of what was one are to be
// taken in), or two neighbours fit into one. A repair goes in three steps, and any thread may make any of them, again
// and again:
//   1. It freezes the node, branch by branch. From then on the node does not change, and takes no insert or erase.
//   2. It makes what comes in the node's place, which follows from the frozen words alone: tagged children taken in,
//      thin neighbours merged, the whole cut in two if it is too large. Nodes that give up their children for that are
//      frozen first. Nothing else is: a child that stays, stays as it is.
//   3. One CAS on the branch that leads to the node. Who makes it retires what was replaced.
// Who finds a frozen branch repairs the node that it is in. So nobody waits, and a repair that nobody finishes is one
// that somebody finishes who needs it. If nothing is wrong any more, a copy comes in the node's place.
//
// Source: freezing after Braginsky, Petrank, "A lock-free B+tree", SPAA 2012; tags and the order of repairs after
// Larsen, Fagerberg, "B-trees with relaxed balance", 1995, and Brown, "Techniques for constructing efficient lock-free
// data structures", PhD thesis 2017, chapter 8, which replace descriptors of operations here.
#pragma once

#include <hotindex/map/tree_draft.hpp>
#include <hotindex/map/tree_node.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace hotindex {

template <class B, class Traits, class Local, class Key, class Value, class Less>
class TreeRepair {
    using Draft = TreeDraft<B, Traits, Local, Key, Value, Less>;
    using Guard = typename Draft::Guard;
    using Leaf = typename Draft::Leaf;
    using Node = typename Draft::Node;
    using Branch = typename Node::Branch;
    using Separator = typename Draft::Separator;
    using Digest = KeyDigest<Key, Less>;

    static constexpr std::uint32_t most = Node::most;
    static_assert(most >= 2 && Leaf::most >= 1);
    /// So many fit into one when neighbours are merged. Fewer than what a cut leaves, so that neither undoes the other
    /// at once.
    static constexpr std::uint32_t merged_entries = Leaf::most * 3 / 4;
    static constexpr std::uint32_t merged_children = std::max(most * 3 / 4, std::uint32_t{2});

  public:
    /// Are these two neighbours to be one?
    [[nodiscard]] static bool fit_together(tree::Word a, tree::Word b) {
        if (tree::is_tagged(a) || tree::is_tagged(b) || tree::is_leaf(a) != tree::is_leaf(b))
            return false;
        return fits(a, tree::count_of(a), tree::count_of(b));
    }

    /// Keys of the node are in [low, high); nullptr: there is no such bound.
    struct Bounds {
        const Separator* low;
        const Separator* high;
        [[nodiscard]] std::uint32_t skip() const {
            return low == nullptr || high == nullptr ? 0 : Digest::in_common(low->key.get(), high->key.get());
        }
    };

    /// Repairs the node that `branch` led to when it held `seen`. If the branch has changed since, nothing happens.
    /// Throws std::bad_alloc; nothing is lost then, but what has been frozen is for others to repair.
    static void repair(const Guard& guard, Branch& branch, tree::Word seen, Bounds bounds, bool is_root) {
        TreeRepair repair(guard, bounds);
        const tree::Word next = repair.replacement(seen, is_root);
        tree::Word expected = seen;
        // [tree_child] release-CAS; synchronizes-with the acquire-loads of branches; publishes: the new nodes and
        // leaves, and all that had been inserted below the old ones
        // relaxed on failure: all is looked at again
        if (branch.compare_exchange_strong(expected, next, B::release(edge::tree_child), B::relaxed()))
            repair.draft_.commit();
    }

  private:
    struct Child {
        tree::Word word;
        Separator* before; ///< nullptr for the first one
    };
    using Words = std::array<tree::Word, most>;

    TreeRepair(const Guard& guard, Bounds bounds) : draft_(guard), bounds_(bounds) {}

    [[nodiscard]] static bool fits(tree::Word kind, std::uint32_t a, std::uint32_t b) {
        return tree::is_leaf(kind) ? a + b <= merged_entries || a == 0 || b == 0 : a + b <= merged_children;
    }
    [[nodiscard]] static Node& node_of(tree::Word w) { return *reinterpret_cast<Node*>(w & tree::address); }

    [[nodiscard]] tree::Word replacement(tree::Word seen, bool is_root) {
        const tree::Word tag = seen & tree::tagged;
        gather(seen, tag == 0 ? 2 * most : most);
        merge();
        if (is_root && count_ == 1)
            return children_[0].word & ~tree::tagged;
        if (count_ <= most)
            return node(0, count_, bounds_, tag);
        const std::uint32_t half = count_ / 2;
        Separator* const middle = children_[half].before;
        typename Node::Separators separators;
        separators.skip = bounds_.skip();
        separators.append(middle);
        const Words halves{node(0, half, {bounds_.low, middle}, 0), node(half, count_, {middle, bounds_.high}, 0)};
        return draft_.node(separators, halves.data(), is_root ? 0 : tree::tagged);
    }

    /// Freezes a node. `words`: what its branches hold from then on.
    static void freeze(Node& node, Words& words) {
        for (std::uint32_t i = 0; i != node.children(); ++i) {
            Branch& branch = node.branches[i];
            tree::Word w = 0;
            do {
                // [tree_child] acquire-load; synchronizes-with the release-CASes of repair(), link(), take_out()
                w = branch.load(B::acquire(edge::tree_child));
                // [tree_child] acquire-CAS; synchronizes-with the release-CAS in take_out(): all empty leaves are the
                // same word, so this may be a later one than was loaded. It publishes nothing: whoever put a child
                // there did, also to those who read the frozen word, which continues that release sequence
                // relaxed on failure: read again
            } while (!tree::is_frozen(w) &&
                     !branch.compare_exchange_strong(w, w | tree::frozen, B::acquire(edge::tree_child), B::relaxed()));
            words[i] = w & ~tree::frozen;
        }
    }

    /// The children of a node, and in the place of tagged ones theirs, as long as there are no more than `limit`.
    void gather(tree::Word seen, std::uint32_t limit) {
        Node& node = node_of(seen);
        Words words;
        freeze(node, words);
        draft_.replaces(&node);
        const auto& separators = node.separators.get();
        std::uint32_t total = node.children();
        for (std::uint32_t i = 0; i != node.children(); ++i) {
            Separator* const before = i == 0 ? nullptr : separators.items[i - 1];
            const tree::Word w = words[i];
            if (!tree::is_tagged(w) || total + tree::count_of(w) - 1 > limit) {
                children_[count_++] = {w, before};
                continue;
            }
            total += tree::count_of(w) - 1;
            take_in(w, before);
        }
    }
    /// A node's children come in its place.
    void take_in(tree::Word w, Separator* before) {
        Node& node = node_of(w);
        Words words;
        freeze(node, words);
        draft_.replaces(&node);
        const auto& separators = node.separators.get();
        for (std::uint32_t i = 0; i != node.children(); ++i)
            children_[count_++] = {words[i], i == 0 ? before : separators.items[i - 1]};
    }

    /// Makes one of neighbours that fit together.
    void merge() {
        std::uint32_t kept = 0;
        for (std::uint32_t first = 0; first != count_;) {
            std::uint32_t sum = tree::count_of(children_[first].word);
            std::uint32_t last = first + 1;
            while (last != count_ && fit_together(children_[first].word, children_[last].word, sum))
                sum += tree::count_of(children_[last++].word);
            const Child merged{last == first + 1 ? children_[first].word : merged_of(first, last),
                               children_[first].before};
            children_[kept++] = merged;
            first = last;
        }
        count_ = kept;
    }
    /// The first of a run, which holds `sum` by now, and the next one.
    [[nodiscard]] static bool fit_together(tree::Word run, tree::Word next, std::uint32_t sum) {
        return !tree::is_tagged(run) && !tree::is_tagged(next) && fits(run, sum, tree::count_of(next));
    }
    [[nodiscard]] tree::Word merged_of(std::uint32_t first, std::uint32_t last) {
        const Bounds bounds{first == 0 ? bounds_.low : children_[first].before,
                            last == count_ ? bounds_.high : children_[last].before};
        return tree::is_leaf(children_[first].word) ? merged_leaf(first, last, bounds)
                                                    : merged_node(first, last, bounds);
    }
    [[nodiscard]] tree::Word merged_leaf(std::uint32_t first, std::uint32_t last, Bounds bounds) {
        typename Leaf::Entries entries;
        entries.skip = bounds.skip();
        for (std::uint32_t i = first; i != last; ++i) {
            if (i != first)
                draft_.replaces(children_[i].before);
            if (auto* const leaf = reinterpret_cast<Leaf*>(children_[i].word & tree::address)) {
                const auto& there = leaf->entries.get();
                for (std::uint32_t e = 0; e != there.count; ++e)
                    entries.append(there.items[e]);
                draft_.replaces(leaf);
            }
        }
        return draft_.leaf(entries);
    }
    [[nodiscard]] tree::Word merged_node(std::uint32_t first, std::uint32_t last, Bounds bounds) {
        typename Node::Separators separators;
        separators.skip = bounds.skip();
        Words all;
        std::uint32_t n = 0;
        for (std::uint32_t i = first; i != last; ++i) {
            if (i != first)
                separators.append(children_[i].before);
            Node& node = node_of(children_[i].word);
            Words words;
            freeze(node, words);
            draft_.replaces(&node);
            const auto& there = node.separators.get();
            for (std::uint32_t s = 0; s != there.count; ++s)
                separators.append(there.items[s]);
            n = static_cast<std::uint32_t>(std::copy_n(words.data(), node.children(), &all[n]) - all.data());
        }
        return draft_.node(separators, all.data(), 0);
    }

    /// A node of some of the children.
    [[nodiscard]] tree::Word node(std::uint32_t first, std::uint32_t last, Bounds bounds, tree::Word tag) {
        typename Node::Separators separators;
        separators.skip = bounds.skip();
        Words words;
        for (std::uint32_t i = first; i != last; ++i) {
            if (i != first)
                separators.append(children_[i].before);
            words[i - first] = children_[i].word;
        }
        return draft_.node(separators, words.data(), tag);
    }

    Draft draft_;
    const Bounds bounds_;
    std::array<Child, 2 * std::size_t{most}> children_; // NOLINT(cppcoreguidelines-pro-type-member-init): `count_` of
                                                        // them count
    std::uint32_t count_ = 0;
};

} // namespace hotindex
