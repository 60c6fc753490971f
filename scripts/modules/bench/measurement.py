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

from bench import results as result_file
from bench.conditions import cores
from common import child_processes, command_line
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT
from common.suggestion import nearest


def list_benchmarks(binary: Path, flags: list[str]) -> tuple[list[str], list[str]]:
    """Returns (the names, what the binary has to say about the dataset)."""
    command = [binary, *flags, "--benchmark_list_tests"]
    listed = child_processes.run(command, capture_output=True, cwd=ROOT)
    if listed.returncode != 0:
        raise Failure(f"{binary.name} failed: {child_processes.complaint(listed)}")
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
        near = nearest(pattern, {part for name in names for part in name.split("/")})
        help_ = near or (f"; names are such as {names[0]}" if names else "")
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
