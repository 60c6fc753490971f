// Segments of slots that come and go: given back while a search goes through them, made again, wanted by two threads.
#include "slot_stage.hpp"

#include <cstddef>

namespace {
using namespace hotindex;
using namespace hotindex::slot_models;

/// A version lives in the first segment, and the second one has fallen empty.
struct EmptySegment : Stage {
    EmptySegment() {
        {
            const Guard guard(*handles[0]);
            finish_birth(begin(guard));
            finish_birth(begin(guard));
            kill(guard);
        }
        grace();
        const Guard collects(*handles[0]);
    }
    void trim() { slots().trim(Guard(*handles[0]), 1); }
};

/// The segment is given back while a search goes through the slots.
struct ReleasedUnderSearch : EmptySegment {
    void thread(int i) {
        if (i == 1)
            return search();
        trim();
        grace();
        const Guard collects(*handles[0]);
    }
};
const Model<ReleasedUnderSearch> released_under_search("released_under_search",
                                                       "a segment outlives the searches that may look into it");

/// The segment is given back while a slot of it is wanted.
struct ReleasedOrUsed : EmptySegment {
    void thread(int i) {
        if (i == 0) {
            trim();
            grace();
            const Guard collects(*handles[0]);
        } else {
            finish_birth(begin(Guard(*handles[1])));
            search();
        }
    }
};
const Model<ReleasedOrUsed> released_or_used("released_or_used", "a segment with a slot in use stays");

/// The segment is given back and made again, and its slots live another life, under a search.
struct MadeAgain : EmptySegment {
    MadeAgain() { trim(); }
    void thread(int i) {
        if (i == 1)
            return search();
        {
            const Guard guard(*handles[0]);
            finish_birth(begin(guard));
        }
        grace();
        const Guard collects(*handles[0]);
    }
};
const Model<MadeAgain> made_again("made_again",
                                  "a search sees a segment that was made again, or the one before, or none");

/// Two threads give the segment back. The second one stops before it takes the slots, and meanwhile the segment is made
/// again.
struct ReleasedTwice : EmptySegment {
    bool stopped = false;
    bool made_again = false;
    ReleasedTwice() {
        model::stage([this](const model::Site& site) {
            if (current_thread() != 1 || !within(site, "take_all") || stopped)
                return;
            stopped = true;
            hold_until([this] { return made_again; });
        });
    }
    void thread(int i) {
        if (i == 1)
            return slots().trim(Guard(*handles[1]), 1);
        hold_until([this] { return stopped; });
        trim();
        slots().discard(handles[0]->local(), slots().acquire(handles[0]->local()));
        made_again = true;
    }
    void after() {
        expect(stopped, "the window is where it was");
        expect(domain.drain(*handles[0]), "everything retired is recycled in the end");
        expect(domain.stats().limbo_objects == 0, "and once");
    }
};
const Model<ReleasedTwice> released_twice("released_twice", "the segment that is there is given back, and no other",
                                          model::staged);

/// Two threads want a slot, and there is none.
struct MadeByBoth : Stage {
    void thread(int i) {
        const Slots::Slot s = slots().acquire(handles[static_cast<std::size_t>(i)]->local());
        *slots().row_of_new(s) = 1.0F;
        slots().discard(handles[static_cast<std::size_t>(i)]->local(), s);
    }
    void after() {}
};
const Model<MadeByBoth> made_by_both("made_by_both", "threads that make segments at once have slots of their own");

} // namespace
