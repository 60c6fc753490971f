"""Counts of which some rise: those that must be found, and those that were accepted."""

from __future__ import annotations

from gate import counts as gate_counts, statistics as gate_statistics
from gate.statistics import REGRESSION


def planted_counts(binary):
    """[(what was planted, found)]: one more of each kind in each operation, and nothing at all."""
    plain = gate_counts.take_counts(binary)
    told = [
        (
            "nothing",
            all(
                each.verdict == gate_statistics.PASS
                for each in gate_counts.compare_counts(plain, gate_counts.take_counts(binary))
            ),
        )
    ]
    measures = {
        "load": "loads",
        "store": "stores",
        "rmw": "rmws",
        "cas_failure": "cas_failures",
        "light_fence": "light_fences",
        "heavy_fence": "heavy_fences",
        "allocation": "allocations",
    }
    for kind, measure in measures.items():
        for operation in ("search", "get", "replace", "insert", "remove"):
            found = gate_counts.compare_counts(plain, gate_counts.take_counts(binary, f"{kind}@{operation}"))
            named = {(each.name.split("/")[0], each.measure) for each in found if each.verdict == REGRESSION}
            told.append(
                (
                    f"{kind}@{operation}",
                    (operation, measure) in named and all(name == operation for name, _ in named),
                )
            )
    return told


def accepted_rises():
    """[(what, whether it went as it must)]: a rise that was accepted passes up to where it was accepted, and no other."""
    before = {"search": {"calls": 10, "totals": {"loads": 100, "stores": 20}}}
    after = {"search": {"calls": 10, "totals": {"loads": 110, "stores": 20}}}
    told = []
    for what, accepted, passes in (
        ("a rise with a reason", {"search: loads": {"up_to": 11.0, "reason": "a test"}}, True),
        ("a rise beyond what was accepted", {"search: loads": {"up_to": 10.5, "reason": "a test"}}, False),
        (
            "a rise of another measure than was accepted",
            {"search: stores": {"up_to": 11.0, "reason": "a test"}},
            False,
        ),
        ("a rise without a reason", {}, False),
    ):
        found = gate_counts.compare_counts(before, after)
        gate_counts.let_accepted_pass(found, accepted)
        told.append((what, all(each.verdict == gate_statistics.PASS for each in found) == passes))
    return told
