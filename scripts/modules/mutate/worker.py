"""Tries mutants on a scratch copy of the project: `worker.py ROOT`. A program of its own, without our
modules.

Each line of standard input is one mutant as JSON: {"path", "text", "tests": [[name, seconds at most], ...]}.
Each line of standard output says which test objects to it, and how: {"test", "how"}; "" where none does. A
mutant runs in a process of its own, forked from this one, where numpy and others are loaded already.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import select
import shutil
import signal
import sys
import time
import unittest
from pathlib import Path
from typing import Any

HEAVY = ("numpy", "scipy.stats", "matplotlib.figure", "matplotlib.backends.backend_svg")
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: what a mutant leaves behind becomes our child


def run_tests(names: list[str], told: int) -> None:
    """Runs tests until one fails; tells each one's beginning, and the failure."""
    for name in names:
        os.write(told, f"begin {name}\n".encode())
        try:
            suite = unittest.defaultTestLoader.loadTestsFromName(name)
            result = unittest.TestResult()
            suite.run(result)
            good = result.wasSuccessful() and result.testsRun == 1
        except BaseException:  # whatever ends a test is no pass
            good = False
        if not good:
            os.write(told, f"failed {name}\n".encode())
            return
    os.write(told, b"passed all\n")


def child(names: list[str], told: int, scratch: str) -> None:
    """Runs in the forked process: never returns."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.environ["TMPDIR"] = scratch
    try:
        run_tests(names, told)
    finally:
        os._exit(0)


def watch(reader: int, limits: dict[str, float]) -> tuple[str, str]:
    """Returns (the test that objects, how); ("", "") where all pass."""
    test, until, rest = "", time.monotonic() + 30, b""
    while True:
        if not select.select([reader], [], [], max(0.0, until - time.monotonic()))[0]:
            return test or "import", "took too long"
        data = os.read(reader, 65536)
        if not data:  # it ended without a word
            return test or "import", "ended the process"
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            what, name = line.decode().split(" ", 1)
            if what == "begin":
                test, until = name, time.monotonic() + limits[name]
            elif what == "failed":
                return name, "failed"
            else:
                return "", ""


def end_children() -> None:
    """Ends every process below this one."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        left = listed.read_text().split()
        if not left:
            return
        for pid in map(int, left):
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass


def attempt(root: Path, job: dict[str, Any]) -> tuple[str, str]:
    """Returns (the test that objects to a mutant, how)."""
    path, scratch = root / job["path"], root / "scratch"
    before = path.read_text(encoding="utf-8")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    path.write_text(job["text"], encoding="utf-8")
    limits = dict(job["tests"])
    reader, writer = os.pipe()
    try:
        if os.fork() == 0:
            os.close(reader)
            child(list(limits), writer, str(scratch))
        os.close(writer)
        return watch(reader, limits)
    finally:
        os.close(reader)
        end_children()
        path.write_text(before, encoding="utf-8")


def main() -> None:
    """Tries what it is given until there is no more."""
    root = Path(sys.argv[1])
    sys.path[:1] = [f"{root}/scripts/tests", f"{root}/scripts/modules"]
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # as in the tests' own runner
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    for name in HEAVY:
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    for line in sys.stdin:
        test, how = attempt(root, json.loads(line))
        print(json.dumps({"test": test, "how": how}), flush=True)


if __name__ == "__main__":
    main()
