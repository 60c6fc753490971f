"""scripts/gate --calibrate: how noisy each benchmark is on this machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench import conditions, results as result_file
from bench.results import Json
from common import command_line, output
from common.command_line import in_words
from common.repository import ROOT
from gate import refs as gate_refs, report as gate_report, runs as gate_runs, statistics as gate_statistics
from gate.options import CALIBRATION, SECOND, Usage, rules_of
from gate.session import Session
from gate.statistics import Floors, NO_DATA, PASS, Rules, Sample, UNDECIDED


def load_floors(options: argparse.Namespace, context: Json, notes: list[str]) -> tuple[Floors, Floors]:
    """Returns the calibrated noise floors for both looks, empty where there are none for this machine."""
    path = options.calibration or CALIBRATION
    if not path.exists():
        if options.calibration:
            raise Usage(f"--calibration {path}: no such file")
        return {}, {}
    document = result_file.load(path)
    try:
        same = all(document["context"].get(key) == context.get(key) for key in ("machine", "compiler"))
        floors = [
            {each["name"]: float(each["floor"][look]) for each in document["benchmarks"]} for look in (0, 1)
        ]
    except (KeyError, TypeError, IndexError, ValueError, AttributeError):
        raise Usage(f"{path}: not what scripts/gate --calibrate writes") from None
    if not same:
        notes.append(
            f"{shown(path)} is of another machine or compiler: noise floors come from these runs alone"
        )
        return {}, {}
    if document.get("pairs_at_looks") != [options.pairs, SECOND * options.pairs]:
        return {}, {}
    return floors[0], floors[1]


def shown(path: Path) -> Path | str:
    """Returns a path as a published document may have it: without the places of this machine."""
    path = path.resolve()
    return path.relative_to(ROOT) if ROOT in path.parents else path.name


def simulate(
    samples: list[Sample], options: argparse.Namespace, rules: Rules
) -> tuple[list[Json], list[gate_report.Row], str]:
    """Finds out what the gate could tell with noise such as this. Returns (an entry for each benchmark, the
    table, the worst verdict)."""
    rows: list[gate_report.Row] = [("benchmark", "spread of pairs", "noise floor", "finds", "verdict")]
    entries: list[Json] = []
    status = PASS
    progress = command_line.ProgressLine()
    looks = [options.pairs, SECOND * options.pairs]
    for position, each in enumerate(samples):
        progress.show(f"simulate: {position} of {len(samples)} benchmarks")
        why = gate_statistics.check(each)
        if why:
            rows.append((each.name, "-", "-", "-", f"{NO_DATA}: {why}"))
            status = NO_DATA
            continue
        entry = gate_statistics.calibrated(each, looks, len(samples), rules)
        entries.append({"name": each.name, **entry})
        floor, finds = entry["floor"][1], entry["finds"][1]
        noisy = floor >= rules.detect or finds is None or finds > rules.detect
        if noisy and status == PASS:
            status = UNDECIDED
        verdict = f"cannot decide on {rules.detect:.0%}" if noisy else "can be gated"
        found = f"{finds:.0%}" if finds else "over 50%"
        rows.append((each.name, f"{entry['spread']:.1%}", f"{floor:.1%}", found, verdict))
    progress.clear()
    return entries, rows, status


def calibrate(options: argparse.Namespace) -> int:
    """Measures this version against itself and writes the noise floors. Returns the exit status."""
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    gate_refs.install()
    version = gate_refs.working_tree()
    gate_refs.build(version)
    flags = gate_refs.profile_flags(options.threads or [1, 2], options.all)
    program = gate_refs.program_of(version)
    session = Session(program, program, flags, options.filter, options.min_time)
    pairs = 2 * options.pairs
    print(f"measure: {len(session.names)} benchmarks against themselves, {pairs} pairs of each", flush=True)
    took = session.measure(session.names, pairs, "calibrate")
    baseline, candidate = session.saved(0)[0], session.saved(1)[0]
    samples = gate_runs.samples(baseline, candidate)
    rules = rules_of(options, 2)
    entries, rows, status = simulate(samples, options, rules)
    print(
        f"\nWith {SECOND * options.pairs} pairs of each: what identical versions show 99 times in 100", end=""
    )
    print(" (noise floor), and the smallest\nslowdown that is found 95 times in 100.")
    gate_report.print_rows(rows)
    document = {
        "context": {
            **{
                key: value
                for key, value in candidate.context.items()
                if key in ("machine", "compiler", "flags", "laps")
            },
            **conditions.describe_run("scripts/gate"),
        },
        "pairs_measured": pairs,
        "pairs_at_looks": [options.pairs, SECOND * options.pairs],
        "benchmarks": entries,
    }
    path = options.calibration or CALIBRATION
    output.write_whole(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
    too_noisy = [row[0] for row in rows[1:] if row[-1].startswith("cannot")]
    print()
    if too_noisy:
        names = ", ".join(too_noisy)
        print(f"Too noisy here for the gate to decide on a slowdown of {rules.detect:.0%}: {names}")
    print(f"{in_words(took)}; {shown(path)} has the noise floors that the gate uses on this machine")
    return gate_report.EXIT[status]
