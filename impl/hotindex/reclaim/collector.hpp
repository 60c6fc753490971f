// Collector: who empties limbo. The half of epoch-based reclamation that says by whom something is freed.
//
// The problem: what a thread has retired must not wait for that thread, which may rest, stand still, or have left.
//
// The idea: whoever comes by. A thread fills an open bag of its own, and puts it down when it is full. If the advance
// that is due then sees nobody pinned, it reclaims that bag at once (see Epochs). Otherwise it hands the bag over (see
// Limbo). For each bag that it puts down it empties some others, whosever they were. Nothing of that is done while
// pinned.
//
// Bags of threads that rest. A thread touches its open bag only while it is pinned. So another thread may take it: it
// says so in `taken`, then a heavy fence, then it looks whether the owner is pinned. If not, the bag is the taker's:
// the owner, when it pins again, sees `taken` and fills another bag meanwhile. Who wants to leave while somebody is
// taking its bag asks that one to finish the leave, and does not wait.
//
// Objects that refuse. An object may be in use in ways that the domain knows nothing of: then `reclaim` refuses, and
// the object is asked again later. For each bag handed over, as many of these are asked as a bag holds. A pass that
// begins at epoch e + 3 looks once at who uses what, then asks only what was retired at e or earlier, what others have
// refused meanwhile included. Between those retires and the look lies a heavy fence: that of the advance to e + 3,
// which came after every pin at e had ended.
//
// Invariant I2: the tag of a bag is not older than the epoch at which any of its objects was retired. (I3, I4: see
// EpochParticipant. L1 to L3: see Limbo.)
//
// Memory. With T participants there now, limbo is at most
//   T * (open bag + bags in hand + 3 * between)  +  3 * held
//   open bag   bag_objects or bag_bytes, and what one operation retires; in hand are two bags
//   between    what a thread retires from one try to advance to the next: retires_per_advance or bytes_per_advance
//   held       what all threads retire while an operation stands still that is pinned
// Each try advances the epoch unless somebody is pinned at an earlier one. What was retired while an operation stood
// still goes when that operation has gone on, faster than it came: for each bag that a thread hands over it empties two
// others or more, bags_per_pass at most. (It leaves out the sets of young epochs: L2.) What refuses is counted apart
// (kept_objects). Participants that have left add nothing to the bound. Where nobody updates any more, those who read
// empty limbo: one reader begins within about 3 * looks_per_advance * pins_per_look reads. Searches do so sooner: each
// counts as looks_per_advance looks.
//
// Progress: retire is wait-free. A pass and a look are lock-free, and bounded by 2 * bags_per_pass bags and a look at
// those that are there.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/epoch_participant.hpp>
#include <hotindex/reclaim/epochs.hpp>
#include <hotindex/reclaim/limbo.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <utility>

namespace hotindex {

template <class B, class Traits, class Local>
class Collector {
  public:
    using Participant = EpochParticipant<B, Traits, Local>;
    using Record = typename Epochs<B, Traits, Participant>::Record;
    using Retired = typename Participant::Retired;
    using Bag = typename Participant::Bags::Bag;

    [[nodiscard]] Epochs<B, Traits, Participant>& epochs() noexcept { return epochs_; }
    [[nodiscard]] const Epochs<B, Traits, Participant>& epochs() const noexcept { return epochs_; }

    // ---- while pinned ----

    static void retire(Participant& me, Retired* object, typename Retired::Reclaim reclaim_it, std::size_t bytes,
                       std::uint32_t weight) {
        const std::uint64_t e = me.epoch.get();
        object->reclaim.set(reclaim_it);
        // [limbo_taken] acquire-load; synchronizes-with the release-CAS in take_open_bag(): the bag is empty then
        const bool taken = me.taken.load(B::acquire(edge::limbo_taken)) != Participant::owners;
        auto& slot = taken ? me.aside : me.open;
        Bag bag = slot.get();
        if (!taken && (bag.head == nullptr || bag.epoch != e))
            me.set_opened(e);
        bag.epoch = e;
        bag.push(object, bytes);
        slot.set(bag);
        me.limbo_objects.add(1);
        me.limbo_bytes.add(bytes);
        me.retires.set(me.retires.get() + weight);
        me.bytes.set(me.bytes.get() + bytes);
        if (bag.full() || taken || me.advance_is_due())
            me.due.set(true);
    }

    /// The open bag, for a pass() that comes next. Without a spare number it stays, and grows.
    [[nodiscard]] static Bag put_down(Participant& me) {
        // [limbo_taken] acquire-load; synchronizes-with the release-CAS in take_open_bag(), as in retire()
        const bool taken = me.taken.load(B::acquire(edge::limbo_taken)) != Participant::owners;
        auto& slot = taken || me.aside.get().head != nullptr ? me.aside : me.open;
        if (slot.get().head == nullptr || me.spare.get() == Bags::no_number)
            return {};
        const Bag bag = slot.get();
        slot.set(Bag{});
        if (&slot == &me.open)
            me.set_opened(0);
        return bag;
    }

    // ---- when it is due ----

    /// After an unpin, when something is due: a bag was put down, or an advance is to be tried.
    void pass(Participant& me, const Bag& own) noexcept {
        if (me.collecting.get())
            return hand_over(me, own);
        me.due.set(false);
        if (me.advance_is_due()) {
            const std::uint64_t retired = 1 + me.bytes.get() / Traits::bytes_per_advance;
            me.retires.set(0);
            me.bytes.set(0);
            const auto [moved, quiet, rests] = epochs_.advance();
            if (quiet)
                reclaim_own(me, own);
            else
                hand_over(me, own);
            take_from(me, rests);
            give_way(me, retired);
        } else {
            hand_over(me, own);
        }
        collect(me);
        if (me.aside.get().head != nullptr)
            me.due.set(true); // there was no number for it
    }

    /// Before a pin: once in a while, looks for what nobody else takes care of. `looks`: as how many that counts.
    void count_to_look(Participant& me, std::uint32_t looks) {
        const std::uint32_t left = me.until_look.get() - 1;
        me.until_look.set(left);
        if (left == 0) [[unlikely]]
            look(me, looks);
    }
    // Not inlined: what is seldom needs registers that every operation would save.
    [[gnu::noinline]] void look(Participant& me, std::uint32_t looks) noexcept {
        me.until_look.set(Traits::pins_per_look);
        if (me.collecting.get())
            return;
        const std::uint64_t e = epochs_.hint();
        const std::uint64_t since = me.opened();
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

    // ---- joining, leaving, and the end ----

    /// What a participant needs from now on. Throws std::bad_alloc.
    void join(Participant& me) {
        for (auto* const number : {&me.reserve, &me.spare})
            if (number->get() == Bags::no_number)
                number->set(limbo_.new_number());
    }

    /// The last step of a participant's leave: its bags are handed over, and its record is released.
    void leave(Record& r) noexcept {
        Participant& me = r.local;
        if (me.spare.get() != Bags::no_number)
            limbo_.give_back(me.spare.get());
        me.spare.set(Bags::no_number);
        // Here and in finish_leave() the thread is not pinned: it takes its own open bag, or lets the taker go on.
        for (std::uint32_t seen = Participant::owners;;) {
            if (seen == Participant::owners) {
                // [limbo_taken] acquire-CAS; synchronizes-with the release-CAS in take_open_bag()
                // relaxed on failure: another guess
                if (me.taken.compare_exchange_weak(seen, Participant::being_taken, B::acquire(edge::limbo_taken),
                                                   B::relaxed()))
                    return finish_leave(r);
                // [limbo_taken] release-CAS; synchronizes-with the acquire on failure in take_open_bag(); publishes:
                // all uses of the record
                // relaxed on failure: another guess
            } else if (me.taken.compare_exchange_weak(seen, Participant::being_left, B::release(edge::limbo_taken),
                                                      B::relaxed())) {
                return; // the record is the taker's now
            }
        }
    }

    /// Reclaims all that can be reclaimed now. Unpinned callers only, whose own bags have been handed over. Looks at
    /// every bag that there is.
    void drain(Participant& me) {
        epochs_.participants().for_each([this, &me](Record& r) {
            if (r.local.opened() != 0) {
                need_spare_number(me);
                take_open_bag(me, r);
            }
        });
        const auto most = limbo_.numbers_made();
        collect_waiting(me, most);
        for (int i = 0; i != 3; ++i) {
            epochs_.advance();
            collect_waiting(me, most);
        }
        for (int set = 0; set != 2; ++set)
            collect_refused(me, most, no_limit);
        need_spare_number(me);
    }
    /// Reclaims everything at once, whatever the epoch. No operation may be running.
    void unguarded_drain(Participant& me) {
        epochs_.participants().for_each([&me](Record& r) {
            for (auto* const bag : {&r.local.open, &r.local.aside}) {
                Bag refused;
                ask(me, bag->get(), refused, false);
                bag->set(refused);
            }
            r.local.set_opened(0);
        });
        while (const auto number = limbo_.unguarded_take()) {
            Bag refused;
            ask(me, limbo_.bag(*number), refused, false);
            limbo_.give_back(*number);
        }
    }

    /// So that the next bag can be handed over.
    void need_spare_number(Participant& me) {
        if (me.spare.get() == Bags::no_number)
            try {
                me.spare.set(limbo_.new_number());
            } catch (const std::bad_alloc&) {
                // The next bag stays open until a number is given back.
            }
    }

  private:
    using Bags = typename Participant::Bags;
    using BagNumber = typename Bags::BagNumber;

    static constexpr std::uint64_t no_limit = ~std::uint64_t{0};

    /// Who has retired its share of an epoch that does not end lets others run, in case one of them was put aside while
    /// pinned. So threads that outnumber the cores are put aside where they yield, unpinned, and epochs go on. Bounded:
    /// whoever is behind for good costs each thread yields_per_epoch yields, and then one for each try. `tries`: as
    /// many as an advance was worth.
    void give_way(Participant& me, std::uint64_t tries) {
        const std::uint64_t e = epochs_.hint();
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
        for (; left != 0 && epochs_.hint() == e; --left) {
            B::yield();
            epochs_.advance();
        }
        me.yields_left.set(left);
    }

    /// Others may take the bag that was put down.
    void hand_over(Participant& me, const Bag& own) noexcept {
        if (own.head == nullptr)
            return;
        limbo_.wait(me.spare.get(), own);
        me.spare.set(Bags::no_number);
    }
    /// After an advance that was quiet: the bag that was put down before is old enough.
    void reclaim_own(Participant& me, const Bag& own) noexcept {
        if (own.head == nullptr)
            return;
        me.collecting.set(true);
        const BagNumber number = me.spare.get();
        me.spare.set(Bags::no_number); // what is reclaimed may put a bag down itself
        before_pass(me);
        Bag refused;
        ask(me, own, refused, false);
        if (refused.head != nullptr)
            limbo_.refuse(number, refused);
        else
            keep_or_give_back(me, number);
        me.collecting.set(false);
    }

    void advance_and_take(Participant& me) { take_from(me, epochs_.advance().rests); }
    /// The open bag of somebody who rests, if there is one.
    void take_from(Participant& me, Record* rests) {
        if (rests == nullptr)
            return;
        need_spare_number(me);
        take_open_bag(me, *rests);
    }

    /// Takes the open bag of somebody who rests, and hands it over.
    void take_open_bag(Participant& me, Record& r) noexcept {
        Participant& it = r.local;
        if (&it == &me || me.spare.get() == Bags::no_number)
            return;
        std::uint32_t seen = Participant::owners;
        // [limbo_taken] acquire-CAS; synchronizes-with the release-CAS below and the release-store in finish_leave()
        // relaxed on failure: somebody else is taking it
        if (!it.taken.compare_exchange_strong(seen, Participant::being_taken, B::acquire(edge::limbo_taken),
                                              B::relaxed()))
            return;
        // [epoch_fence] heavy; pairs-with light in Epochs::pin(): either the load below sees a pin, or that pin's
        // retires see that the bag is being taken
        B::heavy_fence(edge::epoch_fence);
        // [epoch_unpin] acquire-load; synchronizes-with the release-store in Epochs::unpin(): the bag
        // [epoch_pin] acquire-load; synchronizes-with the release-store in Epochs::pin()
        if ((it.pinned.load(B::acquire(edge::epoch_unpin)) & 1) == 0) {
            const Bag bag = it.open.get();
            it.open.set(Bag{});
            it.set_opened(0);
            if (bag.head != nullptr) {
                limbo_.wait(me.spare.get(), bag);
                me.spare.set(Bags::no_number);
            }
        }
        seen = Participant::being_taken;
        // [limbo_taken] release-CAS; synchronizes-with the acquire-loads and -CASes of taken; publishes: the empty bag
        // [limbo_taken] acquire on failure: the record of somebody who has left
        if (!it.taken.compare_exchange_strong(seen, Participant::owners, B::release(edge::limbo_taken),
                                              B::acquire(edge::limbo_taken)))
            finish_leave(r);
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
        it.set_opened(0);
        if (bag.head != nullptr)
            limbo_.wait(it.reserve.get(), bag);
        else
            limbo_.give_back(it.reserve.get());
        it.reserve.set(Bags::no_number);
        // [limbo_taken] release-store; synchronizes-with the acquire-CAS in take_open_bag(): who comes too late finds
        // an empty bag
        it.taken.store(Participant::owners, B::release(edge::limbo_taken));
        epochs_.participants().release(r);
    }

    void collect(Participant& me) {
        collect_waiting(me, Traits::bags_per_pass);
        collect_refused(me, Traits::bags_per_pass, Traits::bag_objects);
        need_spare_number(me);
    }
    void collect_waiting(Participant& me, std::uint64_t most) {
        const std::uint64_t last = epochs_.old_enough();
        collect(me, most, no_limit, false, [this, last] { return limbo_.take_waiting(last); });
    }
    void collect_refused(Participant& me, std::uint64_t most, std::uint64_t objects) {
        const std::uint64_t last = epochs_.old_enough();
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
        std::optional<BagNumber> held; // empty
        std::uint64_t asked = 0;
        for (std::uint64_t i = 0; i != most && asked < objects; ++i) {
            const std::optional<BagNumber> number = take();
            if (!number)
                break;
            if (i == 0)
                before_pass(me);
            const Bag bag = limbo_.bag(*number);
            // Small ones share a bag, and no bag grows beyond what one pass is to ask.
            if (refused.head != nullptr && refused.objects + bag.objects > Traits::bag_objects)
                limbo_.refuse(*std::exchange(held, std::nullopt), std::exchange(refused, Bag{}));
            asked += bag.objects;
            ask(me, bag, refused, again);
            if (refused.full())
                limbo_.refuse(*number, std::exchange(refused, Bag{}));
            else if (!held)
                held = number;
            else
                keep_or_give_back(me, *number);
        }
        if (held && refused.head != nullptr)
            limbo_.refuse(*held, refused);
        else if (held)
            keep_or_give_back(me, *held);
        me.collecting.set(false);
    }
    static void before_pass(Participant& me) {
        if constexpr (requires { me.local.before_reclaim_pass(); })
            me.local.before_reclaim_pass();
    }
    void keep_or_give_back(Participant& me, BagNumber empty) {
        if (me.spare.get() == Bags::no_number)
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

    Epochs<B, Traits, Participant> epochs_;
    Limbo<B, Traits, Retired> limbo_;
};

} // namespace hotindex
