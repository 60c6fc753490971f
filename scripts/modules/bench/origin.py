"""Where a benchmark binary comes from: built from this checkout, or carried to this machine in one file."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.conditions import describe_build, describe_source
from bench.results import Json
from common import builds, command_line
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT


@dataclass(frozen=True)
class Origin:
    """A benchmark binary, and what is known about it."""

    binary: Path
    context: Json  # compiler, flags, commit, dirty
    command: str = "scripts/bench"  # that measures with it
    notes: list[str] = field(default_factory=list)  # what a reader of the numbers must know


def build(logs: Path) -> Path:
    """Builds the benchmark binary, with its logs in that folder. Returns its path. Raises Failure."""
    progress = command_line.ProgressLine()
    begin = time.monotonic()
    if not command_line.run_setup():
        raise Failure("the setup failed; HOTINDEX_NO_SETUP=1 in the environment does without it")

    def show(line: str) -> None:
        step = builds.step_of(line)
        if step:
            progress.show(f"build: {step}, {in_words(time.monotonic() - begin)}")

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


def checkout(logs: Path) -> Origin:
    """Builds this checkout's binary. Returns where it comes from. Raises Failure."""
    binary = build(logs)
    return Origin(binary, {**describe_build(), **describe_source()})
