// The version clock, and what the two version words of a slot can say.
//
// Each slot holds one version of one vector. Its life is [birth, death) on a global clock that every update ticks. Each
// of the two words says that it waits for its time, and then the time:
//
//   birth: PENDING#l -> timestamp
//   death: ALIVE#l   -> timestamp
//
// l counts the slot's lives. While a search helps to stamp a slot, that slot may be used again (see SnapshotTimes).
// Then l makes the search's CAS fail.
//
// What waits is larger than any time, so that for it `birth <= t` is false and `t < death` is true: whether a version
// is visible at t takes two comparisons.
#pragma once

#include <hotindex/backend/backend.hpp>

#include <cstdint>

namespace hotindex {

namespace version {
using Word = std::uint64_t;
inline constexpr Word first_special = Word{1} << 63;
inline constexpr Word lives = Word{1} << 60; ///< numbers of lives, before they repeat
/// The birth of a version that has no time yet.
[[nodiscard]] constexpr Word pending(std::uint64_t life) noexcept {
    return first_special | life % lives;
}
/// The death of a version that has no time yet.
[[nodiscard]] constexpr Word alive(std::uint64_t life) noexcept {
    return first_special | Word{1} << 62 | life % lives;
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

/// Each holds the PENDING or ALIVE that anybody may replace by a time, because the change is published: see
/// SlotStore::finish().
template <class B>
struct VersionMarks {
    VersionMarks() : birth(0), death(0) {}
    typename VersionClock<B>::AtomicWord birth;
    typename VersionClock<B>::AtomicWord death;
};

/// The two version words of a slot.
template <class B>
struct VersionWords {
    VersionWords() : birth(version::pending(0)), death(version::alive(0)) {}
    typename VersionClock<B>::AtomicWord birth;
    typename VersionClock<B>::AtomicWord death;
};

} // namespace hotindex
