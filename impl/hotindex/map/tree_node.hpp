// The parts of a BTree: entries, leaves, inner nodes, separators, and the memory that they come from.
//
// Entry       key and value of an element; its address is stable. The value lies in a box: see ValueBox.
// Leaf        entries in order, with their digests. Never changes: an insert or erase puts a copy in its place.
// Node        separators in order, with their digests, which never change; and branches, which lead to what is below.
// Separator   a key between two children: a short one that keeps them apart, not one that need be there.
// Branch      the one thing that changes: a word that says where a child is, what it is, and how full it is.
//
// So a thread that stands on a node knows of all children without looking at them whether they are to be split, merged
// or taken in. An empty leaf is a word, and no memory.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/map/key_digest.hpp>
#include <hotindex/map/order.hpp>
#include <hotindex/map/value_box.hpp>
#include <hotindex/memory/memory_pool.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/threads/counters.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <type_traits>
#include <utility>

namespace hotindex {

/// What a branch holds: the child's address, three flags, and above them how many entries or children it has.
namespace tree {
using Word = std::uint64_t;
inline constexpr Word frozen = 1; ///< the branch never changes again: its node is to be replaced
inline constexpr Word inner = 2;  ///< the child is a Node; else a Leaf, or nothing, which is an empty leaf
inline constexpr Word tagged = 4; ///< the child is to be taken in by the node that holds this branch
inline constexpr unsigned count_shift = 48;
inline constexpr Word address = ((Word{1} << count_shift) - 1) & ~(frozen | inner | tagged);
inline constexpr Word empty = 0;

[[nodiscard]] inline bool is_frozen(Word w) noexcept {
    return (w & frozen) != 0;
}
[[nodiscard]] inline bool is_leaf(Word w) noexcept {
    return (w & inner) == 0;
}
[[nodiscard]] inline bool is_tagged(Word w) noexcept {
    return (w & tagged) != 0;
}
[[nodiscard]] inline std::uint32_t count_of(Word w) noexcept {
    return static_cast<std::uint32_t>(w >> count_shift);
}
[[nodiscard]] inline Word pack(const void* child, std::uint32_t count, Word flags) {
    const auto at = reinterpret_cast<std::uintptr_t>(child);
    if ((at & ~address) != 0)
        std::abort(); // an address space of more than 48 bits: this layout does not fit the platform
    return at | flags | static_cast<Word>(count) << count_shift;
}
} // namespace tree

template <class B, class Local, class Key, class Value>
struct TreeEntry : Retirable<B, Local> {
    using Box = ValueBox<B, Local, Value>;
    template <class K>
    TreeEntry(K&& k, Box* v) : key(Key(std::forward<K>(k))), value(v) {}
    const typename B::template var<Key> key;
    typename B::template atomic<Box*> value; ///< nullptr: erased, for good
};

template <class B, class Local, class Key>
struct TreeSeparator : Retirable<B, Local> {
    explicit TreeSeparator(Key k) : key(std::move(k)) {}
    const typename B::template var<Key> key;
};

/// Items with keys, in order. Plain data, which does not change once it is published.
template <class Item, class Key, class Less, std::size_t Most>
struct SortedItems {
    using Digest = KeyDigest<Key, Less>;
    std::uint32_t count = 0;
    std::uint32_t skip = 0; ///< for digests
    std::array<std::uint64_t, Digest::exists ? Most : 1> digests;
    std::array<Item*, Most> items;

    // Only `count` items of each array are anything.
    SortedItems() {} // NOLINT(modernize-use-equals-default,cppcoreguidelines-pro-type-member-init)
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): see above
    SortedItems(const SortedItems& other) : skip(other.skip) { append(other, 0, other.count); }
    SortedItems& operator=(const SortedItems&) = delete;

    [[nodiscard]] const Key& key(std::uint32_t i) const { return items[i]->key.get(); }
    void append(Item* item) {
        if constexpr (Digest::exists)
            digests[count] = Digest::of(item->key.get(), skip);
        items[count++] = item;
    }
    /// As it is in a node with the same bounds.
    void append(const SortedItems& from, std::uint32_t first, std::uint32_t last) {
        if constexpr (Digest::exists)
            std::copy_n(from.digests.data() + first, last - first, digests.data() + count);
        std::copy_n(from.items.data() + first, last - first, items.data() + count);
        count += last - first;
    }

    /// How many items are before a place: LowerBound, UpperBound, or any function as those. Reads no key of an item
    /// whose digest decides. The place lies within the bounds of the node.
    template <class Place>
    [[nodiscard]] std::uint32_t before(const Place& place) const {
        std::uint32_t first = 0;
        std::uint32_t last = count;
        if constexpr (requires { place.key; }) {
            using D = KeyDigest<Key, Less, std::remove_cvref_t<decltype(place.key)>>;
            if constexpr (D::exists) {
                const std::uint64_t digest = D::of(place.key, skip);
                first = static_cast<std::uint32_t>(smaller(digest));
                if constexpr (D::is_exact)
                    return Place::takes_equal && first != count && digests[first] == digest ? first + 1 : first;
                last = first;
                while (last != count && digests[last] == digest)
                    ++last;
            }
        }
        while (first != last) {
            const std::uint32_t middle = (first + last) / 2;
            if (place(key(middle)))
                first = middle + 1;
            else
                last = middle;
        }
        return first;
    }

    /// The item with this key, or nullptr. The key lies within the bounds of the node.
    template <class K>
    [[nodiscard]] Item* find(const K& k, const Less& less) const {
        const std::uint32_t i = before(LowerBound{less, k});
        if (i == count)
            return nullptr;
        using D = KeyDigest<Key, Less, K>;
        if constexpr (D::exists) {
            if (digests[i] != D::of(k, skip))
                return nullptr;
            if constexpr (D::is_exact)
                return items[i];
        }
        return less(k, key(i)) ? nullptr : items[i];
    }

  private:
    /// How many digests are smaller; no jump depends on what they are.
    [[nodiscard]] std::size_t smaller(std::uint64_t digest) const {
        const std::uint64_t* from = digests.data();
        std::size_t n = count;
        while (n > 1) {
            const std::size_t half = n / 2;
            from += from[half - 1] < digest ? half : 0;
            n -= half;
        }
        return static_cast<std::size_t>(from - digests.data()) + (n == 1 && *from < digest ? 1 : 0);
    }
};

template <class B, class Traits, class Local, class Key, class Value, class Less>
struct TreeLeaf : Retirable<B, Local> {
    static constexpr std::uint32_t most = Traits::leaf_entries;
    using Entries = SortedItems<TreeEntry<B, Local, Key, Value>, Key, Less, most>;
    explicit TreeLeaf(const Entries& e) : entries(e) {}
    const typename B::template var<Entries> entries;
};

template <class B, class Traits, class Local, class Key, class Less>
struct TreeNode : Retirable<B, Local> {
    static constexpr std::uint32_t most = Traits::node_children;
    using Separators = SortedItems<TreeSeparator<B, Local, Key>, Key, Less, most - 1>;
    using Branch = typename B::template atomic<tree::Word>;
    TreeNode(const Separators& s, const tree::Word* words) : separators(s) {
        for (std::uint32_t i = 0; i <= s.count; ++i)
            branches[i].store(words[i], B::relaxed()); // relaxed: nobody sees the node before it is published
    }
    [[nodiscard]] std::uint32_t children() const { return separators.get().count + 1; }

    const typename B::template var<Separators> separators;
    std::array<Branch, most> branches; ///< as many as children()
};

/// The memory of a tree.
template <class B, class Traits, class Local, class Key, class Value, class Less>
struct TreePools {
    using Entry = TreeEntry<B, Local, Key, Value>;
    using Box = typename Entry::Box;
    using Separator = TreeSeparator<B, Local, Key>;
    using Leaf = TreeLeaf<B, Traits, Local, Key, Value, Less>;
    using Node = TreeNode<B, Traits, Local, Key, Less>;

    MemoryPool<B, Traits, Entry> entries;
    MemoryPool<B, Traits, Box> boxes;
    MemoryPool<B, Traits, Separator> separators;
    MemoryPool<B, Traits, Leaf> leaves;
    MemoryPool<B, Traits, Node> nodes;
    DepartedCounter<B> departed; ///< net_elements of participants that have left

    [[nodiscard]] PoolStats stats() const {
        return ((((entries.stats() += boxes.stats()) += separators.stats()) += leaves.stats()) += nodes.stats());
    }
    /// Gives memory back that nobody uses now.
    void trim() noexcept {
        entries.trim();
        boxes.trim();
        separators.trim();
        leaves.trim();
        nodes.trim();
    }
};

/// What each participant owns of a tree; the domain's Local derives from it.
template <class B, class Traits, class Local, class Key, class Value, class Less>
struct TreeLocal {
    using Pools = TreePools<B, Traits, Local, Key, Value, Less>;
    using Entry = typename Pools::Entry;
    using Box = typename Pools::Box;
    using Separator = typename Pools::Separator;
    using Leaf = typename Pools::Leaf;
    using Node = typename Pools::Node;

    explicit TreeLocal(Pools& p) : pools(&p) {}

    /// The thread has gone: nothing of the tree stays with this participant.
    void leave() noexcept {
        flush_blocks();
        pools->departed.take_over(net_elements);
    }
    /// Gives back the free blocks that it keeps. Does not allocate.
    void flush_blocks() noexcept {
        pools->entries.flush(entry_cache);
        pools->boxes.flush(box_cache);
        pools->separators.flush(separator_cache);
        pools->leaves.flush(leaf_cache);
        pools->nodes.flush(node_cache);
    }

    // Each throws std::bad_alloc, or what copying a key or value throws; nothing is lost then.
    template <class K>
    [[nodiscard]] Entry* make_element(K&& key, Box* value) {
        return pools->entries.make(entry_cache, std::forward<K>(key), value);
    }
    template <class V>
    [[nodiscard]] Box* make_box(V&& value) {
        return pools->boxes.make(box_cache, std::in_place, std::forward<V>(value));
    }
    void destroy_element(Entry* e) { pools->entries.destroy(entry_cache, e); }
    void destroy_box(Box* box) { pools->boxes.destroy(box_cache, box); }

    /// For each kind of object: its bytes once it is destroyed, as EpochDomain asks for them.
    template <class T>
    static std::size_t reclaim(Retirable<B, Local>* retired, Local& local) {
        T* const object = static_cast<T*>(retired);
        if constexpr (std::is_same_v<T, Entry>)
            local.destroy_element(object);
        else if constexpr (std::is_same_v<T, Box>)
            local.destroy_box(object);
        else if constexpr (std::is_same_v<T, Separator>)
            local.pools->separators.destroy(local.separator_cache, object);
        else if constexpr (std::is_same_v<T, Leaf>)
            local.pools->leaves.destroy(local.leaf_cache, object);
        else
            local.pools->nodes.destroy(local.node_cache, object);
        return sizeof(T);
    }

    Pools* pools;
    typename MemoryPool<B, Traits, Entry>::Cache entry_cache;
    typename MemoryPool<B, Traits, Box>::Cache box_cache;
    typename MemoryPool<B, Traits, Separator>::Cache separator_cache;
    typename MemoryPool<B, Traits, Leaf>::Cache leaf_cache;
    typename MemoryPool<B, Traits, Node>::Cache node_cache;
    OwnedCounter<B> net_elements; ///< inserted minus erased by this participant, modulo 2^64
};

} // namespace hotindex
