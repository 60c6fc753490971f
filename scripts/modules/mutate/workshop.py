"""Scratch copies of the project, in which mutants are tried: the working tree is never changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator

from common import child_processes
from common.failure import Failure
from common.repository import ROOT
from test.run import files_of_project

HERE = Path(__file__).resolve().parent
PICTURES = (".svg", ".png")
TRACED = ("scripts/modules/start.py", "impl/planted_bugs/plant.py")  # where what tests start begins
FIRST = re.compile(r"^import \w+$", re.MULTILINE)


def files_to_copy() -> list[Path]:
    """Returns the files that tests may read."""
    endings = {path.suffix for path in (ROOT / name for name in listed())}
    return [path for path in files_of_project(*endings) if path.suffix not in PICTURES]


def listed() -> list[str]:
    """Returns the names of the files of the project."""
    told = child_processes.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    return [name for name in told.stdout.split("\0") if name]


def copy_into(folder: Path) -> Path:
    """Returns a copy of the project in a new folder below that one."""
    root = folder / "tree"
    for path in files_to_copy():
        to = root / path.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to)
    return root


def let_trace(root: Path) -> None:
    """Makes what the tests start in a copy note the lines that it runs."""
    tracer = HERE / "trace_tests.py"
    for name in TRACED:
        path = root / name
        text = path.read_text()
        first = FIRST.search(text)
        if not first:
            raise Failure(f"{name}: without an import there is no place for the tracer")
        call = f'import runpy; runpy.run_path({str(tracer)!r}, run_name="tracer")'
        path.write_text(f"{text[: first.end()]}; {call}{text[first.end() :]}")


# Processes that a mutant signals by mistake must be its own: a namespace of process numbers sees to that.
NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]


def confined() -> list[str]:
    """Returns the words that confine a program to processes of its own; none where the system refuses."""
    try:
        works = child_processes.run([*NAMESPACE, "true"], capture_output=True).returncode == 0
    except OSError:
        works = False
    return NAMESPACE if works else []


def dangerous(path: str) -> bool:
    """Returns whether a mutant of this file may signal processes that are not its own."""
    return bool(re.search(r"/common/child_\w+\.py$", path))


BUILDERS = ("cmake", "ctest", "ninja")


def surroundings(folder: Path) -> dict[str, str]:
    """Returns what tests find in a copy besides their own fakes: nothing that builds, because a mutant may
    ask for a build that no test means. The programs that refuse are put into that folder."""
    refusing = folder / "refusing"
    refusing.mkdir(parents=True, exist_ok=True)
    for name in BUILDERS:
        program = refusing / name
        program.write_text(f"#!/bin/sh\necho '{name}: nothing is built here' >&2\nexit 1\n")
        program.chmod(0o755)
    path = f"{refusing}:{os.environ.get('PATH', os.defpath)}"
    return {"HOTINDEX_NO_SETUP": "1", "HOTINDEX_PYTHON": sys.executable, "PATH": path}


class Worker:
    """A copy of the project, and the program that tries mutants on it."""

    def __init__(self, folder: Path, confine: list[str]) -> None:
        folder.mkdir(parents=True)
        self.root = copy_into(folder)
        self.child = child_processes.Child(
            [*confine, sys.executable, HERE / "worker.py", self.root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self.root,
            env=surroundings(folder),
        )

    def attempt(self, path: str, text: str, tests: list[tuple[str, float]]) -> tuple[str, str]:
        """Returns (the test that objects to a file's new text, how); ("", "") where none does. `tests` are
        (name, seconds at most)."""
        assert self.child.stdin and self.child.stdout
        self.child.stdin.write(json.dumps({"path": path, "text": text, "tests": tests}) + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise Failure("the program that tries mutants has ended")
        told = json.loads(answer)
        return told["test"], told["how"]

    def end(self) -> None:
        """Ends the program."""
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe:
                pipe.close()
        self.child.end()


def workers(folder: Path, count: int) -> Iterator[Worker]:
    """Yields so many workers, each with a copy of its own."""
    confine = confined()
    for number in range(count):
        yield Worker(folder / f"worker-{number}", confine)
