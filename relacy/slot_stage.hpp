// What the models of slots share: slots alone, without directory and ids, and two threads. One lets versions live and
// die, the other one searches at an announced time, and has to see what lived then.
#pragma once

#include "model.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/store/slot_store.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace hotindex::slot_models {

using model::current_thread;
using model::expect;
using model::hold_until;
using model::Model;
using model::within;
using B = model::CheckerBackend;

/// Slots one by one, and no advance of the epoch but the model's own.
struct SlotTraits : TinyTraits {
    static constexpr std::uint32_t first_segment = 1;
    static constexpr std::uint32_t retires_per_advance = 100;
    static constexpr std::uint32_t spare_slots = 0;
    static constexpr std::uint64_t bag_objects = 1;
};

struct Entry {};
struct Everything;
struct Local : SlotLocal<B, SlotTraits, Local, Entry> {
    using Owner = Everything;
    explicit Local(Owner& o);
};
using Slots = SlotStore<B, SlotTraits, Local, Entry>;
using Domain = EpochDomain<B, SlotTraits, Local>;
using Guard = Domain::Guard;
struct Everything {
    Slots slots{1};
};
inline Local::Local(Owner& o) : SlotLocal<B, SlotTraits, Local, Entry>(o.slots) {}

/// One thread lets versions live and die, the other one searches.
struct Stage {
    static constexpr int threads = 2;
    static constexpr std::size_t most = 4;

    struct Life {
        SlotId slot = no_slot;
        SlotId replaced = no_slot; ///< by this version, or none
        Local* announcer = nullptr;
        version::Word birth = 0;
        version::Word death = ~version::Word{0};
    };
    struct Seen {
        version::Word time = 0;
        std::array<int, most> times{}; ///< how often each version was seen
    };

    Everything all;
    Domain domain{all};
    std::array<std::optional<Domain::Handle>, 2> handles;
    std::array<Life, most> lives{}; ///< the first thread's versions, in order
    std::size_t born = 0;
    Seen seen;

    Stage() {
        for (auto& handle : handles)
            handle.emplace(domain);
        for (auto& handle : handles)
            slots().join_changes(handle->local());
    }
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    ~Stage() {
        domain.unguarded_reclaim_all();
        for (auto& handle : handles)
            handle.reset();
    }
    Slots& slots() { return all.slots; }

    /// A new version, to be finished, in place of another one or of none: announced, as if it were published.
    SlotId begin(const Guard& guard, SlotId replaced = no_slot) {
        const Slots::Slot slot = slots().acquire(guard.local());
        *slots().row_of_new(slot) = static_cast<float>(born);
        slots().begin_version(slot, 1.0F);
        slots().set_entry(slot, nullptr);
        const SlotId s = slot.id();
        slots().announce_change(guard.local(), {s, replaced});
        lives[born++] = {.slot = s, .replaced = replaced, .announcer = &guard.local()};
        return s;
    }
    /// Stamps and completes the last one.
    void finish_birth(SlotId s) {
        const version::Word before = slots().now();
        Life& last = lives[born - 1];
        expect(last.slot == s, "the model means its last version");
        complete_birth(last);
        expect(last.birth > before || before == 0, "a version is born after it was opened");
    }
    void complete_birth(Life& life) {
        life.birth = life.replaced == no_slot ? slots().complete_birth(*life.announcer, slots().at(life.slot))
                                              : slots().complete_replacement(*life.announcer, slots().at(life.slot),
                                                                             slots().at(life.replaced));
    }
    /// By whoever: not completed.
    version::Word stamp_birth(SlotId s) { return slots().finish_birth(slots().at(s)); }
    void kill(const Guard& guard) {
        Life& last = lives[born - 1];
        slots().announce_change(guard.local(), {no_slot, last.slot});
        const Slots::Slot slot = slots().at(last.slot);
        last.death = slots().complete_death(guard.local(), slot);
        slots().retire(guard, slot);
    }
    /// So many advances that what was retired can be used again, and is.
    void grace() {
        for (int i = 0; i != 3; ++i)
            domain.try_advance();
        domain.look(*handles[0]);
    }
    /// The first thread removes its last version, and its slot gets another life.
    void remove_and_live_again() {
        kill(Guard(*handles[0]));
        grace();
        const Guard guard(*handles[0]);
        finish_birth(begin(guard));
    }
    /// The first thread replaces its first version by the second, and removes that.
    void replace_and_remove() {
        const Guard guard(*handles[0]);
        Life& old = lives[0];
        finish_birth(begin(guard, old.slot));
        old.death = lives[1].birth;
        slots().retire(guard, slots().at(old.slot));
        kill(guard);
    }
    void search() {
        const Slots::View view = slots().view(handles[1]->local());
        seen.time = view.time();
        slots().scan(view, slots().slot_count(),
                     [this](SlotId, const float* rows, const float*, SlotId n, std::uint64_t mask) {
                         for (SlotId i = 0; i != n; ++i)
                             if ((mask >> i & 1) != 0)
                                 ++seen.times[static_cast<std::size_t>(rows[i])];
                     });
    }
    void check(const Seen& by_search) const {
        for (std::size_t i = 0; i != born; ++i) {
            const bool there = lives[i].birth <= by_search.time && by_search.time < lives[i].death;
            expect(by_search.times[i] == (there ? 1 : 0), "a search sees what lived at its time, and nothing else");
        }
    }
    void after() {
        check(seen);
        expect(domain.drain(*handles[0]), "everything retired is recycled in the end");
        expect(slots().changes_announced() == 0, "what was announced is complete");
    }
};

} // namespace hotindex::slot_models
