// The hash map: every mix of operations on a key is linearizable, through collisions, growth and reclamation.
#include "map_stage.hpp"
#include "model.hpp"

#include <hotindex/map/lock_free_hash_map.hpp>

#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>

namespace {
using namespace hotindex;
using namespace hotindex::model;
using model::expect;
using model::hold_until;
using model::Model;
using B = model::CheckerBackend;

struct AllCollide {
    std::size_t operator()(int) const noexcept { return 42; }
};
struct Spread {
    std::size_t operator()(int key) const noexcept { return static_cast<std::size_t>(key); }
};
/// Does not grow within a model.
struct RoomyTraits : TinyTraits {
    static constexpr std::size_t first_buckets = 2;
    static constexpr std::size_t load_percent = 100'000;
};

template <class Hash, class Traits>
using HashMap = LockFreeHashMap<int, int, Hash, std::equal_to<>, B, Traits>;

#define HOTINDEX_SCRIPT(name, hash, traits, claim, ...)                                                                \
    constexpr Script name##_script __VA_ARGS__;                                                                        \
    const Model<Scripted<name##_script, HashMap<hash, traits>>> name##_model(#name, claim)

// One key.
HOTINDEX_SCRIPT(insert_insert, AllCollide, RoomyTraits, "of two inserts of a key one succeeds",
                {{}, {{{insert(1, 10), get(1)}, {insert(1, 20), get(1)}, {}}}});
HOTINDEX_SCRIPT(insert_erase, AllCollide, RoomyTraits, "an erase takes what is there when it strikes",
                {{}, {{{insert(1, 10), erase(1)}, {erase(1), insert(1, 20)}, {}}}});
HOTINDEX_SCRIPT(erase_erase, AllCollide, RoomyTraits, "of two erases of a key one succeeds",
                {{insert(1, 10)}, {{{erase(1), get(1)}, {erase(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(update_erase, AllCollide, RoomyTraits, "an update never brings an erased key back",
                {{insert(1, 10)}, {{{update(1, 1), get(1)}, {erase(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(update_update, AllCollide, RoomyTraits, "no update is lost",
                {{insert(1, 10)}, {{{update(1, 1), update(1, 2)}, {update(1, 4), get(1)}, {}}}});
HOTINDEX_SCRIPT(erase_reinsert_get, AllCollide, RoomyTraits,
                "a lookup during erase and reinsert sees one of them whole",
                {{insert(1, 10)}, {{{erase(1), insert(1, 20), assign(1, 30)}, {get(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(assign_assign, AllCollide, RoomyTraits, "every assignment returns what it replaced",
                {{insert(1, 10)}, {{{assign(1, 20), assign(1, 30)}, {assign(1, 40), get(1)}, {}}}});
HOTINDEX_SCRIPT(three_on_a_key, AllCollide, RoomyTraits, "insert, erase and lookup of a key by three threads",
                {{insert(1, 10)}, {{{erase(1)}, {insert(1, 20)}, {get(1), get(1)}}}});
HOTINDEX_SCRIPT(recycled_entry, AllCollide, RoomyTraits, "a lookup never sees an entry that is used again",
                {{insert(1, 10)},
                 {{{assign(1, 20), assign(1, 30), assign(1, 40), assign(1, 50)}, {get(1), get(1)}, {}}}});

// Several keys in one bucket: blocks.
HOTINDEX_SCRIPT(neighbours, AllCollide, RoomyTraits, "operations on neighbours in a bucket do not disturb each other",
                {{insert(1, 10)}, {{{insert(2, 20), get(1)}, {insert(3, 30), get(1)}, {}}}});
HOTINDEX_SCRIPT(erase_neighbour, AllCollide, RoomyTraits, "erasing a neighbour does not hide a key",
                {{insert(1, 10), insert(2, 20), insert(3, 30)}, {{{erase(1), erase(2)}, {get(3), get(2)}, {}}}});
HOTINDEX_SCRIPT(block_recycled, AllCollide, RoomyTraits, "a lookup never walks a block that is used again",
                {{insert(1, 10), insert(2, 20)},
                 {{{assign(1, 11), assign(1, 12), assign(1, 13), assign(1, 14)}, {get(2), get(1)}, {}}}});
HOTINDEX_SCRIPT(long_chain, AllCollide, RoomyTraits, "a bucket of more entries than a block holds",
                {{insert(1, 10), insert(2, 20), insert(3, 30), insert(4, 40), insert(5, 50)},
                 {{{insert(6, 60), erase(1)}, {get(1), insert(7, 70)}, {}}}});

// Growth: TinyTraits start with one bucket, and the second insert grows.
HOTINDEX_SCRIPT(get_during_growth, Spread, TinyTraits, "a key is never out of sight while its bucket moves",
                {{insert(1, 10)}, {{{insert(2, 20), insert(3, 30)}, {get(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(two_growers, Spread, TinyTraits, "two inserts that both find the table full",
                {{insert(1, 10)}, {{{insert(2, 20), insert(3, 30)}, {insert(4, 40), get(1)}, {}}}});
HOTINDEX_SCRIPT(erase_during_growth, Spread, TinyTraits, "an erased key does not come back with its moved bucket",
                {{insert(1, 10), insert(2, 20)}, {{{insert(3, 30), get(1)}, {erase(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(update_during_growth, Spread, TinyTraits, "an update during a move is not lost",
                {{insert(1, 10), insert(2, 20)}, {{{insert(3, 30), get(1)}, {update(1, 5), get(1)}, {}}}});
HOTINDEX_SCRIPT(chain_moves, AllCollide, TinyTraits, "a chain moves to the next table as a whole",
                {{insert(1, 10), insert(2, 20)}, {{{insert(3, 30), erase(1)}, {get(2), get(1)}, {}}}});
HOTINDEX_SCRIPT(three_movers, Spread, TinyTraits, "two movers and a reader",
                {{insert(1, 10), insert(2, 20)}, {{{insert(3, 30)}, {insert(4, 40)}, {get(1), get(2)}}}});
HOTINDEX_SCRIPT(reader_of_moved_words, Spread, TinyTraits,
                "what helpers filled in is seen by whoever sees the old bucket as moved",
                {{insert(1, 10), insert(2, 20)}, {{{insert(3, 30)}, {assign(1, 11)}, {update(1, 100), get(1)}}}});

HOTINDEX_SCRIPT(promoted_meanwhile, Spread, TinyTraits, "an insert that looked up in a table that has had its day",
                {{insert(1, 10)}, {{{insert(2, 20), insert(3, 30)}, {insert(4, 40)}, {}}}});
// Three inserts: a root of two buckets, with an untouched table of four behind it.
HOTINDEX_SCRIPT(two_buckets_move, Spread, TinyTraits, "the last of several movers publishes what all of them moved",
                {{insert(1, 10), insert(2, 20), insert(3, 30)},
                 {{{assign(1, 11)}, {assign(2, 22)}, {get(3), get(1)}}}});
HOTINDEX_SCRIPT(filled_by_another, Spread, TinyTraits,
                "a bucket filled by a helper that stopped is published by the next",
                {{insert(1, 10), insert(2, 20)}, {{{assign(1, 11)}, {assign(2, 22)}, {get(1), get(2)}}}});
HOTINDEX_SCRIPT(visit_of_moved, AllCollide, TinyTraits, "a lookup in a chain that is being moved",
                {{insert(1, 10), insert(2, 20)}, {{{assign(1, 11)}, {insert(3, 30)}, {get(1), get(3)}}}});

// Visiting is not atomic as a whole, so it is no call of a script.
struct VisitDuringErase {
    using Map = LockFreeHashMap<int, int, Spread, std::equal_to<>, B, TinyTraits>;
    static constexpr int threads = 2;
    Map map;
    std::array<std::optional<Map::Handle>, 2> handles;
    VisitDuringErase() {
        for (auto& h : handles)
            h.emplace(map.join());
        for (int key = 1; key != 4; ++key)
            map.insert(*handles[0], key, 10 * key);
    }
    void thread(int i) {
        if (i == 0) {
            map.erase(*handles[0], 2);
            map.insert(*handles[0], 4, 40);
            map.insert(*handles[0], 5, 50);
            return;
        }
        std::array<int, 6> seen{};
        map.for_each(*handles[1], [&seen](int key, int value) {
            expect(value == 10 * key, "an entry is visited whole");
            ++seen[static_cast<std::size_t>(key)];
        });
        expect(seen[1] == 1 && seen[3] == 1, "what is there throughout is visited exactly once");
        expect(seen[2] <= 1 && seen[4] <= 1 && seen[5] <= 1, "nothing is visited twice");
    }
    void after() {
        handles[1].reset();
        expect(map.drain(*handles[0]), "everything retired goes in the end");
    }
};
const Model<VisitDuringErase> visit_during_erase("visit_during_erase",
                                                 "for_each misses nothing that is there throughout");

struct CountDuringGrowth {
    using Map = LockFreeHashMap<int, int, Spread, std::equal_to<>, B, TinyTraits>;
    static constexpr int threads = 2;
    Map map;
    std::array<std::optional<Map::Handle>, 2> handles;
    CountDuringGrowth() {
        for (auto& h : handles)
            h.emplace(map.join());
        map.insert(*handles[0], 1, 10);
    }
    void thread(int i) {
        if (i == 0) {
            map.insert(*handles[0], 2, 20);
            map.insert(*handles[0], 3, 30);
        } else {
            expect(map.bucket_count(*handles[1]) <= 2, "a table's size is read from a table that is there");
        }
    }
};
const Model<CountDuringGrowth> count_during_growth("count_during_growth", "bucket_count beside growth");

/// Pinned before the table grows, and looks at the root after that, with nothing but the root to tell of it.
struct SeenAfterGrowth : CountDuringGrowth {
    bool looking = false;
    bool grown = false;
    SeenAfterGrowth() {
        model::stage([this](const model::Site& site) {
            if (model::current_thread() == 1 && site.named == edge::table_root && !looking) {
                looking = true;
                hold_until([this] { return grown; });
            }
        });
    }
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return looking; });
            CountDuringGrowth::thread(0);
            grown = true;
            return;
        }
        expect(map.bucket_count(*handles[1]) <= 4, "a table's size is read from a table that is there");
        expect(looking, "the window is where it was");
    }
};
const Model<SeenAfterGrowth> seen_after_growth("seen_after_growth", "a table that has just become the root is whole",
                                               model::staged);

struct VisitedAfterGrowth : SeenAfterGrowth {
    void thread(int i) {
        if (i == 0)
            return SeenAfterGrowth::thread(0);
        int first = 0;
        map.for_each(*handles[1], [&first](int key, int) { first += key == 1 ? 1 : 0; });
        expect(first == 1, "what is there throughout is visited exactly once");
        expect(looking, "the window is where it was");
    }
};
const Model<VisitedAfterGrowth>
    visited_after_growth("visited_after_growth", "for_each in a table that has just become the root", model::staged);

/// A writer comes to a bucket that another thread has just marked as moved, with nothing but that mark to tell of the
/// new words: the mover has not counted it yet.
struct MovedMeanwhile {
    using Map = LockFreeHashMap<int, int, Spread, std::equal_to<>, B, TinyTraits>;
    static constexpr int threads = 2;
    Map map;
    std::array<std::optional<Map::Handle>, 2> handles;
    bool marked = false;
    bool done = false;
    MovedMeanwhile() {
        for (auto& h : handles)
            h.emplace(map.join());
        map.insert(*handles[0], 1, 10);
        map.insert(*handles[0], 2, 20); // makes the next table
        model::stage([this](const model::Site& site) {
            if (model::current_thread() == 0 && site.named == edge::table_progress && !marked) {
                marked = true;
                hold_until([this] { return done; });
            }
        });
    }
    void thread(int i) {
        if (i == 0) {
            map.insert_or_assign(*handles[0], 1, 11);
            return;
        }
        hold_until([this] { return marked; });
        map.clear(*handles[1]);
        done = true;
    }
    void after() {
        expect(marked, "the window is where it was");
        expect(!map.contains(*handles[0], 2), "what was moved is cleared");
        handles[1].reset();
        expect(map.drain(*handles[0]), "everything retired goes in the end");
    }
};
const Model<MovedMeanwhile> moved_meanwhile("moved_meanwhile", "who sees a bucket as moved sees where to",
                                            model::staged);

/// A thread ends with blocks in its caches and limbo; another one takes over its record and goes on.
struct HandOver {
    using Map = LockFreeHashMap<int, int, AllCollide, std::equal_to<>, B, RoomyTraits>;
    static constexpr int threads = 2;
    Map map;
    std::array<std::optional<Map::Handle>, 2> handles;
    HandOver() {
        handles[0].emplace(map.join());
        map.insert(*handles[0], 1, 10);
    }
    void thread(int i) {
        if (i == 0) {
            map.insert_or_assign(*handles[0], 1, 20);
            map.insert(*handles[0], 2, 20);
            map.erase(*handles[0], 1);
            handles[0].reset();
        } else {
            handles[1].emplace(map.join());
            map.insert(*handles[1], 3, 30);
            map.insert_or_assign(*handles[1], 2, 30);
            map.erase(*handles[1], 3);
        }
    }
    void after() {
        expect(map.size() == 1, "counters of ended threads stay counted");
        expect(map.drain(*handles[1]), "limbo of ended threads is collected");
    }
};
const Model<HandOver> hand_over("hand_over", "a record with caches, limbo and counters passes from thread to thread");

} // namespace
