"""Runs the benchmark binary in rounds, and reads what it writes."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from bench import options as bench_options, results as result_file
from bench.conditions import cores
from bench.results import Json
from common import child_processes, command_line
from common.child_processes import Command
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT
from common.suggestion import nearest


def list_benchmarks(binary: Path, flags: list[str]) -> tuple[list[str], list[str]]:
    """Returns (the names, what the binary has to say about the dataset)."""
    command: Command = [binary, *flags, "--benchmark_list_tests"]
    listed = child_processes.run(command, capture_output=True, cwd=ROOT)
    if listed.returncode != 0:
        raise Failure(f"{binary.name} failed: {child_processes.complaint(listed)}")
    begin = f"{binary.name}: note: "
    notes = [line.removeprefix(begin) for line in listed.stderr.splitlines() if line.startswith(begin)]
    return [line for line in listed.stdout.splitlines() if result_file.parse_name(line)], notes


def chosen(names: list[str], pattern: str | None) -> list[str]:
    """Returns the benchmarks that --filter means, here and in scripts/gate. Raises Failure when it means
    none."""
    found = [name for name in names if bench_options.selects(pattern, name)]
    if not found:
        if pattern is None:
            raise Failure("the binary lists no benchmark")
        near = nearest(pattern, {part for name in names for part in name.split("/")})
        help_ = near or (f"; names are such as {names[0]}" if names else "")
        if pattern.startswith("-"):
            raise Failure(f"--filter {pattern}: every benchmark has that in its name, and is left out")
        raise Failure(f"--filter {pattern}: no benchmark has that in its name{help_}")
    return found


def exactly(names: list[str]) -> str:
    """Returns the flag that makes the binary run these benchmarks: its own regular expressions are of another
    kind."""
    escaped = (re.sub(r"[][{}()\\*+?.^$|]", r"\\\g<0>", name) for name in names)
    return f"--benchmark_filter=^({'|'.join(escaped)})$"


def read_entries(path: Path) -> tuple[Json, list[Json]]:
    """Returns the context and the benchmarks in a JSON file that may still be growing, or was cut off."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}, []
    head = re.match(r'\s*\{\s*"context":\s*', text)
    if not head:
        return {}, []
    decoder = json.JSONDecoder()
    context: Json = {}
    entries: list[Json] = []
    try:
        context, at = decoder.raw_decode(text, head.end())
        begun = re.compile(r'\s*,\s*"benchmarks":\s*\[\s*').match(text, at)
        at = begun.end() if begun else len(text)
        while text[at] == "{":
            entry, at = decoder.raw_decode(text, at)
            entries.append(entry)
            between = re.compile(r"\s*,?\s*").match(text, at)
            at = between.end() if between else len(text)
    except (ValueError, IndexError):
        pass  # it ends here
    return context, entries


@dataclass
class Measurement:
    """What was measured until now."""

    context: Json
    entries: list[Json]
    rounds: int  # that were completed
    note: str  # what a reader must know about how it ended
    crash: str  # what the binary said when it failed, or ""
    others: float | None  # cores that other programs kept busy meanwhile, on average; None when unknown
    ended: child_processes.Ended | None = None  # the signal that broke it off


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and how long."""

    binary: Path
    flags: list[str]
    names: list[str]  # of the benchmarks
    rounds: int
    min_time: float  # seconds for one benchmark in one round
    deadline: float | None  # on the monotonic clock; None: as long as it takes


class Rounds:
    """The rounds of a plan, each a process of its own; `logs` is the folder for what they write."""

    def __init__(self, plan: Plan, logs: Path) -> None:
        self.plan = plan
        self.logs = logs
        self.progress = command_line.ProgressLine()
        self.durations: list[float] = []  # of the rounds that were completed
        self.outs: list[Path] = []  # of the rounds that were begun
        self.note = self.crash = ""
        self.ended: child_processes.Ended | None = None
        self.begun = time.monotonic(), busy_seconds(), own_seconds()

    def so_far(self) -> Measurement:
        """Returns what was measured until now."""
        read = [read_entries(out) for out in self.outs]
        context: Json = next((context for context, _ in read if context), {})
        began, busy_then, own_then = self.begun
        busy_now = busy_seconds()
        others = None
        if busy_then is not None and busy_now is not None:
            spent = busy_now - busy_then - (own_seconds() - own_then)
            others = max(0.0, spent / max(1e-9, time.monotonic() - began))
        entries = renumber([entries for _, entries in read], self.plan.names)
        return Measurement(context, entries, len(self.durations), self.note, self.crash, others, self.ended)

    def partial(self, why: str) -> str:
        """Returns in words how far the last round came."""
        done = len(read_entries(self.outs[-1])[1])
        of = f"{done} of {len(self.plan.names)} benchmarks"
        complete = len(self.durations)
        words = f"{why} in round {len(self.outs)} of {self.plan.rounds}, after {of}"
        return words + (f"; the {complete} rounds before it are complete" if complete else "")

    def run(self, keep: Callable[[Measurement], None]) -> None:
        """Runs the rounds until they are done, the next would pass the deadline, or a signal comes."""
        deadline = self.plan.deadline
        try:
            for number in range(1, self.plan.rounds + 1):
                if deadline and self.durations and time.monotonic() + self.durations[-1] * 1.03 > deadline:
                    self.note = f"{len(self.durations)} of {self.plan.rounds} rounds fitted into the time"
                    break
                if not self.run_one(number):
                    break
                keep(self.so_far())
        except child_processes.Ended as signal:
            self.ended = signal
            broken = len(self.outs) > len(self.durations)
            self.note = self.partial(f"ended by {signal}") if broken else f"ended by {signal}"
        self.progress.clear()

    def run_one(self, number: int) -> bool:
        """Runs a round. Returns whether it was completed."""
        begin = time.monotonic()
        out, log = self.logs / f"round-{number}.json", self.logs / f"round-{number}.log"
        command: Command = [
            self.plan.binary,
            *self.plan.flags,
            f"--benchmark_min_time={self.plan.min_time:.4g}",
            "--benchmark_enable_random_interleaving=true",
            f"--benchmark_out={out}",
            "--benchmark_out_format=json",
        ]
        self.outs.append(out)
        with log.open("w") as sink:
            child = child_processes.Child(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
            try:
                while not ended_within(child, 1.0):
                    now = time.monotonic()
                    self.show(number, out, now - begin)
                    if self.plan.deadline and now > self.plan.deadline:
                        self.note = self.partial("the time ran out")
                        return False
            finally:
                child.end()
        if child.returncode != 0:
            how = child_processes.how_it_ended(child.returncode)
            said = command_line.tail(log, 25)
            self.crash = f"{self.plan.binary.name} ended with {how} in round {number}\n{said}"
            return False
        self.durations.append(time.monotonic() - begin)
        return True

    def show(self, number: int, out: Path, elapsed: float) -> None:
        """Shows how far round `number` is, and how long the rest will take."""
        # Counted, not parsed: this process must not take time from what is measured.
        done = out.read_bytes().count(b'"run_name"') if out.exists() else 0
        total, rounds = len(self.plan.names), self.plan.rounds
        share = min(1.0, done / total)
        if self.durations:
            left = max(0.0, self.durations[-1] - elapsed) + self.durations[-1] * (rounds - number)
        elif share > 0.02 and elapsed > 2:
            left = elapsed / share * (rounds - share)
        else:
            left = None
        rest = f", about {in_words(left)} left" if left is not None else ""
        self.progress.show(f"round {number} of {rounds}: {done} of {total} benchmarks{rest}")


def measure(plan: Plan, logs: Path, keep: Callable[[Measurement], None]) -> Measurement:
    """Runs the rounds of a plan. After each of them `keep` is called with the Measurement so far. Returns the
    Measurement."""
    rounds = Rounds(plan, logs)
    rounds.run(keep)
    return rounds.so_far()


def busy_seconds() -> float | None:
    """Returns the processor seconds that all programs have used since the machine started; None where it
    cannot be known, or is not that of the processors we may use."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    if words[:1] != ["cpu"] or len(words) < 9 or os.cpu_count() != cores():
        return None
    user, nice, system, _idle, _waiting, irq, softirq, steal = (int(word) for word in words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Returns the processor seconds that this process and its children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def ended_within(child: child_processes.Child, seconds: float) -> bool:
    """Waits for a child for so long. Returns whether it has ended."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def renumber(rounds: list[list[Json]], names: list[str]) -> list[Json]:
    """Returns all rounds' repetitions as those of one run, in the order in which the binary lists its
    benchmarks."""
    rank = {name: position for position, name in enumerate(names)}
    by_name: dict[str, list[Json]] = {}
    for entries in rounds:
        for entry in entries:
            if entry.get("run_type", "iteration") == "iteration":
                by_name.setdefault(entry["name"], []).append(entry)
    merged = []
    for name in sorted(by_name, key=lambda name: rank.get(name, len(rank))):
        for index, entry in enumerate(by_name[name]):
            merged.append({**entry, "repetitions": len(by_name[name]), "repetition_index": index})
    return merged
