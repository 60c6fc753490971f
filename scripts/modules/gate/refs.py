"""Measures two versions by turns: each commit is built in a worktree of its own, and every measurement is a
fresh process.

One pair is one short run of one benchmark by each version, directly after one another, in an order drawn by
lot; the benchmarks of a round are drawn by lot too. So whatever changes on the machine meets both versions
alike.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from bench import conditions, measurement
from bench.results import Json
from common import builds, child_processes, command_line, output, repository
from common.child_processes import Command
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT
from gate import counts as gate_counts, runs as gate_runs
from gate.counts import Counts
from gate.runs import SavedRun

FOLDER = ROOT / "build" / "gate"
TARGETS = ("hotindex_bench", "operation_counts", "instruction_driver")
KEEP_EVERY = 20  # seconds: what is lost at most when the command is killed
SAVED = ("baseline.json", "candidate.json")
KEPT = 6  # worktrees with their builds
LAP, LAP_OF_CREW = 0.02, 0.05  # seconds measured in one run: of one thread, of several


class RefsFailed(Failure):
    """A version could not be built or run; the message says why."""


@dataclass
class Version:
    """A version that is measured."""

    name: str  # as the user gave it
    commit: str  # twelve digits, or "working tree"
    folder: Path  # its build folder

    def binary(self, target: str) -> Path:
        """Returns where the version's build has that program."""
        return self.folder / "bench" / target


# ---- building ----


def install() -> None:
    """Sees to the packages of the gate. Raises RefsFailed."""
    if not command_line.run_setup("--gate"):
        raise RefsFailed("the setup failed; HOTINDEX_NO_SETUP=1 in the environment does without it")


def checked_out(ref: str) -> Version:
    """Returns a commit with its worktree, not built yet."""
    full = repository.resolve(ref)
    commit = full[:12]
    tree = FOLDER / "worktrees" / commit
    if tree.exists():
        try:
            clean = repository.git("status", "--porcelain", cwd=tree) == ""
            fits = clean and repository.git("rev-parse", "HEAD", cwd=tree) == full
        except repository.GitRefused:
            fits = False
        if not fits:
            shutil.rmtree(tree)
    repository.git("worktree", "prune")
    if not tree.exists():
        tree.parent.mkdir(parents=True, exist_ok=True)
        repository.git("worktree", "add", "--detach", "--force", str(tree), full)
    os.utime(tree)
    forget_old()
    return Version(ref, commit, tree / "build" / "release")


def forget_old() -> None:
    """Removes the worktrees that were not used lately."""
    trees = sorted((FOLDER / "worktrees").iterdir(), key=lambda tree: tree.stat().st_mtime, reverse=True)
    for tree in trees[KEPT:]:
        shutil.rmtree(tree)
        repository.git("worktree", "prune")


def working_tree() -> Version:
    """Returns the version that this folder holds, committed or not."""
    return Version("working tree", "working tree", ROOT / "build" / "release")


def build(version: Version, targets: tuple[str, ...] = TARGETS, must: tuple[str, ...] = TARGETS[:1]) -> None:
    """Builds a version; `must` be there, the other targets may be unknown to an old commit. Raises
    RefsFailed."""
    root = version.folder.parent.parent
    progress, begin = command_line.ProgressLine(), time.monotonic()

    def show(line: str) -> None:
        step = builds.step_of(line)
        if step:
            progress.show(f"build {version.commit}: {step}, {in_words(time.monotonic() - begin)}")

    def step(name: str, command: Command) -> None:
        log = FOLDER / f"{version.commit.replace(' ', '-')}-{name}.log"
        if command_line.run_logged(command, log, cwd=root, on_line=show) != 0:
            progress.clear()
            raise RefsFailed(
                f"{version.name}: {' '.join(map(str, command))} failed:\n{command_line.tail(log, 40)}"
            )

    configure = ["cmake", "--preset", "release"]
    if root != ROOT:
        configure.append("-DHOTINDEX_BUILD_TESTS=OFF")
    step("configure", configure)
    known = builds.known_targets(version.folder)
    lacking = [target for target in must if target not in known]
    if lacking:
        raise RefsFailed(f"{version.name}: this version has no {lacking[0]}")
    step(
        "build",
        ["cmake", "--build", version.folder, "--target", *(target for target in targets if target in known)],
    )
    progress.clear()
    print(f"build: {version.name} ({version.commit}), {in_words(time.monotonic() - begin)}", flush=True)


# ---- measuring ----


def profile_flags(threads: list[int], every_workload: bool = False) -> list[str]:
    """Returns the benchmark binary's flags for the workloads of the gate, or for every one."""
    ladder = "--threads=" + ",".join(map(str, threads))
    return [ladder] if every_workload else ["--gate", ladder]


def list_names(version: Version, flags: list[str]) -> list[str]:
    """Returns the names of a version's benchmarks. Raises RefsFailed."""
    binary = version.binary("hotindex_bench")
    command: Command = [binary, *flags, "--benchmark_list_tests"]
    done = child_processes.run(command, capture_output=True)
    if done.returncode != 0:
        raise RefsFailed(f"{version.name}: {child_processes.complaint(done)}")
    return [line for line in done.stdout.splitlines() if "/" in line]


class Session:
    """The measurements of two versions; more pairs can be added."""

    def __init__(
        self,
        baseline: Version,
        candidate: Version,
        flags: list[str],
        pattern: str | None = None,
        min_time: float | None = None,
        seed: int | None = None,
    ) -> None:
        self.versions = (baseline, candidate)
        self.flags = flags
        self.min_time = min_time
        self.random = random.Random(seed)
        self.identifier = secrets.token_hex(8)
        self.entries: tuple[list[Json], list[Json]] = ([], [])
        self.context: list[Json] = [{}, {}]  # empty until there is one
        self.pairs: dict[str, int] = {}  # their number, by name
        self.broken: set[str] = set()
        self.counts: tuple[
            Counts, Counts
        ] | None = None  # of both sides, for what is kept; None: nothing is kept
        self.kept = time.monotonic()
        # Described now: on a signal there is no time for it, and no child to ask.
        self.machine = conditions.describe_machine()
        self.builds = [conditions.describe_build(version.folder) for version in self.versions]
        lists = [list_names(version, flags) for version in self.versions]
        either = measurement.chosen(list(dict.fromkeys(name for names in lists for name in names)), pattern)
        wanted = [[name for name in names if name in either] for names in lists]
        self.names = [name for name in wanted[0] if name in wanted[1]]
        for side in (0, 1):
            for name in wanted[side]:
                if name not in wanted[1 - side]:
                    self.entries[side].append(failed(name, "not run: the other version lacks it"))
        self.began = time.monotonic()

    def measure(self, names: list[str], count: int, title: str) -> float:
        """Measures `count` more pairs of each of these benchmarks. Returns the seconds it took."""
        progress, begin, done = command_line.ProgressLine(), time.monotonic(), 0
        for round in range(count):
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
        seconds = self.min_time or (LAP if re.search(r"/threads:1$", name) else LAP_OF_CREW)
        command: Command = [
            self.versions[side].binary("hotindex_bench"),
            *self.flags,
            "--benchmark_repetitions=1",
            f"--benchmark_min_time={seconds:g}",
            measurement.exactly([name]),
            "--benchmark_format=json",
        ]
        done = child_processes.run(command, capture_output=True, cwd=FOLDER)
        try:
            document = json.loads(done.stdout)
            entries: list[Json] = [each for each in document["benchmarks"] if each["name"] == name]
        except (ValueError, KeyError, TypeError):
            entries = []
        if not self.context[side] and entries:
            self.context[side] = document["context"]
        if len(entries) == 1:
            return entries[0]
        how = f"the benchmark ended with {child_processes.how_it_ended(done.returncode)}"
        return failed(name, how if done.returncode < 0 else (done.stderr.strip().splitlines() or [how])[-1])

    def saved(self, side: int) -> tuple[SavedRun, Json]:
        """Returns one side as a SavedRun and as the document that holds it."""
        counts = (self.counts or ({}, {}))[side]
        version = self.versions[side]
        context = {
            key: value for key, value in self.context[side].items() if key not in ("host_name", "executable")
        }
        context |= {
            "machine": self.machine,
            **self.builds[side],
            "commit": version.commit,
            "dataset": "generated",
            "interleaved": self.identifier,
            "laps": {"one thread": self.min_time or LAP, "several threads": self.min_time or LAP_OF_CREW},
        }
        document = gate_runs.document(context, self.entries[side], counts)
        times, troubles = gate_runs.take_times(version.name, self.entries[side])
        return gate_runs.SavedRun(version.name, context, times, troubles, counts), document

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


def failed(name: str, message: str) -> Json:
    """Returns the entry of a benchmark that failed."""
    return {"name": name, "run_type": "iteration", "error_occurred": True, "error_message": message}


def count_version(version: Version, measures: list[str]) -> Counts:
    """Returns the deterministic counts of a version. Raises CountsFailed."""
    parts = []
    if "counts" in measures:
        parts.append(gate_counts.take_counts(version.binary("operation_counts")))
    if "instructions" in measures:
        parts.append(gate_counts.take_instructions(version.binary("instruction_driver")))
    return gate_counts.merge(*parts)
