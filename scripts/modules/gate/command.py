"""Says whether one version of hotindex is slower than another, and how sure that is."""

import argparse
import datetime
import json
import re
import shlex
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

from bench import command as bench
from common import child_processes
from common import command_line
from gate import counts as gate_counts
from gate import refs as gate_refs
from gate import report as gate_report
from gate import runs as gate_runs
from gate import statistics as gate_statistics
from common import output
from plot import command as plot
from common import repository
from bench import results as result_file
from common.command_line import ROOT, in_words
from gate.statistics import NO_DATA, PASS, REGRESSION, UNDECIDED, Rules

EXPLANATION = """\
Exit status: 0 pass, 1 regression, 2 cannot decide, 3 usage or data error. A benchmark that is missing on one side, an
empty run, a NaN, a zero or a truncated file is never a pass. A reader that has gone, as head has, or a closed
stdout changes no status; a full disk, or a file that was asked for and cannot be written, makes 3 of a 0 and
leaves the others. 128 + signal when a signal ended it; the pairs measured until then are in build/gate.

--refs measures both commits by turns, each run a fresh process, in an order drawn by lot: 30 pairs of each benchmark,
then 90 more of those that are not decided by then; about 3 to 8 minutes on 2 cores, and what the builds take. Besides, it
counts: operations on shared memory, allocations, bytes a vector, instructions (valgrind). Counts need no statistics.

--baseline and --candidate compare saved runs: what scripts/bench --repetitions 10 wrote, or the two files that --refs
left. Whatever changed on the machine between two separate runs counts as a difference: --refs does not have this weakness.

environment:
  HOTINDEX_NO_SETUP=1   do not look for packages

examples:
  scripts/gate --refs origin/main HEAD --markdown gate.md
  scripts/gate --refs HEAD~1 HEAD --measures counts        seconds, once both are built
  scripts/gate --baseline old/results.json --candidate new/results.json
  scripts/gate --calibrate                                 how noisy is this machine?
  scripts/gate --write-counts --accept "versions cost one store"
"""

CALIBRATION = ROOT / "results" / "gate" / "calibration.json"
PAIRS = 30  # at the first look
SECOND = 4  # times as many at the second one
MEASURES = ("times", "counts", "instructions")


class Usage(Exception):
    """The command line or the data cannot be used: exit status 3."""


class GateParser(command_line.StrictParser):
    def error(self, message):
        self.exit(3, f"{self.prog}: {message}\nSee {self.prog} --help.\n")


def parse_options(arguments):
    parser = GateParser(prog="scripts/gate", description=__doc__, epilog=EXPLANATION)
    task = parser.add_argument_group("what to do")
    task.add_argument("--refs", nargs=2, metavar=("BASE", "HEAD"), help="build and measure two commits")
    task.add_argument("--baseline", metavar="FILE", type=Path, help="a saved run, with --candidate")
    task.add_argument("--candidate", metavar="FILE", type=Path)
    task.add_argument(
        "--calibrate",
        action="store_true",
        help="measure this version against itself: the noise of each benchmark",
    )
    task.add_argument(
        "--self-test", action="store_true", help="measure the gate: false alarms, and what it finds"
    )
    task.add_argument(
        "--check-counts", action="store_true", help="compare this build's counts with the committed ones"
    )
    task.add_argument("--write-counts", action="store_true", help="write results/gate/counts.json")
    what = parser.add_argument_group("what to compare")
    what.add_argument("--filter", metavar="REGEX", type=bench.regular_expression, help=bench.FILTER)
    what.add_argument("--threads", metavar="LIST", type=bench.thread_list, help="default: 1,2")
    what.add_argument(
        "--all", action="store_true", help="every workload of scripts/bench, not only the small ones"
    )
    what.add_argument(
        "--measures", metavar="LIST", type=list_of(MEASURES), help=f"of {', '.join(MEASURES)}; default: all"
    )
    what.add_argument(
        "--across",
        metavar="LIST",
        type=list_of(tuple(gate_runs.CONDITIONS)),
        default=[],
        help=f"compare in spite of another {', '.join(gate_runs.CONDITIONS)}",
    )
    what.add_argument(
        "--allow-missing",
        metavar="REGEX",
        type=bench.regular_expression,
        help="benchmarks that may be missing on one side",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--pairs", metavar="N", type=bench.positive, default=PAIRS, help=f"at the first look; default {PAIRS}"
    )
    how.add_argument(
        "--min-time",
        metavar="SECONDS",
        type=seconds,
        help="of one run; default 0.02, with several threads 0.05",
    )
    how.add_argument(
        "--minimum-effect",
        metavar="PERCENT",
        type=percentage,
        help="what is no regression, however sure; default 5",
    )
    how.add_argument(
        "--calibration", metavar="FILE", type=Path, help="default: results/gate/calibration.json"
    )
    how.add_argument("--accept", metavar="REASON", help="with --write-counts: why counts rise")
    effort = how.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_true", help="with --self-test: within half a minute")
    effort.add_argument(
        "--full",
        action="store_true",
        help="with --self-test: about 10 minutes; writes results/gate/ and the README's figures",
    )
    out = parser.add_argument_group("output")
    out.add_argument("--json", metavar="FILE", type=Path)
    out.add_argument("--markdown", metavar="FILE", type=Path)
    out.add_argument(
        "--chart",
        metavar="FILE",
        type=Path,
        help="as SVG and PNG; default with --refs: build/gate/ratios.svg",
    )
    options = parser.parse_args(arguments)
    tasks = {
        "--refs": options.refs,
        "--baseline": options.baseline or options.candidate,
        "--calibrate": options.calibrate,
        "--self-test": options.self_test,
        "--check-counts": options.check_counts,
        "--write-counts": options.write_counts,
    }
    chosen = [name for name, given in tasks.items() if given]
    if len(chosen) != 1:
        parser.error(
            f"{' and '.join(chosen)} exclude each other" if chosen else f"choose one of {', '.join(tasks)}"
        )
    if bool(options.baseline) != bool(options.candidate):
        parser.error("--baseline and --candidate belong together")
    if (options.quick or options.full) and not options.self_test:
        parser.error("--quick and --full belong to --self-test")
    if options.accept and not options.write_counts:
        parser.error("--accept belongs to --write-counts")
    if options.refs and any(ref.startswith("-") for ref in options.refs):
        parser.error("--refs needs two commits")
    for flag in ("json", "markdown", "chart"):
        path = getattr(options, flag)
        trouble = path and output.check_file(path)
        if trouble:
            parser.error(f"--{flag} {trouble}")
    if options.calibrate:
        trouble = output.check_file(options.calibration or CALIBRATION)
        if trouble:
            parser.error(f"--calibration {trouble}")
    return options


def list_of(known):
    def parse(text):
        words = text.split(",")
        for word in words:
            if word not in known:
                import difflib

                near = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
                raise argparse.ArgumentTypeError(
                    f"{word}: not one of {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else "")
                )
        return words

    return parse


def seconds(text):
    if not re.fullmatch(r"\d*\.?\d+", text) or not 0.001 <= float(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text}: not a number of seconds from 0.001 to 100")
    return float(text)


def percentage(text):
    if not re.fullmatch(r"\d*\.?\d+", text) or not 0 < float(text) < 100:
        raise argparse.ArgumentTypeError(f"{text}: not a percentage")
    return float(text) / 100


def rules_of(options, looks):
    effect = options.minimum_effect or Rules.minimum_effect
    return Rules(minimum_effect=effect, detect=max(Rules.detect, 2 * effect), looks=looks)


# ---- comparing ----


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
    why = plot.cannot_draw()
    if why:
        print(f"chart: none: {why}")
    elif gate_report.draw(comparison, path):
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
    findings, rules, context = [], rules_of(options, 2), {"machine": bench.describe_machine()}
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


# ---- calibrating ----


def load_floors(options, context, notes):
    """The calibrated noise floors for both looks, where there are some for this machine."""
    path = options.calibration or CALIBRATION
    if not path.exists():
        if options.calibration:
            raise Usage(f"--calibration {path}: no such file")
        return {}, {}
    document = result_file.load(path)
    try:
        same = all(document["context"].get(key) == context.get(key) for key in ("machine", "compiler"))
        floors = tuple(
            {each["name"]: float(each["floor"][look]) for each in document["benchmarks"]} for look in (0, 1)
        )
    except (KeyError, TypeError, IndexError, ValueError, AttributeError):
        raise Usage(f"{path}: not what scripts/gate --calibrate writes") from None
    if not same:
        notes.append(
            f"{shown(path)} is of another machine or compiler: noise floors come from these runs alone"
        )
        return {}, {}
    if document.get("pairs_at_looks") != [options.pairs, SECOND * options.pairs]:
        return {}, {}
    return floors


def shown(path):
    path = path.resolve()
    return path.relative_to(ROOT) if ROOT in path.parents else path.name


def calibrate(options):
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    gate_refs.install()
    version = gate_refs.working_tree()
    gate_refs.build(version)
    flags = gate_refs.profile_flags(options.threads or [1, 2], options.all)
    session = gate_refs.Session(version, version, flags, options.filter, options.min_time)
    pairs = 2 * options.pairs
    print(f"measure: {len(session.names)} benchmarks against themselves, {pairs} pairs of each", flush=True)
    took = session.measure(session.names, pairs, "calibrate")
    runs = [session.saved(side)[0] for side in (0, 1)]
    samples = gate_runs.samples(*runs)
    rules = rules_of(options, 2)
    rows, entries, status = [("benchmark", "spread of pairs", "noise floor", "finds", "verdict")], [], PASS
    progress = command_line.ProgressLine()
    for position, each in enumerate(samples):
        progress.show(f"simulate: {position} of {len(samples)} benchmarks")
        why = gate_statistics.check(each)
        if why:
            rows.append((each.name, "-", "-", "-", f"{NO_DATA}: {why}"))
            status = NO_DATA
            continue
        entry = gate_statistics.calibrated(each, [options.pairs, SECOND * options.pairs], len(samples), rules)
        entries.append({"name": each.name, **entry})
        finds = entry["finds"][1]
        noisy = entry["floor"][1] >= rules.detect or finds is None or finds > rules.detect
        verdict = f"cannot decide on {rules.detect:.0%}" if noisy else "can be gated"
        if noisy and status == PASS:
            status = UNDECIDED
        rows.append(
            (
                each.name,
                f"{entry['spread']:.1%}",
                f"{entry['floor'][1]:.1%}",
                f"{finds:.0%}" if finds else "over 50%",
                verdict,
            )
        )
    progress.clear()
    print(
        f"\nWith {SECOND * options.pairs} pairs of each: what identical versions show 99 times in 100 (noise floor), and the smallest"
    )
    print("slowdown that is found 95 times in 100.")
    gate_report.print_rows(rows)
    document = {
        "context": {
            **{
                key: value
                for key, value in runs[1].context.items()
                if key in ("machine", "compiler", "flags", "laps")
            },
            **bench.describe_source(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command_line": shlex.join(["scripts/gate", *bench.shown_arguments(sys.argv[1:])]),
        },
        "pairs_measured": pairs,
        "pairs_at_looks": [options.pairs, SECOND * options.pairs],
        "benchmarks": entries,
    }
    path = options.calibration or CALIBRATION
    output.write_whole(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
    noisy = [row[0] for row in rows[1:] if row[-1].startswith("cannot")]
    print()
    if noisy:
        print(
            f"Too noisy here for the gate to decide on a slowdown of {rules.detect:.0%}: {', '.join(noisy)}"
        )
    print(f"{in_words(took)}; {shown(path)} has the noise floors that the gate uses on this machine")
    return gate_report.EXIT[status]


# ---- the committed counts ----


def counts_of_this_build():
    version = gate_refs.working_tree()
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    gate_refs.build(version, ("operation_counts",), ("operation_counts",))
    return version.binary("operation_counts")


def check_counts(options):
    failing, told, compared = gate_counts.check_committed(counts_of_this_build())
    for line in told:
        print(line)
    for each in failing:
        print(f"{each.verdict}: {gate_report.counted(each)}")
    print(f"counts: {compared - len(failing)} passed, {len(failing)} failed", flush=True)
    if any(each.verdict == REGRESSION for each in failing):
        return 1
    return 3 if failing else 0


def write_counts(options):
    counts = gate_counts.take_counts(counts_of_this_build())
    more, written = gate_counts.write_committed(counts, options.accept)
    for each in more:
        print(f"{'accepted' if written else 'more than before'}: {gate_report.counted(each)}")
    if not written:
        raise Usage('counts rose: scripts/gate --write-counts --accept "REASON" writes them with the reason')
    print(
        f"{shown(gate_counts.COMMITTED)}: {sum(len(each['totals']) for each in counts.values())} counts of {len(counts)} operations"
    )
    return 0


def self_test(options):
    from gate import self_test as gate_self_test

    return gate_self_test.run(options.full, options, run)


def main(arguments):
    options = parse_options(arguments)
    if options.refs:
        return compare_refs(options)
    if options.baseline:
        return compare_files(options)
    if options.calibrate:
        return calibrate(options)
    if options.self_test:
        return self_test(options)
    return check_counts(options) if options.check_counts else write_counts(options)


MESSAGES = (
    Usage,
    command_line.Failure,
    gate_counts.CountsFailed,
    gate_refs.RefsFailed,
    output.CannotWrite,
    repository.GitRefused,
    result_file.BadResults,
)


def run(arguments) -> int:
    """Returns the exit status of a command line."""
    try:
        return main(arguments)
    except MESSAGES as failure:
        command_line.ProgressLine.break_line()
        print(f"scripts/gate: {failure}", file=sys.stderr)
        return 3
    except OSError as failure:
        command_line.ProgressLine.break_line()
        print(f"scripts/gate: {output.reason(failure)}", file=sys.stderr)
        return 3
    except SystemExit as end:
        return end.code
    except Exception:  # a fault of the gate itself is no regression of what it measures
        traceback.print_exc()
        print("scripts/gate: this is a fault of the gate itself", file=sys.stderr)
        return 3


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/gate", lambda: run(sys.argv[1:]), failure=3)
