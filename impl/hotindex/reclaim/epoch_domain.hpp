// EpochDomain: when may memory be used again that a lock-free structure has unlinked?
//
// The problem: a thread unlinks an object while others may still be reading it.
//
// The idea: an operation runs pinned (Guard). What it unlinks it retires: the object goes to limbo, and is reclaimed
// when everybody who was pinned then has unpinned. Epochs says when that is; the Collector says who does it.
//
//   Participants   records of threads, found without locks
//   Epochs         who is pinned, and since when: an object retired at epoch e is out of sight at e + 3
//   Limbo          what was retired and may not be reclaimed yet, in bags that belong to nobody
//   Collector      who fills bags, hands them over, and empties those of others
//   EpochDomain    this file: handles and guards, who joins and who leaves, totals over all participants
//
// Progress: joining and leaving are lock-free. Retire is wait-free. Pin and unpin are wait-free but for a pass of the
// Collector, which is bounded, lock-free, and never pinned: an unpin makes one when a bag is full or an advance is due,
// a pin makes one in pins_per_look times. A thread that stays pinned keeps what is retired after it in limbo, for all
// threads; it never stops anyone.
//
// Memory: see Collector. Source: Fraser, "Practical lock-freedom", 2004, section 5.2.3; see Epochs.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/collector.hpp>
#include <hotindex/reclaim/epoch_participant.hpp>
#include <hotindex/reclaim/epochs.hpp>
#include <hotindex/threads/counters.hpp>
#include <hotindex/threads/participants.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

namespace hotindex {

/// What a domain has seen. Exact when no operation is running.
struct EpochStats {
    std::uint64_t participants = 0;  ///< there now
    std::uint64_t pinned = 0;        ///< of those, in an operation
    std::uint64_t limbo_objects = 0; ///< retired, not yet reclaimed
    std::uint64_t limbo_bytes = 0;   ///< as told to retire()
    std::uint64_t kept_objects = 0;  ///< of those in limbo, past their grace period, but refused to be reclaimed
    std::uint64_t epochs_advanced = 0;
};

/// `Local` is what each participant owns besides (caches, counters); it is constructed from an Owner&, where
/// Local::Owner is the structure that the domain serves. Records, with their Local, go from thread to thread. A Local
/// may have
///   join()   a thread begins to use it; may throw, and has done nothing then
///   leave()  noexcept: the thread has gone. Gives everything back that others could use, and lets the owner's totals
///            take over what was counted: nobody looks at it until the next join()
///   before_reclaim_pass()    called before objects are asked, behind the fence that they wait for
///   before_unguarded_pass()  called before objects are asked, none of which may refuse
template <class B, class Traits, class LocalType>
class EpochDomain {
  public:
    using Local = LocalType;
    using Owner = typename Local::Owner;
    using Retired = Retirable<B, Local>;

  private:
    using Participant = EpochParticipant<B, Traits, Local>;
    using Record = typename Epochs<B, Traits, Participant>::Record;

  public:
    /// Where a participant stands in the domain. Ends before the participant's handle does; used by the same thread.
    class Place {
        friend class EpochDomain;
        Place(EpochDomain* domain, Record* record) noexcept : domain_(domain), record_(record) {}
        EpochDomain* domain_;
        Record* record_;
    };

    /// A participant's place in the domain. Used by one thread at a time; explicit, so that algorithms need no
    /// thread_local. It must not outlive the domain.
    class Handle {
      public:
        /// Throws std::bad_alloc, and what Local's constructor and join() throw.
        explicit Handle(EpochDomain& domain) : domain_(&domain), record_(&domain.join()) {}
        Handle(Handle&& other) noexcept
            : domain_(std::exchange(other.domain_, nullptr)), record_(std::exchange(other.record_, nullptr)) {}
        Handle& operator=(Handle&&) = delete;
        Handle(const Handle&) = delete;
        Handle& operator=(const Handle&) = delete;
        /// Leaves. Others reclaim what this participant retired. With a guard that was never ended, say on a thread
        /// that was killed, it does not leave: the guard goes on to protect what it may have seen.
        ~Handle() {
            if (record_ != nullptr)
                domain_->leave(*record_);
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
        /// To pin with as long as the handle lives, wherever that is moved to meanwhile.
        [[nodiscard]] Place place() const noexcept { return Place(domain_, record_); }

      private:
        friend class EpochDomain;
        EpochDomain* domain_;
        Record* record_;
    };

    /// A read section. While it lives, nothing that it could have reached is reclaimed. Nests. Stays on its thread.
    class Guard {
      public:
        explicit Guard(const Handle& handle) : Guard(handle.place()) {}
        explicit Guard(const Place& place) : domain_(place.domain_), record_(place.record_) {
            domain_->pin(record_->local);
        }
        Guard(Guard&& other) noexcept
            : domain_(std::exchange(other.domain_, nullptr)), record_(std::exchange(other.record_, nullptr)) {}
        Guard& operator=(Guard&&) = delete;
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;
        ~Guard() {
            if (record_ != nullptr)
                domain_->unpin(record_->local);
        }
        [[nodiscard]] Local& local() const noexcept { return record_->local.local; }
        /// See EpochDomain::for_each_local.
        template <class Visit>
        void for_each_local(Visit visit) const {
            domain_->for_each_local(visit);
        }
        /// See EpochDomain::total.
        template <class Read>
        [[nodiscard]] std::uint64_t total(const DepartedCounter<B>& departed, Read read) const {
            return domain_->total(departed, read);
        }

        /// `object` is unreachable for whoever pins from now on, and nobody else retires it. `reclaim` is called with
        /// it after the grace period. Does not allocate. `weight`: as how many retires it counts towards the next
        /// advance.
        void retire(Retired* object, typename Retired::Reclaim reclaim, std::size_t bytes,
                    std::uint32_t weight = 1) const {
            Collector<B, Traits, Local>::retire(record_->local, object, reclaim, bytes, weight);
        }

      private:
        EpochDomain* domain_;
        Record* record_;
    };

    explicit EpochDomain(Owner& owner) : owner_(owner), ended_(false) {}
    EpochDomain(const EpochDomain&) = delete;
    EpochDomain& operator=(const EpochDomain&) = delete;
    /// Everything must have been reclaimed (drain or unguarded_reclaim_all) if `reclaim` needs the owner.
    ~EpochDomain() { unguarded_reclaim_all(); }

    /// Tries to move the epoch on by one. false: a pinned participant is behind, or another thread was faster.
    bool try_advance() { return collector_.epochs().advance().moved; }

    /// Reclaims all that can be reclaimed now; true if no limbo is left anywhere. Unpinned callers only. Looks at every
    /// bag that there is.
    bool drain(const Handle& handle) {
        Participant& me = handle.record_->local;
        for (int bag = 0; bag != 2 && (me.opened() != 0 || me.aside.get().head != nullptr); ++bag) {
            collector_.need_spare_number(me);
            const Guard hands_over(handle);
            me.due.set(true);
        }
        collector_.drain(me);
        return stats().limbo_objects == 0;
    }

    /// Looks for what can be reclaimed, wherever it comes from, and reclaims a few bags. Unpinned callers only.
    void look(const Handle& handle) { collector_.look(handle.record_->local, Traits::looks_per_advance); }
    /// The same in one of Traits::pins_per_look calls. For operations that do not pin, and are long beside a heavy
    /// fence.
    void look_now_and_then(const Handle& handle) {
        Participant& me = handle.record_->local;
        if (me.depth.get() != 0)
            return;
        collector_.count_to_look(me, Traits::looks_per_advance);
        if (me.due.get()) [[unlikely]] {
            const Guard hands_over(handle); // a bag of earlier updates
        }
    }

    /// Reclaims everything at once, whatever the epoch. No operation may be running; the owner may end afterwards,
    /// whoever still has a handle.
    void unguarded_reclaim_all() {
        ended_.store(true, B::relaxed()); // relaxed: no operation is running
        Record* const first = participants().unguarded_first();
        if (first == nullptr)
            return;
        Participant& me = first->local; // whosever it is
        if constexpr (requires { me.local.before_unguarded_pass(); })
            me.local.before_unguarded_pass();
        collector_.unguarded_drain(me);
    }

    [[nodiscard]] EpochStats stats() const {
        EpochStats s;
        participants().for_each([&s](const Record& r) {
            ++s.participants;
            // relaxed: a statistic
            s.pinned += r.local.pinned.load(B::relaxed()) & 1;
        });
        const auto not_below_zero = [](std::uint64_t n) { return static_cast<std::int64_t>(n) < 0 ? 0 : n; };
        const auto sum = [&](const DepartedCounter<B>& departed, auto counter) {
            return not_below_zero(participants().steadily([&] {
                std::uint64_t n = departed.read();
                participants().for_each([&](const Record& r) { n += (r.local.*counter).read(); });
                return n;
            }));
        };
        s.limbo_objects = sum(departed_objects_, &Participant::limbo_objects);
        s.limbo_bytes = sum(departed_bytes_, &Participant::limbo_bytes);
        s.kept_objects = sum(departed_kept_, &Participant::kept_objects);
        s.epochs_advanced = collector_.epochs().hint() - Epochs<B, Traits, Participant>::first;
        return s;
    }

    /// Calls visit(const Local&) for every participant that is there now.
    template <class Visit>
    void for_each_local(Visit visit) const {
        participants().for_each([&visit](const Record& r) { visit(r.local.local); });
    }

    /// The sum of read(local) over all participants that are there, and of what those have counted that have left,
    /// which their leave() has put into `departed`. Modulo 2^64. Exact when no operation is running and nobody joins or
    /// leaves; see Participants::steadily().
    template <class Read>
    [[nodiscard]] std::uint64_t total(const DepartedCounter<B>& departed, Read read) const {
        return participants().steadily([&] {
            std::uint64_t sum = departed.read();
            for_each_local([&](const Local& local) { sum += read(local); });
            return sum;
        });
    }

  private:
    [[nodiscard]] auto& participants() { return collector_.epochs().participants(); }
    [[nodiscard]] const auto& participants() const { return collector_.epochs().participants(); }

    Record& join() {
        Record& r = participants().claim(owner_);
        Participant& me = r.local;
        try {
            collector_.join(me);
            if constexpr (requires { me.local.join(); })
                me.local.join();
        } catch (...) {
            participants().release(r);
            throw;
        }
        return r;
    }

    void leave(Record& r) noexcept {
        Participant& me = r.local;
        if (me.depth.get() != 0)
            return; // a guard of its own never ended: it stays, and stands still, for good
        participants().while_leaving([this, &me, &r] {
            // relaxed: the structure does not end beside a leave
            if (!ended_.load(B::relaxed()))
                if constexpr (requires { me.local.leave(); })
                    me.local.leave();
            departed_objects_.take_over(me.limbo_objects);
            departed_bytes_.take_over(me.limbo_bytes);
            departed_kept_.take_over(me.kept_objects);
            collector_.leave(r);
        });
    }

    void pin(Participant& me) {
        const std::uint32_t depth = me.depth.get();
        if (depth == 0)
            collector_.count_to_look(me, 1);
        me.depth.set(depth + 1);
        if (depth == 0)
            collector_.epochs().pin(me);
    }
    void unpin(Participant& me) {
        const std::uint32_t depth = me.depth.get() - 1;
        me.depth.set(depth);
        if (depth != 0)
            return;
        if (me.due.get()) [[unlikely]]
            return unpin_and_pass(me);
        collector_.epochs().unpin(me);
    }
    // Not inlined: what is seldom needs registers that every operation would save.
    [[gnu::noinline]] void unpin_and_pass(Participant& me) {
        const auto own = collector_.put_down(me);
        collector_.epochs().unpin(me);
        collector_.pass(me, own);
    }

    Owner& owner_;
    Collector<B, Traits, Local> collector_;
    typename B::template atomic<bool> ended_; ///< the owner may be gone
    DepartedCounter<B> departed_objects_;
    DepartedCounter<B> departed_bytes_;
    DepartedCounter<B> departed_kept_;
};

/// For domains whose participants own nothing.
struct NoLocal {
    struct Owner {};
    explicit NoLocal(Owner&) {}
};

} // namespace hotindex
