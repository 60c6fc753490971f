"""The programs that scripts/stress builds and runs, and what they run on."""

from __future__ import annotations

import json
import sys
from typing import Iterable

from bench.results import Json
from common import builds, command_line, repository
from common.child_processes import Command
from common.repository import ROOT

BUILD = ROOT / "build"
RESULTS = ROOT / "results" / "stress"
PRESETS = {"none": "release", "tsan": "tsan", "asan": "asan"}


SOAK = "stress_soak"
PLANTED = "stress_soak_planted"  # of the sources with planted bugs


def build(preset: str, target: str = SOAK) -> None:
    """Builds a soak in a preset; ends the command where it does not build."""
    log = BUILD / "test-logs" / f"{preset}-stress-build.log"
    commands: list[Command] = [
        ["cmake", "--preset", preset],
        ["cmake", "--build", BUILD / preset, "--target", target],
    ]
    if not builds.run_in_turn(commands, log):
        print(command_line.tail(log), file=sys.stderr)
        sys.exit(f"scripts/stress: the build failed; log: {log.relative_to(ROOT)}")


def soak_command(preset: str, *flags: str, name: str = SOAK) -> list[str]:
    """Returns the words that run a program of the preset."""
    fixed = builds.fixed_addresses() if preset.startswith("tsan") else []
    return [*fixed, str(BUILD / preset / "stress" / name), *flags]


def commit() -> str:
    """Returns the commit that is checked out, shortened."""
    return repository.commit(7)


def rows_as_json(context: Json, name: str, rows: Iterable[Json]) -> str:
    """Returns a JSON document: its context, and a line for each row under that name."""
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    return f'{{\n "context": {json.dumps(context)},\n "{name}": [\n{lines}\n ]\n}}\n'
