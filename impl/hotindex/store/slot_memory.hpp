// SlotMemory: which slots there are, and who has them.
//
// Slots lie in segments (see SlotSegment). An IndexSet says which are free, and gives the lowest ones first; a thread
// takes a few at once, and holds them ready. So the slots in use lie close together. A thread that updates fast has the
// slots at hand that it reclaims itself, and uses them again without a way through the set: a few, in the compact part,
// and in the first small segments. So whoever rests keeps these, and no large one. Which slots are visible, a SlotGroup
// says for 16 at a time: so a search skips a block of dead versions after four loads, however many of them a stalled
// search keeps.
//
// The numbers of segments that are not there lie in an IndexSet, too: only the thread that took a number makes that
// segment. A segment in which all slots are free is taken out, and given back when no search of an earlier time can be
// looking into it.
//
// Invariants (numbered with those of slot_store.hpp)
//   V6  a slot of a segment that is there is free, or one thread holds it ready, or it is in use, or in limbo. While it
//       is free or ready, none of its changes is announced (A3, A4).
//   V7  a segment is taken out by the thread that holds all of its slots, and freed after a grace period, when no
//       announced time lies between two times: the clock as its maker read it, and the tick after it was taken out.
//       Whoever reads a later time sees that it is gone; whoever has an earlier one sees when it was made, and does not
//       look into it.
// Progress: lock-free. Taking and putting are those of IndexSet; making and giving back a segment is bounded by its
// size; bytes() looks at each segment; everything else takes a constant number of steps.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/memory/index_set.hpp>
#include <hotindex/memory/segmented_array.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>
#include <hotindex/store/slot_segment.hpp>
#include <hotindex/store/version_clock.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

namespace hotindex {

template <class B, class Traits, class Local, class Entry>
class SlotMemory {
  public:
    using Guard = typename EpochDomain<B, Traits, Local>::Guard;
    using Segment = SlotSegment<B, Local, Entry>;
    using Words = VersionWords<B>;
    using Rest = typename Segment::Rest;
    using Group = typename Segment::Group;
    using Free = IndexSet<B, Traits>;

    using Slot = SlotRef<Segment>;

    /// `stride`: floats from row to row.
    SlotMemory(std::size_t stride, VersionClock<B>& clock)
        : stride_(stride), geometry_(stride * sizeof(float)),
          slots_at_once_(static_cast<SlotId>(
              std::clamp<std::size_t>(Traits::ready_bytes / (stride * sizeof(float)), 1, Traits::fresh_indices))),
          most_at_hand_(static_cast<std::uint32_t>(
              std::min<std::size_t>(Traits::ready_bytes / (stride * sizeof(float)), Traits::slots_at_hand))),
          clock_(clock), numbered_(0u), present_(0) {}
    SlotMemory(const SlotMemory&) = delete;
    SlotMemory& operator=(const SlotMemory&) = delete;
    ~SlotMemory() {
        for (std::uint32_t n = 0; n != segment_count(); ++n)
            // relaxed: destruction overlaps with nothing
            if (Segment* const segment = directory_.at(n).segment.load(B::relaxed()); segment != nullptr)
                B::destroy(segment);
    }

    [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
    [[nodiscard]] const SlotGeometry<Traits>& geometry() const noexcept { return geometry_; }
    /// Segments have numbers below this one.
    [[nodiscard]] std::uint32_t segment_count() const {
        return numbered_.load(B::relaxed()); // relaxed: segments that are being made are not empty
    }
    /// Every slot that is visible at a time taken before this call is below.
    [[nodiscard]] SlotId slot_count() const {
        // relaxed: who stamped a version at that time knew its segment, so the clock passes it on
        return geometry_.begin(numbered_.load(B::relaxed()));
    }
    /// Slots of all segments that are there: a hint.
    [[nodiscard]] std::uint64_t present() const { return present_.load(B::relaxed()); } // relaxed: a statistic
    /// Bytes of all segments that are there.
    [[nodiscard]] std::uint64_t bytes() const {
        std::uint64_t sum = 0;
        for (std::uint32_t n = 0; n != segment_count(); ++n)
            if (find_segment(n) != nullptr)
                sum += Segment::bytes_of(geometry_.size(n), stride_);
        return sum;
    }

    /// The participant has reclaimed a slot: it has it at hand, or the slot is free for everybody.
    void put(Local& local, SlotId s) {
        const std::uint32_t n = local.slots_at_hand.get();
        if (local.fast.get() && n < most_at_hand_ && s < local.compact.get() && s < geometry_.small_part()) {
            local.at_hand[n].set(s);
            local.slots_at_hand.set(n + 1);
        } else {
            free_.put(s);
        }
    }

    /// One of the slots that this participant holds ready, which has some; PENDING in a new life.
    [[nodiscard]] Slot take_ready(Local& local) {
        local.used_slots.add(1);
        Slot slot;
        // Those from the set first: they may lie anywhere, and are not to be kept for long.
        if (const std::uint64_t free = local.free_slots.get(); free != 0) {
            local.free_slots.set(free & (free - 1));
            slot = at(local.free_block.get() + static_cast<SlotId>(std::countr_zero(free)));
        } else {
            const std::uint32_t n = local.slots_at_hand.get() - 1;
            local.slots_at_hand.set(n);
            slot = at(local.at_hand[n].get());
        }
        Words& v = slot.words();
        // relaxed, both: this thread's now
        const version::Word last = v.birth.load(B::relaxed());
        // What was stamped was marked before, with the number of its life.
        const version::Word number = version::is_timestamp(last) ? slot.rest().marks.birth.load(B::relaxed()) : last;
        // [slot_birth] release-store; synchronizes-with the acquire-load in ChangingSlots::birth_of(); publishes: that
        // the last life is over, and everything before that
        v.birth.store(version::pending(number + 1), B::release(edge::slot_birth));
        return slot;
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
        // [segment] acquire-load; synchronizes-with the release-stores in fill_segment() and release_segment()
        Segment* const segment = listed->segment.load(B::acquire(edge::segment));
        // [segment] acquire-load; synchronizes-with the release-store in fill_segment(). It may be of the segment that
        // came after this one: then this one is gone, and all changes of what lived there are complete
        return segment == nullptr || listed->made.load(B::acquire(edge::segment)) > time ? nullptr : segment;
    }
    /// A slot that the caller holds, or that somebody else has published to it.
    // Inlined by force: every update asks for two.
    [[nodiscard, gnu::always_inline]] Slot at(SlotId s) const {
        // relaxed: the slot's number came through the set of free slots, an entry or limbo, each with an edge from who
        // had it before; the first of those had it from who made the segment (index_set). Or a search has found it
        // visible, in a segment that it had found with acquire
        Segment* const segment = directory_.at(geometry_.segment_of(s)).segment.load(B::relaxed());
        return {segment, s - segment->first};
    }
    /// For a search: nowhere, where its segment is gone, or all that was ever born there was born after `time`.
    [[nodiscard]] Slot find(SlotId s, version::Word time) const {
        const std::uint32_t number = geometry_.segment_of(s);
        return {find_segment(number, time), s - geometry_.begin(number)};
    }

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
    /// Do all of its slots seem to be free? A hint.
    [[nodiscard]] bool seems_free(std::uint32_t n) const {
        return each_word(geometry_.begin(n), geometry_.size(n),
                         [this](typename Free::Batch b) { return (free_.peek(b.first) & b.mask) == b.mask; });
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
        // relaxed: the slots came through the set of free slots, as in at()
        segment = directory_.at(n).segment.load(B::relaxed());
        // [segment] release-store; synchronizes-with the acquire-loads in find_segment(); publishes: all changes of
        // what lived there. The clock's tick publishes it to later searches, and the grace period to others
        directory_.at(n).segment.store(nullptr, B::release(edge::segment));
        segment->released.set(clock_.tick());                       // V7
        present_.fetch_add(~std::uint64_t{size} + 1, B::relaxed()); // relaxed: a statistic
        absent_.put(n);
        guard.retire(
            segment,
            [](Retirable<B, Local>* r, Local& local) -> std::size_t {
                auto* const gone = static_cast<Segment*>(r);
                if (local.slots->watched(local, gone->made.get(), gone->released.get()))
                    return 0;
                const std::size_t bytes = gone->bytes(local.slots->stride());
                B::destroy(gone);
                return bytes;
            },
            segment->bytes(stride_));
    }

    [[nodiscard]] static bool has_ready(const Local& local) {
        return local.slots_at_hand.get() != 0 || local.free_slots.get() != 0;
    }
    /// A few free slots for this participant, which has none; false if there are none.
    [[nodiscard]] bool take(Local& local) {
        const auto batch = free_.take(slots_at_once_);
        if (!batch)
            return false;
        local.free_block.set(batch->first);
        local.free_slots.set(batch->mask);
        return true;
    }
    /// What a participant holds ready is free again.
    template <class Participant>
    void give_back_ready(Participant& local) {
        for (std::uint32_t n = local.slots_at_hand.get(); n != 0; --n)
            free_.put(local.at_hand[n - 1].get());
        local.slots_at_hand.set(0);
        if (const std::uint64_t ready = local.free_slots.get(); ready != 0) {
            local.free_slots.set(0);
            give_back({local.free_block.get(), ready});
        }
    }
    /// The same, unless all of them are below `end`.
    void keep_ready_below(Local& local, SlotId end) {
        bool all = local.free_slots.get() == 0 || local.free_block.get() < end;
        for (std::uint32_t n = local.slots_at_hand.get(); n != 0; --n)
            all = all && local.at_hand[n - 1].get() < end;
        if (!all)
            give_back_ready(local);
    }
    /// Slots that were taken and never published are free again.
    void give_back(typename Free::Batch batch) { free_.put(batch); }

  private:
    /// Where a segment is found.
    struct Listed {
        Listed() : segment(nullptr), made(0) {}
        typename B::template atomic<Segment*> segment;
        typename VersionClock<B>::AtomicWord made; ///< no version in the segment was born before; never falls
    };
    /// By the one thread that has the absent segment's number.
    void fill_segment(std::uint32_t n) {
        const SlotId first = geometry_.begin(n);
        const SlotId size = geometry_.size(n);
        Segment* const fresh = B::template make<Segment>(first, size, stride_);
        fresh->made.set(clock_.now());
        // [segment] release-store; synchronizes-with the acquire-load in find_segment(); publishes: all changes of what
        // lived in the segment that was here before
        directory_.at(n).made.store(fresh->made.get(), B::release(edge::segment));
        // [segment] release-store; synchronizes-with the acquire-loads in find_segment(); publishes: the segment,
        // and when it was made
        directory_.at(n).segment.store(fresh, B::release(edge::segment));
        present_.fetch_add(size, B::relaxed()); // relaxed: a statistic
        each_word(first, size, [this](typename Free::Batch b) {
            free_.put(b);
            return true;
        });
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

    const std::size_t stride_;
    const SlotGeometry<Traits> geometry_;
    const SlotId slots_at_once_; ///< that a participant takes
    const std::uint32_t most_at_hand_;
    VersionClock<B>& clock_;
    Free free_;
    Free absent_; ///< segments that have a number and are not there
    SegmentedArray<B, Traits, Listed, Traits::first_directory> directory_;
    alignas(isolation) typename B::template atomic<std::uint32_t> numbered_; ///< segments that have a number
    typename B::template atomic<std::uint64_t> present_;                     ///< slots of all segments that are there
};

} // namespace hotindex
