// What the maps of this library have in common, as concepts: LockFreeHashMap is a ConcurrentMap, LockFreeSkipList and
// LockFreeBTree are OrderedConcurrentMaps. Each has every operation with an explicit handle too; the concepts ask for
// those that the calling thread makes.
#pragma once

#include <hotindex/memory/memory_pool.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <utility>

namespace hotindex {

template <class M, class Key, class Value>
concept ConcurrentMap =
    requires(M& map, const M& at_rest, const typename M::Handle& me, const Key& key, const Value& value,
             Value (*compute)(const Value&), void (*use)(const Value&), void (*visit)(const Key&, const Value&)) {
        { map.join() } -> std::same_as<typename M::Handle>;
        { map.insert(key, value) } -> std::same_as<bool>;
        { map.insert_or_assign(key, value) } -> std::same_as<bool>;
        { map.exchange(key, value) } -> std::same_as<std::optional<Value>>;
        { at_rest.get(key) } -> std::same_as<std::optional<Value>>;
        { at_rest.visit(key, use) } -> std::same_as<bool>;
        { at_rest.contains(key) } -> std::same_as<bool>;
        { map.update(key, compute) } -> std::same_as<bool>;
        { map.erase(key) } -> std::same_as<bool>;
        { at_rest.for_each(visit) };
        { map.clear() };
        { at_rest.size() } -> std::same_as<std::size_t>;
        { at_rest.empty() } -> std::same_as<bool>;
        { map.insert(me, key, value) } -> std::same_as<bool>;
        { at_rest.get(me, key) } -> std::same_as<std::optional<Value>>;
        { map.erase(me, key) } -> std::same_as<bool>;
        { at_rest.epoch_stats() } -> std::same_as<EpochStats>;
        { at_rest.pool_stats() } -> std::same_as<PoolStats>;
        { map.drain() } -> std::same_as<bool>;
    };

template <class M, class Key, class Value>
concept OrderedConcurrentMap =
    ConcurrentMap<M, Key, Value> && requires(const M& map, const Key& key, void (*visit)(const Key&, const Value&)) {
        { map.first() } -> std::same_as<std::optional<std::pair<Key, Value>>>;
        { map.last() } -> std::same_as<std::optional<std::pair<Key, Value>>>;
        { map.lower_bound(key) } -> std::same_as<std::optional<std::pair<Key, Value>>>;
        { map.upper_bound(key) } -> std::same_as<std::optional<std::pair<Key, Value>>>;
        { map.last_before(key) } -> std::same_as<std::optional<std::pair<Key, Value>>>;
        { map.for_each_backwards(visit) };
        { map.for_each_in_range(key, key, visit) };
        { map.for_each_in_range_backwards(key, key, visit) };
    };

} // namespace hotindex
