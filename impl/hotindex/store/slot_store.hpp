// SlotStore: the rows of the lock-free index, each with the version words that make search an atomic snapshot.
//
// A slot holds one version of one vector: its row, its inverse norm, the directory entry it belongs to, and two version
// words (version_clock.hpp). SlotMemory says which slots there are and who has them; SlotGroup which of 16 are visible;
// and, where it cannot tell, Visibility, slot by slot. This file says how a version is born, dies, and leaves its slot.
//
// The protocol: multi-version snapshots by helped timestamps, after Wei, Ben-David, Blelloch, Fatourou, Ruppert, Sun,
// "Constant-time snapshots with applications to concurrent data structures", PPoPP 2021, with announced changes in
// place of version lists, for slots that are used again:
//   begin     PENDING; row, norm; ALIVE                    in this order; the slot is private
//   announce  what is born, what dies                      see AnnouncedChanges
//   publish   the owner puts the slot into its directory entry, or marks the entry as removed
//   finish    mark, tick of the clock, stamp               anyone who finds it published may help
//   complete  the replaced version's death; the groups     only who announced
//   end       of the announcement
//   visible   at time t: birth <= t < death, helping what was announced and is not finished
//   retire    the epoch's grace period; then free unless some search's time is in [birth, death)
//
// A replacement is one change: the stamp of the new version's birth is the old one's death, too. A search between the
// two finds the change announced, and asks the new version when the old one died.
//
// A search is not pinned: it meets slots that go from life to life under its eyes. What it sees is right, because
//   - a version that lived at its time keeps its slot: what a search reads of it changes only by being finished;
//   - a birth no later than that time happened before the search read the clock. So the search reads that life's death
//     word or a later one (V4). Later lives are born after that time;
//   - a stamp names the life that it is for.
//
// Invariants (V6, V7: see SlotMemory. W1 to W3: see SlotGroup. A1 to A4: see AnnouncedChanges)
//   V1  a version is stamped before anyone acts on it having been seen: get, replace, remove help first.
//   V2  the mark of a change comes before each tick for it. So who has that time, and finds the change announced and
//       not marked, knows that it is for a later time.
//   V3  the slot of a version that was published is reused only after a grace period that began when its death was a
//       timestamp, and only when no announced time is in its life. One that was never published is free when its
//       announcement has ended (A3).
//   V4  ALIVE publishes PENDING: whoever reads the new life's death does not read the old life's birth.
//
// Linearization: an update at the clock tick that stamped it, a snapshot at its load of the clock.
// Progress: a constant number of steps, but for these. acquire() takes free slots or makes a segment, slot_to_move()
// may give one back, adding a change to its group is repeated where another was added: lock-free. The scan is bounded
// by the slots at its start, and by the participants that have changed slots and not left: wait-free.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/store/announced_changes.hpp>
#include <hotindex/store/compaction.hpp>
#include <hotindex/store/decided_slots.hpp>
#include <hotindex/store/slot_memory.hpp>
#include <hotindex/store/slot_segment.hpp>
#include <hotindex/store/snapshot_times.hpp>
#include <hotindex/store/version_clock.hpp>
#include <hotindex/store/visibility.hpp>
#include <hotindex/threads/counters.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace hotindex {

template <class B, class Traits, class Local, class Entry>
class SlotStore;

/// What each participant owns of a slot store; the domain's Local derives from it.
template <class B, class Traits, class Local, class Entry>
struct SlotLocal : CompactionLocal<B> {
    explicit SlotLocal(SlotStore<B, Traits, Local, Entry>& s)
        : slots(&s), announcer(s.times_), changes(s.changes_), free_block(0u), free_slots(0u), slots_at_hand(0u),
          fast(Traits::slots_per_timer == 0), until_timer(1u), timed_at(0), hurried_at(0) {}
    /// Before retired slots and entries are asked whether they can be used again.
    void before_reclaim_pass() { announced.set(slots->times_.announced_range()); }
    void before_unguarded_pass() { announced.set({}); }
    /// A thread takes part. Throws std::bad_alloc.
    void join() { announcer.join(); }
    /// The thread has gone: nothing of the store stays with this participant.
    void leave() noexcept {
        announcer.leave();
        changes.leave();
        slots->leave(*this);
        fast.set(Traits::slots_per_timer == 0);
        std::vector<SlotChange>().swap(found_changes);
        DecidedSlots().swap(decided);
    }
    [[nodiscard]] bool owns(const void* address) const noexcept { return announcer.owns(address); }

    SlotStore<B, Traits, Local, Entry>* slots;
    typename SnapshotTimes<B, Traits>::Announcer announcer;  ///< where this participant's searches announce their times
    typename AnnouncedChanges<B, Traits>::Announcer changes; ///< where it announces what it changes
    typename B::template var<typename SnapshotTimes<B, Traits>::Range> announced; ///< at the beginning of this pass
    typename B::template var<SlotId> free_block;           ///< first slot of the word that these are of:
    typename B::template var<std::uint64_t> free_slots;    ///< bit i: slot free_block + i is this participant's, unused
    typename B::template var<std::uint32_t> slots_at_hand; ///< so many of these it reclaimed itself, and will use:
    std::array<typename B::template var<SlotId>, Traits::slots_at_hand> at_hand;
    // What retire() remembers.
    typename B::template var<bool> fast;                 ///< it retires so many slots that it uses its own again
    typename B::template var<std::uint32_t> until_timer; ///< retired slots until the time is read
    typename B::template var<std::int64_t> timed_at;     ///< when it was read last
    typename B::template var<std::int64_t> hurried_at;   ///< when it last made the epoch advance before its turn
    OwnedCounter<B> used_slots;                          ///< acquired minus retired by this participant, modulo 2^64
    // Memory that searches reuse.
    std::vector<SlotChange> found_changes;
    DecidedSlots decided;
};

template <class B, class Traits, class Local, class Entry>
class SlotStore {
  public:
    using Guard = typename EpochDomain<B, Traits, Local>::Guard;
    using Slot = typename SlotMemory<B, Traits, Local, Entry>::Slot;
    static constexpr SlotId max_slots = SlotGeometry<Traits>::max_slots;

    /// `stride`: floats from row to row.
    explicit SlotStore(std::size_t stride) : memory_(stride, clock_), times_(clock_), compaction_(memory_) {}
    SlotStore(const SlotStore&) = delete;
    SlotStore& operator=(const SlotStore&) = delete;
    ~SlotStore() = default;

    /// A slot that is nobody else's, PENDING in a new life. Throws std::bad_alloc.
    [[nodiscard]] Slot acquire(Local& local) {
        while (!memory_.has_ready(local))
            if (!memory_.take(local))
                memory_.make_segment();
        return memory_.take_ready(local);
    }
    /// The same, or nowhere if a segment would have to be made.
    [[nodiscard]] Slot try_acquire(Local& local) {
        return !memory_.has_ready(local) && !memory_.take(local) ? Slot{} : memory_.take_ready(local);
    }

    /// The row to fill between acquire() and begin_version(): `stride` floats.
    [[nodiscard]] static float* row_of_new(Slot s) { return s.segment->rows.write(s.offset); }

    /// The row is complete, and the version ALIVE. The slot is still private.
    static void begin_version(Slot s, float inverse_norm) {
        *s.segment->inverse_norms.write(s.offset) = inverse_norm;
        Words& v = s.words();
        // relaxed: this thread's
        const version::Word number = v.birth.load(B::relaxed());
        // [slot_death] release-store; synchronizes-with the acquire-load of death in life_of(); publishes: PENDING
        v.death.store(version::alive(number), B::release(edge::slot_death));
    }

    /// Another row for a version that is there. Nobody else reads rows.
    static void unguarded_overwrite(Slot s, std::span<const float> row, float inverse_norm) {
        std::copy(row.begin(), row.end(), s.segment->rows.write(s.offset)); // what fills the stride up stays
        *s.segment->inverse_norms.write(s.offset) = inverse_norm;
    }

    /// Before each attempt to publish: which entry it goes into.
    static void set_entry(Slot s, Entry* entry) { s.segment->entries[s.offset].set(entry); }

    /// The participant is going to change slots. Before it is pinned. Throws std::bad_alloc.
    void join_changes(Local& local) { local.changes.join(); }
    /// Before the step that publishes it. Complete it, or withdraw it.
    void announce_change(Local& local, SlotChange c) { local.changes.announce(c); }
    /// It was not published. Before a slot that was to be born is discarded.
    void withdraw_change(Local& local) { local.changes.end(); }
    /// It was published: stamps it, whoever began that, adds it to the groups, and ends its announcement; returns its
    /// time. By who announced it, still pinned.
    version::Word complete_birth(Local& local, Slot s) {
        const version::Word time = finish_birth(s);
        s.group().add(s.bit(), time);
        local.changes.end();
        return time;
    }
    version::Word complete_death(Local& local, Slot s) {
        const version::Word time = finish_death(s);
        s.group().add(s.bit(), time);
        local.changes.end();
        return time;
    }
    /// The birth of s and the death of the slot that it replaced.
    version::Word complete_replacement(Local& local, Slot s, Slot old) {
        const version::Word time = finish_birth(s);
        // [slot_death] release-store; synchronizes-with the acquire-load of death in life_of(); publishes: ALIVE, and
        // with it PENDING
        old.words().death.store(time, B::release(edge::slot_death));
        Group& birth = s.group();
        Group& death = old.group();
        if (&birth == &death) {
            birth.add(s.bit() | old.bit(), time);
        } else {
            birth.add(s.bit(), time);
            death.add(old.bit(), time);
        }
        local.changes.end();
        return time;
    }
    /// Changes that are announced at this moment.
    [[nodiscard]] std::uint64_t changes_announced() const { return changes_.count(); }

    /// Returns a slot that was never published, and is not announced.
    void discard(Local& local, Slot s) {
        local.used_slots.add(~std::uint64_t{0});
        const SlotId id = s.id();
        memory_.give_back({id / Free::width * Free::width, std::uint64_t{1} << id % Free::width});
    }

    /// Completes the birth of a published slot, whoever began it; returns the timestamp that it has now.
    version::Word finish_birth(Slot s) { return finish(s.words().birth, s.rest().marks.birth, edge::slot_birth); }
    /// Completes the death of a removed slot, whoever began it; returns the timestamp that it has now.
    version::Word finish_death(Slot s) { return finish(s.words().death, s.rest().marks.death, edge::slot_death); }
    /// The time at which a version was born that this thread has finished.
    [[nodiscard]] static version::Word birth_time(const Guard&, Slot s) {
        return s.words().birth.load(B::relaxed()); // relaxed: this thread has stamped it or seen its stamp
    }
    /// The time at which a version died whose death is stamped, as this thread knows.
    [[nodiscard]] static version::Word death_time(const Guard&, Slot s) {
        return s.words().death.load(B::relaxed()); // relaxed: this thread has stamped it or seen its stamp
    }

    /// A dead slot, out of its entry, with a timestamp as its death: reused after the grace period, when no search
    /// looks at a time at which it lived.
    void retire(const Guard& guard, Slot s) {
        guard.local().used_slots.add(~std::uint64_t{0});
        if constexpr (B::verifies)
            B::verify(version::is_timestamp(B::newest(s.words().death)), "V3: a retired slot's death is a timestamp");
        guard.retire(
            &s.rest(),
            [](Retirable<B, Local>* object, Local& local) {
                return local.slots->reclaim(local, static_cast<Rest*>(object)->self.get());
            },
            stride() * sizeof(float), retire_weight(guard.local()));
    }

    /// What a search knows before it looks at slots: a time, announced until this is destroyed, and which of the slots
    /// that were changing then are visible at that time. Stays on its thread, and ends before the participant leaves.
    class View {
      public:
        View(View&& other) noexcept
            : announcement_(std::move(other.announcement_)), local_(std::exchange(other.local_, nullptr)),
              decided_(std::move(other.decided_)) {}
        View& operator=(View&&) = delete;
        View(const View&) = delete;
        View& operator=(const View&) = delete;
        ~View() {
            if (local_ != nullptr)
                local_->decided.swap(decided_);
        }
        [[nodiscard]] version::Word time() const noexcept { return announcement_.time(); }

      private:
        friend class SlotStore;
        explicit View(Local& local) : announcement_(local.announcer), local_(&local) {
            decided_.swap(local.decided);
            decided_.clear();
        }
        typename SnapshotTimes<B, Traits>::Announcement announcement_;
        Local* local_; ///< whose memory the decided slots are in
        DecidedSlots decided_;
    };
    /// Throws std::bad_alloc, and only if the participant has another one, or more slots than ever before are changing.
    [[nodiscard]] View view(Local& local) {
        View view(local);
        decide(view, local.found_changes);
        return view;
    }
    /// Does a search look at a time in [birth, death)? To be asked in a pass of the domain over its limbo, of what died
    /// before it was retired.
    [[nodiscard]] bool watched(const Local& local, version::Word birth, version::Word death) const {
        return times_.watched(local.announced.get(), birth, death);
    }
    /// Searches and snapshots that there are at this moment.
    [[nodiscard]] std::uint64_t announced() const { return times_.announced(); }

    /// See Compaction, both.
    [[nodiscard, gnu::always_inline]] static bool move_is_due(const Guard& guard) {
        return Compaction<B, Traits, Local, Entry>::is_due(guard);
    }
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

    /// The slot with that number, which a guard keeps.
    [[nodiscard]] Slot at(SlotId s) const { return memory_.at(s); }
    /// The row of a slot that the guard keeps: `stride` floats.
    [[nodiscard]] static const float* row(const Guard&, Slot s) { return s.segment->rows.read(s.offset); }
    /// The inverse norm of a slot that the guard keeps.
    [[nodiscard]] static float inverse_norm(const Guard&, Slot s) { return *s.segment->inverse_norms.read(s.offset); }
    /// The entry of a slot that the guard keeps.
    [[nodiscard]] static Entry* entry(const Guard&, Slot s) { return s.segment->entries[s.offset].get(); }
    /// The entry of a slot that is visible at the view's time.
    [[nodiscard]] Entry* entry(const View&, SlotId s) const {
        const Slot slot = memory_.at(s);
        return slot.segment->entries[slot.offset].get();
    }

    [[nodiscard]] version::Word now() const { return clock_.now(); }
    /// Every slot that is visible at a time taken before this call is below.
    [[nodiscard]] SlotId slot_count() const { return memory_.slot_count(); }
    /// Bytes of all segments that are there.
    [[nodiscard]] std::uint64_t bytes() const { return memory_.bytes(); }
    /// Of these, what is rows.
    [[nodiscard]] std::uint64_t row_bytes() const { return memory_.present() * stride() * sizeof(float); }
    [[nodiscard]] std::size_t stride() const noexcept { return memory_.stride(); }

    /// Calls use(first slot, rows, inverse norms, slots, mask) for each run of at most 64 slots below `count`, where
    /// bit i of the mask says whether slot first + i is visible at the view's time. Runs without a visible slot are
    /// left out.
    template <class Use>
    void scan(const View& view, SlotId count, Use use) const {
        const version::Word time = view.time();
        DecidedSlots::Walk decided(view.decided_);
        std::uint32_t number = 0;
        for (SlotId first = 0; first < count; ++number, first = memory_.geometry().begin(number)) {
            const Segment* const segment = memory_.find_segment(number, time);
            if (segment == nullptr)
                continue; // V7: nothing in it lived at `time`
            const SlotId here = segment->count;
            for (SlotId offset = 0; offset < here; offset += slots_per_block) {
                const SlotId n = std::min<SlotId>(slots_per_block, here - offset);
                const std::uint64_t mask = decided.corrected(first + offset, visible_slots(*segment, offset, n, time));
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
    using Words = typename Memory::Words;
    using Rest = typename Memory::Rest;
    using Group = typename Memory::Group;
    using Free = typename Memory::Free;

    /// As many retires as a slot counts; so many that the epoch is advanced, if that is due by time.
    [[nodiscard]] std::uint32_t retire_weight(Local& local) {
        if constexpr (Traits::slots_per_timer != 0) {
            const std::uint32_t left = local.until_timer.get() - 1;
            local.until_timer.set(left);
            if (left == 0) [[unlikely]]
                return timed_weight(local);
        }
        return Traits::slot_retire_weight;
    }
    // Not inlined: what is seldom needs registers that every update would save.
    [[nodiscard, gnu::noinline]] std::uint32_t timed_weight(Local& local) {
        local.until_timer.set(Traits::slots_per_timer);
        const std::int64_t now = B::read_timer_us();
        const bool fast = now - local.timed_at.get() < Traits::fast_us;
        local.timed_at.set(now);
        local.fast.set(fast);
        if (fast)
            return Traits::slot_retire_weight;
        memory_.give_back_ready(local);
        if (now - local.hurried_at.get() < Traits::slot_wait_us)
            return Traits::slot_retire_weight;
        local.hurried_at.set(now);
        return Traits::retires_per_advance;
    }

    /// Replaces what waits for its time by a time, unless that was done. Of a published change.
    version::Word finish(AtomicWord& word, AtomicWord& mark, edge e) {
        // [slot_birth] [slot_death] acquire-load; synchronizes-with the CAS in VersionClock::stamp()
        const version::Word found = word.load(B::acquire(e));
        if (version::is_timestamp(found))
            return found;
        // [slot_mark] release-store; synchronizes-with the acquire-load in ChangingSlots::helped(); publishes: that the
        // change is announced. Whoever helps stores the same: it is pinned, so the slot stays in this life (V3)
        mark.store(found, B::release(edge::slot_mark));
        return clock_.stamp(word, found, e);
    }

    /// Finds out which of the slots that are announced at this moment are visible at the view's time.
    void decide(View& view, std::vector<SlotChange>& changes) {
        changes.clear();
        changes_.find(changes);
        if (changes.empty()) [[likely]]
            return;
        const auto find = [this](SlotId s, version::Word time) { return memory_.find(s, time); };
        ChangingSlots changing(clock_, view.time(), changes, find);
        for (const SlotChange& c : changes)
            for (const SlotId s : {c.born, c.died})
                if (s != no_slot) {
                    const SlotId number =
                        (s - memory_.geometry().begin(memory_.geometry().segment_of(s))) % slots_per_block;
                    view.decided_.decide(s - number, number, changing.visible(s));
                }
    }

    /// Bit i: slot `offset` + i of the segment, of n, is visible at `time`, if it is not decided apart.
    [[nodiscard, gnu::always_inline]] static std::uint64_t visible_slots(const Segment& segment, SlotId offset,
                                                                         SlotId n, version::Word time) {
        const Group* const groups = &segment.group_of(offset);
        const std::uint64_t limit = Group::limit(time);
        if (n == slots_per_block) [[likely]] {
            const std::uint64_t a = groups[0].look(), b = groups[1].look(), c = groups[2].look(), d = groups[3].look();
            const std::uint64_t inexact = Group::inexact(a, limit) | Group::inexact(b, limit) |
                                          Group::inexact(c, limit) | Group::inexact(d, limit);
            if (inexact >> 63 == 0) [[likely]]
                return Group::visible(a) | Group::visible(b) << slots_per_group |
                       Group::visible(c) << 2 * slots_per_group | Group::visible(d) << 3 * slots_per_group;
        }
        return ask_groups(groups, &segment.words[offset], n, time);
    }
    /// The same, where one of the groups at least cannot tell.
    // Not inlined: it is seldom needed.
    [[nodiscard, gnu::noinline]] static std::uint64_t ask_groups(const Group* groups, const Words* run, SlotId n,
                                                                 version::Word time) {
        std::uint64_t mask = 0;
        for (SlotId first = 0; first < n; first += slots_per_group) {
            const std::uint64_t look = groups[first / slots_per_group].look();
            const std::uint64_t visible =
                Group::inexact(look, Group::limit(time)) >> 63 == 0
                    ? Group::visible(look)
                    : Visibility<B>::mask(run + first, std::min(n - first, slots_per_group), time);
            mask |= visible << first;
        }
        return mask;
    }

    /// The grace period is over: frees the slot, or says 0 if a search looks at a time at which it lived.
    std::size_t reclaim(Local& local, SlotId s) {
        const Words& v = memory_.at(s).words();
        // relaxed, both: they were stamped before the slot was retired
        if (watched(local, v.birth.load(B::relaxed()), v.death.load(B::relaxed())))
            return 0;
        memory_.put(local, s);
        return stride() * sizeof(float);
    }

    VersionClock<B> clock_;
    Memory memory_;
    SnapshotTimes<B, Traits> times_;
    AnnouncedChanges<B, Traits> changes_;
    Compaction<B, Traits, Local, Entry> compaction_;
};

} // namespace hotindex
