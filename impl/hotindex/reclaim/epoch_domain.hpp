// EpochDomain: epoch-based reclamation (Fraser, "Practical lock-freedom", 2004, section 5.2.3) with an asymmetric
// fence.
//
// The problem: a thread unlinks an object while others may still be reading it. When may it be freed?
// The answer: every operation runs pinned, that is, it announces the global epoch in its own record. The epoch advances
// from e to e + 1 only when no record is pinned at another epoch than e. An object unlinked by a thread that is pinned
// at e waits in that thread's limbo until the thread sees epoch e + 3.
//
// Why e + 3. While the retirer is pinned at e, the epoch is e or e + 1, so a reader that still holds the object is
// pinned at e + 1 at most. It does not keep the epoch from becoming e + 2, but from becoming e + 3. And a thread that
// pins later, at e + 2 or more, cannot find the object: the advance to e + 2 has seen the retirer unpinned (edge
// epoch_unpin), hence carries the unlink (edge epoch_advance) to everyone who reads e + 2.
//
// Why a pin is not announced again when the epoch has moved meanwhile. Say the read after the fence finds e. An advance
// from e + 1 has read e + 1 before its heavy fence; that read, behind the light fence, has not. So the advance's scan
// sees the announcement, which is of e or older, and fails: the epoch is e or e + 1 for as long as the pin lasts.
// An announcement that is too old only keeps the epoch where it is meanwhile.
//
// Three findings of the model checker are built in, each a mutant that fails:
//   1. what pin takes for the epoch is read after its fence; what it announced may be too old to sort limbo by;
//   2. the pin's store is a release: a scan that sees the re-pin and not the unpin must still see the reads before it;
//   3. the scan reads records with acquire loads, so that the order is visible to ThreadSanitizer too.
//
// Invariants
//   I1  the `epoch` of a record that is pinned and past its second read is the global one or the one before.
//   I2  bags_[e % 3] of a record holds objects retired at one epoch only.
//   I3  a record's bags and Local are touched by its owner only; ownership passes with edge participant_claim.
//
// An object may be in use in ways that the domain knows nothing of: then `reclaim` refuses, and is asked again when as
// many objects have been asked as half of those that refused. So each object is asked a few times on average, and what
// is kept too long is half of what refused. Whoever asks is behind a heavy fence that came after the retirement: the
// one of the advance to e + 3, whose thread had read e + 2 before it. Linearization: advance at its CAS; pin at its
// second read. Progress: pin and unpin are wait-free; retire is lock-free; collection is bounded by the limbo
// collected. A thread that stays pinned keeps what was retired after it in limbo, for all threads; it never stops
// anyone.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/participants.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

namespace hotindex {

/// What a domain has seen. Exact when no operation is running.
struct EpochStats {
    std::uint64_t participants = 0;  ///< records, in use or vacant
    std::uint64_t pinned = 0;        ///< records that are pinned now
    std::uint64_t limbo_objects = 0; ///< retired, not yet reclaimed
    std::uint64_t limbo_bytes = 0;   ///< as told to retire()
    std::uint64_t kept_objects = 0;  ///< of those in limbo, past their grace period, but refused to be reclaimed
    std::uint64_t epochs_advanced = 0;
};

/// The base of every object that can be retired. `reclaim` runs on some thread's pass, with that thread's Local. It
/// returns the bytes that it gave back, as told to retire(); or 0: not yet, ask again later.
template <class B, class Local>
struct Retirable {
    using Reclaim = std::size_t (*)(Retirable*, Local&);
    Retirable() : next_in_limbo(nullptr), reclaim(nullptr) {}
    typename B::template var<Retirable*> next_in_limbo;
    typename B::template var<Reclaim> reclaim;
};

/// `Local` is what each participant owns besides (caches, counters); it is constructed from an Owner&, where
/// Local::Owner is the structure that the domain serves. It may have before_reclaim_pass(), called before objects are
/// asked, behind the fence that they wait for; and before_unguarded_pass(), after which none may refuse.
template <class B, class Traits, class LocalType>
class EpochDomain {
  public:
    using Local = LocalType;
    using Owner = typename Local::Owner;
    using Retired = Retirable<B, Local>;

  private:
    struct Bag {
        std::uint64_t epoch = 0;
        Retired* head = nullptr;
        std::uint64_t objects = 0;
    };

    struct Participant {
        explicit Participant(Owner& owner) : pinned(0), depth(0), epoch(0), retires(0), asked(0u), local(owner) {}

        typename B::template atomic<std::uint64_t> pinned; ///< 0, or epoch * 2 + 1; written by the owner only
        // The rest is the owner's alone, but for the counters.
        alignas(isolation) typename B::template var<std::uint32_t> depth;
        typename B::template var<std::uint64_t> epoch;
        typename B::template var<std::uint32_t> retires;
        std::array<typename B::template var<Bag>, 3> bags;
        typename B::template var<Retired*> kept;       ///< those that refused
        typename B::template var<std::uint64_t> asked; ///< objects, since all of those were last asked
        OwnedCounter<B> kept_objects;
        OwnedCounter<B> limbo_objects;
        OwnedCounter<B> limbo_bytes;
        Local local;
    };

    using List = Participants<B, Participant>;
    using Record = typename List::Record;

    static constexpr std::uint64_t first_epoch = 3; // so that "three epochs ago" is never negative

  public:
    /// A participant's place in the domain. Used by one thread at a time; explicit, so that algorithms need no
    /// thread_local. It must not outlive the domain.
    class Handle {
      public:
        explicit Handle(EpochDomain& domain) : domain_(&domain), record_(&domain.participants_.claim(domain.owner_)) {}
        Handle(Handle&& other) noexcept
            : domain_(std::exchange(other.domain_, nullptr)), record_(std::exchange(other.record_, nullptr)) {}
        Handle& operator=(Handle&&) = delete;
        Handle(const Handle&) = delete;
        Handle& operator=(const Handle&) = delete;
        /// Leaves. Limbo that is not old enough stays in the record and is collected by whoever advances the epoch, or
        /// by the next owner of the record.
        ~Handle() {
            if (record_ != nullptr)
                domain_->participants_.release(*record_);
        }
        [[nodiscard]] Local& local() const noexcept { return record_->local.local; }
        /// Does the address lie in what only this participant writes? (For checks of what an operation writes.)
        [[nodiscard]] bool owns(const void* address) const noexcept {
            if constexpr (requires { local().owns(address); })
                if (local().owns(address))
                    return true;
            const auto* const p = static_cast<const std::byte*>(address);
            const auto* const begin = reinterpret_cast<const std::byte*>(record_);
            return !std::less<>()(p, begin) && std::less<>()(p, begin + sizeof(Record));
        }
        /// Small and dense: 0, 1, 2, ...
        [[nodiscard]] std::uint32_t index() const { return record_->index.get(); }

      private:
        friend class EpochDomain;
        EpochDomain* domain_;
        Record* record_;
    };

    /// A read section. While it lives, nothing that it could have reached is reclaimed. Nests. Stays on its thread.
    class Guard {
      public:
        explicit Guard(const Handle& handle) : domain_(handle.domain_), record_(handle.record_) {
            domain_->pin(record_->local);
        }
        Guard(Guard&& other) noexcept
            : domain_(std::exchange(other.domain_, nullptr)), record_(std::exchange(other.record_, nullptr)) {}
        Guard& operator=(Guard&&) = delete;
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;
        ~Guard() {
            if (record_ != nullptr)
                EpochDomain::unpin(record_->local);
        }
        [[nodiscard]] Local& local() const noexcept { return record_->local.local; }
        /// See EpochDomain::for_each_local.
        template <class Visit>
        void for_each_local(Visit visit) const {
            domain_->for_each_local(visit);
        }

        /// `object` is unreachable for whoever pins from now on, and nobody else retires it. `reclaim` is called with
        /// it after the grace period. Does not allocate. `weight`: as how many retires it counts towards the next
        /// advance.
        void retire(Retired* object, typename Retired::Reclaim reclaim, std::size_t bytes,
                    std::uint32_t weight = 1) const {
            domain_->retire(*record_, object, reclaim, bytes, weight);
        }

      private:
        EpochDomain* domain_;
        Record* record_;
    };

    explicit EpochDomain(Owner& owner) : owner_(owner), epoch_(first_epoch) {}
    EpochDomain(const EpochDomain&) = delete;
    EpochDomain& operator=(const EpochDomain&) = delete;
    /// Everything must have been reclaimed (drain or unguarded_reclaim_all) if `reclaim` needs the owner.
    ~EpochDomain() { unguarded_reclaim_all(); }

    /// Tries to move the epoch on by one. false: a pinned participant is behind, or another thread was faster.
    bool try_advance() {
        // relaxed: a guess, which the CAS confirms; earlier advances are passed on by the release sequence that it
        // continues
        std::uint64_t e = epoch_.load(B::relaxed());
        // Who is seen behind now stays behind until it unpins: then the fence can be saved.
        if (!participants_.all_of([e](Record& r) {
                // relaxed: only a hint; without the fence it proves nothing
                return is_not_behind(r.local.pinned.load(B::relaxed()), e);
            }))
            return false;
        // [epoch_fence] heavy; pairs-with light in pin(): either the scan below sees a pin, or that pin's reads see
        // every unlink before this line
        B::heavy_fence(edge::epoch_fence);
        const bool nobody_behind = participants_.all_of([e](Record& r) {
            // [epoch_unpin] acquire-load; synchronizes-with the release-store in unpin()
            // [epoch_pin] acquire-load; synchronizes-with the release-store in pin()
            return is_not_behind(r.local.pinned.load(B::acquire(edge::epoch_unpin)), e);
        });
        // [epoch_advance] release-CAS; synchronizes-with the acquire-loads of epoch_; publishes: the unpins just seen
        // relaxed on failure: nothing is done with the value
        return nobody_behind && epoch_.compare_exchange_strong(e, e + 1, B::release(edge::epoch_advance), B::relaxed());
    }

    /// Reclaims all that can be reclaimed now; true if no limbo is left anywhere. Unpinned callers only.
    bool drain(const Handle& handle) {
        for (int i = 0; i != 3; ++i) {
            try_advance();
            {
                const Guard collects_own_limbo(handle);
            }
        }
        before_reclaim_pass(handle.record_->local);
        ask_kept(handle.record_->local);
        adopt_limbo(true);
        return stats().limbo_objects == 0;
    }

    /// Reclaims everything at once, whatever the epoch. No operation may be running.
    void unguarded_reclaim_all() {
        participants_.for_each([](Record& r) {
            if constexpr (requires { r.local.local.before_unguarded_pass(); })
                r.local.local.before_unguarded_pass();
            for (auto& bag : r.local.bags)
                reclaim(r.local, bag);
            ask_kept(r.local);
        });
    }

    [[nodiscard]] EpochStats stats() const {
        EpochStats s;
        participants_.for_each([&s](const Record& r) {
            ++s.participants;
            // relaxed: a statistic
            s.pinned += r.local.pinned.load(B::relaxed()) & 1;
            s.limbo_objects += r.local.limbo_objects.read();
            s.limbo_bytes += r.local.limbo_bytes.read();
            s.kept_objects += r.local.kept_objects.read();
        });
        // relaxed: a statistic
        s.epochs_advanced = epoch_.load(B::relaxed()) - first_epoch;
        return s;
    }

    /// Calls visit(const Local&) for every participant that ever joined, for sums over their counters.
    template <class Visit>
    void for_each_local(Visit visit) const {
        participants_.for_each([&visit](const Record& r) { visit(r.local.local); });
    }

  private:
    [[nodiscard]] static bool is_not_behind(std::uint64_t pinned, std::uint64_t e) noexcept {
        return (pinned & 1) == 0 || pinned >> 1 == e || B::planted(bug::advance_blindly);
    }

    void pin(Participant& me) {
        const std::uint32_t depth = me.depth.get();
        me.depth.set(depth + 1);
        if (depth != 0)
            return;
        // relaxed: only a first guess, read again below
        const std::uint64_t guess = epoch_.load(B::relaxed());
        // [epoch_pin] release-store; synchronizes-with the acquire-load in try_advance(); publishes: my earlier reads
        // (finding 2: a relaxed store would end the release sequence of my last unpin)
        me.pinned.store(guess << 1 | 1, B::release(edge::epoch_pin));
        // [epoch_fence] light; pairs-with heavy in try_advance()
        B::light_fence(edge::epoch_fence);
        // [epoch_advance] acquire-load; synchronizes-with the release-CAS in try_advance(): what others read of the
        // limbo that I am about to reclaim is over
        const std::uint64_t e = B::planted(bug::pin_once) ? guess : epoch_.load(B::acquire(edge::epoch_advance));
        if (e != me.epoch.get()) {
            me.epoch.set(e);
            collect(me, e);
        }
    }

    static void unpin(Participant& me) {
        const std::uint32_t depth = me.depth.get() - 1;
        me.depth.set(depth);
        if (depth == 0)
            // [epoch_unpin] release-store; synchronizes-with the acquire-load in try_advance(); publishes: my reads
            me.pinned.store(0, B::release(edge::epoch_unpin));
    }

    void retire(Record& record, Retired* object, typename Retired::Reclaim reclaim_it, std::size_t bytes,
                std::uint32_t weight) {
        Participant& me = record.local;
        const std::uint64_t e = me.epoch.get();
        auto& slot = me.bags[e % 3];
        if (slot.get().head != nullptr && slot.get().epoch != e) {
            before_reclaim_pass(me);
            reclaim(me, slot); // another epoch in this place is at least three epochs back
        }
        Bag bag = slot.get();
        object->reclaim.set(reclaim_it);
        object->next_in_limbo.set(bag.head);
        bag = {e, object, bag.objects + 1};
        slot.set(bag);
        me.limbo_objects.add(1);
        me.limbo_bytes.add(bytes);
        const std::uint32_t retires = me.retires.get() + weight;
        me.retires.set(retires % Traits::retires_per_advance);
        if (retires >= Traits::retires_per_advance && try_advance())
            adopt_limbo();
    }

    /// Reclaims the bags that are old enough at epoch e, and asks those that refused when it is time.
    static void collect(Participant& me, std::uint64_t e) {
        bool passes = false;
        for (auto& bag : me.bags)
            if (bag.get().head != nullptr && bag.get().epoch + (B::planted(bug::free_one_early) ? 2 : 3) <= e) {
                if (!std::exchange(passes, true))
                    before_reclaim_pass(me);
                reclaim(me, bag);
            }
        if (passes && me.asked.get() * 2 >= me.kept_objects.read())
            ask_kept(me);
    }

    /// Collects the limbo of records that nobody owns. `all`: asks all of those that refused, too.
    void adopt_limbo(bool all = false) {
        participants_.for_each([this, all](Record& r) {
            if (r.local.limbo_objects.read() == 0 || (!B::planted(bug::adopt_unclaimed) && !participants_.try_claim(r)))
                return;
            Participant& it = r.local;
            // [epoch_advance] acquire-load; synchronizes-with the release-CAS in try_advance(), as in pin()
            collect(it, epoch_.load(B::acquire(edge::epoch_advance)));
            // Nobody retires here any more: the advance that led here stands for as many as led to it.
            it.asked.set(it.asked.get() + Traits::retires_per_advance);
            if (all || it.asked.get() * 2 >= it.kept_objects.read()) {
                before_reclaim_pass(it);
                ask_kept(it);
            }
            participants_.release(r);
        });
    }

    static void before_reclaim_pass(Participant& me) {
        if constexpr (requires { me.local.before_reclaim_pass(); })
            me.local.before_reclaim_pass();
    }

    static void reclaim(Participant& me, typename B::template var<Bag>& slot) {
        const Bag bag = slot.get();
        slot.set(Bag{});
        me.asked.set(me.asked.get() + bag.objects);
        ask(me, bag.head);
    }

    /// Asks all those that refused before.
    static void ask_kept(Participant& me) {
        Retired* const all = me.kept.get();
        if (all == nullptr || B::planted(bug::keep_for_ever))
            return;
        me.kept.set(nullptr);
        me.asked.set(0);
        me.kept_objects.add(std::uint64_t{0} - me.kept_objects.read());
        ask(me, all);
    }

    /// Reclaims the objects of a list, but for those that refuse, which are kept.
    static void ask(Participant& me, Retired* list) {
        std::uint64_t objects = 0;
        std::uint64_t bytes = 0;
        std::uint64_t kept = 0;
        while (list != nullptr) {
            Retired* const object = std::exchange(list, list->next_in_limbo.get());
            if (const std::size_t given_back = object->reclaim.get()(object, me.local); given_back != 0) {
                ++objects;
                bytes += given_back;
            } else {
                object->next_in_limbo.set(me.kept.get());
                me.kept.set(object);
                ++kept;
            }
        }
        me.kept_objects.add(kept);
        me.limbo_objects.add(std::uint64_t{0} - objects);
        me.limbo_bytes.add(std::uint64_t{0} - bytes);
    }

    Owner& owner_;
    List participants_;
    alignas(isolation) typename B::template atomic<std::uint64_t> epoch_;
};

/// For domains whose participants own nothing.
struct NoLocal {
    struct Owner {};
    explicit NoLocal(Owner&) {}
};

} // namespace hotindex
