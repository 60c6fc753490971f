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

/// Each search takes half a second.
constexpr model::Effort light{.bounded = 2000, .random = 2000};

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

} // namespace
