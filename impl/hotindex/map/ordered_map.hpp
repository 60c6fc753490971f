// OrderedMap: what a LockFreeSkipList and a LockFreeBTree do, whichever structure lies below.
//
// The members of LockFreeHashMap, with the same meaning, and what needs an order: the next element from a key on, and
// visits of a range or a prefix, forwards and backwards. Values are immutable in their boxes; assigning and updating
// put a new box in the place of the old one. So every operation on a key is one atomic step, whatever others do to it.
//
// Each operation comes twice: with an explicit Handle (for model checkers, and for callers who manage threads
// themselves) and without (the calling thread joins by itself, see ThisThread).
//
// Linearization, progress: see the structure. update() calls its function once for each attempt. first(), last(),
// lower_bound(), upper_bound() and last_before() answer an element that was there at an instant of the call, and miss
// none that is there throughout. Visits: see OrderedVisits and TreeVisits; a visitor that returns bool ends its visit
// with false. Strong guarantee: what throws (std::bad_alloc, copies of keys and values, comparisons, functions) changes
// nothing. erase() needs no memory; clear() copies a key now and then, and goes on from it.
//
// Values that cannot be copied. What hands out copies needs a copyable Value; everything else takes any Value that can
// be moved, and visit() shows a value where it is.
//
// What a structure offers: Element with key and value, find(), value(), link(), assign(), erase(), retire(), size(),
// and its participants' share of make_element(), destroy_element(), make_box(), destroy_box(), flush_blocks(), leave().
#pragma once

#include <hotindex/backend/production.hpp>
#include <hotindex/backend/traits.hpp>
#include <hotindex/map/calling_thread.hpp>
#include <hotindex/map/order.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/threads/this_thread.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace hotindex {

/// Value: movable; copyable where a value is handed out. Less: a strict weak order, noexcept not required; lookup by
/// any type that it takes, such as std::string_view. Thread-safety: all members but construction and destruction may
/// run at the same time. Parts: the structure below, its participants' share, and its visits, as SkipListParts.
template <class Parts, class Key, class Value, class Less, class B, class Traits>
class OrderedMap : public CallingThread<OrderedMap<Parts, Key, Value, Less, B, Traits>, Value> {
    using Calls = CallingThread<OrderedMap, Value>;
    friend Calls;
    static_assert(std::is_move_constructible_v<Value>,
                  "an ordered map's Value cannot be moved; put it into a std::unique_ptr or std::shared_ptr");

    struct Local : Parts::template LocalShare<B, Traits, Local, Key, Value> {
        using Owner = OrderedMap;
        explicit Local(Owner& owner) : Parts::template LocalShare<B, Traits, Local, Key, Value>(owner.pools_) {}
    };

  public:
    using Domain = EpochDomain<B, Traits, Local>;
    using Handle = typename Domain::Handle;
    using KeyAndValue = std::pair<Key, Value>;

    OrderedMap(const OrderedMap&) = delete;
    OrderedMap& operator=(const OrderedMap&) = delete;
    ~OrderedMap() {
        domain_.close();
        domain_->unguarded_reclaim_all();
    }

    /// A handle for the explicit variants. Used by one thread at a time; ends before the map.
    [[nodiscard]] Handle join() { return Handle(*domain_); }

    /// Inserts if the key is absent; true if it was.
    template <class K, class V>
    bool insert(const Handle& me, K&& key, V&& value) {
        const Guard guard(me);
        if (Element* const there = list_.find(guard, key); there != nullptr && list_.value(guard, there) != nullptr)
            return false;
        Unpublished fresh(list_, guard, std::forward<V>(value));
        return fresh.insert(std::forward<K>(key)) == nullptr;
    }

    /// Inserts or replaces; true if it inserted, as std::map says.
    template <class K, class V>
    bool insert_or_assign(const Handle& me, K&& key, V&& value) {
        const Guard guard(me);
        Unpublished fresh(list_, guard, std::forward<V>(value));
        for (Element* there = list_.find(guard, key);;) {
            while (Box* const old = there == nullptr ? nullptr : list_.value(guard, there))
                if (fresh.assign(there, old))
                    return false;
            there = fresh.insert(std::forward<K>(key)); // moves from the key once at most
            if (there == nullptr)
                return true;
        }
    }

    /// As insert_or_assign; the value that was replaced, or nullopt.
    template <class K, class V>
    std::optional<Value> exchange(const Handle& me, K&& key, V&& value) {
        static_assert(std::is_copy_constructible_v<Value>,
                      "OrderedMap::exchange returns a copy of the old value, and Value cannot be copied; use "
                      "insert_or_assign");
        static_assert(std::is_nothrow_move_constructible_v<Value>,
                      "OrderedMap::exchange hands the old value on after the replacement, and moving a Value may "
                      "throw then; make its move constructor noexcept, or use insert_or_assign");
        const Guard guard(me);
        Unpublished fresh(list_, guard, std::forward<V>(value));
        for (Element* there = list_.find(guard, key);;) {
            while (Box* const old = there == nullptr ? nullptr : list_.value(guard, there)) {
                std::optional<Value> copy(old->value.get()); // copied first: it may throw
                if (fresh.assign(there, old))
                    return copy;
            }
            there = fresh.insert(std::forward<K>(key)); // moves from the key once at most
            if (there == nullptr)
                return std::nullopt;
        }
    }

    /// The value, or nullopt.
    template <class K>
    [[nodiscard]] std::optional<Value> get(const Handle& me, const K& key) const {
        static_assert(std::is_copy_constructible_v<Value>,
                      "OrderedMap::get returns a copy, and Value cannot be copied; use visit");
        std::optional<Value> copy;
        visit(me, key, [&copy](const Value& value) { copy.emplace(value); });
        return copy;
    }

    /// Calls use(const Value&) if the key is there; true if it was. The value stays as it is while `use` runs, whatever
    /// others do to the key. `use` may use the map; what is replaced meanwhile waits for it, so let it be short.
    template <class K, class Use>
    bool visit(const Handle& me, const K& key, Use use) const {
        const Guard guard(me);
        Element* const t = list_.find(guard, key);
        const Box* const box = t == nullptr ? nullptr : list_.value(guard, t);
        if (box == nullptr)
            return false;
        use(box->value.get());
        return true;
    }

    template <class K>
    [[nodiscard]] bool contains(const Handle& me, const K& key) const {
        return visit(me, key, [](const Value&) {});
    }

    /// Replaces the value by compute(const Value& old); false if the key is absent. Atomic: no other change of this key
    /// comes between the value that compute saw and the one it gave. compute is called again when one would have.
    template <class K, class Compute>
    bool update(const Handle& me, const K& key, Compute compute) {
        const Guard guard(me);
        for (;;) {
            Element* const there = list_.find(guard, key);
            Box* const old = there == nullptr ? nullptr : list_.value(guard, there);
            if (old == nullptr)
                return false;
            Unpublished fresh(list_, guard, Value(compute(std::as_const(old->value).get())));
            if (fresh.assign(there, old))
                return true;
        }
    }

    /// true if the key was there.
    template <class K>
    bool erase(const Handle& me, const K& key) {
        const Guard guard(me);
        Element* const there = list_.find(guard, key);
        return there != nullptr && erase(guard, there);
    }

    /// Erases every element that is there throughout; not atomic as a whole.
    void clear(const Handle& me) {
        visits(me).forwards(nowhere, everywhere, [this](const Guard& guard, Element* t) {
            (void)erase(guard, t);
            return true;
        });
    }

    // ---- in order: see OrderedVisits for what they see of changes ----

    /// Calls visit(const Key&, const Value&) for every element, in order.
    template <class Visit>
    void for_each(const Handle& me, Visit visit) const {
        visits(me).forwards(nowhere, everywhere, shown_to(visit));
    }
    template <class Visit>
    void for_each_backwards(const Handle& me, Visit visit) const {
        visits(me).backwards(everywhere, everywhere, shown_to(visit));
    }
    /// The elements with from <= key < to.
    template <class From, class To, class Visit>
    void for_each_in_range(const Handle& me, const From& from, const To& to, Visit visit) const {
        visits(me).forwards(
            LowerBound{list_.order(), from}, [&](const Key& k) { return list_.less(k, to); }, shown_to(visit));
    }
    template <class From, class To, class Visit>
    void for_each_in_range_backwards(const Handle& me, const From& from, const To& to, Visit visit) const {
        visits(me).backwards(
            LowerBound{list_.order(), to}, [&](const Key& k) { return !list_.less(k, from); }, shown_to(visit));
    }
    /// The elements whose keys begin with `prefix`. For keys in the order of std::string.
    template <class Visit>
    void for_each_with_prefix(const Handle& me, std::string_view prefix, Visit visit) const {
        visits(me).forwards([&](const Key& k) { return std::string_view(k) < prefix; },
                            [&](const Key& k) { return std::string_view(k).starts_with(prefix); }, shown_to(visit));
    }
    template <class Visit>
    void for_each_with_prefix_backwards(const Handle& me, std::string_view prefix, Visit visit) const {
        visits(me).backwards([&](const Key& k) { return is_not_behind_prefix(k, prefix); },
                             [&](const Key& k) { return std::string_view(k).starts_with(prefix); }, shown_to(visit));
    }

    /// The first element, the last one, the first with a key >= `key` or > `key`, the last with a key < `key`.
    [[nodiscard]] std::optional<KeyAndValue> first(const Handle& me) const {
        return copy_of([&](auto visit) { for_each(me, visit); });
    }
    [[nodiscard]] std::optional<KeyAndValue> last(const Handle& me) const {
        return copy_of([&](auto visit) { for_each_backwards(me, visit); });
    }
    template <class K>
    [[nodiscard]] std::optional<KeyAndValue> lower_bound(const Handle& me, const K& key) const {
        return copy_of(
            [&](auto visit) { visits(me).forwards(LowerBound{list_.order(), key}, everywhere, shown_to(visit)); });
    }
    template <class K>
    [[nodiscard]] std::optional<KeyAndValue> upper_bound(const Handle& me, const K& key) const {
        return copy_of(
            [&](auto visit) { visits(me).forwards(UpperBound{list_.order(), key}, everywhere, shown_to(visit)); });
    }
    template <class K>
    [[nodiscard]] std::optional<KeyAndValue> last_before(const Handle& me, const K& key) const {
        return copy_of(
            [&](auto visit) { visits(me).backwards(LowerBound{list_.order(), key}, everywhere, shown_to(visit)); });
    }

    // ---- the same for the calling thread, which joins at its first call (that may throw std::bad_alloc) ----

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
    template <class Visit>
    void for_each_backwards(Visit visit) const {
        for_each_backwards(self(), std::move(visit));
    }
    template <class From, class To, class Visit>
    void for_each_in_range(const From& from, const To& to, Visit visit) const {
        for_each_in_range(self(), from, to, std::move(visit));
    }
    template <class From, class To, class Visit>
    void for_each_in_range_backwards(const From& from, const To& to, Visit visit) const {
        for_each_in_range_backwards(self(), from, to, std::move(visit));
    }
    template <class Visit>
    void for_each_with_prefix(std::string_view prefix, Visit visit) const {
        for_each_with_prefix(self(), prefix, std::move(visit));
    }
    template <class Visit>
    void for_each_with_prefix_backwards(std::string_view prefix, Visit visit) const {
        for_each_with_prefix_backwards(self(), prefix, std::move(visit));
    }
    [[nodiscard]] std::optional<KeyAndValue> first() const { return first(self()); }
    [[nodiscard]] std::optional<KeyAndValue> last() const { return last(self()); }
    template <class K>
    [[nodiscard]] std::optional<KeyAndValue> lower_bound(const K& key) const {
        return lower_bound(self(), key);
    }
    template <class K>
    [[nodiscard]] std::optional<KeyAndValue> upper_bound(const K& key) const {
        return upper_bound(self(), key);
    }
    template <class K>
    [[nodiscard]] std::optional<KeyAndValue> last_before(const K& key) const {
        return last_before(self(), key);
    }

    /// Exact when no operation is running, otherwise off by at most the operations that are running. O(threads).
    [[nodiscard]] std::size_t size() const { return list_.size(); }
    [[nodiscard]] bool empty() const { return size() == 0; }

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

  protected:
    /// Throws std::bad_alloc. The arguments are those of the structure's pools.
    template <class... Args>
    explicit OrderedMap(Less less, const Args&... args)
        : pools_(args...), domain_(std::in_place, *this), list_(*domain_, pools_, std::move(less)) {}

  private:
    using List = typename Parts::template Structure<B, Traits, Local, Key, Value>;
    using Element = typename List::Element;
    using Box = typename List::Box;
    using Guard = typename Domain::Guard;
    using Visits = typename Parts::template Visits<Traits, List, Handle, Key>;

    /// A value, and an element for it if one is needed, that belong to the caller until they are published.
    class Unpublished {
      public:
        template <class V>
        Unpublished(List& list, const Guard& guard, V&& value)
            : list_(list), guard_(guard), box_(guard.local().make_box(std::forward<V>(value))), element_(nullptr) {}
        Unpublished(const Unpublished&) = delete;
        Unpublished& operator=(const Unpublished&) = delete;
        [[gnu::always_inline]] ~Unpublished() {
            if (box_ != nullptr || element_ != nullptr) [[unlikely]]
                destroy();
        }
        /// nullptr when inserted, else the element that has the key. Asks for the key at the first call only.
        template <class K>
        [[nodiscard]] Element* insert(K&& key) {
            if (element_ == nullptr)
                element_ = guard_.local().make_element(std::forward<K>(key), box_);
            Element* const there = list_.link(guard_, element_);
            if (there != element_)
                return there;
            element_ = nullptr;
            box_ = nullptr;
            return nullptr;
        }
        [[nodiscard]] bool assign(Element* there, Box* old) {
            if (!list_.assign(guard_, there, old, box_))
                return false;
            box_ = nullptr;
            list_.retire(guard_, old);
            return true;
        }

      private:
        [[gnu::noinline]] void destroy() noexcept {
            if (element_ != nullptr)
                guard_.local().destroy_element(element_);
            if (box_ != nullptr)
                guard_.local().destroy_box(box_);
        }

        List& list_;
        const Guard& guard_;
        Box* box_;
        Element* element_;
    };

    bool erase(const Guard& guard, Element* t) {
        while (Box* const old = list_.value(guard, t))
            if (list_.erase(guard, t, old)) {
                list_.retire(guard, old);
                return true;
            }
        return false;
    }

    static constexpr auto nowhere = [](const Key&) { return false; };
    static constexpr auto everywhere = [](const Key&) { return true; };
    [[nodiscard]] Visits visits(const Handle& me) const { return Visits(list_, me); }
    /// What a walk does with each tower: shows it to the visitor if it has a value.
    template <class Visit>
    [[nodiscard]] auto shown_to(Visit& visit) const {
        return [this, &visit](const Guard& guard, Element* t) {
            const Box* const box = list_.value(guard, t);
            if constexpr (std::is_same_v<decltype(visit(t->key.get(), box->value.get())), bool>) {
                return box == nullptr || visit(t->key.get(), box->value.get());
            } else {
                if (box != nullptr)
                    visit(t->key.get(), box->value.get());
                return true;
            }
        };
    }
    /// The first element that a visit comes to.
    template <class Walk>
    [[nodiscard]] static std::optional<KeyAndValue> copy_of(Walk walk) {
        std::optional<KeyAndValue> copy;
        walk([&copy](const Key& key, const Value& value) {
            copy.emplace(key, value);
            return false;
        });
        return copy;
    }
    [[nodiscard]] const Handle& self() const { return ThisThread<Domain>::handle(domain_); }

    typename List::Pools pools_;
    typename B::template anchored<Domain> domain_;
    List list_;
};
} // namespace hotindex
