// LockedMap: std::unordered_map, std::map or another one behind one lock, with the members of the lock-free maps: what
// they are compared with.
//
// As fast as one lock allows: lookup by string_view without a copy; a key to insert is built before the lock is taken;
// insert hashes once; under std::shared_mutex reads share the lock.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace hotindex::bench {

/// Not noexcept, on purpose: libstdc++ stores hash codes in the nodes only of maps whose hash may throw or is declared
/// slow, and a map of strings that hashes its neighbours at every lookup is half as fast. (With the plain
/// std::hash<std::string> it stores them too.)
struct StringHash {
    using is_transparent = void;
    [[nodiscard]] std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
};

template <class Value>
using HashedMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;
template <class Value>
using TreeMap = std::map<std::string, Value, std::less<>>;

/// Thread-safety: all members but construction and destruction may run at the same time. Blocking.
template <class Value, class Mutex, class Map = HashedMap<Value>>
class LockedMap {
  public:
    /// Inserts if the key is absent; true if it was.
    bool insert(std::string_view key, Value value) {
        std::string owned(key);
        const std::scoped_lock lock(mutex_);
        return map_.try_emplace(std::move(owned), std::move(value)).second;
    }

    [[nodiscard]] std::optional<Value> get(std::string_view key) const {
        const ReadLock lock(mutex_);
        const auto there = map_.find(key);
        return there == map_.end() ? std::nullopt : std::optional<Value>(there->second);
    }

    /// Replaces the value by compute(old); false if the key is absent.
    template <class Compute>
    bool update(std::string_view key, Compute compute) {
        const std::scoped_lock lock(mutex_);
        const auto there = map_.find(key);
        if (there == map_.end())
            return false;
        there->second = compute(std::as_const(there->second));
        return true;
    }

    /// true if the key was there. The node is freed after the lock.
    bool erase(std::string_view key) {
        typename Map::node_type taken;
        const std::scoped_lock lock(mutex_);
        const auto there = map_.find(key);
        if (there == map_.end())
            return false;
        taken = map_.extract(there);
        return true;
    }

    /// Calls visit(key, value) for the elements with from <= key < to, in order, with the lock held.
    template <class Visit>
    void for_each_in_range(std::string_view from, std::string_view to, Visit visit) const
    requires requires(const Map& map) { map.lower_bound(from); }
    {
        const ReadLock lock(mutex_);
        for (auto at = map_.lower_bound(from); at != map_.end() && at->first < to; ++at)
            visit(at->first, at->second);
    }

    [[nodiscard]] std::size_t size() const {
        const ReadLock lock(mutex_);
        return map_.size();
    }

  private:
    using ReadLock =
        std::conditional_t<std::is_same_v<Mutex, std::shared_mutex>, std::shared_lock<Mutex>, std::unique_lock<Mutex>>;

    mutable Mutex mutex_;
    Map map_;
};

} // namespace hotindex::bench
