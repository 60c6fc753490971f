// The version clock, and what the two version words of a slot can say.
//
// Each slot holds one version of one vector. Its life is [birth, death) on a global clock that every update ticks. Both
// words pass through states before they become timestamps; whoever meets an unfinished state can finish it.
//
//   birth: VACANT -> PENDING#l -> UNSTAMPED#l -> timestamp        (-> VACANT when the slot is used again)
//   death: ALIVE -> LINK(successor) -> the successor's birth      replaced
//          ALIVE -> DEAD_UNSTAMPED#l -> timestamp                 removed
//
// l counts the slot's lives. While a search helps to stamp a slot, that slot may be used again (see SnapshotTimes).
// Then l makes the search's CAS fail.
//
// The special states are the largest numbers, so that for them `birth <= t` is false and `t < death` is true: the usual
// visibility check is two comparisons.
#pragma once

#include <hotindex/backend/backend.hpp>

#include <cstdint>

namespace hotindex {

namespace version {
using Word = std::uint64_t;
inline constexpr Word first_special = Word{1} << 63;
inline constexpr Word lives = Word{1} << 60; ///< numbers of lives, before they repeat
// birth: all below first_special + 2^62, and UNSTAMPED alone has bit 61: see Visibility::mask()
[[nodiscard]] constexpr Word pending(std::uint64_t life) noexcept {
    return first_special | life % lives;
}
[[nodiscard]] constexpr Word unstamped(std::uint64_t life) noexcept {
    return pending(life) | Word{1} << 61;
}
inline constexpr Word vacant = first_special | lives;
[[nodiscard]] constexpr bool is_pending(Word birth) noexcept {
    return birth >> 60 == 0b1000;
}
[[nodiscard]] constexpr bool is_unstamped(Word birth) noexcept {
    return birth >> 60 == 0b1010;
}
// death: bit 63 of death & (death + 1) tells what is unfinished
inline constexpr Word alive = ~Word{0};
[[nodiscard]] constexpr Word link(std::uint32_t successor) noexcept {
    return first_special | successor;
}
[[nodiscard]] constexpr std::uint32_t successor_of(Word death) noexcept {
    return static_cast<std::uint32_t>(death);
}
[[nodiscard]] constexpr Word dead_unstamped(std::uint64_t life) noexcept {
    return first_special | Word{1} << 62 | life % lives;
}
[[nodiscard]] constexpr bool is_dead_unstamped(Word death) noexcept {
    return death >> 60 == 0b1100;
}
[[nodiscard]] constexpr bool is_timestamp(Word w) noexcept {
    return w < first_special;
}
} // namespace version

template <class B>
class VersionClock {
  public:
    using AtomicWord = typename B::template atomic<version::Word>;

    VersionClock() : now_(0) {}

    /// A snapshot time: every version stamped up to it is visible to whoever holds it.
    [[nodiscard]] version::Word now() const {
        // [version_clock] acquire-load; synchronizes-with the acq_rel-RMW in stamp()
        return now_.load(B::acquire(edge::version_clock));
    }

    /// A new time for something that no word tells of.
    version::Word tick() {
        // [version_clock] release-RMW; synchronizes-with the acquire-load in now(); publishes: what the caller did
        // before. What was stamped before stays published: a read-modify-write continues its release sequence
        return now_.fetch_add(1, B::release(edge::version_clock)) + 1;
    }

    /// Replaces `from` in the word by a new time, unless another thread has; returns what is in it now: a time, or what
    /// became of it if the slot may be in another life by now.
    /// Linearization point of the update that the word belongs to: the fetch_add whose value got in.
    version::Word stamp(AtomicWord& word, version::Word from, edge e) {
        // [version_clock] acq_rel-RMW; synchronizes-with now(); publishes: every version stamped so far
        const version::Word t = now_.fetch_add(1, B::acq_rel(edge::version_clock)) + 1;
        // [slot_birth] [slot_death] release-CAS; synchronizes-with the acquire-loads of the word; publishes: the stamp
        // [slot_birth] [slot_death] acquire on failure: the other thread's stamp is used
        return word.compare_exchange_strong(from, t, B::release(e), B::acquire(e)) ? t : from;
    }

  private:
    alignas(isolation) AtomicWord now_;
};

/// The two version words of a slot.
template <class B>
struct VersionWords {
    VersionWords() : birth(version::vacant), death(version::alive) {}
    typename VersionClock<B>::AtomicWord birth;
    typename VersionClock<B>::AtomicWord death;
};

} // namespace hotindex
