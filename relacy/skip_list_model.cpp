// The skip list: every mix of operations on keys is linearizable, with towers of one level and of several, and no tower
// is used again while a level links it.
#include "map_stage.hpp"
#include "model.hpp"

#include <hotindex/map/lock_free_skip_list.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

namespace {
using namespace hotindex;
using namespace hotindex::model;
using model::expect;
using model::hold_until;
using model::Model;
using B = model::CheckerBackend;

/// All towers have so many levels.
template <std::uint32_t Height>
struct Levels : TinyTraits {
    static constexpr std::uint32_t tower_height(std::uint64_t) noexcept { return Height; }
};
template <class Traits>
using List = LockFreeSkipList<int, int, std::less<>, B, Traits>;
using Flat = List<Levels<1>>;
using Tall = List<Levels<2>>;
using Mixed = List<TinyTraits>;

/// Two searches of a scenario take half a second.
constexpr model::Effort light{.bounded = 1200, .random = 1200};
constexpr model::Effort in_a_window{.bounded = 1000, .random = 1500};

#define HOTINDEX_SCRIPT(name, list, claim, ...)                                                                        \
    constexpr Script name##_script __VA_ARGS__;                                                                        \
    const Model<Scripted<name##_script, list>> name##_model("skip_list_" #name, claim, light)

// ---- one key ----

HOTINDEX_SCRIPT(insert_insert, Flat, "of two inserts of a key one succeeds",
                {{}, {{{insert(1, 10), get(1)}, {insert(1, 20), get(1)}, {}}}});
HOTINDEX_SCRIPT(insert_erase, Flat, "an erase takes what is there when it strikes",
                {{}, {{{insert(1, 10), erase(1)}, {erase(1), insert(1, 20)}, {}}}});
HOTINDEX_SCRIPT(erase_erase, Flat, "of two erases of a key one succeeds",
                {{insert(1, 10)}, {{{erase(1), get(1)}, {erase(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(assign_erase, Flat, "an assignment is not lost to an erase that did not see it",
                {{insert(1, 10)}, {{{assign(1, 20), get(1)}, {erase(1), insert(1, 30)}, {}}}});
HOTINDEX_SCRIPT(update_update, Flat, "no update is lost",
                {{insert(1, 10)}, {{{update(1, 1), update(1, 2)}, {update(1, 4), get(1)}, {}}}});
HOTINDEX_SCRIPT(value_recycled, Flat, "a lookup never sees a value that is used again",
                {{insert(1, 10)},
                 {{{assign(1, 20), assign(1, 30), assign(1, 40), assign(1, 50)}, {get(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(told_by_an_erase, Flat, "who finds a key erased knows what was done before",
                {{insert(1, 10)}, {{{insert(2, 20), erase(1)}, {get(1), get(2)}, {}}}});
HOTINDEX_SCRIPT(told_by_an_insert, Flat, "an insert in the place of an erased key knows what was done before",
                {{insert(1, 10), insert(2, 20)}, {{{assign(2, 21), erase(1)}, {insert(1, 11), get(2)}, {}}}});

HOTINDEX_SCRIPT(insert_after_erase, Flat, "an insert does not take an erased tower for its key",
                {{insert(1, 10)}, {{{erase(1), get(1)}, {erase(1), insert(1, 20)}, {}}}});
HOTINDEX_SCRIPT(newcomer, Flat, "a lookup sees a tower that has just been linked whole",
                {{insert(1, 10), insert(3, 30)}, {{{insert(2, 20)}, {get(2), get(3)}, {}}}});

// ---- towers of two levels ----

HOTINDEX_SCRIPT(tower_insert_erase, Tall, "a tower is erased while its inserter still links it",
                {{}, {{{insert(1, 10), get(1)}, {erase(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(tower_erase_insert, Tall, "a key is erased and inserted again by another thread",
                {{insert(1, 10)}, {{{erase(1), insert(1, 20)}, {insert(1, 30), erase(1)}, {}}}});
HOTINDEX_SCRIPT(tower_get_erase, Tall, "a lookup goes past towers that are being erased",
                {{insert(1, 10), insert(2, 20), insert(3, 30)}, {{{erase(1), erase(2)}, {get(3), get(2)}, {}}}});
HOTINDEX_SCRIPT(tower_recycled, Tall, "a lookup never walks a tower that is used again",
                {{insert(1, 10), insert(3, 30)},
                 {{{erase(1), insert(2, 20), erase(2), insert(1, 11)}, {get(3), get(1)}, {}}}});
HOTINDEX_SCRIPT(tower_neighbours, Tall, "an insert beside an erase of the tower before it",
                {{insert(1, 10), insert(3, 30)}, {{{insert(2, 20), get(2)}, {erase(1), get(2)}, {}}}});
HOTINDEX_SCRIPT(tower_behind, Tall, "an insert beside an erase of the tower behind it",
                {{insert(2, 20), insert(3, 30)}, {{{insert(1, 10), get(1)}, {erase(2), get(1)}, {}}}});
HOTINDEX_SCRIPT(behind_an_erased_tower, Tall, "what is inserted behind an erased tower is found",
                {{insert(1, 10), insert(3, 30)}, {{{erase(1), insert(2, 20), get(2)}, {get(3)}, {}}}});
HOTINDEX_SCRIPT(insert_behind_an_insert, Flat, "an insert looks for its place behind a tower that has just been linked",
                {{insert(1, 10)}, {{{insert(2, 20)}, {insert(3, 30), get(2)}, {}}}});
HOTINDEX_SCRIPT(erased_before_a_newcomer, Flat, "who reads past an unlinked tower sees the next one whole",
                {{insert(1, 10)}, {{{insert(2, 20), erase(1)}, {get(2), insert(3, 30)}, {}}}});
HOTINDEX_SCRIPT(two_neighbours_erased, Tall, "two neighbours are erased at the same time",
                {{insert(1, 10), insert(2, 20)}, {{{erase(1), get(2)}, {erase(2), get(1)}, {}}}});
HOTINDEX_SCRIPT(three_on_a_tower, Tall, "insert, erase and lookup of a key by three threads",
                {{insert(1, 10)}, {{{erase(1)}, {insert(1, 20)}, {get(1), get(1)}}}});
HOTINDEX_SCRIPT(three_erasers, Tall, "three neighbours are erased by three threads",
                {{insert(1, 10), insert(2, 20), insert(3, 30)}, {{{erase(1)}, {erase(2)}, {erase(3), get(1)}}}});
HOTINDEX_SCRIPT(mixed_heights, Mixed, "towers of different heights come and go",
                {{insert(1, 10), insert(3, 30), insert(5, 50)},
                 {{{insert(2, 20), erase(3)}, {erase(1), insert(4, 40), get(3)}, {}}}});

// ---- visits, which are not atomic as a whole, so they are no calls of a script ----

/// One thread erases 2 and inserts 4 and 5 while another one visits. 1 and 3 are there throughout.
template <class L>
struct Visited {
    static constexpr int threads = 2;
    L map;
    std::array<std::optional<typename L::Handle>, 2> handles;
    std::array<int, 8> seen{};
    int before = 0;
    Visited() {
        for (auto& h : handles)
            h.emplace(map.join());
        for (int key = 1; key != 4; ++key)
            map.insert(*handles[0], key, 10 * key);
    }
    void change() {
        map.erase(*handles[0], 2);
        map.insert(*handles[0], 4, 40);
        map.insert(*handles[0], 0, 0);
    }
    void see(int key, int value, int direction) {
        expect(value == 10 * key, "an element is visited whole");
        expect(before == 0 || (key - before) * direction > 0, "keys come in order");
        before = key;
        ++seen[static_cast<std::size_t>(key)];
    }
    void check() const {
        expect(seen[1] == 1 && seen[3] == 1, "what is there throughout is visited exactly once");
        expect(seen[0] <= 1 && seen[2] <= 1 && seen[4] <= 1, "nothing is visited twice");
    }
    void after() {
        handles[1].reset();
        expect(map.drain(*handles[0]), "everything retired goes in the end");
    }
};
template <class L>
struct VisitForwards : Visited<L> {
    void thread(int i) {
        if (i == 0)
            return this->change();
        this->map.for_each(*this->handles[1], [this](int key, int value) { this->see(key, value, 1); });
        this->check();
    }
};
template <class L>
struct VisitBackwards : Visited<L> {
    void thread(int i) {
        if (i == 0)
            return this->change();
        this->map.for_each_in_range_backwards(*this->handles[1], 0, 5,
                                              [this](int key, int value) { this->see(key, value, -1); });
        this->check();
    }
};
const Model<VisitForwards<Flat>> visit_forwards("skip_list_visit_forwards",
                                                "a visit misses nothing that is there throughout", light);
const Model<VisitForwards<Tall>> visit_towers("skip_list_visit_towers", "a visit goes on from its last key", light);
const Model<VisitBackwards<Tall>> visit_backwards("skip_list_visit_backwards",
                                                  "a visit backwards misses nothing that is there throughout", light);

/// clear() beside an insert.
struct ClearedMeanwhile {
    static constexpr int threads = 2;
    Tall map;
    std::array<std::optional<Tall::Handle>, 2> handles;
    ClearedMeanwhile() {
        for (auto& h : handles)
            h.emplace(map.join());
        for (int key = 1; key != 4; ++key)
            map.insert(*handles[0], key, 10 * key);
    }
    void thread(int i) {
        if (i == 0)
            map.clear(*handles[0]);
        else
            map.insert(*handles[1], 4, 40);
    }
    void after() {
        for (int key = 1; key != 4; ++key)
            expect(!map.contains(*handles[0], key), "what was there throughout is cleared");
        expect(map.size() == (map.contains(*handles[0], 4) ? 1u : 0u), "the size is exact when nothing else runs");
        handles[1].reset();
        expect(map.drain(*handles[0]), "everything retired goes in the end");
    }
};
const Model<ClearedMeanwhile> cleared_meanwhile("skip_list_cleared_meanwhile", "clear beside an insert", light);

// ---- staged windows ----

/// Towers of thread 0 have two levels, others one.
struct TallByFirst : TinyTraits {
    static std::uint32_t tower_height(std::uint64_t) noexcept { return model::current_thread() == 0 ? 2 : 1; }
};
/// Tower 1 is erased by thread 0, which stops when it has marked it. Thread 1 need not know that there is a second
/// level when it unlinks tower 1 and inserts 2; when it looks for 2, it does.
struct MarkedTower {
    static constexpr int threads = 2;
    List<TallByFirst> map;
    std::array<std::optional<List<TallByFirst>::Handle>, 2> handles;
    bool marked = false;
    bool done = false;
    MarkedTower() {
        for (auto& h : handles)
            h.emplace(map.join());
        model::stage([this](const model::Site& site) {
            if (model::current_thread() == 0 && !marked && erasing && model::within(site, "try_locate")) {
                marked = true;
                hold_until([this] { return done; });
            }
        });
    }
    bool erasing = false;
    void thread(int i) {
        if (i == 0) {
            map.insert(*handles[0], 1, 10);
            erasing = true;
            map.erase(*handles[0], 1);
            return;
        }
        hold_until([this] { return marked; });
        map.insert(*handles[1], 2, 20);
        expect(map.contains(*handles[1], 2), "what a thread has inserted it finds");
        done = true;
    }
};
const Model<MarkedTower> marked_tower("skip_list_marked_tower", "who unlinks a tower knows of the marks above",
                                      in_a_window);

/// Thread 0 inserts tower 1 and stops before it links level 1. Thread 1 erases it (or thread 2, which stops between its
/// marks), inserts 2 and looks for it, when tower 1 is linked on level 1.
template <int Threads>
struct LateLevel {
    static constexpr int threads = Threads;
    List<TallByFirst> map;
    std::array<std::optional<List<TallByFirst>::Handle>, Threads> handles;
    bool at_level_1 = false;
    bool inserted = false;
    bool linked = false;
    int marks = 0;
    bool done = false;
    LateLevel() {
        for (auto& h : handles)
            h.emplace(map.join());
        model::stage([this](const model::Site& site) {
            const int me = model::current_thread();
            if (me == 0 && !at_level_1 && site.named == edge::tower_link && model::within(site, "build")) {
                at_level_1 = true;
                hold_until([this] { return inserted; });
            } else if (me == 0 && site.named == edge::tower_built) {
                linked = true;
                hold_until([this] { return done; });
            } else if (me == 2 && site.named == edge::tower_mark && ++marks == 2) {
                hold_until([this] { return done; });
            }
        });
    }
    void thread(int i) {
        if (i == 0) {
            map.insert(*handles[0], 1, 10);
            linked = true;
            return;
        }
        hold_until([this] { return at_level_1; });
        if (i == 2) {
            map.erase(*handles[2], 1);
            return;
        }
        if (Threads == 2)
            map.erase(*handles[1], 1);
        else
            hold_until([this] { return marks == 2; });
        map.insert(*handles[1], 2, 20);
        inserted = true;
        hold_until([this] { return linked; });
        expect(map.contains(*handles[1], 2), "what a thread has inserted it finds");
        done = true;
    }
};
const Model<LateLevel<2>> late_level("skip_list_late_level", "a level is linked after the tower was erased",
                                     in_a_window);
const Model<LateLevel<3>> between_marks("skip_list_between_marks", "a level is linked between the tower's marks",
                                        in_a_window);

/// Four towers of two levels, of which one is retired in the course of three epochs.
template <int Threads>
struct ThreeEpochs {
    static constexpr int threads = Threads;
    Tall map;
    std::array<std::optional<Tall::Handle>, Threads> handles;
    bool pinned = false;    // thread 0, at the first epoch
    bool advanced = false;  // by thread 1, which is pinned next
    bool dropped = false;   // thread 1 is about to say that it has unlinked a level
    bool held = false;      // thread 1, before its last steps
    bool retired = false;   // tower 1, by thread 0
    bool looking = false;   // thread 2, at tower 1, pinned one epoch later
    bool reclaimed = false; // what thread 0 has retired
    int steps = 0;
    int looks = 0;
    explicit ThreeEpochs(int first) {
        for (auto& h : handles)
            h.emplace(map.join());
        for (int key = first; key != 5; ++key)
            map.insert(*handles[0], key, 10 * key);
    }
    /// Thread 1 makes the epoch advance.
    void advance() { map.insert_or_assign(*handles[1], 4, 41); }
};

/// Thread 3 has erased and marked tower 1. Thread 1 unlinks its level 0, thread 0 its level 1, and retires it: it has
/// been pinned for an epoch longer. Thread 2 pins an epoch later than thread 1, and looks where level 0 begins.
struct RetiredByAnother : ThreeEpochs<4> {
    bool between_levels = false; // thread 1
    bool marked = false;
    bool erased = false;
    RetiredByAnother() : ThreeEpochs(1) {
        model::stage([this](const model::Site& site) { look(site); });
    }
    void look(const model::Site& site) {
        const int me = model::current_thread();
        const bool locates = model::within(site, "try_locate");
        if (me == 0 && !pinned && model::within(site, "descend")) {
            pinned = true;
            hold_until([this] { return held; });
        } else if (me == 1 && dropped && !held) {
            held = true;
            hold_until([this] { return looking; });
        } else if (me == 1 && advanced && locates && ++steps == 4) {
            between_levels = true;
            hold_until([this] { return marked; });
        } else if (me == 1 && between_levels && site.named == edge::tower_unlinked) {
            dropped = true;
        } else if (me == 2 && model::within(site, "descend") && ++looks == 4) {
            looking = true;
            hold_until([this] { return reclaimed; });
        } else if (me == 3 && !marked && locates) {
            marked = true;
            hold_until([this] { return looking; });
        }
    }
    void thread(int i) {
        if (i == 0) {
            map.erase(*handles[0], 3);
            retired = true;
        } else if (i == 1) {
            hold_until([this] { return pinned; });
            advance();
            advanced = true;
            map.insert(*handles[1], 0, 0);
            hold_until([this] { return erased; });
            advance();
            reclaimed = true;
        } else if (i == 2) {
            hold_until([this] { return retired; });
            expect(map.contains(*handles[2], 2), "what is there throughout is found");
            looking = true;
        } else {
            hold_until([this] { return between_levels; });
            map.erase(*handles[3], 1);
            erased = true;
        }
    }
};
const Model<RetiredByAnother> retired_by_another("skip_list_retired_by_another",
                                                 "who retires a tower knows that all levels are unlinked", in_a_window);

/// Thread 0 erases tower 1 before thread 1, which is pinned an epoch later, links its level 1.
struct LinkedWhenErased : ThreeEpochs<3> {
    LinkedWhenErased() : ThreeEpochs(2) {
        model::stage([this](const model::Site& site) { look(site); });
    }
    void look(const model::Site& site) {
        const int me = model::current_thread();
        if (me == 0 && !pinned && model::within(site, "descend")) {
            pinned = true;
            hold_until([this] { return dropped; });
        } else if (me == 1 && !dropped && site.named == edge::tower_link && model::within(site, "build")) {
            dropped = true;
            hold_until([this] { return retired; });
        } else if (me == 1 && !held && site.named == edge::tower_built) {
            held = true;
            hold_until([this] { return looking; });
        } else if (me == 2 && model::within(site, "descend") && ++looks == 3) {
            looking = true;
            hold_until([this] { return reclaimed; });
        }
    }
    void thread(int i) {
        if (i == 0) {
            map.erase(*handles[0], 1);
            retired = true;
        } else if (i == 1) {
            hold_until([this] { return pinned; });
            advance();
            map.insert(*handles[1], 1, 10);
            advance();
            reclaimed = true;
        } else {
            hold_until([this] { return held; });
            expect(map.contains(*handles[2], 3), "what is there throughout is found");
            looking = true;
        }
    }
};
const Model<LinkedWhenErased> linked_when_erased("skip_list_linked_when_erased",
                                                 "a level that is linked late keeps its tower from being retired",
                                                 in_a_window);

} // namespace
