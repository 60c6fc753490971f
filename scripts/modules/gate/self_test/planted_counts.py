"""Counts of which some rise: those that must be found, and those that were accepted."""

from __future__ import annotations

from pathlib import Path

from gate import counts as gate_counts
from gate.counts import Accepted, Counts
from gate.statistics import PASS, REGRESSION


def planted_counts(binary: Path) -> list[tuple[str, bool]]:
    """Returns [(what was planted, found)]: one more of each kind in each operation, and nothing at all."""
    plain = gate_counts.take_counts(binary)
    again = gate_counts.compare_counts(plain, gate_counts.take_counts(binary))
    told = [("nothing", all(each.verdict == PASS for each in again))]
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
            right = (operation, measure) in named and all(name == operation for name, _ in named)
            told.append((f"{kind}@{operation}", right))
    return told


def accepted_rises() -> list[tuple[str, bool]]:
    """Returns [(what, whether it went as it must)]: a rise that was accepted passes up to where it was
    accepted, and no other."""
    before: Counts = {"search": {"calls": 10, "totals": {"loads": 100, "stores": 20}}}
    after: Counts = {"search": {"calls": 10, "totals": {"loads": 110, "stores": 20}}}
    cases: list[tuple[str, dict[str, Accepted], bool]] = [
        ("a rise with a reason", {"search: loads": {"up_to": 11.0, "reason": "a test"}}, True),
        ("a rise beyond what was accepted", {"search: loads": {"up_to": 10.5, "reason": "a test"}}, False),
        (
            "a rise of another measure than was accepted",
            {"search: stores": {"up_to": 11.0, "reason": "a test"}},
            False,
        ),
        ("a rise without a reason", {}, False),
    ]
    told = []
    for what, accepted, passes in cases:
        found = gate_counts.compare_counts(before, after)
        gate_counts.let_accepted_pass(found, accepted)
        told.append((what, all(each.verdict == PASS for each in found) == passes))
    return told


def grown_memory() -> list[tuple[str, bool]]:
    """Returns [(what, whether it went as it must)]: an index may grow by what it has once, a vector by
    nothing."""
    vectors = 10_000
    told = []
    for what, more, passes in (
        ("128 bytes more in an index", 128, True),
        ("8 bytes more in a vector", 8 * vectors, False),
    ):
        before: Counts = {"memory": {"calls": vectors, "totals": {"bytes": 7_327_696}}}
        after: Counts = {"memory": {"calls": vectors, "totals": {"bytes": 7_327_696 + more}}}
        verdicts = {each.verdict for each in gate_counts.compare_counts(before, after)}
        told.append((what, verdicts == {PASS if passes else REGRESSION}))
    return told
