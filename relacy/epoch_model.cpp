// The epoch domain, grace periods: what is retired outlives every guard that could have seen it, and goes in the end.
#include "epoch_stage.hpp"

#include <optional>

namespace {
using namespace hotindex;
using namespace hotindex::epoch_models;

struct ReadAgainstReplace : Stage<TinyTraits, 2> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            advance(3);
            domain.look(handle(0));
        } else {
            read(1);
            read(1);
        }
    }
    void after() { everything_goes(1); }
};
const Model<ReadAgainstReplace> read_against_replace("read_against_replace", "a node outlives the guard that saw it",
                                                     few);

struct TwoWriters : Stage<TinyTraits, 2> {
    void thread(int i) {
        replace(i, 2 + i);
        replace(i, 4 + i);
    }
    void after() { everything_goes(0); }
};
const Model<TwoWriters> two_writers("two_writers", "a node that another thread made is retired once and destroyed once",
                                    few);

/// A third thread advances, so that the thread that frees has not seen the readers itself.
struct AdvancedByAnother : Stage<OneByOne, 3> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            domain.look(handle(0));
        } else if (i == 1) {
            read(1);
        } else {
            advance(3);
        }
    }
};
const Model<AdvancedByAnother>
    advanced_by_another("advanced_by_another", "what one thread frees was over for readers that a third one saw leave",
                        few);

/// Up to just before the race: retired at 3, the epoch is 5, a reader pinned at 4 holds the node.
struct LastAdvance : Stage<OneByOne, 3> {
    std::optional<Guard> reading;
    Node* held = nullptr;
    LastAdvance() {
        std::optional<Guard> writing(std::in_place, handle(0));
        advance(1);
        reading.emplace(handle(1));
        held = head.load(B::acquire(edge::unnamed));
        writing->retire(swing(2), &Node::reclaim, sizeof(Node));
        writing.reset();
        advance(1);
    }
    void thread(int i) {
        if (i == 0) {
            domain.look(handle(0));
        } else if (i == 1) {
            expect(held->value.get() == 1, "the held node is whole");
            reading.reset();
        } else {
            advance(1);
        }
    }
};
const Model<LastAdvance> last_advance("last_advance",
                                      "the last advance comes after the reader's unpin, for whoever frees", few);

/// As above, but the reader pins again: the scan may see the new pin instead of the unpin.
struct LastAdvanceRepinned : LastAdvance {
    void thread(int i) {
        if (i != 1)
            return LastAdvance::thread(i);
        expect(held->value.get() == 1, "the held node is whole");
        reading.reset();
        const Guard again(handle(1));
    }
};
const Model<LastAdvanceRepinned>
    last_advance_repinned("last_advance_repinned", "a scan that sees the next pin has seen the reads before it", few);

/// As above, but the reader leaves: the scan does not look at its record any more.
struct LastAdvanceLeft : LastAdvance {
    void thread(int i) {
        if (i != 1)
            return LastAdvance::thread(i);
        expect(held->value.get() == 1, "the held node is whole");
        reading.reset();
        leave(1);
    }
};
const Model<LastAdvanceLeft>
    last_advance_left("last_advance_left", "a scan that passes over who has left knows that its reads are over", few);

/// A retirer whose announced epoch lags by two: were that its bag's epoch, one advance would do to free what a reader
/// of the present epoch holds.
struct LateAnnouncement : Stage<OneByOne, 3> {
    bool advanced = false;
    bool holds = false;
    bool retired = false;
    bool freed = false;
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return holds; });
            replace(0, 2);
            retired = true;
        } else if (i == 1) {
            hold_until([this] { return advanced; });
            const Guard guard(handle(1));
            const Node* const found = head.load(B::acquire(edge::unnamed));
            holds = true;
            hold_until([this] { return freed; });
            expect(found->value.get() >= 1, "a node holds what was written into it");
        } else {
            advance(2);
            advanced = true;
            hold_until([this] { return retired; });
            advance(1);
            domain.look(handle(2));
            freed = true;
        }
    }
};
const Model<LateAnnouncement> late_announcement("late_announcement",
                                                "an announced epoch is the present one or the one before", few);

/// A reader that pins when two advances have seen the retirer leave must not find the node any more.
struct LateReader : Stage<OneByOne, 3> {
    bool retired = false;
    bool old = false;
    bool pinned = false;
    bool freed = false;
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            retired = true;
        } else if (i == 1) {
            hold_until([this] { return old; });
            const Guard guard(handle(1));
            const Node* const found = head.load(B::acquire(edge::unnamed));
            pinned = true;
            hold_until([this] { return freed; });
            expect(found->value.get() >= 1, "a node holds what was written into it");
        } else {
            hold_until([this] { return retired; });
            advance(2);
            old = true;
            hold_until([this] { return pinned; });
            advance(1);
            domain.look(handle(2));
            freed = true;
        }
    }
};
const Model<LateReader> late_reader("late_reader", "who pins two epochs later does not find what was retired", few);

/// A reader looks at the node once everything that is to free it has been done. If the advances missed its pin, or its
/// own look missed the replacement, the node is gone.
struct HeldAcrossAdvances : Stage<OneByOne, 2> {
    bool holds = false;
    bool collected = false;
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return holds; });
            replace(0, 2);
            advance(3);
            domain.look(handle(0));
            collected = true;
        } else {
            const Guard guard(handle(1));
            const Node* const held = head.load(B::acquire(edge::unnamed));
            holds = true;
            hold_until([this] { return collected; });
            expect(held->value.get() == 1, "the held node is whole");
        }
    }
};
const Model<HeldAcrossAdvances> held_across_advances("held_across_advances",
                                                     "a pin is seen by the advances that come after it", few);

/// As above, at once: who retires the node advances itself, and sees nobody else pinned if it is careless.
struct HeldAcrossPass : Stage<TinyTraits, 2> {
    bool holds = false;
    bool passed = false;
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return holds; });
            replace(0, 2);
            passed = true;
        } else {
            const Guard guard(handle(1));
            const Node* const held = head.load(B::acquire(edge::unnamed));
            holds = true;
            hold_until([this] { return passed; });
            expect(held->value.get() == 1, "the held node is whole");
        }
    }
};
const Model<HeldAcrossPass> held_across_pass("held_across_pass", "who is pinned keeps what others reclaim at once",
                                             few);

/// Nobody is pinned at the advance: what was retired before it goes with it, and only that.
struct QuietPass : Stage<TinyTraits, 2> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            replace(0, 3);
        } else {
            read(1);
            replace(1, 4);
            read(1);
        }
    }
    void after() { everything_goes(0); }
};
const Model<QuietPass> quiet_pass("quiet_pass", "what goes at once is out of sight for whoever pins later", few);

/// A reader that never leaves stops the epoch, not the others.
struct StalledReader : Stage<TinyTraits, 2> {
    std::optional<Guard> stalled;
    Node* held = nullptr;
    StalledReader() {
        stalled.emplace(handle(1));
        held = head.load(B::acquire(edge::unnamed));
    }
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            replace(0, 3);
            domain.try_advance();
        } else {
            expect(held->value.get() == 1, "the held node is whole");
        }
    }
    void after() {
        expect(held->value.get() == 1, "the held node is whole to the end");
        expect(domain.stats().epochs_advanced <= 1, "the epoch does not pass a pinned reader by more than one");
        stalled.reset();
        everything_goes(0);
    }
};
const Model<StalledReader> stalled_reader("stalled_reader", "a stalled reader keeps what it may see, and stops nobody",
                                          {.bounded = 5'000, .random = 5'000, .full = 1000});

} // namespace
