"""Compares two saved runs, or two commits."""

from __future__ import annotations

import re
import shlex
import sys

from bench import conditions, results as result_file
from common import child_processes, command_line, output, repository
from gate import (
    chart,
    counts as gate_counts,
    refs as gate_refs,
    report as gate_report,
    runs as gate_runs,
    statistics as gate_statistics,
)
from gate.calibration import load_floors
from gate.options import MEASURES, SECOND, Usage, rules_of
from gate.statistics import NO_DATA, UNDECIDED
from plot import style


def machine_of(context):
    class Described:
        pass

    described = Described()
    described.context = context
    described.cores = (context.get("machine") or {}).get("cores")
    return result_file.machine_line(described)


def compare_files(options):
    sides = [gate_runs.read(path) for path in (options.baseline, options.candidate)]
    comparison = compare_runs(*sides, options)
    return finish(comparison, options)


def compare_runs(baseline, candidate, options):
    """The Comparison of two saved runs; raises Usage when they are not comparable."""
    notes = []
    for condition, words in gate_runs.differences(baseline, candidate):
        if condition in options.across:
            notes.append(f"compared in spite of another {condition}: {words}")
        elif baseline.times or candidate.times or condition not in ("dataset", "settings"):
            raise Usage(f"not comparable: {words}. --across {condition} compares them all the same")
    together = gate_runs.paired(baseline, candidate)
    samples = gate_runs.samples(baseline, candidate, compiled(options.filter))
    rules = rules_of(options, 1)
    if not together and samples:
        notes.append(
            "the runs were not interleaved: what changed on the machine between them counts as a difference"
        )
    floors = load_floors(options, candidate.context, notes)
    findings = gate_statistics.judge(samples, rules, floors[0], intervals=False)
    counts = choose_counts(baseline.counts, candidate.counts, options)

    def reproduce(name):
        commits = [run.context.get("commit") for run in (baseline, candidate)]
        if all(commits) and all(re.fullmatch(r"[0-9a-f]{7,40}", commit) for commit in commits):
            return refs_command(commits, name, candidate.context.get("profile") != "gate")
        return f"build/release/bench/hotindex_bench --benchmark_filter={shlex.quote(f'^{re.escape(name)}$')}, with each version"

    names = [described(run) for run in (baseline, candidate)]
    return gate_report.Comparison(
        *names, findings, counts, rules, machine_of(candidate.context), notes, reproduce
    )


def described(run):
    commit = run.context.get("commit")
    return (
        f"{run.path} (commit {commit}{', with changes' if run.context.get('dirty') else ''})"
        if commit
        else run.path
    )


def choose_counts(baseline, candidate, options):
    if not baseline and not candidate:
        return []
    found = gate_counts.compare_counts(baseline, candidate)
    return [each for each in found if options.filter is None or re.search(options.filter, each.name)]


def refs_command(refs, name, every=False):
    words = ["scripts/gate", "--refs", *refs]
    threads = re.search(r"/threads:(\d+)$", name)
    if not threads:  # a count
        words += ["--measures", "counts,instructions"]
    elif threads[1] not in ("1", "2"):
        words += ["--threads", threads[1]]
    if every and threads:
        words.append("--all")
    return " ".join(map(shlex.quote, [*words, "--filter", f"^{re.escape(name)}$"]))


def drop_allowed(findings, options, notes):
    """Without what --allow-missing allows to be missing."""
    left = []
    for each in findings:
        if each.verdict == NO_DATA and options.allow_missing and re.search(options.allow_missing, each.name):
            notes.append(f"left out, as --allow-missing says: {each.name}: {each.why}")
        else:
            left.append(each)
    return left


def finish(comparison, options) -> int:
    """Prints the report, then writes what was asked for. Returns the exit status."""
    comparison.findings = drop_allowed(comparison.findings, options, comparison.notes)
    comparison.counts = drop_allowed(comparison.counts, options, comparison.notes)
    gate_report.print_report(comparison)
    faults = []
    for path, write in (
        (options.json, lambda path: gate_report.write(path, comparison)),
        (options.markdown, lambda path: output.write_whole(path, gate_report.markdown(comparison))),
        (options.chart, lambda path: draw(comparison, path)),
    ):
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


def draw(comparison, path) -> None:
    """Draws the chart where that can be done; where not, says so."""
    why = style.cannot_draw()
    if why:
        print(f"chart: none: {why}")
    elif chart.draw(comparison, path):
        print(f"chart: {path.with_suffix('.svg')}")


def compare_refs(options):
    measures = options.measures or list(MEASURES)
    threads = options.threads or [1, 2]
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    gate_refs.install()
    versions = [gate_refs.checked_out(ref) for ref in options.refs]
    for version in {version.commit: version for version in versions}.values():
        gate_refs.build(version)
    notes = []
    if versions[0].commit == versions[1].commit:
        notes.append("both sides are the same commit")
    elif repository.git(
        "diff", "--name-only", *(each.commit for each in versions), "--", "bench", ":!bench/tests"
    ):
        notes.append(
            "bench/ differs between the commits: a difference may come from the benchmarks themselves"
        )
    counts = compare_version_counts(versions, measures, options, notes)
    findings, rules, context = [], rules_of(options, 2), {"machine": conditions.describe_machine()}
    if "times" in measures:
        flags = gate_refs.profile_flags(threads, options.all)
        session = gate_refs.Session(*versions, flags, options.filter, options.min_time)
        print(
            f"measure: {len(session.names)} benchmarks, {options.pairs} pairs of each, "
            f"then {(SECOND - 1) * options.pairs} more of those that are not decided",
            flush=True,
        )
        session.counts = counts[1]
        findings = measure_and_judge(session, rules, options, notes)
        why = session.keep()
        kept = "the measurements are in build/gate/baseline.json and candidate.json"
        notes.append(f"the measurements are not kept: {why}" if why else kept)
        context = session.saved(1)[0].context
        options.chart = options.chart or gate_refs.FOLDER / "ratios.svg"
    reproduce = lambda name: refs_command(
        [version.commit for version in versions], name, options.all
    )  # noqa: E731
    names = [
        version.name if version.name.startswith(version.commit) else f"{version.name} ({version.commit})"
        for version in versions
    ]
    comparison = gate_report.Comparison(
        *names, findings, counts[0], rules, machine_of({**context, "commit": None}), notes, reproduce
    )
    return finish(comparison, options)


def compiled(pattern):
    return re.compile(pattern) if pattern else None


def compare_version_counts(versions, measures, options, notes):
    """(findings, (baseline's counts, candidate's counts))"""
    wanted = [each for each in measures if each != "times"]
    if not wanted:
        return [], ({}, {})
    taken, findings = [], []
    for version, side in zip(versions, ("baseline", "candidate")):
        print(f"count: {version.name}, {' and '.join(wanted)}", flush=True)
        try:
            taken.append(gate_refs.count_version(version, wanted))
        except gate_counts.CountsFailed as failure:
            taken.append({})
            findings.append(gate_counts.CountFinding("counts", "", NO_DATA, why=f"the {side}: {failure}"))
    if not findings:
        findings = choose_counts(*taken, options)
        notes += gate_counts.let_accepted_pass(findings, gate_counts.accepted_at(versions[1].commit))
    return findings, tuple(taken)


def measure_and_keep(session, names, count, title) -> None:
    """More pairs; when a signal breaks that off, those that are there are written."""
    try:
        session.measure(names, count, title)
    except child_processes.Ended:
        command_line.ProgressLine.break_line()
        both = " ".join(f"--{name.split('.')[0]} build/gate/{name}" for name in gate_refs.SAVED)
        why = session.keep()
        told = f"nothing is kept: {why}" if why else f"kept, to be compared by scripts/gate {both}"
        print(f"{sum(session.pairs.values())} pairs were measured; {told}", flush=True)
        raise


def measure_and_judge(session, rules, options, notes):
    """Both looks at a session."""

    def samples(names):
        runs = [session.saved(side)[0] for side in (0, 1)]
        return [each for each in gate_runs.samples(*runs) if names is None or each.name in names]

    measure_and_keep(session, session.names, options.pairs, "first look")
    floors = load_floors(options, session.saved(1)[0].context, notes)
    first = gate_statistics.judge(samples(None), rules, floors[0], intervals=False)
    undecided = [each.name for each in first if each.verdict == UNDECIDED and each.name not in session.broken]
    if not undecided:
        return first
    print(f"measure: {len(undecided)} of {len(first)} are not decided", flush=True)
    measure_and_keep(session, undecided, (SECOND - 1) * options.pairs, "second look")
    return gate_statistics.second_look(first, lambda names: samples(set(names)), rules, floors[1])
