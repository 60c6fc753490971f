"""How long an operation takes, by the entries of Google Benchmark's JSON, whoever wrote it.

The quantity of an entry that counts is the first of QUANTITIES that it has. `ops` is ours: successful
operations a second. `real_time` is what Google Benchmark gives every benchmark: that of an iteration.
`items_per_second` stands in where both are absent. --by chooses another one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Set

from bench.results import BadResults, Json
from gate.statistics import Summary

QUANTITIES = ("ops", "real_time", "items_per_second")
TIMES = ("real_time", "cpu_time")  # the others are rates
CHOICES = (*QUANTITIES, "cpu_time", "bytes_per_second")
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}

_AGGREGATE = re.compile(r"(.+)_(mean|median|stddev|cv|BigO|RMS)$")
By = Dict[str, str]  # the quantity that counts, by benchmark


@dataclass
class Sorted:
    """The entries of a file: runs that were measured, and what Google Benchmark made of them."""

    runs: List[Json]
    aggregates: Dict[str, Dict[str, Json]]  # by benchmark, by "mean", "median" and so on


def sort(path: Path | str, entries: list[Json]) -> Sorted:
    """Returns the entries by what they are. Raises BadResults where one has no name."""
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise BadResults(f"{path}: benchmark {position} has no name")
    names = {entry["name"] for entry in entries}
    found = Sorted([], {})
    for entry in entries:
        kind = entry.get("run_type")
        parts = _AGGREGATE.fullmatch(entry["name"])
        # Before 1.5 there was no run_type; an aggregate is told by its name, and by what it is made of.
        old = kind is None and parts is not None and parts[1] in names
        if kind in (None, "iteration") and not old:
            found.runs.append(entry)
            continue
        name = entry.get("run_name") or (parts[1] if parts else entry["name"])
        what = entry.get("aggregate_name") or (parts[2] if parts else "")
        found.aggregates.setdefault(str(name), {})[str(what)] = entry
    return found


def failure_of(entry: Json) -> str:
    """Returns why an entry counts for nothing; "" where it counts."""
    if entry.get("error_occurred") or entry.get("skipped"):
        return f"it failed: {entry.get('error_message') or entry.get('skip_message') or 'no reason given'}"
    return ""


# ---- which quantity ----


def offered(entries: list[Json]) -> dict[str, set[str]]:
    """Returns what each benchmark's entries all have of the quantities."""
    found: Dict[str, Set[str]] = {}
    for entry in entries:
        if isinstance(entry, dict) and not failure_of(entry):
            name = str(entry.get("run_name") if entry.get("run_type") == "aggregate" else entry.get("name"))
            mine = {each for each in CHOICES if each in entry}
            found[name] = found[name] & mine if name in found else mine
    return found


def agree(sides: Iterable[list[Json]], by: str | None) -> By:
    """Returns the quantity by which each benchmark of these files is compared: `by`, or the first that all
    its entries have in all files; benchmarks without one are left out."""
    if by:
        return {name: by for entries in sides for name in offered(entries)}
    common: Dict[str, Set[str]] = {}
    for entries in sides:
        for name, mine in offered(entries).items():
            common[name] = common[name] & mine if name in common else mine
    chosen: By = {}
    for name, have in common.items():
        first = next((each for each in QUANTITIES if each in have), None)
        if first:
            chosen[name] = first
    return chosen


# ---- what it says ----


def seconds(path: Path | str, entry: Json, quantity: str | None = None) -> float:
    """Returns the seconds of an operation; infinity of a rate of 0. Raises BadResults where that is not
    said."""
    name = entry["name"]
    chosen = quantity or next((each for each in QUANTITIES if each in entry), None)
    if chosen is None or chosen not in entry:
        lacking = chosen or " nor ".join(QUANTITIES)
        has = ", ".join(each for each in CHOICES if each in entry)
        told = f"; it has {has}" if has else ": nothing says how long an operation takes"
        raise BadResults(f"{path}: {name}: it has no {lacking}{told}")
    value = entry[chosen]
    kind = "time" if chosen in TIMES else "rate"
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise BadResults(f"{path}: {name}: {chosen} is {value!r}, not a {kind}")
    if chosen in TIMES:
        unit = entry.get("time_unit", "ns")
        if unit not in UNITS:
            raise BadResults(f"{path}: {name}: time_unit is {unit!r}, not one of {', '.join(UNITS)}")
        return float(value) * UNITS[unit]
    return 1.0 / float(value) if value else math.inf


def summary(path: Path | str, aggregates: dict[str, Json], quantity: str | None) -> Summary | str:
    """Returns what the aggregates of a benchmark say, or in words what is missing. Raises BadResults."""
    lacking = [each for each in ("mean", "stddev") if each not in aggregates]
    if lacking:
        return f"there are neither repetitions nor their {' and '.join(lacking)}"
    mean, deviation = aggregates["mean"], aggregates["stddev"]
    for each in aggregates.values():
        if failure_of(each):
            return failure_of(each)
    chosen = quantity or next((each for each in QUANTITIES if each in mean and each in deviation), None)
    if chosen is None or chosen not in deviation:
        return f"its mean or its stddev lacks {chosen or 'every quantity'}"
    runs = mean.get("repetitions", mean.get("iterations"))
    if type(runs) is not int or runs < 1:
        return f"nothing says of how many repetitions its mean is: repetitions is {runs!r}"
    middle = seconds(path, aggregates.get("median", mean), chosen)
    wide = deviation[chosen]
    if type(wide) not in (int, float) or not math.isfinite(wide) or wide < 0 or not mean[chosen]:
        return f"its stddev is {wide!r} of {mean[chosen]!r}"
    return Summary(middle, float(wide) / float(mean[chosen]), runs)
