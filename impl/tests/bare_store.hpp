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

    /// A version that no search sees yet, in place of `predecessor`: its row begins with that float.
    SlotId begin(const Handle& me, float value = 1, SlotId predecessor = no_slot) {
        const SlotId s = slots.acquire(me.local());
        *slots.row_of_new(s) = value;
        slots.begin_version(s, 1 / value);
        slots.set_entry(s, nullptr, predecessor);
        return s;
    }
    /// The same, announced, as if it were published. To be completed by born().
    SlotId publish(const Handle& me, float value = 1, SlotId predecessor = no_slot) {
        const SlotId s = begin(me, value, predecessor);
        slots.announce_change(s);
        if (predecessor != no_slot)
            slots.announce_change(predecessor);
        return s;
    }
    /// Stamps and completes what publish() announced.
    version::Word born(SlotId s, SlotId predecessor = no_slot) {
        const version::Word time = slots.finish_birth(s, true);
        if (predecessor == no_slot)
            slots.complete_birth(s, time);
        else
            slots.complete_replacement(s, predecessor, time);
        return time;
    }
    SlotId add(const Handle& me, float value = 1) {
        const SlotId s = publish(me, value);
        born(s);
        return s;
    }
    SlotId replace(const Handle& me, SlotId old, float value) {
        const Guard guard(me);
        const SlotId s = publish(me, value, old);
        born(s, old);
        slots.retire(guard, old);
        return s;
    }
    void remove(const Handle& me, SlotId s) {
        const Guard guard(me);
        slots.announce_change(s);
        slots.complete_death(s, slots.finish_death(s));
        slots.retire(guard, s);
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
