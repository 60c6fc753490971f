// The tree: every mix of operations on keys is linearizable while nodes are cut, merged and taken in, and nothing is
// used again while somebody may be on it.
#include "map_stage.hpp"
#include "model.hpp"

#include <hotindex/map/lock_free_btree.hpp>

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

template <class Traits>
using Tree = LockFreeBTree<int, int, std::less<>, B, Traits>;
/// Leaves of two entries, nodes of three children; a visit is one section.
struct OneSection : TinyTraits {
    static constexpr std::uint32_t passed_per_pin = 8;
};
using Small = Tree<OneSection>;
/// Leaves of one entry, nodes of two children: three keys make three levels. Sections of two elements.
struct Deepest : TinyTraits {
    static constexpr std::uint32_t leaf_entries = 1;
    static constexpr std::uint32_t node_children = 2;
};
using Deep = Tree<Deepest>;
/// As Small, but the epoch stands still: its fences order more than the tree does.
struct Still : OneSection {
    static constexpr std::uint32_t retires_per_advance = 64;
    static constexpr std::uint64_t bag_objects = 64;
};
using Calm = Tree<Still>;

/// Two searches of a scenario take half a second.
constexpr model::Effort light{.bounded = 1000, .random = 1000};
constexpr model::Effort in_a_window{.bounded = 500, .random = 1000};

#define HOTINDEX_SCRIPT(name, tree, claim, ...)                                                                        \
    constexpr Script name##_script __VA_ARGS__;                                                                        \
    const Model<Scripted<name##_script, tree>> name##_model("btree_" #name, claim, light)

// ---- one leaf ----

HOTINDEX_SCRIPT(insert_insert, Small, "of two inserts of a key one succeeds",
                {{}, {{{insert(1, 10), get(1)}, {insert(1, 20), get(1)}, {}}}});
HOTINDEX_SCRIPT(insert_erase, Small, "an erase takes what is there when it strikes",
                {{}, {{{insert(1, 10), erase(1)}, {erase(1), insert(1, 20)}, {}}}});
HOTINDEX_SCRIPT(erase_erase, Small, "of two erases of a key one succeeds",
                {{insert(1, 10)}, {{{erase(1), get(1)}, {erase(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(assign_erase, Small, "an assignment is not lost to an erase that did not see it",
                {{insert(1, 10)}, {{{assign(1, 20), get(1)}, {erase(1), insert(1, 30)}, {}}}});
HOTINDEX_SCRIPT(update_update, Small, "no update is lost",
                {{insert(1, 10)}, {{{update(1, 1), update(1, 2)}, {update(1, 4), get(1)}, {}}}});
HOTINDEX_SCRIPT(value_recycled, Small, "a lookup never sees a value that is used again",
                {{insert(1, 10)},
                 {{{assign(1, 20), assign(1, 30), assign(1, 40), assign(1, 50)}, {get(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(leaf_recycled, Small, "a lookup never reads a leaf that is used again",
                {{insert(1, 10)}, {{{insert(2, 20), erase(2), insert(3, 30), erase(3)}, {get(1), get(1)}, {}}}});
HOTINDEX_SCRIPT(told_by_an_erase, Small, "who finds a key erased knows what was done before",
                {{insert(1, 10)}, {{{insert(2, 20), erase(1)}, {get(1), get(2)}, {}}}});
HOTINDEX_SCRIPT(told_by_an_insert, Small, "an insert in the place of an erased key knows what was done before",
                {{insert(1, 10), insert(2, 20)}, {{{assign(2, 21), erase(1)}, {insert(1, 11), get(2)}, {}}}});
HOTINDEX_SCRIPT(neighbours, Small, "two inserts into a leaf are both there",
                {{}, {{{insert(1, 10), get(2)}, {insert(2, 20), get(1)}, {}}}});
HOTINDEX_SCRIPT(insert_beside_erase, Small, "an insert beside an erase in the same leaf",
                {{insert(1, 10)}, {{{insert(2, 20), get(2)}, {erase(1), get(2)}, {}}}});

HOTINDEX_SCRIPT(insert_after_erase, Small, "an insert does not take an erased entry for its key",
                {{insert(1, 10)}, {{{erase(1), get(1)}, {erase(1), insert(1, 20)}, {}}}});

// ---- leaves and nodes that are cut ----

HOTINDEX_SCRIPT(root_cut, Small, "the only leaf is cut while others insert and look",
                {{insert(1, 10), insert(3, 30)}, {{{insert(2, 20), get(4)}, {insert(4, 40), get(2)}, {}}}});
HOTINDEX_SCRIPT(leaf_cut, Small, "a leaf is cut below a node while its neighbour grows",
                {{insert(1, 10), insert(2, 20), insert(3, 30), insert(4, 40)},
                 {{{insert(5, 50), get(0)}, {insert(0, 5), get(5)}, {}}}});
HOTINDEX_SCRIPT(leaf_cut_twice, Deep, "both halves of a leaf are cut again",
                {{insert(1, 10), insert(4, 40)}, {{{insert(2, 20), get(3)}, {insert(3, 30), get(2)}, {}}}});
HOTINDEX_SCRIPT(node_cut, Deep, "a node is cut while its leaves change",
                {{insert(1, 10), insert(2, 20), insert(3, 30)}, {{{insert(4, 40), get(1)}, {erase(1), get(4)}, {}}}});
HOTINDEX_SCRIPT(cut_beside_lookups, Deep, "a lookup finds its way while the tree grows",
                {{insert(1, 10), insert(3, 30)}, {{{insert(2, 20), insert(4, 40)}, {get(3), get(1)}, {}}}});
HOTINDEX_SCRIPT(erase_beside_cut, Deep, "what a leaf loses while it is cut is lost",
                {{insert(1, 10), insert(2, 20)}, {{{insert(3, 30), get(2)}, {erase(2), insert(2, 21)}, {}}}});
HOTINDEX_SCRIPT(assign_beside_cut, Deep, "an assignment is not lost to a cut",
                {{insert(1, 10), insert(2, 20)}, {{{insert(3, 30)}, {assign(2, 21), get(2)}, {}}}});

// ---- leaves and nodes that are merged ----

HOTINDEX_SCRIPT(leaves_merged, Small, "leaves are merged while others look and insert",
                {{insert(1, 10), insert(2, 20), insert(3, 30)}, {{{erase(1), get(2)}, {insert(1, 11), get(3)}, {}}}});
HOTINDEX_SCRIPT(tree_shrinks, Deep, "a lookup finds its way while the tree shrinks",
                {{insert(1, 10), insert(2, 20), insert(3, 30)}, {{{erase(1), erase(2)}, {get(3), get(2)}, {}}}});
HOTINDEX_SCRIPT(two_shrink_it, Deep, "two threads shrink a tree",
                {{insert(1, 10), insert(2, 20), insert(3, 30)}, {{{erase(1), get(3)}, {erase(3), get(2)}, {}}}});
HOTINDEX_SCRIPT(grows_and_shrinks, Deep, "a tree grows at one end and shrinks at the other",
                {{insert(1, 10), insert(2, 20), insert(3, 30)},
                 {{{erase(1), insert(1, 11)}, {insert(4, 40), erase(3)}, {}}}});
HOTINDEX_SCRIPT(nodes_recycled, Deep, "a lookup never walks a node that is used again",
                {{insert(1, 10), insert(2, 20), insert(4, 40)},
                 {{{insert(3, 30), erase(3), erase(1), insert(1, 11)}, {get(4), get(2)}, {}}}});
HOTINDEX_SCRIPT(three_on_a_tree, Deep, "insert, erase and lookup by three threads",
                {{insert(1, 10), insert(2, 20), insert(3, 30)}, {{{erase(1)}, {insert(4, 40)}, {get(2), get(4)}}}});
HOTINDEX_SCRIPT(three_inserters, Deep, "three threads cut what the others cut",
                {{insert(1, 10), insert(5, 50)}, {{{insert(2, 20)}, {insert(3, 30)}, {insert(4, 40), get(2)}}}});
HOTINDEX_SCRIPT(three_erasers, Small, "three neighbours are erased by three threads",
                {{insert(1, 10), insert(2, 20), insert(3, 30), insert(4, 40), insert(5, 50)},
                 {{{erase(1)}, {erase(3)}, {erase(5), get(2)}}}});

// ---- visits, which are not atomic as a whole, so they are no calls of a script ----

/// One thread erases 2 and inserts 0 and 4 while another one visits. 1 and 3 are there throughout.
template <class T, bool Forwards>
struct Visited {
    static constexpr int threads = 2;
    T map;
    std::array<std::optional<typename T::Handle>, 2> handles;
    std::array<int, 8> seen{};
    int before = 0;
    Visited() {
        for (auto& h : handles)
            h.emplace(map.join());
        for (int key = 1; key != 4; ++key)
            map.insert(*handles[0], key, 10 * key);
    }
    void thread(int i) {
        if (i == 0) {
            map.erase(*handles[0], 2);
            map.insert(*handles[0], 4, 40);
            map.insert(*handles[0], 0, 0);
            return;
        }
        const auto see = [this](int key, int value) {
            expect(value == 10 * key, "an element is visited whole");
            expect(before == 0 || (Forwards ? key > before : key < before), "keys come in order");
            before = key;
            ++seen[static_cast<std::size_t>(key)];
        };
        if constexpr (Forwards)
            map.for_each(*handles[1], see);
        else
            map.for_each_in_range_backwards(*handles[1], 0, 5, see);
        expect(seen[1] == 1 && seen[3] == 1, "what is there throughout is visited exactly once");
        expect(seen[0] <= 1 && seen[2] <= 1 && seen[4] <= 1, "nothing is visited twice");
    }
    void after() {
        handles[1].reset();
        expect(map.drain(*handles[0]), "everything retired goes in the end");
    }
};
const Model<Visited<Small, true>> visit_forwards("btree_visit_forwards",
                                                 "a visit misses nothing that is there throughout", light);
const Model<Visited<Deep, true>> visit_deep("btree_visit_deep", "a visit goes on where the bounds of a leaf end",
                                            light);
const Model<Visited<Deep, false>> visit_backwards("btree_visit_backwards",
                                                  "a visit backwards misses nothing that is there throughout", light);

/// clear() beside an insert.
struct ClearedMeanwhile {
    static constexpr int threads = 2;
    Deep map;
    std::array<std::optional<Deep::Handle>, 2> handles;
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
const Model<ClearedMeanwhile> cleared_meanwhile("btree_cleared_meanwhile", "clear beside an insert", light);

// ---- staged windows ----

/// Thread 2 inserts 6 and stops when it is there. Thread 0 looks for it and erases 1; it stops when it has taken the
/// value, and before it takes the entry out. Neither has retired anything yet, which would order more than the erase.
struct ErasedEntry {
    static constexpr int threads = 3;
    Small map;
    std::array<std::optional<Small::Handle>, 3> handles;
    std::array<bool, 3> strikes{}; // at its next step
    bool inserted = false;
    bool seen = false; // by thread 0
    bool erased = false;
    bool done = false;
    ErasedEntry() {
        for (auto& h : handles)
            h.emplace(map.join());
        for (const int key : {1, 3, 5}) // two leaves
            map.insert(*handles[0], key, 10 * key);
        model::stage([this](const model::Site& site) {
            const int me = model::current_thread();
            if (me == 1 || done)
                return;
            bool& strikes_now = strikes[static_cast<std::size_t>(me)];
            if (strikes_now) {
                (me == 0 ? erased : inserted) = true;
                hold_until([this] { return done; });
            }
            strikes_now = model::within(site, me == 0 ? "erase" : "link");
        });
    }
    void thread(int i) {
        if (i == 2) {
            map.insert(*handles[2], 6, 60);
        } else if (i == 0) {
            hold_until([this] { return inserted; });
            seen = map.contains(*handles[0], 6);
            map.erase(*handles[0], 1);
        } else {
            hold_until([this] { return erased; });
            if (!map.contains(*handles[1], 1)) {
                expect(!seen || map.contains(*handles[1], 6), "who finds a key erased knows what was done before");
                expect(map.insert(*handles[1], 1, 11), "an insert does not take an erased entry for its key");
            }
            done = true;
        }
    }
};
const Model<ErasedEntry> erased_entry("btree_erased_entry", "an entry without a value counts for nothing", in_a_window);

/// All empty leaves are the same word: a CAS that takes one may meet a later one than was read. Thread 0 stops before
/// such a CAS, `Frozen`: that of a freeze; otherwise that of an insert. Meanwhile thread 1 fills the leaf and empties it
/// again. So thread 0 comes after it, and knows what it did before.
template <bool Frozen>
struct EmptiedAgain {
    static constexpr int threads = 2;
    Calm map;
    Calm other;
    std::array<std::optional<Calm::Handle>, 2> handles;
    std::array<std::optional<Calm::Handle>, 2> of_other;
    int steps = 0; // of thread 0 in the freeze
    bool read = false;
    bool filled = false;
    bool emptied = false;
    bool done = false;
    EmptiedAgain() {
        for (int i = 0; i != 2; ++i) {
            handles[i].emplace(map.join());
            of_other[i].emplace(other.join());
        }
        if constexpr (Frozen)
            for (int key = 1; key != 4; ++key) // 1 and 2 in one leaf, 3 in the other
                map.insert(*handles[0], key, 10 * key);
        model::stage([this](const model::Site& site) {
            if (done || !model::within(site, Frozen ? "freeze" : "link"))
                return;
            if (model::current_thread() == 1) { // before it repairs what it emptied
                if constexpr (Frozen) {
                    emptied = true;
                    hold_until([this] { return done; });
                }
            } else if (!read && ++steps == (Frozen ? 4 : 1)) { // load and CAS, load and CAS
                read = true;
                hold_until([this] { return emptied; });
            }
        });
    }
    void thread(int i) {
        if (i == 0) {
            if constexpr (Frozen)
                map.erase(*handles[0], 3);
            if (map.insert(*handles[0], 3, 31) && filled)
                expect(other.contains(*of_other[0], 6), "an insert after an erase knows what was done before that");
            done = true;
        } else {
            hold_until([this] { return read; });
            filled = map.insert(*handles[1], 3, 30); // if it knows of the erase
            if (filled) {
                other.insert(*of_other[1], 6, 60); // now: the pools of `map` order what was before an insert
                map.erase(*handles[1], 3);
            }
            emptied = true;
        }
    }
};
const Model<EmptiedAgain<false>> emptied_again("btree_emptied_again", "an insert into a leaf that was emptied again",
                                               in_a_window);
const Model<EmptiedAgain<true>> emptied_again_frozen("btree_emptied_again_frozen",
                                                     "a freeze of a leaf that was emptied again", in_a_window);

/// While a visit stands on the last key of one leaf, the other leaf empties, so that one leaf has all keys.
template <bool Forwards>
struct MergedMeanwhile {
    static constexpr int threads = 2;
    Small map;
    std::array<std::optional<Small::Handle>, 2> handles;
    std::array<int, 4> seen{};
    bool there = false;
    bool merged = false;
    MergedMeanwhile() {
        for (auto& h : handles)
            h.emplace(map.join());
        for (int key = 1; key != 4; ++key) // 1 and 2 in one leaf, 3 in the other
            map.insert(*handles[0], key, 10 * key);
    }
    void thread(int i) {
        if (i == 0) {
            hold_until([this] { return there; });
            if constexpr (!Forwards)
                map.erase(*handles[0], 1);
            map.erase(*handles[0], Forwards ? 3 : 2);
            merged = true;
            return;
        }
        const auto see = [this](int key, int) {
            ++seen[static_cast<std::size_t>(key)];
            if (key == (Forwards ? 2 : 3)) {
                there = true;
                hold_until([this] { return merged; });
            }
        };
        if constexpr (Forwards)
            map.for_each(*handles[1], see);
        else
            map.for_each_backwards(*handles[1], see);
        expect(seen[Forwards ? 2 : 3] == 1, "what is there throughout is visited exactly once");
    }
};
const Model<MergedMeanwhile<true>> merged_behind("btree_merged_behind", "a visit takes no leaf from its beginning",
                                                 in_a_window);
const Model<MergedMeanwhile<false>> merged_before("btree_merged_before", "a visit backwards takes no leaf from its end",
                                                  in_a_window);

} // namespace
