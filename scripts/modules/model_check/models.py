"""The Relacy models: how they are built and run, and what their reports say."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Sequence, Tuple

from common import builds, child_processes, command_line
from common.child_processes import Command
from common.command_line import in_words
from common.repository import ROOT

BUILD = ROOT / "build" / "relacy"
Row = Dict[str, str]  # of a report
MODELS = [
    "litmus",
    "elided",
    "adaptive",
    "index_set",
    "pool",
    "epoch",
    "map",
    "skip_list",
    "btree",
    "slot",
    "index",
]


def executable(model: str, planted: bool = False) -> Path:
    """Returns the program of a model: of the shipped sources, or of those with planted bugs, which has
    mutants."""
    return BUILD / "relacy" / f"{model}_model{'_planted' if planted else ''}"


@dataclass
class Facts:
    """What a model's report says."""

    searches: list[Row] = field(default_factory=list)
    sites: list[Row] = field(default_factory=list)
    mutants: list[Row] = field(default_factory=list)
    bugs: list[Row] = field(default_factory=list)


Results = Dict[str, Tuple[int, Facts]]  # exit status and report, by model

SITE = ["id", "edge", "file", "line", "function", "operation", "order", "executions"]
VERDICT = ["verdict", "by", "search", "execution", "result", "kills", "tries"]
MUTANT = ["id", "edge", "file", "line", "function", "operation", "order", "to", *VERDICT]
BUG = ["name", "what", *VERDICT]
SEARCH = ["scenario", "threads", "search", "executions", "seconds", "result"]


def read_report(path: Path | str) -> Facts:
    """Returns what a model's report says."""
    facts = Facts()
    kinds = {
        "search": (SEARCH, facts.searches),
        "site": (SITE, facts.sites),
        "mutant": (MUTANT, facts.mutants),
        "bug": (BUG, facts.bugs),
    }
    for line in Path(path).read_text().splitlines():
        kind, *values = line.split("\t")
        names, into = kinds[kind]
        into.append(dict(zip(names, values)))
    return facts


def build(planted: bool) -> bool:
    """Builds the models, and if so asked those of the sources with planted bugs. Returns whether they
    build."""
    log = BUILD.parent / "test-logs" / "relacy-build.log"
    commands: list[Command] = [["cmake", "--preset", "relacy"], ["cmake", "--build", BUILD]]
    if planted:
        commands.append(["cmake", "--build", BUILD, "--target", "planted_models"])
    if builds.run_in_turn(commands, log):
        return True
    print(command_line.tail(log))
    print("scripts/model_check: the models do not build", file=sys.stderr)
    return False


def run_models(models: Sequence[str], flags: Sequence[str | Path], planted: bool = False) -> Results:
    """Runs models side by side, of the sources with planted bugs if so asked; prints each one's output when
    it ends. Returns (exit status, facts) by model."""
    results: Results = {}

    def one(model: str) -> tuple[int, str, Facts]:
        with tempfile.NamedTemporaryFile(suffix=".tsv") as report:
            command: Command = [executable(model, planted), *flags, "--report", report.name]
            done = child_processes.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            return done.returncode, done.stdout, read_report(report.name)

    progress = command_line.ProgressLine(every=30)
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        # The longest first.
        jobs = {pool.submit(one, model): model for model in reversed(models)}
        waiting = set(jobs)
        while waiting:
            ended, waiting = concurrent.futures.wait(
                waiting, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for job in ended:
                status, said, facts = job.result()
                progress.clear()
                print(f"== {jobs[job]} ==\n{said}", end="", flush=True)
                results[jobs[job]] = (status, facts)
            if waiting:
                names = ", ".join(sorted(jobs[job] for job in waiting))
                progress.show(f"{in_words(time.monotonic() - begin)}; running: {names}")
    progress.clear()
    return results
