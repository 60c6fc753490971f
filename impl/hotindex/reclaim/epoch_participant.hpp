// EpochParticipant: what one thread keeps in an epoch domain.
//
// The first three words are what other threads look at: where the thread is pinned, whether its open bag has waited for
// long, and whose that bag is. Everything else is written by the owner alone.
//
// Invariants
//   I3  the open bag belongs to the owner while it is pinned and has not seen `taken`; to whoever set `taken` and then
//       saw the owner unpinned. The other parts, and the Local, are the owner's. Ownership passes with
//       participant_claim.
//   I4  a participant has a bag number in reserve from when it joins, so that leaving needs no memory.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/limbo.hpp>
#include <hotindex/reclaim/retirable.hpp>
#include <hotindex/threads/counters.hpp>

#include <cstdint>

namespace hotindex {

template <class B, class Traits, class LocalType>
struct EpochParticipant {
    using Local = LocalType;
    using Owner = typename Local::Owner;
    using Retired = Retirable<B, Local>;
    using Bags = Limbo<B, Traits, Retired>;
    using Bag = typename Bags::Bag;
    using BagNumber = typename Bags::BagNumber;

    /// Whose is the open bag?
    enum Taken : std::uint32_t { owners, being_taken, being_left };

    explicit EpochParticipant(Owner& owner)
        : pinned(0), open_since(0), taken(owners), depth(0u), epoch(0u), due(false), collecting(false), retires(0u),
          bytes(0u), retires_in(0u), tries(0u), yields_left(0u), until_look(Traits::pins_per_look), looked_at(0u),
          looks(0u), reserve(Bags::no_number), spare(Bags::no_number), local(owner) {}

    /// The open bag's epoch, as others see it; 0 if it is empty. A hint.
    [[nodiscard]] std::uint64_t opened() const { return open_since.load(B::relaxed()); } // relaxed: a hint
    void set_opened(std::uint64_t since) { open_since.store(since, B::relaxed()); }      // relaxed: a hint
    [[nodiscard]] bool advance_is_due() const {
        return retires.get() >= Traits::retires_per_advance || bytes.get() >= Traits::bytes_per_advance;
    }

    typename B::template atomic<std::uint64_t> pinned; ///< 0, or epoch * 2 + 1; written by the owner only
    typename B::template atomic<std::uint64_t> open_since;
    typename B::template atomic<std::uint32_t> taken;
    // The rest is the owner's alone, but for the open bag and the counters.
    alignas(isolation) typename B::template var<std::uint32_t> depth;
    typename B::template var<std::uint64_t> epoch;       ///< of the present pin
    typename B::template var<bool> due;                  ///< there is something to be done after the unpin
    typename B::template var<bool> collecting;           ///< a reclaimed object's destructor may come here again
    typename B::template var<std::uint32_t> retires;     ///< their weight since this thread last tried to advance
    typename B::template var<std::uint64_t> bytes;       ///< retired since then
    typename B::template var<std::uint64_t> retires_in;  ///< the epoch of the next two
    typename B::template var<std::uint64_t> tries;       ///< to advance, in the present epoch
    typename B::template var<std::uint32_t> yields_left; ///< in it
    typename B::template var<std::uint32_t> until_look;  ///< pins
    typename B::template var<std::uint64_t> looked_at;   ///< the epoch of the last look
    typename B::template var<std::uint32_t> looks;       ///< in it
    typename B::template var<Bag> open;                  ///< what this thread retires goes here
    typename B::template var<Bag> aside;                 ///< or here, while somebody else takes the open one
    typename B::template var<BagNumber> reserve;         ///< for leaving
    typename B::template var<BagNumber> spare;           ///< for the next bag that is handed over
    OwnedCounter<B> kept_objects;
    OwnedCounter<B> limbo_objects;
    OwnedCounter<B> limbo_bytes;
    Local local;
};

} // namespace hotindex
