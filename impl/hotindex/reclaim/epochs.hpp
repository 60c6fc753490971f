// Epochs: who is pinned, and since when. The half of epoch-based reclamation that says when something is out of sight.
//
// The problem: a thread unlinks an object while others may still be reading it. When can nobody hold it any more?
//
// The idea (Fraser, "Practical lock-freedom", 2004, section 5.2.3): a thread that works is pinned: it has written
// the global epoch into its own record. The epoch advances from e to e + 1 only when no record is pinned at another
// epoch than e. What was retired by a thread pinned at e may be reclaimed by a thread that has seen e + 3. The fence is
// asymmetric: light for who pins, heavy for who advances.
//
// Why e + 3. While the retirer is pinned at e, the epoch is e or e + 1, so a reader that still holds the object is
// pinned at e + 1 at most. It keeps the epoch from becoming e + 3, though not from becoming e + 2. And a thread that
// pins later, at e + 2 or more, cannot find the object: the advance to e + 2 has seen the retirer unpinned (edge
// epoch_unpin), hence carries the unlink (edge epoch_advance) to everyone who reads e + 2.
//
// Why a pin is not written again when the epoch has moved meanwhile. Say the pin's second read, behind its light fence,
// finds e. An advance from e + 1 has read e + 1 before its heavy fence. Had that fence come first, the pin's second
// read would have found e + 1. So the light fence came first, and the advance sees the pin. The pin shows e or older,
// so the advance fails: the epoch is e or e + 1 for as long as the pin lasts. A pin that shows too old an epoch only
// keeps the epoch where it is.
//
// Why nobody pinned is enough. An advance that sees nobody pinned after its heavy fence is at once the end of all grace
// for what its own thread has unlinked before. Whoever was pinned then, in time to find such an object, is seen to have
// unpinned; whoever is pinned and was not seen, finds what it reads behind its light fence as the heavy fence left it.
//
// What the model checker found, each a mutant that fails. The pin's epoch is what it reads after its fence. The pin's
// store is a release: an advance that sees the re-pin and not the unpin must still see the reads before it. The
// advance's loads are acquires, those of the claim bits too: it does not look at the records of threads that have left.
//
// Invariant I1: the `epoch` of a record that is pinned and past its second read is the global one or the one before.
//
// Linearization: advance at its CAS, pin at its second read.
//
// Progress: pin and unpin are wait-free; an advance is wait-free, bounded by the participants that are there. A thread
// that stays pinned keeps the epoch from moving on twice; it never stops anyone.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/threads/participants.hpp>

#include <cstdint>

namespace hotindex {

/// `Participant`: see EpochParticipant.
template <class B, class Traits, class Participant>
class Epochs {
  public:
    using List = Participants<B, Traits, Participant>;
    using Record = typename List::Record;
    static constexpr std::uint64_t first = 3; // so that "three epochs ago" is never negative

    Epochs() : epoch_(first) {}

    /// All that take part.
    [[nodiscard]] List& participants() noexcept { return participants_; }
    [[nodiscard]] const List& participants() const noexcept { return participants_; }

    void pin(Participant& me) {
        // relaxed: only a first guess, read again below
        const std::uint64_t guess = epoch_.load(B::relaxed());
        // [epoch_pin] release-store; synchronizes-with the acquire-load in advance(); publishes: my earlier reads (a
        // relaxed store would end the release sequence of my last unpin)
        me.pinned.store(guess << 1 | 1, B::release(edge::epoch_pin));
        // [epoch_fence] light; pairs-with heavy in advance() and Collector::take_open_bag()
        B::light_fence(edge::epoch_fence);
        // [epoch_advance] acquire-load; synchronizes-with the release-CAS in advance(): what was unlinked two epochs
        // ago is out of sight
        me.epoch.set(epoch_.load(B::acquire(edge::epoch_advance)));
    }
    static void unpin(Participant& me) {
        // [epoch_unpin] release-store; synchronizes-with the acquire-loads in advance() and
        // Collector::take_open_bag(); publishes: my reads, and the open bag
        me.pinned.store(0, B::release(edge::epoch_unpin));
    }

    struct Advance {
        bool moved = false;      ///< false: somebody pinned is behind, or another thread was faster
        bool quiet = false;      ///< after the fence, nobody was seen pinned
        Record* rests = nullptr; ///< somebody who seems to have rested for long, with something in its bag
    };
    /// Tries to move the epoch on by one. Unpinned callers only.
    Advance advance() {
        Advance result;
        // relaxed: a guess, which the CAS confirms; earlier advances are passed on by the release sequence that it
        // continues
        std::uint64_t e = epoch_.load(B::relaxed());
        // Who is seen behind now stays behind until it unpins: then the fence can be saved.
        if (!participants_.all_of([&](Record& r) {
                // relaxed: only a hint; without the fence it proves nothing
                const std::uint64_t pinned = r.local.pinned.load(B::relaxed());
                if (const std::uint64_t since = r.local.opened();
                    pinned == 0 && since != 0 && since + Traits::rest_epochs <= e)
                    result.rests = &r;
                return is_not_behind(pinned, e);
            }))
            return result;
        // [epoch_fence] heavy; pairs-with light in pin(): either the scan below sees a pin, or that pin's reads see
        // every unlink before this line
        B::heavy_fence(edge::epoch_fence);
        bool pinned = false;
        const bool nobody_behind = participants_.all_of([e, &pinned](Record& r) {
            // [epoch_unpin] acquire-load; synchronizes-with the release-store in unpin()
            // [epoch_pin] acquire-load; synchronizes-with the release-store in pin()
            const std::uint64_t found = r.local.pinned.load(B::acquire(edge::epoch_unpin));
            pinned |= found != 0;
            return is_not_behind(found, e);
        });
        result.quiet = nobody_behind && !pinned;
        // [epoch_advance] release-CAS; synchronizes-with the acquire-loads of epoch_; publishes: the unpins just seen
        // relaxed on failure: nothing is done with the value
        result.moved =
            nobody_behind && epoch_.compare_exchange_strong(e, e + 1, B::release(edge::epoch_advance), B::relaxed());
        return result;
    }

    /// What was retired at this epoch or before is old enough for a pass that begins now.
    [[nodiscard]] std::uint64_t old_enough() const {
        // [epoch_advance] acquire-load; synchronizes-with the release-CAS in advance(): what others read of what is old
        // enough is over
        return epoch_.load(B::acquire(edge::epoch_advance)) - 3;
    }
    /// The epoch, only to be compared with others.
    [[nodiscard]] std::uint64_t hint() const { return epoch_.load(B::relaxed()); } // relaxed: only compared

  private:
    [[nodiscard]] static bool is_not_behind(std::uint64_t pinned, std::uint64_t e) noexcept {
        return (pinned & 1) == 0 || pinned >> 1 == e;
    }

    List participants_;
    alignas(isolation) typename B::template atomic<std::uint64_t> epoch_;
};

} // namespace hotindex
