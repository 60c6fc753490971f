// The epoch domain, bags: whoever comes by empties them, asks again what refused, and takes those of threads that rest.
#include "epoch_stage.hpp"

#include <optional>
#include <string_view>

namespace {
using namespace hotindex;
using namespace hotindex::epoch_models;

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
const Model<YoungBag> young_bag("young_bag", "a bag's own epoch decides, not the set that it lies in", few);

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
const Model<Refused> refused("refused", "what refused is asked again, by anybody", few);

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

/// A reader without a pin comes between two passes that each reclaim what was retired right before.
struct WatchedAtOnce : Stage<TinyTraits, 2, 2, 2, Watching> {
    bool watches = false;
    bool passed = false;
    WatchedAtOnce() {
        {
            const Guard pinned(handle(1));
            replace(0, 2); // does not go at once
        }
        domain.drain(handle(0)); // sees that nobody is searching
    }
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return watches; });
            replace(0, 3);
            passed = true;
        } else {
            owner.watching.store(1, B::relaxed()); // relaxed: the fence orders it
            B::light_fence(edge::epoch_fence);
            const Node* const found = head.load(B::acquire(edge::unnamed)); // the model's own edge
            watches = true;
            hold_until([this] { return passed; });
            expect(found->value.get() == 2, "what the reader looks at is whole");
            owner.watching.store(0, B::release(edge::unnamed)); // the model's own edge
        }
    }
    void after() { everything_goes(0); }
};
const Model<WatchedAtOnce> watched_at_once("watched_at_once", "each pass looks for itself who is searching", few);

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
const Model<TwoCollectors> two_collectors("two_collectors", "every bag is emptied once, whosever it was", few);

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
const Model<Resting> resting("resting", "a bag is filled by its owner or taken by another, and not both", few);

/// As above; the owner hands its bag over without filling it.
struct RestingHandsOver : Resting {
    void thread(int i) { domain.drain(handle(i)); }
};
const Model<RestingHandsOver> resting_hands_over("resting_hands_over",
                                                 "a bag is handed over by its owner, or by who takes it", few);

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
const Model<TwoTakers> two_takers("two_takers", "an open bag is taken by one thread at a time", few);

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
const Model<TakenBefore> taken_before("taken_before", "who hands its bag over knows whether it was taken", few);

/// As above; the owner leaves.
struct TakenBeforeLeave : TakenBefore {
    void thread(int i) {
        if (i == 0)
            return TakenBefore::thread(0);
        hold_until([this] { return taken; });
        leave(1);
    }
};
const Model<TakenBeforeLeave> taken_before_leave("taken_before_leave", "who leaves knows whether its bag was taken",
                                                 few);

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
const Model<LeftBefore> left_before("left_before", "who comes to take a bag too late finds it empty", few);

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
const Model<RestingLeaves> resting_leaves("resting_leaves",
                                          "who leaves while its bag is taken lets the taker finish that", few);

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
const Model<LeftMeanwhile> left_meanwhile("left_meanwhile",
                                          "the taker finishes a leave, with all that the owner has left", few);

} // namespace
