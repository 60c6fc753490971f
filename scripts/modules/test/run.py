"""One run of the tests: its suites, its failed and skipped steps, where its logs are."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from common import command_line, repository
from common.command_line import in_words
from common.repository import ROOT

BUILD = ROOT / "build"
LOGS = BUILD / "test-logs"


@dataclass
class Suite:
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    assertions: int = None  # None: not counted
    seconds: float = 0.0
    report: list = field(default_factory=list)  # what to show of the failures


class StepFailed(Exception):
    """A step without test cases of its own failed; the message is shown."""


class StepSkipped(Exception):
    """A check could not be made here; the message says why."""


class NotReached(Exception):
    """An earlier step that this one needs failed, and is counted already."""


class Run:
    def __init__(self, options):
        self.options = options
        self.suites = []
        self.failed_steps = []
        self.skipped_steps = []
        self.broken = set()  # build folders that did not configure or build
        self.environment = {"HOTINDEX_DEEP": "1"} if options.deep else {}
        self.progress = command_line.ProgressLine(every=1e9)
        self.head = ""
        self.begin = 0.0

    def live(self, text):
        """While a step runs on a terminal: how far it is."""
        self.progress.show(f"{self.head}  {text}  {in_words(time.monotonic() - self.begin)}")

    def counts(self):
        passed = sum(suite.passed for suite in self.suites)
        failed = sum(suite.failed for suite in self.suites) + len(self.failed_steps)
        skipped = sum(suite.skipped for suite in self.suites) + len(self.skipped_steps)
        return passed, failed, skipped


def files_of_project(*endings):
    """Tracked files and new ones that are not ignored; without git, everything outside build/."""
    try:
        listed = repository.git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = [ROOT / name for name in listed.split("\0") if name]
    except repository.GitRefused:
        names = [path for path in ROOT.rglob("*") if BUILD not in path.parents]
    return sorted(path for path in set(names) if path.suffix in endings and path.is_file())


def time_limit(run, properties):
    return float(properties.get("TIMEOUT") or (4 * 3600 if run.options.deep else 900))


def shorten(path):
    try:
        return str(Path(path).resolve().relative_to(ROOT)) if path else ""
    except ValueError:
        return path
