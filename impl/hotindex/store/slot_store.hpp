// SlotStore: the rows of the lock-free index, each with the version words that make search an atomic snapshot.
//
// A slot holds one version of one vector: its row, its inverse norm, the directory entry it belongs to, the slot that
// it replaced, and the two version words (see version_clock.hpp). Slots lie in segments (see SlotSegment). For each
// block of 64 slots a word says which are idle (free, or dead and in limbo), and another when the last of those died:
// so a search passes over a block of dead versions with two loads, however many of them a stalled search keeps.
//
// Where free slots come from. Their numbers are in an IndexSet, which gives the lowest ones first; a thread takes a few
// at once. So the used slots lie close together, whatever limbo has swollen to meanwhile, and what lies high falls
// empty. What nobody replaces there is found by stray() and moved by the index: a replacement by the same row. A
// segment in which all slots are free is taken out of the store and given back, when no search of an earlier time can
// be looking into it. Only one thread makes a segment, because its number is a free number, too.
//
// When a slot is used again: after its version's death, when no operation that was pinned then is any more (the epoch
// domain sees to that), and when no search looks at a time at which that version lived (see SnapshotTimes). A search is
// not pinned. It meets slots that go from life to life under its eyes, and must tell the one version that was there at
// its time from all others:
//   - a version that lived at its time keeps its slot, so what a search reads of it does not change but by being
//     finished;
//   - a birth no later than that time happened before the search read the time, so V4 shows it the death word of that
//     life or a later one; and later lives are born after that time;
//   - a stamp names the life that it is for, and a death that comes back from stamping is that life's only if the birth
//     is still the same.
//
// The protocol (multi-version snapshots by helped timestamps, after Wei, Ben-David, Blelloch, Fatourou, Ruppert and
// Sun, "Constant-time snapshots with applications to concurrent data structures", PPoPP 2021; adapted to slots that are
// reused and checked exhaustively under sequential consistency):
//   open      VACANT; row, norm; ALIVE; PENDING               in this order; the slot is private
//   publish   the owner puts the slot into its directory entry
//   finish    link the predecessor, UNSTAMPED, stamp           anyone may help; the link only while PENDING
//   settle    the predecessor's LINK becomes the stamp         before the slot is superseded or removed
//   bury      DEAD_UNSTAMPED, stamp                            removal; anyone may help
//   visible   at time t: birth <= t < death, helping what is unfinished; death is read before birth
//   retire    the epoch's grace period; then free unless some search's time is in [birth, death)
//
// Invariants
//   V1  a version is stamped before anyone acts on it having been seen: get, supersede, remove help first.
//   V2  a predecessor is linked before its successor can be stamped; so at every time one of the two is visible.
//   V3  a slot is reused only after a grace period that began when its death was a timestamp, and only when no
//       announced time is in its life.
//   V4  ALIVE publishes VACANT: whoever reads the new life's death does not read the old life's birth.
//   V5  a slot is linked only to a successor that is still PENDING, and retired only when no LINK names it any more.
//   V6  a slot of a segment that is there is free, or one thread holds it ready, or it is in use, or in limbo. Its bit
//       in the idle word is set while it is free or in limbo, and its block's `died` is then no earlier than its death.
//       The idle bit is cleared before the slot's next version can be stamped.
//   V7  a segment is taken out by the thread that holds all of its slots, and freed after a grace period, when no
//       announced time lies between the clock that its maker read and the tick that followed its removal. Whoever reads
//       a later time sees that it is gone; whoever has an earlier one sees when it was made, and does not look into it.
// Linearization: an update at the clock tick that stamped it, a snapshot at its load of the clock.
// Progress: every function here is bounded by a constant number of steps, but for acquire(), which takes free slots or
// makes a segment (lock-free, and the segment's size is bounded), for stray(), which may give one back, and for the
// scan, which is bounded by the slots at its start: wait-free.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/memory/index_set.hpp>
#include <hotindex/memory/segmented_array.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/reclaim/participants.hpp>
#include <hotindex/store/slot_segment.hpp>
#include <hotindex/store/snapshot_times.hpp>
#include <hotindex/store/version_clock.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

namespace hotindex {

template <class B, class Traits, class Local, class Entry>
class SlotStore;

/// What each participant owns of a slot store; the domain's Local derives from it.
template <class B, class Traits, class Local, class Entry>
struct SlotLocal {
    explicit SlotLocal(SlotStore<B, Traits, Local, Entry>& s)
        : slots(&s), place(s.times_), free_block(0u), free_slots(0u), compact(0u), look_at(0u), looks_idle(false),
          until_look(1u) {}
    /// Before retired slots and entries are asked whether they can be used again.
    void before_reclaim_pass() { announced.set(slots->times_.look()); }
    void before_unguarded_pass() { announced.set({}); }
    /// A thread takes part. Throws std::bad_alloc.
    void join() { place.join(); }
    /// The thread has gone: nothing of the store stays with this participant.
    void leave() noexcept {
        place.leave();
        slots->leave(*this);
    }
    [[nodiscard]] bool owns(const void* address) const noexcept { return place.owns(address); }

    SlotStore<B, Traits, Local, Entry>* slots;
    typename SnapshotTimes<B, Traits>::Place place; ///< where this participant's searches announce their times
    typename B::template var<typename SnapshotTimes<B, Traits>::Range> announced; ///< at the beginning of this pass
    typename B::template var<SlotId> free_block;        ///< first slot of the word that these are of:
    typename B::template var<std::uint64_t> free_slots; ///< bit i: slot free_block + i is this participant's, unused
    // What stray() remembers.
    typename B::template var<SlotId> compact;  ///< where all slots in use would have their place, below this one
    typename B::template var<SlotId> look_at;  ///< the next look is at the block below
    typename B::template var<bool> looks_idle; ///< all blocks above, up to the segment's end, were idle
    typename B::template var<std::uint32_t> until_look; ///< updates until the next look
    OwnedCounter<B> used_slots;                         ///< acquired minus retired by this participant, modulo 2^64
};

template <class B, class Traits, class Local, class Entry>
class SlotStore {
  public:
    using Guard = typename EpochDomain<B, Traits, Local>::Guard;
    using Announcement = typename SnapshotTimes<B, Traits>::Announcement;
    static constexpr SlotId max_slots = SlotGeometry<Traits>::max_slots;

    /// `stride`: floats from row to row.
    explicit SlotStore(std::size_t stride)
        : stride_(stride), geometry_(stride * sizeof(float)),
          slots_at_once_(static_cast<SlotId>(
              std::clamp<std::size_t>(Traits::ready_bytes / (stride * sizeof(float)), 1, Traits::fresh_indices))),
          times_(clock_), numbered_(0u), present_(0) {}
    SlotStore(const SlotStore&) = delete;
    SlotStore& operator=(const SlotStore&) = delete;
    ~SlotStore() {
        for (std::uint32_t n = 0; n != numbered_.load(B::relaxed()); ++n) // relaxed: destruction overlaps with nothing
            // relaxed: as above
            if (Segment* const segment = directory_.at(n).segment.load(B::relaxed()); segment != nullptr)
                B::destroy(segment);
    }

    /// A slot that is nobody else's, VACANT to every scan. Throws std::bad_alloc.
    [[nodiscard]] SlotId acquire(Local& local) {
        while (local.free_slots.get() == 0)
            if (!take_free_slots(local))
                make_segment();
        return acquire_ready(local);
    }
    /// The same, or no_slot where a segment would have to be made.
    [[nodiscard]] SlotId try_acquire(Local& local) {
        return local.free_slots.get() == 0 && !take_free_slots(local) ? no_slot : acquire_ready(local);
    }

    /// The row to fill between acquire() and open(): `stride` floats.
    [[nodiscard]] float* row_of_new(SlotId s) {
        const Place p = place(s);
        return p.segment->rows.write(p.offset);
    }

    /// The row is complete: PENDING from now on. The slot is still private.
    void open(SlotId s, float inverse_norm) {
        const Place p = place(s);
        *p.segment->inverse_norms.write(p.offset) = inverse_norm;
        Stamps& v = p.segment->stamps[p.offset];
        // [slot_death] release-store; synchronizes-with the acquire-load of death in life_of(); publishes: VACANT and
        // the row
        v.death.store(version::alive, B::release(edge::slot_death));
        // relaxed: whoever acts on PENDING has the slot from its entry (entry_current); a scan only skips it
        v.birth.store(version::pending(life_at(p)), B::relaxed());
    }

    /// Before each attempt to publish: which entry it goes into, and which slot it replaces there (or no_slot).
    void aim(SlotId s, Entry* entry, SlotId predecessor) {
        Rest& r = rest(s);
        r.entry.set(entry);
        r.predecessor.set(predecessor);
    }

    /// Returns a slot that was never published.
    void discard(Local& local, SlotId s) {
        // relaxed: the slot was never seen by anyone but scans, which skip PENDING as they skip VACANT
        stamps(s).birth.store(version::vacant, B::relaxed());
        local.used_slots.add(~std::uint64_t{0});
        give_back({s / Free::width * Free::width, std::uint64_t{1} << s % Free::width});
    }

    /// Completes the birth of a published slot, whoever began it; returns the timestamp that it has now.
    /// settle: also turns its predecessor's LINK into that timestamp.
    version::Word finish(SlotId s, bool settle) {
        const Place p = place(s);
        Stamps& v = p.segment->stamps[p.offset];
        const SlotId predecessor = p.segment->rests[p.offset].predecessor.get();
        const version::Word pending = version::pending(life_at(p));
        const version::Word unstamped = version::unstamped(life_at(p));
        // [slot_birth] acquire-load; synchronizes-with the release-CASes below and in VersionClock::stamp()
        version::Word birth = v.birth.load(B::acquire(edge::slot_birth));
        if (birth == pending) {
            link(predecessor, s);
            // [slot_birth] release-CAS; synchronizes-with the acquire-loads of birth; publishes: the link, entry,
            // predecessor
            // [slot_birth] acquire on failure: the stamp found is used
            if (v.birth.compare_exchange_strong(birth, unstamped, B::release(edge::slot_birth),
                                                B::acquire(edge::slot_birth)))
                birth = unstamped;
        }
        if (birth == unstamped)
            birth = clock_.stamp(v.birth, unstamped, edge::slot_birth);
        // Where the predecessor's segment is gone, the predecessor was retired, hence settled.
        if (const Place old = settle ? find_place(predecessor) : Place{}; old.segment != nullptr) {
            Cell& death = old.segment->stamps[old.offset].death;
            version::Word linked = version::link(s);
            // relaxed: the link happened-before the stamp of s that was just read, so anything else found here is later
            // than the link: settled, or even reused
            if (death.load(B::relaxed()) == linked)
                // relaxed, both: the stamp is a value by itself, and the release sequence of the link goes on; on
                // failure another helper settled it
                death.compare_exchange_strong(linked, birth, B::relaxed(), B::relaxed());
        }
        return birth;
    }

    /// Completes the death of a removed slot, whoever began it; returns the timestamp that it has now.
    version::Word bury(SlotId s) {
        const Place p = place(s);
        Stamps& v = p.segment->stamps[p.offset];
        const version::Word unstamped = version::dead_unstamped(life_at(p));
        version::Word death = version::alive;
        // [slot_death] release-CAS; synchronizes-with the acquire-load of death in life_of(); publishes: the removal
        // [slot_death] acquire on failure: the stamp found is relied upon
        if (v.death.compare_exchange_strong(death, unstamped, B::release(edge::slot_death),
                                            B::acquire(edge::slot_death)))
            death = unstamped;
        if (death == unstamped)
            death = clock_.stamp(v.death, unstamped, edge::slot_death);
        return death;
    }
    /// The time at which a version died whose death is stamped, as this thread knows.
    [[nodiscard]] version::Word died(const Guard&, SlotId s) const {
        return stamps(s).death.load(B::relaxed()); // relaxed: this thread has stamped it or seen its stamp
    }

    /// A dead slot, out of its entry, with a timestamp as its death: reused after the grace period, when no search
    /// looks at a time at which it lived.
    void retire(const Guard& guard, SlotId s) {
        guard.local().used_slots.add(~std::uint64_t{0});
        const Place p = place(s);
        Rest& r = p.segment->rests[p.offset];
        mark_idle(p);
        if constexpr (B::verifies) {
            B::verify(version::is_timestamp(B::newest(p.segment->stamps[p.offset].death)),
                      "V3: a retired slot's death is a timestamp");
            const Place old = find_place(r.predecessor.get());
            B::verify(old.segment == nullptr || B::newest(old.segment->stamps[old.offset].death) != version::link(s),
                      "V5: no LINK names a retired slot");
        }
        guard.retire(
            &r,
            [](Retirable<B, Local>* object, Local& local) {
                return local.slots->reclaim(local, static_cast<Rest*>(object)->self.get());
            },
            stride_ * sizeof(float), Traits::slot_retire_weight);
    }

    /// A time for a search, announced until the result is destroyed. Throws std::bad_alloc, and only if the participant
    /// has another one.
    [[nodiscard]] Announcement announce(Local& local) const { return Announcement(local.place); }
    /// Does a search look at a time in [birth, death)? To be asked in a pass of the domain over its limbo, of what died
    /// before it was retired.
    [[nodiscard]] bool watched(const Local& local, version::Word birth, version::Word death) const {
        return times_.watched(local.announced.get(), birth, death);
    }
    /// Searches and snapshots that there are at this moment.
    [[nodiscard]] std::uint64_t announced() const { return times_.announced(); }

    /// After an update, now and then: a slot that lies far above what the slots in use would fill, to be replaced by
    /// the same row in a lower one. Its version was finished and alive when this call looked, so the guard keeps it.
    /// no_slot: none was found, or it is not the time to look. Gives back a segment that has fallen empty.
    [[nodiscard]] SlotId stray(const Guard& guard, bool after_removal) {
        Local& local = guard.local();
        const std::uint32_t left = local.until_look.get() - 1;
        local.until_look.set(left);
        if (left != 0)
            return no_slot;
        local.until_look.set(Traits::updates_per_look);
        SlotId at = local.look_at.get();
        if (at <= local.compact.get() || after_removal) {
            local.compact.set(compact_part(guard));
            // relaxed: a hint
            const bool bloated = present_.load(B::relaxed()) / 2 > local.compact.get() + Traits::first_segment;
            if (after_removal && !bloated)
                return no_slot; // each removal would move a vector
            if (bloated) {
                local.until_look.set(1);
                if (local.free_block.get() >= local.compact.get())
                    give_back_ready(local);
            }
            if (at <= local.compact.get()) {
                at = slot_count();
                local.looks_idle.set(true);
            }
        }
        for (std::uint32_t i = 0; i != Traits::blocks_per_look && at > local.compact.get(); ++i) {
            const std::uint32_t n = geometry_.segment_of(at - 1);
            const SlotId begin = geometry_.begin(n);
            const Segment* const segment = find_segment(n);
            if (segment == nullptr) {
                at = begin;
                continue;
            }
            const SlotId first = std::max(begin, (at - 1) / slots_per_block * slots_per_block);
            const Block& block = segment->block_of(first - begin);
            // relaxed: only a hint where to look
            std::uint64_t used = ~block.idle.load(B::relaxed()) & first_slots(segment->count);
            if (used != 0)
                local.looks_idle.set(false);
            for (; used != 0; used &= used - 1) {
                const SlotId s = first + static_cast<SlotId>(std::countr_zero(used));
                const auto [birth, death] = life_of(segment->stamps[s - begin]);
                if (death == version::alive && version::is_timestamp(birth)) {
                    local.look_at.set(at);
                    local.until_look.set(1); // there may be more of them
                    return s;
                }
            }
            at = first;
            if (at == begin) {
                if (local.looks_idle.get() && begin >= local.compact.get())
                    release_segment(guard, n);
                local.looks_idle.set(true);
            }
        }
        local.look_at.set(at);
        return no_slot;
    }
    /// Does the slot lie where all slots in use would have their place? If not, stray() rests for a while.
    [[nodiscard]] bool is_compact(const Guard& guard, SlotId s) const {
        Local& local = guard.local();
        if (s < local.compact.get())
            return true;
        local.until_look.set(16 * Traits::updates_per_look);
        local.look_at.set(0); // and begins at the top again, where a segment may have fallen empty
        return false;
    }
    /// Gives back the segment of that number if it has fallen empty and lies above what the slots in use would fill;
    /// and what this participant holds ready.
    void trim(const Guard& guard, std::uint32_t n) {
        give_back_ready(guard.local());
        if (geometry_.begin(n) >= compact_part(guard))
            release_segment(guard, n);
    }
    /// Segments have numbers below this one.
    [[nodiscard]] std::uint32_t segment_count() const {
        return numbered_.load(B::relaxed()); // relaxed: segments that are being made are not empty
    }
    /// A participant leaves.
    void leave(SlotLocal<B, Traits, Local, Entry>& local) noexcept {
        give_back_ready(local);
        departed_.take_over(local.used_slots);
    }

    /// The row of a slot that the guard keeps: `stride` floats.
    [[nodiscard]] const float* row(const Guard&, SlotId s) const {
        const Place p = place(s);
        return p.segment->rows.read(p.offset);
    }
    /// The inverse norm of a slot that the guard keeps.
    [[nodiscard]] float inverse_norm(const Guard&, SlotId s) const {
        const Place p = place(s);
        return *p.segment->inverse_norms.read(p.offset);
    }
    /// The entry of a slot that the guard keeps.
    [[nodiscard]] Entry* entry(const Guard&, SlotId s) const { return rest(s).entry.get(); }
    /// The entry of a slot that is visible at the announced time.
    [[nodiscard]] Entry* entry(const Announcement&, SlotId s) const { return rest(s).entry.get(); }

    [[nodiscard]] version::Word now() const { return clock_.now(); }
    /// Every slot that is visible at a time taken before this call is below.
    [[nodiscard]] SlotId slot_count() const {
        // relaxed: who stamped a version at that time knew its segment, so the clock passes it on
        return geometry_.begin(numbered_.load(B::relaxed()));
    }
    /// Bytes of all segments that are there.
    [[nodiscard]] std::uint64_t bytes() const {
        std::uint64_t sum = 0;
        for (std::uint32_t n = 0; n != numbered_.load(B::relaxed()); ++n) // relaxed: a statistic
            if (find_segment(n) != nullptr)
                sum += Segment::bytes_of(geometry_.size(n), stride_);
        return sum;
    }
    [[nodiscard]] std::size_t stride() const noexcept { return stride_; }

    /// Calls use(first slot, rows, inverse norms, slots, mask) for each run of at most 64 slots below `count`, where
    /// bit i of the mask says whether slot first + i is visible at the announced time. Runs without a visible slot are
    /// left out.
    template <class Use>
    void scan(const Announcement& announcement, SlotId count, Use use) {
        const version::Word time = announcement.time();
        std::uint32_t number = 0;
        for (SlotId first = 0; first < count; ++number, first = geometry_.begin(number)) {
            const Segment* const segment = find_segment(number, time);
            if (segment == nullptr)
                continue; // V7: nothing in it lived at `time`
            const SlotId here = segment->count;
            for (SlotId offset = 0; offset < here; offset += slots_per_block) {
                const SlotId n = std::min<SlotId>(slots_per_block, here - offset);
                // A slot that is visible at `time` has cleared its idle bit before that (V6), and the clock has passed
                // it on. If it is set again, then after the slot's death, which may be later than `time`.
                // [slot_idle] acquire-load; synchronizes-with the release-RMW in mark_idle()
                // relaxed on died: the idle bit publishes a time that is late enough
                if (const Block& b = segment->block_of(offset);
                    (~b.idle.load(B::acquire(edge::slot_idle)) & first_slots(n)) == 0 &&
                    is_dead(b.died.load(B::relaxed()), time))
                    continue;
                const std::uint64_t mask = visible_mask(segment->stamps + offset, n, time);
                if (mask != 0)
                    use(first + offset, segment->rows.read_some(offset, mask),
                        segment->inverse_norms.read_some(offset, mask), n, mask);
            }
        }
    }

  private:
    friend struct SlotLocal<B, Traits, Local, Entry>;
    using Cell = typename VersionClock<B>::Cell;
    using Segment = SlotSegment<B, Local, Entry>;
    using Stamps = typename Segment::Stamps;
    using Rest = typename Segment::Rest;
    using Block = typename Segment::Block;
    using Free = IndexSet<B, Traits>;

    /// Where a segment is found.
    struct Listed {
        Listed() : segment(nullptr), made(0) {}
        typename B::template atomic<Segment*> segment;
        Cell made; ///< no version in the segment was born before; never falls
    };
    struct Place {
        Segment* segment = nullptr;
        SlotId offset = 0;
    };

    /// The lowest of the slots that this participant holds ready, VACANT to every scan.
    SlotId acquire_ready(Local& local) {
        const std::uint64_t free = local.free_slots.get();
        local.free_slots.set(free & (free - 1));
        local.used_slots.add(1);
        const SlotId s = local.free_block.get() + static_cast<SlotId>(std::countr_zero(free));
        const Place p = place(s);
        Stamps& v = p.segment->stamps[p.offset];
        auto& life = p.segment->rests[p.offset].life;
        life.set(life.get() + 1);
        // relaxed: published by the store of ALIVE in open()
        v.birth.store(version::vacant, B::relaxed());
        return s;
    }

    /// The segment with that number, or nullptr where it has not been made or was given back.
    [[nodiscard]] Segment* find_segment(std::uint32_t number) const {
        const Listed* const listed = directory_.find(number);
        // [segment] acquire-load; synchronizes-with the release-store in fill_segment()
        return listed == nullptr ? nullptr : listed->segment.load(B::acquire(edge::segment));
    }
    /// For a search: nullptr, too, where all that was ever born in the segment was born after `time`.
    [[nodiscard]] Segment* find_segment(std::uint32_t number, version::Word time) const {
        const Listed* const listed = directory_.find(number);
        if (listed == nullptr)
            return nullptr;
        // [segment] acquire-load; synchronizes-with the release-store in fill_segment()
        Segment* const segment = listed->segment.load(B::acquire(edge::segment));
        // relaxed: the segment's pointer publishes when it was made. A later one says that it is gone
        return segment == nullptr || listed->made.load(B::relaxed()) > time ? nullptr : segment;
    }
    /// Of a slot whose segment may be gone; `segment` is nullptr then, and for no_slot.
    Place find_place(SlotId s) const {
        if (s == no_slot)
            return {};
        Segment* const segment = find_segment(geometry_.segment_of(s));
        return segment == nullptr ? Place{} : Place{segment, s - segment->first};
    }
    /// Of a slot that the caller holds, or that somebody else has published to it.
    // Inlined by force: every step of an update asks once or twice.
    [[gnu::always_inline]] Place place(SlotId s) const {
        // relaxed: the slot's number came through the set of free slots, an entry or limbo, each with an edge from who
        // had it before; the first of those had it from who made the segment (index_set)
        Segment* const segment = directory_.at(geometry_.segment_of(s)).segment.load(B::relaxed());
        return {segment, s - segment->first};
    }
    Stamps& stamps(SlotId s) const {
        const Place p = place(s);
        return p.segment->stamps[p.offset];
    }
    Rest& rest(SlotId s) const {
        const Place p = place(s);
        return p.segment->rests[p.offset];
    }
    /// Of a slot that a guard keeps, or that is this thread's.
    [[nodiscard]] static std::uint64_t life_at(const Place& p) { return p.segment->rests[p.offset].life.get(); }

    /// Makes one more segment, with all of its slots free. Throws std::bad_alloc.
    void make_segment() {
        for (;;) {
            if (const auto absent = absent_.take(1)) {
                const std::uint32_t n = absent->first + static_cast<std::uint32_t>(std::countr_zero(absent->mask));
                try {
                    return fill_segment(n);
                } catch (...) {
                    absent_.put(n);
                    throw;
                }
            }
            // relaxed: a first guess, the CAS decides
            std::uint32_t n = numbered_.load(B::relaxed());
            if (n == geometry_.count())
                throw std::bad_alloc();
            const SlotId end = geometry_.begin(n) + geometry_.size(n);
            for (SlotId s = geometry_.begin(n); s < end; s += std::min(Free::width, end - s))
                free_.grow_to(s);
            directory_.grow_to(n);
            absent_.grow_to(n);
            // relaxed, both: the number is handed on by absent_, and a slot of that segment by what publishes it
            if (numbered_.compare_exchange_strong(n, n + 1, B::relaxed(), B::relaxed()))
                absent_.put(n);
        }
    }
    /// By the one thread that has the absent segment's number.
    void fill_segment(std::uint32_t n) {
        const SlotId first = geometry_.begin(n);
        const SlotId size = geometry_.size(n);
        Segment* const fresh = B::template make<Segment>(first, size, stride_);
        fresh->made.set(clock_.now());
        // relaxed: the next store publishes it
        directory_.at(n).made.store(fresh->made.get(), B::relaxed());
        // [segment] release-store; synchronizes-with the acquire-loads in find_segment(); publishes: the segment,
        // and when it was made
        directory_.at(n).segment.store(fresh, B::release(edge::segment));
        present_.fetch_add(size, B::relaxed()); // relaxed: a statistic
        each_word(first, size, [this](typename Free::Batch b) {
            free_.put(b);
            return true;
        });
    }

    /// Takes the segment out of the store if all of its slots are free, and frees it when nobody can be looking into
    /// it.
    void release_segment(const Guard& guard, std::uint32_t n) {
        Segment* segment = find_segment(n);
        if (segment == nullptr)
            return;
        const SlotId first = geometry_.begin(n);
        const SlotId size = geometry_.size(n);
        SlotId taken = first;
        const bool all = each_word(first, size, [this, &taken](typename Free::Batch b) {
            if (!free_.take_all(b))
                return false;
            taken = std::max(taken, b.first) + static_cast<SlotId>(std::popcount(b.mask));
            return true;
        });
        if (!all) {
            each_word(first, taken - first, [this](typename Free::Batch b) {
                free_.put(b);
                return true;
            });
            return;
        }
        // It may have been given back and made again since the look above; who holds its slots has it now.
        // relaxed: the slots came through the set of free slots, as in place()
        segment = directory_.at(n).segment.load(B::relaxed());
        // relaxed: the clock's tick publishes it to searches, and the grace period to others
        directory_.at(n).segment.store(nullptr, B::relaxed());
        segment->released.set(clock_.tick());                       // V7
        present_.fetch_add(~std::uint64_t{size} + 1, B::relaxed()); // relaxed: a statistic
        absent_.put(n);
        guard.retire(
            segment,
            [](Retirable<B, Local>* r, Local& local) -> std::size_t {
                auto* const gone = static_cast<Segment*>(r);
                if (local.slots->watched(local, gone->made.get(), gone->released.get()))
                    return 0;
                const std::size_t bytes = gone->bytes(local.slots->stride_);
                B::destroy(gone);
                return bytes;
            },
            segment->bytes(stride_));
    }

    /// Calls use(batch) for the free numbers' words that these slots make up, until it says false; false then.
    template <class Use>
    static bool each_word(SlotId first, SlotId size, Use use) {
        for (const SlotId end = first + size; first != end;) {
            const SlotId word = first / Free::width * Free::width;
            const SlotId n = std::min(word + Free::width, end) - first;
            if (!use(typename Free::Batch{word, first_slots(n) << (first - word)}))
                return false;
            first += n;
        }
        return true;
    }

    /// The predecessor's death becomes the link to s, unless that is done.
    void link(SlotId predecessor, SlotId s) {
        const Place old = find_place(predecessor); // no_slot has none
        if (old.segment == nullptr)
            return;
        Cell& word = old.segment->stamps[old.offset].death;
        version::Word alive = version::alive;
        if constexpr (B::verifies) {
            const version::Word death = B::newest(word);
            B::verify(!version::is_pending(B::newest(stamps(s).birth)) || death == alive || death == version::link(s),
                      "V5: the predecessor of a PENDING slot lives, or is linked to it");
        }
        // [slot_death] release-CAS; synchronizes-with the acquire-load of death in life_of(); publishes: PENDING of s
        // relaxed on failure: another helper linked it, nothing is read
        word.compare_exchange_strong(alive, version::link(s), B::release(edge::slot_death), B::relaxed());
    }

    /// The slot's version is dead and on its way to limbo: no search of a later time needs to look at it.
    void mark_idle(const Place& p) {
        Block& b = p.segment->block_of(p.offset);
        // relaxed: this thread has stamped the death or seen its stamp before
        const version::Word death = p.segment->stamps[p.offset].death.load(B::relaxed());
        version::Word latest = b.died.load(B::relaxed()); // relaxed, all: published by the idle bit
        while (latest < death && !b.died.compare_exchange_weak(latest, death, B::relaxed(), B::relaxed())) {
        }
        // [slot_idle] release-RMW; synchronizes-with the acquire-load in scan(), also through others of the word, which
        // continue its release sequence; publishes: died. The bit was clear, so adding sets it
        b.idle.fetch_add(bit_of(p.offset), B::release(edge::slot_idle));
    }

    /// The grace period is over: frees the slot, or says 0 if a search looks at a time at which it lived.
    std::size_t reclaim(Local& local, SlotId s) {
        const Stamps& v = stamps(s);
        // relaxed, both: they were stamped before the slot was retired
        if (watched(local, v.birth.load(B::relaxed()), v.death.load(B::relaxed())))
            return 0;
        free_.put(s);
        return stride_ * sizeof(float);
    }

    /// A few free slots for this participant, which has none; false if there are none.
    [[nodiscard]] bool take_free_slots(Local& local) {
        const auto batch = free_.take(slots_at_once_);
        if (!batch)
            return false;
        // relaxed: the stamp of a new version passes it on (V6). The bits were set, so subtracting clears them
        each_block(*batch, [](Block& b, std::uint64_t mask) { b.idle.fetch_add(~mask + 1, B::relaxed()); });
        local.free_block.set(batch->first);
        local.free_slots.set(batch->mask);
        return true;
    }
    /// What a participant holds ready is free again.
    void give_back_ready(SlotLocal<B, Traits, Local, Entry>& local) {
        if (const std::uint64_t ready = local.free_slots.get(); ready != 0) {
            local.free_slots.set(0);
            give_back({local.free_block.get(), ready});
        }
    }
    /// Slots that were taken and never published are free again.
    void give_back(typename Free::Batch batch) {
        // relaxed: there is no death to tell of. The bits were clear, so adding sets them
        each_block(batch, [](Block& b, std::uint64_t mask) { b.idle.fetch_add(mask, B::relaxed()); });
        free_.put(batch);
    }
    /// Calls use(block, mask) for each block that the batch has slots of.
    template <class Use>
    void each_block(typename Free::Batch batch, Use use) {
        while (batch.mask != 0) {
            const SlotId s = batch.first + static_cast<SlotId>(std::countr_zero(batch.mask));
            const Place p = place(s);
            // The segment may be smaller than the word, and the word smaller than the block.
            const SlotId at = s - batch.first;
            const SlotId n = std::min<SlotId>(p.segment->count - p.offset, Free::width - at);
            const std::uint64_t here = batch.mask & first_slots(n) << at;
            use(p.segment->block_of(p.offset), here >> at << p.offset % slots_per_block);
            batch.mask &= ~here;
        }
    }

    /// So many slots, from 0 on, would hold all that are in use, a little limbo and what threads hold ready.
    [[nodiscard]] SlotId compact_part(const Guard& guard) const {
        std::uint64_t used = guard.total(departed_, [](const Local& l) { return l.used_slots.read(); });
        // Modulo 2^64, and other threads are at work: it may be off by a few, even below zero.
        if (static_cast<std::int64_t>(used) < 0)
            used = 0;
        used += used / 16 + Traits::spare_slots;
        return static_cast<SlotId>(std::min<std::uint64_t>(used, max_slots));
    }

    struct Life {
        version::Word birth;
        version::Word death;
    };
    // Inlined by force: left to itself, the compiler calls it once a slot in the scan.
    [[gnu::always_inline]] static Life life_of(const Stamps& v) {
        // V4: death before birth.
        // [slot_death] acquire-load; synchronizes-with the release-store in open() and the CASes on death
        const version::Word death = v.death.load(B::acquire(edge::slot_death));
        // [slot_birth] acquire-load; synchronizes-with the CASes on birth
        const version::Word birth = v.birth.load(B::acquire(edge::slot_birth));
        return {birth, death};
    }
    /// VACANT, PENDING and UNSTAMPED are later than any time.
    static bool is_born(version::Word birth, version::Word time) noexcept { return birth <= time; }
    /// ALIVE, links and DEAD_UNSTAMPED are later than any time.
    static bool is_dead(version::Word death, version::Word time) noexcept { return death <= time; }

    /// Bit i: slot i of the run is visible at `time`.
    std::uint64_t visible_mask(Stamps* run, SlotId n, version::Word time) {
        // Eight slots at a time without branches on what a single slot says: nothing for the branch predictor to learn.
        std::uint64_t mask = 0;
        for (SlotId i = 0; i < n; i += 8) {
            if (n - i < 8) {
                for (SlotId j = i; j != n; ++j)
                    mask |= std::uint64_t{visible(run[j], time)} << j;
            } else if (all_plain(run + i, time)) [[likely]] {
                mask |= std::uint64_t{0xFF} << i;
            } else {
                mask |= std::uint64_t{visible_of_eight(run + i, time)} << i;
            }
        }
        return mask;
    }

    /// Are these eight slots all alive and old enough? The usual answer, found with a few additions a slot.
    static bool all_plain(const Stamps* eight, version::Word time) {
        const version::Word lift = (version::Word{1} << 62) - 1 - time;
        version::Word births = 0;              // bit 62: some birth is later than `time`; bit 63: some is special
        version::Word deaths = version::alive; // any bit clear: some death is not ALIVE
        const auto look = [&](SlotId j) __attribute__((always_inline)) {
            const auto [birth, death] = life_of(eight[j]);
            deaths &= death;
            births |= birth + lift;
        };
        look(0), look(1), look(2), look(3), look(4), look(5), look(6), look(7);
        return deaths == version::alive && births >> 62 == 0;
    }

    /// Bit i: slot i of the eight is visible at `time`.
    std::uint32_t visible_of_eight(Stamps* eight, version::Word time) {
        std::uint32_t mask = 0;
        version::Word unfinished = 0; // bit 63: some birth is UNSTAMPED, or some death is a LINK or DEAD_UNSTAMPED
        const auto look = [&](SlotId j) __attribute__((always_inline)) {
            const auto [birth, death] = life_of(eight[j]);
            mask |= static_cast<std::uint32_t>(static_cast<int>(is_born(birth, time)) &
                                               static_cast<int>(!is_dead(death, time)))
                    << j;
            unfinished |= (birth & birth << 2) | (death & (death + 1));
        };
        look(0), look(1), look(2), look(3), look(4), look(5), look(6), look(7); // shifts by constants
        if (unfinished >= version::first_special) [[unlikely]] {
            mask = 0;
            for (SlotId j = 0; j != 8; ++j)
                mask |= std::uint32_t{visible(eight[j], time)} << j;
        }
        return mask;
    }

    /// Any case; helps what is unfinished.
    bool visible(Stamps& v, version::Word time) {
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
        const SlotId s = version::successor_of(death);
        const std::uint32_t number = geometry_.segment_of(s);
        const Segment* const segment = find_segment(number, time);
        if (segment == nullptr)
            return true;
        Stamps& successor = segment->stamps[s - geometry_.begin(number)];
        // relaxed: the link was read with acquire and publishes PENDING; what it became since is a value by itself
        version::Word next = successor.birth.load(B::relaxed());
        if (version::is_unstamped(next))
            next = clock_.stamp(successor.birth, next, edge::slot_birth);
        return time < next; // PENDING is larger than any time: the successor will be stamped after `time`
    }

    const std::size_t stride_;
    const SlotGeometry<Traits> geometry_;
    const SlotId slots_at_once_; ///< that a participant takes
    VersionClock<B> clock_;
    SnapshotTimes<B, Traits> times_;
    Free free_;
    IndexSet<B, Traits> absent_; ///< segments that have a number and are not there
    SegmentedArray<B, Traits, Listed, Traits::first_directory> directory_;
    alignas(isolation) typename B::template atomic<std::uint32_t> numbered_; ///< segments that have a number
    typename B::template atomic<std::uint64_t> present_;                     ///< slots of all segments that are there
    DepartedCounter<B> departed_; ///< used_slots of participants that have left
};

} // namespace hotindex
