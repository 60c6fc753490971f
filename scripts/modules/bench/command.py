"""Builds the benchmark binary, measures every workload on every index over a ladder of threads, prints a
table and leaves results.json, summary.md and charts."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import difflib
import hashlib
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bench import tables as bench_tables
from common import child_processes
from common import command_line
from common import output
from plot import command as plot
from common import repository
from bench import results as result_file
from common.command_line import ROOT, Failure, in_words

EXPLANATION = """\
The benchmarks are measured in rounds: each round runs all of them once, in a random order, in a process of
its own. So repetitions of different indexes are interleaved, and what changes in the machine meanwhile meets
all alike. Without a flag and with --quick the time for each benchmark follows from the time there is, and a
round that would not end in time is left out, which the summary then says. With --repetitions every round is
run, however long it takes.

What is measured is kept: results.json is written anew after every round, and Ctrl-C, SIGTERM or a closed
terminal lead to the table of what there is until then, without charts. Charts need matplotlib, all else does
not.

Exit status: 0 measured, 1 something failed (the table is printed all the same), 2 wrong usage, 128 + signal
when a signal ended it.

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

# One benchmark runs about this many times its min_time, the warm-up included (bench/measure.hpp); on top
# comes what it prepares and checks, about this many seconds.
COST_OF_MIN_TIME = 1.25
PREPARATION = 0.06
SHORTEST, LONGEST = 0.01, 0.5
CHARTS = 12  # seconds for the charts
FILTER = "only benchmarks in whose name this Python regular expression is found; (?!...) excludes"


def parse_options():
    parser = command_line.StrictParser(prog="scripts/bench", description=__doc__, epilog=EXPLANATION)
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_true", help="within about 90 seconds")
    effort.add_argument("--full", action="store_true", help="long runs, more threads, no limit of time")
    parser.add_argument(
        "--dataset", metavar="FILE", type=existing_file, help="vectors to use; default: generated ones"
    )
    parser.add_argument(
        "--metric",
        choices=("cosine", "inner_product", "squared_euclidean"),
        help="what the dataset is compared by; default: what its file says, otherwise cosine",
    )
    parser.add_argument("--rows", metavar="N", type=positive, help="only the first N rows of the dataset")
    parser.add_argument("--threads", metavar="LIST", type=thread_list, help="such as 1,2,4,8")
    parser.add_argument("--filter", metavar="REGEX", type=regular_expression, help=FILTER)
    parser.add_argument("--repetitions", metavar="N", type=positive, help="rounds, all of them run")
    parser.add_argument("--out", metavar="DIR", type=Path, help="default: results/local/<time>")
    options = parser.parse_args()
    trouble = options.out and output.check_folder(options.out)
    if trouble:
        parser.error(f"--out {trouble}")
    if not options.dataset and (options.metric or options.rows):
        flag = "--metric" if options.metric else "--rows"
        parser.error(f"{flag} is about the vectors of a file: give --dataset FILE, too")
    return options


def existing_file(text):
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: this is a directory; give one of the files in it")
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(
            f"{text}: this is a pipe or a device; save what it delivers to a file first"
        )
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
    if not command_line.run_setup():
        raise Failure("the setup failed; HOTINDEX_NO_SETUP=1 in the environment does without it")

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
            raise Failure(f"{shlex.join(command)} failed:\n{command_line.tail(log, 60)}")
    progress.clear()
    print(f"build: build/release/bench/hotindex_bench, {in_words(time.monotonic() - begin)}", flush=True)
    return ROOT / "build" / "release" / "bench" / "hotindex_bench"


# ---- what the numbers depend on ----


def first_line(command):
    try:
        said = child_processes.run(command, capture_output=True, text=True, cwd=ROOT).stdout
    except OSError:
        return ""
    return said.splitlines()[0].strip() if said.strip() else ""


def describe_machine():
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    if not cpu:  # Arm's /proc/cpuinfo has numbers only
        with contextlib.suppress(OSError):
            listed = child_processes.run(["lscpu"], capture_output=True, text=True, env={"LC_ALL": "C"})
            named = (line.partition(":") for line in listed.stdout.splitlines())
            cpu = next((value.strip() for key, _, value in named if key == "Model name"), "")
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
    return {"commit": repository.commit(), "dirty": repository.changed()}


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


def list_benchmarks(binary: Path, flags: list[str]) -> tuple[list[str], list[str]]:
    """Returns (the names, what the binary has to say about the dataset)."""
    command = [binary, *flags, "--benchmark_list_tests"]
    listed = child_processes.run(command, capture_output=True, text=True, cwd=ROOT)
    if listed.returncode != 0:
        said = (listed.stderr or listed.stdout).strip() or child_processes.how_it_ended(listed.returncode)
        raise Failure(f"{binary.name} failed: {said}")
    begin = f"{binary.name}: note: "
    notes = [line.removeprefix(begin) for line in listed.stderr.splitlines() if line.startswith(begin)]
    return [line for line in listed.stdout.splitlines() if result_file.parse_name(line)], notes


def chosen(names: list[str], pattern: str | None) -> list[str]:
    """Returns the benchmarks that --filter means, here and in scripts/gate. Raises Failure when it means
    none."""
    found = [name for name in names if pattern is None or re.search(pattern, name)]
    if not found:
        if pattern is None:
            raise Failure("the binary lists no benchmark")
        near = difflib.get_close_matches(pattern, {part for name in names for part in name.split("/")}, n=1)
        help_ = f"; did you mean {near[0]}?" if near else f"; names are such as {names[0]}" if names else ""
        raise Failure(f"--filter {pattern}: no benchmark has that in its name{help_}")
    return found


def exactly(names: list[str]) -> str:
    """Returns the flag that makes the binary run these benchmarks: its own regular expressions are of another
    kind."""
    escaped = (re.sub(r"[][{}()\\*+?.^$|]", r"\\\g<0>", name) for name in names)
    return f"--benchmark_filter=^({'|'.join(escaped)})$"


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
    others: float | None  # cores that other programs kept busy meanwhile, on average; None when unknown
    ended: child_processes.Ended | None = None  # the signal that broke it off


def measure(binary, flags, names, rounds, min_time, deadline, logs, keep):
    """Runs the rounds, until they are done, the next would pass the deadline, or a signal comes. After each
    of them `keep` is called with the Measurement so far. Returns the Measurement."""
    progress = command_line.ProgressLine()
    durations, outs = [], []
    note, crash, ended = "", "", None
    begun = time.monotonic(), busy_seconds(), own_seconds()

    def so_far():
        read = [read_entries(out) for out in outs]
        context = next((context for context, _ in read if context), {})
        others = None
        if begun[1] is not None:
            spent = busy_seconds() - begun[1] - (own_seconds() - begun[2])
            others = max(0.0, spent / max(1e-9, time.monotonic() - begun[0]))
        entries = renumber([entries for _, entries in read], names)
        return Measurement(context, entries, len(durations), note, crash, others, ended)

    def partial(why):
        done = len(read_entries(outs[-1])[1])
        words = f"{why} in round {len(outs)} of {rounds}, after {done} of {len(names)} benchmarks"
        return words + (f"; the {len(durations)} rounds before it are complete" if durations else "")

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
            outs.append(out)
            overrun = False
            with log.open("w") as sink:
                child = child_processes.Child(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
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
                    child.end()
            if overrun:
                note = partial("the time ran out")
                break
            if child.returncode != 0:
                how = child_processes.how_it_ended(child.returncode)
                crash = f"{binary.name} ended with {how} in round {number}\n{command_line.tail(log, 25)}"
                break
            durations.append(time.monotonic() - begin)
            keep(so_far())
    except child_processes.Ended as signal:
        ended = signal
        note = partial(f"ended by {signal}") if len(outs) > len(durations) else f"ended by {signal}"
    progress.clear()
    return so_far()


def busy_seconds():
    """Processor seconds that all programs have used since the machine started; None where it cannot be known,
    or is not that of the processors we may use."""
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


# ---- the whole ----


def plan_time(effort, options, count, begin):
    """(rounds, min_time, deadline) so that `count` benchmarks fit into what is left of the effort's limit."""
    rounds = options.repetitions or effort.rounds
    if effort.limit is None:
        return rounds, effort.min_time, None
    seconds = max(effort.limit - CHARTS - (time.monotonic() - begin), effort.at_least)
    share = seconds / (count * rounds)
    min_time = min(LONGEST, max(SHORTEST, (share - PREPARATION) / COST_OF_MIN_TIME))
    return rounds, min_time, None if options.repetitions else time.monotonic() + seconds


def shown(path: Path) -> Path:
    """Returns a path as a reader of the terminal knows it."""
    return path.relative_to(ROOT) if path.is_absolute() and ROOT in path.parents else path


def tell_of_existing(folder: Path) -> None:
    """Says what of an earlier run is about to be overwritten."""
    if not folder.is_dir():
        return
    old = [name for name in ("results.json", "summary.md") if (folder / name).exists()]
    charts = len(list(folder.glob("*.svg")))
    old += [f"{charts} chart{'s' if charts > 1 else ''}"] if charts else []
    if old:
        print(
            f"note: {shown(folder)} exists: {', '.join(old)} in it will be overwritten; "
            "what this run does not draw stays"
        )


class Keeper:
    """Writes what was measured. A disk that is full is told at the end: until then it may have room again."""

    def __init__(self, folder: Path, context: dict):
        self.folder = folder
        self.context = context
        self.made = not folder.exists()
        self.trouble = ""

    def document(self, measured: Measurement) -> dict:
        """Returns what results.json holds."""
        private = ("host_name", "executable")
        context = {key: value for key, value in measured.context.items() if key not in private}
        others = measured.others
        context |= {
            **self.context,
            "rounds": measured.rounds,
            "cores_busy_with_other_programs": None if others is None else round(others, 2),
        }
        return {"context": context, "benchmarks": measured.entries}

    def keep(self, measured: Measurement) -> None:
        """Writes results.json."""
        if measured.entries:
            self.write("results.json", json.dumps(self.document(measured), indent=1) + "\n")

    def write(self, name: str, text: str) -> None:
        """Writes a file of the folder, whole or not at all; keeps why not."""
        try:
            output.write_whole(self.folder / name, text)
        except output.CannotWrite as failure:
            self.trouble = str(failure)

    def leave_no_empty_folder(self) -> None:
        """Where nothing was measured, nothing is left."""
        if self.made:
            with contextlib.suppress(OSError):
                self.folder.rmdir()


def draw(results, folder: Path) -> tuple[list[str], str]:
    """Draws the charts. Returns (their names, why there are none or not all)."""
    why = plot.cannot_draw()
    if why:
        return [], why
    progress = command_line.ProgressLine()
    try:
        show = lambda done, all: progress.show(f"charts: {done} of {all}")  # noqa: E731
        return plot.draw_all(results, folder, None, show), ""
    except Exception as failure:  # whatever it is: the numbers are there
        known = isinstance(failure, OSError)
        return [], output.reason(failure) if known else f"{type(failure).__name__}: {failure}"
    finally:
        progress.clear()


def remarks(measured: Measurement, results) -> list[str]:
    """Returns what a reader of the numbers must know."""
    notes = [*results.context["dataset_notes"], *([measured.note] if measured.note else [])]
    if measured.others is not None and measured.others > result_file.QUIET:
        notes.append(
            f"other programs kept {measured.others:.1f} of the {cores()} cores busy meanwhile: "
            "the numbers are lower and farther apart than on a quiet machine"
        )
    if measured.crash:
        notes.append(measured.crash.splitlines()[0])
    return notes + [f"{name} failed: {message}" for name, message in dict(results.errors).items()]


def main() -> int:
    """Returns the exit status."""
    begin = time.monotonic()
    options = parse_options()
    effort = EFFORTS["quick" if options.quick else "full" if options.full else "default"]
    moment = datetime.datetime.now(datetime.timezone.utc)
    folder = options.out or ROOT / "results" / "local" / moment.strftime("%Y%m%dT%H%M%SZ")
    trouble = output.check_folder(folder)
    if trouble:
        raise Failure(f"{trouble}; --out names another place")
    tell_of_existing(folder)
    with tempfile.TemporaryDirectory(prefix="hotindex-bench-") as scratch:
        logs = Path(scratch)
        binary = build(logs)
        threads = options.threads or ladder(effort)
        flags = ["--benchmark_repetitions=1", f"--threads={','.join(map(str, threads))}"]
        if options.quick or options.full:
            flags.append("--quick" if options.quick else "--full")
        if options.dataset:
            flags.append(f"--dataset={options.dataset.resolve()}")
        if options.metric:
            flags.append(f"--metric={options.metric}")
        if options.rows:
            flags.append(f"--rows={options.rows}")
        listed, dataset_notes = list_benchmarks(binary, flags)
        if options.dataset:  # summaries are published: no paths of this machine
            place = f"{options.dataset.resolve().parent}/"
            dataset_notes = [note.replace(place, "") for note in dataset_notes]
        names = chosen(listed, options.filter)
        if options.filter:
            flags.append(exactly(names))
        rounds, min_time, deadline = plan_time(effort, options, len(names), begin)
        # Described before the measurement, so that files changed meanwhile do not pass for what was measured.
        keeper = Keeper(
            folder,
            {
                "date": moment.isoformat(timespec="seconds"),
                "machine": describe_machine(),
                **describe_build(),
                **describe_source(),
                "dataset": describe_dataset(options),
                "dataset_notes": dataset_notes,
                "command_line": shlex.join(["scripts/bench", *shown_arguments(sys.argv[1:])]),
                "min_time": min_time,
            },
        )
        folder.mkdir(parents=True, exist_ok=True)
        print(
            f"measure: {len(names)} benchmarks, {rounds} rounds, {min_time:.3g} s each"
            + (f", within {in_words(deadline - time.monotonic())}" if deadline else "")
            + f"; results in {shown(folder)}",
            flush=True,
        )
        if os.getloadavg()[0] > 0.5 * cores():
            print(f"measure: the load is {os.getloadavg()[0]:.1f} already; expect noise", flush=True)
        measured = measure(binary, flags, names, rounds, min_time, deadline, logs, keeper.keep)

    if not measured.entries:
        keeper.leave_no_empty_folder()
        if measured.ended:
            raise measured.ended
        raise Failure(measured.crash or measured.note)
    return finish(keeper, measured, begin)


def finish(keeper: Keeper, measured: Measurement, begin: float) -> int:
    """Prints the table, then writes, then draws: what can fail comes last. Returns the exit status."""
    keeper.trouble = ""  # what could not be written after a round is written now
    keeper.keep(measured)
    results = result_file.summarise(keeper.folder / "results.json", *keeper.document(measured).values())
    notes = remarks(measured, results)
    bench_tables.print_tables(results)
    print(flush=True)
    keeper.write("summary.md", bench_tables.summary(results, notes, []))
    drawn, why = ([], "a signal came") if measured.ended else draw(results, keeper.folder)
    if drawn:
        keeper.write("summary.md", bench_tables.summary(results, notes, drawn))
    place = shown(keeper.folder)
    if why:
        notes.append(f"no charts: {why}; scripts/plot {place}/results.json -o {place} draws them")
    for note in notes:
        print(f"note: {note}")
    if keeper.trouble:
        raise Failure(keeper.trouble)
    took = in_words(time.monotonic() - begin)
    print(f"{took}; results.json, summary.md and {len(drawn)} charts in {place}")
    if measured.ended:
        raise measured.ended
    if measured.crash:
        raise Failure(measured.crash)
    failed_to_draw = why and not plot.cannot_draw()
    return 1 if results.errors or failed_to_draw else 0


def shown_arguments(arguments):
    """Returns the arguments as given, paths outside the repository by their last part only."""
    return [re.sub(r"(^|=)(\.\.?/|/)[^=]*/", r"\1", argument) for argument in arguments]


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/bench", main)
