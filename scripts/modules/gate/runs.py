"""The gate's saved runs: what a file holds, whether two of them may be compared, and what is compared then.

A saved run is what scripts/bench writes, or scripts/gate for each of two commits; the latter also holds the
deterministic counts, and the number of the pair that each measurement belongs to.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import numpy as np

from bench import options as bench_options, results as result_file
from bench.results import BadResults, Json
from gate import counts as gate_counts, entries as entries_of_gate
from gate.counts import Counts
from gate.entries import By
from gate.statistics import Sample, Summary


@dataclass
class SavedRun:
    """What was measured of one version."""

    path: str
    context: Json
    times: dict[str, dict[int, float]]  # seconds an operation, by name, by pair or else by position
    troubles: dict[str, str]  # by name: why its measurements cannot be used
    counts: Counts = field(default_factory=dict)
    summaries: dict[str, Summary] = field(default_factory=dict)  # by name, where there are no repetitions
    entries: list[Json] = field(default_factory=list)  # as they stand in the file
    by: By = field(default_factory=dict)  # what counts of them, where that was chosen

    @property
    def names(self) -> list[str]:
        """The benchmarks that were measured, and those that failed."""
        return list(dict.fromkeys((*self.times, *self.summaries, *self.troubles)))


def read(path: Path, by: By | None = None) -> SavedRun:
    """Returns the run in a file; `by` says what counts of its entries. Raises BadResults when there is
    nothing in it to compare."""
    document = result_file.load(path, constants=True)
    counts = (
        gate_counts.check_counts(path, document).counts
        if isinstance(document, dict) and "counts" in document
        else {}
    )
    if counts and "benchmarks" not in document:
        return SavedRun(str(path), document.get("context") or {}, {}, {}, counts)
    context, entries = result_file.parts(path, document)
    times, troubles = take_times(path, entries, by)
    summaries = take_summaries(path, entries, by, {*times, *troubles}, troubles)
    if not times and not troubles and not summaries:
        raise BadResults(f"{path}: no benchmark here has a measurement")
    return SavedRun(str(path), context, times, troubles, counts, summaries, entries)


def read_both(paths: tuple[Path, Path], by: str | None) -> tuple[SavedRun, SavedRun]:
    """Returns the runs in two files, their times by the same quantity: `by`, or the first that both have.
    Raises BadResults."""
    chosen = entries_of_gate.agree([result_file.entries_of(path) for path in paths], by)
    baseline, candidate = read(paths[0], chosen), read(paths[1], chosen)
    baseline.by = candidate.by = chosen
    return baseline, candidate


def take_times(
    path: Path | str, entries: list[Json], by: By | None = None
) -> tuple[dict[str, dict[int, float]], dict[str, str]]:
    """Returns (times, troubles) of a list of Google Benchmark's entries. Raises BadResults."""
    times: dict[str, dict[int, float]] = {}
    troubles: dict[str, str] = {}
    found = entries_of_gate.sort(path, entries)
    for entry in found.runs:
        name = entry["name"]
        failure = entries_of_gate.failure_of(entry)
        if failure:
            troubles.setdefault(name, failure)
            continue
        seconds = entries_of_gate.seconds(path, entry, (by or {}).get(name))
        if not 0 < seconds < math.inf:
            did = "did 0 operations a second" if seconds else "took no time at all"
            troubles.setdefault(name, f"a run of it {did}")
            continue
        mine = times.setdefault(name, {})
        pair = entry.get("pair", len(mine))
        if type(pair) is not int or pair in mine:
            raise BadResults(f"{path}: {name}: pair {pair!r} is there twice, or no number")
        mine[pair] = seconds
    if not times and not troubles and not found.aggregates:
        raise BadResults(f"{path}: no benchmark here has a measurement")
    return times, troubles


def take_summaries(
    path: Path | str, entries: list[Json], by: By | None, measured: set[str], troubles: dict[str, str]
) -> dict[str, Summary]:
    """Returns what the aggregates say of benchmarks whose repetitions are not there; adds to the troubles
    what they lack. Raises BadResults."""
    found: dict[str, Summary] = {}
    for name, aggregates in entries_of_gate.sort(path, entries).aggregates.items():
        if name in measured:
            continue
        told = entries_of_gate.summary(path, aggregates, (by or {}).get(name))
        if isinstance(told, str):
            troubles[name] = told
        else:
            found[name] = told
    return found


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


def machines(baseline: Json, candidate: Json) -> tuple[object, object]:
    """Returns both sides' machines as far as both files say them alike: what scripts/bench writes, or what
    Google Benchmark does."""
    described = [context.get("machine") for context in (baseline, candidate)]
    if all(described):
        return described[0], described[1]
    plain = [
        {"cores": each["cores"]} if isinstance(each, dict) and "cores" in each else google_machine(context)
        for each, context in zip(described, (baseline, candidate))
    ]
    if any(described):  # one file is ours: the number of cores is what both say
        plain = [{key: value for key, value in each.items() if key == "cores"} for each in plain]
    return plain[0], plain[1]


def google_machine(context: Json) -> Json:
    """Returns the machine as Google Benchmark describes it, nothing where it does not."""
    found: Json = {"cores": context["num_cpus"]} if "num_cpus" in context else {}
    caches = context.get("caches")
    if isinstance(caches, list) and all(isinstance(each, dict) for each in caches):
        sizes = [f"L{each.get('level')} {int(each.get('size') or 0) // 1024} KiB" for each in caches]
        found["caches"] = ", ".join(sizes)
    return found


def stated(baseline: SavedRun, candidate: SavedRun) -> list[tuple[str, Any, Any]]:
    """Returns [(condition, what the baseline says, what the candidate says)]."""
    found = [(condition, of(baseline.context), of(candidate.context)) for condition, of in CONDITIONS.items()]
    return [(found[0][0], *machines(baseline.context, candidate.context)), *found[1:]]


def differences(baseline: SavedRun, candidate: SavedRun) -> list[tuple[str, str]]:
    """Returns [(condition, in words how it differs)], of what both files say."""
    found = []
    for condition, *sides in stated(baseline, candidate):
        if condition == "settings":
            sides = [{key: side[key] for key in side if all(key in each for each in sides)} for side in sides]
        if sides[0] != sides[1] and all(sides):
            has = [in_words(sides[0], sides[1]), in_words(sides[1], sides[0])]
            found.append((condition, f"{baseline.path} has {has[0]}, {candidate.path} has {has[1]}"))
    return found


def silences(baseline: SavedRun, candidate: SavedRun) -> list[str]:
    """Returns in words which conditions a file does not state: whether they are the same, nobody knows."""
    unknown: dict[tuple[str, ...], list[str]] = {}
    for condition, *sides in stated(baseline, candidate):
        if condition == "settings":
            every = {key for side in sides for key in side}
            sides = [every == side.keys() for side in sides]
        mute = (run.path for run, side in zip((baseline, candidate), sides) if not side)
        silent = tuple(dict.fromkeys(mute))
        # A dataset and settings are nothing that every benchmark has.
        if silent and not (condition in ("dataset", "settings") and not any(sides)):
            unknown.setdefault(silent, []).append(f"the {condition}")
    told = []
    for paths, conditions in unknown.items():
        verb = "does not say" if len(paths) == 1 else "do not say"
        listed = " and ".join([", ".join(conditions[:-1]), conditions[-1]] if conditions[1:] else conditions)
        told.append(f"{' and '.join(paths)} {verb} {listed}: make sure that it is the same on both sides")
    return told


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


def samples(baseline: SavedRun, candidate: SavedRun, pattern: str | None = None) -> list[Sample]:
    """Returns a Sample for each benchmark of either side (that --filter means), in the order of the
    baseline."""
    together = paired(baseline, candidate)
    names = [*baseline.names, *(name for name in candidate.names if name not in baseline.names)]
    return [
        sample(name, baseline, candidate, together) for name in names if bench_options.selects(pattern, name)
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
    summaries = baseline.summaries.get(name), candidate.summaries.get(name)
    if not trouble and any(summaries):
        return summarised(name, baseline, candidate)
    if together:
        common = sorted(a.keys() & b.keys())
        if len(common) != len(a) or len(common) != len(b):
            trouble.append("a pair lacks one of its sides")
        sides = [[side[pair] for pair in common] for side in (a, b)]
    else:
        sides = [list(side.values()) for side in (a, b)]
    arrays = [np.array(side, dtype=float) for side in sides]
    return Sample(name, arrays[0], arrays[1], together, "; ".join(trouble))


def summarised(name: str, baseline: SavedRun, candidate: SavedRun) -> Sample:
    """Returns a benchmark of which at least one side has only aggregates."""
    sides = []
    for run in (baseline, candidate):
        measured = np.array(list(run.times.get(name, {}).values()), dtype=float)
        sides.append(run.summaries.get(name) or Summary.of(measured))
    return Sample(name, np.array([]), np.array([]), False, "", (sides[0], sides[1]))


def disagreements(baseline: SavedRun, candidate: SavedRun, samples: list[Sample]) -> list[str]:
    """Returns in words which benchmarks' times and rates tell another story."""
    told = []
    for each in samples:
        rates = []
        for run in (baseline, candidate):
            found = [
                entry["items_per_second"]
                for entry in run.entries
                if entry.get("name") == each.name and "ops" not in entry and "real_time" in entry
                if type(entry.get("items_per_second")) in (int, float) and entry["items_per_second"] > 0
            ]
            rates.append(float(np.median(found)) if found else 0.0)
        if all(rates) and len(each.baseline) and len(each.candidate):
            time = float(np.median(each.candidate) / np.median(each.baseline))
            rate = rates[0] / rates[1]
            if max(time / rate, rate / time) > 1.1:
                told.append(f"{each.name} (x{time:.2f} and x{rate:.2f})")
    if not told:
        return []
    shown = ", ".join(told[:3]) + (f" and {len(told) - 3} more" if len(told) > 3 else "")
    return [
        f"real_time and items_per_second do not agree on how long an operation takes: {shown}; an iteration "
        "does not do the same work, or the rate is one of processor time; --by chooses"
    ]


def repetitions(run: SavedRun) -> tuple[int, int]:
    """Returns the (lowest, highest) number of measurements of a benchmark."""
    numbers = Counter(len(each) for each in run.times.values())
    return (min(numbers), max(numbers)) if numbers else (0, 0)


# ---- writing ----


def document(context: Json, entries: list[Json], counts: Counts) -> Json:
    """Returns a saved run as JSON: `entries` are Google Benchmark's."""
    listed: list[Json] = [{"name": name, **figures} for name, figures in counts.items()]
    return {"context": context, "benchmarks": entries, **({"counts": listed} if listed else {})}
