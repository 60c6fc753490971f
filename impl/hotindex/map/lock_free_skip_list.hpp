// LockFreeSkipList: an ordered map whose every operation is lock-free, on a SkipList and an EpochDomain of its own.
//
// What it can do: OrderedMap. When not to use it: without ordered operations, LockFreeHashMap finds a key in two cache
// misses, this in O(log n); and where keys can be copied, LockFreeBTree finds one in fewer steps.
//
// Linearization, progress: see SkipList. Visits: see OrderedVisits.
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/map/concurrent_map.hpp>
#include <hotindex/map/order.hpp>
#include <hotindex/map/ordered_map.hpp>
#include <hotindex/map/ordered_visits.hpp>
#include <hotindex/map/skip_list.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace hotindex {

/// The skip list as what OrderedMap stands on.
template <class Less>
struct SkipListParts {
    template <class B, class Traits, class Local, class Key, class Value>
    using LocalShare = SkipListLocal<B, Traits, Local, Key, Value>;
    template <class B, class Traits, class Local, class Key, class Value>
    using Structure = SkipList<B, Traits, Local, Key, Value, Less>;
    template <class Traits, class List, class Handle, class Key>
    using Visits = OrderedVisits<Traits, List, Handle, Key>;
};

/// Key: movable; copyable where a key is handed out, and for visits that do not stay pinned throughout. Value, Less,
/// thread-safety: see OrderedMap.
template <class Key, class Value, class Less = DefaultLess<Key>, class B = ProductionBackend,
          class Traits = DefaultTraits>
class LockFreeSkipList : public OrderedMap<SkipListParts<Less>, Key, Value, Less, B, Traits> {
  public:
    /// The heights of its towers follow from `seed` and from which thread inserts what. Throws std::bad_alloc.
    explicit LockFreeSkipList(Less less = Less(), std::uint64_t seed = 1)
        : OrderedMap<SkipListParts<Less>, Key, Value, Less, B, Traits>(std::move(less), seed << 32) {}
};
static_assert(OrderedConcurrentMap<LockFreeSkipList<std::string, std::uint64_t>, std::string, std::uint64_t>);

} // namespace hotindex
