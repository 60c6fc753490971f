// TreeDraft: parts of a tree that nobody sees yet, and those in whose place they come.
//
// One CAS on a branch publishes the new parts and unlinks the old ones. Who makes it calls commit(), which retires the
// old ones; for whoever does not, the new ones go with the draft.
#pragma once

#include <hotindex/map/tree_node.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace hotindex {

template <class B, class Traits, class Local, class Key, class Value, class Less>
class TreeDraft {
    using Pools = TreePools<B, Traits, Local, Key, Value, Less>;
    using Part = Retirable<B, Local>;

  public:
    using Guard = typename EpochDomain<B, Traits, Local>::Guard;
    using Separator = typename Pools::Separator;
    using Leaf = typename Pools::Leaf;
    using Node = typename Pools::Node;
    using Entries = typename Leaf::Entries;
    using Separators = typename Node::Separators;

    explicit TreeDraft(const Guard& guard) : guard_(guard) {}
    TreeDraft(const TreeDraft&) = delete;
    TreeDraft& operator=(const TreeDraft&) = delete;
    ~TreeDraft() {
        while (fresh_ != nullptr) [[unlikely]] {
            Part* const part = fresh_;
            fresh_ = part->next_in_limbo.get();
            part->reclaim.get()(part, guard_.local());
        }
    }

    // New parts. Each throws std::bad_alloc; the draft is as before then.

    /// The word for a leaf with these entries.
    [[nodiscard]] tree::Word leaf(const Entries& entries) {
        if (entries.count == 0)
            return tree::empty;
        Local& local = guard_.local();
        Leaf* const made = local.pools->leaves.make(local.leaf_cache, entries);
        return tree::pack(keep(made), entries.count, 0);
    }
    /// The word for a node with these separators, and with the children that the words say.
    [[nodiscard]] tree::Word node(const Separators& separators, const tree::Word* words, tree::Word flags) {
        Local& local = guard_.local();
        Node* const made = local.pools->nodes.make(local.node_cache, separators, words);
        return tree::pack(keep(made), separators.count + 1, tree::inner | flags);
    }
    [[nodiscard]] Separator* separator(Key key) {
        Local& local = guard_.local();
        return keep(local.pools->separators.make(local.separator_cache, std::move(key)));
    }

    /// An old part: what leads to it is about to lead elsewhere.
    template <class T>
    void replaces(T* part) {
        old_[olds_++] = {part, &Local::template reclaim<T>, sizeof(T)};
    }

    /// The new parts are published, and the old ones unlinked by that.
    void commit() {
        fresh_ = nullptr;
        for (std::size_t i = 0; i != olds_; ++i)
            guard_.retire(old_[i].part, old_[i].reclaim, old_[i].bytes);
    }

  private:
    struct Old {
        Part* part;
        typename Part::Reclaim reclaim;
        std::size_t bytes;
    };
    /// Of a node and what it takes in: each child and separator, and what was taken in. Of a leaf: itself and all
    /// entries.
    static constexpr std::size_t most_old = std::max<std::size_t>(std::size_t{5} * Node::most + 1, Leaf::most + 2);

    template <class T>
    T* keep(T* part) {
        part->reclaim.set(&Local::template reclaim<T>);
        part->next_in_limbo.set(fresh_);
        fresh_ = part;
        return part;
    }

    const Guard& guard_;
    Part* fresh_ = nullptr; ///< chained by next_in_limbo, which is free until they are retired
    std::size_t olds_ = 0;
    std::array<Old, most_old> old_; // NOLINT(cppcoreguidelines-pro-type-member-init): `olds_` of them count
};

} // namespace hotindex
