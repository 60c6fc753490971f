"""Compares two saved runs, or two commits."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Callable, Sequence

from bench import conditions, disturbances, measurement, options as bench_options, results as result_file
from bench.results import Json, Results
from common import child_processes, command_line, output, repository
from gate import (
    chart,
    counts as gate_counts,
    refs as gate_refs,
    report as gate_report,
    runs as gate_runs,
    session as gate_session,
    statistics as gate_statistics,
)
from gate.calibration import load_floors
from gate.counts import CountFinding, Counts
from gate.options import MEASURES, SECOND, Usage, rules_of
from gate.refs import Version
from gate.report import AnyFinding, Comparison
from gate.runs import SavedRun
from gate.session import Program, Session
from gate.statistics import Finding, NO_DATA, Rules, Sample, UNDECIDED
from plot import style


def machine_of(context: Json) -> str:
    """Returns one line on the machine of a saved run."""
    return result_file.machine_line(Results(context, [], [], []))


def compare_files(options: argparse.Namespace) -> int:
    """Compares two saved runs. Returns the exit status."""
    paths = options.baseline, options.candidate
    baseline, candidate = gate_runs.read_both(paths, options.by)
    comparison = compare_runs(baseline, candidate, options)
    if paths[0].resolve() == paths[1].resolve():
        comparison.notes.insert(0, "both sides are the same file: nothing can differ")
    elif paths[0].read_bytes() == paths[1].read_bytes():
        comparison.notes.insert(0, "both files hold the same, byte by byte: nothing can differ")
    return finish(comparison, options)


def compare_runs(baseline: SavedRun, candidate: SavedRun, options: argparse.Namespace) -> Comparison:
    """Returns what two saved runs show. Raises Usage when they are not comparable."""
    notes: list[str] = []
    for condition, words in gate_runs.differences(baseline, candidate):
        if condition in options.across:
            notes.append(f"compared in spite of another {condition}: {words}")
        elif baseline.times or candidate.times or condition not in ("dataset", "settings"):
            raise Usage(f"not comparable: {words}. --across {condition} compares them all the same")
    notes += gate_runs.silences(baseline, candidate)
    notes += disturbances.notes_on(baseline.context, candidate.context)
    together = gate_runs.paired(baseline, candidate)
    samples = gate_runs.samples(baseline, candidate, options.filter)
    rules = rules_of(options, 1)
    if not together and samples:
        notes.append(
            "the runs were not interleaved: what changed on the machine between them counts as a difference"
        )
    if any(each.summaries for each in samples):
        notes.append(
            "of some benchmarks there are only means and standard deviations: these are compared by Welch's "
            "test, which takes the noise for normal; without --benchmark_report_aggregates_only Google "
            "Benchmark keeps the repetitions"
        )
    quantities = {candidate.by[each.name] for each in samples if each.name in candidate.by} - {"ops"}
    if quantities:
        notes.append(f"times are by {' and '.join(sorted(quantities))}; --by chooses")
    if not options.by:
        notes += gate_runs.disagreements(baseline, candidate, samples)
    floors = load_floors(options, candidate.context, notes)
    findings = gate_statistics.judge(samples, rules, floors[0], intervals=False)
    counts = choose_counts(baseline.counts, candidate.counts, options)

    def reproduce(name: str) -> str:
        commits = [str(run.context.get("commit") or "") for run in (baseline, candidate)]
        if all(re.fullmatch(r"[0-9a-f]{7,40}", commit) for commit in commits):
            return refs_command(commits, name, candidate.context.get("profile") != "gate")
        return binary_command(candidate.context, name)

    machine = machine_of(candidate.context)
    names = described(baseline), described(candidate)
    return Comparison(*names, findings, counts, rules, machine, notes, reproduce, options.cannot_decide)


def binary_command(context: Json, name: str) -> str:
    """Returns the command that measures one benchmark again, with the program that a file is of."""
    program = context.get("executable")
    if program is None and "machine" in context:  # scripts/bench publishes no paths
        program = "build/release/bench/hotindex_bench"
    words = [shlex.quote(str(program)) if program else "the benchmark program", measurement.exactly([name])]
    return f"{words[0]} {shlex.quote(words[1])}, with each version"


def described(run: SavedRun) -> str:
    """Returns a saved run as the reader knows it: its file and its commit."""
    commit = run.context.get("commit")
    changes = ", with changes" if run.context.get("dirty") else ""
    return f"{run.path} (commit {commit}{changes})" if commit else run.path


def choose_counts(baseline: Counts, candidate: Counts, options: argparse.Namespace) -> list[CountFinding]:
    """Returns the findings of both sides' counts that --filter means."""
    if not baseline and not candidate:
        return []
    found = gate_counts.compare_counts(baseline, candidate)
    return [each for each in found if bench_options.selects(options.filter, each.name)]


def refs_command(refs: Sequence[str], name: str, every: bool = False) -> str:
    """Returns the command that compares one benchmark, or one count, of two commits again."""
    words = ["scripts/gate", "--refs", *refs]
    threads = re.search(r"/threads:(\d+)$", name)
    if not threads:  # a count
        words += ["--measures", "counts,instructions"]
    elif threads[1] not in ("1", "2"):
        words += ["--threads", threads[1]]
    if every and threads:
        words.append("--all")
    return " ".join(map(shlex.quote, [*words, "--filter", f"^{re.escape(name)}$"]))


def drop_allowed(
    findings: list[AnyFinding], options: argparse.Namespace, notes: list[str]
) -> list[AnyFinding]:
    """Returns the findings without those that --allow-missing allows to be missing; each of these leaves a
    note."""
    left = []
    for each in findings:
        if each.verdict == NO_DATA and options.allow_missing and re.search(options.allow_missing, each.name):
            notes.append(f"left out, as --allow-missing says: {each.name}: {each.why}")
        else:
            left.append(each)
    return left


def finish(comparison: Comparison, options: argparse.Namespace) -> int:
    """Prints the report, then writes what was asked for. Returns the exit status."""
    comparison.findings = drop_allowed(comparison.findings, options, comparison.notes)
    comparison.counts = drop_allowed(comparison.counts, options, comparison.notes)
    gate_report.print_report(comparison)
    faults = []
    files: list[tuple[Path | None, Callable[[Path], None]]] = [
        (options.json, lambda path: gate_report.write(path, comparison)),
        (options.markdown, lambda path: output.write_whole(path, gate_report.markdown(comparison))),
        (options.chart, lambda path: draw(comparison, path)),
    ]
    for path, write in files:
        try:
            if path:
                write(path)
        except output.CannotWrite as failure:
            faults.append(str(failure))
        except OSError as failure:
            faults.append(f"{path}: {failure.strerror or failure}")
    for fault in faults:
        print(f"scripts/gate: {fault}", file=sys.stderr)
    return comparison.status or (3 if faults else 0)


def draw(comparison: Comparison, path: Path) -> None:
    """Draws the chart where that can be done; where not, says so."""
    why = style.cannot_draw()
    if why:
        print(f"chart: none: {why}")
    elif chart.draw(comparison, path):
        print(f"chart: {path.with_suffix('.svg')}")


def compare_refs(options: argparse.Namespace) -> int:
    """Builds and measures two commits. Returns the exit status."""
    measures = options.measures or list(MEASURES)
    threads = options.threads or [1, 2]
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    gate_refs.install()
    baseline, candidate = versions = [gate_refs.checked_out(ref) for ref in options.refs]
    for version in {version.commit: version for version in versions}.values():
        gate_refs.build(version)
    notes: list[str] = []
    if baseline.commit == candidate.commit:
        notes.append("both sides are the same commit")
    elif repository.git(
        "diff", "--name-only", baseline.commit, candidate.commit, "--", "bench", ":!bench/tests"
    ):
        notes.append(
            "bench/ differs between the commits: a difference may come from the benchmarks themselves"
        )
    until = time.monotonic() + 60 * options.minutes
    counts, taken = compare_version_counts(versions, measures, options, notes)
    findings: list[Finding] = []
    rules = rules_of(options, 2)
    context: Json = {"machine": conditions.describe_machine()}
    if "times" in measures:
        flags = gate_refs.profile_flags(threads, options.all)
        programs = [gate_refs.program_of(version) for version in versions]
        session = Session(programs[0], programs[1], flags, options.filter, options.min_time)
        session.counts = taken
        findings, context = by_turns(session, rules, options, notes, until)

    def reproduce(name: str) -> str:
        return refs_command([version.commit for version in versions], name, options.all)

    def called(version: Version) -> str:
        known = version.name.startswith(version.commit)
        return version.name if known else f"{version.name} ({version.commit})"

    machine = machine_of({**context, "commit": None})
    names = called(baseline), called(candidate)
    told = Comparison(*names, findings, counts, rules, machine, notes, reproduce, options.cannot_decide)
    return finish(told, options)


def compare_binaries(options: argparse.Namespace) -> int:
    """Measures two programs by turns, whoever wrote them. Returns the exit status."""
    gate_session.FOLDER.mkdir(parents=True, exist_ok=True)
    sides = [Program(str(path), path.resolve(), {"executable": str(path)}) for path in options.binaries]
    notes: list[str] = []
    if sides[0].path == sides[1].path:
        notes.append("both sides are the same program: nothing but noise can differ")
    elif sides[0].path.read_bytes() == sides[1].path.read_bytes():
        notes.append("both programs are the same, byte by byte: nothing but noise can differ")
    session = Session(sides[0], sides[1], options.flags, options.filter, options.min_time, by=options.by)
    session.counts = ({}, {})
    rules = rules_of(options, 2)
    until = time.monotonic() + 60 * options.minutes
    findings, context = by_turns(session, rules, options, notes, until)

    def reproduce(name: str) -> str:
        words = ["scripts/gate", "--binaries", *map(str, options.binaries)]
        words += ["--filter", f"^{re.escape(name)}$", *(["--", *options.flags] if options.flags else [])]
        return " ".join(map(shlex.quote, words))

    names = sides[0].name, sides[1].name
    told = Comparison(
        *names, findings, [], rules, machine_of(context), notes, reproduce, options.cannot_decide
    )
    return finish(told, options)


def by_turns(
    session: Session, rules: Rules, options: argparse.Namespace, notes: list[str], until: float
) -> tuple[list[Finding], Json]:
    """Measures a session, until that time on the monotonic clock at most, and keeps it. Returns (what it
    shows, the context of the candidate)."""
    print(
        f"measure: {len(session.names)} benchmarks, {options.pairs} pairs of each, "
        f"then {(SECOND - 1) * options.pairs} more of those that are not decided; "
        f"at most {command_line.in_words(max(0.0, until - time.monotonic()))}",
        flush=True,
    )
    findings = measure_and_judge(session, rules, options, notes, until)
    if session.cut_short:
        fewest = min(session.pairs.values(), default=0)
        notes.append(
            f"the time ran out: benchmarks have {fewest} to {max(session.pairs.values(), default=0)} pairs; "
            f"--minutes {2 * options.minutes:g} gives them more"
        )
    notes += disturbances.notes_on(session.saved(0)[0].context, session.saved(1)[0].context)
    why = session.keep()
    kept = "the measurements are in build/gate/baseline.json and candidate.json"
    notes.append(f"the measurements are not kept: {why}" if why else kept)
    options.chart = options.chart or gate_refs.FOLDER / "ratios.svg"
    return findings, session.saved(1)[0].context


def compare_version_counts(
    versions: list[Version], measures: list[str], options: argparse.Namespace, notes: list[str]
) -> tuple[list[CountFinding], tuple[Counts, Counts]]:
    """Counts both versions. Returns (findings, (baseline's counts, candidate's counts))."""
    wanted = [each for each in measures if each != "times"]
    if not wanted:
        return [], ({}, {})
    taken: list[Counts] = []
    findings: list[CountFinding] = []
    for version, side in zip(versions, ("baseline", "candidate")):
        print(f"count: {version.name}, {' and '.join(wanted)}", flush=True)
        try:
            taken.append(gate_refs.count_version(version, wanted))
        except gate_counts.CountsFailed as failure:
            taken.append({})
            findings.append(gate_counts.CountFinding("counts", "", NO_DATA, why=f"the {side}: {failure}"))
    if not findings:
        findings = choose_counts(taken[0], taken[1], options)
        notes += gate_counts.let_accepted_pass(findings, gate_counts.accepted_at(versions[1].commit))
    return findings, (taken[0], taken[1])


def measure_and_keep(session: Session, names: list[str], count: int, title: str, until: float) -> None:
    """Measures more pairs; when a signal breaks that off, those that are there are written."""
    try:
        session.measure(names, count, title, until)
    except child_processes.Ended:
        command_line.ProgressLine.break_line()
        both = " ".join(f"--{name.split('.')[0]} build/gate/{name}" for name in gate_session.SAVED)
        why = session.keep()
        told = f"nothing is kept: {why}" if why else f"kept, to be compared by scripts/gate {both}"
        print(f"{sum(session.pairs.values())} pairs were measured; {told}", flush=True)
        raise


def measure_and_judge(
    session: Session, rules: Rules, options: argparse.Namespace, notes: list[str], until: float
) -> list[Finding]:
    """Measures both looks of a session. Returns what they show."""

    def samples(names: set[str] | None) -> list[Sample]:
        found = gate_runs.samples(session.saved(0)[0], session.saved(1)[0])
        return [each for each in found if names is None or each.name in names]

    measure_and_keep(session, session.names, options.pairs, "first look", until)
    floors = load_floors(options, session.saved(1)[0].context, notes)
    first = gate_statistics.judge(samples(None), rules, floors[0], intervals=False)
    undecided = [each.name for each in first if each.verdict == UNDECIDED and each.name not in session.broken]
    if not undecided or session.cut_short:
        return first
    print(f"measure: {len(undecided)} of {len(first)} are not decided", flush=True)
    measure_and_keep(session, undecided, (SECOND - 1) * options.pairs, "second look", until)
    return gate_statistics.second_look(first, lambda names: samples(set(names)), rules, floors[1])
