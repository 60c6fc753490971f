// LockFreeHashMap: a map whose every operation is lock-free, on a BucketTable and an EpochDomain of its own.
//
// Values are immutable in their entries; assigning and updating put a new entry in the place of the old one. So every
// operation on a key is one atomic step on its bucket, whatever others do to the same key.
//
// Each operation comes twice: with an explicit Handle (for model checkers, and for callers who manage threads
// themselves) and without (the calling thread joins by itself, see ThisThread).
//
// Linearization, progress: see BucketTable. update() calls its function once for each attempt.
// Strong guarantee: what throws (std::bad_alloc, copies of keys and values, hash, equality, functions) changes nothing.
//
// Values that cannot be copied. Several threads may be looking at a value, so none can be moved out of the map, and
// what hands out copies (get, exchange) needs a copyable Value. Everything else takes any Value that can be moved, as
// std::map does, and visit() shows a value where it is.
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/map/bucket_table.hpp>
#include <hotindex/map/calling_thread.hpp>
#include <hotindex/map/concurrent_map.hpp>
#include <hotindex/map/hash.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/threads/this_thread.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace hotindex {

/// Key: movable; copyable for update(). Value: movable; copyable for get() and exchange(). Hash: noexcept not required;
/// `is_transparent` in Hash allows lookup by any type that Hash and Equal take, such as std::string_view.
/// Thread-safety: all members but construction and destruction may run at the same time.
template <class Key, class Value, class Hash = DefaultHash<Key>, class Equal = DefaultEqual<Key>,
          class B = ProductionBackend, class Traits = DefaultTraits>
class LockFreeHashMap : public CallingThread<LockFreeHashMap<Key, Value, Hash, Equal, B, Traits>, Value> {
    using Calls = CallingThread<LockFreeHashMap, Value>;
    friend Calls;
    static_assert(std::is_move_constructible_v<Value>,
                  "LockFreeHashMap: Value cannot be moved; put it into a std::unique_ptr or std::shared_ptr");
    using Cell = typename B::template var<Value>; // written before its entry is published, never after

    struct Local : TableLocal<B, Traits, Local, Key, Cell> {
        using Owner = LockFreeHashMap;
        explicit Local(Owner& owner) : TableLocal<B, Traits, Local, Key, Cell>(owner.pools_) {}
    };

  public:
    using Domain = EpochDomain<B, Traits, Local>;
    using Handle = typename Domain::Handle;

    /// Room for `expected` entries without growth. Throws std::bad_alloc.
    explicit LockFreeHashMap(std::size_t expected = 0, Hash hash = Hash(), Equal equal = Equal())
        : hash_(std::move(hash)), domain_(std::in_place, *this), table_(*domain_, pools_, expected, std::move(equal)) {}
    LockFreeHashMap(const LockFreeHashMap&) = delete;
    LockFreeHashMap& operator=(const LockFreeHashMap&) = delete;
    ~LockFreeHashMap() {
        domain_.close();
        domain_->unguarded_reclaim_all();
    }

    /// A handle for the explicit variants. Used by one thread at a time; ends before the map.
    [[nodiscard]] Handle join() { return Handle(*domain_); }

    /// Inserts if the key is absent; true if it was.
    template <class K, class V>
    bool insert(const Handle& me, K&& key, V&& value) {
        const Guard guard(me);
        const std::uint64_t h = hash_of(key);
        if (table_.find(guard, h, key) != nullptr)
            return false;
        Unpublished fresh(table_, guard, h, std::forward<K>(key), std::forward<V>(value));
        return fresh.insert() == nullptr;
    }

    /// Inserts or replaces; true if it inserted, as std::map says.
    template <class K, class V>
    bool insert_or_assign(const Handle& me, K&& key, V&& value) {
        const Guard guard(me);
        const std::uint64_t h = hash_of(key);
        Unpublished fresh(table_, guard, h, std::forward<K>(key), std::forward<V>(value));
        for (;;) {
            Entry* const there = fresh.insert();
            if (there == nullptr)
                return true;
            if (fresh.replace(there))
                return false;
        }
    }

    /// As insert_or_assign; the value that was replaced, or nullopt.
    template <class K, class V>
    std::optional<Value> exchange(const Handle& me, K&& key, V&& value) {
        static_assert(std::is_copy_constructible_v<Value>,
                      "LockFreeHashMap::exchange returns a copy of the old value, and Value cannot be copied; use "
                      "insert_or_assign");
        static_assert(std::is_nothrow_move_constructible_v<Value>,
                      "LockFreeHashMap::exchange hands the old value on after the replacement, and moving a Value may "
                      "throw then; make its move constructor noexcept, or use insert_or_assign");
        const Guard guard(me);
        const std::uint64_t h = hash_of(key);
        Unpublished fresh(table_, guard, h, std::forward<K>(key), std::forward<V>(value));
        for (;;) {
            Entry* const there = fresh.insert();
            if (there == nullptr)
                return std::nullopt;
            std::optional<Value> old(there->value.get()); // copied first: it may throw
            if (fresh.replace(there))
                return old;
        }
    }

    /// The value, or nullopt.
    template <class K>
    [[nodiscard]] std::optional<Value> get(const Handle& me, const K& key) const {
        static_assert(std::is_copy_constructible_v<Value>,
                      "LockFreeHashMap::get returns a copy, and Value cannot be copied; use visit");
        const Guard guard(me);
        const Entry* const e = table_.find(guard, hash_of(key), key);
        return e == nullptr ? std::nullopt : std::optional<Value>(e->value.get());
    }

    /// Calls use(const Value&) if the key is there; true if it was. The value stays as it is while `use` runs, whatever
    /// others do to the key. `use` may use the map; what is replaced meanwhile waits for it, so let it be short.
    template <class K, class Use>
    bool visit(const Handle& me, const K& key, Use use) const {
        const Guard guard(me);
        const Entry* const e = table_.find(guard, hash_of(key), key);
        if (e == nullptr)
            return false;
        use(e->value.get());
        return true;
    }

    template <class K>
    [[nodiscard]] bool contains(const Handle& me, const K& key) const {
        const Guard guard(me);
        return table_.find(guard, hash_of(key), key) != nullptr;
    }

    /// Replaces the value by compute(const Value& old); false if the key is absent. Atomic: no other change of this key
    /// comes between the value that compute saw and the one it gave. compute is called again when one would have.
    template <class K, class Compute>
    bool update(const Handle& me, const K& key, Compute compute) {
        static_assert(std::is_copy_constructible_v<Key>,
                      "LockFreeHashMap::update copies the key, and Key cannot be copied; use insert_or_assign");
        const Guard guard(me);
        const std::uint64_t h = hash_of(key);
        for (;;) {
            Entry* const there = table_.find(guard, h, key);
            if (there == nullptr)
                return false;
            Unpublished fresh(table_, guard, h, there->key.get(), Value(compute(std::as_const(there->value).get())));
            if (fresh.replace(there))
                return true;
        }
    }

    /// true if the key was there.
    template <class K>
    bool erase(const Handle& me, const K& key) {
        const Guard guard(me);
        const std::uint64_t h = hash_of(key);
        for (;;) {
            Entry* const there = table_.find(guard, h, key);
            if (there == nullptr)
                return false;
            if (table_.unlink(guard, there)) {
                table_.retire(guard, there);
                return true;
            }
        }
    }

    /// Calls visit(const Key&, const Value&) for every entry: exactly once for those that are there throughout, at most
    /// once for those that come, go or change meanwhile. visit may use the map.
    template <class Visit>
    void for_each(const Handle& me, Visit visit) const {
        const Guard guard(me);
        table_.for_each(guard, [&visit](const Entry& e) { visit(e.key.get(), e.value.get()); });
    }

    /// Erases every entry that is there throughout; not atomic as a whole: std::bad_alloc leaves some of them.
    void clear(const Handle& me) {
        const Guard guard(me);
        table_.for_each(guard, [&](Entry& e) {
            if (table_.unlink(guard, &e))
                table_.retire(guard, &e);
        });
    }

    // The same for the calling thread.
    using Calls::clear;
    using Calls::contains;
    using Calls::erase;
    using Calls::exchange;
    using Calls::for_each;
    using Calls::get;
    using Calls::insert;
    using Calls::insert_or_assign;
    using Calls::update;
    using Calls::visit;

    /// Exact when no operation is running, otherwise off by at most the operations that are running. O(threads).
    [[nodiscard]] std::size_t size() const { return table_.size(); }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] std::size_t bucket_count(const Handle& me) const { return table_.bucket_count(Guard(me)); }
    [[nodiscard]] std::size_t bucket_count() const { return bucket_count(self()); }

    [[nodiscard]] EpochStats epoch_stats() const { return domain_->stats(); }
    [[nodiscard]] PoolStats pool_stats() const { return pools_.stats(); }
    /// Reclaims what can be reclaimed now, and gives memory back that nobody uses; true if nothing is left in limbo.
    /// The caller holds no guard.
    bool drain(const Handle& me) {
        const bool empty = domain_->drain(me);
        me.local().flush_blocks();
        pools_.trim();
        return empty;
    }
    bool drain() { return drain(self()); }

  private:
    using Table = BucketTable<B, Traits, Local, Key, Cell, Equal>;
    using Entry = typename Table::Entry;
    using Guard = typename Domain::Guard;

    /// An entry that belongs to the caller until insert() or replace() has put it into the table.
    class Unpublished {
      public:
        template <class K, class V>
        Unpublished(Table& table, const Guard& guard, std::uint64_t hash, K&& key, V&& value)
            : table_(table), guard_(guard),
              entry_(table.make_entry(guard, hash, std::forward<K>(key), Value(std::forward<V>(value)))) {}
        Unpublished(const Unpublished&) = delete;
        Unpublished& operator=(const Unpublished&) = delete;
        [[gnu::always_inline]] ~Unpublished() {
            if (entry_ != nullptr) [[unlikely]]
                destroy();
        }
        /// nullptr when inserted, else the entry that has the key.
        [[nodiscard]] Entry* insert() {
            Entry* const there = table_.insert(guard_, entry_);
            if (there != entry_)
                return there;
            entry_ = nullptr;
            return nullptr;
        }
        [[nodiscard]] bool replace(Entry* there) {
            if (!table_.replace(guard_, there, entry_))
                return false;
            entry_ = nullptr;
            table_.retire(guard_, there);
            return true;
        }

      private:
        [[gnu::noinline]] void destroy() noexcept { table_.destroy_unpublished(guard_, entry_); }

        Table& table_;
        const Guard& guard_;
        Entry* entry_;
    };

    template <class K>
    [[nodiscard]] std::uint64_t hash_of(const K& key) const {
        return mix(hash_(key));
    }
    [[nodiscard]] const Handle& self() const { return ThisThread<Domain>::handle(domain_); }

    [[no_unique_address]] Hash hash_;
    typename Table::Pools pools_;
    typename B::template anchored<Domain> domain_;
    Table table_;
};
static_assert(ConcurrentMap<LockFreeHashMap<std::string, std::uint64_t>, std::string, std::uint64_t>);

} // namespace hotindex
