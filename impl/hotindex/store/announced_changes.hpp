// AnnouncedChanges: which slots are changing at this moment, so that a search need not ask the others.
//
// The problem: an update gets its time in one step, and brings the groups up to date in others (SlotGroup). A search
// that comes in between must not take the groups' word for it.
//
// The idea: who is going to change slots says so before, in a word of its own, and takes that back when the groups are
// up to date. A search reads the clock, then all these words. The slots that it finds there it decides one by one
// (ChangingSlots). So an update writes no word for this that other updates write, and who stands still in the middle of
// one costs searches two slots.
//
// Invariants
//   A1  a change is announced before the clock ticks for it. Who makes it tick has the change from a release behind the
//       announcement: that of its publication (entry_current, bucket), or its mark (slot_mark). So who has the time t
//       from the clock, and reads the announcements afterwards, finds of each change that was stamped up to t the
//       announcement, or what its thread wrote there later.
//   A2  the announcement of a change that was published ends when that is added to the groups, and the death of what
//       was replaced has its time. So who finds what was written later finds those, too.
//   A3  an announcement that is found names the slots of the change that its thread is about to make, or has made since
//       it was announced; or those of an attempt that has failed, until the next one is announced, before its own
//       publication, or the announcement ends. A slot that is not published after all is free after that end.
//   A4  a thread has one change announced at a time, and is pinned as long as it has. So the slots that are named are
//       still in the lives that it meant.
//
// Source: the announcements of Arbel-Raviv, Brown, "Harnessing epoch-based reclamation for efficient range queries",
// PPoPP 2018, where a range query looks at what is being removed.
// Progress: wait-free; join() as a claim of Participants. A search's walk is bounded by the participants that have
// changed slots and not left.
#pragma once

#include <hotindex/backend/backend.hpp>
#include <hotindex/store/slot_segment.hpp>
#include <hotindex/threads/participants.hpp>

#include <cstdint>
#include <vector>

namespace hotindex {

/// One slot is born, or one dies, or the first takes the place of the second, at one time.
struct SlotChange {
    SlotId born = no_slot;
    SlotId died = no_slot;
};

template <class B, class Traits>
class AnnouncedChanges {
    using Word = std::uint64_t;
    static constexpr Word none = ~Word{0};
    static constexpr Word word_of(SlotChange c) noexcept { return Word{c.born} << 32 | c.died; }
    static constexpr SlotChange change_of(Word w) noexcept {
        return {static_cast<SlotId>(w >> 32), static_cast<SlotId>(w)};
    }
    struct Announced {
        Announced() : change(none) {}
        typename B::template atomic<Word> change;
    };
    using Records = Participants<B, Traits, Announced>;

  public:
    /// What a participant announces with.
    class Announcer {
      public:
        explicit Announcer(AnnouncedChanges& all) : all_(&all), own_(nullptr) {}
        /// Before its first change: from now on searches look at its word. Throws std::bad_alloc.
        void join() {
            if (own_ == nullptr)
                own_ = &all_->records_.claim();
        }
        /// The word of a change that was never completed stays as it is, for good.
        void leave() noexcept {
            // relaxed: the own word
            if (own_ != nullptr && own_->local.change.load(B::relaxed()) == none)
                all_->records_.release(*own_);
            own_ = nullptr;
        }
        /// After join(). In place of what was announced before, which was not published.
        void announce(SlotChange c) noexcept {
            // [change_end] release-store; synchronizes-with the acquire-load in find(): who finds this instead of
            // the end before it must find what came before that end, too
            own_->local.change.store(word_of(c), B::release(edge::change_end));
        }
        /// The change is complete, or was not published.
        void end() noexcept {
            // [change_end] release-store; synchronizes-with the acquire-load in find(); publishes: the change in
            // the groups, and the death of what was replaced
            own_->local.change.store(none, B::release(edge::change_end));
        }

      private:
        AnnouncedChanges* all_;
        typename Records::Record* own_;
    };

    AnnouncedChanges() = default;
    AnnouncedChanges(const AnnouncedChanges&) = delete;
    AnnouncedChanges& operator=(const AnnouncedChanges&) = delete;
    ~AnnouncedChanges() = default;

    /// Adds all that are announced at this moment. Throws std::bad_alloc.
    void find(std::vector<SlotChange>& found) const {
        records_.for_each([&found](const typename Records::Record& r) {
            // [change_end] acquire-load; synchronizes-with the release-stores of Announcer
            if (const Word w = r.local.change.load(B::acquire(edge::change_end)); w != none)
                found.push_back(change_of(w));
        });
    }
    /// How many that are.
    [[nodiscard]] std::uint64_t count() const {
        std::uint64_t n = 0;
        records_.for_each([&n](const typename Records::Record& r) {
            n += r.local.change.load(B::relaxed()) != none ? 1 : 0; // relaxed: a statistic
        });
        return n;
    }

  private:
    Records records_;
};

} // namespace hotindex
