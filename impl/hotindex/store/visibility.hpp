// Visibility: which versions a search of one time sees, where the groups cannot tell.
//
// A version is visible at time t where birth <= t < death. Here are the two ways to find out from version words:
//   Visibility     of slots whose changes up to t are complete: their words say it
//   ChangingSlots  of slots that were found announced: a word may wait for a time that the clock has given already.
//                  Then it is stamped first, so that the answer stays true
// The protocol and its invariants stand in slot_store.hpp.
// Progress: wait-free; a search looks at each slot once, and for each slot that is announced at all announced changes.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/store/announced_changes.hpp>
#include <hotindex/store/version_clock.hpp>

#include <cstdint>
#include <span>

namespace hotindex {

template <class B>
class Visibility {
  public:
    using Words = VersionWords<B>;

    struct Life {
        version::Word birth;
        version::Word death;
    };
    // Inlined by force: left to itself, the compiler calls it once a slot in the scan.
    [[gnu::always_inline]] static Life life_of(const Words& v) {
        // V4: death before birth.
        // [slot_death] acquire-load; synchronizes-with the release-stores in SlotStore::begin_version() and
        // complete_replacement(), and with the CAS in VersionClock::stamp()
        const version::Word death = v.death.load(B::acquire(edge::slot_death));
        // relaxed: a birth no later than the search's time happened before it read the clock; of a later one it needs
        // to know nothing
        const version::Word birth = v.birth.load(B::relaxed());
        return {birth, death};
    }
    /// PENDING is later than any time.
    static bool is_born(version::Word birth, version::Word time) noexcept { return birth <= time; }
    /// ALIVE is later than any time.
    static bool is_dead(version::Word death, version::Word time) noexcept { return death <= time; }

    /// Bit i: slot i of a run of n <= 64 slots is visible at `time`.
    [[nodiscard]] static std::uint64_t mask(const Words* run, std::uint32_t n, version::Word time) {
        // Without branches on what a single slot says: nothing for the branch predictor to learn.
        std::uint64_t mask = 0;
        for (std::uint32_t i = 0; i != n; ++i) {
            const auto [birth, death] = life_of(run[i]);
            mask |= static_cast<std::uint64_t>(static_cast<int>(is_born(birth, time)) &
                                               static_cast<int>(!is_dead(death, time)))
                    << i;
        }
        return mask;
    }
};

/// find(slot, time) gives a SlotRef: nowhere, where its segment is gone, or all that was ever born there was born after
/// `time`.
template <class B, class Find>
class ChangingSlots {
  public:
    /// `changes`: all that were found announced after the time was announced.
    ChangingSlots(VersionClock<B>& clock, version::Word time, std::span<const SlotChange> changes, Find find)
        : clock_(clock), time_(time), changes_(changes), find_(find) {}

    /// Is the slot, which one of the changes names, visible at the time?
    [[nodiscard]] bool visible(SlotId s) {
        const auto at = find_(s, time_);
        if (!at)
            return false;
        auto [birth, death] = Visibility<B>::life_of(at.words());
        birth = helped(at.words().birth, at.rest().marks.birth, birth, edge::slot_birth);
        if (!Visibility<B>::is_born(birth, time_))
            return false; // PENDING without a mark, too: that version will be stamped after the time
        // Born in time, so `death` is of the same life.
        if (version::is_timestamp(death))
            return !Visibility<B>::is_dead(death, time_);
        for (const SlotChange& c : changes_) {
            if (c.died != s)
                continue;
            if (c.born == no_slot)
                (void)helped(at.words().death, at.rest().marks.death, death, edge::slot_death);
            else if (Visibility<B>::is_born(birth_of(c.born), time_))
                return false;
        }
        // Whoever replaced it may have written its death by now, and the slot may be in another life. Then this one was
        // over at the time, or the slot would have been kept.
        // [slot_death] acquire-load; synchronizes-with the release-store in SlotStore::begin_version()
        death = at.words().death.load(B::acquire(edge::slot_death));
        // relaxed: another life's death was read with acquire and publishes its PENDING
        return !Visibility<B>::is_dead(death, time_) && at.words().birth.load(B::relaxed()) == birth;
    }

  private:
    /// When the slot was born. If it is in a later life by now, or its segment is gone, that is later than the time.
    /// Then who replaced another slot by it has completed that, and what was read here publishes it: the other slot's
    /// death tells.
    [[nodiscard]] version::Word birth_of(SlotId s) {
        const auto at = find_(s, time_);
        if (!at)
            return version::first_special;
        // [slot_birth] acquire-load; synchronizes-with the CAS in VersionClock::stamp(); and with the release-store of
        // PENDING in SlotMemory::take_ready(): what came before that life
        const version::Word birth = at.words().birth.load(B::acquire(edge::slot_birth));
        return helped(at.words().birth, at.rest().marks.birth, birth, edge::slot_birth);
    }
    /// The word, stamped where it is marked as published.
    [[nodiscard]] version::Word helped(typename VersionClock<B>::AtomicWord& word,
                                       const typename VersionClock<B>::AtomicWord& mark, version::Word found, edge e) {
        // [slot_mark] acquire-load; synchronizes-with the release-store in SlotStore::finish(): it may be of another
        // life than the one that was found announced, and who makes the clock tick for it must know its announcement
        if (version::is_timestamp(found) || mark.load(B::acquire(edge::slot_mark)) != found)
            return found;
        // If the slot goes on to another life meanwhile, then what comes back is no time, or a later one.
        return clock_.stamp(word, found, e);
    }

    VersionClock<B>& clock_;
    const version::Word time_;
    const std::span<const SlotChange> changes_;
    Find find_;
};

} // namespace hotindex
