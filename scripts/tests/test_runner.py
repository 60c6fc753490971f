"""scripts/test counts failures, whatever they come from: a report, an exit status, a program that does not
end. Made-up reports and programs stand in for the real ones."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import unittest
from pathlib import Path
from typing import Callable
from unittest import mock

from bench.results import Json
from common import builds as cmake
from common import child_processes, command_line
from common import repository
from common.repository import ROOT
from runner_case import RunnerCase, counts
from test import binaries, builds, catch_report, fuzzers, own_commands, run
from test.run import NotReached, Run, StepFailed, StepSkipped, Suite

CASE = """ <TestCase name="{name}" filename="a.cpp" line="3">
  <Section name="inside" filename="a.cpp" line="4">
   <Expression success="{good}" type="REQUIRE" filename="a.cpp" line="5">
    <Original> left == right </Original> <Expanded> 1 == 2 </Expanded>
   </Expression>
   <Info> the seed was 7 </Info>
  </Section>
  <OverallResult success="{good}" skips="{skips}"/>
 </TestCase>
"""
HEAD = '<?xml version="1.0"?>\n<Catch2TestRun name="unit_tests">\n'
END = """ <OverallResults successes="5" failures="2" expectedFailures="1"/>
 <OverallResultsCases successes="9" failures="9" expectedFailures="0"/>
</Catch2TestRun>
"""
GOOD, BAD, LEFT = (
    CASE.format(name=name, good=good, skips=skips)
    for name, good, skips in (("good", "true", 0), ("bad", "false", 0), ("left", "true", 1))
)


class ReportTest(RunnerCase):
    """What is read of Catch2's XML."""

    def read(self, text: str) -> tuple[Suite, bool, str]:
        """Returns (the counts, whether the report is complete, the case that never ended)."""
        path = self.folder / "report.xml"
        path.write_text(text)
        suite = Suite("unit")
        return (suite, *catch_report.read_catch_report(path, suite))

    def test_passes_failures_and_skips_are_counted(self) -> None:
        suite, complete, died = self.read(HEAD + GOOD + GOOD + BAD + LEFT + END)
        self.assertEqual((counts(suite), complete, died), ((2, 1, 1), True, ""))
        self.assertEqual(suite.assertions, 8)

    def test_a_failure_is_explained(self) -> None:
        suite, _, _ = self.read(HEAD + BAD + END)
        said = "\n".join(suite.report)
        for words in (
            "FAILED: bad  (a.cpp:3)",
            "in section: inside",
            "REQUIRE( left == right )  with  1 == 2",
        ):
            self.assertIn(words, said)
        self.assertIn("with: the seed was 7", said)
        self.assertNotIn("REQUIRE", "".join(self.read(HEAD + GOOD + END)[0].report))

    def test_what_held_and_what_says_nothing_is_not_told(self) -> None:
        held = '<Expression success="true" type="CHECK"><Original> fine </Original></Expression>'
        case = BAD.replace("<Info>", f"{held}<Info/><Info>").replace("<Original> left", "<Original> left")
        said = "".join(self.read(HEAD + case + END)[0].report)
        self.assertNotIn("fine", said)
        self.assertEqual(said.count("with:"), 1)
        self.assertEqual(said.count("left == right"), 1)

    def test_an_exception_is_explained(self) -> None:
        for tag in ("Exception", "Failure", "FatalErrorCondition"):
            thrown = BAD.replace("<Info>", f'<{tag} filename="a.cpp" line="8"> no memory </{tag}><Info>')
            self.assertIn(f"a.cpp:8: {tag}: no memory", "".join(self.read(HEAD + thrown + END)[0].report))

    def test_twenty_failures_are_explained_and_all_are_counted(self) -> None:
        suite, _, _ = self.read(HEAD + BAD * 25 + END)
        self.assertEqual((suite.failed, len(suite.report)), (25, 20))

    def test_a_case_without_a_result_is_a_failure(self) -> None:
        suite, _, _ = self.read(HEAD + ' <TestCase name="odd"></TestCase>\n' + END)
        self.assertEqual(counts(suite), (0, 1, 0))

    def test_a_report_that_ends_early_is_not_complete_and_names_the_case(self) -> None:
        for text, died in (
            (HEAD + GOOD + BAD.split("<OverallResult")[0], "bad"),
            (HEAD + GOOD, ""),
            ("", ""),
        ):
            suite, complete, last = self.read(text)
            self.assertEqual((suite.failed, complete, last), (0, False, died))
        suite = Suite("unit")
        self.assertEqual(catch_report.read_catch_report(self.folder / "none.xml", suite), (False, ""))

    def test_what_is_no_xml_is_told(self) -> None:
        for text in ("<a></b>", HEAD + GOOD + "</Oops>"):
            suite, complete, _ = self.read(text)
            self.assertFalse(complete)
            self.assertIn("not XML any more", "".join(suite.report))


class CatchTest(RunnerCase):
    """A Catch2 binary: its report, and its exit status."""

    def catch(self, report: str, end: str = "", properties: Json | None = None) -> Suite:
        """Returns the counts of a program that writes this report and ends so."""
        source = self.folder / "source.xml"
        source.write_text(report)
        script = f'cp {source} "$4"\n{end}'
        words = ["sh", "-c", script, "unit_tests"]
        return binaries.run_catch(self.state, self.folder, "unit_tests", words, properties or {})

    def test_a_report_without_failures_and_status_0_pass(self) -> None:
        suite = self.catch(HEAD + GOOD + LEFT + END)
        self.assertEqual((counts(suite), suite.report), ((1, 0, 1), []))

    def test_a_failure_is_told(self) -> None:
        suite = self.catch(HEAD + GOOD + BAD + END, "exit 1")
        self.assertEqual(counts(suite), (1, 1, 0))
        self.assertIn("FAILED: bad", "".join(suite.report))

    def test_a_bad_exit_status_after_a_report_without_failures_is_one(self) -> None:
        suite = self.catch(HEAD + GOOD + END, "echo 'WARNING: ThreadSanitizer: data race'; exit 66")
        self.assertEqual(counts(suite), (1, 1, 0))
        self.assertIn("unit_tests ended with status 66", "".join(suite.report))
        self.assertIn("ThreadSanitizer: data race", "".join(suite.report))

    def test_a_signal_is_a_failure_and_names_the_case(self) -> None:
        suite = self.catch(HEAD + GOOD + BAD.split("<OverallResult")[0], "kill -SEGV $$")
        self.assertEqual(counts(suite), (1, 1, 0))
        self.assertIn('unit_tests was ended by signal 11, in "bad"', "".join(suite.report))

    def test_a_report_that_is_cut_short_is_a_failure_whatever_the_status(self) -> None:
        suite = self.catch(HEAD + GOOD)
        self.assertEqual(counts(suite), (1, 1, 0))
        self.assertIn("ended with status 0", "".join(suite.report))

    def test_an_old_report_is_not_taken_for_a_new_one(self) -> None:
        (self.folder / f"{self.folder.name}-unit_tests.xml").write_text(HEAD + GOOD + END)
        words = ["sh", "-c", "exit 0", "unit_tests"]
        suite = binaries.run_catch(self.state, self.folder, "unit_tests", words, {})
        self.assertEqual(counts(suite), (0, 1, 0))

    def test_no_test_case_at_all_is_a_failure(self) -> None:
        suite = self.catch(HEAD + END)
        self.assertEqual(counts(suite), (0, 1, 0))
        self.assertIn("ran no test case", "".join(suite.report))

    def test_a_program_that_does_not_end_is_stopped_and_failed(self) -> None:
        suite = self.catch(HEAD + GOOD + END, "sleep 60", {"TIMEOUT": 0.3})
        self.assertEqual(counts(suite), (1, 1, 0))
        self.assertIn("stopped after 0 s", "".join(suite.report))

    def test_a_program_that_is_not_there_is_a_failure(self) -> None:
        suite = binaries.run_catch(self.state, self.folder, "unit_tests", [str(self.folder / "none")], {})
        self.assertEqual(counts(suite), (0, 1, 0))

    def test_a_sanitizers_report_beside_a_failure_is_shown(self) -> None:
        suite = self.catch(HEAD + BAD + END, "echo 'ERROR: AddressSanitizer: heap'; exit 1")
        self.assertEqual(counts(suite), (0, 1, 0))
        self.assertIn("AddressSanitizer: heap", "".join(suite.report))

    def test_what_ctest_sets_reaches_the_program(self) -> None:
        end = '[ "$SHADE" = green ] && [ "$PWD" = / ] && [ "$HOTINDEX_DEEP" = 1 ]'
        self.state = Run(argparse.Namespace(deep=True, quick=False))
        properties: Json = {"ENVIRONMENT": ["SHADE=green"], "WORKING_DIRECTORY": "/"}
        self.assertEqual(counts(self.catch(HEAD + GOOD + END, end, properties)), (1, 0, 0))
        self.assertEqual(counts(self.catch(HEAD + GOOD + END, end)), (1, 1, 0))

    def test_a_sanitizer_has_its_options_and_fixed_addresses(self) -> None:
        self.replace(cmake, "fixed_addresses", lambda: ["env", "FIXED=1"])
        for name, end in (
            ("tsan", '[ "$FIXED$TSAN_OPTIONS" = 1second_deadlock_stack=1 ]'),
            ("asan", '[ "$FIXED$UBSAN_OPTIONS" = print_stacktrace=1 ]'),
            ("release", '[ -z "$FIXED$TSAN_OPTIONS$UBSAN_OPTIONS" ]'),
        ):
            with mock.patch.dict(os.environ):
                for variable in ("TSAN_OPTIONS", "UBSAN_OPTIONS"):
                    os.environ.pop(variable, None)
                self.folder = self.folder / name
                self.folder.mkdir()
                self.assertEqual(counts(self.catch(HEAD + GOOD + END, end)), (1, 0, 0), name)
                self.folder = self.folder.parent
        with mock.patch.dict(os.environ, {"TSAN_OPTIONS": "mine"}):
            self.folder = self.folder / "tsan"
            self.assertEqual(counts(self.catch(HEAD + GOOD + END, '[ "$TSAN_OPTIONS" = mine ]')), (1, 0, 0))

    def test_what_ctest_lists_is_registered(self) -> None:
        listed = {
            "tests": [
                {"name": "a", "command": ["x", "y"], "properties": [{"name": "TIMEOUT", "value": 9}]},
                {"name": "b"},
            ]
        }

        def ctest(status: int, said: str) -> None:
            done = subprocess.CompletedProcess([], status, said, "")
            self.replace(
                child_processes, "run", lambda words, **options: done if options["capture_output"] else None
            )

        ctest(0, json.dumps(listed))
        self.assertEqual(
            binaries.registered_tests(self.folder), [("a", ["x", "y"], {"TIMEOUT": 9}), ("b", [], {})]
        )
        self.assertEqual(binaries.test_targets(self.folder), ["a", "b"])
        ctest(1, json.dumps(listed))
        self.assertEqual(binaries.registered_tests(self.folder), [])
        ctest(0, "{}")
        self.assertEqual(binaries.registered_tests(self.folder), [])

    def test_ctest_runs_one_test_by_its_whole_name(self) -> None:
        asked: list[tuple[object, ...]] = []

        def counting(run: Run, title: str, words: list[object], log: Path, folder: Path) -> Suite:
            asked.append((run, title, [str(word) for word in words], log.name, folder))
            return Suite(title, passed=7)

        self.replace(binaries, "run_counting", counting)
        self.replace(cmake, "fixed_addresses", lambda: ["fixed"])
        release, tsan = self.folder / "release", self.folder / "tsan"
        self.assertEqual(binaries.run_through_ctest(self.state, release, "a.b").passed, 7)
        binaries.run_through_ctest(self.state, tsan, "a")
        words = ["ctest", "--test-dir", str(release), "-R", r"^a\.b$", "-V", "--timeout", "900"]
        self.assertEqual(asked[0], (self.state, "release a.b", words, "release-a.b.log", release))
        self.assertEqual(asked[1][2][:2], ["fixed", "ctest"])  # type: ignore[index]

    def test_time_limits_are_those_of_the_test_else_of_the_run(self) -> None:
        self.assertEqual(run.time_limit(self.state, {"TIMEOUT": "30"}), 30)
        self.assertEqual(run.time_limit(self.state, {}), 900)
        self.state.options.deep = True
        self.assertEqual(run.time_limit(self.state, {}), 14400)

    def registered(self, *tests: binaries.Test) -> None:
        """Has ctest know these tests."""
        self.replace(binaries, "registered_tests", lambda folder: list(tests))

    def test_a_folder_without_tests_is_a_failure(self) -> None:
        self.registered()
        folder = ROOT / "build" / "none"
        with self.assertRaisesRegex(StepFailed, "no test is registered in build/none"):
            binaries.run_tests(self.state, folder)
        self.state.broken.add(folder)
        with self.assertRaises(NotReached):
            binaries.run_tests(self.state, folder)

    def test_every_test_of_a_folder_runs_the_way_it_must(self) -> None:
        ran: list[tuple[str, str]] = []

        def note(how: str, state: Run, folder: Path, name: str) -> Suite:
            self.assertEqual((state, folder), (self.state, self.folder))
            ran.append((how, name))
            return Suite(name, passed=1)

        self.replace(binaries, "run_catch", lambda run, folder, name, *rest: note("catch", run, folder, name))
        self.replace(
            binaries, "run_through_ctest", lambda run, folder, name: note("ctest", run, folder, name)
        )
        self.registered(
            ("a_tests", ["a"], {}),
            ("smoke", ["b"], {}),
            ("c_tests", [], {}),
            ("d_tests", ["d"], {"DISABLED": True}),
        )
        suites = binaries.run_tests(self.state, self.folder)
        self.assertEqual(
            sorted(ran),
            [("catch", "a_tests"), ("ctest", "c_tests"), ("ctest", "d_tests"), ("ctest", "smoke")],
        )
        self.assertEqual([suite.name for suite in suites], ["a_tests", "smoke", "c_tests", "d_tests"])
        self.assertEqual(self.state.suites, suites)
        self.assertEqual(self.state.counts(), (4, 0, 0))


class FilesTest(RunnerCase):
    """Which files the checks look at."""

    def setUp(self) -> None:
        super().setUp()
        self.replace(run, "ROOT", self.folder)
        self.replace(run, "BUILD", self.folder / "build")
        for name, text in (
            ("b.py", ""),
            ("a.py", ""),
            ("build/c.py", ""),
            ("tool", "#!/usr/bin/env python3\n"),
            ("shell", "#!/usr/bin/env bash\n# python3\n"),
            ("other", "text\n#!/usr/bin/env bash\n"),
            ("c.sh", "#!/usr/bin/env bash\n"),
            ("d.sh", "#!/bin/sh\n"),
        ):
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(text)

    def test_with_git_those_that_it_knows(self) -> None:
        listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        known = "\0".join(["b.py", "gone.py", "a.py", "tool", "shell", "other", "c.sh", "d.sh", "b.py", ""])
        self.replace(repository, "git", lambda *words: known if list(words) == listed else "")
        names = [path.name for path in run.files_of_project(".py")]
        self.assertEqual(names, ["a.py", "b.py"])
        self.assertEqual([path.name for path in run.python_files()], ["a.py", "b.py", "tool"])
        self.assertEqual([path.name for path in run.shell_files()], ["c.sh", "shell"])

    def test_without_git_all_but_those_of_builds(self) -> None:
        def refuses(*_: str) -> str:
            raise repository.GitRefused("no clone")

        self.replace(repository, "git", refuses)
        self.assertEqual([path.name for path in run.files_of_project(".py")], ["a.py", "b.py"])

    def test_a_path_is_shown_from_the_root_on(self) -> None:
        inside = self.folder.resolve() / "x" / "y"
        self.replace(run, "ROOT", self.folder.resolve())
        self.assertEqual(
            [run.shorten(inside), run.shorten("/etc/passwd"), run.shorten(None)], ["x/y", "/etc/passwd", ""]
        )


class CountingTest(RunnerCase):
    """A command whose last line counts."""

    def counting(self, script: str, **limits: float) -> Suite:
        """Returns the counts of a shell script."""
        if limits:
            self.replace(own_commands, "time_limit", lambda run, properties: limits["seconds"])
        return own_commands.run_counting(
            self.state, "it", ["sh", "-c", script], self.folder / "log", self.folder
        )

    def test_the_last_line_with_counts_is_taken(self) -> None:
        for script, expected in (
            ("echo '3 passed, 0 failed'", (3, 0, 0)),
            ("echo '1 passed, 0 failed'; echo 'x: 7 passed, 0 failed, 2 skipped'; echo bye", (7, 0, 2)),
            ("echo '3 passed, 2 failed'; exit 1", (3, 2, 0)),
            ("echo '3 passed, 2 failed'", (3, 2, 0)),
        ):
            self.assertEqual(counts(self.counting(script)), expected)

    def test_a_bad_exit_status_is_a_failure_whatever_the_counts_say(self) -> None:
        suite = self.counting("echo 'ERROR: AddressSanitizer'; echo '3 passed, 0 failed'; exit 1")
        self.assertEqual(counts(suite), (3, 1, 0))
        self.assertIn("AddressSanitizer", "".join(suite.report))

    def test_without_counts_the_status_counts(self) -> None:
        self.assertEqual(counts(self.counting("echo 3 passed and 0 failed")), (0 + 1, 0, 0))
        self.assertEqual(counts(self.counting("exit 3")), (0, 1, 0))
        self.assertEqual(counts(self.counting("kill -9 $$")), (0, 1, 0))
        for words in ("1/1 Test #1: a ...***Skipped", "a (Not Run (Disabled))"):
            self.assertEqual(counts(self.counting(f"echo '{words}'")), (0, 0, 1))
            self.assertEqual(counts(self.counting(f"echo '{words}'; exit 1")), (0, 1, 0))

    def test_a_command_that_does_not_end_is_a_failure(self) -> None:
        self.assertEqual(counts(self.counting("echo '3 passed, 0 failed'; sleep 60", seconds=0.3)), (3, 1, 0))
        self.assertEqual(counts(self.counting("sleep 60", seconds=0.3)), (0, 1, 0))

    def test_a_pass_has_nothing_to_report(self) -> None:
        self.assertEqual(self.counting("echo noise; echo '3 passed, 0 failed'").report, [])

    def test_the_steps_count_what_their_commands_say(self) -> None:
        calls: list[list[str]] = []

        def counted(run: Run, title: str, words: list[object], log: Path, folder: Path) -> Suite:
            self.assertEqual((run, log.parent), (self.state, self.folder))
            calls.append([str(word).rpartition("/")[2] for word in words])
            return Suite(title, failed=1)

        self.replace(own_commands, "run_counting", counted)
        self.replace(shutil, "which", lambda name: name)
        for step in (own_commands.test_scripts, own_commands.check_counts, own_commands.test_gate):
            self.assertEqual(step(self.state)[0].failed, 1)
        self.assertEqual(own_commands.check_protocol(self.state)[0].failed, 1)
        self.assertEqual(own_commands.run_models(self.state, self.folder)[0].failed, 1)
        self.state.options.deep = True
        own_commands.run_models(self.state, self.folder)
        self.assertEqual(own_commands.try_mutants(self.state)[0].failed, 1)
        self.assertEqual(self.state.counts(), (0, 7, 0))
        self.assertEqual(calls.pop()[:3], ["mutate", "--sample", "200"])
        self.assertEqual(calls[0][1:], ["run.py"])
        self.assertEqual(
            calls[1:],
            [
                ["gate", "--check-counts"],
                ["gate", "--self-test", "--quick"],
                ["model_check", "--protocol", "--quick"],
                ["model_check", "--quick"],
                ["model_check", "--deep"],
            ],
        )

    def test_what_needs_a_broken_build_is_not_reached(self) -> None:
        self.state.broken = {run.BUILD / "release", self.folder}
        for step in (own_commands.check_counts, own_commands.test_gate):
            with self.assertRaises(NotReached):
                step(self.state)
        others: list[Callable[[Run, Path], object]]
        others = [own_commands.run_models, fuzzers.run_fuzzers, builds.build]
        for other in others:
            with self.assertRaises(NotReached):
                other(self.state, self.folder)

    def test_a_missing_spin_is_a_skip_and_a_lint_that_objects_a_failure(self) -> None:
        self.replace(shutil, "which", lambda name: None)
        with self.assertRaises(StepSkipped):
            own_commands.check_protocol(self.state)
        for status in (0, 1, None):

            def logged(words: list[object], log: Path) -> int | None:
                self.assertEqual(str(words[0]).rpartition("/")[2], "lint_edges")
                return status

            self.replace(command_line, "run_logged", logged)
            if status == 0:
                own_commands.check_edges(self.state)
            else:
                with self.assertRaises(StepFailed):
                    own_commands.check_edges(self.state)


if __name__ == "__main__":
    unittest.main()
