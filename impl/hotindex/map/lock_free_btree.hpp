// LockFreeBTree: an ordered map whose every operation is lock-free, on a BTree and an EpochDomain of its own.
//
// What it can do: OrderedMap. Lookups and visits touch few cache lines: nodes hold eight bytes of each key, which
// decide nearly all comparisons.
//
// When not to use it: without ordered operations, where LockFreeHashMap finds a key in two cache misses; for keys that
// cannot be copied, which LockFreeSkipList takes.
//
// Linearization, progress: see BTree. Visits: see TreeVisits. Inserting copies a leaf (Traits::leaf_entries), and so
// does erasing.
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/map/btree.hpp>
#include <hotindex/map/concurrent_map.hpp>
#include <hotindex/map/order.hpp>
#include <hotindex/map/ordered_map.hpp>
#include <hotindex/map/tree_node.hpp>
#include <hotindex/map/tree_visits.hpp>

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

namespace hotindex {

/// The tree as what OrderedMap stands on.
template <class Less>
struct BTreeParts {
    template <class B, class Traits, class Local, class Key, class Value>
    using LocalShare = TreeLocal<B, Traits, Local, Key, Value, Less>;
    template <class B, class Traits, class Local, class Key, class Value>
    using Structure = BTree<B, Traits, Local, Key, Value, Less>;
    template <class Traits, class Tree, class Handle, class Key>
    using Visits = TreeVisits<Traits, Tree, Handle, Key>;
};

/// Key: copyable and movable; some are copied to keep leaves apart. Value, Less, thread-safety: see OrderedMap.
template <class Key, class Value, class Less = DefaultLess<Key>, class B = ProductionBackend,
          class Traits = DefaultTraits>
class LockFreeBTree : public OrderedMap<BTreeParts<Less>, Key, Value, Less, B, Traits> {
    static_assert(std::is_copy_constructible_v<Key>,
                  "LockFreeBTree copies keys, and Key cannot be copied; use LockFreeSkipList");

  public:
    /// Throws std::bad_alloc.
    explicit LockFreeBTree(Less less = Less())
        : OrderedMap<BTreeParts<Less>, Key, Value, Less, B, Traits>(std::move(less)) {}
};
static_assert(OrderedConcurrentMap<LockFreeBTree<std::string, std::uint64_t>, std::string, std::uint64_t>);

} // namespace hotindex
