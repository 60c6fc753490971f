"""Measures two versions by turns: each commit is built in a worktree of its own, and every measurement is a fresh process.

One pair is one short run of one benchmark by each version, directly after one another, in an order drawn by lot; the
benchmarks of a round are drawn by lot too. So whatever changes on the machine meets both versions alike.
"""

import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import bench
import command_line
import gate_counts
import gate_runs
from command_line import ROOT, in_words

FOLDER = ROOT / "build" / "gate"
TARGETS = ("hotindex_bench", "operation_counts", "instruction_driver")
KEPT = 6  # worktrees with their builds
LAP, LAP_OF_CREW = 0.02, 0.05  # seconds measured in one run: of one thread, of several


class RefsFailed(Exception):
    """A version could not be built or run; the message says why."""


@dataclass
class Version:
    name: str  # as the user gave it
    commit: str  # twelve digits, or "working tree"
    folder: Path  # its build folder

    def binary(self, target):
        return self.folder / "bench" / target


# ---- building ----


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RefsFailed(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def resolve(ref):
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RefsFailed(f"{ref}: this clone has no such commit")
    return done.stdout.strip()


def install():
    if subprocess.run([ROOT / "scripts" / "setup", "--gate"]).returncode != 0:
        raise RefsFailed("the setup failed")


def checked_out(ref):
    """A Version with its worktree, not built yet."""
    full = resolve(ref)
    commit = full[:12]
    tree = FOLDER / "worktrees" / commit
    if tree.exists():
        try:
            clean = subprocess.run(["git", "status", "--porcelain"], cwd=tree, capture_output=True, text=True)
            head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True)
            fits = clean.returncode == 0 and not clean.stdout.strip() and head.stdout.strip() == full
        except OSError:
            fits = False
        if not fits:
            shutil.rmtree(tree)
    git("worktree", "prune")
    if not tree.exists():
        tree.parent.mkdir(parents=True, exist_ok=True)
        git("worktree", "add", "--detach", "--force", str(tree), full)
    os.utime(tree)
    forget_old()
    return Version(ref, commit, tree / "build" / "release")


def forget_old():
    trees = sorted((FOLDER / "worktrees").iterdir(), key=lambda tree: tree.stat().st_mtime, reverse=True)
    for tree in trees[KEPT:]:
        shutil.rmtree(tree)
        git("worktree", "prune")


def working_tree():
    """The version that this folder holds, committed or not."""
    return Version("working tree", "working tree", ROOT / "build" / "release")


def build(version, targets=TARGETS, must=TARGETS[:1]):
    """Builds a version; `must` be there, the other targets may be unknown to an old commit."""
    root = version.folder.parent.parent
    progress, begin = command_line.ProgressLine(), time.monotonic()

    def show(line):
        step = re.match(r"\[(\d+/\d+)\]", line)
        if step:
            progress.show(f"build {version.commit}: {step[1]}, {in_words(time.monotonic() - begin)}")

    def step(name, command):
        log = FOLDER / f"{version.commit.replace(' ', '-')}-{name}.log"
        if command_line.run_logged(command, log, cwd=root, on_line=show) != 0:
            progress.clear()
            raise RefsFailed(f"{version.name}: {' '.join(map(str, command))} failed:\n{command_line.tail(log, 40)}")

    configure = ["cmake", "--preset", "release"]
    if root != ROOT:
        configure.append("-DHOTINDEX_BUILD_TESTS=OFF")
    step("configure", configure)
    known = subprocess.run(["ninja", "-C", version.folder, "-t", "targets", "all"], capture_output=True, text=True).stdout
    known = {line.split(":")[0] for line in known.splitlines()}
    lacking = [target for target in must if target not in known]
    if lacking:
        raise RefsFailed(f"{version.name}: this version has no {lacking[0]}")
    step("build", ["cmake", "--build", version.folder, "--target", *(target for target in targets if target in known)])
    progress.clear()
    print(f"build: {version.name} ({version.commit}), {in_words(time.monotonic() - begin)}", flush=True)


# ---- measuring ----


def profile_flags(threads, every_workload=False):
    ladder = "--threads=" + ",".join(map(str, threads))
    return [ladder] if every_workload else ["--gate", ladder]


def list_names(version, flags):
    binary = version.binary("hotindex_bench")
    done = subprocess.run([binary, *flags, "--benchmark_list_tests"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RefsFailed(f"{version.name}: {(done.stderr or done.stdout).strip() or done.returncode}")
    return [line for line in done.stdout.splitlines() if "/" in line]


class Session:
    """The measurements of two versions; more pairs can be added."""

    def __init__(self, baseline, candidate, flags, chosen=None, min_time=None, seed=None):
        self.versions = (baseline, candidate)
        self.flags = flags
        self.min_time = min_time
        self.random = random.Random(seed)
        self.identifier = secrets.token_hex(8)
        self.entries = ([], [])
        self.context = [None, None]
        self.pairs = {}  # name -> number of pairs
        self.broken = set()
        lists = [list_names(version, flags) for version in self.versions]
        wanted = [[name for name in names if chosen is None or chosen.search(name)] for names in lists]
        if not any(wanted):
            raise RefsFailed("no benchmark has such a name" if chosen else "the versions list no benchmark")
        self.names = [name for name in wanted[0] if name in wanted[1]]
        for side in (0, 1):
            for name in wanted[side]:
                if name not in wanted[1 - side]:
                    self.entries[side].append(failed(name, "not run: the other version lacks it"))
        self.began = time.monotonic()

    def measure(self, names, count, title):
        """`count` more pairs of each of these benchmarks."""
        progress, begin, done = command_line.ProgressLine(), time.monotonic(), 0
        for round in range(count):
            order = [name for name in names if name in self.names]
            self.random.shuffle(order)
            for name in order:
                if name in self.broken:
                    continue
                self.measure_pair(name)
                done += 1
                left = (time.monotonic() - begin) / done * (count * len(order) - done)
                progress.show(f"{title}: round {round + 1} of {count}, {done} of {count * len(order)} pairs, about {in_words(left)} left")
        progress.clear()
        return time.monotonic() - begin

    def measure_pair(self, name):
        number = self.pairs.get(name, 0)
        sides = [0, 1]
        self.random.shuffle(sides)
        for side in sides:
            entry = self.run_once(side, name)
            if "error_occurred" in entry and entry["error_occurred"]:
                self.broken.add(name)
            self.entries[side].append({**entry, "pair": number, "first": side == sides[0]})
        self.pairs[name] = number + 1

    def run_once(self, side, name):
        seconds = self.min_time or (LAP if re.search(r"/threads:1$", name) else LAP_OF_CREW)
        command = [
            self.versions[side].binary("hotindex_bench"),
            *self.flags,
            "--benchmark_repetitions=1",
            f"--benchmark_min_time={seconds:g}",
            f"--benchmark_filter=^{name}$",
            "--benchmark_format=json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER)
        try:
            document = json.loads(done.stdout)
            entries = [each for each in document["benchmarks"] if each["name"] == name]
        except (ValueError, KeyError, TypeError):
            entries = []
        if self.context[side] is None and entries:
            self.context[side] = document["context"]
        if len(entries) == 1:
            return entries[0]
        if done.returncode < 0:
            return failed(name, f"the benchmark ended with {signal.Signals(-done.returncode).name}")
        return failed(name, (done.stderr.strip().splitlines() or [f"the benchmark ended with status {done.returncode}"])[-1])

    def saved(self, side, counts=None):
        """One side as a gate_runs.SavedRun and as the document that holds it."""
        version = self.versions[side]
        context = {key: value for key, value in (self.context[side] or {}).items() if key not in ("host_name", "executable")}
        context |= {
            "machine": bench.describe_machine(),
            **bench.describe_build(version.folder),
            "commit": version.commit,
            "dataset": "generated",
            "interleaved": self.identifier,
            "laps": {"one thread": self.min_time or LAP, "several threads": self.min_time or LAP_OF_CREW},
        }
        document = gate_runs.document(context, self.entries[side], counts or {})
        times, troubles = gate_runs.take_times(version.name, self.entries[side])
        return gate_runs.SavedRun(version.name, context, times, troubles, counts or {}), document


def failed(name, message):
    return {"name": name, "run_type": "iteration", "error_occurred": True, "error_message": message}


def count_version(version, measures):
    """The deterministic counts of a version. Raises gate_counts.CountsFailed."""
    parts = []
    if "counts" in measures:
        parts.append(gate_counts.take_counts(version.binary("operation_counts")))
    if "instructions" in measures:
        parts.append(gate_counts.take_instructions(version.binary("instruction_driver")))
    return gate_counts.merge(*parts)
