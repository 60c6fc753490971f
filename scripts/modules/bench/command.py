"""scripts/bench: builds, plans the time, measures; prints, writes and draws what there is."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, NoReturn

from bench import disturbances, portable, results as result_file, tables as bench_tables
from bench.conditions import cores, describe_dataset, describe_machine, shown_arguments
from bench.keeping import Keeper, draw, remarks, tell_of_existing
from bench.measurement import Measurement, Plan, chosen, exactly, list_benchmarks, measure
from bench.options import parse_options
from bench.origin import Origin, checkout
from bench.results import Json
from common import child_processes, command_line, output, repository
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT
from plot import style


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    limit: float | None  # seconds for everything, None: as long as it takes
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


def ladder(effort: Effort) -> list[int]:
    """Returns the numbers of threads to measure: powers of two up to the effort's top, and the number of
    cores."""
    top, counts = max(effort.threads, effort.per_core * cores()), [1]
    while counts[-1] * 2 <= top:
        counts.append(counts[-1] * 2)
    return sorted({*counts, cores()})


def memory_of(binary: Path) -> Json | None:
    """Returns how many bytes a vector takes in each index; None where the binary does not know."""
    done = child_processes.run([binary, "--memory"], capture_output=True, cwd=ROOT)
    try:
        found: Json = json.loads(done.stdout)
    except ValueError:
        return None
    return found if done.returncode == 0 and found.get("indexes") else None


def plan_time(
    effort: Effort, options: argparse.Namespace, count: int, begin: float
) -> tuple[int, float, float | None]:
    """Returns (rounds, min_time, deadline) so that `count` benchmarks fit into what is left of the effort's
    limit."""
    rounds = options.repetitions or effort.rounds
    if effort.limit is None:
        return rounds, effort.min_time, None
    seconds = max(effort.limit - CHARTS - (time.monotonic() - begin), effort.at_least)
    share = seconds / (count * rounds)
    min_time = min(LONGEST, max(SHORTEST, (share - PREPARATION) / COST_OF_MIN_TIME))
    return rounds, min_time, None if options.repetitions else time.monotonic() + seconds


def flags_of(options: argparse.Namespace, effort: Effort) -> list[str]:
    """Returns the binary's flags for what the command line asks for, but for --filter."""
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
    return flags


def main(find: Callable[[Path], Origin] = checkout) -> int:
    """Measures with the binary that `find` brings, given a folder for logs. Returns the exit status."""
    begin = time.monotonic()
    options = parse_options()
    if options.portable:
        with tempfile.TemporaryDirectory(prefix="hotindex-bench-") as scratch:
            return portable.make(options.portable, Path(scratch))
    effort = EFFORTS["quick" if options.quick else "full" if options.full else "default"]
    moment = datetime.datetime.now(datetime.timezone.utc)
    local = ROOT if find is checkout else Path.cwd()
    folder = options.out or local / "results" / "local" / moment.strftime("%Y%m%dT%H%M%SZ")
    trouble = output.check_folder(folder)
    if trouble:
        raise Failure(f"{trouble}; --out names another place")
    tell_of_existing(folder)
    with tempfile.TemporaryDirectory(prefix="hotindex-bench-") as scratch:
        logs = Path(scratch)
        origin = find(logs)
        binary = origin.binary
        flags = flags_of(options, effort)
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
                "state": disturbances.state(),
                "memory": memory_of(binary),
                **origin.context,
                "dataset": describe_dataset(options),
                "dataset_notes": [*dataset_notes, *origin.notes],
                "command_line": shlex.join([origin.command, *shown_arguments(sys.argv[1:])]),
                "min_time": min_time,
            },
        )
        folder.mkdir(parents=True, exist_ok=True)
        print(
            f"measure: {len(names)} benchmarks, {rounds} rounds, {min_time:.3g} s each"
            + (f", within {in_words(deadline - time.monotonic())}" if deadline else "")
            + f"; results in {repository.shown(folder)}",
            flush=True,
        )
        if os.getloadavg()[0] > 0.5 * cores():
            print(f"measure: the load is {os.getloadavg()[0]:.1f} already; expect noise", flush=True)
        plan = Plan(binary, flags, names, rounds, min_time, deadline)
        measured = measure(plan, logs, keeper.keep)

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
    place = repository.shown(keeper.folder)
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
    failed_to_draw = why and not style.cannot_draw()
    return 1 if results.errors or failed_to_draw else 0


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/bench", main)
