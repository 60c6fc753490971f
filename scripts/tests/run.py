"""Runs the tests of the scripts, or those whose names contain an argument, or of a file test_....py. The last
line counts them. Without an argument the files run side by side, as many at once as there are processors."""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from types import TracebackType
from typing import Iterator, Tuple, Type, Union

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "modules")]

from common import child_processes  # noqa: E402
from common import command_line  # noqa: E402


Fault = Union[Tuple[Type[BaseException], BaseException, TracebackType], Tuple[None, None, None]]


class Result(unittest.TextTestResult):
    """unittest takes a signal for one more error of a test, and goes on; here that test is the last one."""

    ended: child_processes.Ended | None = None

    def addError(self, test: unittest.TestCase, err: Fault) -> None:  # noqa: N802
        """Counts an error."""
        super().addError(test, err)
        if isinstance(err[1], child_processes.Ended):
            self.ended = err[1]
            self.stop()

    def addSubTest(
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: Fault | None
    ) -> None:  # noqa: N802
        """Counts the outcome of a part of a test."""
        super().addSubTest(test, subtest, err)
        if err and isinstance(err[1], child_processes.Ended):
            self.ended = err[1]
            self.stop()


def every_test(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yields the single tests of a suite."""
    for each in suite:
        yield from every_test(each) if isinstance(each, unittest.TestSuite) else [each]


COUNTED = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


def run_file(path: Path) -> tuple[str, int, list[int]]:
    """Runs the tests of one file in a process of its own. Returns (what it said, its exit status, how many
    passed, failed and were skipped)."""
    command: child_processes.Command = [sys.executable, __file__, path.name]
    done = child_processes.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    counted = COUNTED.match(done.stdout.rstrip().rpartition("\n")[2])
    return done.stdout, done.returncode, [int(each or 0) for each in counted.groups()] if counted else []


def run_side_by_side(files: list[Path]) -> int:
    """Runs the tests of every file; what does not count its tests, or ends otherwise than it counts, is one
    that failed. Returns the exit status."""
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for said, status, counts in pool.map(run_file, files):
            print(said, end="", flush=True)
            good, bad, left_out = counts or [0, 1, 0]
            passed, skipped = passed + good, skipped + left_out
            failed += bad or int(status != 0)
    failed += int(not files)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


def main() -> int:
    """Returns the exit status."""
    # Under nohup, or in the background of a shell: what the tests start must not ignore signals.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not sys.argv[1:]:
        # The largest files first, so that no processor waits for the last one alone.
        return run_side_by_side(sorted(HERE.glob("test_*.py"), key=lambda path: -path.stat().st_size))
    words = sys.argv[1:]
    file = words.pop() if words[-1].endswith(".py") else "test_*.py"
    found = every_test(unittest.TestLoader().discover(str(HERE), file))
    chosen = [test for test in found if not words or any(word in test.id() for word in words)]
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(unittest.TestSuite(chosen))
    ended = result.ended if isinstance(result, Result) else None
    bad = {test.id().split(" ")[0] for test, _ in [*result.failures, *result.errors]}
    failed = len(bad) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    passed = result.testsRun - failed - skipped
    if result.testsRun == 0:
        failed = 1
        print(f"no test has {' or '.join(sys.argv[1:])} in its name")
    print(f"{max(0, passed)} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    if ended:
        raise ended
    return 1 if failed else 0


if __name__ == "__main__":
    command_line.begin_and_end("scripts/tests", main)
