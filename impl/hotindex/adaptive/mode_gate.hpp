// ModeGate: operations run beside each other, or one at a time and alone, and that changes while they run.
//
// Phases
//   open      operations run beside each other, each in its place
//   closing   each takes the mutex and runs as before: some that came through the open gate may be beside it
//   closed    each takes the mutex and is alone: all that came through the gate have left
// Changes, by the owner of the mutex
//   close()            open -> closing, and closed if nobody is inside
//   at each entry      closing -> closed, if nobody is inside
//   open()             closing or closed -> open
// So a change stops nobody until others are through, not even where one of them never gets through: then the gate stays
// closing. An operation waits for the mutex, and nothing else. A change holds it for a heavy fence and a look at each
// place.
//
// Through the open gate: say so in one's place, light fence, look at the phase again. Closing: phase, heavy fence, look
// at the places. So one of the two sees the other (Dekker).
//
// Invariants
//   G1  while the gate is closed, all that run are behind the mutex.
//   G2  only the mutex's owner changes the phase.
//   G3  whoever comes through the open gate knows everything that was done alone before.
// Progress: through the open gate wait-free; behind the mutex blocking.
// Sources: Dice, Huang, Yang: "Asymmetric Dekker Synchronization" (2001), for the two halves. Biased locking turns the
// same handshake to the same end for one owner.
#pragma once

#include <hotindex/backend/backend.hpp>

#include <cstdint>

namespace hotindex {

/// Mutex: lock(), try_lock(), unlock().
template <class B, class Mutex>
class ModeGate {
    enum Phase : std::uint32_t { open_, closing_, closed_ };

  public:
    /// Of one participant. Used by one operation at a time.
    class Place {
      public:
        Place() : inside_(0u) {}

      private:
        friend class ModeGate;
        [[nodiscard]] bool is_inside() const {
            // [gate_inside] acquire-load; synchronizes-with the release-stores of whoever has left (G1)
            return inside_.load(B::acquire(edge::gate_inside)) != 0;
        }
        typename B::template atomic<std::uint32_t> inside_; ///< 1: its operation came through the open gate
    };

    /// An operation's way through the gate, to its destruction. `places(visit)` calls visit(const Place&) for each
    /// place, until that returns false; and returns whether none did.
    class Passage {
      public:
        template <class Places>
        Passage(ModeGate& gate, Place& mine, const Places& places)
            : gate_(gate), mine_(mine), through_(gate.enters(mine)) {
            if (!through_)
                alone_ = gate.takes_mutex(*this, places);
        }
        Passage(const Passage&) = delete;
        Passage& operator=(const Passage&) = delete;
        ~Passage() {
            if (through_)
                // [gate_inside] release-store; synchronizes-with the acquire-load in is_inside(); publishes: all
                // that the operation has read and written
                mine_.inside_.store(0, B::release(edge::gate_inside));
            else
                gate_.mutex_.unlock();
        }
        /// Nobody else runs, and everybody who comes later will know what this operation does.
        [[nodiscard]] bool alone() const noexcept { return alone_; }
        /// It has the mutex.
        [[nodiscard]] bool behind() const noexcept { return !through_; }
        /// Another one had the mutex when this one came; for how many microseconds.
        [[nodiscard]] bool waited() const noexcept { return waited_; }
        [[nodiscard]] std::int64_t waited_us() const noexcept { return waited_us_; }

      private:
        friend class ModeGate;
        ModeGate& gate_;
        Place& mine_;
        const bool through_;
        bool alone_ = false;
        bool waited_ = false;
        std::int64_t waited_us_ = 0;
    };

    ModeGate() : phase_(open_) {}
    ModeGate(const ModeGate&) = delete;
    ModeGate& operator=(const ModeGate&) = delete;

    /// For changes of the phase, and for what else their callers want to have to themselves.
    [[nodiscard]] Mutex& mutex() noexcept { return mutex_; }
    /// By the owner of the mutex, all of these.
    template <class Places>
    void close(const Places& places) {
        if (!is_open())
            return;
        phase_.store(closing_, B::relaxed()); // relaxed: ordered by the fence; it publishes nothing
        // [gate_fence] heavy: after the phase, before the places; pairs with the light one in enters()
        B::heavy_fence(edge::gate_fence);
        (void)is_closed_now(places);
    }
    void open() {
        if (!is_open())
            // [gate_open] release-store; synchronizes-with the acquire-load in enters(); publishes: what was done alone
            phase_.store(open_, B::release(edge::gate_open));
    }
    /// A hint, for others.
    [[nodiscard]] bool is_open() const { return phase_.load(B::relaxed()) == open_; } // relaxed: the mutex orders it
    [[nodiscard]] bool is_closed() const { return phase_.load(B::relaxed()) == closed_; } // relaxed: as above

  private:
    [[nodiscard]] bool enters(Place& mine) {
        if (phase_.load(B::relaxed()) != open_) // relaxed: a hint, looked at again below
            return false;
        mine.inside_.store(1, B::relaxed()); // relaxed: ordered by the fence; it publishes nothing
        // [gate_fence] light: after saying so, before the phase; pairs with the heavy one in close()
        B::light_fence(edge::gate_fence);
        // [gate_open] acquire-load; synchronizes-with the release-store in open() (G3)
        if (phase_.load(B::acquire(edge::gate_open)) == open_)
            return true;
        // [gate_inside] release-store; synchronizes-with the acquire-load in is_inside(); publishes: the operations
        // before, of which a relaxed store would take the release sequence over (C++20)
        mine.inside_.store(0, B::release(edge::gate_inside));
        return false;
    }
    template <class Places>
    [[nodiscard]] bool takes_mutex(Passage& passage, const Places& places) {
        if (!mutex_.try_lock()) {
            passage.waited_ = true;
            const std::int64_t begin = B::read_timer_us();
            mutex_.lock();
            passage.waited_us_ = B::read_timer_us() - begin;
        }
        return !is_open() && is_closed_now(places);
    }
    /// Of a gate that is not open.
    template <class Places>
    [[nodiscard]] bool is_closed_now(const Places& places) {
        if (is_closed())
            return true;
        if (!nobody_inside(places))
            return false;
        phase_.store(closed_, B::relaxed()); // relaxed: only owners of the mutex tell closed from closing
        return true;
    }
    template <class Places>
    [[nodiscard]] static bool nobody_inside(const Places& places) {
        return places([](const Place& place) { return !place.is_inside(); });
    }

    alignas(isolation) typename B::template atomic<std::uint32_t> phase_; ///< everybody reads it, few write it
    alignas(isolation) Mutex mutex_;
};

} // namespace hotindex
