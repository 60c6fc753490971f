"""Measures two programs by turns: every measurement is a fresh process.

One pair is one short run of one benchmark by each side, directly after one another, in an order drawn by lot;
the benchmarks of a round are drawn by lot too. So whatever changes on the machine meets both sides alike.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import conditions, disturbances, measurement
from bench.results import Json
from common import child_processes, command_line, output
from common.child_processes import Command
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT
from gate import entries as entries_of_gate, runs as gate_runs
from gate.counts import Counts
from gate.runs import SavedRun

FOLDER = ROOT / "build" / "gate"
KEEP_EVERY = 20  # seconds: what is lost at most when the command is killed
SAVED = ("baseline.json", "candidate.json")
LAP, LAP_OF_CREW = 0.02, 0.05  # seconds measured in one run: of one thread, of several


class CannotMeasure(Failure):
    """A program could not be run; the message says why."""


@dataclass
class Program:
    """One side: a program whose benchmarks are Google's."""

    name: str  # as the user knows it
    path: Path
    context: Json = field(default_factory=dict)  # what is known of it besides what it says itself
    folder: Path | None = None  # where it runs; None: where the command does


def list_names(program: Program, flags: list[str]) -> list[str]:
    """Returns the names of a program's benchmarks. Raises CannotMeasure."""
    command: Command = [program.path, *flags, "--benchmark_list_tests"]
    try:
        done = child_processes.run(command, capture_output=True, cwd=program.folder)
    except OSError as failure:
        raise CannotMeasure(f"{program.path}: {failure.strerror}") from None
    if done.returncode != 0:
        raise CannotMeasure(f"{program.name}: {child_processes.complaint(done)}")
    names = [line for line in done.stdout.splitlines() if line.strip()]
    if not names:
        raise CannotMeasure(f"{program.name}: it lists no benchmark: is it one of Google Benchmark's?")
    return names


class Session:
    """The measurements of two versions; more pairs can be added."""

    def __init__(
        self,
        baseline: Program,
        candidate: Program,
        flags: list[str],
        pattern: str | None = None,
        min_time: float | None = None,
        seed: int | None = None,
        by: str | None = None,
    ) -> None:
        self.programs = (baseline, candidate)
        self.flags = flags
        self.min_time = min_time
        self.by = by  # the quantity that counts
        self.random = random.Random(seed)
        self.identifier = secrets.token_hex(8)
        self.entries: tuple[list[Json], list[Json]] = ([], [])
        self.context: list[Json] = [{}, {}]  # empty until there is one
        self.pairs: dict[str, int] = {}  # their number, by name
        self.broken: set[str] = set()
        self.cut_short = False  # the time ran out
        self.counts: tuple[
            Counts, Counts
        ] | None = None  # of both sides, for what is kept; None: nothing is kept
        self.kept = time.monotonic()
        # Described now: on a signal there is no time for it, and no child to ask.
        self.machine = {"machine": conditions.describe_machine(), "state": disturbances.state()}
        self.watch = disturbances.Watch()
        lists = [list_names(program, flags) for program in self.programs]
        either = measurement.chosen(list(dict.fromkeys(name for names in lists for name in names)), pattern)
        wanted = [[name for name in names if name in either] for names in lists]
        self.names = [name for name in wanted[0] if name in wanted[1]]
        for side in (0, 1):
            for name in wanted[side]:
                if name not in wanted[1 - side]:
                    self.entries[side].append(failed(name, "not run: the other side lacks it"))
        self.began = time.monotonic()

    def measure(self, names: list[str], count: int, title: str, until: float | None = None) -> float:
        """Measures `count` more pairs of each of these benchmarks; fewer, but as many of each, where another
        round would pass `until` on the monotonic clock. Returns the seconds it took."""
        progress, begin, done = command_line.ProgressLine(), time.monotonic(), 0
        for round in range(count):
            spent = time.monotonic() - begin
            if until is not None and round and begin + spent * (round + 1) / round > until:
                self.cut_short = True
                break
            order = [name for name in names if name in self.names]
            self.random.shuffle(order)
            for name in order:
                if name in self.broken:
                    continue
                self.measure_pair(name)
                done += 1
                of = count * len(order)
                left = in_words((time.monotonic() - begin) / done * (of - done))
                progress.show(
                    f"{title}: round {round + 1} of {count}, {done} of {of} pairs, about {left} left"
                )
            if time.monotonic() - self.kept > KEEP_EVERY:
                self.keep()
        progress.clear()
        return time.monotonic() - begin

    def measure_pair(self, name: str) -> None:
        """Measures a benchmark once on each side, in an order drawn by lot."""
        number = self.pairs.get(name, 0)
        sides = [0, 1]
        self.random.shuffle(sides)
        pair = {side: self.run_once(side, name) for side in sides}
        # Both at once: whatever ends the command, a pair is there whole or not at all.
        for side, entry in pair.items():
            if "error_occurred" in entry and entry["error_occurred"]:
                self.broken.add(name)
            self.entries[side].append({**entry, "pair": number, "first": side == sides[0]})
        self.pairs[name] = number + 1

    def run_once(self, side: int, name: str) -> Json:
        """Runs a benchmark of one side. Returns its entry; one of a failure when it has none."""
        program = self.programs[side]
        command: list[str | Path] = [program.path, *self.flags, "--benchmark_repetitions=1"]
        if not any(flag.startswith("--benchmark_min_time=") for flag in self.flags):
            command.append(f"--benchmark_min_time={self.seconds_of(name):g}")
        command += [measurement.exactly([name]), "--benchmark_format=json"]
        done = child_processes.run(command, capture_output=True, cwd=program.folder)
        try:
            document = json.loads(done.stdout)
            sound = entries_of_gate.sort(program.name, document["benchmarks"]).runs
            entries: list[Json] = [each for each in sound if each["name"] == name]
        except (ValueError, KeyError, TypeError, Failure):
            entries = []
        if not self.context[side] and entries:
            self.context[side] = document["context"]
        if entries:
            return middle(entries)
        how = f"the benchmark ended with {child_processes.how_it_ended(done.returncode)}"
        return failed(name, how if done.returncode < 0 else (done.stderr.strip().splitlines() or [how])[-1])

    def seconds_of(self, name: str) -> float:
        """Returns how long a run of this benchmark measures."""
        several = re.search(r"/threads:(\d+)$", name)
        return self.min_time or (LAP_OF_CREW if several and several[1] != "1" else LAP)

    def saved(self, side: int) -> tuple[SavedRun, Json]:
        """Returns one side as a SavedRun and as the document that holds it."""
        counts = (self.counts or ({}, {}))[side]
        program = self.programs[side]
        context = {
            key: value for key, value in self.context[side].items() if key not in ("host_name", "executable")
        }
        context |= {
            **self.machine,
            **self.watch.seen(),
            **program.context,
            "interleaved": self.identifier,
            "laps": {"one thread": self.min_time or LAP, "several threads": self.min_time or LAP_OF_CREW},
        }
        document = gate_runs.document(context, self.entries[side], counts)
        by = entries_of_gate.agree(self.entries, self.by)
        times, troubles = gate_runs.take_times(program.name, self.entries[side], by)
        return (
            SavedRun(program.name, context, times, troubles, counts, entries=self.entries[side]),
            document,
        )

    def keep(self) -> str:
        """Writes both sides into build/gate, where --baseline and --candidate can read them. Returns why not;
        "" when it has."""
        if self.counts is None or not self.pairs:
            return "nothing was measured"
        self.kept = time.monotonic()
        try:
            for side, name in enumerate(SAVED):
                output.write_whole(FOLDER / name, json.dumps(self.saved(side)[1], indent=1) + "\n")
        except output.CannotWrite as failure:
            return str(failure)
        return ""


def middle(entries: list[Json]) -> Json:
    """Returns the middle one of several repetitions, which a benchmark may ask for itself; one that failed
    where one has."""
    wrong = next((each for each in entries if entries_of_gate.failure_of(each)), None)
    if wrong or len(entries) == 1:
        return wrong or entries[0]
    by_time = sorted(entries, key=lambda each: entries_of_gate.seconds("", each))
    return {**by_time[(len(by_time) - 1) // 2], "repetition_index": 0}


def failed(name: str, message: str) -> Json:
    """Returns the entry of a benchmark that failed."""
    return {"name": name, "run_type": "iteration", "error_occurred": True, "error_message": message}
