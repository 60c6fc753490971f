// The whole lock-free index in staged windows: a thread is held up in the middle of an operation, so that what goes
// wrong in one schedule of thousands goes wrong at once. Flags of the staging are plain, so they order nothing.
#include "index_stage.hpp"

namespace {
using namespace hotindex;
using namespace hotindex::index_models;

/// The first thread stops when it has written its first stamp of that kind, until the others are done: before a fence
/// of its tells them about it.
template <const Script& S, edge E, class Traits = RoomyTraits>
struct StopsAfterStamp : Scripted<S, Traits> {
    bool stamping = false;
    bool stamped = false;
    bool finished = false;
    StopsAfterStamp() {
        model::stage([this](const Site& site) { look(site); });
    }
    void look(const Site& site) {
        if (current_thread() != 0 || stamped)
            return;
        if (stamping) {
            stamped = true;
            hold_until([this] { return finished; });
        } else {
            stamping = site.named == E && within(site, "stamp");
        }
    }
    void thread(int i) {
        if (i == 1)
            hold_until([this] { return stamped; });
        Scripted<S, Traits>::thread(i);
        finished = finished || i == 1;
    }
    void after() {
        expect(stamped, "the window is where it was");
        Scripted<S, Traits>::after();
    }
};
constexpr Script add_then_get{{add(a, 1)}, {{{add(a, 2)}, {get(a), search()}, {}}}};
constexpr Script remove_then_contains{{add(a, 1)}, {{{remove(a)}, {contains(a), search()}, {}}}};
const Model<StopsAfterStamp<add_then_get, edge::slot_birth>>
    birth_found("birth_found", "whoever finds a birth's stamp has a clock that shows it", model::staged);
const Model<StopsAfterStamp<remove_then_contains, edge::slot_death>>
    death_found("death_found", "whoever finds a death's stamp has a clock that shows it", model::staged);

/// Both threads stamp the same update. The first one is held up before its tick until the second one has made its own,
/// and that one before it writes its stamp until the first one has.
template <const Script& S, edge E>
struct OvertakenAtStamp : StopsAfterStamp<S, E> {
    bool unstamped = false;
    bool ticked = false;
    OvertakenAtStamp() {
        model::stage([this](const Site& site) {
            if (current_thread() == 0 && site.named == edge::version_clock && within(site, "stamp")) {
                unstamped = true;
                hold_until([this] { return ticked; });
            } else if (current_thread() == 1 && site.named == E && within(site, "stamp")) {
                ticked = true;
                hold_until([this] { return this->stamped; });
            } else {
                this->look(site);
            }
        });
    }
    void thread(int i) {
        if (i == 1)
            hold_until([this] { return unstamped; });
        Scripted<S, RoomyTraits>::thread(i);
        if (i == 1)
            ticked = this->finished = true;
    }
};
const Model<OvertakenAtStamp<add_then_get, edge::slot_birth>>
    birth_overtaken("birth_overtaken", "who comes late with a birth's stamp has a clock that shows the one it finds",
                    model::staged);
const Model<OvertakenAtStamp<remove_then_contains, edge::slot_death>>
    death_overtaken("death_overtaken", "who comes late with a death's stamp has a clock that shows the one it finds",
                    model::staged);

/// Both threads are about to mark the same version, and the second one does when it is stamped.
struct MarkedLate : StopsAfterStamp<add_then_get, edge::slot_birth> {
    bool first = false;
    bool second = false;
    MarkedLate() {
        model::stage([this](const Site& site) {
            if (site.named != edge::slot_mark || !within(site, "finish"))
                return look(site);
            (current_thread() == 0 ? first : second) = true;
            hold_until([this] { return current_thread() == 0 ? second : stamped; });
        });
    }
    void thread(int i) {
        if (i == 1)
            hold_until([this] { return first; });
        Scripted::thread(i);
        if (i == 1)
            second = finished = true;
    }
};
const Model<MarkedLate> marked_late("marked_late", "who marks a version that is stamped has a clock that shows it",
                                    model::staged);

/// The first thread stops for good before its tick, as far as the second one can tell.
template <const Script& S>
struct UnstampedMeanwhile : Scripted<S, RoomyTraits> {
    bool unstamped = false;
    bool finished = false;
    UnstampedMeanwhile() {
        model::stage([this](const Site& site) {
            if (current_thread() == 0 && site.named == edge::version_clock && within(site, "stamp")) {
                unstamped = true;
                hold_until([this] { return finished; });
            }
        });
    }
    void thread(int i) {
        if (i == 1)
            hold_until([this] { return unstamped; });
        Scripted<S, RoomyTraits>::thread(i);
        finished = true;
    }
    void after() {
        expect(unstamped, "the window is where it was");
        Scripted<S, RoomyTraits>::after();
    }
};
constexpr Script add_then_searches{{add(a, 1)}, {{{add(a, 2)}, {search(), search()}, {}}}};
const Model<UnstampedMeanwhile<add_then_searches>>
    birth_helped("birth_helped", "a search that stamps a version knows what it replaces", model::staged);
constexpr Script remove_then_searches{{add(a, 1)}, {{{remove(a)}, {search(), search(), get(a)}, {}}}};
const Model<UnstampedMeanwhile<remove_then_searches>>
    death_helped("death_helped", "what a search that stamped the removal misses, get misses too", model::staged);

/// An update, a search that sees it, and another update, one after the other. Nothing but the clock tells the last one.
constexpr Script three_in_turn{{add(a, 1), add(b, 1)}, {{{add(a, 2)}, {add(b, 2), get(a)}, {search()}}}};
struct UpdatesInTurn : StopsAfterStamp<three_in_turn, edge::slot_birth, WideTraits> {
    bool searched = false;
    void thread(int i) {
        hold_until([this, i] { return i == 0 || (i == 2 ? stamped : searched); });
        Scripted::thread(i);
        searched = searched || i == 2;
        finished = finished || i == 1;
    }
};
const Model<UpdatesInTurn> updates_in_turn("updates_in_turn", "an update sees what was stamped before it",
                                           model::staged);

/// A snapshot that is taken between the tick of a removal and its stamp.
struct SnapshotDuringStamp : Stage<RoomyTraits> {
    static constexpr int threads = 2;
    bool ticked = false;
    bool looked = false;
    bool removed = false;
    SnapshotDuringStamp() : Stage(2) {
        (void)perform(handle(0), add(a, 1));
        model::stage([this](const Site& site) {
            if (current_thread() == 0 && site.named == edge::slot_death && within(site, "stamp")) {
                ticked = true;
                hold_until([this] { return looked; });
            }
        });
    }
    void thread(int i) {
        if (i == 0) {
            (void)perform(handle(0), remove(a));
            removed = true;
            return;
        }
        hold_until([this] { return ticked; });
        const auto snapshot = index.snapshot(handle(1));
        const std::array<int, 3> first = seen_by(snapshot.search(query, 8));
        looked = true;
        hold_until([this] { return removed; });
        expect(seen_by(snapshot.search(query, 8)) == first, "a snapshot does not change");
    }
    void after() {
        expect(ticked, "the window is where it was");
        finish();
    }
};
const Model<SnapshotDuringStamp> snapshot_during_stamp("snapshot_during_stamp",
                                                       "a removal has its time when the clock has", model::staged);

} // namespace
