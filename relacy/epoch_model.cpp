// The epoch domain: what is retired outlives every guard that could have seen it, and goes in the end, whoever comes
// by.
#include "model.hpp"

#include <hotindex/backend/traits.hpp>
#include <hotindex/reclaim/epoch_domain.hpp>

#include <array>
#include <optional>
#include <string_view>

namespace {
using namespace hotindex;
using model::Effort;
using model::expect;
using model::hold_until;
using model::Model;
using B = model::CheckerBackend;

/// A domain is large and slow to make, so each scenario is small and stages its window.
constexpr Effort few{.bounded = 5'000, .random = 5'000};

/// Every retired object is a bag of its own, and the epoch advances only where a scenario says so.
struct OneByOne : TinyTraits {
    static constexpr std::uint32_t retires_per_advance = 100;
    static constexpr std::uint64_t bag_objects = 1;
};
/// Bags stay open until somebody asks for them, or retires something heavy.
struct StaysOpen : OneByOne {
    static constexpr std::uint64_t bag_objects = 100;
    static constexpr std::uint64_t idle_epochs = 0;
};

/// A domain, a handle for each thread, and a shared pointer to a node.
template <class Traits, int Threads, int Joined = Threads, int Handles = Threads, class Local = NoLocal>
struct Stage {
    using Domain = EpochDomain<B, Traits, Local>;
    using Guard = typename Domain::Guard;
    using Handle = typename Domain::Handle;
    /// What readers look at: plain data behind a pointer that a writer swings.
    struct Node : Domain::Retired {
        explicit Node(int v) : value(v), busy(0) {}
        B::var<int> value;
        B::atomic<int> busy; ///< refuses to be reclaimed
        static std::size_t reclaim(typename Domain::Retired* node, [[maybe_unused]] Local& local) {
            auto* const n = static_cast<Node*>(node);
            if constexpr (requires { local.refuses(); })
                if (local.refuses())
                    return 0;
            if (n->busy.load(B::acquire(edge::unnamed)) != 0) // the model's own edge
                return 0;
            B::destroy(n);
            return sizeof(Node);
        }
    };

    static constexpr int threads = Threads;
    typename Local::Owner owner;
    Domain domain{owner};
    std::array<std::optional<Handle>, static_cast<std::size_t>(Handles)> handles;
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
    void join(int i) { handles[static_cast<std::size_t>(i)].emplace(domain); }
    void leave(int i) { handles[static_cast<std::size_t>(i)].reset(); }
    void advance(int times) {
        for (int i = 0; i != times; ++i)
            domain.try_advance();
    }
    /// A node for all to see, its predecessor to be retired. The payload is written after the pin: a fence in the pin
    /// must not be what publishes it.
    Node* swing(int value) {
        // the model's own edge, borrowed from the map: publishes the node
        return head.exchange(B::make<Node>(value), B::acq_rel(edge::unnamed));
    }
    void replace(int thread, int value, std::uint32_t weight = 1) {
        const Guard guard(handle(thread));
        guard.retire(swing(value), &Node::reclaim, sizeof(Node), weight);
    }
    /// Tries to advance, and takes the bag of somebody who rests.
    void replace_and_take(int thread, int value) { replace(thread, value, Traits::retires_per_advance); }
    void read(int thread) {
        const Guard guard(handle(thread));
        expect(head.load(B::acquire(edge::unnamed))->value.get() >= 1, "a node holds what was written into it");
    }
    void everything_goes(int thread) {
        expect(domain.drain(handle(thread)), "everything goes in the end");
        expect(domain.stats().limbo_objects == 0 && domain.stats().kept_objects == 0, "nothing is left in limbo");
    }
};

// ---- grace periods ----

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
const Model<ReadAgainstReplace> m1("read_against_replace", "a node outlives the guard that saw it", few);

struct TwoWriters : Stage<TinyTraits, 2> {
    void thread(int i) {
        replace(i, 2 + i);
        replace(i, 4 + i);
    }
    void after() { everything_goes(0); }
};
const Model<TwoWriters> m2("two_writers", "a node that another thread made is retired once and destroyed once", few);

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
const Model<AdvancedByAnother> m3("advanced_by_another",
                                  "what one thread frees was over for readers that a third one saw leave", few);

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
const Model<LastAdvance> m4("last_advance", "the last advance comes after the reader's unpin, for whoever frees", few);

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
                                    "a scan that sees the next pin has seen the reads before it", few);

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
const Model<LastAdvanceLeft> m6("last_advance_left",
                                "a scan that passes over who has left knows that its reads are over", few);

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
const Model<LateAnnouncement> m7("late_announcement", "an announced epoch is the present one or the one before", few);

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
const Model<LateReader> m8("late_reader", "who pins two epochs later does not find what was retired", few);

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
const Model<HeldAcrossAdvances> m9("held_across_advances", "a pin is seen by the advances that come after it", few);

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
const Model<StalledReader> m10("stalled_reader", "a stalled reader keeps what it may see, and stops nobody",
                               {.bounded = 5'000, .random = 5'000, .full = 1000});

// ---- bags ----

/// A bag in the set of an epoch that is four epochs older: who has not heard of the advances in between finds it there.
struct YoungBag : Stage<OneByOne, 3> {
    std::optional<Guard> reading;
    Node* held = nullptr;
    bool looked = false;
    YoungBag() { advance(4); } // the epoch is 7: bags of 8 and 4 share a set, in which who sees 7 looks
    void thread(int i) {
        if (i == 0) {
            domain.try_advance();
            replace(0, 2);
        } else if (i == 1) {
            const Guard guard(handle(1));
            const Node* const found = head.load(B::acquire(edge::unnamed));
            hold_until([this] { return looked; });
            expect(found->value.get() >= 1, "a node holds what was written into it");
        } else {
            domain.look(handle(2));
            looked = true;
        }
    }
    void after() { everything_goes(0); }
};
const Model<YoungBag> m11("young_bag", "a bag's own epoch decides, not the set that it lies in", few);

/// A node refuses while it is busy, and is asked again by whoever comes by.
struct Refused : Stage<OneByOne, 2> {
    Node* first = nullptr;
    Refused() {
        first = head.load(B::acquire(edge::unnamed));
        first->busy.store(1, B::relaxed()); // relaxed: nothing runs yet
        replace(0, 2);
        advance(3);
    }
    void thread(int i) {
        if (i == 0) {
            first->busy.store(0, B::release(edge::unnamed));
        } else {
            domain.look(handle(1));
            domain.look(handle(1));
        }
    }
    void after() { everything_goes(1); }
};
const Model<Refused> m12("refused", "what refused is asked again, by anybody", few);

/// As a search does it: who reads without a pin says so, and a pass looks at that once, when it begins.
struct Watching {
    struct Owner {
        Owner() : watching(0) {}
        B::atomic<int> watching;
        // Staging: the pass of participant 0 stands still behind its look.
        bool slow = false;
        bool looked = false;
        bool refused = false;
    };
    explicit Watching(Owner& o) : owner(&o) {}
    void before_reclaim_pass() {
        seen = owner->watching.load(B::acquire(edge::unnamed)); // the model's own edge
        if (!owner->slow || owner->looked)
            return;
        owner->looked = true;
        hold_until([this] { return owner->refused; });
    }
    [[nodiscard]] bool refuses() const {
        return seen != 0 && owner->watching.load(B::acquire(edge::unnamed)) != 0; // as above
    }
    Owner* owner;
    int seen = 1;
};

/// One pass is slow: it has looked before the reader came, and then meets what another pass has refused for the reader.
struct SlowPass : Stage<TinyTraits, 2, 2, 2, Watching> {
    Node* first = nullptr;
    SlowPass() {
        first = head.load(B::acquire(edge::unnamed));
        first->busy.store(1, B::relaxed()); // relaxed: nothing runs yet
        replace(0, 2);
        domain.drain(handle(0));
        owner.slow = true;
    }
    void thread(int i) {
        if (i == 0) {
            domain.look(handle(0));
            domain.look(handle(0));
        } else {
            hold_until([this] { return owner.looked; });
            owner.watching.store(1, B::relaxed()); // relaxed: the fence orders it
            B::light_fence(edge::epoch_fence);
            const Node* const found = head.load(B::acquire(edge::unnamed)); // the model's own edge
            replace(1, 3);
            domain.drain(handle(1));
            owner.refused = true;
            domain.look(handle(1));
            expect(found->value.get() == 2, "what the reader looks at is whole");
            owner.watching.store(0, B::release(edge::unnamed)); // the model's own edge
        }
    }
    void after() {
        first->busy.store(0, B::relaxed()); // relaxed: everything is over
        everything_goes(1);
    }
};
const Model<SlowPass> slow_pass("slow_pass", "a pass that looked too early does not ask what was refused since", few);

/// Two threads collect what a third one left behind.
struct TwoCollectors : Stage<OneByOne, 2, 3, 3> {
    TwoCollectors() {
        replace(2, 2);
        replace(2, 3);
        leave(2);
        advance(3);
    }
    void thread(int i) { domain.look(handle(i)); }
    void after() {
        expect(domain.stats().limbo_objects == 0, "two looks empty two bags");
        expect(domain.stats().participants == 2, "who has left is not counted");
    }
};
const Model<TwoCollectors> m13("two_collectors", "every bag is emptied once, whosever it was", few);

// ---- bags of threads that rest ----

/// A participant rests, with something in its bag; another one takes that while the first goes on.
struct Resting : Stage<StaysOpen, 2> {
    Resting() { replace(1, 2); }
    void thread(int i) {
        if (i == 0)
            domain.drain(handle(0));
        else
            replace(1, 3);
    }
    void after() {
        everything_goes(0); // also of what the other one has in its bag
    }
};
const Model<Resting> m14("resting", "a bag is filled by its owner or taken by another, and not both", few);

/// As above; the owner hands its bag over without filling it.
struct RestingHandsOver : Resting {
    void thread(int i) { domain.drain(handle(i)); }
};
const Model<RestingHandsOver> m15("resting_hands_over", "a bag is handed over by its owner, or by who takes it", few);

/// Two threads come to take the same bag.
struct TwoTakers : Stage<StaysOpen, 3> {
    TwoTakers() { replace(2, 2); }
    void thread(int i) {
        if (i != 2)
            domain.drain(handle(i));
        else
            replace(2, 3);
    }
    void after() { everything_goes(0); }
};
const Model<TwoTakers> m16("two_takers", "an open bag is taken by one thread at a time", few);

/// A bag was taken, and its owner has heard nothing of that when it comes to hand it over.
struct TakenBefore : Stage<StaysOpen, 2> {
    bool taken = false;
    TakenBefore() { replace(1, 2); }
    void thread(int i) {
        if (i == 0) {
            replace_and_take(0, 3);
            taken = true;
        } else {
            hold_until([this] { return taken; });
            domain.drain(handle(1));
        }
    }
    void after() { everything_goes(0); }
};
const Model<TakenBefore> m25("taken_before", "who hands its bag over knows whether it was taken", few);

/// As above; the owner leaves.
struct TakenBeforeLeave : TakenBefore {
    void thread(int i) {
        if (i == 0)
            return TakenBefore::thread(0);
        hold_until([this] { return taken; });
        leave(1);
    }
};
const Model<TakenBeforeLeave> m26("taken_before_leave", "who leaves knows whether its bag was taken", few);

/// The owner has left, and who comes to take its bag has heard nothing of that.
struct LeftBefore : Stage<StaysOpen, 2> {
    bool left = false;
    LeftBefore() { replace(1, 2); }
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return left; });
            replace_and_take(0, 3);
        } else {
            leave(1);
            left = true;
        }
    }
    void after() { everything_goes(0); }
};
const Model<LeftBefore> m27("left_before", "who comes to take a bag too late finds it empty", few);

/// The owner leaves meanwhile, and comes back into what may be its old place.
struct RestingLeaves : Stage<StaysOpen, 2> {
    RestingLeaves() { replace(1, 2); }
    void thread(int i) {
        if (i == 0) {
            replace_and_take(0, 4);
        } else {
            leave(1);
            join(1);
            replace(1, 3);
        }
    }
    void after() {
        expect(domain.stats().participants == 2, "a leave is finished by one thread or the other");
        everything_goes(0);
    }
};
const Model<RestingLeaves> m17("resting_leaves", "who leaves while its bag is taken lets the taker finish that", few);

/// The same, with the taker held up until the owner has filled another bag and left.
struct LeftMeanwhile : Stage<StaysOpen, 2> {
    bool left = false;
    int steps = 0; ///< of the taker on `taken`
    LeftMeanwhile() {
        replace(1, 2);
        model::stage([this](const model::Site& site) {
            if (model::current_thread() == 0 && site.named == edge::limbo_taken && within(site) && ++steps == 2)
                hold_until([this] { return left; });
        });
    }
    static bool within(const model::Site& site) {
        return std::string_view(site.function).find("take_open_bag") != std::string_view::npos;
    }
    void thread(int i) {
        if (i == 0) {
            replace_and_take(0, 4);
        } else {
            hold_until([this] { return steps == 1; });
            replace(1, 3);
            leave(1);
            left = true;
        }
    }
    void after() {
        expect(domain.stats().participants == 1, "a leave is finished by one thread or the other");
        everything_goes(0);
    }
};
const Model<LeftMeanwhile> m28("left_meanwhile", "the taker finishes a leave, with all that the owner has left", few);

// ---- joining and leaving ----

/// A thread that ends leaves its limbo to others.
struct EndedThread : Stage<TinyTraits, 2> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            leave(0);
        } else {
            read(1);
            domain.drain(handle(1));
        }
    }
    void after() { everything_goes(1); }
};
const Model<EndedThread> m18("ended_thread", "an ended thread's limbo finds an owner", few);

struct RecordHandedOver : Stage<OneByOne, 2> {
    RecordHandedOver() { leave(1); }
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            leave(0);
        } else {
            join(1);
            replace(1, 3);
            read(1);
        }
    }
    void after() {
        expect(domain.stats().participants == 1, "who has left is not counted");
        everything_goes(1);
    }
};
const Model<RecordHandedOver> m19("record_handed_over", "a record passes from thread to thread with all that is in it",
                                  few);

struct JoiningTogether : Stage<OneByOne, 2, 0> {
    std::array<std::uint32_t, 2> index{};
    void thread(int i) {
        join(i);
        index[static_cast<std::size_t>(i)] = handle(i).index();
        read(i);
    }
    void after() { expect(index[0] != index[1], "two threads at once have two records"); }
};
const Model<JoiningTogether> m20("joining_together", "threads that join at the same time get records of their own",
                                 few);

/// The first group is full: both make the next one.
struct JoiningNextGroup : Stage<OneByOne, 2, 0, 4> {
    JoiningNextGroup() {
        join(2);
        join(3);
    }
    void thread(int i) {
        join(i);
        expect(handle(i).index() >= 2, "records of others are not given away");
        read(i);
    }
    void after() {
        expect(handle(0).index() != handle(1).index(), "two threads at once have two records");
        expect(domain.stats().participants == 4, "every thread has a record");
    }
};
const Model<JoiningNextGroup> m21("joining_next_group", "threads that need a further group agree on one", few);

/// A thread joins while another one retires and looks at all records; the last one needs a further group.
struct JoinAgainstAdvance : Stage<TinyTraits, 3, 1> {
    void thread(int i) {
        if (i == 0) {
            replace(0, 2);
            replace(0, 3);
        } else {
            join(i);
            read(i);
        }
    }
    void after() { expect(domain.stats().participants == 3, "every thread has a record"); }
};
const Model<JoinAgainstAdvance> m22("join_against_advance",
                                    "a reader that joins late is seen, or sees what was unlinked", few);

/// Limbo of an ended thread, old enough only by an advance that its adopter has not made.
struct AdoptedAfterAdvance : Stage<OneByOne, 3> {
    std::optional<Guard> reading;
    Node* held = nullptr;
    AdoptedAfterAdvance() {
        domain.try_advance();
        std::optional<Guard> writing(std::in_place, handle(2));
        domain.try_advance();
        reading.emplace(handle(1));
        held = head.load(B::acquire(edge::unnamed));
        writing->retire(swing(2), &Node::reclaim, sizeof(Node));
        writing.reset();
        leave(2);
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
const Model<AdoptedAfterAdvance> m23("adopted_after_advance", "adopted limbo is old enough for the adopter too", few);

/// As above, one after the other, with nothing but the domain to tell them so.
struct AdoptedInTurn : AdoptedAfterAdvance {
    bool left = false;
    bool advanced = false;
    void thread(int i) {
        if (i == 0)
            hold_until([this] { return advanced; });
        else if (i == 2)
            hold_until([this] { return left; });
        AdoptedAfterAdvance::thread(i);
        (i == 1 ? left : advanced) = true;
    }
};
const Model<AdoptedInTurn> m24("adopted_in_turn", "whoever adopts limbo has heard of the last reader's end", few);

} // namespace
