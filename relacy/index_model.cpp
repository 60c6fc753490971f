// The whole lock-free index at a tiny size: every mix of add, remove, get and search is linearizable, rows are never
// torn, and nothing is used again while somebody can see it.
#include "index_stage.hpp"

namespace {
using namespace hotindex;
using namespace hotindex::index_models;

HOTINDEX_SCRIPT(add_search, RoomyTraits, "a search sees a new vector whole or not at all",
                {{}, {{{add(a, 1)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(upsert_search, RoomyTraits, "a search sees the old version or the new one, never both or none",
                {{add(a, 1)}, {{{add(a, 2)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(remove_search, RoomyTraits, "a search sees a removed vector or not, and not again after that",
                {{add(a, 1)}, {{{remove(a)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(token_search, RoomyTraits, "a token that moves from id to id is never out of sight",
                {{add(a, 1)}, {{{add(b, 1), remove(a)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(upsert_upsert, RoomyTraits, "one of two replacements comes first",
                {{add(a, 1)}, {{{add(a, 2), get(a)}, {add(a, 3), get(a)}, {}}}});
HOTINDEX_SCRIPT(add_add, RoomyTraits, "of two adds of an id one inserts",
                {{}, {{{add(a, 1), get(a)}, {add(a, 2), get(a)}, {}}}});
HOTINDEX_SCRIPT(upsert_remove, RoomyTraits, "a replacement and a removal of an id",
                {{add(a, 1)}, {{{add(a, 2), search()}, {remove(a), search()}, {}}}});
HOTINDEX_SCRIPT(remove_remove, RoomyTraits, "of two removals one succeeds",
                {{add(a, 1)}, {{{remove(a), contains(a)}, {remove(a), contains(a)}, {}}}});
HOTINDEX_SCRIPT(remove_readd, RoomyTraits, "an id that is removed and added again, beside a removal",
                {{add(a, 1)}, {{{remove(a), add(a, 2)}, {remove(a), get(a)}, {}}}});
HOTINDEX_SCRIPT(get_then_search, RoomyTraits, "what get has shown, search shows too",
                {{add(a, 1)}, {{{add(a, 2)}, {get(a), search()}, {}}}});
HOTINDEX_SCRIPT(gone_then_search, RoomyTraits, "what get has missed, search misses too",
                {{add(a, 1)}, {{{remove(a)}, {contains(a), search()}, {}}}});
HOTINDEX_SCRIPT(false_then_search, RoomyTraits, "when a removal finds nothing, neither does a search after it",
                {{add(a, 1)}, {{{remove(a)}, {remove(a), search()}, {}}}});
HOTINDEX_SCRIPT(two_ids, RoomyTraits, "updates of two ids are seen in one order",
                {{add(a, 1), add(b, 1)}, {{{add(a, 2)}, {add(b, 2)}, {search(), search()}}}});
HOTINDEX_SCRIPT(two_searchers, RoomyTraits, "two searches agree on the order of two updates",
                {{add(a, 1), add(b, 1)}, {{{add(a, 2), add(b, 2)}, {search()}, {search()}}}});
HOTINDEX_SCRIPT(three_updates, RoomyTraits, "replace, remove and replace of one id",
                {{add(a, 1)}, {{{add(a, 2)}, {remove(a)}, {add(a, 3)}}}});
HOTINDEX_SCRIPT(upsert_remove_search, RoomyTraits, "replace and remove, seen by a third thread",
                {{add(a, 1)}, {{{add(a, 2)}, {remove(a)}, {search(), search()}}}});
HOTINDEX_SCRIPT(helped_upsert, RoomyTraits, "two replacements and a search that may help either",
                {{add(a, 1)}, {{{add(a, 2)}, {add(a, 3)}, {search(), search()}}}});
HOTINDEX_SCRIPT(slots_recycled, RoomyTraits, "a search never sees a slot that is used again",
                {{add(a, 1), add(a, 2), add(a, 3)},
                 {{{add(a, 4), add(a, 5), add(a, 6), add(a, 7)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(recycled_for_another, RoomyTraits, "a slot that goes from one id to another",
                {{add(a, 1), add(a, 2), add(b, 1)},
                 {{{add(a, 3), add(b, 2), add(a, 4), add(b, 3)}, {search(), get(b)}, {}}}});
HOTINDEX_SCRIPT(freed_for_another, RoomyTraits, "a slot that one thread frees and another takes and retires",
                {{add(a, 1), add(a, 2), add(a, 3), add(a, 4)}, {{{get(a)}, {add(a, 5), add(a, 6), add(a, 7)}, {}}}});
HOTINDEX_SCRIPT(recycled_at_hand, AtHandTraits, "a slot that the thread uses again which has freed it",
                {{add(a, 1), add(a, 2)}, {{{add(a, 3), add(a, 4), add(a, 5)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(reclaimed_for_another, AtHandTraits, "a slot that another thread frees, and uses for another id",
                {{add(a, 1), add(b, 1), add(a, 2)}, {{{add(a, 3), add(a, 4)}, {add(b, 2), add(b, 3)}, {search()}}}});
HOTINDEX_SCRIPT(entry_recycled, RoomyTraits, "an entry that is unlinked and used again",
                {{add(a, 1)}, {{{remove(a), add(b, 2), remove(b), add(a, 3)}, {get(a), search()}, {}}}});
HOTINDEX_SCRIPT(search_then_get, RoomyTraits, "what a search has missed, get misses too",
                {{add(a, 1)}, {{{remove(a)}, {search(), search(), get(a)}, {}}}});
HOTINDEX_SCRIPT(search_then_get_new, RoomyTraits, "what a search has seen, get sees too",
                {{add(a, 1)}, {{{add(a, 2)}, {search(), search(), get(a)}, {}}}});
HOTINDEX_SCRIPT(update_then_get, RoomyTraits, "after an update whose time is later than another's, get sees that one",
                {{add(a, 1), add(b, 1)}, {{{add(a, 2)}, {add(b, 2), get(a)}, {search()}}}});
HOTINDEX_SCRIPT(update_then_contains, RoomyTraits, "after an update whose time is later than a removal's, it is gone",
                {{add(a, 1), add(b, 1)}, {{{remove(a)}, {add(b, 2), contains(a)}, {search()}}}});

HOTINDEX_SCRIPT(insert_then_get, WideTraits, "after an insert whose time is later than another's, get finds that one",
                {{}, {{{add(a, 1)}, {add(b, 2), get(a)}, {search()}}}});

// Slots that are used again. After `recycling` the slot of a's first version is the next to be handed out.
#define HOTINDEX_RECYCLING add(a, 1), add(a, 2), add(c, 1), remove(c), add(c, 2), remove(c)
HOTINDEX_SCRIPT(replaced_recycled, RoomyTraits,
                "finishing a version again leaves the next life of what it replaced alone",
                {{HOTINDEX_RECYCLING, add(b, 1)}, {{{get(a), search()}, {search()}, {}}}});
HOTINDEX_SCRIPT(recycled_in_sight, RoomyTraits, "a search never sees the old version of a slot in its new life",
                {{HOTINDEX_RECYCLING}, {{{add(b, 1)}, {search()}, {}}}});
HOTINDEX_SCRIPT(recycled_while_starting, RoomyTraits,
                "what a search can see is not used again, however late it is pinned",
                {{add(a, 1)}, {{{add(a, 2), add(a, 3), add(a, 4), add(a, 5), add(a, 6)}, {search()}, {}}}});
HOTINDEX_SCRIPT(removal_then_add, RoomyTraits, "a removal is seen before an add that came after it, or not at all",
                {{add(a, 1)}, {{{remove(a)}, {add(b, 2), search()}, {search()}}}});
HOTINDEX_SCRIPT(remove_between_attempts, RoomyTraits, "an add that meets another version, then none",
                {{add(a, 1)}, {{{add(a, 2)}, {add(a, 3), remove(a)}, {}}}});

// Announced times. What a search looks at stays, what it does not look at is used again.
// After `aged` the next pin of the first thread collects limbo, and looks at the announced times.
#define HOTINDEX_AGED add(a, 1), add(a, 2), add(a, 3), add(a, 4)
HOTINDEX_SCRIPT(second_search, RoomyTraits, "a late decision is for the search that it was made for",
                {{HOTINDEX_AGED}, {{{get(a)}, {search(), add(b, 1), search()}, {}}}});
HOTINDEX_SCRIPT(time_decided, RoomyTraits, "whoever decided a search's time, it sees all that was stamped by then",
                {{HOTINDEX_AGED}, {{{add(b, 1), remove(a), get(c)}, {search()}, {}}}});
HOTINDEX_SCRIPT(entry_watched, RoomyTraits, "the id of a vector that a search sees stays",
                {{add(a, 1)}, {{{remove(a), add(b, 1), add(b, 2), add(b, 3), add(c, 2)}, {search()}, {}}}});

// Vectors that lie far out. After this "c" is alone, in the third block, and the next add moves it in.
#define HOTINDEX_STRAY add(a, 1), add(b, 1), add(c, 1), add(b, 2), add(c, 2), remove(a), remove(b)
HOTINDEX_SCRIPT(stray_searched, RoomyTraits, "a vector that is moved is never out of sight and never seen twice",
                {{HOTINDEX_STRAY}, {{{add(a, 5)}, {search(), get(c)}, {}}}});
HOTINDEX_SCRIPT(stray_replaced, RoomyTraits, "a vector that is replaced while it is moved has its new value",
                {{HOTINDEX_STRAY}, {{{add(a, 5)}, {add(c, 9), search()}, {}}}});
HOTINDEX_SCRIPT(stray_removed, RoomyTraits, "a vector that is removed while it is moved is gone",
                {{HOTINDEX_STRAY}, {{{add(a, 5)}, {remove(c), search()}, {}}}});
HOTINDEX_SCRIPT(stray_moved_twice, RoomyTraits, "two adds that find the same vector far out",
                {{HOTINDEX_STRAY}, {{{add(a, 5)}, {add(b, 6)}, {search(), search()}}}});

HOTINDEX_SCRIPT(directory_grows, TinyTraits, "adds that make the directory grow, beside gets",
                {{add(a, 1)}, {{{add(b, 2), add(c, 3)}, {get(a), get(b)}, {}}}});
HOTINDEX_SCRIPT(segments_open, TinyTraits, "adds that open segments, beside searches",
                {{add(a, 1), add(b, 1)}, {{{add(c, 1)}, {add(a, 2)}, {search()}}}});

// Eight slots that a search looks at together: all plain before the update, and after it one by one.
HOTINDEX_SCRIPT(one_of_eight_replaced, EightTraits,
                "a search of eight slots sees the old version of one or the new one",
                {{add(a, 1), add(b, 1), add(c, 1)}, {{{add(a, 2)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(one_of_eight_removed, EightTraits, "a search of eight slots sees one that is removed, or not",
                {{add(a, 1), add(b, 1), add(c, 1)}, {{{remove(b)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(two_of_eight, EightTraits, "updates of two slots of eight are seen in one order",
                {{add(a, 1), add(b, 1), add(c, 1)}, {{{add(a, 2)}, {remove(c)}, {search(), search()}}}});
HOTINDEX_SCRIPT(eighth_added, EightTraits, "a search of eight slots sees the last one whole or not at all",
                {{add(a, 1), add(b, 1)}, {{{add(c, 1)}, {search(), search()}, {}}}});

/// A thread that has stopped for ever between the mark of a removal and its time. Nobody may wait for it.
struct AbandonedRemoval : Stage<RoomyTraits> {
    static constexpr int threads = 2;
    AbandonedRemoval() : Stage(3) {
        (void)perform(handle(0), add(a, 1));
        model::play_until(edge::version_clock, [this] { (void)perform(handle(2), remove(a)); });
    }
    void thread(int i) {
        if (i == 0)
            expect(perform(handle(0), add(a, 2)).answer == 1, "an add after a removal inserts");
        else
            (void)perform(handle(1), search());
    }
    void after() {
        expect(perform(handle(0), get(a)).answer == 2, "the add is there");
        finish(1);
    }
};
const Model<AbandonedRemoval> abandoned_removal("abandoned_removal",
                                                "whoever meets a removal completes it, and waits for nobody");

/// Several searches on one snapshot see one state.
struct HeldSnapshot : Stage<RoomyTraits> {
    static constexpr int threads = 2;
    HeldSnapshot() : Stage<RoomyTraits>(threads) {
        perform(handle(0), add(a, 1));
        perform(handle(0), add(b, 1));
    }
    void thread(int i) {
        if (i == 0) {
            perform(handle(0), add(a, 2));
            perform(handle(0), remove(b));
            perform(handle(0), add(a, 3));
            return;
        }
        const auto snapshot = index.snapshot(handle(1));
        const std::array<int, 3> first = seen_by(snapshot.search(query, 8));
        expect(first[0] != 0, "what is replaced is never out of sight");
        expect(seen_by(snapshot.search(query, 8)) == first, "a snapshot does not change");
        expect(snapshot.size() == (first[1] != 0 ? 2 : 1), "a snapshot counts what it finds");
    }
    void after() {
        expect(index.size() == 1, "the size is exact when nothing else runs");
        finish();
    }
};
const Model<HeldSnapshot> held_snapshot("held_snapshot", "several searches on one snapshot see one state");

/// A visit shows the state of its snapshot, and so does each vector that is asked for.
struct VisitedSnapshot : Stage<RoomyTraits> {
    static constexpr int threads = 2;
    VisitedSnapshot() : Stage<RoomyTraits>(threads) { perform(handle(0), add(a, 1)); }
    void thread(int i) {
        if (i == 0) {
            perform(handle(0), add(a, 2));
            perform(handle(0), add(b, 1));
            perform(handle(0), remove(a));
            return;
        }
        const auto snapshot = index.snapshot(handle(1));
        std::array<int, 3> seen{};
        snapshot.for_each([&seen](std::string_view id, std::span<const float> row) {
            int& mine = seen[static_cast<std::size_t>(id[0] - 'a')];
            expect(mine == 0, "a visit shows an id once");
            expect(row[0] == row[1], "a row is whole");
            mine = static_cast<int>(row[0]);
        });
        expect(seen[0] != 0 || seen[1] != 0, "a is there until b is");
        expect(seen_by(snapshot.search(query, 8)) == seen, "a visit shows what a search finds");
        for (const int id : {a, b}) {
            const auto row = snapshot.get_vector(ids[static_cast<std::size_t>(id)]);
            expect((row ? static_cast<int>((*row)[0]) : 0) == seen[static_cast<std::size_t>(id)],
                   "a vector that is asked for is the one that is shown");
        }
    }
    void after() { finish(); }
};
const Model<VisitedSnapshot> visited_snapshot("visited_snapshot", "a visit shows the state of its snapshot");

/// Accesses are counted exactly, whoever counts them where, through lives of records.
struct Accesses : Stage<RoomyTraits> {
    static constexpr int threads = 2;
    Accesses() : Stage<RoomyTraits>(threads, Tracking::exact) {
        perform(handle(0), add(a, 1));
        perform(handle(0), add(b, 1));
    }
    void thread(int i) {
        index.access(handle(i), "a");
        if (i == 0) {
            perform(handle(0), add(c, 1)); // its record shares a cell with that of "a"
            index.access(handle(0), "c");
            index.access(handle(0), "a");
        } else {
            perform(handle(1), search());
        }
    }
    void after() {
        expect(index.access_stats(handle(0), "a")->count == 4, "every access is counted");
        expect(index.access_stats(handle(0), "b")->count == 1, "every access is counted");
        finish();
    }
};
const Model<Accesses> accesses("accesses", "accesses of several threads add up exactly");

/// Statistics are exact when everything is over, and begin again after a reset.
struct CountedQueries : Stage<RoomyTraits> {
    static constexpr int threads = 2;
    CountedQueries() : Stage<RoomyTraits>(threads, Tracking::off, 100, true) {
        perform(handle(0), add(a, 1));
        perform(handle(0), add(b, 1));
    }
    void thread(int i) {
        perform(handle(i), search());
        if (i == 0)
            perform(handle(0), remove(b));
        perform(handle(i), search());
    }
    void after() {
        const IndexStats s = index.get_stats();
        expect(s.queries == 4, "every query is counted");
        expect(s.vectors == 1, "the vectors are counted");
        expect(s.similarity_computations >= 5 && s.similarity_computations <= 8,
               "a similarity for each vector that a search saw");
        index.reset_stats();
        perform(handle(0), search());
        expect(index.get_stats().queries == 1, "counts start again after a reset");
        finish();
    }
};
const Model<CountedQueries> counted_queries("counted_queries", "statistics add up exactly");

/// Tier management beside the birth of a record that was hot in its earlier life.
struct FreshRecordSwept : Stage<RoomyTraits> {
    static constexpr int threads = 2;
    FreshRecordSwept() : Stage<RoomyTraits>(threads, Tracking::exact, 1) {
        perform(handle(0), add(a, 1));
        perform(handle(0), add(b, 1));
        perform(handle(0), add(c, 1)); // shares its cell with "a", whose access it drives into the record
        index.access(handle(0), "a");
        index.access(handle(0), "c");
        perform(handle(0), remove(a));
        index.drain(handle(0)); // the record is free
    }
    void thread(int i) {
        if (i == 0)
            perform(handle(0), add(a, 2));
        else
            index.manage_tiers(handle(1));
    }
    void after() {
        expect(index.access_stats(handle(0), "a")->tier == Tier::warm, "a new vector is not hot for an old one's sake");
        finish();
    }
};
const Model<FreshRecordSwept> fresh_record_swept("fresh_record_swept",
                                                 "tiers are managed by this life's accesses only");

/// A record's next life starts at zero, whatever late comers write back.
struct RecordLives : Stage<RoomyTraits> {
    static constexpr int threads = 2;
    RecordLives() : Stage<RoomyTraits>(threads, Tracking::exact) {
        perform(handle(0), add(a, 1));
        index.access(handle(1), "a");
    }
    void thread(int i) {
        if (i == 0) {
            perform(handle(0), remove(a));
            perform(handle(0), add(b, 1));
            perform(handle(0), remove(b));
            perform(handle(0), add(c, 1));
            index.access(handle(0), "c");
        } else {
            index.access(handle(1), "b");
            index.access(handle(1), "c");
            index.promote(handle(1), "b");
        }
    }
    void after() {
        const std::uint64_t count = index.access_stats(handle(0), "c")->count;
        expect(count == 1 || count == 2, "no access of an earlier life is counted for the next one");
        finish();
    }
};
const Model<RecordLives> record_lives("record_lives", "a record that is used again starts at zero");

/// A participant still holds an access of a record's earlier life when the record is born again.
struct LateWriteBack : Stage<RoomyTraits> {
    static constexpr int threads = 2;
    LateWriteBack() : Stage<RoomyTraits>(threads, Tracking::exact) {
        perform(handle(0), add(a, 1));
        perform(handle(0), add(b, 1));
        perform(handle(0), add(c, 1)); // shares its cell with "a"
        index.access(handle(1), "a");
        perform(handle(0), remove(a));
        index.drain(handle(0)); // the record is free
    }
    void thread(int i) {
        if (i == 0) {
            perform(handle(0), add(a, 2));
            index.access(handle(0), "a");
        } else {
            index.access(handle(1), "c"); // drives the old access out of the cell
        }
    }
    void after() {
        expect(index.access_stats(handle(0), "a")->count == 1, "an access of the earlier life is not counted again");
        finish();
    }
};
const Model<LateWriteBack> late_write_back("late_write_back",
                                           "accesses written back late do not count for the next life");

} // namespace
