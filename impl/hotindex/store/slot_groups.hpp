// SlotGroup: which of 32 slots are visible, in one word, so that a search need not ask each slot.
//
// The problem: version words take 16 bytes a row. A search that reads them all, most of them to learn nothing, spends
// on them a third of what the rows cost.
//
// The idea: births and deaths are the changes of a group. They are counted while they are in flight, and summed up when
// they are complete.
//   state     low half: changes in flight; bit 32 + i: slot i of the group is visible
//   latest    no earlier than the stamp of any complete change
//   announce  state += 1, before the step that lets anybody stamp the change
//   complete  raise latest to the stamp, then state += 2^(32 + i) - 1 for a birth, -2^(32 + i) - 1 for a death
//   withdraw  state -= 1: the change was not published
//   look      at time t: read state, then latest. Nothing in flight, and latest <= t: the upper half says which slots
//             are visible at t. Otherwise Visibility has to be asked, about these 32 slots
//
// Invariants
//   W1  state is a sum, whatever the order of what is added. A death may be complete before its birth, whose owner is
//       slow: then the upper half is short of a bit, and borrows upwards, out of the word. The lower half lends nothing
//       to anybody, so it is exact at every moment; where it is 0, the upper half is exact, too.
//   W2  a change is announced before the clock ticks for it. Who makes it tick has the slot from a release behind the
//       announcement: that of its publication (entry_current, bucket), or of the birth or death state that it found,
//       of whichever life. So who has the time t from the clock reads a state in which all that was stamped up to t is
//       announced.
//   W3  what is complete in a state that was read has raised the latest that is read next, and its row, norm and entry
//       can be read.
//   W4  who announces completes or withdraws, once. A slot that is to be born is its announcer's until it is published;
//       from then on, and for a death from before the slot was found, the announcer is pinned. So no segment goes
//       while a change is in flight there.
//
// Why that is enough for a search that is not pinned. Nothing in flight, and latest <= t: the state holds the changes
// that were stamped up to t (W2), complete, and no others (W3). Over the lives of a slot that is 1 where one of them
// was there at t, and 0 otherwise, however many came before. It stays the answer for t whatever happens afterwards. And
// a version that was there at t keeps its slot as long as t is announced (V3), and its segment (V7); so what the mask
// leads to is that version's. Slots that go on to another life meanwhile are none of the mask's.
//
// Progress: wait-free, but for the raise of latest, which is lock-free: it is repeated where another change raised it.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/store/version_clock.hpp>

#include <cstdint>

namespace hotindex {

/// Slots whose changes share a word.
inline constexpr std::uint32_t slots_per_group = 32;

template <class B>
class SlotGroup {
  public:
    SlotGroup() : state_(0), latest_(0) {}

    /// A change is going to be published: a birth or a death of one of the slots.
    void announce() {
        // relaxed: published with the change (W2)
        state_.fetch_add(one_change, B::relaxed());
    }
    /// It was not.
    void withdraw() {
        // relaxed: there is nothing to tell of
        state_.fetch_add(~one_change + 1, B::relaxed());
    }
    /// Slot i was born at that time.
    void complete_birth(std::uint32_t i, version::Word time) { complete(bit(i) - one_change, time); }
    /// Slot i died at that time.
    void complete_death(std::uint32_t i, version::Word time) { complete(~bit(i) + 1 - one_change, time); }
    /// Slot `born` took the place of slot `died` at that time: both changes at once.
    void complete_replacement(std::uint32_t born, std::uint32_t died, version::Word time) {
        complete(bit(born) - bit(died) - 2 * one_change, time);
    }

    /// What a search sees.
    struct Look {
        std::uint32_t visible = 0; ///< bit i: slot i is visible at the search's time
        bool exact = true;         ///< or else the slots have to be asked
    };
    // Inlined by force: two of them are the usual way of a search through 64 slots.
    [[nodiscard, gnu::always_inline]] Look look(version::Word time) const {
        // [group_state] acquire-load; synchronizes-with the release-RMWs in complete(), also through other changes of
        // the word, which continue their release sequence
        const std::uint64_t state = state_.load(B::acquire(edge::group_state));
        // relaxed: the state publishes a time that is late enough (W3)
        const version::Word latest = latest_.load(B::relaxed());
        return {visible(state), in_flight(state) == 0 && latest <= time};
    }

    /// Bit i: slot i seems to be visible. A hint, wrong while changes are in flight.
    [[nodiscard]] std::uint32_t visible_now() const { return visible(state_.load(B::relaxed())); } // relaxed: a hint
    /// Does no slot seem to be visible, or about to change? A hint.
    [[nodiscard]] bool seems_empty() const { return state_.load(B::relaxed()) == 0; } // relaxed: a hint
    /// Changes in flight.
    [[nodiscard]] std::uint32_t in_flight() const {
        return in_flight(state_.load(B::relaxed()));
    } // relaxed: a statistic

  private:
    static constexpr std::uint64_t one_change = 1;
    static constexpr std::uint64_t bit(std::uint32_t i) noexcept { return std::uint64_t{1} << (32 + i); }
    static constexpr std::uint32_t in_flight(std::uint64_t state) noexcept { return static_cast<std::uint32_t>(state); }
    static constexpr std::uint32_t visible(std::uint64_t state) noexcept {
        return static_cast<std::uint32_t>(state >> 32);
    }

    void complete(std::uint64_t sum, version::Word time) {
        // relaxed, all: published by the state
        version::Word latest = latest_.load(B::relaxed());
        while (latest < time && !latest_.compare_exchange_weak(latest, time, B::relaxed(), B::relaxed())) {
        }
        // [group_state] release-RMW; synchronizes-with the acquire-load in look(); publishes: latest; of a birth the
        // row, norm and entry
        state_.fetch_add(sum, B::release(edge::group_state));
    }

    typename B::template atomic<std::uint64_t> state_;
    typename VersionClock<B>::AtomicWord latest_;
};

} // namespace hotindex
