// SnapshotTimes: which instants are being looked at, so that what lived then is kept, and only that.
//
// The problem: a search reads rows, and may take long, or stand still for ever. If it were pinned like other
// operations, everything that is replaced meanwhile would wait for it.
//
// The idea: a search announces the one instant T that it answers from. A version whose life [birth, death) contains no
// announced time is used again, whatever searches are running. So R searches that never end keep the versions that
// lived at their R times, however many updates follow.
//
// How an instant is announced, in a word of the searcher's
//   begin   the searcher stores UNDECIDED#n, with another n each time; then a fence
//   decide  it reads the clock, and CASes UNDECIDED#n to that time
//   end     it stores NONE, when it has read the last row
// A thread that wants to use slots again and meets an undecided word decides for the searcher: it reads the clock and
// CASes UNDECIDED#n to that time, which the searcher then takes. So neither waits for the other nor repeats anything.
//
// Invariants
//   S1  a decided time was read from the clock after its announcement had begun, by whoever decided it: it lies
//       between call and return of the search. The number n keeps a late CAS from deciding a later announcement.
//   S2  say announced_range() is called after a heavy fence that comes after the stamp of a death. If then
//       watched(birth, death) says no with that range, no search looks at that version, now or later. A word that
//       showed a time: the time is not in the life. One that was undecided: its time is read from the clock after the
//       death. One that begins later: its light fence comes after that heavy fence, or announced_range() had seen it
//       undecided. So its searcher sees the tick of the death, and its time is no earlier.
// Linearization: of a snapshot at the load of the clock whose value was decided.
// Progress: an announcement is wait-free; one that is made while the same thread has another is lock-free, because it
// claims a further word. watched() is wait-free: bounded by the words of those that are there now.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/store/version_clock.hpp>
#include <hotindex/threads/participants.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace hotindex {

template <class B, class Traits>
class SnapshotTimes {
    using Word = version::Word;
    // A word holds a time, which is below first_special, or one of these.
    static constexpr Word none = ~Word{0};
    static constexpr Word undecided(std::uint64_t n) noexcept {
        return version::first_special | (n & ((Word{1} << 62) - 1));
    }
    static bool is_undecided(Word w) noexcept { return w >= version::first_special && w != none; }

    struct AnnouncedTime {
        AnnouncedTime() : time(none), announcements(0u) {}
        typename VersionClock<B>::AtomicWord time;
        typename B::template var<std::uint64_t> announcements; ///< the owner's
    };
    using Announced = Participants<B, Traits, AnnouncedTime>;

  public:
    /// What a participant announces with, from join() to leave().
    class Announcer {
      public:
        explicit Announcer(SnapshotTimes& times) : times_(&times), own_(nullptr), busy_(false) {}
        /// Throws std::bad_alloc.
        void join() { own_ = &times_->announced_.claim(); }
        /// The word of an announcement that was never ended stays as it is, for good.
        void leave() noexcept {
            if (!busy_.get())
                times_->announced_.release(*own_);
            own_ = nullptr;
            busy_.set(false);
        }
        /// Is this the address of this participant's own announcement?
        [[nodiscard]] bool owns(const void* address) const noexcept { return address == &own_->local.time; }

      private:
        friend class SnapshotTimes;
        SnapshotTimes* times_;
        typename Announced::Record* own_;
        typename B::template var<bool> busy_;
    };

    /// A time that is announced for as long as this lives. Stays on its thread.
    class Announcement {
      public:
        /// Throws std::bad_alloc, and only if the participant has another one.
        explicit Announcement(Announcer& announcer)
            : announcer_(&announcer),
              record_(announcer.busy_.get() ? &announcer.times_->announced_.claim() : announcer.own_) {
            announcer.busy_.set(true);
            const VersionClock<B>& clock = announcer.times_->clock_;
            AnnouncedTime& mine = record_->local;
            const std::uint64_t n = mine.announcements.get() + 1;
            mine.announcements.set(n);
            // [snapshot_end] release-store; synchronizes-with the acquire-loads in announced_range() and watched(): who
            // sees this instead of the end before it must see the reads before that end, too
            mine.time.store(undecided(n), B::release(edge::snapshot_end));
            // [epoch_fence] light; pairs-with heavy in Epochs::advance()
            B::light_fence(edge::epoch_fence);
            time_ = clock.now();
            Word found = undecided(n);
            // relaxed, both: it continues the release sequence of the store above; on failure the time is read below
            if (!mine.time.compare_exchange_strong(found, time_, B::relaxed(), B::relaxed()))
                // [snapshot_decided] acquire-load; synchronizes-with the release-CAS in announced_range(): the time
                // that another thread has read
                time_ = mine.time.load(B::acquire(edge::snapshot_decided));
        }
        Announcement(Announcement&& other) noexcept
            : announcer_(other.announcer_), record_(std::exchange(other.record_, nullptr)), time_(other.time_) {}
        Announcement& operator=(Announcement&&) = delete;
        Announcement(const Announcement&) = delete;
        Announcement& operator=(const Announcement&) = delete;
        ~Announcement() {
            if (record_ == nullptr)
                return;
            // [snapshot_end] release-store; synchronizes-with the acquire-loads in announced_range() and watched();
            // publishes: all reads of what lived at that time
            record_->local.time.store(none, B::release(edge::snapshot_end));
            if (record_ == announcer_->own_)
                announcer_->busy_.set(false);
            else
                announcer_->times_->announced_.release(*record_);
        }
        [[nodiscard]] Word time() const noexcept { return time_; }

      private:
        Announcer* announcer_;
        typename Announced::Record* record_;
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

    /// One look at all announcements, which decides those that are not.
    [[nodiscard]] Range announced_range() {
        Range range;
        announced_.for_each([&](typename Announced::Record& r) {
            typename VersionClock<B>::AtomicWord& word = r.local.time;
            // [snapshot_end] acquire-load; synchronizes-with the release-stores of Announcement
            Word seen = word.load(B::acquire(edge::snapshot_end));
            if (is_undecided(seen)) {
                const Word time = clock_.now();
                // [snapshot_decided] release-CAS; synchronizes-with the acquire-load of Announcement; publishes: the
                // clock, with every version stamped up to that time
                // [snapshot_end] acquire on failure: it may have been decided, and ended, meanwhile
                if (word.compare_exchange_strong(seen, time, B::release(edge::snapshot_decided),
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

    /// Does a search look at a time in [birth, death), or may it do so later? `range`: from an announced_range() that
    /// came after a heavy fence after the death was stamped.
    [[nodiscard]] bool watched(const Range& range, Word birth, Word death) const {
        if (range.oldest >= death || range.newest < birth)
            return false;
        return !announced_.all_of([&](const typename Announced::Record& r) {
            // [snapshot_end] acquire-load; synchronizes-with the release-stores of Announcement. One that is
            // undecided now began after announced_range(), so its time will be no earlier than the death
            const Word time = r.local.time.load(B::acquire(edge::snapshot_end));
            return time >= death || time < birth;
        });
    }

    /// Announcements at this moment.
    [[nodiscard]] std::uint64_t announced() const {
        std::uint64_t n = 0;
        announced_.for_each([&n](const typename Announced::Record& r) {
            n += r.local.time.load(B::relaxed()) != none ? 1 : 0; // relaxed: a statistic
        });
        return n;
    }

  private:
    const VersionClock<B>& clock_;
    Announced announced_;
};

} // namespace hotindex
