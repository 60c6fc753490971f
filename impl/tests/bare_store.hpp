// A slot store with an epoch domain around it, and no directory: who calls it does the steps of an update one by one.
#pragma once

#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/store/slot_store.hpp>

#include <cstddef>
#include <cstdint>

namespace hotindex::tests {

struct NoEntry {};

template <class B, class Traits>
struct BareStore {
    struct Local : SlotLocal<B, Traits, Local, NoEntry> {
        using Owner = BareStore;
        explicit Local(Owner& o) : SlotLocal<B, Traits, Local, NoEntry>(o.slots) {}
    };
    using Domain = EpochDomain<B, Traits, Local>;
    using Handle = typename Domain::Handle;
    using Guard = typename Domain::Guard;
    using Slots = SlotStore<B, Traits, Local, NoEntry>;

    explicit BareStore(std::size_t stride) : slots(stride), domain(*this) {}
    BareStore(const BareStore&) = delete;
    BareStore& operator=(const BareStore&) = delete;
    ~BareStore() { domain.unguarded_reclaim_all(); }

    /// A version that no search sees yet: its row begins with that float.
    SlotId begin(const Handle& me, float value = 1) {
        const auto s = slots.acquire(me.local());
        *slots.row_of_new(s) = value;
        slots.begin_version(s, 1 / value);
        slots.set_entry(s, nullptr);
        return s.id();
    }
    version::Word finish_birth(SlotId s) { return slots.finish_birth(slots.at(s)); }
    version::Word finish_death(SlotId s) { return slots.finish_death(slots.at(s)); }
    void announce(const Handle& me, SlotChange c) {
        slots.join_changes(me.local());
        slots.announce_change(me.local(), c);
    }
    /// The same in place of `old`, announced, as if it were published. To be completed by born(), before the
    /// participant begins something else.
    SlotId publish(const Handle& me, float value = 1, SlotId old = no_slot) {
        const SlotId s = begin(me, value);
        announce(me, {s, old});
        return s;
    }
    /// Stamps and completes what publish() announced.
    version::Word born(const Handle& me, SlotId s, SlotId old = no_slot) {
        return old == no_slot ? slots.complete_birth(me.local(), slots.at(s))
                              : slots.complete_replacement(me.local(), slots.at(s), slots.at(old));
    }
    SlotId add(const Handle& me, float value = 1) {
        const SlotId s = publish(me, value);
        born(me, s);
        return s;
    }
    SlotId replace(const Handle& me, SlotId old, float value) {
        const Guard guard(me);
        const SlotId s = publish(me, value, old);
        born(me, s, old);
        slots.retire(guard, slots.at(old));
        return s;
    }
    void remove(const Handle& me, SlotId s) {
        const Guard guard(me);
        announce(me, {no_slot, s});
        slots.complete_death(me.local(), slots.at(s));
        slots.retire(guard, slots.at(s));
    }
    /// Frees what can be freed, and gives back every segment that is empty.
    void trim(const Handle& me) {
        domain.drain(me);
        for (std::uint32_t n = slots.segment_count(); n != 0; --n)
            slots.trim(Guard(me), n - 1);
        domain.drain(me);
    }

    Slots slots;
    Domain domain;
};

} // namespace hotindex::tests
