"""One run of the tests: its suites, its failed and skipped steps, where its logs are."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.results import Json
from common import command_line, repository
from common.command_line import in_words
from common.repository import ROOT

BUILD = ROOT / "build"
LOGS = BUILD / "test-logs"


@dataclass
class Suite:
    """The counts of one program's tests."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    assertions: int | None = None  # None: not counted
    seconds: float = 0.0
    report: list[str] = field(default_factory=list)  # what to show of the failures


class StepFailed(Exception):
    """A step without test cases of its own failed; the message is shown."""


class StepSkipped(Exception):
    """A check could not be made here; the message says why."""


class NotReached(Exception):
    """An earlier step that this one needs failed, and is counted already."""


class Run:
    """What a run has come to until now."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.suites: list[Suite] = []
        self.failed_steps: list[str] = []
        self.skipped_steps: list[str] = []
        self.broken: set[Path] = set()  # build folders that did not configure or build
        self.environment = {"HOTINDEX_DEEP": "1"} if options.deep else {}
        self.progress = command_line.ProgressLine(every=1e9)
        self.head = ""
        self.begin = 0.0

    def live(self, text: str) -> None:
        """Shows on a terminal how far a step is."""
        self.progress.show(f"{self.head}  {text}  {in_words(time.monotonic() - self.begin)}")

    def counts(self) -> tuple[int, int, int]:
        """Returns how many tests and steps (passed, failed, were skipped)."""
        passed = sum(suite.passed for suite in self.suites)
        failed = sum(suite.failed for suite in self.suites) + len(self.failed_steps)
        skipped = sum(suite.skipped for suite in self.suites) + len(self.skipped_steps)
        return passed, failed, skipped


def files_of_project(*endings: str) -> list[Path]:
    """Returns tracked files and new ones that are not ignored; without git, everything outside build/."""
    try:
        listed = repository.git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = [ROOT / name for name in listed.split("\0") if name]
    except repository.GitRefused:
        names = [path for path in ROOT.rglob("*") if BUILD not in path.parents]
    return sorted(path for path in set(names) if path.suffix in endings and path.is_file())


def begins_with(path: Path, interpreter: bytes) -> bool:
    """Returns whether a file's first line calls for that interpreter."""
    return path.read_bytes()[:64].split(b"\n")[0].rstrip().endswith(interpreter)


def python_files() -> list[Path]:
    """Returns the Python of the project: modules, and programs without an ending."""
    programs = [path for path in files_of_project("") if begins_with(path, b"python3")]
    return files_of_project(".py") + programs


def shell_files() -> list[Path]:
    """Returns the shell scripts of the project."""
    return [path for path in files_of_project("", ".sh") if begins_with(path, b"bash")]


def time_limit(run: Run, properties: Json) -> float:
    """Returns the seconds that a test may take."""
    return float(properties.get("TIMEOUT") or (4 * 3600 if run.options.deep else 900))


def shorten(path: Path | str | None) -> str:
    """Returns a path from the root of the repository on, as given where it lies elsewhere."""
    try:
        return str(Path(path).resolve().relative_to(ROOT)) if path else ""
    except ValueError:
        return str(path)
