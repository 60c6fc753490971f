"""Measures the gate itself: how often it accuses identical versions, and which slowdowns it finds.

Everything goes through the functions that decide about commits. What is drawn at random has a fixed seed, so
that a self-test on synthetic runs says the same each time; runs of the benchmarks themselves are another
sample each time.

- Identical versions, whole suites with both looks: synthetic noise of five kinds, and pairs really measured
  here.
- One benchmark of the suite slower by 1% to 30%: how often it is named as a regression.
- One more atomic operation, fence or allocation in each operation: always found.
- Files that cannot be compared, and command lines that are wrong: never a pass.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Callable

from bench import conditions
from bench.results import Json
from common import child_processes, output
from common.command_line import in_words
from gate import refs as gate_refs, runs as gate_runs, statistics as gate_statistics
from gate.self_test.figures import RESULTS, draw, update_readme
from gate.self_test.noise import KINDS, LOOKS, SPREADS, SUITE
from gate.self_test.planted_counts import accepted_rises, grown_memory, planted_counts
from gate.self_test.trials import (
    EFFECTS,
    MUST_FIND,
    Pool,
    RULES,
    identical,
    rate,
    real_slowdown,
    spread_over,
    synthetic_slowdown,
)
from gate.self_test.unusable_data import data_cases
from gate.session import Session
from gate.statistics import REGRESSION, Sample
from plot import style


def measure_identical(pairs: int, options: argparse.Namespace) -> list[Sample]:
    """Returns pairs of every benchmark of the gate, of one version against itself. Raises RefsFailed."""
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    gate_refs.install()
    version = gate_refs.working_tree()
    gate_refs.build(version)
    program = gate_refs.program_of(version)
    flags = gate_refs.profile_flags(options.threads or [1, 2])
    session = Session(program, program, flags, None, options.min_time)
    print(f"measure: {len(session.names)} benchmarks against themselves, {pairs} pairs of each", flush=True)
    session.measure(session.names, pairs, "identical versions")
    samples = gate_runs.samples(session.saved(0)[0], session.saved(1)[0])
    troubled = [f"{each.name}: {why}" for each in samples if (why := gate_statistics.check(each))]
    if troubled:
        raise gate_refs.RefsFailed(f"cannot measure: {'; '.join(troubled)}")
    return samples


class Report:
    """Lines of what was tested, and how many of them are as they must be."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def line(self, fine: bool, text: str) -> None:
        """Prints one line, and counts it."""
        self.passed += fine
        self.failed += not fine
        print(f"  {'ok  ' if fine else 'FAIL'}  {text}", flush=True)


def shown_rate(told: Json) -> str:
    """Returns a rate with its interval in words."""
    low, high = told["interval"]
    return f"{told['hits']} of {told['of']} ({told['rate']:.1%}; 95% interval {low:.1%} to {high:.1%})"


def run(full: bool, options: argparse.Namespace, gate: Callable[[list[str]], int]) -> int:
    """Measures the gate; `gate` does what a command line asks for. Returns the exit status."""
    begin = time.monotonic()
    report = Report()
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    check_data(report, gate)
    document: Json = {"counts": check_counts(report)}
    measured = measure_identical(60, options) if full else []
    with child_processes.pool(os.cpu_count()) as pool:
        document |= check_identical(pool, report, measured)
        document |= check_synthetic_slowdowns(pool, report, full)
        if measured:
            document |= check_measured_slowdowns(pool, report, measured)
    took = time.monotonic() - begin
    if full:
        keep(document, took)
    print(f"{in_words(took)}\ngate self-test: {report.passed} passed, {report.failed} failed", flush=True)
    return 0 if report.failed == 0 else 1


def check_data(report: Report, gate: Callable[[list[str]], int]) -> None:
    """Checks the exit status of each command line, and of each file that cannot be used."""
    print("Data and command lines: the exit status")
    with tempfile.TemporaryDirectory(prefix="hotindex-gate-") as scratch:
        for what, wanted, status, said in data_cases(Path(scratch), gate):
            wrong = "" if status == wanted else f" instead of {wanted}; it said: {said}"
            report.line(status == wanted, f"{what}: {status}{wrong}")


def check_counts(report: Report) -> Json:
    """Checks that planted counts are found. Returns how many were planted, and how many found."""
    print("One more of each count in each operation")
    version = gate_refs.working_tree()
    gate_refs.build(version, ("operation_counts",), ("operation_counts",))
    counts = planted_counts(version.binary("operation_counts"))
    wrong = [what for what, found in counts if not found]
    planted = len(counts) - 1  # the first one plants nothing
    all_found = f"{planted} planted, {planted - len(wrong)} found"
    report.line(not wrong, f"not as it should be: {', '.join(wrong)}" if wrong else all_found)
    for what, fine in accepted_rises() + grown_memory():
        report.line(fine, what)
    return {"planted": planted, "found": planted - len(wrong)}


def check_identical(pool: Pool, report: Report, measured: list[Sample]) -> Json:
    """Checks how often identical versions are accused. Returns the rates."""
    print(f"Identical versions: suites of {SUITE} benchmarks, any of them accused")

    def check(kind: str, told: Json) -> Json:
        undecided = f"{told['undecided_share']:.1%} of the benchmarks undecided"
        report.line(told["accused"]["rate"] <= 0.01, f"{kind}: {shown_rate(told['accused'])}; {undecided}")
        return told

    document: Json = {
        "identical_synthetic": check("synthetic", identical(pool, 1000 if measured else 20, None, 1000))
    }
    if not measured:
        return document
    told = identical(pool, 500, measured, 5000)
    document["identical_measured"] = check("drawn from pairs measured here", told)
    halves = [
        [Sample(each.name, each.baseline[half], each.candidate[half]) for each in measured]
        for half in (slice(0, 30), slice(30, 60))
    ]
    findings = [gate_statistics.judge(half, RULES, intervals=False) for half in halves]
    accused = sum(any(each.verdict == REGRESSION for each in half) for half in findings)
    comparisons = f"{len(halves)} comparisons of 30 pairs"
    report.line(not accused, f"as they were measured, {comparisons}: {accused} with an accused benchmark")
    document["identical_as_measured"] = {"comparisons": len(halves), "accused": accused}
    return document


def check_synthetic_slowdowns(pool: Pool, report: Report, full: bool) -> Json:
    """Checks how often a slower benchmark with synthetic noise is named. Returns the rates."""
    effects = EFFECTS if full else (MUST_FIND,)
    count = 200 if full else 10
    print("One slower benchmark in a suite: how often it is named")
    jobs = [
        (7919 * i + j, count, effect, kind, spread)
        for i, effect in enumerate(effects)
        for j, (kind, spread) in enumerate((k, s) for k in KINDS for s in SPREADS)
    ]
    named = iter(spread_over(pool, "slower benchmarks, synthetic", synthetic_slowdown, jobs))
    power: dict[str, dict[float, Json]] = {kind: {} for kind in KINDS}
    for effect in effects:
        for kind in KINDS:
            power[kind][effect] = rate(sum(next(named) for _ in SPREADS), count * len(SPREADS))
    for kind in KINDS:
        told = power[kind][MUST_FIND]
        report.line(told["rate"] >= 0.95, f"slower by {MUST_FIND:.0%}, {kind}: {shown_rate(told)}")
    by_kind = {
        kind: [{"effect": effect, **told} for effect, told in by.items()] for kind, by in power.items()
    }
    return {"slower_synthetic": by_kind}


def check_measured_slowdowns(pool: Pool, report: Report, measured: list[Sample]) -> Json:
    """Checks the same on pairs measured here, for each benchmark; those that calibration calls too noisy are
    named. Returns the rates."""
    told = spread_over(
        pool,
        "calibrate",
        gate_statistics.calibrated,
        [(each, list(LOOKS), SUITE, RULES) for each in measured],
    )
    noisy = [
        each.name
        for each, entry in zip(measured, told)
        if entry["floor"][1] >= RULES.detect or (entry["finds"][1] or 1) > RULES.detect
    ]
    count = 50
    jobs = [
        (104729 * i + j, count, effect, each)
        for i, effect in enumerate(EFFECTS)
        for j, each in enumerate(measured)
    ]
    named = iter(spread_over(pool, "slower benchmarks, measured pairs", real_slowdown, jobs))
    by_name: dict[str, list[Json]] = {each.name: [] for each in measured}
    for effect in EFFECTS:
        for each in measured:
            by_name[each.name].append({"effect": effect, **rate(next(named), count)})
    gated = [each.name for each in measured if each.name not in noisy]
    at = EFFECTS.index(MUST_FIND)
    if gated:
        found = rate(sum(by_name[name][at]["hits"] for name in gated), count * len(gated))
        of = f"{len(gated)} of {len(measured)} benchmarks"
        words = f"slower by {MUST_FIND:.0%}, pairs measured here, {of}: {shown_rate(found)}"
        report.line(found["rate"] >= 0.95, words)
    if noisy:
        print(f"        cannot decide on {MUST_FIND:.0%} on this machine: {', '.join(noisy)}")
    noise = {
        each.name: {"spread": entry["spread"], "floor": entry["floor"][1]}
        for each, entry in zip(measured, told)
    }
    return {"slower_measured": by_name, "cannot_decide": noisy, "noise": noise}


def keep(document: Json, took: float) -> None:
    """Writes results/gate/self_test.json, its chart and the README's figures."""
    whole: Json = {
        "context": {
            "machine": conditions.describe_machine(),
            **conditions.describe_run("scripts/gate"),
            "seconds": round(took),
        },
        "rules": {
            "false_alarms_at_most": RULES.alpha,
            "minimum_effect": RULES.minimum_effect,
            "pairs_at_looks": LOOKS,
            "suite": SUITE,
        },
        **document,
    }
    output.write_whole(RESULTS / "self_test.json", json.dumps(whole, indent=1, allow_nan=False) + "\n")
    update_readme(whole)
    why = style.cannot_draw()
    if not why:
        draw(whole, RESULTS / "power.svg")
    drawn = f"no chart: {why}" if why else "power.svg, power.png"
    print(f"results/gate/self_test.json, {drawn}; the README's figures")
