// CallingThread: what a map does with a handle, for the calling thread.
#pragma once

#include <optional>
#include <utility>

namespace hotindex {

/// The members without a handle that all maps share. Each joins the calling thread at its first call, which may throw
/// std::bad_alloc, and is then the member with a handle. Map: derives from this, is its friend, and has self().
template <class Map, class Value>
class CallingThread {
  public:
    template <class K, class V>
    bool insert(K&& key, V&& value) {
        return map().insert(me(), std::forward<K>(key), std::forward<V>(value));
    }
    template <class K, class V>
    bool insert_or_assign(K&& key, V&& value) {
        return map().insert_or_assign(me(), std::forward<K>(key), std::forward<V>(value));
    }
    template <class K, class V>
    std::optional<Value> exchange(K&& key, V&& value) {
        return map().exchange(me(), std::forward<K>(key), std::forward<V>(value));
    }
    template <class K>
    [[nodiscard]] std::optional<Value> get(const K& key) const {
        return map().get(me(), key);
    }
    template <class K, class Use>
    bool visit(const K& key, Use use) const {
        return map().visit(me(), key, std::move(use));
    }
    template <class K>
    [[nodiscard]] bool contains(const K& key) const {
        return map().contains(me(), key);
    }
    template <class K, class Compute>
    bool update(const K& key, Compute compute) {
        return map().update(me(), key, std::move(compute));
    }
    template <class K>
    bool erase(const K& key) {
        return map().erase(me(), key);
    }
    template <class Visit>
    void for_each(Visit visit) const {
        map().for_each(me(), std::move(visit));
    }
    void clear() { map().clear(me()); }

  private:
    friend Map;
    CallingThread() = default;
    [[nodiscard]] Map& map() { return static_cast<Map&>(*this); }
    [[nodiscard]] const Map& map() const { return static_cast<const Map&>(*this); }
    [[nodiscard]] const auto& me() const { return map().self(); }
};

} // namespace hotindex
