// SlotGroup: which of 16 slots are visible, in one word, so that a search need not ask each slot.
//
// The problem: version words take 16 bytes a row. A search that reads them all, most of them to learn nothing, spends
// on them a third of what the rows cost.
//
// The idea: births and deaths are the changes of a group. Each is added to the group's word when it has its time.
//   bits 0 to 15    bit i: slot i is visible
//   bits 16 to 63   the latest time of the changes that were added, modulo 2^48
//   add             flips the slot's bit, and raises the latest time
//   look            at time t: where the latest time is no later than t, the bits say which slots are visible at t.
//                   Otherwise the slots have to be asked (Visibility), these 16
// A change that has its time and is not added yet is announced (AnnouncedChanges), and a search decides its slots by
// themselves, whatever the group says.
//
// Invariants
//   W1  bit i is the parity of the changes of slot i that were added, in whatever order. A slot's births and deaths
//       take turns, so where all of its changes up to t were added, and none later than t, the bit says whether it is
//       visible at t.
//   W2  a change is added by who announced it, once, after it has its time and before the announcement ends (A2).
//   W3  the slots and the time are one word: what is in the bits has raised the time.
//
// Why that is enough for a search that is not pinned. Its time is t; it has read the announcements afterwards (A1). Of
// the changes that were stamped up to t, it has found some announced, and decides their slots apart. All others were
// added before it looks (W2); and where the latest time is no later than t, no others are in the bits (W3). It stays
// the answer for t whatever happens afterwards. A version that was there at t keeps its slot as long as t is announced
// (V3), and its segment (V7). And its row, norm and entry can be read: they were written before it was stamped, and
// the clock publishes what was stamped up to t.
//
// 2^48 changes are nine years at a million a second. A snapshot that is held for half of them would be misled. A group
// in which nothing has changed for half of them is asked slot by slot until the clock has come round to its time.
//
// Progress: look() is wait-free, add() is lock-free: it is repeated where another change was added.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/store/version_clock.hpp>

#include <cstdint>

namespace hotindex {

/// Slots that share a word.
inline constexpr std::uint32_t slots_per_group = 16;

template <class B>
class SlotGroup {
  public:
    using Word = std::uint64_t;
    static constexpr Word all_slots = (Word{1} << slots_per_group) - 1;

    SlotGroup() : word_(0) {}

    /// The changes of these slots (bit i: slot i), which have that time.
    void add(Word slots, version::Word time) {
        // relaxed, all: published to searches by the end of the announcement (W2)
        Word seen = word_.load(B::relaxed());
        while (!word_.compare_exchange_weak(seen, ((seen ^ slots) & all_slots) | later(seen, time << slots_per_group),
                                            B::relaxed(), B::relaxed())) {
        }
    }

    /// What a search reads first: see inexact() and visible().
    [[nodiscard, gnu::always_inline]] Word look() const {
        // relaxed: of whatever has to be in it the search has found the announcement, or what its thread wrote there
        // later
        return word_.load(B::relaxed());
    }
    /// The latest word that is exact at that time.
    [[nodiscard]] static constexpr Word limit(version::Word time) noexcept {
        return time << slots_per_group | all_slots;
    }
    /// Bit 63 is set where the word does not say what is visible at the limit's time.
    [[nodiscard]] static constexpr Word inexact(Word look, Word limit) noexcept { return limit - look; }
    /// Bit i: slot i was visible after the changes that were added.
    [[nodiscard]] static constexpr Word visible(Word look) noexcept { return look & all_slots; }

    /// Bit i: slot i seems to be visible. A hint.
    [[nodiscard]] Word visible_now() const { return visible(word_.load(B::relaxed())); } // relaxed: a hint

  private:
    /// The later time of two, each in bits 16 to 63, modulo 2^48; the bits below do not matter.
    static constexpr Word later(Word a, Word b) noexcept { return ((a - b) >> 63 != 0 ? b : a) & ~all_slots; }

    typename B::template atomic<Word> word_;
};

} // namespace hotindex
