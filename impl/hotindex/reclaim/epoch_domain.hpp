// EpochDomain: epoch-based reclamation (Fraser, "Practical lock-freedom", 2004, section 5.2.3) with an asymmetric
// fence, and a limbo that belongs to everybody.
//
// The problem: a thread unlinks an object while others may still be reading it. When may it be freed, and by whom?
// When: every operation runs pinned, that is, it announces the global epoch in its own record. The epoch advances from
// e to e + 1 only when no record is pinned at another epoch than e. An object retired by a thread that is pinned at e
// is freed by a thread that has seen e + 3.
// By whom: whoever comes by. A retirer fills a bag and hands it over (see Limbo); for each bag that a thread hands over
// it empties some others, whosever they were. Nothing of that is done while pinned.
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
// Findings of the model checker are built in, each a mutant that fails: what pin takes for the epoch is read after its
// fence; the pin's store is a release, because a scan that sees the re-pin and not the unpin must still see the reads
// before it; the scan reads with acquire loads, of claims too, because who has left is not looked at any more.
//
// Bags of threads that rest. A thread touches its open bag only while it is pinned. So another thread may take it: it
// says so in `taken`, then a heavy fence, then it looks whether the owner is pinned. If not, the bag is the taker's:
// the owner, when it pins again, sees `taken` and fills another bag meanwhile. Who wants to leave while somebody is
// taking its bag asks that one to finish the leave, and does not wait.
//
// Invariants
//   I1  the `epoch` of a record that is pinned and past its second read is the global one or the one before.
//   I2  the tag of a bag is not older than the epoch at which any of its objects was retired.
//   I3  `open` belongs to the owner while it is pinned and has not seen `taken`; to whoever set `taken` and then saw
//       the owner unpinned; a record's other parts and its Local to the owner. Ownership passes with participant_claim.
//   I4  a participant has a cell of the limbo in hand from when it joins, so that leaving needs no memory.
//
// Memory. With T participants there now, limbo is at most
//   T * (open bag + bags in hand + 3 * between)  +  3 * held
// where an open bag is bag_objects or bag_bytes and what one operation retires; in hand are two bags;
// `between` is what a thread retires from one try to advance to the next (retires_per_advance or bytes_per_advance,
// and one operation); `held` is what all threads retire while an operation stands still that is pinned. (Each try
// advances the epoch unless somebody is pinned at an earlier one.) What was retired while one stood still goes when it
// has gone on, faster than it came: each bag handed over empties two others or more (bags_per_pass, but not those whose
// set is that of a young epoch at the moment: L2). What refuses to be reclaimed is counted apart (kept_objects).
// Records of those that have left count for nothing. Where nobody updates any more, those who read empty limbo: one
// reader within about 3 * looks_per_advance * pins_per_look reads and what it then takes, searches sooner.
//
// An object may be in use in ways that the domain knows nothing of: then `reclaim` refuses, and is asked again: as
// many objects as a bag holds for each bag handed over. A pass looks once at who uses what, and asks only what had been
// retired before that look. The look is behind a heavy fence that came after the retirement: the one of the advance to
// e + 3, whose thread had read e + 2 before it. So a pass asks for nothing younger than the epoch that it began with,
// what others have refused meanwhile included. Linearization: advance at its
// CAS; pin at its second read. Progress: pin, unpin and retire are wait-free but for what they do when a bag is full,
// or once in pins_per_look pins: that is lock-free, and bounded by 2 * bags_per_pass bags and a look at those that are
// there. A thread that stays pinned keeps what was retired after it in limbo, for all threads; it never stops anyone.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/limbo.hpp>
#include <hotindex/reclaim/participants.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
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
    using Bags = Limbo<B, Traits, Retired>;
    using Bag = typename Bags::Bag;
    using Cell = typename Bags::Cell;

    /// Whose is the open bag?
    enum Taken : std::uint32_t { owners, being_taken, being_left };

    struct Participant {
        explicit Participant(Owner& owner)
            : pinned(0), open_since(0), taken(owners), depth(0u), epoch(0u), due(false), collecting(false), retires(0u),
              bytes(0u), retires_in(0u), tries(0u), yields_left(0u), until_look(Traits::pins_per_look), looked_at(0u),
              looks(0u), cell(Bags::no_cell), spare(Bags::no_cell), local(owner) {}

        typename B::template atomic<std::uint64_t> pinned;     ///< 0, or epoch * 2 + 1; written by the owner only
        typename B::template atomic<std::uint64_t> open_since; ///< a hint: the open bag's epoch, 0 if it is empty
        typename B::template atomic<std::uint32_t> taken;
        // The rest is the owner's alone, but for the open bag and the counters.
        alignas(isolation) typename B::template var<std::uint32_t> depth;
        typename B::template var<std::uint64_t> epoch;
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
        typename B::template var<Bag> open;
        typename B::template var<Bag> aside; ///< open, while the other one is being taken
        typename B::template var<Cell> cell; ///< in hand, for leaving
        typename B::template var<Cell> spare;
        OwnedCounter<B> kept_objects;
        OwnedCounter<B> limbo_objects;
        OwnedCounter<B> limbo_bytes;
        Local local;
    };

    using List = Participants<B, Traits, Participant>;
    using Record = typename List::Record;

    static constexpr std::uint64_t no_limit = ~std::uint64_t{0};
    static constexpr std::uint64_t first_epoch = 3; // so that "three epochs ago" is never negative

  public:
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
            EpochDomain::retire(record_->local, object, reclaim, bytes, weight);
        }

      private:
        EpochDomain* domain_;
        Record* record_;
    };

    explicit EpochDomain(Owner& owner)
        : owner_(owner), ended_(false), epoch_(first_epoch), leaves_begun_(0), leaves_done_(0) {}
    EpochDomain(const EpochDomain&) = delete;
    EpochDomain& operator=(const EpochDomain&) = delete;
    /// Everything must have been reclaimed (drain or unguarded_reclaim_all) if `reclaim` needs the owner.
    ~EpochDomain() { unguarded_reclaim_all(); }

    /// Tries to move the epoch on by one. false: a pinned participant is behind, or another thread was faster.
    bool try_advance() { return advance().moved; }

    /// Reclaims all that can be reclaimed now; true if no limbo is left anywhere. Unpinned callers only. Looks at every
    /// bag that there is.
    bool drain(const Handle& handle) {
        Participant& me = handle.record_->local;
        for (int bag = 0; bag != 2 && (open_since(me) != 0 || me.aside.get().head != nullptr); ++bag) {
            need_spare_cell(me);
            const Guard hands_over(handle);
            me.due.set(true);
        }
        participants_.for_each([this, &me](Record& r) {
            if (open_since(r.local) != 0) {
                need_spare_cell(me);
                take_open_bag(me, r);
            }
        });
        const auto most = limbo_.cells_made();
        collect_waiting(me, most);
        for (int i = 0; i != 3; ++i) {
            try_advance();
            collect_waiting(me, most);
        }
        for (int set = 0; set != 2; ++set)
            collect_refused(me, most, no_limit);
        need_spare_cell(me);
        return stats().limbo_objects == 0;
    }

    /// Looks for what can be reclaimed, wherever it comes from, and reclaims a few bags. Unpinned callers only.
    void look(const Handle& handle) { look(handle.record_->local, Traits::looks_per_advance); }
    /// The same in one of Traits::pins_per_look calls. For operations that do not pin, and are long beside a heavy
    /// fence.
    void look_now_and_then(const Handle& handle) {
        Participant& me = handle.record_->local;
        if (me.depth.get() != 0)
            return;
        count_to_look(me, Traits::looks_per_advance);
        if (me.due.get()) [[unlikely]] {
            const Guard hands_over(handle); // a bag of earlier updates
        }
    }

    /// Reclaims everything at once, whatever the epoch. No operation may be running; the owner may end afterwards,
    /// whoever still has a handle.
    void unguarded_reclaim_all() {
        ended_.store(true, B::relaxed()); // relaxed: no operation is running
        Record* const first = participants_.unguarded_first();
        if (first == nullptr)
            return;
        Participant& me = first->local; // whosever it is
        if constexpr (requires { me.local.before_unguarded_pass(); })
            me.local.before_unguarded_pass();
        participants_.for_each([&me](Record& r) {
            for (auto* const bag : {&r.local.open, &r.local.aside}) {
                Bag refused;
                ask(me, bag->get(), refused, false);
                bag->set(refused);
            }
            close_open_bag(r.local);
        });
        while (const auto cell = limbo_.unguarded_take()) {
            Bag refused;
            ask(me, limbo_.bag(*cell), refused, false);
            limbo_.give_back(*cell);
        }
    }

    [[nodiscard]] EpochStats stats() const {
        EpochStats s;
        participants_.for_each([&s](const Record& r) {
            ++s.participants;
            // relaxed: a statistic
            s.pinned += r.local.pinned.load(B::relaxed()) & 1;
        });
        const auto not_below_zero = [](std::uint64_t n) { return static_cast<std::int64_t>(n) < 0 ? 0 : n; };
        const auto sum = [&](const DepartedCounter<B>& departed, auto counter) {
            return not_below_zero(steadily([&] {
                std::uint64_t n = departed.read();
                participants_.for_each([&](const Record& r) { n += (r.local.*counter).read(); });
                return n;
            }));
        };
        s.limbo_objects = sum(departed_objects_, &Participant::limbo_objects);
        s.limbo_bytes = sum(departed_bytes_, &Participant::limbo_bytes);
        s.kept_objects = sum(departed_kept_, &Participant::kept_objects);
        // relaxed: a statistic
        s.epochs_advanced = epoch_.load(B::relaxed()) - first_epoch;
        return s;
    }

    /// Calls visit(const Local&) for every participant that is there now.
    template <class Visit>
    void for_each_local(Visit visit) const {
        participants_.for_each([&visit](const Record& r) { visit(r.local.local); });
    }

    /// The sum of read(local) over all participants that are there, and of what those have counted that have left,
    /// which their leave() has put into `departed`. Modulo 2^64. Exact when no operation is running and nobody joins or
    /// leaves. What somebody counted who leaves meanwhile is counted once, unless it is stopped in the middle of that.
    template <class Read>
    [[nodiscard]] std::uint64_t total(const DepartedCounter<B>& departed, Read read) const {
        return steadily([&] {
            std::uint64_t sum = departed.read();
            for_each_local([&](const Local& local) { sum += read(local); });
            return sum;
        });
    }

    /// sum(), called while nobody leaves, if that happens within a few attempts.
    template <class Sum>
    [[nodiscard]] auto steadily(Sum sum) const {
        for (int attempt = 1;; ++attempt) {
            // relaxed, both: see total()
            const std::uint64_t done = leaves_done_.load(B::relaxed());
            const auto result = sum();
            if (leaves_begun_.load(B::relaxed()) == done || attempt == 8)
                return result;
        }
    }

  private:
    struct Advance {
        bool moved = false;
        Record* rests = nullptr; ///< somebody who seems to have rested for long, with something in its bag
    };

    Advance advance() {
        Advance result;
        // relaxed: a guess, which the CAS confirms; earlier advances are passed on by the release sequence that it
        // continues
        std::uint64_t e = epoch_.load(B::relaxed());
        // Who is seen behind now stays behind until it unpins: then the fence can be saved.
        if (!participants_.all_of([&](Record& r) {
                // relaxed: only a hint; without the fence it proves nothing
                const std::uint64_t pinned = r.local.pinned.load(B::relaxed());
                if (const std::uint64_t since = open_since(r.local);
                    pinned == 0 && since != 0 && since + Traits::idle_epochs <= e)
                    result.rests = &r;
                return is_not_behind(pinned, e);
            }))
            return result;
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
        result.moved =
            nobody_behind && epoch_.compare_exchange_strong(e, e + 1, B::release(edge::epoch_advance), B::relaxed());
        return result;
    }

    [[nodiscard]] static bool is_not_behind(std::uint64_t pinned, std::uint64_t e) noexcept {
        return (pinned & 1) == 0 || pinned >> 1 == e;
    }

    // ---- joining and leaving ----

    Record& join() {
        Record& r = participants_.claim(owner_);
        Participant& me = r.local;
        try {
            for (auto* const cell : {&me.cell, &me.spare})
                if (cell->get() == Bags::no_cell)
                    cell->set(limbo_.new_cell());
            if constexpr (requires { me.local.join(); })
                me.local.join();
        } catch (...) {
            participants_.release(r);
            throw;
        }
        return r;
    }

    void leave(Record& r) noexcept {
        Participant& me = r.local;
        if (me.depth.get() != 0)
            return; // a guard of its own never ended: it stays, and stands still, for good
        leaves_begun_.fetch_add(1, B::relaxed()); // relaxed: see total()
        // relaxed: the structure does not end beside a leave
        if (!ended_.load(B::relaxed()))
            if constexpr (requires { me.local.leave(); })
                me.local.leave();
        departed_objects_.take_over(me.limbo_objects);
        departed_bytes_.take_over(me.limbo_bytes);
        departed_kept_.take_over(me.kept_objects);
        if (me.spare.get() != Bags::no_cell)
            limbo_.give_back(me.spare.get());
        me.spare.set(Bags::no_cell);
        // Here and in finish_leave() the thread is not pinned: it takes its own open bag, or lets the taker go on.
        for (std::uint32_t seen = owners;;) {
            if (seen == owners) {
                // [limbo_taken] acquire-CAS; synchronizes-with the release-CAS in take_open_bag()
                // relaxed on failure: another guess
                if (me.taken.compare_exchange_weak(seen, being_taken, B::acquire(edge::limbo_taken), B::relaxed())) {
                    finish_leave(r);
                    break;
                }
                // [limbo_taken] release-CAS; synchronizes-with the acquire on failure in take_open_bag(); publishes:
                // all uses of the record
                // relaxed on failure: another guess
            } else if (me.taken.compare_exchange_weak(seen, being_left, B::release(edge::limbo_taken), B::relaxed())) {
                break; // the record is the taker's now
            }
        }
        leaves_done_.fetch_add(1, B::relaxed()); // relaxed: see total()
    }

    /// The end of a leave, by whoever has taken the open bag.
    void finish_leave(Record& r) noexcept {
        Participant& it = r.local;
        Bag bag = it.open.get();
        for (Bag aside = it.aside.get(); aside.head != nullptr; aside.bytes = 0) {
            Retired* const object = std::exchange(aside.head, aside.head->next_in_limbo.get());
            bag.push(object, aside.bytes);
            bag.epoch = std::max(bag.epoch, aside.epoch);
        }
        it.open.set(Bag{});
        it.aside.set(Bag{});
        close_open_bag(it);
        if (bag.head != nullptr)
            limbo_.wait(it.cell.get(), bag);
        else
            limbo_.give_back(it.cell.get());
        it.cell.set(Bags::no_cell);
        // [limbo_taken] release-store; synchronizes-with the acquire-CAS in take_open_bag(): who comes too late finds
        // an empty bag
        it.taken.store(owners, B::release(edge::limbo_taken));
        participants_.release(r);
    }

    // ---- operations ----

    void pin(Participant& me) {
        const std::uint32_t depth = me.depth.get();
        if (depth == 0)
            count_to_look(me, 1);
        me.depth.set(depth + 1);
        if (depth != 0)
            return;
        // relaxed: only a first guess, read again below
        const std::uint64_t guess = epoch_.load(B::relaxed());
        // [epoch_pin] release-store; synchronizes-with the acquire-load in advance(); publishes: my earlier reads (a
        // relaxed store would end the release sequence of my last unpin)
        me.pinned.store(guess << 1 | 1, B::release(edge::epoch_pin));
        // [epoch_fence] light; pairs-with heavy in advance() and take_open_bag()
        B::light_fence(edge::epoch_fence);
        // [epoch_advance] acquire-load; synchronizes-with the release-CAS in advance(): what was unlinked two epochs
        // ago is out of sight
        me.epoch.set(epoch_.load(B::acquire(edge::epoch_advance)));
    }

    void unpin(Participant& me) {
        const std::uint32_t depth = me.depth.get() - 1;
        me.depth.set(depth);
        if (depth != 0)
            return;
        if (me.due.get()) [[unlikely]]
            return unpin_and_pass(me);
        end_pin(me);
    }
    static void end_pin(Participant& me) {
        // [epoch_unpin] release-store; synchronizes-with the acquire-loads in advance() and take_open_bag();
        // publishes: my reads, and the open bag
        me.pinned.store(0, B::release(edge::epoch_unpin));
    }
    // Not inlined: what is seldom needs registers that every operation would save.
    [[gnu::noinline]] void unpin_and_pass(Participant& me) {
        hand_over(me);
        end_pin(me);
        pass(me);
    }

    static void retire(Participant& me, Retired* object, typename Retired::Reclaim reclaim_it, std::size_t bytes,
                       std::uint32_t weight) {
        const std::uint64_t e = me.epoch.get();
        object->reclaim.set(reclaim_it);
        // [limbo_taken] acquire-load; synchronizes-with the release-CAS in take_open_bag(): the bag is empty then
        const bool taken = me.taken.load(B::acquire(edge::limbo_taken)) != owners;
        auto& slot = taken ? me.aside : me.open;
        Bag bag = slot.get();
        if (!taken && (bag.head == nullptr || bag.epoch != e))
            me.open_since.store(e, B::relaxed()); // relaxed: a hint
        bag.epoch = e;
        bag.push(object, bytes);
        slot.set(bag);
        me.limbo_objects.add(1);
        me.limbo_bytes.add(bytes);
        me.retires.set(me.retires.get() + weight);
        me.bytes.set(me.bytes.get() + bytes);
        if (bag.full() || taken || advance_is_due(me))
            me.due.set(true);
    }

    [[nodiscard]] static bool advance_is_due(const Participant& me) {
        return me.retires.get() >= Traits::retires_per_advance || me.bytes.get() >= Traits::bytes_per_advance;
    }

    // ---- limbo ----

    [[nodiscard]] static std::uint64_t open_since(const Participant& p) {
        return p.open_since.load(B::relaxed()); // relaxed: a hint
    }
    static void close_open_bag(Participant& p) {
        p.open_since.store(0, B::relaxed()); // relaxed: a hint
    }

    /// While pinned: gives away the open bag. Without a spare cell it stays, and grows.
    void hand_over(Participant& me) {
        // [limbo_taken] acquire-load; synchronizes-with the release-CAS in take_open_bag(), as in retire()
        const bool taken = me.taken.load(B::acquire(edge::limbo_taken)) != owners;
        auto& slot = taken || me.aside.get().head != nullptr ? me.aside : me.open;
        if (slot.get().head == nullptr || me.spare.get() == Bags::no_cell)
            return;
        limbo_.wait(me.spare.get(), slot.get());
        me.spare.set(Bags::no_cell);
        slot.set(Bag{});
        if (&slot == &me.open)
            close_open_bag(me);
    }

    /// After an unpin, when something is due: a bag was handed over, or an advance is to be tried.
    void pass(Participant& me) noexcept {
        if (me.collecting.get())
            return;
        me.due.set(false);
        if (advance_is_due(me)) {
            const std::uint64_t retired = 1 + me.bytes.get() / Traits::bytes_per_advance;
            me.retires.set(0);
            me.bytes.set(0);
            advance_and_take(me);
            give_way(me, retired);
        }
        collect(me);
        if (me.aside.get().head != nullptr)
            me.due.set(true); // there was no cell for it
    }

    /// Who has retired its share of an epoch that does not end lets others run, in case one of them was put aside while
    /// pinned. So threads that outnumber the cores are put aside where they yield, unpinned, and epochs go on. Bounded:
    /// whoever is behind for good costs each thread yields_per_epoch yields, and then one for each try. `tries`: as
    /// many as an advance was worth.
    void give_way(Participant& me, std::uint64_t tries) {
        // relaxed, here and below: only compared
        const std::uint64_t e = epoch_.load(B::relaxed());
        if (e != me.retires_in.get()) {
            me.retires_in.set(e);
            me.tries.set(0);
            me.yields_left.set(Traits::yields_per_epoch);
        }
        me.tries.set(me.tries.get() + tries);
        if (me.tries.get() < Traits::tries_per_epoch || Traits::yields_per_epoch == 0)
            return;
        // When the yields are used up, one for each try: the cost of a stopped thread is constant.
        std::uint32_t left = std::max(1u, me.yields_left.get());
        for (; left != 0 && epoch_.load(B::relaxed()) == e; --left) {
            B::yield();
            advance();
        }
        me.yields_left.set(left);
    }

    /// Before a pin: once in a while, looks for what nobody else takes care of. `looks`: as how many that counts.
    void count_to_look(Participant& me, std::uint32_t looks) {
        const std::uint32_t left = me.until_look.get() - 1;
        me.until_look.set(left);
        if (left == 0) [[unlikely]]
            look(me, looks);
    }
    // Not inlined: as unpin_and_pass().
    [[gnu::noinline]] void look(Participant& me, std::uint32_t looks) noexcept {
        me.until_look.set(Traits::pins_per_look);
        if (me.collecting.get())
            return;
        // relaxed: only compared
        const std::uint64_t e = epoch_.load(B::relaxed());
        const std::uint64_t since = open_since(me);
        bool rests = since != 0 && since + 3 <= e; // a bag of earlier updates
        if (e != me.looked_at.get()) {
            me.looked_at.set(e);
            me.looks.set(0);
        } else if (since != 0 || limbo_.waits()) {
            me.looks.set(me.looks.get() + looks);
            if (me.looks.get() >= Traits::looks_per_advance) {
                me.looks.set(0);
                advance_and_take(me); // nobody else does
                rests = since != 0;
            }
        }
        if (rests)
            me.due.set(true);
        collect(me);
    }

    void collect(Participant& me) {
        collect_waiting(me, Traits::bags_per_pass);
        collect_refused(me, Traits::bags_per_pass, Traits::bag_objects);
        need_spare_cell(me);
    }
    void advance_and_take(Participant& me) {
        Record* const rests = advance().rests;
        if (rests == nullptr)
            return;
        need_spare_cell(me);
        take_open_bag(me, *rests);
    }
    void need_spare_cell(Participant& me) {
        if (me.spare.get() == Bags::no_cell)
            try {
                me.spare.set(limbo_.new_cell());
            } catch (const std::bad_alloc&) {
                // The next bag stays open until a cell falls empty.
            }
    }

    /// What was retired at this epoch or before is old enough for a pass that begins now.
    [[nodiscard]] std::uint64_t old_enough() const {
        // [epoch_advance] acquire-load; synchronizes-with the release-CAS in advance(): what others read of what is old
        // enough is over
        return epoch_.load(B::acquire(edge::epoch_advance)) - 3;
    }
    void collect_waiting(Participant& me, std::uint64_t most) {
        const std::uint64_t last = old_enough();
        collect(me, most, no_limit, false, [this, last] { return limbo_.take_waiting(last); });
    }
    void collect_refused(Participant& me, std::uint64_t most, std::uint64_t objects) {
        const std::uint64_t last = old_enough();
        collect(me, most, objects, true, [this, last] { return limbo_.take_refused(last); });
    }

    /// Asks the objects of `most` bags at most, and goes on to the next one until so many objects have been asked:
    /// those of small bags that refuse share one afterwards.
    template <class Take>
    void collect(Participant& me, std::uint64_t most, std::uint64_t objects, bool again, Take take) {
        if (me.collecting.get())
            return;
        me.collecting.set(true);
        Bag refused;
        std::optional<Cell> held; // empty
        std::uint64_t asked = 0;
        for (std::uint64_t i = 0; i != most && asked < objects; ++i) {
            const std::optional<Cell> cell = take();
            if (!cell)
                break;
            if (i == 0)
                if constexpr (requires { me.local.before_reclaim_pass(); })
                    me.local.before_reclaim_pass();
            const Bag bag = limbo_.bag(*cell);
            // Small ones share a bag, and no bag grows beyond what one pass is to ask.
            if (refused.head != nullptr && refused.objects + bag.objects > Traits::bag_objects)
                limbo_.refuse(*std::exchange(held, std::nullopt), std::exchange(refused, Bag{}));
            asked += bag.objects;
            ask(me, bag, refused, again);
            if (refused.full())
                limbo_.refuse(*cell, std::exchange(refused, Bag{}));
            else if (!held)
                held = cell;
            else
                keep_or_give_back(me, *cell);
        }
        if (held && refused.head != nullptr)
            limbo_.refuse(*held, refused);
        else if (held)
            keep_or_give_back(me, *held);
        me.collecting.set(false);
    }
    void keep_or_give_back(Participant& me, Cell empty) {
        if (me.spare.get() == Bags::no_cell)
            me.spare.set(empty);
        else
            limbo_.give_back(empty);
    }

    /// Reclaims the objects of a bag, but for those that refuse. `again`: they have refused before.
    static void ask(Participant& me, Bag bag, Bag& refused, bool again) {
        std::uint64_t objects = 0;
        std::uint64_t bytes = 0;
        std::uint64_t kept = 0;
        const std::uint64_t share = bag.objects == 0 ? 0 : bag.bytes / bag.objects;
        while (bag.head != nullptr) {
            Retired* const object = std::exchange(bag.head, bag.head->next_in_limbo.get());
            if (const std::size_t given_back = object->reclaim.get()(object, me.local); given_back != 0) {
                ++objects;
                bytes += given_back;
            } else {
                refused.push(object, share);
                ++kept;
            }
        }
        if (kept != 0)
            refused.epoch = std::max(refused.epoch, bag.epoch);
        me.kept_objects.add(kept - (again ? bag.objects : 0));
        me.limbo_objects.add(std::uint64_t{0} - objects);
        me.limbo_bytes.add(std::uint64_t{0} - bytes);
    }

    /// Takes the open bag of somebody who rests, and hands it over.
    void take_open_bag(Participant& me, Record& r) noexcept {
        Participant& it = r.local;
        if (&it == &me || me.spare.get() == Bags::no_cell)
            return;
        std::uint32_t seen = owners;
        // [limbo_taken] acquire-CAS; synchronizes-with the release-CAS below and the release-store in finish_leave()
        // relaxed on failure: somebody else is taking it
        if (!it.taken.compare_exchange_strong(seen, being_taken, B::acquire(edge::limbo_taken), B::relaxed()))
            return;
        // [epoch_fence] heavy; pairs-with light in pin(): either the load below sees a pin, or that pin's retires see
        // that the bag is being taken
        B::heavy_fence(edge::epoch_fence);
        // [epoch_unpin] acquire-load; synchronizes-with the release-store in unpin(): the bag
        // [epoch_pin] acquire-load; synchronizes-with the release-store in pin()
        if ((it.pinned.load(B::acquire(edge::epoch_unpin)) & 1) == 0) {
            const Bag bag = it.open.get();
            it.open.set(Bag{});
            close_open_bag(it);
            if (bag.head != nullptr) {
                limbo_.wait(me.spare.get(), bag);
                me.spare.set(Bags::no_cell);
            }
        }
        seen = being_taken;
        // [limbo_taken] release-CAS; synchronizes-with the acquire-loads and -CASes of taken; publishes: the empty bag
        // [limbo_taken] acquire on failure: the record of somebody who has left
        if (!it.taken.compare_exchange_strong(seen, owners, B::release(edge::limbo_taken),
                                              B::acquire(edge::limbo_taken)))
            finish_leave(r);
    }

    Owner& owner_;
    List participants_;
    Bags limbo_;
    typename B::template atomic<bool> ended_; ///< the owner may be gone
    alignas(isolation) typename B::template atomic<std::uint64_t> epoch_;
    alignas(isolation) typename B::template atomic<std::uint64_t> leaves_begun_;
    typename B::template atomic<std::uint64_t> leaves_done_;
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
