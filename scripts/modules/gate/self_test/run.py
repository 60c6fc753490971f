"""Measures the gate itself: how often it accuses identical versions, and which slowdowns it finds.

Everything goes through the functions that decide about commits. What is drawn at random has a fixed seed, so that a
self-test on synthetic runs says the same each time; runs of the benchmarks themselves are another sample each time.

- Identical versions, whole suites with both looks: synthetic noise of five kinds, and pairs really measured here.
- One benchmark of the suite slower by 1% to 30%: how often it is named as a regression.
- One more atomic operation, fence or allocation in each operation: always found.
- Files that cannot be compared, and command lines that are wrong: never a pass.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

from bench import conditions
from common import child_processes, output
from common.command_line import in_words
from gate import refs as gate_refs, runs as gate_runs, statistics as gate_statistics
from gate.self_test.figures import RESULTS, draw, update_readme
from gate.self_test.noise import KINDS, LOOKS, SPREADS, SUITE
from gate.self_test.planted_counts import accepted_rises, planted_counts
from gate.self_test.trials import (
    EFFECTS,
    MUST_FIND,
    RULES,
    identical,
    rate,
    real_slowdown,
    spread_over,
    synthetic_slowdown,
)
from gate.self_test.unusable_data import data_cases
from gate.statistics import REGRESSION, Sample
from plot import style


def measure_identical(pairs, options):
    """Pairs of every benchmark of the gate, of one version against itself."""
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    gate_refs.install()
    version = gate_refs.working_tree()
    gate_refs.build(version)
    session = gate_refs.Session(
        version, version, gate_refs.profile_flags(options.threads or [1, 2]), None, options.min_time
    )
    print(f"measure: {len(session.names)} benchmarks against themselves, {pairs} pairs of each", flush=True)
    session.measure(session.names, pairs, "identical versions")
    samples = gate_runs.samples(session.saved(0)[0], session.saved(1)[0])
    troubled = [f"{each.name}: {why}" for each in samples if (why := gate_statistics.check(each))]
    if troubled:
        raise gate_refs.RefsFailed(f"cannot measure: {'; '.join(troubled)}")
    return samples


class Report:
    """Lines of what was tested, and how many of them are as they must be."""

    def __init__(self):
        self.passed = self.failed = 0

    def line(self, fine, text):
        self.passed += fine
        self.failed += not fine
        print(f"  {'ok  ' if fine else 'FAIL'}  {text}", flush=True)


def shown_rate(told):
    low, high = told["interval"]
    return f"{told['hits']} of {told['of']} ({told['rate']:.1%}; 95% interval {low:.1%} to {high:.1%})"


def run(full, options, gate):
    begin = time.monotonic()
    report = Report()
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    print("Data and command lines: the exit status")
    with tempfile.TemporaryDirectory(prefix="hotindex-gate-") as scratch:
        for what, wanted, status, said in data_cases(Path(scratch), gate):
            report.line(
                status == wanted,
                f"{what}: {status}" + ("" if status == wanted else f" instead of {wanted}; it said: {said}"),
            )

    print("One more of each count in each operation")
    version = gate_refs.working_tree()
    gate_refs.build(version, ("operation_counts",), ("operation_counts",))
    counts = planted_counts(version.binary("operation_counts"))
    wrong = [what for what, found in counts if not found]
    report.line(
        not wrong,
        f"{len(counts) - 1} planted, {len(counts) - 1 - len(wrong)} found"
        if not wrong
        else f"not as it should be: {', '.join(wrong)}",
    )

    for what, fine in accepted_rises():
        report.line(fine, what)

    measured = measure_identical(60, options) if full else None
    document = {}
    with child_processes.pool(os.cpu_count()) as pool:
        trials = 1000 if full else 20
        print(f"Identical versions: suites of {SUITE} benchmarks, any of them accused")
        document["identical_synthetic"] = told = identical(pool, trials, None, 1000, begin)
        report.line(
            told["accused"]["rate"] <= 0.01,
            f"synthetic: {shown_rate(told['accused'])}; {told['undecided_share']:.1%} of the benchmarks undecided",
        )
        if full:
            document["identical_measured"] = told = identical(pool, 500, measured, 5000, begin)
            report.line(
                told["accused"]["rate"] <= 0.01,
                f"drawn from pairs measured here: {shown_rate(told['accused'])}; {told['undecided_share']:.1%} of the benchmarks undecided",
            )
            halves = [
                [Sample(each.name, each.baseline[half], each.candidate[half]) for each in measured]
                for half in (slice(0, 30), slice(30, 60))
            ]
            accused = [
                sum(
                    each.verdict == REGRESSION for each in gate_statistics.judge(half, RULES, intervals=False)
                )
                for half in halves
            ]
            report.line(
                not any(accused),
                f"as they were measured, {len(halves)} comparisons of 30 pairs: {sum(map(bool, accused))} with an accused benchmark",
            )
            document["identical_as_measured"] = {
                "comparisons": len(halves),
                "accused": sum(map(bool, accused)),
            }

        effects = EFFECTS if full else (MUST_FIND,)
        count = 200 if full else 10
        print("One slower benchmark in a suite: how often it is named")
        jobs = [
            (synthetic_slowdown, 7919 * i + j, count, effect, kind, spread)
            for i, effect in enumerate(effects)
            for j, (kind, spread) in enumerate((k, s) for k in KINDS for s in SPREADS)
        ]
        named = iter(spread_over(pool, "slower benchmarks, synthetic", jobs, begin))
        power = {kind: {} for kind in KINDS}
        for effect in effects:
            for kind in KINDS:
                power[kind][effect] = rate(sum(next(named) for _ in SPREADS), count * len(SPREADS))
        for kind in KINDS:
            told = power[kind][MUST_FIND]
            report.line(told["rate"] >= 0.95, f"slower by {MUST_FIND:.0%}, {kind}: {shown_rate(told)}")
        document["slower_synthetic"] = {
            kind: [{"effect": effect, **told} for effect, told in by.items()] for kind, by in power.items()
        }
        if full:
            real_power(pool, measured, document, report, begin)

    took = time.monotonic() - begin
    if full:
        document = {
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
            "counts": {"planted": len(counts) - 1, "found": len(counts) - 1 - len(wrong)},
            **document,
        }
        output.write_whole(RESULTS / "self_test.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
        update_readme(document)
        why = style.cannot_draw()
        if not why:
            draw(document, RESULTS / "power.svg")
        drawn = f"no chart: {why}" if why else "power.svg, power.png"
        print(f"results/gate/self_test.json, {drawn}; the README's figures")
    print(f"{in_words(took)}\ngate self-test: {report.passed} passed, {report.failed} failed", flush=True)
    return 0 if report.failed == 0 else 1


def real_power(pool, measured, document, report, begin):
    """The same on pairs measured here, for each benchmark; those that calibration calls too noisy are named."""
    told = spread_over(
        pool,
        "calibrate",
        [(gate_statistics.calibrated, each, list(LOOKS), SUITE, RULES) for each in measured],
        begin,
    )
    noisy = [
        each.name
        for each, entry in zip(measured, told)
        if entry["floor"][1] >= RULES.detect or (entry["finds"][1] or 1) > RULES.detect
    ]
    count = 50
    jobs = [
        (real_slowdown, 104729 * i + j, count, effect, each)
        for i, effect in enumerate(EFFECTS)
        for j, each in enumerate(measured)
    ]
    named = iter(spread_over(pool, "slower benchmarks, measured pairs", jobs, begin))
    by_name = {each.name: [] for each in measured}
    for effect in EFFECTS:
        for each in measured:
            by_name[each.name].append({"effect": effect, **rate(next(named), count)})
    gated = [each.name for each in measured if each.name not in noisy]
    at = EFFECTS.index(MUST_FIND)
    if gated:
        found = rate(sum(by_name[name][at]["hits"] for name in gated), count * len(gated))
        report.line(
            found["rate"] >= 0.95,
            f"slower by {MUST_FIND:.0%}, pairs measured here, {len(gated)} of {len(measured)} benchmarks: {shown_rate(found)}",
        )
    if noisy:
        print(f"        cannot decide on {MUST_FIND:.0%} on this machine: {', '.join(noisy)}")
    document["slower_measured"] = by_name
    document["cannot_decide"] = noisy
    document["noise"] = {
        each.name: {"spread": entry["spread"], "floor": entry["floor"][1]}
        for each, entry in zip(measured, told)
    }
