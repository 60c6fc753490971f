"""Which lines of scripts/ each test runs, and how long it takes: who is asked about a mutant, cheapest first.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Set

from bench.results import Json
from common import child_processes, command_line, output
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT
from mutate import workshop
from mutate.python_mutants import Mutant

TESTS = ROOT / "scripts" / "tests"
MODULES = ROOT / "scripts" / "modules"
Lines = Dict[str, Set[int]]


@dataclass
class Test:
    """A test, and what it runs."""

    name: str
    file: str
    seconds: float
    lines: Lines = field(default_factory=dict)
    imported: frozenset[str] = frozenset()  # files that its own process has loaded

    def reaches(self, mutant: Mutant) -> bool:
        """Returns whether the test may notice a mutant: it runs one of the statement's lines. What runs when
        a file is loaded may matter to each test that runs something of it, or has it in its own process."""
        mine = self.lines.get(mutant.path, set())
        if not mutant.late:
            return bool(mine) or mutant.path in self.imported
        first, last = mutant.lines
        return any(first <= line <= last for line in mine)

    @property
    def limit(self) -> float:
        """Returns the seconds after which it hangs. Tracing has made it slower, and a machine may be busy."""
        return 10 + 5 * self.seconds


def digest(*paths: Path) -> str:
    """Returns a hash of files."""
    text = hashlib.sha256()
    for path in sorted(paths):
        text.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return text.hexdigest()


def sources(file: str) -> list[Path]:
    """Returns what a file of tests depends on; on this command, its own tests alone."""
    shared = [path for path in TESTS.iterdir() if path.is_file() and not path.name.startswith("test_")]
    own = "mutat" in file
    modules = [path for path in MODULES.rglob("*.py") if own or workshop.HERE not in path.parents]
    return [*modules, *shared, TESTS / f"{file}.py", ROOT / "impl" / "planted_bugs" / "plant.py"]


def trace(root: Path, file: str) -> Json:
    """Returns what the tests of a file run, in a copy of the project."""
    with tempfile.TemporaryDirectory(prefix="hotindex-trace-") as folder:
        program = workshop.HERE / "trace_tests.py"
        environment = workshop.surroundings(Path(folder))
        done = child_processes.run(
            [sys.executable, program, root, file, folder], cwd=root, env=environment, capture_output=True
        )
        told = Path(folder) / "tests.json"
        if done.returncode != 0 or not told.exists():
            raise Failure(f"{file}: its tests cannot be traced: {done.stderr[-2000:]}")
        found: Json = json.loads(told.read_text())
        found["lines"] = [lines_of(Path(folder), number) for number in range(len(found["tests"]))]
        return found


def lines_of(folder: Path, number: int) -> dict[str, list[int]]:
    """Returns what all processes of a test have noted."""
    seen: dict[str, set[int]] = {}
    for path in folder.glob(f"{number}-*.json"):
        for name, lines in json.loads(path.read_text()).items():
            seen.setdefault(name, set()).update(lines)
    return {name: sorted(lines) for name, lines in seen.items()}


def measure(jobs: int, kept: Path) -> tuple[list[Test], list[str]]:
    """Returns (the tests, the names of those that fail without any mutant). What has not changed since the
    last time is taken from the file `kept`."""
    known: Json = json.loads(kept.read_text()) if kept.exists() else {}
    files = sorted(path.stem for path in TESTS.glob("test_*.py"))
    marks = {file: digest(*sources(file)) for file in files}
    stale = [file for file in files if known.get(file, {}).get("mark") != marks[file]]
    stale.sort(key=lambda file: float(-sum(known.get(file, {}).get("seconds", [9.0]))))
    if stale:
        trace_all(stale, jobs, known, marks)
        output.write_whole(kept, json.dumps({file: known[file] for file in files}))
    tests, failing = [], []
    for file in files:
        found = known[file]
        imported = frozenset(found["imported"])
        for (name, seconds, passed), lines in zip(found["tests"], found["lines"]):
            reached = {path: set(each) for path, each in lines.items()}
            if passed:
                tests.append(Test(name, file, seconds, reached, imported))
            else:
                failing.append(name)
    return sorted(tests, key=lambda each: each.seconds), failing


def trace_all(files: list[str], jobs: int, known: Json, marks: dict[str, str]) -> None:
    """Traces the tests of these files."""
    line = command_line.ProgressLine(every=30)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hotindex-mutate-") as scratch:
        root = workshop.copy_into(Path(scratch))
        workshop.let_trace(root)
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            running = {pool.submit(trace, root, file): file for file in files}
            for done, job in enumerate(concurrent.futures.as_completed(running), 1):
                file = running[job]
                found = job.result()
                seconds = [each[1] for each in found["tests"]]
                known[file] = {**found, "mark": marks[file], "seconds": seconds}
                took = in_words(time.monotonic() - begin)
                line.show(f"coverage: {done} of {len(files)} files of tests, {took}")
    line.clear()
    print(f"coverage: {len(files)} files of tests traced in {in_words(time.monotonic() - begin)}", flush=True)
