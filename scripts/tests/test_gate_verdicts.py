"""What the gate makes of saved runs and of all findings together: verdict, sentence, exit status."""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import math
import unittest
from pathlib import Path
from typing import Any

from bench.results import BadResults
from gate import comparison, report, runs
from gate.counts import CountFinding
from gate.report import Comparison
from gate.statistics import IMPROVEMENT, NO_DATA, PASS, REGRESSION, UNDECIDED, Effect, Finding, Rules

EFFECT = Effect(1.2, (1.1, 1.3), (1.05, 1.4), 1e-6, 0.01, 0.05, 1e-6, 1.2e-6)


def finding(name: str, verdict: str, why: str = "", ratio: float = 1.2) -> Finding:
    """Returns a finding on times."""
    effect = copy.copy(EFFECT)
    effect.ratio = ratio
    return Finding(name, verdict, why, None if verdict == NO_DATA else effect, (30, 30))


class ReportTest(unittest.TestCase):
    def comparison(self, *findings: Finding, counted: list[CountFinding] | None = None) -> Comparison:
        """Returns a comparison with these findings."""
        return Comparison("old", "new", list(findings), counted or [], Rules())

    def test_the_worst_verdict_is_that_of_all_and_gives_the_status(self) -> None:
        cases: list[tuple[list[str], str, int]] = [
            ([], NO_DATA, 3),
            ([PASS], PASS, 0),
            ([PASS, IMPROVEMENT], PASS, 0),
            ([PASS, UNDECIDED], UNDECIDED, 2),
            ([PASS, NO_DATA, UNDECIDED], NO_DATA, 3),
            ([REGRESSION, NO_DATA, UNDECIDED, PASS], REGRESSION, 1),
        ]
        for verdicts, verdict, status in cases:
            each = self.comparison(*(finding(str(i), verdict) for i, verdict in enumerate(verdicts)))
            self.assertEqual((each.verdict, each.status), (verdict, status))
            counted = [CountFinding("get", "loads", verdict, 3, 4) for verdict in verdicts]
            each = self.comparison(*([finding("a", PASS)] if verdicts else []), counted=counted)
            self.assertEqual((each.verdict, each.status), (verdict, status))

    def said(self, *findings: Finding, counted: list[CountFinding] | None = None) -> str:
        """Returns the sentence on these findings."""
        return report.sentence(self.comparison(*findings, counted=counted))

    def test_the_sentence_names_the_worst_regression(self) -> None:
        said = self.said(finding("a", REGRESSION), finding("b", REGRESSION, ratio=1.5), finding("c", PASS))
        self.assertIn("Regression: b takes 50.0% longer (95% interval +10.0% to +30.0%, 30 pairs", said)
        self.assertIn("; 1 more got slower", said)
        self.assertIn("below 1 in 10,000", said)
        self.assertNotIn("more", self.said(finding("a", REGRESSION)))
        more = [CountFinding("get", "loads", REGRESSION, 3, 4), CountFinding("add", "rmws", REGRESSION, 1, 2)]
        said = self.said(counted=more)
        self.assertIn("get has 4 atomic loads an operation instead of 3: counted, so there is no doubt", said)
        self.assertIn("; 1 more counts rose", said)

    def test_the_sentence_says_how_to_see_it_again(self) -> None:
        each = self.comparison(
            finding("a", REGRESSION), counted=[CountFinding("get", "loads", REGRESSION, 3, 4)]
        )
        each.reproduce = lambda name: f"again {name}"
        self.assertIn("; and get has 4", report.sentence(each))
        self.assertTrue(report.sentence(each).endswith(". To reproduce it: again a"))

    def test_the_sentence_says_what_is_missing_and_what_is_not_decided(self) -> None:
        lacking = [finding(f"b{i}", NO_DATA, "lost") for i in range(4)]
        self.assertIn(
            "No verdict, data are missing: b0: lost; b1: lost; b2: lost; and 1 more", self.said(*lacking)
        )
        self.assertNotIn("more", self.said(*lacking[:3]))
        gone = CountFinding("get", "", NO_DATA, why="gone")
        self.assertIn("get: gone", self.said(counted=[gone]))
        open_ = [finding(f"b{i}", UNDECIDED) for i in range(7)]
        self.assertIn("Cannot decide on 7 of 8 benchmarks: b0, ", self.said(*open_, finding("a", PASS)))
        self.assertIn("b5 and 1 more; nothing else got slower", self.said(*open_))
        self.assertNotIn("more", self.said(*open_[:6]))
        self.assertEqual(self.said(), "No verdict: nothing was compared")

    def test_the_sentence_of_a_pass_counts_what_was_compared(self) -> None:
        counted = [CountFinding("get", "loads", PASS, 3, 3)]
        self.assertEqual(
            self.said(finding("a", PASS), finding("b", IMPROVEMENT), counted=counted),
            "Pass: 2 benchmarks and 1 counts; a slowdown of 10% or more is excluded for each benchmark; "
            "1 improved",
        )
        self.assertEqual(self.said(counted=counted), "Pass: 1 counts")

    def test_the_document_and_the_page_hold_the_verdict(self) -> None:
        each = self.comparison(finding("a|b", REGRESSION), finding("c", PASS), finding("d", NO_DATA, "lost"))
        document = report.document(each)
        self.assertEqual((document["verdict"], document["exit_status"]), (REGRESSION, 1))
        self.assertEqual([row["verdict"] for row in document["benchmarks"]], [REGRESSION, PASS, NO_DATA])
        self.assertEqual([row["ratio"] for row in document["benchmarks"]], [1.2, 1.2, None])
        page = report.markdown(each)
        self.assertIn("Benchmark gate: regression", page)
        self.assertIn(r"| a\|b | 1.200 | 1.100 to 1.300 | 5.0% | 30 | regression |", page)
        self.assertIn("1 benchmarks pass", page)
        self.assertLess(page.index("no data: lost"), page.index("<details>"))

    def test_tables_have_the_worst_first(self) -> None:
        verdicts = (PASS, IMPROVEMENT, UNDECIDED, NO_DATA, REGRESSION)
        rows = report.rows_of_times([finding(verdict, verdict) for verdict in verdicts])
        self.assertEqual([row[0] for row in rows[1:]], [REGRESSION, NO_DATA, UNDECIDED, IMPROVEMENT, PASS])
        counted = [CountFinding(verdict, "loads", verdict, 3, 4) for verdict in verdicts]
        rows = report.rows_of_counts(counted)
        self.assertEqual([row[0] for row in rows[1:]], [REGRESSION, NO_DATA, UNDECIDED, IMPROVEMENT])
        self.assertIn("5 counts", report.count_words(counted))
        self.assertIn("1 are as they were", report.count_words(counted))


class RunsTest(unittest.TestCase):
    """take_times(), samples(): what is read of a saved run."""

    def times(self, *entries: Any) -> tuple[dict[str, dict[int, float]], dict[str, str]]:
        """Returns what is read of these entries."""
        return runs.take_times("file", list(entries))

    def test_rates_become_seconds_by_pair_or_position(self) -> None:
        found = self.times(
            {"name": "a", "ops": 4.0, "items_per_second": 9.0},
            {"name": "a", "items_per_second": 2},
            {"name": "a", "run_type": "aggregate", "ops": 1},
            {"name": "b", "ops": 5, "pair": 7},
        )
        self.assertEqual(found, ({"a": {0: 0.25, 1: 0.5}, "b": {7: 0.2}}, {}))

    def test_a_failure_or_a_zero_is_a_trouble_and_no_time(self) -> None:
        times, troubles = self.times(
            {"name": "a", "error_occurred": True, "error_message": "wrong", "ops": 1},
            {"name": "b", "skipped": "error", "skip_message": "left", "ops": 1},
            {"name": "c", "ops": 0},
            {"name": "d", "error_occurred": True},
        )
        self.assertEqual(times, {})
        self.assertEqual(troubles["a"], "it failed: wrong")
        self.assertEqual(troubles["b"], "it failed: left")
        self.assertEqual(troubles["c"], "a run of it did 0 operations a second")
        self.assertEqual(troubles["d"], "it failed: no reason given")

    def test_what_is_no_measurement_is_refused(self) -> None:
        for entry in (
            {},
            {"name": 3},
            7,
            {"name": "a"},
            {"name": "a", "ops": "1"},
            {"name": "a", "ops": -1},
            {"name": "a", "ops": math.nan},
            {"name": "a", "ops": math.inf},
            {"name": "a", "ops": True},
            {"name": "a", "ops": 1, "pair": "1"},
            {"name": "a", "ops": 1, "pair": True},
        ):
            with self.subTest(entry=entry), self.assertRaises(BadResults):
                self.times(entry)
        with self.assertRaises(BadResults):
            self.times({"name": "a", "ops": 1, "pair": 3}, {"name": "a", "ops": 1, "pair": 3})
        with self.assertRaises(BadResults):
            self.times()

    def run_of(
        self, times: dict[str, dict[int, float]], session: str | None = "s", **troubles: str
    ) -> runs.SavedRun:
        """Returns a saved run, by default one side of a session."""
        context = {"interleaved": session} if session else {}
        return runs.SavedRun("file", context, times, troubles)

    def test_a_condition_in_words(self) -> None:
        self.assertEqual(runs.in_words({"a_b": 1, "c": 2}, {"a_b": 3, "c": 2}), "a b 1")
        self.assertEqual([runs.in_words(value, {"a": 1}) for value in ("x", None, 3)], ["'x'", "None", "3"])
        self.assertEqual(runs.in_words({"a": 1}, "x"), "{'a': 1}")

    def test_pairs_are_matched_by_number(self) -> None:
        a, b = self.run_of({"x": {1: 1.0, 2: 2.0}}), self.run_of({"x": {2: 20.0, 1: 10.0}})
        [each] = runs.samples(a, b)
        self.assertEqual((each.baseline.tolist(), each.candidate.tolist()), ([1, 2], [10, 20]))
        self.assertEqual((each.paired, each.trouble), (True, ""))

    def test_a_pair_without_one_of_its_sides_is_a_trouble(self) -> None:
        whole, short = {"x": {1: 1.0, 2: 2.0}}, {"x": {1: 1.0}}
        for a, b in ((whole, short), (short, whole)):
            [each] = runs.samples(self.run_of(a), self.run_of(b))
            self.assertEqual(each.trouble, "a pair lacks one of its sides")

    def test_a_benchmark_of_one_side_is_a_trouble(self) -> None:
        both = {"x": {1: 1.0}}
        found = runs.samples(self.run_of({**both, "old": {1: 1.0}}), self.run_of({**both, "new": {1: 1.0}}))
        self.assertEqual([each.name for each in found], ["x", "old", "new"])
        self.assertEqual(found[0].trouble, "")
        self.assertIn("the candidate lacks it", found[1].trouble)
        self.assertIn("the baseline lacks it", found[2].trouble)
        failed = runs.samples(self.run_of(both), self.run_of({}, x="it failed: wrong"))
        self.assertIn("the candidate: it failed: wrong", failed[0].trouble)
        [chosen] = runs.samples(self.run_of({**both, "old": {1: 1.0}}), self.run_of(both), "^x")
        self.assertEqual(chosen.name, "x")

    def test_separate_runs_are_not_paired(self) -> None:
        times = {"x": {1: 1.0, 2: 2.0}}
        for a, b in (("s", None), (None, "s"), (None, None), ("s", "t")):
            [each] = runs.samples(self.run_of(times, a), self.run_of({"x": {1: 1.0}}, b))
            self.assertEqual((each.paired, each.trouble, len(each.baseline)), (False, "", 2))

    def test_another_machine_compiler_dataset_or_setting_is_a_difference(self) -> None:
        context = {
            "machine": {"cpu": "x", "cores": 2},
            "compiler": "c",
            "flags": "-O3",
            "dataset": "d",
            "seed": 1,
        }

        def differ(**changes: Any) -> list[tuple[str, str]]:
            a = runs.SavedRun("a", context, {}, {})
            b = runs.SavedRun("b", {k: v for k, v in {**context, **changes}.items() if v is not None}, {}, {})
            return runs.differences(a, b)

        self.assertEqual(differ(), [])
        self.assertEqual(
            differ(machine={"cpu": "x", "cores": 4}), [("machine", "a has cores 2, b has cores 4")]
        )
        self.assertEqual(differ(compiler="e"), [("compiler", "a has 'c', b has 'e'")])
        self.assertEqual(differ(flags=None), [])  # what a file does not say is told, not refused
        self.assertEqual(differ(seed=2), [("settings", "a has seed 1, b has seed 2")])
        self.assertEqual(differ(seed=None), [])

    def test_what_a_file_does_not_say_is_told(self) -> None:
        def silent(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
            return runs.silences(runs.SavedRun("a", a, {}, {}), runs.SavedRun("b", b, {}, {}))

        same = ": make sure that it is the same on both sides"
        self.assertEqual(
            silent({}, {}), [f"a and b do not say the machine, the compiler and the flags{same}"]
        )
        whole = {"machine": {"cores": 2}, "compiler": "c", "flags": "-O3", "dataset": "d"}
        self.assertEqual(silent(whole, whole), [])
        self.assertEqual(silent({**whole, "seed": 1}, whole), [f"b does not say the settings{same}"])
        self.assertEqual(silent({**whole, "seed": 1}, {**whole, "seed": 2}), [])
        self.assertEqual(silent({**whole, "flags": None}, whole), [f"a does not say the flags{same}"])
        self.assertEqual(
            silent({**whole, "flags": None}, {**whole, "compiler": None, "dataset": None}),
            [f"b does not say the compiler and the dataset{same}", f"a does not say the flags{same}"],
        )

    def test_machines_are_compared_by_what_both_files_say_of_them(self) -> None:
        ours = {"machine": {"cpu": "x", "cores": 2}}
        cache = {"level": 2, "size": 1048576}
        google = {"num_cpus": 2, "caches": [cache]}

        def differ(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, str]]:
            return runs.differences(runs.SavedRun("a", a, {}, {}), runs.SavedRun("b", b, {}, {}))

        self.assertEqual(differ(ours, google), [])
        self.assertEqual(differ(google, google), [])
        self.assertEqual(differ(google, {}), [])
        self.assertEqual(
            differ(ours, {**google, "num_cpus": 4}), [("machine", "a has cores 2, b has cores 4")]
        )
        self.assertEqual(
            differ(google, {"num_cpus": 2, "caches": [{**cache, "size": 2048}]}),
            [("machine", "a has caches L2 1024 KiB, b has caches L2 2 KiB")],
        )


class FinishTest(unittest.TestCase):
    def test_only_what_is_allowed_may_be_missing(self) -> None:
        options = argparse.Namespace(allow_missing="^new/")
        findings = [
            finding("new/a", NO_DATA, "lost"),
            finding("old/a", NO_DATA, "lost"),
            finding("new/b", REGRESSION),
        ]
        notes: list[str] = []
        left = comparison.drop_allowed(findings, options, notes)
        self.assertEqual([each.name for each in left], ["old/a", "new/b"])
        self.assertEqual(notes, ["left out, as --allow-missing says: new/a: lost"])
        self.assertEqual(
            comparison.drop_allowed(findings, argparse.Namespace(allow_missing=None), []), findings
        )

    def finish(self, verdict: str, path: Path | None) -> int:
        """Returns the exit status where a comparison has this verdict, and is to be written there."""
        options = argparse.Namespace(allow_missing=None, json=path, markdown=None, chart=None)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return comparison.finish(Comparison("a", "b", [finding("x", verdict)], [], Rules()), options)

    def test_a_file_that_cannot_be_written_is_no_pass_and_hides_no_regression(self) -> None:
        nowhere = Path("/dev/null/none")
        self.assertEqual([self.finish(PASS, None), self.finish(PASS, nowhere)], [0, 3])
        self.assertEqual([self.finish(REGRESSION, nowhere), self.finish(UNDECIDED, nowhere)], [1, 2])


if __name__ == "__main__":
    unittest.main()
