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

from common import builds, child_processes, command_line
from common.command_line import in_words
from common.repository import ROOT

BUILD = ROOT / "build" / "relacy"
MODELS = ["litmus", "index_set", "pool", "epoch", "map", "slot", "index"]


def executable(model):
    return BUILD / "relacy" / f"{model}_model"


@dataclass
class Facts:
    """What a model's report says."""

    searches: list = field(default_factory=list)
    sites: list = field(default_factory=list)
    mutants: list = field(default_factory=list)
    bugs: list = field(default_factory=list)


SITE = ["id", "edge", "file", "line", "function", "operation", "order", "executions"]
MUTANT = [
    "id",
    "edge",
    "file",
    "line",
    "function",
    "operation",
    "order",
    "to",
    "verdict",
    "by",
    "search",
    "execution",
    "result",
    "kills",
    "tries",
]
BUG = ["name", "what", "verdict", "by", "search", "execution", "result", "kills", "tries"]
SEARCH = ["scenario", "threads", "search", "executions", "seconds", "result"]


def read_report(path):
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


def build():
    log = BUILD.parent / "test-logs" / "relacy-build.log"
    if builds.run_in_turn((["cmake", "--preset", "relacy"], ["cmake", "--build", BUILD]), log):
        return True
    print(command_line.tail(log))
    print("scripts/model_check: the models do not build", file=sys.stderr)
    return False


def run_models(models, flags):
    """Runs models side by side; prints each one's output when it ends. Returns (exit status, facts) by model."""
    results = {}
    flags = [str(flag) for flag in flags]

    def one(model):
        with tempfile.NamedTemporaryFile(suffix=".tsv") as report:
            command = [executable(model), *flags, "--report", report.name]
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
