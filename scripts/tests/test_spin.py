"""What scripts/model_check --protocol makes of Spin's output: only a whole search counts, only an assertion
is an error that was found."""

from __future__ import annotations

import sys
import unittest

from tree import SCRIPTS, Case

sys.path.insert(0, str(SCRIPTS / "modules"))
from model_check.protocol import Row, table  # noqa: E402
from model_check.protocol_list import BUGS, CONFIGURATIONS  # noqa: E402
from model_check.spin import HOLDS, INCOMPLETE, VIOLATED, Outcome, read_outcome  # noqa: E402

HEAD = """{first}
(Spin Version 6.5.2 -- 6 December 2019)
{warning}	+ Partial Order Reduction

{kind} search for:
	never claim         	- (none specified)
	assertion violations	+
	cycle checks       	- (disabled by -DSAFETY)
	invalid end states	+

State-vector 108 byte, depth reached {depth}, errors: {errors}
     5428 states, stored
      883 states, matched
     6311 transitions (= stored+matched)
      151 atomic steps
hash conflicts:         0 (resolved)

Stats on memory usage (in Megabytes):
    0.704	equivalent memory usage for states (stored*(State-vector + overhead))
   33.850	total actual memory usage


pan: elapsed time 1.25 seconds
pan: rate 542800 states/second
"""
STOPPED = "Warning: Search not completed\n"


def output(first: str = "", *, errors: int = 0, warning: str = "", kind: str = "Full statespace") -> str:
    """Returns what a search prints."""
    return HEAD.format(first=first, warning=warning, kind=kind, depth=133, errors=errors)


def violation(what: str) -> str:
    """Returns what a search prints that ends at an error."""
    first = f"pan:1: {what} (at depth 99)\npan: wrote protocol.pml.trail\n"
    return output(first, errors=1, warning=STOPPED)


class ReadingTest(unittest.TestCase):
    def incomplete(self, said: str, why: str, status: int | None = 0) -> None:
        """Checks that a search is told to be incomplete, and why."""
        outcome = read_outcome(said, status)
        self.assertEqual(outcome.verdict, INCOMPLETE)
        self.assertIn(why, outcome.why)

    def test_a_whole_search_without_an_error_holds(self) -> None:
        self.assertEqual(read_outcome(output(), 0), Outcome(HOLDS, "", 0, 5428, 133, 33.85, 1.25))

    def test_an_assertion_is_an_error(self) -> None:
        outcome = read_outcome(violation("assertion violated (found[h]==c)"), 0)
        self.assertEqual((outcome.verdict, outcome.why, outcome.errors), (VIOLATED, "(found[h]==c)", 1))

    def test_no_other_error_is_an_assertion(self) -> None:
        self.incomplete(violation("invalid end state"), "invalid end state")
        self.incomplete(violation("index out of bounds"), "index out of bounds")

    def test_the_end_of_the_clock_is_no_error_of_the_protocol(self) -> None:
        self.incomplete(violation("assertion violated (clock_now<24)"), "TIMES")

    def test_a_search_that_is_not_deep_enough_is_incomplete(self) -> None:
        self.incomplete(output("error: max search depth too small"), "not deep enough")

    def test_a_search_that_needs_more_memory_is_incomplete(self) -> None:
        said = "pan: reached -DMEMLIM bound\n\t4.19419e+09 bytes used\n"
        self.incomplete(output(said, warning=STOPPED), "MiB")
        self.incomplete(output("pan: out of memory", warning=STOPPED), "not enough memory")

    def test_a_search_that_was_stopped_is_incomplete(self) -> None:
        self.incomplete(output(warning=STOPPED), "not completed")
        self.incomplete(output(), "took too long", None)
        self.incomplete(output(), "SIGKILL", -9)
        self.incomplete("", "does not say")
        self.incomplete(output().split("5428")[0], "does not say")

    def test_a_search_that_keeps_no_whole_states_is_incomplete(self) -> None:
        self.incomplete(output(kind="Bit statespace"), "exhaustive")


class ListTest(unittest.TestCase):
    def test_the_list_and_the_model_have_the_same_errors(self) -> None:
        numbers = [bug.number for bug in BUGS]
        self.assertEqual(numbers, list(range(1, len(BUGS) + 1)))
        parts = sorted((SCRIPTS.parent / "relacy").glob("protocol*.pml"))
        model = "".join(part.read_text() for part in parts)
        for number in numbers:
            self.assertRegex(model, rf"BUG [!=]= {number}\b")
        self.assertNotRegex(model, rf"BUG [!=]= {len(BUGS) + 1}\b")
        self.assertLessEqual({bug.found_by for bug in BUGS}, {each.name for each in CONFIGURATIONS})

    def test_what_fails_is_told(self) -> None:
        configuration, bug = CONFIGURATIONS[0], BUGS[0]
        for planted, verdict, passed in (
            (None, HOLDS, True),
            (None, VIOLATED, False),
            (None, INCOMPLETE, False),
            (bug, HOLDS, False),
            (bug, VIOLATED, True),
            (bug, INCOMPLETE, False),
        ):
            with self.subTest(verdict=verdict, planted=planted):
                row = Row(configuration, planted, Outcome(verdict, "why"))
                self.assertEqual(row.passed, passed)
                self.assertEqual(row.fault() == "", passed)
                self.assertIn(f"{int(passed)} of 1 ", table([row], "6.5.2"))


class MissingTest(Case):
    def test_a_missing_spin_is_told_in_one_line(self) -> None:
        command = self.command("model_check", "--protocol")
        done = self.run_it(command, env={"PATH": str(self.programs)})
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assert_one_line(done.stderr, "spin is not installed: scripts/setup installs it")


if __name__ == "__main__":
    unittest.main()
