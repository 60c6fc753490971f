// Groups of slots in the whole index: changes that are in flight for long, completed late, completed in another order
// than they were stamped in, or withdrawn. Where two slots share a group, and where they lie in groups apart.
#include "index_stage.hpp"

namespace {
using namespace hotindex;
using namespace hotindex::index_models;

HOTINDEX_SCRIPT(upsert_search_apart, ApartTraits, "a search of two groups sees the old version or the new one",
                {{add(a, 1)}, {{{add(a, 2)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(token_search_apart, ApartTraits, "a token that moves from group to group is never out of sight",
                {{add(a, 1)}, {{{add(b, 1), remove(a)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(helped_upsert_apart, ApartTraits, "two replacements in groups apart, and a search that may help either",
                {{add(a, 1)}, {{{add(a, 2)}, {add(a, 3)}, {search(), search()}}}});
HOTINDEX_SCRIPT(upsert_remove_search_apart, ApartTraits, "replace and remove in groups apart, seen by a third thread",
                {{add(a, 1)}, {{{add(a, 2)}, {remove(a)}, {search(), search()}}}});
HOTINDEX_SCRIPT(two_ids_apart, ApartTraits, "updates of two ids in groups apart are seen in one order",
                {{add(a, 1), add(b, 1)}, {{{add(a, 2)}, {add(b, 2)}, {search(), search()}}}});
HOTINDEX_SCRIPT(recycled_apart, ApartTraits, "a search never takes a mask of a slot's next life",
                {{add(a, 1), add(a, 2), add(a, 3)},
                 {{{add(a, 4), add(a, 5), add(a, 6), add(a, 7)}, {search(), search()}, {}}}});
HOTINDEX_SCRIPT(insert_insert_search, RoomyTraits, "an insert that comes second replaces, seen by a third thread",
                {{}, {{{add(a, 1)}, {add(a, 2)}, {search(), search()}}}});
HOTINDEX_SCRIPT(insert_insert_search_apart, ApartTraits,
                "an insert that comes second replaces, in groups apart, seen by a third thread",
                {{}, {{{add(a, 1)}, {add(a, 2)}, {search(), search()}}}});

/// The first thread stops before the first step that `here(site)` names, until the others are done. They begin then.
template <const Script& S, class Traits>
struct StopsBefore : Scripted<S, Traits> {
    bool stopped = false;
    bool finished = false;
    template <class Here>
    explicit StopsBefore(Here here) {
        model::stage([this, here](const Site& site) {
            if (current_thread() != 0 || stopped || !here(site))
                return;
            stopped = true;
            hold_until([this] { return finished; });
        });
    }
    void thread(int i) {
        if (i != 0)
            hold_until([this] { return stopped; });
        Scripted<S, Traits>::thread(i);
        finished = finished || i != 0;
    }
    void after() {
        expect(stopped, "the window is where it was");
        Scripted<S, Traits>::after();
    }
};

/// It has not announced its insert, and so nobody finds it.
template <const Script& S, class Traits>
struct AnnouncesFirst : StopsBefore<S, Traits> {
    AnnouncesFirst()
        : StopsBefore<S, Traits>(
              [](const Site& site) { return site.operation == Operation::fetch_add && within(site, "announce"); }) {}
};
constexpr Script found_before_announced{{add(b, 1)}, {{{add(a, 1)}, {get(a), search()}, {}}}};
const Model<AnnouncesFirst<found_before_announced, RoomyTraits>>
    birth_announced("birth_announced", "whoever finds a new version finds its birth announced", model::staged);

/// It has marked its entry as removed, and has not begun to stamp that.
template <const Script& S, class Traits>
struct MarksFirst : StopsBefore<S, Traits> {
    MarksFirst()
        : StopsBefore<S, Traits>(
              [](const Site& site) { return site.named == edge::slot_death && within(site, "finish_death"); }) {}
};
constexpr Script stamped_for_remover{{add(a, 1), add(b, 1)}, {{{remove(a)}, {contains(a), search()}, {}}}};
const Model<MarksFirst<stamped_for_remover, RoomyTraits>>
    death_announced("death_announced", "whoever finds a removal's mark finds its death announced", model::staged);

/// It has stamped its change, and has not completed it.
template <const Script& S, class Traits>
struct CompletesLate : StopsBefore<S, Traits> {
    CompletesLate() : StopsBefore<S, Traits>([](const Site& site) { return within(site, "complete"); }) {}
};
constexpr Script death_before_birth{{add(b, 1)}, {{{add(a, 1)}, {remove(a), search(), add(c, 1), search()}, {}}}};
const Model<CompletesLate<death_before_birth, RoomyTraits>>
    death_completed_first("death_completed_first", "a death that is complete before its birth hides nothing else",
                          model::staged);
const Model<CompletesLate<death_before_birth, ApartTraits>>
    death_completed_first_apart("death_completed_first_apart",
                                "a death that is complete before its birth, in a group of its own", model::staged);
constexpr Script replaced_before_completion{{add(a, 1)}, {{{add(a, 2)}, {get(a), search(), add(a, 3), search()}, {}}}};
const Model<CompletesLate<replaced_before_completion, RoomyTraits>>
    replacement_completed_late("replacement_completed_late",
                               "a replacement that is replaced before it is complete leaves one version",
                               model::staged);
const Model<CompletesLate<replaced_before_completion, ApartTraits>>
    replacement_completed_late_apart("replacement_completed_late_apart", "the same in groups apart leaves one version",
                                     model::staged);
constexpr Script unlinked_before_completion{{add(a, 1), add(b, 1)},
                                            {{{remove(a), search()}, {add(a, 2), search(), add(c, 1), search()}, {}}}};
const Model<CompletesLate<unlinked_before_completion, RoomyTraits>>
    removal_completed_late("removal_completed_late",
                           "a removal that another thread unlinks is complete once, by its remover", model::staged);
const Model<CompletesLate<unlinked_before_completion, ApartTraits>>
    removal_completed_late_apart("removal_completed_late_apart",
                                 "the same in groups apart is complete once, by its remover", model::staged);

/// It has found no entry, and another thread inserts one.
template <const Script& S, class Traits>
struct InsertsSecond : StopsBefore<S, Traits> {
    InsertsSecond()
        : StopsBefore<S, Traits>([](const Site& site) {
              return site.named == edge::bucket && site.operation == Operation::cas && within(site, "insert");
          }) {}
};
constexpr Script inserted_before{{add(b, 1)}, {{{add(a, 1), search()}, {add(a, 2), search()}, {}}}};
const Model<InsertsSecond<inserted_before, RoomyTraits>>
    insert_lost("insert_lost", "an insert that finds the id taken replaces, and is announced once", model::staged);
const Model<InsertsSecond<inserted_before, ApartTraits>>
    insert_lost_apart("insert_lost_apart", "the same in groups apart is announced once", model::staged);

/// It has announced that it replaces or removes a version, and is overtaken.
template <const Script& S, class Traits>
struct Overtaken : StopsBefore<S, Traits> {
    Overtaken()
        : StopsBefore<S, Traits>(
              [](const Site& site) { return site.named == edge::entry_current && site.operation == Operation::cas; }) {}
};
constexpr Script replaced_before{{add(a, 1), add(b, 1)}, {{{add(a, 2), search()}, {add(a, 3), search()}, {}}}};
const Model<Overtaken<replaced_before, RoomyTraits>>
    replacement_repeated("replacement_repeated", "a replacement that is overtaken withdraws its death", model::staged);
const Model<Overtaken<replaced_before, ApartTraits>>
    replacement_repeated_apart("replacement_repeated_apart", "the same in groups apart withdraws its death",
                               model::staged);
constexpr Script removed_before{{add(a, 1), add(b, 1)}, {{{remove(a), search()}, {add(a, 3), search()}, {}}}};
const Model<Overtaken<removed_before, RoomyTraits>>
    removal_repeated("removal_repeated", "a removal that is overtaken withdraws its death", model::staged);

/// Its add also moves "c", which lies far out, and is overtaken there.
template <const Script& S, class Traits>
struct MoveOvertaken : StopsBefore<S, Traits> {
    MoveOvertaken()
        : StopsBefore<S, Traits>([](const Site& site) {
              return site.named == edge::entry_current && site.operation == Operation::cas && within(site, "move_one");
          }) {
        // By the other thread: the first one looks for vectors far out at its first update.
        Oracle start;
        for (const Call& call : {add(a, 1), add(b, 1), add(c, 1), add(a, 2), add(b, 2), add(c, 2)})
            start.takes(this->perform(this->handle(1), call));
        this->index.drain(this->handle(1)); // the lower half is free
        this->history.emplace(start);
    }
};
constexpr Script far_replaced{{}, {{{add(a, 5), search()}, {add(c, 9), search()}, {}}}};
const Model<MoveOvertaken<far_replaced, RoomyTraits>>
    move_lost("move_lost", "a move that is overtaken by a replacement withdraws both changes", model::staged);
const Model<MoveOvertaken<far_replaced, ApartTraits>>
    move_lost_apart("move_lost_apart", "the same in groups apart withdraws both changes", model::staged);
constexpr Script far_removed{{}, {{{add(a, 5), search()}, {remove(c), search()}, {}}}};
const Model<MoveOvertaken<far_removed, RoomyTraits>>
    move_lost_to_removal("move_lost_to_removal", "a move that is overtaken by a removal withdraws both changes",
                         model::staged);

/// An insert is stamped and not complete when its version is removed, and whatever is empty given back and made again.
struct SegmentOfUncompleted : Stage<ApartTraits> {
    static constexpr int threads = 2;
    bool stopped = false;
    bool finished = false;
    SegmentOfUncompleted() : Stage(2) {
        (void)perform(handle(0), add(a, 1));
        (void)perform(handle(0), add(b, 1));
        model::stage([this](const Site& site) {
            if (current_thread() != 0 || stopped || !within(site, "complete"))
                return;
            stopped = true;
            hold_until([this] { return finished; });
        });
    }
    void thread(int i) {
        if (i == 0)
            return (void)perform(handle(0), add(c, 1));
        hold_until([this] { return stopped; });
        (void)perform(handle(1), remove(c));
        (void)perform(handle(1), remove(b));
        (void)index.drain(handle(1));
        (void)perform(handle(1), add(b, 2));
        (void)perform(handle(1), add(c, 2));
        finished = true;
    }
    void after() {
        expect(stopped, "the window is where it was");
        expect(perform(handle(0), search()).seen == std::array{1, 2, 2}, "a search sees what is there");
        finish();
    }
};
const Model<SegmentOfUncompleted> segment_of_uncompleted("segment_of_uncompleted",
                                                         "a segment stays while a change is in flight there",
                                                         model::staged);

} // namespace
