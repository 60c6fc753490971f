"""Runs the tests of the scripts, or those whose names contain an argument. The last line counts them."""

from __future__ import annotations

import signal
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


def main() -> int:
    """Returns the exit status."""
    # Under nohup, or in the background of a shell: what the tests start must not ignore signals.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    found = every_test(unittest.TestLoader().discover(str(HERE), "test_*.py"))
    chosen = [test for test in found if not sys.argv[1:] or any(word in test.id() for word in sys.argv[1:])]
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
