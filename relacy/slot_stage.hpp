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
        SlotId predecessor = no_slot;
        version::Word birth = 0;
        version::Word death = version::alive;
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
    }
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    ~Stage() {
        domain.unguarded_reclaim_all();
        for (auto& handle : handles)
            handle.reset();
    }
    Slots& slots() { return all.slots; }

    /// A new version, to be finished, in place of `predecessor`: both changes are announced.
    SlotId begin(const Guard& guard, SlotId predecessor = no_slot) {
        const SlotId s = slots().acquire(guard.local());
        *slots().row_of_new(s) = static_cast<float>(born);
        slots().begin_version(s, 1.0F);
        slots().set_entry(s, nullptr, predecessor);
        slots().announce_change(s);
        if (predecessor != no_slot)
            slots().announce_change(predecessor);
        lives[born].slot = s;
        lives[born++].predecessor = predecessor;
        return s;
    }
    void finish_birth(SlotId s) {
        const version::Word before = slots().now();
        Life& last = lives[born - 1];
        last.birth = slots().finish_birth(s, true);
        expect(last.birth > before || before == 0, "a version is born after it was opened");
        complete_birth(last);
    }
    void complete_birth(const Life& life) {
        if (life.predecessor == no_slot)
            slots().complete_birth(life.slot, life.birth);
        else
            slots().complete_replacement(life.slot, life.predecessor, life.birth);
    }
    void kill(const Guard& guard) {
        Life& last = lives[born - 1];
        slots().announce_change(last.slot);
        last.death = slots().finish_death(last.slot);
        slots().complete_death(last.slot, last.death);
        slots().retire(guard, last.slot);
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
        slots().retire(guard, old.slot);
        kill(guard);
    }
    void search() { search(slots().announce(handles[1]->local())); }
    void search(const Slots::Announcement& announcement) {
        seen.time = announcement.time();
        slots().scan(announcement, slots().slot_count(),
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
        for (std::uint32_t n = 0; n != slots().segment_count(); ++n)
            expect(slots().changes_in_flight(Guard(*handles[0]), n) == 0, "what was announced is complete");
    }
};

} // namespace hotindex::slot_models
