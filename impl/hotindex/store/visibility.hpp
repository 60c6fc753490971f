// Visibility: which versions a search of one time sees.
//
// A version is visible at time t where birth <= t < death. What is unfinished is finished first, so that the answer
// stays true. The protocol and its invariants stand in slot_store.hpp.
//
// It is asked where a SlotGroup cannot tell. Even there most versions were born long ago and live, so eight slots at a
// time are looked at without branches on what a single one says. Only where one of them says something else, each is
// decided by itself.
// Progress: wait-free; a search looks at each slot once.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/store/version_clock.hpp>

#include <cstdint>

namespace hotindex {

template <class B>
class Visibility {
  public:
    using Words = VersionWords<B>;

    explicit Visibility(VersionClock<B>& clock) : clock_(clock) {}

    struct Life {
        version::Word birth;
        version::Word death;
    };
    // Inlined by force: left to itself, the compiler calls it once a slot in the scan.
    [[gnu::always_inline]] static Life life_of(const Words& v) {
        // V4: death before birth.
        // [slot_death] acquire-load; synchronizes-with the release-store in SlotStore::begin_version() and the CASes on
        // death
        const version::Word death = v.death.load(B::acquire(edge::slot_death));
        // [slot_birth] acquire-load; synchronizes-with the CASes on birth
        const version::Word birth = v.birth.load(B::acquire(edge::slot_birth));
        return {birth, death};
    }
    /// VACANT, PENDING and UNSTAMPED are later than any time.
    static bool is_born(version::Word birth, version::Word time) noexcept { return birth <= time; }
    /// ALIVE, links and DEAD_UNSTAMPED are later than any time.
    static bool is_dead(version::Word death, version::Word time) noexcept { return death <= time; }

    /// Bit i: slot i of a run of n <= 64 slots is visible at `time`. successor(slot, time) gives the version words of a
    /// slot, or nullptr where its segment is gone, or all that was ever born there was born after `time`.
    template <class Successor>
    [[nodiscard]] std::uint64_t mask(Words* run, std::uint32_t n, version::Word time, Successor successor) {
        // Eight slots at a time without branches on what a single slot says: nothing for the branch predictor to learn.
        std::uint64_t mask = 0;
        for (std::uint32_t i = 0; i < n; i += 8) {
            if (n - i < 8) {
                for (std::uint32_t j = i; j != n; ++j)
                    mask |= std::uint64_t{visible(run[j], time, successor)} << j;
            } else if (all_plain(run + i, time)) [[likely]] {
                mask |= std::uint64_t{0xFF} << i;
            } else {
                mask |= std::uint64_t{visible_of_eight(run + i, time, successor)} << i;
            }
        }
        return mask;
    }

  private:
    /// Are these eight slots all alive and old enough? The usual answer, found with a few additions a slot.
    static bool all_plain(const Words* eight, version::Word time) {
        const version::Word lift = (version::Word{1} << 62) - 1 - time;
        version::Word births = 0;              // bit 62: some birth is later than `time`; bit 63: some is special
        version::Word deaths = version::alive; // any bit clear: some death is not ALIVE
        const auto look = [&](std::uint32_t j) __attribute__((always_inline)) {
            const auto [birth, death] = life_of(eight[j]);
            deaths &= death;
            births |= birth + lift;
        };
        look(0), look(1), look(2), look(3), look(4), look(5), look(6), look(7);
        return deaths == version::alive && births >> 62 == 0;
    }

    /// Bit i: slot i of the eight is visible at `time`.
    template <class Successor>
    std::uint32_t visible_of_eight(Words* eight, version::Word time, Successor successor) {
        std::uint32_t mask = 0;
        version::Word unfinished = 0; // bit 63: some birth is UNSTAMPED, or some death is a LINK or DEAD_UNSTAMPED
        const auto look = [&](std::uint32_t j) __attribute__((always_inline)) {
            const auto [birth, death] = life_of(eight[j]);
            mask |= static_cast<std::uint32_t>(static_cast<int>(is_born(birth, time)) &
                                               static_cast<int>(!is_dead(death, time)))
                    << j;
            unfinished |= (birth & birth << 2) | (death & (death + 1));
        };
        look(0), look(1), look(2), look(3), look(4), look(5), look(6), look(7); // shifts by constants
        if (unfinished >= version::first_special) [[unlikely]] {
            mask = 0;
            for (std::uint32_t j = 0; j != 8; ++j)
                mask |= std::uint32_t{visible(eight[j], time, successor)} << j;
        }
        return mask;
    }

    /// Any case; helps what is unfinished.
    template <class Successor>
    bool visible(Words& v, version::Word time, Successor successor) {
        auto [birth, death] = life_of(v);
        if (version::is_unstamped(birth))
            // If the slot has gone on to another life, then what comes back is no time, or a later one.
            birth = clock_.stamp(v.birth, birth, edge::slot_birth);
        if (!is_born(birth, time))
            return false; // VACANT and PENDING too: such a version will be stamped after `time`
        // Born in time, so `death` is of the same life.
        if (death == version::alive)
            return true;
        if (version::is_timestamp(death))
            return !is_dead(death, time);
        if (version::is_dead_unstamped(death)) {
            death = clock_.stamp(v.death, death, edge::slot_death);
            // It may be the death of another life: then this one was over at `time`, or its slot would have been kept.
            // relaxed: another life's death was read with acquire and publishes its VACANT
            return time < death && v.birth.load(B::relaxed()) == birth;
        }
        // If the successor's slot has gone on to another life, then the successor was born after `time`, and so is
        // whatever comes after it. Its segment may be gone then, or be another one.
        Words* const next_words = successor(version::successor_of(death), time);
        if (next_words == nullptr)
            return true;
        // [slot_birth] acquire-load; synchronizes-with the CASes on birth: it may be another life's, which the link
        // does not publish, and who makes the clock tick for it must know that it was announced (W2)
        version::Word next = next_words->birth.load(B::acquire(edge::slot_birth));
        if (version::is_unstamped(next))
            next = clock_.stamp(next_words->birth, next, edge::slot_birth);
        return time < next; // PENDING is larger than any time: the successor will be stamped after `time`
    }

    VersionClock<B>& clock_;
};

} // namespace hotindex
