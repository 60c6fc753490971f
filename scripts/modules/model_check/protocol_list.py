"""The configurations of relacy/protocol.pml that are searched, and its planted errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

MOMENT = 0.5  # seconds; a configuration that takes no more is part of scripts/test
LONG = 5.0  # seconds; what takes more is worth the seconds of an optimizing compiler


@dataclass(frozen=True)
class Configuration:
    """One set of parameters."""

    name: str
    what: str
    seconds: float  # about: decides how it is compiled, and whether it is quick
    parameters: Mapping[str, int]


@dataclass(frozen=True)
class Bug:
    """An error planted in the model."""

    number: int  # BUG
    name: str
    what: str
    found_by: str  # a configuration
    quick: bool = False  # part of scripts/test
    seconds: float = 0.1  # about: decides how it is compiled


ADD, REMOVE, GET, MOVE, LAST_ID = 1, 2, 4, 8, 16
ANY = ADD | REMOVE | GET | MOVE

CONFIGURATIONS = [
    Configuration("one_update", "an update beside a search", 0.1, {"OPS0": 1, "SLOTS": 2}),
    Configuration("reuse", "slots are used again", 0.1, {"OPS0": 2, "SLOTS": 2}),
    Configuration(
        "reuse_apart", "the same, slots in groups of their own", 0.1, {"OPS0": 2, "SLOTS": 2, "GROUP": 1}
    ),
    Configuration("lives", "slots come to a third life", 0.2, {"OPS0": 3, "SLOTS": 2}),
    Configuration(
        "removals",
        "a removal against a removal or get",
        0.2,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 2, "KINDS0": REMOVE, "KINDS1": REMOVE | GET},
    ),
    Configuration(
        "helped_apart",
        "a replacement, helped by a get",
        0.1,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 2, "GROUP": 1, "KINDS0": ADD, "KINDS1": GET},
    ),
    Configuration(
        "two_searchers", "an update beside two searches", 0.3, {"OPS0": 1, "SLOTS": 2, "SEARCHERS": 2}
    ),
    Configuration(
        "insertions",
        "two updates of an id that is not there",
        2,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 2, "PRESENT": 0},
    ),
    Configuration(
        "insertions_reuse",
        "two adds against one, of an id that is not there",
        2,
        {"OPS0": 2, "OPS1": 1, "SLOTS": 2, "PRESENT": 0, "KINDS0": ADD, "KINDS1": ADD},
    ),
    Configuration(
        "reuse_helped",
        "two adds, and any update or get",
        3,
        {"OPS0": 2, "OPS1": 1, "SLOTS": 2, "KINDS0": ADD, "KINDS1": ANY},
    ),
    Configuration(
        "reuse_helped_apart",
        "the same, slots in groups of their own",
        3,
        {"OPS0": 2, "OPS1": 1, "SLOTS": 2, "GROUP": 1, "KINDS0": ADD, "KINDS1": ANY},
    ),
    Configuration(
        "searches",
        "two adds, a removal, one search after the other",
        12,
        {"OPS0": 2, "OPS1": 1, "SLOTS": 2, "SEARCHES": 2, "KINDS0": ADD, "KINDS1": REMOVE},
    ),
    Configuration("lives_searches", "three lives, two searches", 1, {"OPS0": 3, "SLOTS": 2, "SEARCHES": 2}),
    Configuration(
        "lives_groups",
        "the same, two of three slots share a group",
        2,
        {"OPS0": 3, "SLOTS": 3, "GROUP": 2, "SEARCHES": 2},
    ),
    Configuration(
        "four_updates_apart",
        "four updates, two searches",
        2,
        {"OPS0": 4, "SLOTS": 2, "GROUP": 1, "SEARCHES": 2},
    ),
    Configuration(
        "reuse_two_searchers", "two updates beside two searchers", 3, {"OPS0": 2, "SLOTS": 2, "SEARCHERS": 2}
    ),
    Configuration(
        "reuse_two_searchers_apart",
        "the same, slots in groups of their own",
        3,
        {"OPS0": 2, "SLOTS": 2, "GROUP": 1, "SEARCHERS": 2},
    ),
    Configuration(
        "moves",
        "a move against an add or removal",
        2,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 3, "KINDS0": MOVE},
    ),
    Configuration(
        "moves_reuse_apart",
        "a move against two adds",
        10,
        {"OPS0": 1, "OPS1": 2, "SLOTS": 3, "GROUP": 1, "KINDS0": MOVE, "KINDS1": ADD},
    ),
    Configuration(
        "moves_discarded",
        "a move against a removal, and an add that gets its slot",
        8,
        {
            "OPS0": 1,
            "OPS1": 1,
            "OPS2": 1,
            "SLOTS": 2,
            "IDS": 2,
            "KINDS0": MOVE,
            "KINDS1": REMOVE,
            "KINDS2": ADD | LAST_ID,
        },
    ),
    Configuration(
        "helped_two_searchers",
        "a replacement, helped by a get, beside two searchers",
        2,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 2, "SEARCHERS": 2, "KINDS0": ADD, "KINDS1": GET},
    ),
    Configuration(
        "ids_groups",
        "two ids, updated in turn",
        0.2,
        {"OPS0": 2, "SLOTS": 3, "GROUP": 2, "IDS": 2, "PRESENT": 2},
    ),
    Configuration(
        "ids", "two updaters of two ids", 8, {"OPS0": 1, "OPS1": 1, "SLOTS": 3, "IDS": 2, "KINDS1": ADD}
    ),
    Configuration(
        "replaced_replacement",
        "a replacement that is replaced itself, and its slot used again",
        15,
        {"OPS0": 2, "OPS1": 1, "SLOTS": 3, "KINDS0": ADD, "KINDS1": ADD},
    ),
    Configuration("two_updates", "two updates of one id", 6, {"OPS0": 1, "OPS1": 1, "SLOTS": 3}),
    Configuration(
        "two_updates_apart",
        "the same, slots in groups of their own",
        9,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 3, "GROUP": 1},
    ),
    Configuration(
        "two_updates_blocks",
        "the same, groups in blocks of their own",
        9,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 3, "GROUP": 1, "BLOCK": 1},
    ),
]

BUGS = [
    Bug(
        1,
        "marked_late",
        "a change is marked after the clock has ticked for it (V2)",
        "one_update",
        quick=True,
    ),
    Bug(
        2, "unmarked_stamped", "a search stamps what it finds announced, published or not (V2)", "one_update"
    ),
    Bug(3, "nothing_helped", "a search takes what waits for its time for later than its own", "one_update"),
    Bug(4, "stamped_by_store", "stamps are stored, not CASed", "one_update"),
    Bug(5, "life_not_named", "a stamp does not name the life that it is for", "lives"),
    Bug(6, "unannounced", "changes are not announced (A1)", "one_update", quick=True),
    Bug(7, "birth_announced_late", "a birth is announced after it is published (A1)", "insertions"),
    Bug(8, "replacement_late", "a replacement is announced after it is published (A1)", "helped_apart"),
    Bug(9, "death_announced_late", "a removal is announced after it is published (A1)", "removals"),
    Bug(10, "announced_once", "the second attempt keeps the announcement of the first (A3)", "insertions"),
    Bug(11, "not_withdrawn", "what is not published stays announced", "removals"),
    Bug(
        12,
        "withdrawn_late",
        "a slot is discarded before its announcement has ended (A3)",
        "moves_discarded",
        seconds=4,
    ),
    Bug(13, "announcements_first", "a search reads the announcements before the clock (A1)", "one_update"),
    Bug(14, "birth_ended_early", "a birth's announcement ends before it is added (A2)", "insertions"),
    Bug(15, "death_ended_early", "a removal's announcement ends before it is added (A2)", "one_update"),
    Bug(16, "ended_early", "a replacement's announcement ends before it is added (A2)", "one_update"),
    Bug(
        17,
        "ended_before_death",
        "a replacement's announcement ends before the old death is written (A2)",
        "two_updates",
    ),
    Bug(18, "added_before_time", "a change is added to its group before it has its time (W2)", "one_update"),
    Bug(19, "not_dated", "a change is added without its time (W1)", "one_update"),
    Bug(20, "bits_set", "what is added sets bits, and flips none (W1)", "one_update"),
    Bug(21, "dated_late", "the time is raised later than the bits are flipped (W3)", "one_update"),
    Bug(22, "one_group_added", "in groups apart the death is not added (W2)", "reuse_apart"),
    Bug(23, "helper_completes", "who unlinks for a remover completes its removal, too (W2)", "searches"),
    Bug(
        24,
        "completed_unpinned",
        "an insert completes its birth when it is not pinned any more (A4)",
        "insertions_reuse",
    ),
    Bug(25, "birth_read_first", "a search reads death after birth (V4)", "lives"),
    Bug(26, "alive_before_pending", "ALIVE is stored before PENDING (V4)", "reuse"),
    Bug(27, "any_life", "a slot that has gone on to another life is taken for visible", "reuse"),
    Bug(28, "asked_once", "a search reads a death once, though it may have been stamped meanwhile", "reuse"),
    Bug(29, "replacement_unasked", "the new version is not asked when the old one died", "one_update"),
    Bug(30, "removal_unasked", "a removal is not asked for its time", "one_update"),
    Bug(31, "death_inclusive", "a version is still visible at the time of its death", "one_update"),
    Bug(32, "birth_exclusive", "a version is not yet visible at the time of its birth", "one_update"),
    Bug(33, "latest_ignored", "a search does not look at a group's latest time", "one_update", quick=True),
    Bug(34, "groups_believed", "a group is believed about what was found announced", "one_update"),
    Bug(35, "time_per_block", "a search reads the clock for every block", "two_updates_blocks"),
    Bug(
        36,
        "announced_time_ignored",
        "a slot is used again although a search looks at its life (V3)",
        "reuse",
        quick=True,
    ),
    Bug(
        37,
        "no_grace_period",
        "a slot is used again before its grace period is over (V3)",
        "reuse_helped",
        seconds=1,
    ),
    Bug(38, "range_too_old", "announced times are looked at before the slot is retired (S2)", "reuse_helped"),
    Bug(39, "undecided_passed_over", "a pass does not see announcements that are undecided (S2)", "reuse"),
    Bug(
        40, "announcement_not_numbered", "a late CAS decides a later announcement (S1)", "searches", seconds=5
    ),
    Bug(41, "announcement_ends_early", "an announcement ends before the rows are read", "reuse"),
    Bug(42, "announced_after_reading", "a search announces a time that it has read before (S1)", "reuse"),
    Bug(43, "decided_by_store", "a search stores its time, though another may have decided it (S1)", "reuse"),
    Bug(44, "superseded_unfinished", "a version is superseded before it is stamped (V1, X4)", "insertions"),
    Bug(
        45,
        "removed_unfinished",
        "a version is removed before it is stamped (V1, X4)",
        "insertions",
        seconds=2,
    ),
    Bug(46, "absent_unfinished", "remove says 'not there' before the removal is stamped", "removals"),
    Bug(47, "got_unfinished", "get returns a version before it is stamped (V1, X4)", "helped_apart"),
    Bug(48, "missed_unfinished", "get misses an id before its removal is stamped (V1)", "removals"),
    Bug(49, "unlinked_for_another", "who helps a removal unlinks it before it is stamped (V3)", "searches"),
    Bug(50, "retired_unstamped", "a replaced slot is retired before it is dead (V3)", "one_update"),
    Bug(51, "retired_linked", "a removed slot is retired before its entry is unlinked (X3)", "searches"),
    Bug(52, "unlinked_unstamped", "an entry is unlinked before its removal is stamped (V3)", "one_update"),
    Bug(
        53,
        "replaced_asked_once",
        "a search reads once the death of a version whose replacement is gone",
        "replaced_replacement",
    ),
]
