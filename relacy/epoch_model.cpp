// The epoch domain: what is retired outlives every guard that could have seen it, and goes in the end.
#include "model.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>

#include <array>
#include <optional>

namespace {
using namespace hotindex;
using model::expect;
using model::hold_until;
using model::Model;
using B = model::CheckerBackend;

using Domain = EpochDomain<B, TinyTraits, NoLocal>;
using Guard = Domain::Guard;
using Handle = Domain::Handle;

/// What readers look at: plain data behind a pointer that a writer swings.
struct Node : Domain::Retired {
    explicit Node(int v) : value(v) {}
    B::var<int> value;
};
std::size_t reclaim(Domain::Retired* node, NoLocal&) {
    B::destroy(static_cast<Node*>(node));
    return sizeof(Node);
}

/// A domain, a handle for each thread, and a shared pointer to a node.
template <int Threads, int Joined = Threads>
struct Stage {
    static constexpr int threads = Threads;
    NoLocal::Owner owner;
    Domain domain{owner};
    std::array<std::optional<Handle>, static_cast<std::size_t>(Threads)> handles;
    B::atomic<Node*> head{B::make<Node>(1)};

    Stage() {
        for (std::size_t i = 0; i != static_cast<std::size_t>(Joined); ++i)
            handles[i].emplace(domain);
    }
    ~Stage() {
        // relaxed, here and in after(): everything is over
        B::destroy(head.load(B::relaxed()));
        for (auto& h : handles)
            h.reset();
    }
    Handle& handle(int i) { return *handles[static_cast<std::size_t>(i)]; }

    /// The payload is written after the pin: a fence in the pin must not be what publishes it.
    void replace(int thread, int value) {
        const Guard guard(handle(thread));
        Node* const fresh = B::make<Node>(value);
        // the model's own edge, borrowed from the map: publishes the node
        Node* const old = head.exchange(fresh, B::acq_rel(edge::unnamed));
        guard.retire(old, &reclaim, sizeof(Node));
    }
    void read(int thread) {
        const Guard guard(handle(thread));
        expect(head.load(B::acquire(edge::unnamed))->value.get() >= 1, "a node holds what was written into it");
    }
};

struct ReadAgainstReplace : Stage<2> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            domain.try_advance();
            domain.try_advance();
            domain.try_advance();
            const Guard collects(handle(0));
        } else {
            read(1);
            read(1);
        }
    }
};
const Model<ReadAgainstReplace> m1("read_against_replace", "a node outlives the guard that saw it");

struct TwoWriters : Stage<2> {
    void thread(int i) {
        replace(i, 2 + i);
        replace(i, 4 + i);
    }
};
const Model<TwoWriters> m2("two_writers", "a node that another thread made is retired once and destroyed once");

/// A third thread advances, so that the thread that frees has not seen the readers itself.
struct AdvancedByAnother : Stage<3> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            const Guard collects(handle(0));
        } else if (i == 1) {
            read(1);
        } else {
            domain.try_advance();
            domain.try_advance();
            domain.try_advance();
        }
    }
};
const Model<AdvancedByAnother> m3("advanced_by_another",
                                  "what one thread frees was over for readers that a third one saw leave");

/// Up to just before the race: retired at 3, the epoch is 5, a reader pinned at 4 holds the node.
struct LastAdvance : Stage<3> {
    std::optional<Guard> reading;
    Node* held = nullptr;
    LastAdvance() {
        std::optional<Guard> writing(std::in_place, handle(0));
        domain.try_advance();
        reading.emplace(handle(1));
        held = head.load(B::acquire(edge::unnamed));
        writing->retire(head.exchange(B::make<Node>(2), B::acq_rel(edge::unnamed)), &reclaim, sizeof(Node));
        writing.reset();
        domain.try_advance();
    }
    void thread(int i) {
        if (i == 0) {
            const Guard collects(handle(0));
        } else if (i == 1) {
            expect(held->value.get() == 1, "the held node is whole");
            reading.reset();
        } else {
            domain.try_advance();
        }
    }
};
const Model<LastAdvance> m4("last_advance", "the last advance comes after the reader's unpin, for whoever frees");

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
const Model<LastAdvanceRepinned> m5("last_advance_repinned",
                                    "a scan that sees the next pin has seen the reads before it");

/// A reader whose announced epoch would lag by two, did it not look again.
struct LateAnnouncement : Stage<3> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            domain.try_advance();
            const Guard collects(handle(0));
        } else if (i == 1) {
            read(1);
        } else {
            domain.try_advance();
            domain.try_advance();
        }
    }
};
const Model<LateAnnouncement> m6("late_announcement", "an announced epoch is the present one or the one before");

/// A thread that ends leaves its limbo; another one adopts it, or takes the record over.
struct EndedThread : Stage<2> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            handles[0].reset();
        } else {
            read(1);
            domain.drain(handle(1));
        }
    }
    void after() {
        expect(domain.drain(handle(1)), "the limbo of an ended thread is collected");
        expect(domain.stats().limbo_objects == 0, "nothing is left in limbo");
    }
};
const Model<EndedThread> m7("ended_thread", "an ended thread's limbo finds an owner");

struct RecordHandedOver : Stage<2> {
    RecordHandedOver() { handles[1].reset(); }
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            handles[0].reset();
        } else {
            handles[1].emplace(domain);
            replace(1, 3);
            read(1);
        }
    }
    void after() {
        expect(domain.stats().participants <= 2, "no more records than threads that were there at once");
        expect(domain.drain(handle(1)), "everything goes in the end");
    }
};
const Model<RecordHandedOver> m8("record_handed_over", "a record passes from thread to thread with all that is in it");

struct JoiningTogether : Stage<2, 0> {
    std::array<std::uint32_t, 2> index{};
    void thread(int i) {
        handles[static_cast<std::size_t>(i)].emplace(domain);
        index[static_cast<std::size_t>(i)] = handle(i).index();
        read(i);
    }
    void after() { expect(index[0] != index[1], "two threads at once have two records"); }
};
const Model<JoiningTogether> m9("joining_together", "threads that join at the same time get records of their own");

/// A thread joins while another one retires and looks at all records.
struct JoinAgainstAdvance : Stage<3, 1> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            replace(0, 3);
            const Guard collects(handle(0));
        } else {
            handles[static_cast<std::size_t>(i)].emplace(domain);
            read(i);
        }
    }
    void after() { expect(domain.stats().participants == 3, "every thread has a record"); }
};
const Model<JoinAgainstAdvance> m11("join_against_advance",
                                    "a reader that joins late is seen, or sees what was unlinked");

/// Limbo of an ended thread, old enough only by an advance that its adopter has not made.
struct AdoptedAfterAdvance : Stage<3> {
    std::optional<Guard> reading;
    Node* held = nullptr;
    AdoptedAfterAdvance() {
        domain.try_advance();
        std::optional<Guard> writing(std::in_place, handle(2));
        domain.try_advance();
        reading.emplace(handle(1));
        held = head.load(B::acquire(edge::unnamed));
        writing->retire(head.exchange(B::make<Node>(2), B::acq_rel(edge::unnamed)), &reclaim, sizeof(Node));
        writing.reset();
        handles[2].reset();
        domain.try_advance();
    }
    void thread(int i) {
        if (i == 0) {
            domain.drain(handle(0));
        } else if (i == 1) {
            expect(held->value.get() == 1, "the held node is whole");
            reading.reset();
        } else {
            domain.try_advance();
        }
    }
};
const Model<AdoptedAfterAdvance> m12("adopted_after_advance", "adopted limbo is old enough for the adopter too");

/// A reader that never leaves stops the epoch, not the others.
struct StalledReader : Stage<2> {
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
        expect(domain.drain(handle(0)), "everything goes when the reader has left");
    }
};
const Model<StalledReader> m10("stalled_reader", "a stalled reader keeps what it may see, and stops nobody",
                               {.full = 1000});

/// As last_advance, but the reader pins only now: the last advance has to see that pin, when nothing but the fences
/// tells of it. The reader looks at the node when everything that may free it has been done.
struct PinnedBeforeLastAdvance : Stage<2> {
    std::optional<Guard> writing;
    bool holds = false;
    bool collected = false;
    PinnedBeforeLastAdvance() {
        writing.emplace(handle(0));
        domain.try_advance();
    }
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return holds; });
            writing->retire(head.exchange(B::make<Node>(2), B::acq_rel(edge::unnamed)), &reclaim, sizeof(Node));
            writing.reset();
            domain.try_advance();
            domain.try_advance();
            const Guard collects(handle(0));
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
const Model<PinnedBeforeLastAdvance> m13("pinned_before_last_advance",
                                         "a pin is seen by the advances that come after it", model::staged);

/// As adopted_after_advance, but the last reader leaves, and the epoch advances, when the adopter is about to read it.
struct AdoptedAtOnce : AdoptedAfterAdvance {
    bool adopting = false;
    bool left = false;
    bool advanced = false;
    AdoptedAtOnce() {
        model::stage([this](const model::Site& site) {
            if (model::current_thread() == 0 && site.named == edge::epoch_advance &&
                model::within(site, "adopt_limbo") && !adopting) {
                adopting = true;
                hold_until([this] { return advanced; });
            }
        });
    }
    void thread(int i) {
        if (i != 0)
            hold_until([this, i] { return i == 1 ? adopting : left; });
        AdoptedAfterAdvance::thread(i);
        if (i != 0)
            (i == 1 ? left : advanced) = true;
    }
    void after() { expect(adopting, "the window is where it was"); }
};
const Model<AdoptedAtOnce> m14("adopted_at_once", "whoever adopts limbo has heard of the last reader's end",
                               model::staged);

} // namespace
