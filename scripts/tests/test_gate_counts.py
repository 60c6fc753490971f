"""What the gate makes of counts: which of them fail, which rises were accepted, and the exit status."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import platform
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from bench.results import BadResults
from gate import command, counts, report
from gate.counts import Accepted, CountFinding, Counts, CountsFile
from gate.statistics import IMPROVEMENT, NO_DATA, PASS, REGRESSION

COUNTS: Counts = {
    "get": {"calls": 10, "totals": {"loads": 30, "pin.loads": 20, "find.loads": 10, "allocations": 0}},
    "add": {"calls": 5, "totals": {"rmws": 5, "bytes": 1000.0, "instructions": 10000}},
}


def changed(name: str, measure: str, total: float | None, calls: int | None = None) -> Counts:
    """Returns the counts with another total; None takes it away."""
    found = copy.deepcopy(COUNTS)
    if total is None:
        del found[name]["totals"][measure]
    else:
        found[name]["totals"][measure] = total
    found[name]["calls"] = calls or found[name]["calls"]
    return found


class CompareCountsTest(unittest.TestCase):
    def verdicts(self, candidate: Counts, baseline: Counts = COUNTS) -> dict[tuple[str, str], str]:
        """Returns what is not a pass."""
        found = counts.compare_counts(baseline, candidate)
        return {(each.name, each.measure): each.verdict for each in found if each.verdict != PASS}

    def test_equal_counts_pass_and_edges_are_no_measures_of_their_own(self) -> None:
        found = counts.compare_counts(COUNTS, COUNTS)
        self.assertEqual(
            [(each.name, each.measure) for each in found],
            [
                ("get", "loads"),
                ("get", "allocations"),
                ("add", "rmws"),
                ("add", "bytes"),
                ("add", "instructions"),
            ],
        )
        self.assertEqual({each.verdict for each in found}, {PASS})
        self.assertEqual((found[0].baseline, found[0].candidate, found[0].ratio, found[0].why), (3, 3, 1, ""))

    def test_one_more_in_all_calls_together_is_a_regression(self) -> None:
        self.assertEqual(self.verdicts(changed("get", "loads", 31)), {("get", "loads"): REGRESSION})
        self.assertEqual(
            self.verdicts(changed("get", "allocations", 1)), {("get", "allocations"): REGRESSION}
        )

    def test_one_fewer_is_an_improvement(self) -> None:
        self.assertEqual(self.verdicts(changed("get", "loads", 29)), {("get", "loads"): IMPROVEMENT})

    def test_the_edges_that_changed_explain_their_sum(self) -> None:
        candidate = changed("get", "loads", 35)
        candidate["get"]["totals"] |= {"pin.loads": 24, "new.loads": 1}
        [found] = [each for each in counts.compare_counts(COUNTS, candidate) if each.verdict != PASS]
        self.assertEqual(found.why, "new +0.1, pin +0.4")
        self.assertEqual(
            report.counted(found), "get has 3.5 atomic loads an operation instead of 3 (new +0.1, pin +0.4)"
        )

    def test_an_edge_that_is_gone_explains_a_sum_too(self) -> None:
        candidate = changed("get", "find.loads", None)
        candidate["get"]["totals"]["loads"] = 20
        [found] = [each for each in counts.compare_counts(COUNTS, candidate) if each.verdict != PASS]
        self.assertEqual(found.why, "find -1")

    def test_a_ratio_needs_both_sides(self) -> None:
        self.assertEqual(CountFinding("get", "loads", PASS, 2, 3).ratio, 1.5)
        self.assertIsNone(CountFinding("get", "loads", PASS, 0, 3).ratio)
        self.assertIsNone(CountFinding("get", "loads", PASS, 2, None).ratio)

    def test_other_numbers_of_calls_are_compared_by_call(self) -> None:
        same = changed("get", "loads", 60, 20)
        same["get"]["totals"]["allocations"] = 0
        self.assertEqual(self.verdicts(same), {})
        same["get"]["totals"]["loads"] = 61
        self.assertEqual(self.verdicts(same), {("get", "loads"): REGRESSION})
        self.assertEqual(self.verdicts(changed("get", "loads", 30, 20)), {("get", "loads"): IMPROVEMENT})

    def test_instructions_and_bytes_have_tolerances(self) -> None:
        for measure, allowed, too_many in (("instructions", 10100, 10101), ("bytes", 1001.0, 1001.1)):
            self.assertEqual(self.verdicts(changed("add", measure, allowed)), {})
            self.assertEqual(self.verdicts(changed("add", measure, too_many)), {("add", measure): REGRESSION})
        self.assertEqual(self.verdicts(changed("add", "instructions", 9900)), {})
        self.assertEqual(
            self.verdicts(changed("add", "instructions", 9899)), {("add", "instructions"): IMPROVEMENT}
        )

    def test_a_measure_or_an_operation_that_is_missing_is_no_data(self) -> None:
        without = changed("get", "loads", None)
        self.assertEqual(self.verdicts(without), {("get", "loads"): NO_DATA})
        self.assertEqual(self.verdicts(COUNTS, without), {("get", "loads"): NO_DATA})
        [found] = counts.compare_counts(COUNTS, without)[:1]
        self.assertEqual(found.why, "the candidate does not count this")
        less = {"get": COUNTS["get"]}
        self.assertEqual(self.verdicts(less), {("add", ""): NO_DATA})
        self.assertEqual(
            counts.compare_counts(COUNTS, less)[-1].why, "the candidate does not count this operation"
        )
        found = counts.compare_counts(less, COUNTS)[-1]
        self.assertEqual((found.name, found.verdict), ("add", NO_DATA))
        self.assertEqual(found.why, "the baseline does not count this operation")
        self.assertIsNone(found.ratio)

    def test_totals_of_another_tool_are_brought_to_the_same_calls(self) -> None:
        other: Counts = {"get": {"calls": 2, "totals": {"instructions": 14}}, "more": COUNTS["add"]}
        merged = counts.merge(COUNTS, other)
        self.assertEqual(merged["get"]["calls"], 10)
        self.assertEqual(merged["get"]["totals"]["instructions"], 70)
        self.assertEqual(merged["more"], COUNTS["add"])


class CountsFileTest(unittest.TestCase):
    def refused(self, document: object) -> str:
        """Returns what is said about a document of counts."""
        with self.assertRaises(BadResults) as raised:
            counts.check_counts("file", document)
        return str(raised.exception)

    def test_what_is_no_file_of_counts_is_refused(self) -> None:
        for document in ([], {}, {"counts": {}}, {"counts": []}, {"counts": None}):
            self.assertIn('no list "counts"', self.refused(document))
        self.assertIn("entry 0 of the counts has no name", self.refused({"counts": [{"calls": 1}]}))
        self.assertIn("entry 0 of the counts has no name", self.refused({"counts": [3]}))
        for calls in (0, -1, 1.0, True, None):
            entry = {"name": "get", "calls": calls, "totals": {"loads": 1}}
            self.assertIn("not a whole number above 0", self.refused({"counts": [entry]}))
        unusable: list[object] = [{}, [], None]
        for totals in unusable:
            without: dict[str, object] = {"name": "get", "calls": 1, "totals": totals}
            self.assertIn("no totals", self.refused({"counts": [without]}))
        wrong: list[object] = [-1, math.inf, math.nan, "1", True, None]
        for value in wrong:
            bad = {"name": "get", "calls": 1, "totals": {"loads": value}}
            self.assertIn("loads is", self.refused({"counts": [bad]}))
        entry = {"name": "get", "calls": 1, "totals": {"loads": 0}}
        self.assertIn("get is there twice", self.refused({"counts": [entry, entry]}))
        self.assertIn("not an object", self.refused({"counts": [entry], "accepted": []}))
        for accepted in ({"reason": "why"}, {"up_to": 1}, {"reason": 1, "up_to": 1}, 3):
            said = self.refused({"counts": [entry], "accepted": {"get: loads": accepted}})
            self.assertIn('accepted "get: loads" has no reason and up_to', said)

    def test_a_sound_file_is_read(self) -> None:
        entry = {"name": "get", "calls": 1, "totals": {"loads": 0}}
        accepted: dict[str, Accepted] = {"get: loads": {"reason": "why", "up_to": 1}}
        found = counts.check_counts("file", {"counts": [entry], "accepted": accepted, "context": {"a": 1}})
        self.assertEqual(found, CountsFile({"a": 1}, {"get": {"calls": 1, "totals": {"loads": 0}}}, accepted))
        self.assertEqual(counts.check_counts("file", {"counts": [entry], "context": 3}).context, {})


class AcceptedTest(unittest.TestCase):
    def passes(self, finding: CountFinding, up_to: float | None) -> bool:
        """Returns whether a finding passes where a rise up to that is accepted."""
        known = {counts.key_of(finding): Accepted(up_to=up_to, reason="versions")}
        told = counts.let_accepted_pass([finding], known)
        self.assertEqual(told, [f"accepted: {counts.key_of(finding)}: versions"] if told else [])
        self.assertEqual(finding.verdict == PASS, bool(told))
        return finding.verdict == PASS

    def test_a_rise_passes_as_far_as_it_was_accepted(self) -> None:
        self.assertTrue(self.passes(CountFinding("get", "loads", REGRESSION, 3, 4), 4))
        self.assertTrue(self.passes(CountFinding("get", "loads", REGRESSION, 3, 4), 5))
        self.assertFalse(self.passes(CountFinding("get", "loads", REGRESSION, 3, 4.1), 4))
        self.assertFalse(self.passes(CountFinding("get", "loads", REGRESSION, 3, 4), None))

    def test_what_is_gone_passes_where_that_was_accepted(self) -> None:
        self.assertTrue(self.passes(CountFinding("get", "", NO_DATA), None))
        self.assertFalse(self.passes(CountFinding("get", "", NO_DATA), 4))

    def test_nothing_else_is_touched(self) -> None:
        findings = [
            CountFinding("get", "loads", IMPROVEMENT, 3, 2),
            CountFinding("add", "rmws", REGRESSION, 1, 2),
        ]
        known = {"get: loads": Accepted(up_to=9, reason="why")}
        self.assertEqual(counts.let_accepted_pass(findings, known), [])
        self.assertEqual([each.verdict for each in findings], [IMPROVEMENT, REGRESSION])


class CommittedTest(unittest.TestCase):
    """check_committed() and write_committed(), on made-up figures: measured, in the file, in the previous
    commit."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="hotindex-scripts-")
        self.addCleanup(scratch.cleanup)
        self.path = Path(scratch.name) / "counts.json"
        self.history: dict[str, CountsFile | None] = {}
        for name, value in (
            ("COMMITTED", self.path),
            ("take_counts", lambda binary: self.measured),
            ("committed_at", lambda commit: self.history.get(commit)),
        ):
            patch = mock.patch.object(counts, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        self.measured: Counts = COUNTS

    def commit(
        self, figures: Counts, *, architecture: str = "", accepted: dict[str, Accepted] | None = None
    ) -> None:
        """Puts figures into the file of the working tree."""
        listed = [
            {"name": name, "calls": each["calls"], "totals": each["totals"]} for name, each in figures.items()
        ]
        context = {"architecture": architecture or platform.machine()}
        self.path.write_text(json.dumps({"context": context, "accepted": accepted or {}, "counts": listed}))

    def check(self) -> tuple[dict[str, str], str, int]:
        """Returns (why each failing count fails, all that is told, how many were compared)."""
        failing, told, compared = counts.check_committed(Path("binary"))
        return {counts.key_of(each): each.why for each in failing}, "\n".join(told), compared

    def test_equal_counts_fail_nothing(self) -> None:
        self.commit(COUNTS)
        self.history["HEAD"] = CountsFile({}, COUNTS, {})
        failing, told, compared = self.check()
        self.assertEqual((failing, compared), ({}, 10))
        self.assertIn("5 counts are compared with results/gate/counts.json: 5 are equal", told)
        self.assertIn("5 counts are compared with the previous commit's", told)
        self.assertNotIn("fewer", told)
        self.assertNotIn("a difference of up to", told)

    def test_a_count_that_rose_or_fell_or_is_gone_fails(self) -> None:
        self.commit(COUNTS)
        for total, why in (
            (31, ""),
            (29, "fewer than committed: "),
            (None, "the candidate does not count this"),
        ):
            self.measured = changed("get", "loads", total)
            failing, told, compared = self.check()
            self.assertEqual(list(failing), ["get: loads"])
            self.assertTrue(failing["get: loads"].startswith(why))
            self.assertEqual(bool(failing["get: loads"]), bool(why))
            self.assertEqual("fewer" in failing["get: loads"], total == 29)
            self.assertEqual(compared, 5)
            self.assertIn(": 4 are equal", told)
            self.assertIn("the previous commit has no counts, or is not in this clone", told)

    def test_another_machine_may_differ_by_a_hundredth(self) -> None:
        self.commit(changed("get", "loads", 1000, 10), architecture="another")
        for total, fails in ((1010, False), (1011, True), (989, True)):
            self.measured = changed("get", "loads", total)
            failing, told, _ = self.check()
            self.assertEqual(bool(failing), fails)
            self.assertIn("a difference of up to 1% is allowed", told)
        self.measured = changed("get", "loads", 1000)
        for bytes_, fails in ((1010.0, False), (1011.0, True)):
            self.measured["add"]["totals"]["bytes"] = bytes_
            self.assertEqual(bool(self.check()[0]), fails)

    def test_what_rose_since_the_previous_commit_fails_until_it_is_accepted(self) -> None:
        self.measured = changed("get", "loads", 31)
        self.history["HEAD"] = CountsFile({}, COUNTS, {})
        self.commit(self.measured)
        failing, told, compared = self.check()
        self.assertTrue(failing["get: loads"].startswith("more than the previous commit: scripts/gate --wri"))
        self.assertEqual(compared, 10)
        self.commit(self.measured, accepted={"get: loads": {"up_to": 3.1, "reason": "versions"}})
        failing, told, _ = self.check()
        self.assertEqual(failing, {})
        self.assertIn("accepted: get: loads: versions", told)

    def test_what_fell_or_is_new_since_the_previous_commit_is_welcome(self) -> None:
        self.measured = changed("get", "loads", 29)
        self.history["HEAD"] = CountsFile({}, {"get": COUNTS["get"]}, {})
        self.commit(self.measured)
        failing, told, _ = self.check()
        self.assertEqual(failing, {})
        self.assertIn("compared with the previous commit's: 1 are fewer", told)

    def test_what_the_previous_commit_counted_must_still_be_counted(self) -> None:
        self.measured = {"get": COUNTS["get"]}
        self.history["HEAD"] = CountsFile({}, COUNTS, {})
        self.commit(self.measured)
        self.assertEqual(list(self.check()[0]), ["add"])

    def test_where_head_has_the_same_file_its_parent_is_the_previous_commit(self) -> None:
        self.measured = changed("get", "loads", 31)
        self.commit(self.measured)
        self.history = {"HEAD": counts.read_counts(self.path), "HEAD^": CountsFile({}, COUNTS, {})}
        self.assertEqual(list(self.check()[0]), ["get: loads"])

    def test_counts_that_rose_are_written_with_a_reason_only(self) -> None:
        self.history["HEAD"] = CountsFile({}, COUNTS, {})
        risen = changed("get", "loads", 31)
        more, written = counts.write_committed(risen, None)
        self.assertEqual(([counts.key_of(each) for each in more], written), (["get: loads"], False))
        self.assertFalse(self.path.exists())
        more, written = counts.write_committed(risen, "versions")
        self.assertTrue(written)
        document = counts.read_counts(self.path)
        self.assertEqual(document.counts, risen)
        self.assertEqual(document.accepted, {"get: loads": {"up_to": 3.1, "reason": "versions"}})
        self.assertEqual(document.context["architecture"], platform.machine())

    def test_what_is_gone_needs_a_reason_and_what_is_new_does_not(self) -> None:
        self.history["HEAD"] = CountsFile({}, COUNTS, {})
        self.assertFalse(counts.write_committed({"get": COUNTS["get"]}, None)[1])
        self.assertTrue(counts.write_committed({**COUNTS, "new": COUNTS["add"]}, None)[1])
        self.assertTrue(counts.write_committed(changed("get", "loads", 29), None)[1])

    def test_a_reason_stays_for_as_long_as_its_count(self) -> None:
        accepted: dict[str, Accepted] = {
            "get: loads": {"up_to": 3, "reason": "old"},
            "add: rmws": {"up_to": 7, "reason": "gone"},
        }
        self.history["HEAD"] = CountsFile({}, COUNTS, accepted)
        counts.write_committed(COUNTS, None)
        self.assertEqual(
            counts.read_counts(self.path).accepted, {"get: loads": {"up_to": 3, "reason": "old"}}
        )
        self.history = {}
        self.assertEqual(counts.write_committed(COUNTS, None), ([], True))

    def test_the_command_has_a_status_for_each_outcome(self) -> None:
        rose, gone = CountFinding("get", "loads", REGRESSION, 3, 4), CountFinding(
            "get", "", NO_DATA, why="gone"
        )
        fewer = CountFinding("get", "loads", IMPROVEMENT, 4, 3)
        cases: list[tuple[list[CountFinding], int]] = [
            ([], 0),
            ([rose], 1),
            ([gone], 3),
            ([gone, rose], 1),
            ([fewer], 3),
        ]
        for failing, status in cases:
            said = io.StringIO()
            with mock.patch.object(command, "counts_of_this_build", lambda: Path("binary")):
                with mock.patch.object(counts, "check_committed", lambda binary: (failing, ["told"], 5)):
                    with contextlib.redirect_stdout(said):
                        self.assertEqual(command.check_counts(), status)
            last = said.getvalue().splitlines()[-1]
            self.assertEqual(last, f"counts: {5 - len(failing)} passed, {len(failing)} failed")
            self.assertIn("told", said.getvalue())


if __name__ == "__main__":
    unittest.main()
