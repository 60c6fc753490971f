"""Builds the benchmark binary, measures every workload on every index over a ladder of threads, prints a table and
leaves results.json, summary.md and charts."""

import argparse
import datetime
import hashlib
import json
import os
import platform
import re
import resource
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import command_line
import plot
import results as result_file
from command_line import ROOT, in_words

EXPLANATION = """\
The benchmarks are measured in rounds: each round runs all of them once, in a random order, in a process of its own. So
repetitions of different indexes are interleaved, and what changes in the machine meanwhile meets all alike. Without a
flag and with --quick the time for each benchmark follows from the time there is, and a round that would not end in time
is left out, which the summary then says. With --repetitions every round is run, however long it takes.

environment:
  HOTINDEX_NO_SETUP=1   do not look for packages

examples:
  scripts/bench                                          all workloads, within 6 minutes on 2 cores
  scripts/bench --quick --dataset mnist.idx3-ubyte.gz    within about 90 seconds, on real vectors
  scripts/bench --threads 1,2,4 --filter '^search/'      only searches
  scripts/bench --full --out results/my-machine          long runs, for numbers to publish
"""


@dataclass(frozen=True)
class Effort:
    rounds: int
    limit: float  # seconds for everything, None: as long as it takes
    at_least: float  # of them for measuring, should the build have used them up
    threads: int  # the ladder's least top
    per_core: int  # and the top in threads a core
    min_time: float  # seconds for one benchmark in one round, where there is no limit


EFFORTS = {
    "quick": Effort(rounds=3, limit=85, at_least=45, threads=4, per_core=2, min_time=0.1),
    "default": Effort(rounds=5, limit=345, at_least=150, threads=8, per_core=2, min_time=0.2),
    "full": Effort(rounds=10, limit=None, at_least=0, threads=16, per_core=4, min_time=0.5),
}

# One benchmark runs about this many times its min_time, the warm-up included (bench/measure.hpp); on top comes what it
# prepares and checks, about this many seconds.
COST_OF_MIN_TIME = 1.25
PREPARATION = 0.06
SHORTEST, LONGEST = 0.01, 0.5
CHARTS = 12  # seconds for the charts


class Stop(Exception):
    """The command ends here with this message and exit status 1."""


def parse_options():
    parser = command_line.StrictParser(prog="scripts/bench", description=__doc__, epilog=EXPLANATION)
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_true", help="within about 90 seconds")
    effort.add_argument("--full", action="store_true", help="long runs and more threads, without a limit of time")
    parser.add_argument("--dataset", metavar="FILE", type=existing_file, help="vectors to use; default: generated ones")
    parser.add_argument(
        "--metric",
        choices=("cosine", "inner_product", "squared_euclidean"),
        help="what the dataset is compared by; default: what its file says, otherwise cosine",
    )
    parser.add_argument("--rows", metavar="N", type=positive, help="only the first N rows of the dataset")
    parser.add_argument("--threads", metavar="LIST", type=thread_list, help="such as 1,2,4,8")
    parser.add_argument("--filter", metavar="REGEX", type=regular_expression, help="only benchmarks with such a name")
    parser.add_argument("--repetitions", metavar="N", type=positive, help="rounds, all of them run")
    parser.add_argument("--out", metavar="DIR", type=Path, help="default: results/local/<time>")
    options = parser.parse_args()
    if options.out and options.out.exists() and not options.out.is_dir():
        parser.error(f"--out {options.out}: that is a file")
    if not options.dataset and (options.metric or options.rows):
        parser.error(f"--{'metric' if options.metric else 'rows'} is about the vectors of a file: give --dataset FILE, too")
    return options


def existing_file(text):
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: this is a directory; give one of the files in it")
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: this is a pipe or a device; save what it delivers to a file first")
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    if not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"{text}: you may not read this file")
    return path


def thread_list(text):
    if not re.fullmatch(r"\d+(,\d+)*", text) or not all(1 <= int(count) <= 1024 for count in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text}: not a list of numbers from 1 to 1024, such as 1,2,4")
    return sorted({int(count) for count in text.split(",")})


def regular_expression(text):
    try:
        re.compile(text)
    except re.error as failure:
        raise argparse.ArgumentTypeError(f"{text}: not a regular expression: {failure}") from None
    return text


def positive(text):
    if not re.fullmatch(r"\d+", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: not a number of at least 1")
    return int(text)


def cores():
    return len(os.sched_getaffinity(0))


def ladder(effort):
    top, counts = max(effort.threads, effort.per_core * cores()), [1]
    while counts[-1] * 2 <= top:
        counts.append(counts[-1] * 2)
    return sorted({*counts, cores()})


# ---- the build ----


def build(logs):
    progress = command_line.ProgressLine()
    begin = time.monotonic()
    if subprocess.run([ROOT / "scripts" / "setup"]).returncode != 0:
        raise Stop("the setup failed")

    def show(line):
        step = re.match(r"\[(\d+/\d+)\]", line)
        if step:
            progress.show(f"build: {step[1]}, {in_words(time.monotonic() - begin)}")

    for name, command in (
        ("configure", ["cmake", "--preset", "release"]),
        ("build", ["cmake", "--build", "--preset", "release", "--target", "hotindex_bench"]),
    ):
        log = logs / f"{name}.log"
        if command_line.run_logged(command, log, on_line=show) != 0:
            progress.clear()
            raise Stop(f"{shlex.join(command)} failed:\n{command_line.tail(log, 60)}")
    progress.clear()
    print(f"build: build/release/bench/hotindex_bench, {in_words(time.monotonic() - begin)}", flush=True)
    return ROOT / "build" / "release" / "bench" / "hotindex_bench"


# ---- what the numbers depend on ----


def first_line(command):
    try:
        output = subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout
    except OSError:
        return ""
    return output.splitlines()[0].strip() if output.strip() else ""


def describe_machine():
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    if not cpu:  # Arm's /proc/cpuinfo has numbers only
        listed = subprocess.run(["lscpu"], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
        cpu = next((line.split(":", 1)[1].strip() for line in listed.splitlines() if line.startswith("Model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu or platform.machine(),
        "cores": cores(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": f"{platform.system()} {re.match(r'[0-9.]*', platform.release())[0]} {platform.machine()}",
    }


def describe_build(folder=ROOT / "build" / "release"):
    """The compiler and the flags that the benchmark binary was really compiled with."""
    commands = json.loads((folder / "compile_commands.json").read_text())
    chosen = next((each for each in commands if "hotindex_bench.dir" in each["command"]), commands[0])
    compiler, *words = shlex.split(chosen["command"])
    flags, skip = [], False
    for word in words:
        if skip or word in ("-o", "-c", "-isystem", "-I", "-MF", "-MT", "-MQ"):
            skip = not skip
        elif word.startswith("-") and not word.startswith(("-I", "-MD", "-isystem")):
            flags.append(word)
    return {"compiler": first_line([compiler, "--version"]), "flags": " ".join(flags)}


def describe_source():
    commit = first_line(["git", "rev-parse", "--short=12", "HEAD"])
    return {"commit": commit or "unknown", "dirty": bool(first_line(["git", "status", "--porcelain"])) if commit else None}


def describe_dataset(options):
    path = options.dataset
    if path is None:
        return "generated"
    digest = hashlib.sha256()
    with path.open("rb") as source:
        for block in iter(lambda: source.read(1 << 20), b""):
            digest.update(block)
    told = [f"{path.name}, {path.stat().st_size:,} bytes, sha256 {digest.hexdigest()[:16]}"]
    told += [f"the first {options.rows:,} rows"] if options.rows else []
    told += [f"compared by {options.metric}"] if options.metric else []
    return ", ".join(told)


# ---- the measurement ----


def list_benchmarks(binary, flags):
    """Their names, and what the binary has to say about the dataset."""
    listed = subprocess.run([binary, *flags, "--benchmark_list_tests"], capture_output=True, text=True, cwd=ROOT)
    if listed.returncode != 0:
        raise Stop(f"{binary.name} failed: {(listed.stderr or listed.stdout).strip() or listed.returncode}")
    notes = [line.split("note: ", 1)[1] for line in listed.stderr.splitlines() if f"{binary.name}: note: " in line]
    return [line for line in listed.stdout.splitlines() if result_file.parse_name(line)], notes


def read_entries(path):
    """The context and the benchmarks in a JSON file that may still be growing, or was cut off."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}, []
    head = re.match(r'\s*\{\s*"context":\s*', text)
    if not head:
        return {}, []
    decoder, context, entries = json.JSONDecoder(), {}, []
    try:
        context, at = decoder.raw_decode(text, head.end())
        at = re.compile(r'\s*,\s*"benchmarks":\s*\[\s*').match(text, at).end()
        while text[at] == "{":
            entry, at = decoder.raw_decode(text, at)
            entries.append(entry)
            at = re.compile(r"\s*,?\s*").match(text, at).end()
    except (ValueError, AttributeError, IndexError):
        pass  # it ends here
    return context, entries


@dataclass
class Measurement:
    context: dict
    entries: list
    rounds: int  # that were completed
    note: str  # what a reader must know about how it ended
    crash: str  # what the binary said when it failed, or ""
    others: float  # cores that other programs kept busy meanwhile, on average; None when unknown


def measure(binary, flags, names, rounds, min_time, deadline, logs):
    """Runs the rounds, until they are done or the next would pass the deadline."""
    progress = command_line.ProgressLine()
    context, entries, durations = {}, [], []
    note, crash = "", ""
    begun = time.monotonic(), busy_seconds(), own_seconds()
    try:
        for number in range(1, rounds + 1):
            if deadline and durations and time.monotonic() + durations[-1] * 1.03 > deadline:
                note = f"{len(durations)} of {rounds} rounds fitted into the time"
                break
            begin = time.monotonic()
            out, log = logs / f"round-{number}.json", logs / f"round-{number}.log"
            command = [
                binary,
                *flags,
                f"--benchmark_min_time={min_time:.4g}",
                "--benchmark_enable_random_interleaving=true",
                f"--benchmark_out={out}",
                "--benchmark_out_format=json",
            ]
            with log.open("w") as sink:
                child = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True)
                overrun = False
                try:
                    while not ended_within(child, 1.0):
                        now = time.monotonic()
                        # Counted, not parsed: this process must not take time from what is measured.
                        done = out.read_bytes().count(b'"run_name"') if out.exists() else 0
                        show_progress(progress, number, rounds, done, len(names), now - begin, durations)
                        if deadline and now > deadline:
                            overrun = True
                            break
                finally:
                    if child.poll() is None:
                        command_line.kill_group(child)
                        child.wait()
            seen, fresh = read_entries(out)
            context = context or seen
            entries.append(fresh)
            if overrun:
                whole = len(durations)
                note = f"the time ran out in round {number} of {rounds}, after {len(fresh)} of {len(names)} benchmarks"
                note += f"; the {whole} rounds before it are complete" if whole else ""
                break
            if child.returncode != 0:
                name = signal.Signals(-child.returncode).name if child.returncode < 0 else child.returncode
                crash = f"{binary.name} ended with {name} in round {number}\n{command_line.tail(log, 25)}"
                break
            durations.append(time.monotonic() - begin)
    except KeyboardInterrupt:
        if not durations:
            raise
        note = f"interrupted after {len(durations)} of {rounds} rounds"
    progress.clear()
    others = None
    if begun[1] is not None:
        spent = busy_seconds() - begun[1] - (own_seconds() - begun[2])
        others = max(0.0, spent / max(1e-9, time.monotonic() - begun[0]))
    return Measurement(context, renumber(entries, names), len(durations), note, crash, others)


def busy_seconds():
    """Processor seconds that all programs have used since the machine started; None where it cannot be known, or is
    not that of the processors we may use."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    if words[:1] != ["cpu"] or len(words) < 9 or os.cpu_count() != cores():
        return None
    user, nice, system, _idle, _waiting, irq, softirq, steal = (int(word) for word in words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def ended_within(child, seconds):
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def show_progress(progress, number, rounds, done, total, elapsed, durations):
    share = min(1.0, done / total)
    if durations:
        left = max(0.0, durations[-1] - elapsed) + durations[-1] * (rounds - number)
    elif share > 0.02 and elapsed > 2:
        left = elapsed / share * (rounds - share)
    else:
        left = None
    rest = f", about {in_words(left)} left" if left is not None else ""
    progress.show(f"round {number} of {rounds}: {done} of {total} benchmarks{rest}")


def renumber(rounds, names):
    """All rounds' repetitions as those of one run, in the order in which the binary lists its benchmarks."""
    rank = {name: position for position, name in enumerate(names)}
    by_name = {}
    for entries in rounds:
        for entry in entries:
            if entry.get("run_type", "iteration") == "iteration":
                by_name.setdefault(entry["name"], []).append(entry)
    merged = []
    for name in sorted(by_name, key=lambda name: rank.get(name, len(rank))):
        for index, entry in enumerate(by_name[name]):
            merged.append({**entry, "repetitions": len(by_name[name]), "repetition_index": index})
    return merged


# ---- the tables ----


def rows_of(group):
    """The group's table: a heading and rows, every cell text. Numbers of threads go down and lines across; in the tax,
    whose lines are many and have long names, the other way round."""
    top = max(cell.high for cells in group.lines.values() for cell in cells.values())
    divisor, words = result_file.unit(top)

    def value(line, count):
        cell = group.lines[line].get(count)
        if not cell:
            return "-"
        return three_digits(cell.median / divisor) + (f" ({cell.spread:.0%})" if cell.spread is not None else "")

    def ratio(line, count):
        seen = group.ratio(line, count)
        return f"x{seen[0]:.2f}" if seen else "-"

    compared = group.baseline in group.lines
    if group.workload == "tax":
        heading = ["threads"]
        for count in group.threads:
            heading += [str(count), *(["ratio"] if compared else [])]
        rows = []
        for line in group.lines:
            rows.append([line])
            for count in group.threads:
                rows[-1] += [value(line, count), *([ratio(line, count)] if compared else [])]
        return heading, rows, words
    heading = ["threads"]
    for line in group.lines:
        heading += [line, *(["ratio"] if compared and line != group.baseline else [])]
    rows = []
    for count in group.threads:
        rows.append([str(count)])
        for line in group.lines:
            rows[-1] += [value(line, count), *([ratio(line, count)] if compared and line != group.baseline else [])]
    return heading, rows, words


def three_digits(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def failures_of(group):
    """Lines on operations that failed, such as the insert of a key that is there."""
    shares = {
        line: (min(cell.failed_share for cell in cells.values()), max(cell.failed_share for cell in cells.values()))
        for line, cells in group.lines.items()
    }
    told = [
        f"{line} {low:.1%}" + (f" to {high:.1%}" if f"{high:.1%}" != f"{low:.1%}" else "")
        for line, (low, high) in shares.items()
        if high >= 0.0005
    ]
    return f"failed, and not counted, of the attempts: {', '.join(told)}" if told else ""


def writer_of(group):
    """What the thread beside the measured ones did, by index, over the numbers of threads."""
    told = []
    for line, cells in group.lines.items():
        rates = [statistics.median(cell.beside) for cell in cells.values() if cell.beside]
        if rates:
            low, high = (three_digits(rate / 1e3) for rate in (min(rates), max(rates)))
            told.append(f"{line} {low}" + (f" to {high}" if low != high else ""))
    return f"the writer beside it, thousand replacements/s: {', '.join(told)}" if told else ""


def remarks_on(group):
    return [remark for remark in (failures_of(group), writer_of(group)) if remark]


LEGEND = (
    "Successful operations, all threads together, real time: the median of the rounds, in brackets (highest - lowest) / "
    "median; ratio: throughput relative to the {base}: the median of each round's own ratio."
)


def print_tables(results):
    base = "mutex, in tax to the variant with all off"
    print("\n" + LEGEND.format(base=base))
    for group in results.groups:
        heading, rows, words = rows_of(group)
        widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
        print(f"\n{group.title}\n  in {words}")
        for row in [heading, *rows]:
            print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
        for remark in remarks_on(group):
            print(f"  {remark}")


def write_summary(path, results, notes, drawn):
    context, machine = results.context, results.context["machine"]
    base = "mutex, in `tax` to the variant with all off"
    changed = " with uncommitted changes" if context["dirty"] else ""
    text = [
        "# Benchmark results",
        "",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['kernel']}",
        f"- compiler: {context['compiler']}; `{context['flags']}`",
        f"- commit: {context['commit']}{changed}",
        f"- dataset: {context['dataset']}",
        f"- date: {context['date']}",
        f"- command: `{context['command_line']}`",
        f"- rounds: {context['rounds']}, at least {context['min_time']:.3g} s a benchmark in each",
        *[f"- **note: {note}**" for note in notes],
        "",
        "The raw numbers are in [results.json](results.json). " + LEGEND.format(base=base),
        f"Beyond {machine['cores']} threads the machine is oversubscribed.",
    ]
    if "overview" in drawn:
        text += ["", "![overview](overview.svg)"]
    for group in results.groups:
        heading, rows, words = rows_of(group)
        text += ["", f"## {group.title}", "", f"In {words}.", ""]
        text += [f"| {' | '.join(row)} |" for row in [heading, ["--:"] * len(heading), *rows]]
        for remark in remarks_on(group):
            text += ["", f"{remark[0].upper()}{remark[1:]}."]
        if group.slug in drawn:
            text += ["", f"![{group.title}]({group.slug}.svg)"]
    path.write_text("\n".join(text) + "\n")


def plan_time(effort, options, count, begin):
    """(rounds, min_time, deadline) so that `count` benchmarks fit into what is left of the effort's limit."""
    rounds = options.repetitions or effort.rounds
    if effort.limit is None:
        return rounds, effort.min_time, None
    seconds = max(effort.limit - CHARTS - (time.monotonic() - begin), effort.at_least)
    share = seconds / (count * rounds)
    min_time = min(LONGEST, max(SHORTEST, (share - PREPARATION) / COST_OF_MIN_TIME))
    return rounds, min_time, None if options.repetitions else time.monotonic() + seconds


def main():
    begin = time.monotonic()
    options = parse_options()
    effort = EFFORTS["quick" if options.quick else "full" if options.full else "default"]
    moment = datetime.datetime.now(datetime.timezone.utc)
    folder = options.out or ROOT / "results" / "local" / moment.strftime("%Y%m%dT%H%M%SZ")
    with tempfile.TemporaryDirectory(prefix="hotindex-bench-") as scratch:
        logs = Path(scratch)
        binary = build(logs)
        flags = ["--benchmark_repetitions=1", "--threads=" + ",".join(map(str, options.threads or ladder(effort)))]
        if options.quick or options.full:
            flags.append("--quick" if options.quick else "--full")
        if options.dataset:
            flags.append(f"--dataset={options.dataset.resolve()}")
        if options.metric:
            flags.append(f"--metric={options.metric}")
        if options.rows:
            flags.append(f"--rows={options.rows}")
        if options.filter:
            flags.append(f"--benchmark_filter={options.filter}")
        names, dataset_notes = list_benchmarks(binary, flags)
        if options.dataset:  # summaries are published: no paths of this machine
            dataset_notes = [note.replace(f"{options.dataset.resolve().parent}/", "") for note in dataset_notes]
        if not names:
            raise Stop(f"no benchmark's name matches --filter {options.filter}" if options.filter else "no benchmark")
        rounds, min_time, deadline = plan_time(effort, options, len(names), begin)
        folder.mkdir(parents=True, exist_ok=True)
        print(
            f"measure: {len(names)} benchmarks, {rounds} rounds, {min_time:.3g} s each"
            + (f", within {in_words(deadline - time.monotonic())}" if deadline else ""),
            flush=True,
        )
        if os.getloadavg()[0] > 0.5 * cores():
            print(f"measure: the load is {os.getloadavg()[0]:.1f} already; expect noise", flush=True)
        # Before the measurement, so that files changed meanwhile do not pass for what was measured.
        source = describe_source()
        measured = measure(binary, flags, names, rounds, min_time, deadline, logs)

    if measured.crash and not measured.entries:
        raise Stop(measured.crash)
    context = {key: value for key, value in measured.context.items() if key not in ("host_name", "executable")}
    context |= {
        "date": moment.isoformat(timespec="seconds"),
        "machine": describe_machine(),
        **describe_build(),
        **source,
        "dataset": describe_dataset(options),
        "command_line": shlex.join(["scripts/bench", *shown_arguments(sys.argv[1:])]),
        "rounds": measured.rounds,
        "min_time": min_time,
        "cores_busy_with_other_programs": None if measured.others is None else round(measured.others, 2),
    }
    path = folder / "results.json"
    path.write_text(json.dumps({"context": context, "benchmarks": measured.entries}, indent=1) + "\n")
    results = result_file.read(path)
    progress = command_line.ProgressLine()
    drawn = plot.draw_all(results, folder, None, lambda done, all: progress.show(f"charts: {done} of {all}"))
    progress.clear()

    notes = [*dataset_notes, *([measured.note] if measured.note else [])]
    if measured.others is not None and measured.others > result_file.QUIET:
        notes.append(
            f"other programs kept {measured.others:.1f} of the {cores()} cores busy meanwhile: "
            "the numbers are lower and farther apart than on a quiet machine"
        )
    if measured.crash:
        notes.append(measured.crash.splitlines()[0])
    notes += [f"{name} failed: {message}" for name, message in dict(results.errors).items()]
    print_tables(results)
    write_summary(folder / "summary.md", results, notes, drawn)
    print()
    for note in notes:
        print(f"note: {note}")
    shown = folder.relative_to(ROOT) if folder.is_absolute() and ROOT in folder.parents else folder
    print(f"{in_words(time.monotonic() - begin)}; results.json, summary.md and {len(drawn)} charts in {shown}")
    if measured.crash:
        raise Stop(measured.crash)
    return 1 if results.errors else 0


def shown_arguments(arguments):
    """The arguments as given, paths outside the repository by their last part only."""
    return [re.sub(r"(^|=)(\.\.?/|/)[^=]*/", r"\1", argument) for argument in arguments]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Stop, result_file.BadResults) as failure:
        print(f"scripts/bench: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nscripts/bench: interrupted", file=sys.stderr)
        sys.exit(130)
