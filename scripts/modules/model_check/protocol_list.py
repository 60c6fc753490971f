"""The configurations of relacy/protocol.pml that are searched, and its planted errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

MOMENT = 0.5  # seconds; a configuration that takes no more is part of scripts/test


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


ADD, REMOVE, GET, MOVE = 1, 2, 4, 8
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
        0.4,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 2, "KINDS0": REMOVE, "KINDS1": REMOVE | GET},
    ),
    Configuration(
        "helped_apart",
        "a replacement, helped by a get",
        0.4,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 2, "GROUP": 1, "KINDS0": ADD, "KINDS1": GET},
    ),
    Configuration(
        "two_searchers", "an update beside two searches", 0.5, {"OPS0": 1, "SLOTS": 2, "SEARCHERS": 2}
    ),
    Configuration(
        "insertions",
        "two updates of an id that is not there",
        4,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 2, "PRESENT": 0},
    ),
    Configuration(
        "reuse_helped",
        "two adds, and any update or get",
        5,
        {"OPS0": 2, "OPS1": 1, "SLOTS": 2, "KINDS0": ADD, "KINDS1": ANY},
    ),
    Configuration(
        "reuse_helped_apart",
        "the same, slots in groups of their own",
        5,
        {"OPS0": 2, "OPS1": 1, "SLOTS": 2, "GROUP": 1, "KINDS0": ADD, "KINDS1": ANY},
    ),
    Configuration(
        "searches",
        "two adds, a removal, one search after the other",
        15,
        {"OPS0": 2, "OPS1": 1, "SLOTS": 2, "SEARCHES": 2, "KINDS0": ADD, "KINDS1": REMOVE},
    ),
    Configuration("lives_searches", "three lives, two searches", 1, {"OPS0": 3, "SLOTS": 2, "SEARCHES": 2}),
    Configuration(
        "lives_groups",
        "the same, two of three slots share a group",
        5,
        {"OPS0": 3, "SLOTS": 3, "GROUP": 2, "SEARCHES": 2},
    ),
    Configuration(
        "four_updates_apart",
        "four updates, two searches",
        4,
        {"OPS0": 4, "SLOTS": 2, "GROUP": 1, "SEARCHES": 2},
    ),
    Configuration(
        "reuse_two_searchers", "two updates beside two searchers", 7, {"OPS0": 2, "SLOTS": 2, "SEARCHERS": 2}
    ),
    Configuration(
        "reuse_two_searchers_apart",
        "the same, slots in groups of their own",
        9,
        {"OPS0": 2, "SLOTS": 2, "GROUP": 1, "SEARCHERS": 2},
    ),
    Configuration(
        "moves",
        "a move against an add or removal",
        4,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 3, "KINDS0": MOVE},
    ),
    Configuration(
        "moves_reuse_apart",
        "a move against two adds",
        10,
        {"OPS0": 1, "OPS1": 2, "SLOTS": 2, "GROUP": 1, "KINDS0": MOVE, "KINDS1": ADD},
    ),
    Configuration(
        "helped_two_searchers",
        "a replacement, helped by a get, beside two searchers",
        6,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 2, "SEARCHERS": 2, "KINDS0": ADD, "KINDS1": GET},
    ),
    Configuration(
        "ids_groups",
        "two ids, updated in turn",
        0.3,
        {"OPS0": 2, "SLOTS": 3, "GROUP": 2, "IDS": 2, "PRESENT": 2},
    ),
    Configuration(
        "ids", "two updaters of two ids", 10, {"OPS0": 1, "OPS1": 1, "SLOTS": 3, "IDS": 2, "KINDS1": ADD}
    ),
    Configuration("two_updates", "two updates of one id", 15, {"OPS0": 1, "OPS1": 1, "SLOTS": 3}),
    Configuration(
        "two_updates_apart",
        "the same, slots in groups of their own",
        22,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 3, "GROUP": 1},
    ),
    Configuration(
        "two_updates_blocks",
        "the same, groups in blocks of their own",
        22,
        {"OPS0": 1, "OPS1": 1, "SLOTS": 3, "GROUP": 1, "BLOCK": 1},
    ),
]

BUGS = [
    Bug(1, "link_after_stamp", "the predecessor is linked after the stamp (V2)", "one_update", quick=True),
    Bug(2, "no_unstamped", "the stamp is taken while the slot is PENDING", "one_update"),
    Bug(3, "death_announced_late", "a death is announced after it is published (W2)", "removals", quick=True),
    Bug(4, "birth_announced_late", "a birth is announced after it is published (W2)", "helped_apart"),
    Bug(5, "in_flight_ignored", "a search does not look at changes in flight", "one_update", quick=True),
    Bug(6, "latest_late", "latest is raised after completion (W3)", "one_update"),
    Bug(7, "completed_before_stamp", "a change is completed before it is stamped", "one_update"),
    Bug(
        8,
        "announced_time_ignored",
        "a slot is used again although a search looks at its life (V3)",
        "reuse",
        quick=True,
    ),
    Bug(9, "birth_read_first", "a search reads death after birth (V4)", "reuse"),
    Bug(10, "withdrawal_missing", "what is not published is not withdrawn (W4)", "removals"),
    Bug(11, "latest_ignored", "a search does not look at latest", "one_update"),
    Bug(12, "no_grace_period", "a slot is used again before its grace period is over (V3)", "reuse_helped"),
    Bug(13, "life_not_named", "a stamp does not name the life that it is for", "lives"),
    Bug(
        14, "announcement_not_numbered", "a late CAS decides a later announcement (S1)", "searches", seconds=5
    ),
    Bug(15, "range_too_old", "announced times are looked at before the slot is retired (S2)", "reuse_helped"),
    Bug(16, "death_of_another_life", "a death that a search has stamped counts for an earlier life", "reuse"),
    Bug(17, "pending_successor", "a version whose successor is PENDING is taken for dead", "one_update"),
    Bug(18, "not_settled", "a LINK is not settled before the slot is retired (V5)", "one_update"),
    Bug(19, "one_group_completed", "in groups apart the death is not completed (W4)", "reuse_apart"),
    Bug(20, "latest_read_first", "a search reads latest before the state (W3)", "one_update"),
    Bug(21, "alive_before_vacant", "ALIVE is stored before VACANT (V4)", "reuse"),
    Bug(22, "superseded_unfinished", "a version is superseded before it is stamped (V1, X4)", "reuse_helped"),
    Bug(23, "absent_unfinished", "remove says 'not there' before the removal is stamped", "removals"),
    Bug(24, "undecided_passed_over", "a pass does not see announcements that are undecided (S2)", "reuse"),
    Bug(25, "announcement_ends_early", "an announcement ends before the rows are read", "reuse"),
    Bug(26, "latest_not_raised", "latest is not raised at all (W1)", "one_update"),
    Bug(27, "announced_after_reading", "a search announces a time that it has read before (S1)", "reuse"),
    Bug(28, "discarded_announced", "a slot is discarded and its birth not withdrawn (W4)", "moves"),
]
