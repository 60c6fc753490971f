"""The gate's saved runs: what a file holds, whether two of them may be compared, and what is compared then.

A saved run is what scripts/bench writes, or scripts/gate for each of two commits; the latter also holds the
deterministic counts, and the number of the pair that each measurement belongs to.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np

from bench import results as result_file
from bench.results import BadResults, Json
from gate import counts as gate_counts
from gate.counts import Counts
from gate.statistics import Sample


@dataclass
class SavedRun:
    """What was measured of one version."""

    path: str
    context: Json
    times: dict[str, dict[int, float]]  # seconds an operation, by name, by pair or else by position
    troubles: dict[str, str]  # by name: why its measurements cannot be used
    counts: Counts = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The benchmarks that were measured, and those that failed."""
        return [*self.times, *(name for name in self.troubles if name not in self.times)]


def read(path: Path) -> SavedRun:
    """Returns the run in a file. Raises BadResults when there is nothing in it to compare."""
    document = result_file.load(path)
    counts = (
        gate_counts.check_counts(path, document).counts
        if isinstance(document, dict) and "counts" in document
        else {}
    )
    if counts and "benchmarks" not in document:
        return SavedRun(str(path), document.get("context") or {}, {}, {}, counts)
    context, entries = result_file.parts(path, document)
    return SavedRun(str(path), context, *take_times(path, entries), counts)


def take_times(path: Path | str, entries: list[Json]) -> tuple[dict[str, dict[int, float]], dict[str, str]]:
    """Returns (times, troubles) of a list of Google Benchmark's entries. Raises BadResults."""
    times: dict[str, dict[int, float]] = {}
    troubles: dict[str, str] = {}
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise BadResults(f"{path}: benchmark {position} has no name")
        if entry.get("run_type", "iteration") != "iteration":
            continue  # Google Benchmark's own means and medians
        name = entry["name"]
        if entry.get("error_occurred") or entry.get("skipped"):
            message = entry.get("error_message") or entry.get("skip_message") or "no reason given"
            troubles.setdefault(name, f"it failed: {message}")
            continue
        rate = entry.get("ops", entry.get("items_per_second"))
        if type(rate) not in (int, float) or not math.isfinite(rate) or rate < 0:
            raise BadResults(f"{path}: {name}: ops is {rate!r}, not a rate")
        if rate == 0:
            troubles.setdefault(name, "a run of it did 0 operations a second")
            continue
        mine = times.setdefault(name, {})
        pair = entry.get("pair", len(mine))
        if type(pair) is not int or pair in mine:
            raise BadResults(f"{path}: {name}: pair {pair!r} is there twice, or no number")
        mine[pair] = 1.0 / rate
    if not times and not troubles:
        raise BadResults(f"{path}: no benchmark here has a measurement")
    return times, troubles


# ---- whether two may be compared ----

# What must be the same, and where a file says it.
CONDITIONS: dict[str, Callable[[Json], object]] = {
    "machine": lambda context: context.get("machine"),
    "compiler": lambda context: context.get("compiler"),
    "flags": lambda context: context.get("flags"),
    "dataset": lambda context: context.get("dataset"),
    "settings": lambda context: {
        key: context[key] for key in ("pinned", "seed", "vectors") if key in context
    },
}


def differences(baseline: SavedRun, candidate: SavedRun) -> list[tuple[str, str]]:
    """Returns [(condition, in words how it differs)]; what a file does not say differs."""
    found = []
    for condition, of in CONDITIONS.items():
        sides = of(baseline.context), of(candidate.context)
        silent = [run.path for run, side in zip((baseline, candidate), sides) if not side]
        if silent and condition != "settings":
            verb = "does not say" if len(silent) == 1 else "do not say"
            found.append((condition, f"{' and '.join(silent)} {verb} the {condition}"))
        elif sides[0] != sides[1]:
            has = [in_words(sides[0], sides[1]), in_words(sides[1], sides[0])]
            found.append((condition, f"{baseline.path} has {has[0]}, {candidate.path} has {has[1]}"))
    return found


def in_words(value: object, other: object) -> str:
    """Returns a condition in words; of an object, what differs from the other one."""
    if isinstance(value, dict) and isinstance(other, dict):
        keys = [key for key in dict.fromkeys((*value, *other)) if value.get(key) != other.get(key)]
        return ", ".join(f"{key.replace('_', ' ')} {value.get(key, 'unknown')}" for key in keys)
    return repr(value) if isinstance(value, str) else str(value)


def paired(baseline: SavedRun, candidate: SavedRun) -> bool:
    """Returns whether the two were measured by turns, as two sides of one comparison."""
    sessions = [run.context.get("interleaved") for run in (baseline, candidate)]
    return sessions[0] is not None and sessions[0] == sessions[1]


# ---- what is compared ----


def samples(baseline: SavedRun, candidate: SavedRun, chosen: re.Pattern[str] | None = None) -> list[Sample]:
    """Returns a Sample for each benchmark of either side (with such a name), in the order of the baseline."""
    together = paired(baseline, candidate)
    names = [*baseline.names, *(name for name in candidate.names if name not in baseline.names)]
    return [
        sample(name, baseline, candidate, together) for name in names if chosen is None or chosen.search(name)
    ]


def sample(name: str, baseline: SavedRun, candidate: SavedRun, together: bool) -> Sample:
    """Returns both sides' measurements of a benchmark, by pair where they were measured together."""
    trouble = []
    for side, run in (("baseline", baseline), ("candidate", candidate)):
        if name not in run.names:
            trouble.append(f"the {side} lacks it")
    for side, run in (("baseline", baseline), ("candidate", candidate)):
        if name in run.troubles and not trouble:
            trouble.append(f"the {side}: {run.troubles[name]}")
    a, b = baseline.times.get(name, {}), candidate.times.get(name, {})
    if together:
        common = sorted(a.keys() & b.keys())
        if len(common) != len(a) or len(common) != len(b):
            trouble.append("a pair lacks one of its sides")
        sides = [[side[pair] for pair in common] for side in (a, b)]
    else:
        sides = [list(side.values()) for side in (a, b)]
    arrays = [np.array(side, dtype=float) for side in sides]
    return Sample(name, arrays[0], arrays[1], together, "; ".join(trouble))


def repetitions(run: SavedRun) -> tuple[int, int]:
    """Returns the (lowest, highest) number of measurements of a benchmark."""
    numbers = Counter(len(each) for each in run.times.values())
    return (min(numbers), max(numbers)) if numbers else (0, 0)


# ---- writing ----


def document(context: Json, entries: list[Json], counts: Counts) -> Json:
    """Returns a saved run as JSON: `entries` are Google Benchmark's."""
    listed: list[Json] = [{"name": name, **figures} for name, figures in counts.items()]
    return {"context": context, "benchmarks": entries, **({"counts": listed} if listed else {})}
