// SlotStore: the rows of the lock-free index, each with the version words that make search an atomic snapshot.
//
// A slot holds one version of one vector: its row, its inverse norm, the directory entry it belongs to, the slot that
// it replaced, and the two version words (see version_clock.hpp). Slots lie in segments of doubling size, each with
// rows, norms and version words in arrays of their own, so that a scan reads them as streams. For each block of 64
// slots one word says which of them are free; a thread takes a few free slots of a block at once and gives them back
// one by one. A second word says which are idle (free, or dead and in limbo), and a third when the last of those died:
// so a search passes over a block of dead versions with two loads, however many of them a stalled search keeps.
//
// Where free slots come from. A search costs what the blocks with a used slot cost, so the used slots should lie close
// together, whatever limbo has swollen to meanwhile. Each thread goes around the lowest blocks, as many as all the used
// slots would fill, and only when there is nothing free beyond them. So each replacement brings its vector back into
// the compact part, and the blocks behind it fall empty and cost a search one load each. What nobody replaces is found
// by stray() and moved by the index: a replacement by the same row.
//
// When a slot is used again: after its version's death, when no operation that was pinned then is any more (the epoch
// domain sees to that), and when no search looks at a time at which that version lived (see SnapshotTimes). A search is
// not pinned. It meets slots that go from life to life under its eyes, and must tell the one version that was there at
// its time from all others:
//   - a version that lived at its time keeps its slot, so what a search reads of it does not change but by being
//   finished;
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
//   announced
//       time is in its life.
//   V5  a slot is linked only to a successor that is still PENDING, and retired only when no LINK names it any more.
//   V4  ALIVE publishes VACANT: whoever reads the new life's death does not read the old life's birth.
//   V6  of each slot: its bit in its block's free word is set, or one thread holds it ready, or it is in use, or in
//       limbo. Its bit in the idle word is set while it is free or in limbo, and its block's `died` is then no earlier
//       than its death. The idle bit is cleared before the slot's next version can be stamped.
// Linearization: an update at the clock tick that stamped it, a snapshot at its load of the clock.
// Progress: every function here is bounded by a constant number of steps, but for acquire(), which looks for a free
// slot and may open a segment (lock-free: a CAS fails only because another thread took or freed a slot of that block),
// and for the scan, which is bounded by the slots at its start: wait-free.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/reclaim/participants.hpp>
#include <hotindex/memory/segmented_array.hpp>
#include <hotindex/store/snapshot_times.hpp>
#include <hotindex/store/version_clock.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

namespace hotindex {

using SlotId = std::uint32_t;
inline constexpr SlotId no_slot = ~SlotId{0};

template <class B, class Traits, class Local, class Entry>
class SlotStore;

/// What each participant owns of a slot store; the domain's Local derives from it.
template <class B, class Traits, class Local, class Entry>
struct SlotLocal {
    explicit SlotLocal(SlotStore<B, Traits, Local, Entry>& s)
        : slots(&s), place(s.times_), free_block(0u), free_slots(0u), turn_at(0u), stray_block(0u),
          until_stray_look(1u) {}
    /// Before retired slots and entries are asked whether they can be used again.
    void before_reclaim_pass() { announced.set(slots->times_.look()); }
    void before_unguarded_pass() { announced.set({}); }
    /// A thread takes part. Throws std::bad_alloc.
    void join() { place.join(); }
    /// The thread has gone: nothing of the store stays with this participant.
    void leave() noexcept {
        place.leave();
        slots->give_back(*this);
        slots->departed_.take_over(used_slots);
    }
    [[nodiscard]] bool owns(const void* address) const noexcept { return place.owns(address); }

    SlotStore<B, Traits, Local, Entry>* slots;
    typename SnapshotTimes<B, Traits>::Place place; ///< where this participant's searches announce their times
    typename B::template var<typename SnapshotTimes<B, Traits>::Range> announced; ///< at the beginning of this pass
    typename B::template var<SlotId> free_block;        ///< first slot of the block that was looked at last
    typename B::template var<std::uint64_t> free_slots; ///< bit i: slot free_block + i is free and this participant's
    typename B::template var<SlotId> turn_at;           ///< where the turn around the blocks ends
    typename B::template var<SlotId> stray_block;       ///< where stray() looks next
    typename B::template var<std::uint32_t> until_stray_look; ///< adds until then
    OwnedCounter<B> used_slots; ///< acquired minus retired by this participant, modulo 2^64
};

template <class B, class Traits, class Local, class Entry>
class SlotStore {
  public:
    using Guard = typename EpochDomain<B, Traits, Local>::Guard;
    using Announcement = typename SnapshotTimes<B, Traits>::Announcement;
    static constexpr SlotId max_slots = SlotId{1} << 31;
    static constexpr std::size_t block = 64; ///< slots that a scan looks at together

    /// `stride`: floats from row to row.
    explicit SlotStore(std::size_t stride) : stride_(stride), times_(clock_) {
        for (auto& s : segments_)
            s.store(nullptr, B::relaxed()); // relaxed: construction overlaps with nothing
    }
    SlotStore(const SlotStore&) = delete;
    SlotStore& operator=(const SlotStore&) = delete;
    ~SlotStore() {
        for (auto& s : segments_) {
            Segment* const segment = s.load(B::relaxed()); // relaxed: destruction overlaps with nothing
            if (segment != nullptr)
                B::destroy(segment);
        }
    }

    /// A slot that is nobody else's, VACANT to every scan. Throws std::bad_alloc.
    [[nodiscard]] SlotId acquire(const Guard& guard) {
        Local& local = guard.local();
        if (local.free_slots.get() == 0)
            take_free_slots(guard);
        const std::uint64_t free = local.free_slots.get();
        local.free_slots.set(free & (free - 1));
        local.used_slots.add(1);
        const SlotId s = local.free_block.get() + static_cast<SlotId>(std::countr_zero(free));
        const Place p = place(s);
        Stamps& v = p.segment->stamps[p.offset];
        auto& life = p.segment->rests[p.offset].life;
        life.set(life.get() + 1);
        if (B::planted(bug::alive_before_vacant))
            v.death.store(version::alive, B::relaxed()); // relaxed: a bug by design
        // relaxed: published by the store of ALIVE in open()
        v.birth.store(version::vacant, B::relaxed());
        return s;
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
    void discard(const Guard& guard, SlotId s) {
        // relaxed: the slot was never seen by anyone but scans, which skip PENDING as they skip VACANT
        stamps(s).birth.store(version::vacant, B::relaxed());
        guard.local().used_slots.add(~std::uint64_t{0});
        const Place p = place(s);
        // relaxed: there is no death to tell of
        p.segment->block_of(p.offset).idle.fetch_add(bit_of(p.offset), B::relaxed());
        free(guard.local(), s);
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
        const bool links_late = B::planted(bug::link_after_unstamped) || B::planted(bug::stamp_before_link);
        if (birth == pending || B::planted(bug::link_always)) {
            if (!links_late)
                link(predecessor, s);
            birth = pending;
            // [slot_birth] release-CAS; synchronizes-with the acquire-loads of birth; publishes: the link, entry,
            // predecessor
            // [slot_birth] acquire on failure: the stamp found is used
            if (B::planted(bug::stamp_pending))
                birth = clock_.stamp(v.birth, pending, edge::slot_birth);
            else if (v.birth.compare_exchange_strong(birth, unstamped, B::release(edge::slot_birth),
                                                     B::acquire(edge::slot_birth)))
                birth = unstamped;
            if (B::planted(bug::link_after_unstamped))
                link(predecessor, s);
        }
        if (birth == unstamped)
            birth = clock_.stamp(v.birth, unstamped, edge::slot_birth);
        if (B::planted(bug::stamp_before_link))
            link(predecessor, s);
        if (settle && predecessor != no_slot) {
            Cell& death = stamps(predecessor).death;
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
        if (B::planted(bug::stamp_alive))
            return clock_.stamp(v.death, version::alive, edge::slot_death);
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
        mark_idle(s);
        if (B::planted(bug::free_slot_at_once))
            return free(guard.local(), s);
        if constexpr (B::verifies) {
            B::verify(version::is_timestamp(B::newest(stamps(s).death)), "V3: a retired slot's death is a timestamp");
            const SlotId predecessor = rest(s).predecessor.get();
            B::verify(predecessor == no_slot || B::newest(stamps(predecessor).death) != version::link(s),
                      "V5: no LINK names a retired slot");
        }
        guard.retire(
            &rest(s),
            [](Retirable<B, Local>* r, Local& local) {
                return local.slots->reclaim(local, static_cast<Rest*>(r)->self.get());
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

    /// Now and then, a slot that lies far behind what the slots in use would fill, to be replaced by the same row in
    /// another slot: one whose version was finished and alive when this call looked, so the guard keeps it. no_slot:
    /// none was found, or it is not the time to look.
    [[nodiscard]] SlotId stray(const Guard& guard) const {
        Local& local = guard.local();
        const std::uint32_t left = local.until_stray_look.get() - 1;
        local.until_stray_look.set(left);
        if (left != 0)
            return no_slot;
        local.until_stray_look.set(Traits::adds_per_stray_look);
        const SlotId end = slot_count();
        SlotId first = std::max(local.stray_block.get(), block_behind(local.turn_at.get()));
        for (std::uint32_t i = 0; i != Traits::blocks_per_stray_look && first < end; ++i) {
            const Place p = place(first);
            const SlotId n = std::min<SlotId>(block, p.segment->count);
            // relaxed: only a hint where to look
            for (std::uint64_t used = ~p.segment->block_of(p.offset).idle.load(B::relaxed()) & first_slots(n);
                 used != 0; used &= used - 1) {
                const auto at = static_cast<SlotId>(std::countr_zero(used));
                const Stamps& v = p.segment->stamps[p.offset + at];
                const auto [birth, death] = life_of(v);
                if (death == version::alive && version::is_timestamp(birth)) {
                    local.turn_at.set(compact_part(guard));
                    if (first < block_behind(local.turn_at.get()))
                        return no_slot;
                    local.stray_block.set(first);
                    local.until_stray_look.set(1); // there may be more of them
                    return first + at;
                }
            }
            first += n;
        }
        local.stray_block.set(first < end ? first : 0);
        return no_slot;
    }
    /// Does the slot lie where all slots in use would have their place? If not, stray() rests for a while.
    [[nodiscard]] bool is_compact(const Guard& guard, SlotId s) const {
        Local& local = guard.local();
        if (s < local.turn_at.get())
            return true;
        local.until_stray_look.set(16 * Traits::adds_per_stray_look);
        return false;
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
        SlotId segment = 0;
        // relaxed: who stamped a version at that time knew its segment, so the clock passes it on
        while (segment != segments_.size() && segments_[segment].load(B::relaxed()) != nullptr)
            ++segment;
        return Geometry::begin(segment);
    }
    [[nodiscard]] std::size_t stride() const noexcept { return stride_; }

    /// Calls use(first slot, rows, inverse norms, slots, mask) for each run of at most 64 slots below `count`, where
    /// bit i of the mask says whether slot first + i is visible at the announced time. Runs without a visible slot are
    /// left out.
    template <class Use>
    void scan(const Announcement& announcement, SlotId count, Use use) {
        const version::Word time = announcement.time();
        for (SlotId first = 0; first < count;) {
            const Place p = place(first);
            const SlotId here = std::min(p.segment->count, count - first);
            for (SlotId offset = 0; offset < here; offset += block) {
                const SlotId n = std::min<SlotId>(block, here - offset);
                // A slot that is visible at `time` has cleared its idle bit before that (V6), and the clock has passed
                // it on. If it is set again, then after the slot's death, which may be later than `time`.
                // [slot_idle] acquire-load; synchronizes-with the release-RMW in mark_idle()
                // relaxed on died: the idle bit publishes a time that is late enough
                if (const Block& b = p.segment->block_of(offset);
                    (~b.idle.load(B::acquire(edge::slot_idle)) & first_slots(n)) == 0 &&
                    is_dead(b.died.load(B::relaxed()), time))
                    continue;
                const std::uint64_t mask = visible_mask(p.segment->stamps + offset, n, time);
                if (mask != 0)
                    use(first + offset, p.segment->rows.read_some(offset, mask),
                        p.segment->inverse_norms.read_some(offset, mask), n, mask);
            }
            first += here;
        }
    }

  private:
    friend struct SlotLocal<B, Traits, Local, Entry>;
    using Cell = typename VersionClock<B>::Cell;

    struct Stamps {
        Stamps() : birth(version::vacant), death(version::alive) {}
        Cell birth;
        Cell death;
    };
    /// What a scan does not need.
    struct Rest : Retirable<B, Local> {
        explicit Rest(SlotId s) : entry(nullptr), life(0u), predecessor(no_slot), self(s) {}
        typename B::template var<Entry*> entry;
        typename B::template var<std::uint64_t> life; ///< which one this is
        typename B::template var<SlotId> predecessor;
        const typename B::template var<SlotId> self;
    };
    /// What concerns all slots of a block: bit i for the i-th.
    struct Block {
        explicit Block(std::uint64_t all) : free(all), idle(all), died(0) {}
        typename B::template atomic<std::uint64_t> free; ///< may be taken
        typename B::template atomic<std::uint64_t> idle; ///< free, or in limbo
        Cell died;                                       ///< no earlier than the death of any slot in limbo
    };
    [[nodiscard]] static constexpr std::uint64_t bit_of(SlotId offset) noexcept {
        return std::uint64_t{1} << offset % block;
    }
    [[nodiscard]] static constexpr std::uint64_t first_slots(SlotId n) noexcept {
        return n >= block ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
    }

    struct Segment {
        Segment(SlotId first, SlotId n, std::size_t stride)
            : count(n), rows(n, stride), inverse_norms(n, 1),
              stamps(B::template make_array<Stamps>(n, [](void* at) { B::template construct_at<Stamps>(at); })) {
            try {
                blocks = B::template make_array<Block>(
                    block_count(n), [n](void* at) { B::template construct_at<Block>(at, first_slots(n)); });
                rests = B::template make_array<Rest>(
                    n, [&first](void* at) { B::template construct_at<Rest>(at, first++); });
            } catch (...) {
                if (blocks != nullptr)
                    B::destroy_array(blocks, block_count(n));
                B::destroy_array(stamps, n);
                throw;
            }
        }
        Segment(const Segment&) = delete;
        Segment& operator=(const Segment&) = delete;
        ~Segment() {
            B::destroy_array(stamps, count);
            B::destroy_array(blocks, block_count(count));
            B::destroy_array(rests, count);
        }
        /// A segment is smaller than a block, or consists of whole blocks.
        static constexpr std::size_t block_count(SlotId n) noexcept { return (n + block - 1) / block; }
        [[nodiscard]] Block& block_of(SlotId offset) const noexcept { return blocks[offset / block]; }

        const SlotId count;
        typename B::template array<float> rows;
        typename B::template array<float> inverse_norms;
        Stamps* stamps;
        Block* blocks = nullptr;
        Rest* rests = nullptr;
    };
    struct Place {
        Segment* segment;
        SlotId offset;
    };
    using Geometry = Doubling<Traits::first_segment>;

    /// The first slot of the block behind the one that the slot lies in.
    static SlotId block_behind(SlotId s) {
        const SlotId segment = Geometry::segment_of(s);
        const SlotId begin = Geometry::begin(segment);
        const SlotId size = std::min<SlotId>(block, Geometry::size(segment));
        return begin + ((s - begin) / size + 1) * size;
    }

    Place place(SlotId s) const {
        const SlotId segment = Geometry::segment_of(s);
        // [segment] acquire-load; synchronizes-with the release-CAS in need_segment()
        return {segments_[segment].load(B::acquire(edge::segment)), s - Geometry::begin(segment)};
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
    [[nodiscard]] static std::uint64_t life_at(const Place& p) {
        return B::planted(bug::same_life) ? 0 : p.segment->rests[p.offset].life.get();
    }

    void need_segment(SlotId s) {
        const SlotId segment = Geometry::segment_of(s);
        auto& cell = segments_[segment];
        // relaxed: that it is there is enough; place() reads it with acquire
        if (cell.load(B::relaxed()) != nullptr)
            return;
        Segment* const fresh = B::template make<Segment>(Geometry::begin(segment), Geometry::size(segment), stride_);
        Segment* none = nullptr;
        // [segment] release-CAS; synchronizes-with the acquire-loads of segments_; publishes: the segment
        // relaxed on failure: the other thread's segment is read through the cell again
        if (!cell.compare_exchange_strong(none, fresh, B::release(edge::segment), B::relaxed()))
            B::destroy(fresh);
    }

    /// The predecessor's death becomes the link to s, unless that is done.
    void link(SlotId predecessor, SlotId s) {
        if (predecessor == no_slot)
            return;
        version::Word alive = version::alive;
        if constexpr (B::verifies) {
            const version::Word death = B::newest(stamps(predecessor).death);
            B::verify(!version::is_pending(B::newest(stamps(s).birth)) || death == alive || death == version::link(s),
                      "V5: the predecessor of a PENDING slot lives, or is linked to it");
        }
        // [slot_death] release-CAS; synchronizes-with the acquire-load of death in life_of(); publishes: PENDING of s
        // relaxed on failure: another helper linked it, nothing is read
        stamps(predecessor)
            .death.compare_exchange_strong(alive, version::link(s), B::release(edge::slot_death), B::relaxed());
    }

    /// The slot's version is dead and on its way to limbo: no search of a later time needs to look at it.
    void mark_idle(SlotId s) {
        const Place p = place(s);
        Block& b = p.segment->block_of(p.offset);
        const auto date = [&] {
            // relaxed: this thread has stamped the death or seen its stamp before
            const version::Word death = p.segment->stamps[p.offset].death.load(B::relaxed());
            version::Word latest = b.died.load(B::relaxed()); // relaxed, all: published by the idle bit
            while (latest < death && !b.died.compare_exchange_weak(latest, death, B::relaxed(), B::relaxed())) {
            }
        };
        if (!B::planted(bug::date_late) && !B::planted(bug::undated))
            date();
        // [slot_idle] release-RMW; synchronizes-with the acquire-load in scan(), also through others of the word, which
        // continue its release sequence; publishes: died. The bit was clear, so adding sets it
        b.idle.fetch_add(bit_of(p.offset), B::release(edge::slot_idle));
        if (B::planted(bug::date_late))
            date();
    }

    /// The grace period is over: frees the slot, or says 0 if a search looks at a time at which it lived.
    std::size_t reclaim(Local& local, SlotId s) {
        const Stamps& v = stamps(s);
        // relaxed, both: they were stamped before the slot was retired
        if (watched(local, v.birth.load(B::relaxed()), v.death.load(B::relaxed())))
            return 0;
        free(local, s);
        return stride_ * sizeof(float);
    }

    /// The slot may be used again. Every use of it happened before.
    void free(Local&, SlotId s) {
        const Place p = place(s);
        // [slot_free] release-RMW; synchronizes-with the acquire-CAS in take_free_slots(); publishes: all uses of the
        // slot. The bit was clear, so adding sets it
        p.segment->block_of(p.offset).free.fetch_add(bit_of(p.offset), B::release(edge::slot_free));
    }

    /// Free slots that a leaving participant held ready.
    void give_back(SlotLocal<B, Traits, Local, Entry>& local) noexcept {
        const std::uint64_t free = local.free_slots.get();
        local.free_slots.set(0);
        if (free == 0)
            return;
        Block& b = place(local.free_block.get()).segment->block_of(place(local.free_block.get()).offset);
        // relaxed: there is no death to tell of. The bits were clear, here and below, so adding sets them
        b.idle.fetch_add(free, B::relaxed());
        // [slot_free] release-RMW; synchronizes-with the acquire-CAS in take_free_slots(); publishes: all uses
        b.free.fetch_add(free, B::release(edge::slot_free));
    }

    /// A few free slots of one block for this participant, which has none. Throws std::bad_alloc.
    void take_free_slots(const Guard& guard) {
        Local& local = guard.local();
        SlotId first = local.free_block.get();
        bool turned = false; // the compact part has been looked through since the beginning of this call, from 0 on
        for (;;) {
            if (first >= local.turn_at.get() && !turned) {
                local.turn_at.set(compact_part(guard));
                if (first >= local.turn_at.get()) {
                    first = 0;
                    turned = true;
                }
            }
            if (first >= max_slots)
                throw std::bad_alloc();
            need_segment(first);
            const Place p = place(first);
            Block& b = p.segment->block_of(p.offset);
            // relaxed: only a first guess, the CAS decides
            for (std::uint64_t free = b.free.load(B::relaxed()); free != 0;) {
                std::uint64_t left = free;
                for (std::uint32_t i = 0; i != Traits::fresh_indices; ++i)
                    left &= left - 1;
                // [slot_free] acquire-CAS; synchronizes-with the release-RMW in free(), also through other takes, which
                // continue its release sequence
                // relaxed on failure: as above
                if (!b.free.compare_exchange_weak(free, left, B::acquire(edge::slot_free), B::relaxed()))
                    continue;
                // relaxed: the stamp of a new version passes it on (V6). The bits were set, so subtracting clears them
                b.idle.fetch_add(~(free ^ left) + 1, B::relaxed());
                local.free_block.set(first);
                local.free_slots.set(free ^ left);
                return;
            }
            first += std::min<SlotId>(p.segment->count, block);
        }
    }

    /// So many slots, from 0 on, hold all that are in use, a little limbo and what threads keep ready.
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
    static Life life_of(const Stamps& v) {
        if (B::planted(bug::birth_then_death)) {
            const version::Word birth = v.birth.load(B::acquire(edge::slot_birth)); // [slot_birth] as below
            return {birth, v.death.load(B::acquire(edge::slot_death))};             // [slot_death] as below
        }
        // V4: death before birth.
        // [slot_death] acquire-load; synchronizes-with the release-store in open() and the CASes on death
        const version::Word death = v.death.load(B::acquire(edge::slot_death));
        // [slot_birth] acquire-load; synchronizes-with the CASes on birth
        const version::Word birth = v.birth.load(B::acquire(edge::slot_birth));
        return {birth, death};
    }
    /// VACANT, PENDING and UNSTAMPED are later than any time.
    static bool is_born(version::Word birth, version::Word time) noexcept {
        return B::planted(bug::birth_exclusive) ? birth < time : birth <= time;
    }
    /// ALIVE, links and DEAD_UNSTAMPED are later than any time.
    static bool is_dead(version::Word death, version::Word time) noexcept {
        return B::planted(bug::death_inclusive) ? death < time : death <= time;
    }

    /// Bit i: slot i of the run is visible at `time`.
    std::uint64_t visible_mask(Stamps* run, SlotId n, version::Word time) {
        // Eight slots at a time without branches on what a single slot says: nothing for the branch predictor to learn.
        std::uint64_t mask = 0;
        if (B::planted(bug::time_per_slot)) {
            for (SlotId i = 0; i != n; ++i)
                mask |= static_cast<std::uint64_t>(visible(run[i], clock_.now())) << i;
            return mask;
        }
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
        const auto look = [&](SlotId j) {
            const auto [birth, death] = life_of(eight[j]);
            deaths &= death;
            births |= birth + lift;
        };
        look(0), look(1), look(2), look(3), look(4), look(5), look(6), look(7);
        return deaths == version::alive && (births >> 62 == 0 || B::planted(bug::plain_unborn));
    }

    /// Bit i: slot i of the eight is visible at `time`.
    std::uint32_t visible_of_eight(Stamps* eight, version::Word time) {
        std::uint32_t mask = 0;
        version::Word unfinished = 0; // bit 63: some birth is UNSTAMPED, or some death is a LINK or DEAD_UNSTAMPED
        const auto look = [&](SlotId j) {
            const auto [birth, death] = life_of(eight[j]);
            mask |= static_cast<std::uint32_t>(static_cast<int>(is_born(birth, time)) &
                                               static_cast<int>(!is_dead(death, time)))
                    << j;
            unfinished |= (birth & birth << 2) | (death & (death + 1));
        };
        look(0), look(1), look(2), look(3), look(4), look(5), look(6), look(7); // shifts by constants
        if (unfinished >= version::first_special && !B::planted(bug::eight_unhelped)) [[unlikely]] {
            mask = 0;
            for (SlotId j = 0; j != 8; ++j)
                mask |= std::uint32_t{visible(eight[j], time)} << j;
        }
        return mask;
    }

    /// Any case; helps what is unfinished.
    bool visible(Stamps& v, version::Word time) {
        auto [birth, death] = life_of(v);
        if (version::is_unstamped(birth) && !B::planted(bug::skip_unstamped))
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
            if (B::planted(bug::dead_unstamped_visible))
                return true;
            death = clock_.stamp(v.death, death, edge::slot_death);
            // It may be the death of another life: then this one was over at `time`, or its slot would have been kept.
            // relaxed: another life's death was read with acquire and publishes its VACANT
            return time < death && (B::planted(bug::any_life) || v.birth.load(B::relaxed()) == birth);
        }
        Stamps& successor = stamps(version::successor_of(death));
        // If the successor's slot has gone on to another life, then the successor was born after `time`, and so is
        // whatever comes after it.
        // relaxed: the link was read with acquire and publishes PENDING; what it became since is a value by itself
        version::Word next = successor.birth.load(B::relaxed());
        if (version::is_unstamped(next) && B::planted(bug::link_unstamped_visible))
            return true;
        if (version::is_pending(next) && B::planted(bug::link_pending_dead))
            return false;
        if (version::is_unstamped(next))
            next = clock_.stamp(successor.birth, next, edge::slot_birth);
        return time < next; // PENDING is larger than any time: the successor will be stamped after `time`
    }

    const std::size_t stride_;
    VersionClock<B> clock_;
    SnapshotTimes<B, Traits> times_;
    DepartedCounter<B> departed_; ///< used_slots of participants that have left
    std::array<typename B::template atomic<Segment*>, Geometry::segment_of(max_slots - 1) + 1> segments_;
};

} // namespace hotindex
