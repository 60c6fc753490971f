"""The models of relacy/genmc that are explored, and why an order stays that none of them shows to be
needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping

MOMENT = 1.0  # seconds; a model that takes no more is part of --quick
LONG = 10.0  # seconds; a model that takes more is explored as it is, and with no order weakened


@dataclass(frozen=True)
class Model:
    """One file with one set of parameters."""

    name: str
    what: str
    file: str
    seconds: float  # about, under RC11: decides when it is explored
    parameters: Mapping[str, int] = field(default_factory=dict)


MODELS = [
    Model("insert", "an insertion, found by a get, beside a search", "insert.c", 0.2),
    Model("insert_twice", "two insertions of an id", "insert.c", 0.2, {"RACE": 1, "ALONE": 1}),
    Model(
        "insert_twice_search",
        "two insertions of an id, and a search when one has returned",
        "insert.c",
        2,
        {"RACE": 1},
    ),
    Model("replace", "a replacement, helped by a get, beside a search", "replace.c", 0.3),
    Model("replace_apart", "the same, slots in groups of their own", "replace.c", 0.5, {"GROUP": 1}),
    Model("replace_twice", "two replacements", "replace.c", 0.2, {"TWICE": 1, "ALONE": 1}),
    Model(
        "replace_twice_search",
        "two replacements, and a search when one has returned",
        "replace.c",
        2,
        {"TWICE": 1},
    ),
    Model(
        "replace_twice_apart",
        "the same, slots in groups of their own",
        "replace.c",
        4,
        {"TWICE": 1, "GROUP": 1},
    ),
    Model("remove", "a removal, helped by a get, beside a search", "remove.c", 0.2, {"SECOND": 1}),
    Model("remove_twice", "two removals, beside a search", "remove.c", 0.6, {"SECOND": 2}),
    Model(
        "remove_unlink",
        "a removal against an add, which unlinks, too",
        "remove.c",
        0.3,
        {"SECOND": 3, "ALONE": 1},
    ),
    Model(
        "remove_unlink_search",
        "the same, and a search when the add has returned",
        "remove.c",
        2,
        {"SECOND": 3},
    ),
    Model(
        "withdraw",
        "a move against a removal; its slot is taken for an insertion, beside a search",
        "withdraw.c",
        12,
    ),
    Model("withdraw_alone", "the same, without a search", "withdraw.c", 0.3, {"ALONE": 1}),
    Model("move", "a move of what has just been inserted, beside a search", "move.c", 0.3),
    Model("move_apart", "the same, slots in groups of their own", "move.c", 0.4, {"GROUP": 1}),
    Model("move_read", "a move, found by a get, beside a search", "move.c", 0.4, {"READ": 1}),
    Model("move_overlived", "a move out of a slot in its second life", "move.c", 0.2, {"OVERLIVED": 1}),
    Model("clock", "updates of two ids, one later than the other by the clock", "clock.c", 0.1),
    Model("times", "a slot is used again, or watched by a search that announces its time", "times.c", 0.4),
    Model(
        "times_decided",
        "a search's time is decided by who has changed nothing, beside a replacement",
        "times.c",
        0.3,
        {"DECIDED": 1},
    ),
    Model("times_two", "a slot is used again, beside two searches in turn", "times.c", 4, {"SEARCHES": 2}),
    Model("reuse", "two replacements in two slots, beside a search", "reuse.c", 0.6),
    Model("reuse_apart", "the same, slots in groups of their own", "reuse.c", 1.2, {"GROUP": 1}),
    Model("reuse_lives", "three replacements in two slots, beside a search", "reuse.c", 3, {"LIVES": 4}),
    Model(
        "reuse_fresh",
        "the same, the last one in a slot that was not used before",
        "reuse.c",
        4,
        {"LIVES": 4, "SLOTS": 3, "LAST": 2},
    ),
    Model(
        "gone",
        "a replacement is completed late; its slots go on to their next lives under a search",
        "gone.c",
        3,
    ),
    Model(
        "next_life",
        "a search helps the next life of a slot that it has found announced; another one is told",
        "next_life.c",
        8,
    ),
    Model(
        "grace", "a slot is used again after its grace period", "grace.c", 0.2, {"PINS": 1, "OWN_ADVANCES": 3}
    ),
    Model(
        "grace_repinned",
        "the same; who reads it pins once more",
        "grace.c",
        0.6,
        {"PINS": 2, "OWN_ADVANCES": 3},
    ),
    Model(
        "grace_repinned_advanced",
        "the same; two threads advance the epoch, too",
        "grace.c",
        8,
        {"PINS": 2, "OWN_ADVANCES": 2},
    ),
    Model(
        "grace_advanced",
        "a slot is used again after its grace period; two threads advance the epoch",
        "grace.c",
        2,
        {"PINS": 1, "OWN_ADVANCES": 1},
    ),
]

# A weakened order, as the ledger names it: why no model here shows that it is needed.
SURVIVORS: Mapping[str, str] = {
    "epoch_advance:epochs.hpp:pin:load=relaxed": "C has no asymmetric fence. Here the light half of pin() is "
    "sequentially consistent, and with the heavy half of the second advance it gives the reader what this "
    "acquire gives it. The ledger kills it (late_reader), where a fence orders no more than it promises"
}
