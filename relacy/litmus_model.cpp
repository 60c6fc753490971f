// Calibration: what the checker shows of the C++ memory model, and what it never shows. Each limit is a test here, so
// that nobody has to remember it, and a change of Relacy, of its patches or of the fence model does not pass unseen.
//
// A scenario asserts that a weak outcome does not occur. It must fail where the outcome is to be seen; it passes where
// C++ forbids the outcome, and where C++ allows it but the checker is blind ("blind:" in its claim).
#include "model.hpp"

#include <array>

namespace {
using namespace hotindex;
using model::Effort;
using model::expect;
using model::Expected;
using model::Model;
using B = model::CheckerBackend;

constexpr edge e = edge::unnamed;
constexpr Effort effort{.bound = 2, .bounded = 20'000, .random = 20'000, .deep_bound = 4, .full = 20'000};

struct Cells {
    B::atomic<int> x{0};
    B::atomic<int> y{0};
    B::var<int> data{0};
    std::array<int, 4> r{-1, -1, -1, -1};
};

enum class Fence { none, light, heavy };
template <Fence F>
void fence() {
    if constexpr (F == Fence::light)
        B::light_fence(e);
    else if constexpr (F == Fence::heavy)
        B::heavy_fence(e);
}

/// Store buffering: both threads store, then miss the other's store.
template <Fence First, Fence Second>
struct StoreBuffering : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            x.store(1, B::relaxed());
            fence<First>();
            r[0] = y.load(B::relaxed());
        } else {
            y.store(1, B::relaxed());
            fence<Second>();
            r[1] = x.load(B::relaxed());
        }
    }
    void after() { expect(r[0] == 1 || r[1] == 1, "one of the stores is seen"); }
};
const Model<StoreBuffering<Fence::none, Fence::none>> sb("sb", "shown: store buffering", effort, Expected::fails);
const Model<StoreBuffering<Fence::heavy, Fence::heavy>> sb_hh("sb_heavy_heavy", "absent between two heavy fences",
                                                              effort);
const Model<StoreBuffering<Fence::light, Fence::heavy>> sb_lh("sb_light_heavy",
                                                              "absent between a light and a heavy fence", effort);
const Model<StoreBuffering<Fence::light, Fence::light>> sb_ll("sb_light_light", "shown: two light fences order nothing",
                                                              effort, Expected::fails);
const Model<StoreBuffering<Fence::heavy, Fence::none>>
    sb_h("sb_heavy_alone", "shown: a heavy fence alone orders nothing", effort, Expected::fails);

/// Through a heavy fence in a third thread: promised of each pair, not of the two light ones.
struct NotTransitive : Cells {
    static constexpr int threads = 3;
    B::atomic<int> first{0};
    B::atomic<int> second{0};
    void thread(int i) {
        if (i == 0) {
            x.store(1, B::relaxed());
            B::light_fence(e);
            first.store(1, B::relaxed());
        } else if (i == 1) {
            if (first.load(B::relaxed()) == 1) {
                B::heavy_fence(e);
                second.store(1, B::relaxed());
            }
        } else if (second.load(B::relaxed()) == 1) {
            B::light_fence(e);
            r[0] = x.load(B::relaxed());
        }
    }
    void after() { expect(r[0] != 0, "what is before a light fence is seen after the next but one"); }
};
const Model<NotTransitive> not_transitive("fences_not_transitive",
                                          "shown: light, heavy, light does not order the two light ones",
                                          {.bound = 4, .bounded = 200'000, .random = 200'000, .deep_bound = 4},
                                          Expected::fails);

/// Message passing, with any orders.
enum class Order { relaxed, acquire, release };
template <Order O>
B::order order() {
    if constexpr (O == Order::acquire)
        return B::acquire(e);
    else if constexpr (O == Order::release)
        return B::release(e);
    else
        return B::relaxed();
}
template <Order Store, Order Load>
struct MessagePassing : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            x.store(1, B::relaxed());
            y.store(1, order<Store>());
        } else if (y.load(order<Load>()) == 1) {
            r[0] = x.load(B::relaxed());
        }
    }
    void after() { expect(r[0] != 0, "who sees the flag sees the message"); }
};
const Model<MessagePassing<Order::relaxed, Order::relaxed>> mp("mp", "shown: a message missed", effort,
                                                               Expected::fails);
const Model<MessagePassing<Order::release, Order::relaxed>> mp_r("mp_release", "shown: release without acquire", effort,
                                                                 Expected::fails);
const Model<MessagePassing<Order::relaxed, Order::acquire>> mp_a("mp_acquire", "shown: acquire without release", effort,
                                                                 Expected::fails);
const Model<MessagePassing<Order::release, Order::acquire>> mp_ra("mp_release_acquire", "absent with both", effort);

/// C++20: a thread's own later plain store ends its release sequence (finding 2 of the epoch domain).
struct EndedSequence : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            x.store(1, B::relaxed());
            y.store(1, B::release(e));
            y.store(2, B::relaxed());
        } else if (y.load(B::acquire(e)) == 2) {
            r[0] = x.load(B::relaxed());
        }
    }
    void after() { expect(r[0] != 0, "a later relaxed store passes the message on"); }
};
const Model<EndedSequence> ended_sequence("release_sequence_ended", "shown: a relaxed store ends a release sequence",
                                          effort, Expected::fails);

struct ContinuedSequence : Cells {
    static constexpr int threads = 3;
    void thread(int i) {
        if (i == 0) {
            x.store(1, B::relaxed());
            y.store(1, B::release(e));
        } else if (i == 1) {
            int one = 1;
            y.compare_exchange_strong(one, 2, B::relaxed(), B::relaxed());
        } else if (y.load(B::acquire(e)) == 2) {
            r[0] = x.load(B::relaxed());
        }
    }
    void after() { expect(r[0] != 0, "a read-modify-write passes the message on"); }
};
const Model<ContinuedSequence> continued("release_sequence_continued",
                                         "absent: a read-modify-write continues a release sequence", effort);

/// A failed compare-exchange has an order of its own.
template <Order Failure>
struct FailedExchange : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            x.store(1, B::relaxed());
            y.store(1, B::release(e));
        } else {
            int expected = 7;
            y.compare_exchange_strong(expected, 8, B::relaxed(), order<Failure>());
            if (expected == 1)
                r[0] = x.load(B::relaxed());
        }
    }
    void after() { expect(r[0] != 0, "who finds the flag sees the message"); }
};
const Model<FailedExchange<Order::relaxed>>
    failed_relaxed("cas_failure_relaxed", "shown: a relaxed failure acquires nothing", effort, Expected::fails);
const Model<FailedExchange<Order::acquire>> failed_acquire("cas_failure_acquire", "absent with acquire on failure",
                                                           effort);

/// Independent reads of independent writes: two observers disagree on the order.
struct TwoObservers : Cells {
    static constexpr int threads = 4;
    void thread(int i) {
        switch (i) {
        case 0:
            x.store(1, B::release(e));
            break;
        case 1:
            y.store(1, B::release(e));
            break;
        case 2:
            r[0] = x.load(B::acquire(e));
            r[1] = y.load(B::acquire(e));
            break;
        default:
            r[2] = y.load(B::acquire(e));
            r[3] = x.load(B::acquire(e));
        }
    }
    void after() { expect(!(r[0] == 1 && r[1] == 0 && r[2] == 1 && r[3] == 0), "observers agree"); }
};
const Model<TwoObservers> two_observers("iriw", "shown: observers disagree under release and acquire", effort,
                                        Expected::fails);

/// Read-read coherence, and no lost read-modify-writes.
struct Coherence : Cells {
    static constexpr int threads = 3;
    void thread(int i) {
        if (i < 2) {
            x.fetch_add(1, B::relaxed());
        } else {
            r[0] = x.load(B::relaxed());
            r[1] = x.load(B::relaxed());
        }
    }
    void after() {
        expect(r[1] >= r[0], "values of one atomic are not seen backwards");
        expect(x.load(B::relaxed()) == 2, "no increment is lost");
    }
};
const Model<Coherence> coherence("coherence", "absent: going backwards, lost increments", effort);

/// How far back a stale value may lie: five values, with the patched headers.
template <int Back>
struct Stale : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            for (int v = 1; v <= Back; ++v)
                x.store(v, B::relaxed());
            y.store(1, B::relaxed());
        } else if (y.load(B::relaxed()) == 1) {
            r[0] = x.load(B::relaxed());
        }
    }
    void after() { expect(r[0] != 0, "the first value is not seen any more"); }
};
const Model<Stale<4>> stale_4("stale_by_4", "shown: a value that is four stores old", effort, Expected::fails);
const Model<Stale<6>> stale_6("stale_by_6", "blind: a value that is six stores old", effort);

// ---- what only the checks of data and lifetimes see ----

template <Order Store, Order Load>
struct PlainPayload : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            data.set(1);
            y.store(1, order<Store>());
        } else if (y.load(order<Load>()) == 1) {
            expect(data.get() == 1, "the payload is there");
        }
    }
};
const Model<PlainPayload<Order::relaxed, Order::acquire>> race("race", "shown: an unpublished payload is a race",
                                                               effort, Expected::fails);
const Model<PlainPayload<Order::release, Order::acquire>> no_race("no_race", "absent: a published payload is none",
                                                                  effort);

struct UseAfterDestroy {
    static constexpr int threads = 2;
    B::atomic<int>* object = B::make<B::atomic<int>>(1);
    void thread(int i) {
        if (i == 0)
            B::destroy(object);
        else
            (void)object->load(B::relaxed());
    }
};
const Model<UseAfterDestroy> use_after_destroy("use_after_destroy", "shown: an object used after it was destroyed",
                                               effort, Expected::fails);
struct Leak {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0)
            (void)B::make<B::var<int>>(1);
    }
};
const Model<Leak> leak("leak", "shown: an object that nobody destroys", effort, Expected::fails);

/// The payload array: one run is read while another is written.
struct RunsApart {
    static constexpr int threads = 2;
    B::array<float> rows{2, 4};
    RunsApart() { *rows.write(0) = 1; }
    void thread(int i) {
        if (i == 0)
            *rows.write(1) = 2;
        else
            expect(*rows.read_some(0, 1) == 1, "the other run is as it was");
    }
};
const Model<RunsApart> runs_apart("runs_apart", "absent: runs of an array do not race with each other", effort);
struct RunsTogether : RunsApart {
    void thread(int i) {
        if (i == 0)
            *rows.write(1) = 2;
        else
            (void)rows.read_some(0, 3);
    }
};
const Model<RunsTogether> runs_together("runs_together", "shown: a masked read of a run that is being written", effort,
                                        Expected::fails);

// ---- blind spots: C++ allows these, the checker never shows them ----

struct LoadBuffering : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            r[0] = x.load(B::relaxed());
            y.store(1, B::relaxed());
        } else {
            r[1] = y.load(B::relaxed());
            x.store(1, B::relaxed());
        }
    }
    void after() { expect(!(r[0] == 1 && r[1] == 1), "no load sees a later store"); }
};
const Model<LoadBuffering> lb("load_buffering", "blind: a load that sees what is stored after it", effort);

struct TwoPlusTwoWrites : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            x.store(1, B::relaxed());
            y.store(2, B::relaxed());
        } else {
            y.store(1, B::relaxed());
            x.store(2, B::relaxed());
        }
    }
    void after() { expect(!(x.load(B::relaxed()) == 1 && y.load(B::relaxed()) == 1), "stores are in one order"); }
};
const Model<TwoPlusTwoWrites> two_plus_two("2+2w", "blind: stores to two atomics in two orders", effort);

struct StaleFailure : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            x.store(1, B::relaxed());
            y.store(1, B::relaxed());
        } else if (y.load(B::relaxed()) == 1) {
            int expected = 7;
            x.compare_exchange_strong(expected, 8, B::relaxed(), B::relaxed());
            r[0] = expected;
        }
    }
    void after() { expect(r[0] != 0, "a failed exchange finds the newest value"); }
};
const Model<StaleFailure> stale_failure("cas_failure_stale", "blind: a failed strong exchange that finds a stale value",
                                        effort);

/// A pair of fences is a happens-before edge to the checker, and is none in C++.
struct FencedPayload : Cells {
    static constexpr int threads = 2;
    void thread(int i) {
        if (i == 0) {
            data.set(1);
            B::light_fence(e);
            if (y.load(B::relaxed()) == 0)
                x.store(1, B::relaxed());
        } else {
            y.store(1, B::relaxed());
            B::heavy_fence(e);
            if (x.load(B::relaxed()) == 1)
                (void)data.get();
        }
    }
};
const Model<FencedPayload> fenced_payload("race_between_fences", "blind: a race on data that only fences order",
                                          effort);

} // namespace
