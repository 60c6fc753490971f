// Compaction: which vectors lie too high, so that the slots in use come to lie close together again.
//
// The problem: after many removals a few vectors keep large segments, and every scan passes over what is empty.
//
// The idea: free slots are taken from below (see SlotMemory), so a vector that is replaced comes down by itself. Now
// and then a thread that updates looks at a few blocks, from the top down, for a vector above the compact part: the
// slots that all vectors would fill. The index replaces that vector by the same row in a lower slot
// (IndexCore::move_one). A segment that has fallen empty on the way is given back.
//
// Progress: a look is bounded by blocks_per_look blocks, and the giving back of one segment.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/store/slot_memory.hpp>
#include <hotindex/store/slot_segment.hpp>
#include <hotindex/store/version_clock.hpp>
#include <hotindex/threads/counters.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>

namespace hotindex {

/// What each participant remembers of its looks.
template <class B>
struct CompactionLocal {
    CompactionLocal() : compact(0u), look_at(0u), looks_empty(false), until_look(1u) {}
    typename B::template var<SlotId> compact;           ///< all slots in use would have their place below this one
    typename B::template var<SlotId> look_at;           ///< the next look is at the block below
    typename B::template var<bool> looks_empty;         ///< all blocks above, up to the segment's end, seemed empty
    typename B::template var<std::uint32_t> until_look; ///< updates until the next look
};

/// `Local`: the domain's; derives from CompactionLocal, and has used_slots.
template <class B, class Traits, class Local, class Entry>
class Compaction {
    using Memory = SlotMemory<B, Traits, Local, Entry>;
    using Segment = typename Memory::Segment;

  public:
    using Guard = typename EpochDomain<B, Traits, Local>::Guard;

    explicit Compaction(Memory& memory) : memory_(memory) {}

    /// Counts an update. Is it the time for slot_to_move()?
    [[nodiscard, gnu::always_inline]] static bool is_due(const Guard& guard) {
        auto& left = guard.local().until_look;
        left.set(left.get() - 1);
        return left.get() == 0;
    }
    /// When it is due: a slot that lies far above what the slots in use would fill, to be replaced by the same row in a
    /// lower one. Its version was stamped and not retired when this call looked, so the guard keeps it. no_slot: none
    /// was found. Gives back a segment that has fallen empty.
    [[nodiscard]] SlotId slot_to_move(const Guard& guard, bool after_removal) {
        Local& local = guard.local();
        local.until_look.set(Traits::updates_per_look);
        SlotId at = local.look_at.get();
        if (at <= local.compact.get() || after_removal) {
            local.compact.set(compact_part(guard));
            memory_.keep_ready_below(local, local.compact.get());
            const bool bloated = memory_.present() / 2 > local.compact.get() + Traits::first_segment;
            if (after_removal && !bloated) { // each removal would move a vector
                // Odd: where adds and removals take turns, an add is next.
                local.until_look.set(Traits::updates_per_look / 4 | 1);
                return no_slot;
            }
            if (bloated)
                local.until_look.set(1);
            if (at <= local.compact.get()) {
                at = memory_.slot_count();
                local.looks_empty.set(true);
            }
        }
        for (std::uint32_t i = 0; i != Traits::blocks_per_look && at > local.compact.get(); ++i) {
            const std::uint32_t n = memory_.geometry().segment_of(at - 1);
            const SlotId begin = memory_.geometry().begin(n);
            const Segment* const segment = memory_.find_segment(n);
            if (segment == nullptr) {
                at = begin;
                continue;
            }
            const SlotId first = std::max(begin, (at - 1) / slots_per_block * slots_per_block);
            std::uint64_t visible = 0;
            for (SlotId s = first; s < at; s += slots_per_group)
                visible |= segment->group_of(s - begin).visible_now() << (s - first);
            if (visible != 0)
                local.looks_empty.set(false);
            visible &= first_slots(at - first); // the hint may have bits that stand for no slot
            for (; visible != 0; visible &= visible - 1) {
                const SlotId s = first + static_cast<SlotId>(std::countr_zero(visible));
                const auto& words = segment->words[s - begin];
                // V4: death before birth.
                // [slot_death] acquire-load; synchronizes-with the release-store in SlotStore::begin_version()
                const version::Word death = words.death.load(B::acquire(edge::slot_death));
                // [slot_birth] acquire-load; synchronizes-with the CAS in VersionClock::stamp(): the row and the entry
                const version::Word birth = words.birth.load(B::acquire(edge::slot_birth));
                if (!version::is_timestamp(death) && version::is_timestamp(birth)) {
                    local.look_at.set(at);
                    local.until_look.set(1); // there may be more of them
                    return s;
                }
            }
            at = first;
            if (at == begin) {
                if (local.looks_empty.get() && begin >= local.compact.get() && memory_.seems_free(n))
                    memory_.release_segment(guard, n);
                local.looks_empty.set(true);
            }
        }
        local.look_at.set(at);
        return no_slot;
    }
    /// Does the slot lie where all slots in use would have their place? If not, slot_to_move() pauses for a while.
    [[nodiscard]] bool is_compact(const Guard& guard, SlotId s) const {
        Local& local = guard.local();
        if (s < local.compact.get())
            return true;
        local.until_look.set(16 * Traits::updates_per_look);
        local.look_at.set(0); // and begins at the top again, where a segment may have fallen empty
        return false;
    }
    /// Gives back the segment of that number if it has fallen empty and lies above what the slots in use would fill;
    /// and what this participant holds ready.
    void trim(const Guard& guard, std::uint32_t n) {
        memory_.give_back_ready(guard.local());
        if (memory_.geometry().begin(n) >= compact_part(guard))
            memory_.release_segment(guard, n);
    }
    /// A participant leaves, which had taken so many slots more than it retired.
    void take_over(OwnedCounter<B>& used_slots) noexcept { departed_.take_over(used_slots); }

  private:
    /// So many slots, from 0 on, would hold all that are in use, a little limbo and what threads hold ready.
    [[nodiscard]] SlotId compact_part(const Guard& guard) const {
        std::uint64_t used = guard.total(departed_, [](const Local& l) { return l.used_slots.read(); });
        // Modulo 2^64, and other threads are at work: it may be off by a few, even below zero.
        if (static_cast<std::int64_t>(used) < 0)
            used = 0;
        used += used / 16 + Traits::spare_slots;
        return static_cast<SlotId>(std::min<std::uint64_t>(used, SlotGeometry<Traits>::max_slots));
    }

    Memory& memory_;
    DepartedCounter<B> departed_; ///< used_slots of participants that have left
};

} // namespace hotindex
