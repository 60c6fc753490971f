// The gate of the adaptive index, and the index behind it: who is alone is alone, whoever comes next knows what was done
// alone, and a change of mode loses and doubles nothing.
#include "index_stage.hpp"
#include "spin_lock.hpp"

#include <hotindex/adaptive/mode_gate.hpp>
#include <hotindex/adaptive_hot_vector_index.hpp>

#include <array>
#include <cstddef>
#include <mutex>

namespace {
using namespace hotindex;
using namespace hotindex::index_models;
using model::SpinLock;

using Gate = ModeGate<B, SpinLock>;
constexpr Effort small{.bound = 2, .bounded = 50'000};
constexpr Effort few{.bounded = 1'000, .random = 1'000}; // of the whole index: a thousand a second

/// Operations that read plain data, and write it when they are alone.
template <int Threads>
struct GateStage {
    static constexpr int threads = Threads;
    Gate gate;
    std::array<Gate::Place, static_cast<std::size_t>(Threads)> its;
    B::var<int> row{0};
    int alone = 0; ///< of the running execution; orders nothing

    [[nodiscard]] auto places() const {
        return [this](auto visit) {
            for (const Gate::Place& place : its)
                if (!visit(place))
                    return false;
            return true;
        };
    }
    int pass(int i) {
        const Gate::Passage passage(gate, its[static_cast<std::size_t>(i)], places());
        const int seen = row.get();
        if (passage.alone()) {
            row.set(seen + 1);
            ++alone;
        }
        return seen;
    }
    void close() {
        const std::unique_lock lock(gate.mutex());
        gate.close(places());
    }
    void open() {
        const std::unique_lock lock(gate.mutex());
        gate.open();
    }
    void after() { expect(row.get() == alone, "what was done alone is there once"); }
};

struct Closed : GateStage<2> {
    void thread(int i) {
        if (i == 0)
            close();
        pass(i);
        pass(i);
    }
};
const Model<Closed> closed("gate_closed", "who is alone behind a gate that was closed is alone", small);

struct Opened : GateStage<2> {
    Opened() { close(); }
    void thread(int i) {
        pass(i);
        if (i == 0)
            open();
        pass(i);
    }
};
const Model<Opened> opened("gate_opened", "who comes through an opened gate knows what was done alone", small);

struct ToAndFro : GateStage<3> {
    void thread(int i) {
        if (i == 0) {
            close();
            pass(i);
            open();
        } else {
            pass(i);
            pass(i);
        }
    }
};
const Model<ToAndFro> to_and_fro("gate_to_and_fro", "a gate closes and opens beside two threads");

struct TwoChange : GateStage<3> {
    void thread(int i) {
        if (i == 0) {
            close();
            open();
        } else if (i == 1) {
            close();
            pass(i);
        } else {
            pass(i);
            pass(i);
        }
    }
};
const Model<TwoChange> two_change("gate_two_change", "one thread opens what another one closes");

/// Somebody inside does not leave: the others go on, and none of them is alone.
struct Straggler : GateStage<2> {
    Straggler() { straggler.emplace(gate, its[0], places()); }
    void thread(int i) {
        if (i == 1) {
            close();
            pass(i);
        } else {
            pass_unseen();
        }
    }
    void after() {
        expect(alone == 0, "nobody is alone while somebody is inside");
        expect(!gate.is_closed(), "the gate stays closing");
    }
    ~Straggler() = default;
    std::optional<Gate::Passage> straggler;

  private:
    void pass_unseen() { (void)row.get(); }
};
const Model<Straggler> straggler("gate_straggler", "an operation that never ends stops nobody", small);

// ---- the whole index ----

template <class Traits>
using Adaptive = BasicAdaptiveHotVectorIndex<B, Traits, SpinLock>;

#define HOTINDEX_ADAPTIVE_SCRIPT(name, claim, ...)                                                                     \
    constexpr Script name##_script __VA_ARGS__;                                                                        \
    const Model<Scripted<name##_script, RoomyTraits, Adaptive<RoomyTraits>>> name##_model(#name, claim, few)

HOTINDEX_ADAPTIVE_SCRIPT(adaptive_closed, "what is overwritten is overwritten when nobody reads it any more",
                         {{add(a, 1)}, {{{traditional(), add(a, 2)}, {get(a), search()}, {}}}});
HOTINDEX_ADAPTIVE_SCRIPT(adaptive_opened, "what was overwritten is seen by whoever comes through the opened gate",
                         {{add(a, 1), traditional()}, {{{add(a, 2), lock_free()}, {search(), get(a)}, {}}}});
HOTINDEX_ADAPTIVE_SCRIPT(adaptive_both_replace, "replacements in place and beside each other",
                         {{add(a, 1)},
                          {{{traditional(), add(a, 2), lock_free()}, {add(a, 3), search(), add(a, 4)}, {}}}});
HOTINDEX_ADAPTIVE_SCRIPT(adaptive_removed, "removals and insertions of what is overwritten",
                         {{add(a, 1)}, {{{traditional(), add(a, 2), lock_free()}, {remove(a), add(a, 3)}, {}}}});
HOTINDEX_ADAPTIVE_SCRIPT(adaptive_two_ids, "updates of two ids are seen in one order through two changes",
                         {{add(a, 1), add(b, 1)},
                          {{{traditional(), lock_free()}, {add(a, 2), add(b, 2)}, {search(), search()}}}});

} // namespace
