// SlotStore: the rows of the lock-free index, each with the version words that make search an atomic snapshot.
//
// A slot holds one version of one vector: its row, its inverse norm, the directory entry it belongs to, the slot that
// it replaced, and two version words (version_clock.hpp). SlotMemory says which slots there are and who has them;
// SlotGroup which of 32 are visible, and, where it cannot tell, Visibility, slot by slot. This file says how a version
// is born, dies, and leaves its slot.
//
// The protocol: multi-version snapshots by helped timestamps, after Wei, Ben-David, Blelloch, Fatourou, Ruppert, Sun,
// "Constant-time snapshots with applications to concurrent data structures", PPoPP 2021, adapted to slots that are used
// again:
//   begin     VACANT; row, norm; ALIVE; PENDING               in this order; the slot is private
//   announce  to the groups of both slots                     see SlotGroup
//   publish   the owner puts the slot into its directory entry
//   birth     link the predecessor, UNSTAMPED, stamp          anyone may help; the link only while PENDING
//   settle    the predecessor's LINK becomes the stamp        before the slot is superseded or removed
//   death     DEAD_UNSTAMPED, stamp                           removal; anyone may help, once it is announced
//   complete  in the groups of both slots                     only who announced
//   visible   at time t: birth <= t < death, helping what is unfinished; death is read before birth
//   retire    the epoch's grace period; then free unless some search's time is in [birth, death)
//
// A search is not pinned: it meets slots that go from life to life under its eyes. What it sees is right, because
//   - a version that lived at its time keeps its slot: what a search reads of it changes only by being finished;
//   - a birth no later than that time happened before the search read the clock. So the search reads that life's death
//     word or a later one (V4). Later lives are born after that time;
//   - a stamp names the life that it is for. When a search has helped to stamp a death, the time it gets counts only if
//     the birth word is still the same.
//
// Invariants (V6, V7: see SlotMemory. W1 to W4: see SlotGroup)
//   V1  a version is stamped before anyone acts on it having been seen: get, supersede, remove help first.
//   V2  a predecessor is linked before its successor can be stamped; so at every time one of the two is visible.
//   V3  a slot is reused only after a grace period that began when its death was a timestamp, and only when no
//       announced time is in its life.
//   V4  ALIVE publishes VACANT: whoever reads the new life's death does not read the old life's birth.
//   V5  a slot is linked only to a successor that is still PENDING, and retired only when no LINK names it any more.
//
// Linearization: an update at the clock tick that stamped it, a snapshot at its load of the clock.
// Progress: a constant number of steps, but for these. acquire() takes free slots or makes a segment, slot_to_move()
// may give one back, completing a change may have to raise `latest` again: lock-free. The scan is bounded by the slots
// at its start: wait-free.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/store/compaction.hpp>
#include <hotindex/store/slot_memory.hpp>
#include <hotindex/store/slot_segment.hpp>
#include <hotindex/store/snapshot_times.hpp>
#include <hotindex/store/version_clock.hpp>
#include <hotindex/store/visibility.hpp>
#include <hotindex/threads/counters.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace hotindex {

template <class B, class Traits, class Local, class Entry>
class SlotStore;

/// What each participant owns of a slot store; the domain's Local derives from it.
template <class B, class Traits, class Local, class Entry>
struct SlotLocal : CompactionLocal<B> {
    explicit SlotLocal(SlotStore<B, Traits, Local, Entry>& s)
        : slots(&s), announcer(s.times_), free_block(0u), free_slots(0u), until_timer(1u), hurried_at(0) {}
    /// Before retired slots and entries are asked whether they can be used again.
    void before_reclaim_pass() { announced.set(slots->times_.announced_range()); }
    void before_unguarded_pass() { announced.set({}); }
    /// A thread takes part. Throws std::bad_alloc.
    void join() { announcer.join(); }
    /// The thread has gone: nothing of the store stays with this participant.
    void leave() noexcept {
        announcer.leave();
        slots->leave(*this);
    }
    [[nodiscard]] bool owns(const void* address) const noexcept { return announcer.owns(address); }

    SlotStore<B, Traits, Local, Entry>* slots;
    typename SnapshotTimes<B, Traits>::Announcer announcer; ///< where this participant's searches announce their times
    typename B::template var<typename SnapshotTimes<B, Traits>::Range> announced; ///< at the beginning of this pass
    typename B::template var<SlotId> free_block;        ///< first slot of the word that these are of:
    typename B::template var<std::uint64_t> free_slots; ///< bit i: slot free_block + i is this participant's, unused
    // What retire() remembers.
    typename B::template var<std::uint32_t> until_timer; ///< retired slots until the time is read
    typename B::template var<std::int64_t> hurried_at;   ///< when it last made the epoch advance before its turn
    OwnedCounter<B> used_slots;                          ///< acquired minus retired by this participant, modulo 2^64
};

template <class B, class Traits, class Local, class Entry>
class SlotStore {
  public:
    using Guard = typename EpochDomain<B, Traits, Local>::Guard;
    using Announcement = typename SnapshotTimes<B, Traits>::Announcement;
    static constexpr SlotId max_slots = SlotGeometry<Traits>::max_slots;

    /// `stride`: floats from row to row.
    explicit SlotStore(std::size_t stride)
        : memory_(stride, clock_), times_(clock_), visibility_(clock_), compaction_(memory_) {}
    SlotStore(const SlotStore&) = delete;
    SlotStore& operator=(const SlotStore&) = delete;
    ~SlotStore() = default;

    /// A slot that is nobody else's, VACANT to every scan. Throws std::bad_alloc.
    [[nodiscard]] SlotId acquire(Local& local) {
        while (local.free_slots.get() == 0)
            if (!memory_.take(local))
                memory_.make_segment();
        return memory_.take_ready(local);
    }
    /// The same, or no_slot where a segment would have to be made.
    [[nodiscard]] SlotId try_acquire(Local& local) {
        return local.free_slots.get() == 0 && !memory_.take(local) ? no_slot : memory_.take_ready(local);
    }

    /// The row to fill between acquire() and begin_version(): `stride` floats.
    [[nodiscard]] float* row_of_new(SlotId s) {
        const SlotRef p = memory_.place(s);
        return p.segment->rows.write(p.offset);
    }

    /// The row is complete: PENDING from now on. The slot is still private.
    void begin_version(SlotId s, float inverse_norm) {
        const SlotRef p = memory_.place(s);
        *p.segment->inverse_norms.write(p.offset) = inverse_norm;
        Words& v = p.segment->words[p.offset];
        // [slot_death] release-store; synchronizes-with the acquire-load of death in life_of(); publishes: VACANT and
        // the row
        v.death.store(version::alive, B::release(edge::slot_death));
        // relaxed: whoever acts on PENDING has the slot from its entry (entry_current); a scan only skips it
        v.birth.store(version::pending(memory_.life_at(p)), B::relaxed());
    }

    /// Before each attempt to publish: which entry it goes into, and which slot it replaces there (or no_slot).
    void set_entry(SlotId s, Entry* entry, SlotId predecessor) {
        const SlotRef p = memory_.place(s);
        p.segment->entries[p.offset].set(entry);
        p.segment->rests[p.offset].predecessor.set(predecessor);
    }

    /// Before the step that publishes it: a birth or a death of that slot. Complete it, or withdraw it (W4).
    void announce_change(SlotId s) { memory_.group(s).group.announce(); }
    /// It was not published.
    void withdraw_change(SlotId s) { memory_.group(s).group.withdraw(); }
    /// It has that stamp. By who announced it, still pinned.
    void complete_birth(SlotId s, version::Word time) {
        const auto [group, number] = memory_.group(s);
        group.complete_birth(number, time);
    }
    void complete_death(SlotId s, version::Word time) {
        const auto [group, number] = memory_.group(s);
        group.complete_death(number, time);
    }
    /// The birth of s and the death of the slot that it replaced.
    void complete_replacement(SlotId s, SlotId old, version::Word time) {
        const auto birth = memory_.group(s);
        const auto death = memory_.group(old);
        if (&birth.group == &death.group)
            return birth.group.complete_replacement(birth.number, death.number, time);
        birth.group.complete_birth(birth.number, time);
        death.group.complete_death(death.number, time);
    }
    /// Births and deaths in the segment of that number that are announced and not complete: a statistic.
    [[nodiscard]] std::uint64_t changes_in_flight(const Guard& guard, std::uint32_t segment) const {
        return memory_.in_flight(guard, segment);
    }

    /// Returns a slot that was never published.
    void discard(Local& local, SlotId s) {
        // relaxed: the slot was never seen by anyone but scans, which skip PENDING as they skip VACANT
        memory_.words(s).birth.store(version::vacant, B::relaxed());
        local.used_slots.add(~std::uint64_t{0});
        memory_.give_back({s / Free::width * Free::width, std::uint64_t{1} << s % Free::width});
    }

    /// Completes the birth of a published slot, whoever began it; returns the timestamp that it has now.
    /// settle: also turns its predecessor's LINK into that timestamp.
    version::Word finish_birth(SlotId s, bool settle) {
        const SlotRef p = memory_.place(s);
        Words& v = p.segment->words[p.offset];
        const SlotId predecessor = p.segment->rests[p.offset].predecessor.get();
        const version::Word pending = version::pending(memory_.life_at(p));
        const version::Word unstamped = version::unstamped(memory_.life_at(p));
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
        if (const SlotRef old = settle ? memory_.find_place(predecessor) : SlotRef{}; old.segment != nullptr) {
            AtomicWord& death = old.segment->words[old.offset].death;
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
    version::Word finish_death(SlotId s) {
        const SlotRef p = memory_.place(s);
        Words& v = p.segment->words[p.offset];
        const version::Word unstamped = version::dead_unstamped(memory_.life_at(p));
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
    [[nodiscard]] version::Word death_time(const Guard&, SlotId s) const {
        return memory_.words(s).death.load(B::relaxed()); // relaxed: this thread has stamped it or seen its stamp
    }

    /// A dead slot, out of its entry, with a timestamp as its death: reused after the grace period, when no search
    /// looks at a time at which it lived.
    void retire(const Guard& guard, SlotId s) {
        guard.local().used_slots.add(~std::uint64_t{0});
        const SlotRef p = memory_.place(s);
        Rest& r = p.segment->rests[p.offset];
        if constexpr (B::verifies) {
            B::verify(version::is_timestamp(B::newest(p.segment->words[p.offset].death)),
                      "V3: a retired slot's death is a timestamp");
            const SlotRef old = memory_.find_place(r.predecessor.get());
            B::verify(old.segment == nullptr || B::newest(old.segment->words[old.offset].death) != version::link(s),
                      "V5: no LINK names a retired slot");
        }
        guard.retire(
            &r,
            [](Retirable<B, Local>* object, Local& local) {
                return local.slots->reclaim(local, static_cast<Rest*>(object)->self.get());
            },
            stride() * sizeof(float), retire_weight(guard.local()));
    }

    /// A time for a search, announced until the result is destroyed. Throws std::bad_alloc, and only if the participant
    /// has another one.
    [[nodiscard]] Announcement announce(Local& local) const { return Announcement(local.announcer); }
    /// Does a search look at a time in [birth, death)? To be asked in a pass of the domain over its limbo, of what died
    /// before it was retired.
    [[nodiscard]] bool watched(const Local& local, version::Word birth, version::Word death) const {
        return times_.watched(local.announced.get(), birth, death);
    }
    /// Searches and snapshots that there are at this moment.
    [[nodiscard]] std::uint64_t announced() const { return times_.announced(); }

    /// See Compaction.
    [[nodiscard]] SlotId slot_to_move(const Guard& guard, bool after_removal) {
        return compaction_.slot_to_move(guard, after_removal);
    }
    [[nodiscard]] bool is_compact(const Guard& guard, SlotId s) const { return compaction_.is_compact(guard, s); }
    void trim(const Guard& guard, std::uint32_t n) { compaction_.trim(guard, n); }
    /// Segments have numbers below this one.
    [[nodiscard]] std::uint32_t segment_count() const { return memory_.segment_count(); }
    /// A participant leaves.
    void leave(SlotLocal<B, Traits, Local, Entry>& local) noexcept {
        memory_.give_back_ready(local);
        compaction_.take_over(local.used_slots);
    }

    /// The row of a slot that the guard keeps: `stride` floats.
    [[nodiscard]] const float* row(const Guard&, SlotId s) const {
        const SlotRef p = memory_.place(s);
        return p.segment->rows.read(p.offset);
    }
    /// The inverse norm of a slot that the guard keeps.
    [[nodiscard]] float inverse_norm(const Guard&, SlotId s) const {
        const SlotRef p = memory_.place(s);
        return *p.segment->inverse_norms.read(p.offset);
    }
    /// The entry of a slot that the guard keeps.
    [[nodiscard]] Entry* entry(const Guard&, SlotId s) const { return entry_of(s); }
    /// The entry of a slot that is visible at the announced time.
    [[nodiscard]] Entry* entry(const Announcement&, SlotId s) const { return entry_of(s); }

    [[nodiscard]] version::Word now() const { return clock_.now(); }
    /// Every slot that is visible at a time taken before this call is below.
    [[nodiscard]] SlotId slot_count() const { return memory_.slot_count(); }
    /// Bytes of all segments that are there.
    [[nodiscard]] std::uint64_t bytes() const { return memory_.bytes(); }
    [[nodiscard]] std::size_t stride() const noexcept { return memory_.stride(); }

    /// Calls use(first slot, rows, inverse norms, slots, mask) for each run of at most 64 slots below `count`, where
    /// bit i of the mask says whether slot first + i is visible at the announced time. Runs without a visible slot are
    /// left out.
    template <class Use>
    void scan(const Announcement& announcement, SlotId count, Use use) {
        const version::Word time = announcement.time();
        std::uint32_t number = 0;
        for (SlotId first = 0; first < count; ++number, first = memory_.geometry().begin(number)) {
            const Segment* const segment = memory_.find_segment(number, time);
            if (segment == nullptr)
                continue; // V7: nothing in it lived at `time`
            const SlotId here = segment->count;
            for (SlotId offset = 0; offset < here; offset += slots_per_block) {
                const SlotId n = std::min<SlotId>(slots_per_block, here - offset);
                const std::uint64_t mask = visible_slots(*segment, offset, n, time);
                if (mask != 0)
                    use(first + offset, segment->rows.read_some(offset, mask),
                        segment->inverse_norms.read_some(offset, mask), n, mask);
            }
        }
    }

  private:
    friend struct SlotLocal<B, Traits, Local, Entry>;
    using AtomicWord = typename VersionClock<B>::AtomicWord;
    using Memory = SlotMemory<B, Traits, Local, Entry>;
    using Segment = typename Memory::Segment;
    using SlotRef = typename Memory::SlotRef;
    using Words = typename Memory::Words;
    using Rest = typename Memory::Rest;
    using Group = typename Memory::Group;
    using Free = typename Memory::Free;

    /// As many retires as a slot counts; so many that the epoch is advanced, if that is due by time.
    [[nodiscard]] static std::uint32_t retire_weight(Local& local) {
        if constexpr (Traits::slots_per_timer != 0) {
            const std::uint32_t left = local.until_timer.get() - 1;
            local.until_timer.set(left);
            if (left == 0) {
                local.until_timer.set(Traits::slots_per_timer);
                const std::int64_t now = B::read_timer_us();
                if (now - local.hurried_at.get() >= Traits::slot_wait_us) {
                    local.hurried_at.set(now);
                    return Traits::retires_per_advance;
                }
            }
        }
        return Traits::slot_retire_weight;
    }

    [[nodiscard]] Entry* entry_of(SlotId s) const {
        const SlotRef p = memory_.place(s);
        return p.segment->entries[p.offset].get();
    }

    /// Bit i: slot `offset` + i of the segment, of n, is visible at `time`.
    [[nodiscard, gnu::always_inline]] std::uint64_t visible_slots(const Segment& segment, SlotId offset, SlotId n,
                                                                  version::Word time) {
        const Group* const groups = &segment.group_of(offset);
        const auto low = groups[0].look(time);
        const auto high = n > slots_per_group ? groups[1].look(time) : typename Group::Look{};
        if (low.exact && high.exact) [[likely]]
            return low.visible | std::uint64_t{high.visible} << slots_per_group;
        return ask_slots(&segment.words[offset], n, time, low, high);
    }
    /// The same, where one of the groups at least cannot tell.
    // Not inlined: it is seldom needed.
    [[nodiscard, gnu::noinline]] std::uint64_t ask_slots(Words* run, SlotId n, version::Word time,
                                                         typename Group::Look low, typename Group::Look high) {
        const Successor successor{memory_};
        const std::uint64_t first =
            low.exact ? low.visible : visibility_.mask(run, std::min(n, slots_per_group), time, successor);
        const std::uint64_t second =
            high.exact ? high.visible : visibility_.mask(run + slots_per_group, n - slots_per_group, time, successor);
        return first | second << slots_per_group;
    }

    /// The predecessor's death becomes the link to s, unless that is done.
    void link(SlotId predecessor, SlotId s) {
        const SlotRef old = memory_.find_place(predecessor); // no_slot has none
        if (old.segment == nullptr)
            return;
        AtomicWord& word = old.segment->words[old.offset].death;
        version::Word alive = version::alive;
        if constexpr (B::verifies) {
            const version::Word death = B::newest(word);
            B::verify(!version::is_pending(B::newest(memory_.words(s).birth)) || death == alive ||
                          death == version::link(s),
                      "V5: the predecessor of a PENDING slot lives, or is linked to it");
        }
        // [slot_death] release-CAS; synchronizes-with the acquire-load of death in life_of(); publishes: PENDING of s
        // relaxed on failure: another helper linked it, nothing is read
        word.compare_exchange_strong(alive, version::link(s), B::release(edge::slot_death), B::relaxed());
    }

    /// The grace period is over: frees the slot, or says 0 if a search looks at a time at which it lived.
    std::size_t reclaim(Local& local, SlotId s) {
        const Words& v = memory_.words(s);
        // relaxed, both: they were stamped before the slot was retired
        if (watched(local, v.birth.load(B::relaxed()), v.death.load(B::relaxed())))
            return 0;
        memory_.put(s);
        return stride() * sizeof(float);
    }

    /// Gives Visibility the version words of a slot that a LINK names; nullptr where its segment is gone, or all that
    /// was ever born there was born after `time`.
    struct Successor {
        [[nodiscard]] Words* operator()(SlotId s, version::Word time) const {
            const std::uint32_t number = memory.geometry().segment_of(s);
            const Segment* const segment = memory.find_segment(number, time);
            return segment == nullptr ? nullptr : &segment->words[s - memory.geometry().begin(number)];
        }
        const Memory& memory;
    };

    VersionClock<B> clock_;
    Memory memory_;
    SnapshotTimes<B, Traits> times_;
    Visibility<B> visibility_;
    Compaction<B, Traits, Local, Entry> compaction_;
};

} // namespace hotindex
