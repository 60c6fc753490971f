// Changes in the whole index that are announced for long, completed late, completed in another order than they were
// stamped in, or withdrawn. Where two slots share a group, and where they lie in groups apart.
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

/// The first thread stops before the first step that `Here` names, until the others are done. They begin then.
template <const Script& S, class Traits, bool (*Here)(const Site&)>
struct StopsBefore : Scripted<S, Traits> {
    bool stopped = false;
    bool finished = false;
    StopsBefore() {
        model::stage([this](const Site& site) {
            if (current_thread() != 0 || stopped || !Here(site))
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
bool announces(const Site& site) {
    return site.named == edge::change_end && within(site, "announce");
}
constexpr Script found_before_announced{{add(b, 1)}, {{{add(a, 1)}, {get(a), search()}, {}}}};
const Model<StopsBefore<found_before_announced, RoomyTraits, announces>>
    birth_announced("birth_announced", "whoever finds a new version finds its birth announced", model::staged);

constexpr Script found_replaced{{add(a, 1)}, {{{add(a, 2)}, {get(a), search()}, {}}}};
const Model<StopsBefore<found_replaced, RoomyTraits, announces>>
    replacement_announced("replacement_announced", "whoever finds a replacement finds it announced", model::staged);
constexpr Script found_removed{{add(a, 1)}, {{{remove(a)}, {contains(a), search()}, {}}}};
const Model<StopsBefore<found_removed, RoomyTraits, announces>>
    removal_announced("removal_announced", "whoever finds a removal finds it announced", model::staged);

/// It has published its version, and has not begun to stamp it.
bool finishes_birth(const Site& site) {
    return site.named == edge::slot_birth && within(site, "finish");
}
constexpr Script replaced_unfinished{{add(a, 1)}, {{{add(a, 2)}, {add(a, 3), search()}, {}}}};
const Model<StopsBefore<replaced_unfinished, RoomyTraits, finishes_birth>>
    unfinished_replaced("unfinished_replaced", "who replaces a version has finished it", model::staged);
constexpr Script removed_unfinished{{add(a, 1)}, {{{add(a, 2)}, {remove(a), search()}, {}}}};
const Model<StopsBefore<removed_unfinished, RoomyTraits, finishes_birth>>
    unfinished_removed("unfinished_removed", "who removes a version has finished it", model::staged);

/// It has marked its entry as removed, and has not begun to stamp that.
bool finishes_death(const Site& site) {
    return site.named == edge::slot_death && within(site, "finish");
}
constexpr Script stamped_for_remover{{add(a, 1), add(b, 1)}, {{{remove(a)}, {contains(a), search()}, {}}}};
const Model<StopsBefore<stamped_for_remover, RoomyTraits, finishes_death>>
    death_announced("death_announced", "whoever finds a removal's mark finds its death announced", model::staged);

/// It has stamped its change, and has not completed it.
bool completes(const Site& site) {
    return within(site, "complete_replacement") ||
           (within(site, "add") && model::bare_file(site.file) == "slot_groups.hpp");
}
constexpr Script death_before_birth{{add(b, 1)}, {{{add(a, 1)}, {remove(a), search(), add(c, 1), search()}, {}}}};
const Model<StopsBefore<death_before_birth, RoomyTraits, completes>>
    death_completed_first("death_completed_first", "a death that is complete before its birth hides nothing else",
                          model::staged);
const Model<StopsBefore<death_before_birth, ApartTraits, completes>>
    death_completed_first_apart("death_completed_first_apart",
                                "a death that is complete before its birth, in a group of its own", model::staged);
constexpr Script replaced_before_completion{{add(a, 1)}, {{{add(a, 2)}, {get(a), search(), add(a, 3), search()}, {}}}};
const Model<StopsBefore<replaced_before_completion, RoomyTraits, completes>>
    replacement_completed_late("replacement_completed_late",
                               "a replacement that is replaced before it is complete leaves one version",
                               model::staged);
const Model<StopsBefore<replaced_before_completion, ApartTraits, completes>>
    replacement_completed_late_apart("replacement_completed_late_apart", "the same in groups apart leaves one version",
                                     model::staged);
constexpr Script unlinked_before_completion{{add(a, 1), add(b, 1)},
                                            {{{remove(a), search()}, {add(a, 2), search(), add(c, 1), search()}, {}}}};
const Model<StopsBefore<unlinked_before_completion, RoomyTraits, completes>>
    removal_completed_late("removal_completed_late",
                           "a removal that another thread unlinks is complete once, by its remover", model::staged);
const Model<StopsBefore<unlinked_before_completion, ApartTraits, completes>>
    removal_completed_late_apart("removal_completed_late_apart",
                                 "the same in groups apart is complete once, by its remover", model::staged);

/// It has found no entry, and another thread inserts one.
bool inserts(const Site& site) {
    return site.named == edge::bucket && site.operation == Operation::cas && within(site, "insert");
}
constexpr Script inserted_before{{add(b, 1)}, {{{add(a, 1), search()}, {add(a, 2), search()}, {}}}};
const Model<StopsBefore<inserted_before, RoomyTraits, inserts>>
    insert_lost("insert_lost", "an insert that finds the id taken replaces, and is announced as that", model::staged);
const Model<StopsBefore<inserted_before, ApartTraits, inserts>>
    insert_lost_apart("insert_lost_apart", "the same in groups apart is announced as that", model::staged);

/// It finds the id taken when it is about to insert, and stops again when it has stamped its replacement.
constexpr Script inserted_then_searched{{add(b, 1)}, {{{add(a, 1)}, {add(a, 2), search()}, {}}}};
struct AnnouncedAnew : Scripted<inserted_then_searched, RoomyTraits> {
    bool inserting = false;
    bool inserted = false;
    bool completing = false;
    bool finished = false;
    AnnouncedAnew() {
        model::stage([this](const Site& site) {
            if (current_thread() == 0 && inserts(site) && !inserting) {
                inserting = true;
                hold_until([this] { return inserted; });
            } else if (current_thread() == 0 && completes(site) && inserting && !completing) {
                completing = true;
                hold_until([this] { return finished; });
            } else if (current_thread() == 1 && within(site, "Announcement") && !inserted) {
                inserted = true;
                hold_until([this] { return completing; });
            }
        });
    }
    void thread(int i) {
        if (i == 1)
            hold_until([this] { return inserting; });
        Scripted::thread(i);
        if (i == 1)
            inserted = finished = true;
    }
    void after() {
        expect(completing, "the window is where it was");
        Scripted::after();
    }
};
const Model<AnnouncedAnew> announced_anew("announced_anew", "an insert that became a replacement is announced as that",
                                          model::staged);

/// It has announced that it replaces or removes a version, and is overtaken.
bool swings_current(const Site& site) {
    return site.named == edge::entry_current && site.operation == Operation::cas;
}
constexpr Script replaced_before{{add(a, 1), add(b, 1)}, {{{add(a, 2), search()}, {add(a, 3), search()}, {}}}};
const Model<StopsBefore<replaced_before, RoomyTraits, swings_current>>
    replacement_repeated("replacement_repeated", "a replacement that is overtaken is announced anew", model::staged);
const Model<StopsBefore<replaced_before, ApartTraits, swings_current>>
    replacement_repeated_apart("replacement_repeated_apart", "the same in groups apart is announced anew",
                               model::staged);
constexpr Script removed_before{{add(a, 1), add(b, 1)}, {{{remove(a), search()}, {add(a, 3), search()}, {}}}};
const Model<StopsBefore<removed_before, RoomyTraits, swings_current>>
    removal_repeated("removal_repeated", "a removal that is overtaken is announced anew", model::staged);

constexpr Script removed_second{{add(a, 1), add(b, 1)}, {{{remove(a), search()}, {remove(a), search()}, {}}}};
const Model<StopsBefore<removed_second, RoomyTraits, swings_current>>
    removal_lost("removal_lost", "a removal that comes second withdraws its change", model::staged);

/// Its add also moves "b", the first one that lies far out, and is overtaken there.
bool moves(const Site& site) {
    return swings_current(site) && within(site, "move_one");
}
template <const Script& S, class Traits>
struct MoveOvertaken : StopsBefore<S, Traits, moves> {
    MoveOvertaken() {
        // By the other thread: the first one looks for vectors far out at its first update.
        Oracle start;
        for (const Call& call : {add(a, 1), add(b, 1), add(c, 1)})
            start.takes(this->perform(this->handle(1), call));
        {
            const auto keeps = this->index.snapshot(this->handle(1)); // the slots of these
            for (const Call& call : {add(a, 2), add(b, 2), add(c, 2)})
                start.takes(this->perform(this->handle(1), call));
        }
        this->index.drain(this->handle(1)); // the lower half is free
        this->history.emplace(start);
    }
};
constexpr Script far_replaced{{}, {{{add(a, 5), search()}, {add(b, 9), search()}, {}}}};
const Model<MoveOvertaken<far_replaced, RoomyTraits>>
    move_lost("move_lost", "a move that is overtaken by a replacement withdraws its change", model::staged);
const Model<MoveOvertaken<far_replaced, ApartTraits>>
    move_lost_apart("move_lost_apart", "the same in groups apart withdraws its change", model::staged);
constexpr Script far_removed{{}, {{{add(a, 5), search()}, {remove(b), search()}, {}}}};
const Model<MoveOvertaken<far_removed, RoomyTraits>>
    move_lost_to_removal("move_lost_to_removal", "a move that is overtaken by a removal withdraws its change",
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
            if (current_thread() != 0 || stopped || !completes(site))
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
                                                         "a segment stays while a change is announced there",
                                                         model::staged);

} // namespace
