"""scripts/gate from its command line to its exit status: saved runs, counts of a build, and what goes wrong.
"""

from __future__ import annotations

import contextlib
import io
import json
import unittest
from pathlib import Path
from typing import Any, Callable
from unittest import mock

from bench.results import Json
from common import repository
from common.failure import Failure
from gate import command, comparison, counts, refs, report, runs
from gate.counts import CountFinding, CountsFailed
from gate.report import Comparison
from gate.statistics import IMPROVEMENT, NO_DATA, PASS, REGRESSION, Effect, Finding, Rules
from runner_case import RunnerCase
from tree import Case

CONTEXT: Json = {
    "machine": {"cpu": "made up", "cores": 2},
    "compiler": "c++",
    "flags": "-O3",
    "dataset": "random",
    "interleaved": "session",
    "commit": "c0ffee0",
}
COUNTED: Json = {"name": "get", "calls": 10, "totals": {"loads": 30}}
NAME = "search/mutex/n:1/threads:1"


def saved(factor: float = 1.0, **more: Any) -> Json:
    """Returns a saved run of two benchmarks that takes `factor` times as long."""
    entries = [
        {"name": name, "ops": 1e6 / factor * (1 + pair % 7 / 1000), "pair": pair}
        for name in (NAME, NAME.replace("mutex", "rwlock"))
        for pair in range(20)
    ]
    return {"context": CONTEXT, "benchmarks": entries, "counts": [COUNTED], **more}


class WholeTest(Case):
    def test_a_file_that_is_not_there_ends_the_command_with_3(self) -> None:
        done = self.run_it(self.command("gate", "--baseline", "none", "--candidate", "none"))
        self.assertEqual(done.returncode, 3)
        self.assert_one_line(done.stderr, "scripts/gate: none: No such file or directory")


class GateCase(RunnerCase):
    """Each test has a folder of its own."""

    def status(self, *flags: object) -> tuple[int, str, str]:
        """Returns (exit status, stdout, stderr) of scripts/gate with these flags."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = command.run([str(flag) for flag in flags])
        return status, out.getvalue(), err.getvalue()

    def file(self, name: str, document: object) -> Path:
        """Returns a file of this JSON."""
        path = self.folder / name
        path.write_text(json.dumps(document))
        return path

    def compare(self, baseline: Json, candidate: Json, *flags: object) -> tuple[int, str, str]:
        """Returns the outcome of a comparison of two saved runs."""
        self.replace(comparison, "load_floors", lambda options, context, notes: [{}, {}])
        files = ("--baseline", self.file("old", baseline), "--candidate", self.file("new", candidate))
        return self.status(*files, *flags)


class FilesTest(GateCase):
    def test_equal_runs_pass(self) -> None:
        status, said, _ = self.compare(saved(), saved())
        self.assertEqual(status, 0)
        self.assertIn("Pass: 2 benchmarks and 1 counts", said)
        self.assertIn("old (commit c0ffee0)", said)
        self.assertNotIn("interleaved", said)

    def test_a_slower_run_is_a_regression_and_says_how_to_see_it_again(self) -> None:
        status, said, _ = self.compare(
            saved(), saved(1.2, context={**CONTEXT, "commit": "c0ffee1", "dirty": True})
        )
        self.assertEqual(status, 1)
        self.assertIn("(commit c0ffee1, with changes)", said)
        again = "scripts/gate --refs c0ffee0 c0ffee1 --all --filter"
        self.assertIn(again, said)
        status, said, _ = self.compare(saved(), saved(1.2, context={**CONTEXT, "commit": None}))
        self.assertIn("build/release/bench/hotindex_bench '--benchmark_filter=^(search/", said)

    def test_a_count_that_rose_is_a_regression(self) -> None:
        more = {"name": "get", "calls": 10, "totals": {"loads": 31}}
        status, said, _ = self.compare(saved(), saved(counts=[more]))
        self.assertEqual(status, 1)
        self.assertIn("get has 3.1 atomic loads an operation instead of 3", said)
        self.assertIn("scripts/gate --refs c0ffee0 c0ffee0 --measures counts,instructions --filter", said)
        self.assertEqual(self.compare(saved(), saved(counts=[more]), "--filter", "search")[0], 0)

    def test_counts_alone_can_be_compared(self) -> None:
        alone = {"context": {**CONTEXT, "dataset": None}, "counts": [COUNTED]}
        status, said, _ = self.compare(alone, {**alone, "context": {**CONTEXT, "dataset": "other"}})
        self.assertEqual(status, 0)
        self.assertIn("Pass: 1 counts", said)

    def test_runs_that_were_not_interleaved_are_told(self) -> None:
        other = {**CONTEXT, "interleaved": None}
        status, said, _ = self.compare(saved(), saved(context=other))
        self.assertIn("note: the runs were not interleaved", said)

    def test_runs_that_cannot_be_compared_are_status_3(self) -> None:
        other = {**CONTEXT, "machine": {"cpu": "another", "cores": 2}}
        status, said, err = self.compare(saved(), saved(context=other))
        self.assertEqual((status, said), (3, ""))
        self.assertIn("scripts/gate: not comparable: ", err)
        self.assertIn("--across machine compares them all the same", err)
        status, said, _ = self.compare(saved(), saved(context=other), "--across", "machine")
        self.assertEqual(status, 0)
        self.assertIn("note: compared in spite of another machine: ", said)

    def test_a_benchmark_that_is_missing_is_status_3_unless_that_is_allowed(self) -> None:
        less = saved()
        less["benchmarks"] = less["benchmarks"][:20]
        for sides in ((saved(), less), (less, saved())):
            self.assertEqual(self.compare(*sides)[0], 3)
            self.assertEqual(self.compare(*sides, "--allow-missing", "rwlock")[0], 0)
            self.assertEqual(self.compare(*sides, "--filter", "/mutex/|get")[0], 0)

    def test_counts_of_one_side_alone_are_no_data(self) -> None:
        without = saved()
        del without["counts"]
        for sides in ((saved(), without), (without, saved())):
            status, said, _ = self.compare(*sides)
            self.assertEqual(status, 3)
            self.assertIn("does not count this operation", said)
        self.assertEqual(self.compare(without, without)[0], 0)
        times = {**CONTEXT, "dataset": "other"}
        self.assertEqual(self.compare(saved(), {"context": times, "counts": [COUNTED]})[0], 3)

    def test_one_look_has_the_whole_level_and_the_first_floor(self) -> None:
        few, slow = saved(), saved(1.3)
        for each in (few, slow):
            each["benchmarks"] = [entry for entry in each["benchmarks"] if entry["pair"] < 7][:7]
        self.assertEqual(self.compare(few, slow)[0], 1)  # 1/128 is below 0.01
        self.replace(comparison, "load_floors", lambda options, context, notes: [{NAME: 0.5}, {}])
        files = ("--baseline", self.folder / "old", "--candidate", self.folder / "new")
        self.assertEqual(self.status(*files)[0], 2)

    def test_too_few_pairs_are_status_2(self) -> None:
        few = saved()
        few["benchmarks"] = [each for each in few["benchmarks"] if each["pair"] < 5]
        status, said, _ = self.compare(few, few)
        self.assertEqual(status, 2)
        self.assertIn("Cannot decide on 2 of 2 benchmarks", said)

    def test_a_minimum_effect_can_be_chosen(self) -> None:
        self.assertEqual(self.compare(saved(), saved(1.04))[0], 0)
        self.assertEqual(self.compare(saved(), saved(1.04), "--minimum-effect", "3")[0], 1)

    def test_what_was_asked_for_is_written(self) -> None:
        document, page = self.folder / "a" / "gate.json", self.folder / "gate.md"
        self.compare(saved(), saved(1.2), "--json", document, "--markdown", page)
        written = json.loads(document.read_text())
        self.assertEqual(
            (written["exit_status"], written["machine"]), (1, "made up, 2 cores · c++ · commit c0ffee0")
        )
        self.assertEqual(len(written["benchmarks"]), 2)
        self.assertIn("Benchmark gate: regression", page.read_text())

    def test_data_that_cannot_be_used_are_status_3(self) -> None:
        unusable: list[Json] = [{}, {"benchmarks": []}, {"counts": []}, {**saved(), "counts": []}]
        for document in unusable:
            status, _, err = self.compare(saved(), document)
            self.assertEqual(status, 3)
            self.assertIn("scripts/gate: ", err)
        status, _, err = self.status("--baseline", self.folder / "none", "--candidate", self.folder / "none")
        self.assertEqual(status, 3)
        self.assertIn("No such file", err)


class CommandTest(GateCase):
    def test_each_task_gives_its_status(self) -> None:
        for flags, name in (
            ("--refs a b", "compare_refs"),
            ("--calibrate", "calibrate"),
            ("--self-test", "self_test"),
            ("--check-counts", "check_counts"),
            ("--write-counts", "write_counts"),
        ):
            for status in (0, 1, 2):
                self.replace(command, name, lambda *options: status)
                self.assertEqual(self.status(*flags.split())[0], status)

    def test_what_goes_wrong_is_status_3_and_told(self) -> None:
        faults: list[tuple[BaseException, str]] = [
            (Failure("no data"), "scripts/gate: no data\n"),
            (OSError(28, "No space left on device", "x"), "scripts/gate: x: No space left on device\n"),
            (SystemExit("words"), ""),
            (ValueError("odd"), "scripts/gate: this is a fault of the gate itself\n"),
        ]
        for fault, told in faults:

            def fails() -> int:
                raise fault

            self.replace(command, "check_counts", fails)
            status, _, err = self.status("--check-counts")
            self.assertEqual(status, 3)
            self.assertTrue(err.endswith(told), err)
            self.assertEqual("Traceback" in err, isinstance(fault, ValueError))

    def test_an_exit_status_of_its_own_stays(self) -> None:
        for flags in ("--nonsense", "", "--refs a b --calibrate", "--baseline a"):
            status, _, err = self.status(*flags.split())
            self.assertEqual(status, 3)
            self.assertIn("See scripts/gate --help", err)
        self.assertEqual(self.status("--help")[0], 0)

    def test_counts_that_rose_are_not_written_without_a_reason(self) -> None:
        rose = [CountFinding("get", "loads", REGRESSION, 3, 4)]
        counted = {"get": {"calls": 1, "totals": {"loads": 4, "stores": 1}}}
        self.replace(command, "counts_of_this_build", lambda: Path("binary"))
        self.replace(counts, "take_counts", lambda binary: counted)
        self.replace(counts, "write_committed", lambda counts, reason: (rose, bool(reason)))
        status, said, err = self.status("--write-counts")
        self.assertEqual(status, 3)
        self.assertIn("more than before: get has 4", said)
        self.assertIn("--accept", err)
        status, said, err = self.status("--write-counts", "--accept", "versions")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("accepted: get has 4", said)
        self.assertIn("2 counts of 1 operations", said)

    def test_the_counts_are_of_this_build(self) -> None:
        built: list[object] = []
        version = mock.Mock()
        version.binary.return_value = Path("binary")
        self.replace(refs, "working_tree", lambda: version)
        self.replace(refs, "FOLDER", self.folder / "a" / "gate")
        self.replace(refs, "build", lambda *words: built.append(words))
        self.assertEqual(command.counts_of_this_build(), Path("binary"))
        self.assertEqual(command.counts_of_this_build(), Path("binary"))
        self.assertEqual(built, [(version, ("operation_counts",), ("operation_counts",))] * 2)
        version.binary.assert_called_with("operation_counts")


class TakingTest(GateCase):
    """Counts from the programs that count."""

    def program_at(self, name: str, script: str) -> Path:
        """Returns a program that does so."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def test_counts_are_read_of_a_program(self) -> None:
        written = json.dumps({"counts": [COUNTED]})
        script = f"printf '%s\\n' \"$@\" >{self.folder}/flags; echo '{written}' >\"${{1#--json=}}\""
        binary = self.program_at("operation_counts", script)
        self.assertEqual(counts.take_counts(binary), {"get": {"calls": 10, "totals": {"loads": 30}}})
        self.assertEqual(len((self.folder / "flags").read_text().split()), 1)
        counts.take_counts(binary, "store")
        self.assertEqual((self.folder / "flags").read_text().split()[1], "--plant=store")

    def test_a_program_that_fails_or_writes_nothing_is_a_failure(self) -> None:
        with self.assertRaisesRegex(CountsFailed, "operation_counts failed: .*no memory"):
            counts.take_counts(self.program_at("operation_counts", "echo no memory >&2; exit 1"))
        with self.assertRaisesRegex(CountsFailed, "none: No such file"):
            counts.take_counts(self.folder / "none")
        with self.assertRaisesRegex(Failure, "No such file"):
            counts.take_counts(self.program_at("operation_counts", "exit 0"))

    def instructions(self, script: str) -> object:
        """Returns the instructions counted by a valgrind that does so; $folder is where it writes."""
        folder = (
            'for word; do case $word in --callgrind-out-file=*) folder=$(dirname "${word#*=}") ;; esac; done'
        )
        self.replace(counts, "CALLGRIND", str(self.program_at("valgrind", f"{folder}\n{script}")))
        return counts.take_instructions(Path("driver"))

    def test_instructions_are_those_between_the_marks(self) -> None:
        two = "echo get of 1 10; echo add 5; echo 'summary: 700' >$folder/out.1"
        two += "; echo 'summary: 80' >$folder/out.2"
        found = {
            name: {"calls": n, "totals": {"instructions": i}}
            for name, n, i in (("get of 1", 10, 700), ("add", 5, 80))
        }
        self.assertEqual(self.instructions(two), found)

    def test_instructions_that_were_not_counted_are_a_failure(self) -> None:
        for script, why in (
            ("echo get 10", "wrote no instructions for get"),
            ("echo get 10; echo 'summary: 0' >$folder/out.1", "wrote no instructions for get"),
            ("echo get 10; echo 'nothing' >$folder/out.1", "wrote no instructions for get"),
            ("exit 0", "driver measured nothing"),
            ("echo wrong >&2; exit 3", "valgrind failed: wrong"),
            ("exit 3", "valgrind failed: 3"),
        ):
            with self.subTest(why=why), self.assertRaisesRegex(CountsFailed, why):
                self.instructions(script)
        self.replace(counts, "CALLGRIND", str(self.folder / "none"))
        with self.assertRaisesRegex(CountsFailed, "valgrind is not installed"):
            counts.take_instructions(Path("driver"))

    def test_figures_of_a_commit(self) -> None:
        def at(text: str | None) -> Callable[[str, Path], str | None]:
            return lambda commit, path: text

        accepted = {"get: loads": {"up_to": 3, "reason": "why"}}
        self.replace(repository, "file_at", at(json.dumps({"counts": [COUNTED], "accepted": accepted})))
        found = counts.committed_at("HEAD")
        assert found
        self.assertEqual(found.counts["get"]["totals"], {"loads": 30})
        self.assertEqual(counts.accepted_at("HEAD"), accepted)
        self.replace(repository, "file_at", at(None))
        self.assertIsNone(counts.committed_at("HEAD"))
        self.assertEqual(counts.accepted_at("HEAD"), {})
        self.replace(repository, "file_at", at(json.dumps({"counts": []})))
        with self.assertRaisesRegex(Failure, "^HEAD:results/gate/counts.json"):
            counts.committed_at("HEAD")

    def refuse(self, refusal: BaseException) -> None:
        """Has git refuse."""

        def fails(*_: object) -> None:
            raise refusal

        self.replace(repository, "file_at", fails)

    def test_without_git_the_previous_commit_is_not_compared_with(self) -> None:
        self.refuse(repository.NoRepository("no clone"))
        self.assertIsNone(counts.committed_at("HEAD"))
        self.refuse(repository.GitRefused("dubious"))
        self.replace(counts, "COMMITTED", self.file("counts.json", {"counts": [COUNTED]}))
        self.replace(counts, "take_counts", lambda binary: {"get": {"calls": 10, "totals": {"loads": 31}}})
        failing, told, compared = counts.check_committed(Path("binary"))
        self.assertEqual((len(failing), compared), (1, 1))
        self.assertEqual(told[-1], "not compared with the previous commit: dubious")


def finding(name: str, verdict: str, why: str = "", runs: tuple[int, int] = (30, 30)) -> Finding:
    """Returns a finding on times."""
    effect = Effect(1.2, (1.1, 1.3), (1.05, 1.4), 1e-6, 0.01, 0.05, 1e-6, 1.2e-6)
    return Finding(name, verdict, why, None if verdict == NO_DATA else effect, runs)


TERMINAL = """
baseline: old
candidate: new

Time of an operation, candidate / baseline: above 1 is slower. A regression needs the threshold, and a
test that holds for all benchmarks together.
  benchmark  ratio of time    95% interval  threshold   pairs  verdict
  slow               1.200  1.100 to 1.300       5.0%      30  regression
  gone                   -               -          -  30, 29  no data: lost
  same               1.200  1.100 to 1.300       5.0%      30  pass

3 counts (operations on shared memory, allocations, bytes, instructions): 1 are as they were
  operation       measure  baseline  candidate  verdict
  get        atomic loads         3          4  regression: pin +1
  add                   -         -          -  no data: gone

note: a note
SENTENCE
"""
PAGE = """## ❌ Benchmark gate: regression

SENTENCE.

Baseline old, candidate new; a machine.
- note: a note

### Times

| benchmark | ratio of time | 95% interval | threshold | pairs | verdict |
| --- | --: | --: | --: | --: | --- |
| slow | 1.200 | 1.100 to 1.300 | 5.0% | 30 | regression |
| gone | - | - | - | 30, 29 | no data: lost |

<details><summary>1 benchmarks pass</summary>

| benchmark | ratio of time | 95% interval | threshold | pairs | verdict |
| --- | --: | --: | --: | --: | --- |
| same | 1.200 | 1.100 to 1.300 | 5.0% | 30 | pass |

</details>

### Counts

3 counts (operations on shared memory, allocations, bytes, instructions): 1 are as they were.

| operation | measure | baseline | candidate | verdict |
| --- | --: | --: | --: | --- |
| get | atomic loads | 3 | 4 | regression: pin +1 |
| add | - | - | - | no data: gone |
"""


class PrintedTest(unittest.TestCase):
    """The report as a reader sees it, word for word."""

    def setUp(self) -> None:
        findings = [
            finding("slow", REGRESSION),
            finding("same", PASS),
            finding("gone", NO_DATA, "lost", (30, 29)),
        ]
        counted = [
            CountFinding("get", "loads", REGRESSION, 3, 4, "pin +1"),
            CountFinding("get", "stores", PASS, 3, 3),
            CountFinding("add", "", NO_DATA, why="gone"),
        ]
        self.whole = Comparison("old", "new", findings, counted, Rules(), "a machine", ["a note"])

    def printed(self, each: Comparison) -> str:
        """Returns what is printed of a comparison."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            report.print_report(each)
        return said.getvalue()

    def test_on_a_terminal(self) -> None:
        self.assertEqual(self.printed(self.whole), TERMINAL.replace("SENTENCE", report.sentence(self.whole)))

    def test_on_a_page(self) -> None:
        self.assertEqual(report.markdown(self.whole), PAGE.replace("SENTENCE", report.sentence(self.whole)))

    def test_a_table_that_would_be_empty_is_not_there(self) -> None:
        counts_alone = Comparison("old", "new", [], [CountFinding("get", "stores", PASS, 3, 3)], Rules())
        said = self.printed(counts_alone)
        self.assertNotIn("benchmark ", said)
        self.assertNotIn("operation  ", said)
        self.assertIn("1 counts", said)
        page = report.markdown(counts_alone)
        self.assertNotIn("| operation |", page)
        self.assertNotIn("Times", page)
        times_alone = Comparison("old", "new", [finding("same", PASS)], [], Rules())
        self.assertNotIn("counts", self.printed(times_alone))
        self.assertNotIn("Counts", report.markdown(times_alone))
        self.assertNotIn("Times", report.markdown(times_alone))
        slow_alone = Comparison("old", "new", [finding("slow", REGRESSION)], [], Rules())
        self.assertNotIn("pass", report.markdown(slow_alone))

    def test_numbers_and_chances(self) -> None:
        self.assertEqual([report.number(x) for x in (999.96, 1000, 12345.6)], ["1000", "1,000", "12,346"])
        self.assertEqual(
            [report.chance(p) for p in (9e-5, 1e-4, 0.5)], ["below 1 in 10,000", "1 in 10,000", "1 in 2"]
        )
        lacking = CountFinding("get", "loads", NO_DATA, 3, None, "gone")
        self.assertEqual(report.counted(lacking), "get (atomic loads): gone")
        memory = CountFinding("get", "bytes", REGRESSION, 100, 2000)
        self.assertEqual(report.counted(memory), "get has 2,000 bytes a vector instead of 100")

    def test_separate_runs_are_no_pairs(self) -> None:
        each = finding("a", IMPROVEMENT)
        each.paired = False
        self.assertEqual(
            [report.rows_of_times([each])[0][4], report.rows_of_times([])[0][4]], ["runs", "pairs"]
        )
        each.verdict = REGRESSION
        assert each.effect
        self.assertIn("30 runs a side", report.slower(each, each.effect))

    def test_only_what_it_is_about_is_counted_in_the_sentence(self) -> None:
        lost = [finding("b", PASS), finding("a", NO_DATA, "lost")]
        self.assertEqual(
            report.sentence(Comparison("", "", lost, [], Rules())), "No verdict, data are missing: a: lost"
        )
        rose = [CountFinding("a", "loads", REGRESSION, 3, 4), CountFinding("b", "loads", PASS, 3, 3)]
        self.assertNotIn("more counts", report.sentence(Comparison("", "", [], rose, Rules())))

    def test_a_run_of_counts_alone_and_its_repetitions(self) -> None:
        run = runs.SavedRun("f", {}, {"a": {0: 1.0, 1: 1.0}, "b": {0: 1.0}}, {"b": "x", "c": "y"})
        self.assertEqual((runs.repetitions(run), run.names), ((1, 2), ["a", "b", "c"]))
        self.assertEqual(runs.repetitions(runs.SavedRun("f", {}, {}, {})), (0, 0))
        self.assertEqual(runs.document({"a": 1}, [], {}), {"context": {"a": 1}, "benchmarks": []})
        counted = runs.document({}, [], {"get": {"calls": 1, "totals": {}}})["counts"]
        self.assertEqual(counted, [{"name": "get", "calls": 1, "totals": {}}])


if __name__ == "__main__":
    unittest.main()
