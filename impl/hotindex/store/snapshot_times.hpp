// SnapshotTimes: which instants are being looked at, so that what lived then is kept, and only that.
//
// The problem: a search reads rows, and may take long, or stand still for ever. If it were pinned like other
// operations, everything that is replaced meanwhile would wait for it. The answer: a search announces the one instant T
// that it answers from. A version whose life [birth, death) contains no announced time is used again, whatever searches
// are running. So R searches that never end keep the versions that lived at their R times, however many updates follow.
//
// How an instant is announced
//   open    the searcher stores OPEN#n into its cell, with another n each time; then a fence
//   decide  it reads the clock, and CASes OPEN#n to that time
//   close   it stores NONE, when it has read the last row
// Who wants to use slots again and meets an open cell decides for the searcher: reads the clock and CASes OPEN#n to
// that time, which the searcher then takes. So neither waits for the other nor repeats anything.
//
// Invariants
//   S1  a decided time was read from the clock after its announcement had been opened, by whoever decided it: it lies
//       between call and return of the search. The number n keeps a late CAS from deciding a later announcement.
//   S2  if watched(birth, death) says no, and a heavy fence lies between the stamp of that death and the call, then no
//       search looks at that version, now or later. For a cell that showed a time, because that is not in the life. For
//       one that was open, because its time is read from the clock after the death. For one that opens later, because
//       the fences are in this order: the call would have seen it open, or else its searcher sees the clock tick of the
//       death, hence decides for a time that is no earlier.
// Linearization: of a snapshot at the load of the clock whose value was decided.
// Progress: an announcement is wait-free; one that is made while the same thread has another is lock-free, because it
// claims a further cell. watched() is wait-free: bounded by the cells of those that are there now.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/reclaim/participants.hpp>
#include <hotindex/store/version_clock.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace hotindex {

template <class B, class Traits>
class SnapshotTimes {
    using Word = version::Word;
    // A cell holds a time, which is below first_special, or one of these.
    static constexpr Word none = ~Word{0};
    static constexpr Word open(std::uint64_t n) noexcept {
        return version::first_special | (n & ((Word{1} << 62) - 1));
    }
    static bool is_open(Word w) noexcept { return w >= version::first_special && w != none; }

    struct Cell {
        Cell() : time(none), openings(0u) {}
        typename VersionClock<B>::Cell time;
        typename B::template var<std::uint64_t> openings; ///< the owner's
    };
    using Cells = Participants<B, Traits, Cell>;

  public:
    /// A participant's own cell, from join() to leave().
    class Place {
      public:
        explicit Place(SnapshotTimes& times) : times_(&times), own_(nullptr), busy_(false) {}
        /// Throws std::bad_alloc.
        void join() { own_ = &times_->cells_.claim(); }
        /// The cell of an announcement that was never ended stays as it is, for good.
        void leave() noexcept {
            if (!busy_.get())
                times_->cells_.release(*own_);
            own_ = nullptr;
            busy_.set(false);
        }
        /// Is this the address of this participant's own announcement?
        [[nodiscard]] bool owns(const void* address) const noexcept { return address == &own_->local.time; }

      private:
        friend class SnapshotTimes;
        SnapshotTimes* times_;
        typename Cells::Record* own_;
        typename B::template var<bool> busy_;
    };

    /// A time that is announced for as long as this lives. Stays on its thread.
    class Announcement {
      public:
        /// Throws std::bad_alloc, and only if the participant has another one.
        explicit Announcement(Place& place)
            : place_(&place), cell_(place.busy_.get() ? &place.times_->cells_.claim() : place.own_) {
            place.busy_.set(true);
            const VersionClock<B>& clock = place.times_->clock_;
            Cell& cell = cell_->local;
            const std::uint64_t n = cell.openings.get() + 1;
            cell.openings.set(n);
            // [snapshot_end] release-store; synchronizes-with the acquire-loads in look() and watched(): a call that
            // sees this instead of the end before it must see the reads before that end, too
            cell.time.store(open(n), B::release(edge::snapshot_end));
            // [epoch_fence] light; pairs-with heavy in EpochDomain::advance()
            B::light_fence(edge::epoch_fence);
            time_ = clock.now();
            Word found = open(n);
            // relaxed, both: it continues the release sequence of the store above; on failure the time is read below
            if (!cell.time.compare_exchange_strong(found, time_, B::relaxed(), B::relaxed()))
                // [snapshot_decided] acquire-load; synchronizes-with the release-CAS in look(): the time that another
                // thread has read
                time_ = cell.time.load(B::acquire(edge::snapshot_decided));
        }
        Announcement(Announcement&& other) noexcept
            : place_(other.place_), cell_(std::exchange(other.cell_, nullptr)), time_(other.time_) {}
        Announcement& operator=(Announcement&&) = delete;
        Announcement(const Announcement&) = delete;
        Announcement& operator=(const Announcement&) = delete;
        ~Announcement() {
            if (cell_ == nullptr)
                return;
            // [snapshot_end] release-store; synchronizes-with the acquire-loads in look() and watched(); publishes:
            // all reads of what lived at that time
            cell_->local.time.store(none, B::release(edge::snapshot_end));
            if (cell_ == place_->own_)
                place_->busy_.set(false);
            else
                place_->times_->cells_.release(*cell_);
        }
        [[nodiscard]] Word time() const noexcept { return time_; }

      private:
        Place* place_;
        typename Cells::Record* cell_;
        Word time_ = 0;
    };

    explicit SnapshotTimes(const VersionClock<B>& clock) : clock_(clock) {}
    SnapshotTimes(const SnapshotTimes&) = delete;
    SnapshotTimes& operator=(const SnapshotTimes&) = delete;
    ~SnapshotTimes() = default;

    /// All announced times lie between these; oldest > newest: there are none.
    struct Range {
        Word oldest = none;
        Word newest = 0;
    };

    /// One look at all cells, which decides those that are open.
    [[nodiscard]] Range look() {
        Range range;
        cells_.for_each([&](typename Cells::Record& r) {
            typename VersionClock<B>::Cell& cell = r.local.time;
            // [snapshot_end] acquire-load; synchronizes-with the release-stores of Announcement
            Word seen = cell.load(B::acquire(edge::snapshot_end));
            if (is_open(seen)) {
                const Word time = clock_.now();
                // [snapshot_decided] release-CAS; synchronizes-with the acquire-load of Announcement; publishes: the
                // clock, with every version stamped up to that time
                // [snapshot_end] acquire on failure: it may have been decided, and ended, meanwhile
                if (cell.compare_exchange_strong(seen, time, B::release(edge::snapshot_decided),
                                                 B::acquire(edge::snapshot_end)))
                    seen = time;
            }
            if (seen < version::first_special) {
                range.oldest = std::min(range.oldest, seen);
                range.newest = std::max(range.newest, seen);
            }
        });
        return range;
    }

    /// Does a search look at a time in [birth, death), or may it do so later? `range`: from a look() that came after a
    /// heavy fence after the death was stamped.
    [[nodiscard]] bool watched(const Range& range, Word birth, Word death) const {
        if (range.oldest >= death || range.newest < birth)
            return false;
        return !cells_.all_of([&](const typename Cells::Record& r) {
            // [snapshot_end] acquire-load; synchronizes-with the release-stores of Announcement. One that is open now
            // was opened after look(), so its time will be no earlier than the death
            const Word time = r.local.time.load(B::acquire(edge::snapshot_end));
            return time >= death || time < birth;
        });
    }

    /// Announcements at this moment.
    [[nodiscard]] std::uint64_t announced() const {
        std::uint64_t n = 0;
        cells_.for_each([&n](const typename Cells::Record& r) {
            n += r.local.time.load(B::relaxed()) != none ? 1 : 0; // relaxed: a statistic
        });
        return n;
    }

  private:
    const VersionClock<B>& clock_;
    Cells cells_;
};

} // namespace hotindex
