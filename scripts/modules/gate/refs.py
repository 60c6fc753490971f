"""Two commits: each is built in a worktree of its own, measured (session.py) and counted."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from bench import conditions
from common import builds, command_line, repository
from common.child_processes import Command
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT
from gate import counts as gate_counts, session as gate_session
from gate.counts import Counts
from gate.session import Program

FOLDER = gate_session.FOLDER
TARGETS = ("hotindex_bench", "operation_counts", "instruction_driver")
KEPT = 6  # worktrees with their builds


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


def program_of(version: Version) -> Program:
    """Returns the benchmark binary of a version that is built."""
    context = {
        **conditions.describe_build(version.folder),
        "commit": version.commit,
        "dataset": "generated",
    }
    return Program(version.name, version.binary("hotindex_bench"), context, FOLDER)


def count_version(version: Version, measures: list[str]) -> Counts:
    """Returns the deterministic counts of a version. Raises CountsFailed."""
    parts = []
    if "counts" in measures:
        parts.append(gate_counts.take_counts(version.binary("operation_counts")))
    if "instructions" in measures:
        parts.append(gate_counts.take_instructions(version.binary("instruction_driver")))
    return gate_counts.merge(*parts)
