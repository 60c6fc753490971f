"""Runs the tests of one file, and notes which lines of scripts/ each of them runs, in its own process and in
those that it starts: `trace_tests.py ROOT FILE FOLDER`. A program of its own, without our modules: those of
the tree at ROOT are what it looks at. FOLDER then has a file for each process, and one with the tests' times.

What the tests start runs this text too (see follow()), and finds the number of its test in the environment.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from types import FrameType
from typing import Any, Callable

FOLDER, TEST = "HOTINDEX_TRACE_FOLDER", "HOTINDEX_TRACE_TEST"
PLACES = ("/scripts/modules/", "/impl/planted_bugs/")
Trace = Callable[[FrameType, str, Any], Any]

lines: dict[str, set[int]] = {}
traces: dict[str, Trace | None] = {}


def trace_of(name: str) -> Trace | None:
    """Returns what notes the lines of a file; None where they are of no interest."""
    place = next((place for place in PLACES if place in name), None)
    if not place or not name.endswith(".py") or name.endswith("/trace_tests.py"):
        return None
    seen = lines.setdefault(place[1:] + name.rpartition(place)[2], set())

    def trace(frame: FrameType, event: str, _: Any) -> Trace:
        if event == "line":
            seen.add(frame.f_lineno)
        return trace

    return trace


def begin(frame: FrameType, event: str, argument: Any) -> Trace | None:
    """Is told of each function that is called. Returns what follows its lines."""
    if frame.f_code.co_name == "<module>":
        return None
    name = frame.f_code.co_filename
    if name not in traces:
        traces[name] = trace_of(name)
    trace = traces[name]
    return trace(frame, "line", argument) if trace else None


def write(test: str) -> None:
    """Writes what was seen until now, and forgets it."""
    seen = {path: sorted(each) for path, each in lines.items() if each}
    if seen:
        with open(os.path.join(os.environ[FOLDER], f"{test}-{os.getpid()}.json"), "w") as sink:
            json.dump(seen, sink)
    for each in lines.values():
        each.clear()


def follow() -> None:
    """Traces from here on; what was seen is written at the end."""
    atexit.register(lambda: write(os.environ[TEST]))
    threading.settrace(begin)
    sys.settrace(begin)


def main() -> None:
    """Runs the tests of a file."""
    import signal
    import time
    import unittest

    # In the background of a shell: what the tests start must not ignore signals.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    root, file, folder = sys.argv[1:]
    sys.path[:1] = [f"{root}/scripts/tests", f"{root}/scripts/modules"]
    os.environ[FOLDER] = folder
    suite = unittest.TestLoader().loadTestsFromName(file)

    def flat(each: Any) -> list[Any]:
        return (
            [test for part in each for test in flat(part)] if isinstance(each, unittest.TestSuite) else [each]
        )

    modules = [str(getattr(each, "__file__", "") or "") for each in list(sys.modules.values())]
    imported = [name[len(root) + 1 :] for name in modules if name.startswith(f"{root}/scripts/modules/")]
    told = []
    for number, test in enumerate(flat(suite)):
        os.environ[TEST] = str(number)
        result = unittest.TestResult()
        began = time.monotonic()
        threading.settrace(begin)
        sys.settrace(begin)
        test.run(result)
        sys.settrace(None)
        write(str(number))
        passed = result.wasSuccessful() and result.testsRun == 1
        told.append([test.id(), time.monotonic() - began, passed])
    with open(os.path.join(folder, "tests.json"), "w") as sink:
        json.dump({"tests": told, "imported": imported}, sink)


if __name__ == "__main__":
    main()
elif FOLDER in os.environ:
    follow()
