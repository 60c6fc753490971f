"""scripts/test: a failed step makes the exit status, whatever step it is."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import unittest
from pathlib import Path
from typing import Any, Callable
from unittest import mock

from common import builds as cmake
from common import child_processes, command_line
from common.repository import ROOT
import run as scripts
from runner_case import RunnerCase, counts
from test import builds, command, fuzzers, own_commands
from test.run import BUILD, NotReached, Run, StepFailed, StepSkipped, Suite


class FuzzTest(RunnerCase):
    def fuzz(self, script: str) -> Suite:
        """Returns what comes of a fuzz target that does so."""
        program = self.folder / "target"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return fuzzers.fuzz(fuzzers.Fuzzer("target", "target", "corpus", 9), self.folder, 1)

    def test_only_a_target_that_ran_and_ended_well_passes(self) -> None:
        ran = "echo 'stat::number_of_executed_units: 42'"
        good = self.fuzz(ran)
        self.assertEqual((counts(good), good.assertions), ((1, 0, 0), 42))
        for script in (f"{ran}; exit 77", "exit 0", f"{ran}; kill -ABRT $$"):
            bad = self.fuzz(script)
            self.assertEqual(counts(bad), (0, 1, 0))
            self.assertIn("target ended with status", "".join(bad.report))

    def test_targets_run_for_a_moment_or_in_a_deep_run_for_longer(self) -> None:
        seconds: list[int] = []

        def fuzz(fuzzer: fuzzers.Fuzzer, folder: Path, n: int) -> Suite:
            seconds.append(n)
            return Suite(fuzzer.target)

        self.replace(fuzzers, "fuzz", fuzz)
        fuzzers.run_fuzzers(self.state, self.folder)
        self.state.options.deep = True
        fuzzers.run_fuzzers(self.state, self.folder)
        self.assertEqual(seconds, [10] * len(fuzzers.FUZZERS) + [300] * len(fuzzers.FUZZERS))

    def test_a_target_that_does_not_end_is_stopped(self) -> None:
        limits: list[object] = []

        def logged(words: object, log: Path, timeout: float) -> int | None:
            limits.append(timeout)
            log.write_text("stat::number_of_executed_units: 42\n")
            return None

        self.replace(command_line, "run_logged", logged)
        self.assertEqual(counts(fuzzers.fuzz(fuzzers.FUZZERS[0], self.folder, 10)), (0, 1, 0))
        self.assertEqual(limits, [310])

    def test_targets_and_corpora_are_those_of_the_project(self) -> None:
        for each in fuzzers.FUZZERS:
            self.assertTrue((ROOT / each.corpus).is_dir())
            self.assertTrue(each.binary.endswith(f"/{each.target}"))
            longest = max(path.stat().st_size for path in (ROOT / each.corpus).iterdir())
            self.assertLessEqual(longest, each.longest)

    def test_every_target_is_counted(self) -> None:
        self.replace(fuzzers, "fuzz", lambda fuzzer, folder, seconds: Suite(fuzzer.target, failed=1))
        self.assertEqual(len(fuzzers.run_fuzzers(self.state, self.folder)), len(fuzzers.FUZZERS))
        self.assertEqual(self.state.counts(), (0, len(fuzzers.FUZZERS), 0))


class ExecuteTest(RunnerCase):
    """The steps of a run, and the status that follows."""

    def setUp(self) -> None:
        super().setUp()
        self.replace(command, "TIMES", self.folder / "times.json")
        self.replace(command, "LOGS", self.folder)
        self.replace(sys, "argv", ["scripts/test"])

    def outcome(self, *steps: command.Step) -> tuple[int, list[str]]:
        """Returns (exit status, what was said) of a run with these steps."""
        self.replace(command, "plan", lambda options: list(steps))
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            try:
                status = command.main()
            except child_processes.Ended as ended:
                status = 128 + ended.number
        return status, said.getvalue().splitlines()

    def suite(self, passed: int, failed: int, skipped: int) -> command.Action:
        """Returns a step with a suite of these counts."""

        def step(run: Run) -> list[Suite]:
            report = ["    the report"] if failed else []
            suites = [Suite("unit", passed, failed, skipped, report=report)]
            run.suites += suites
            return suites

        return step

    @staticmethod
    def raises(what: BaseException) -> command.Action:
        """Returns a step that ends so."""

        def step(run: Run) -> None:
            raise what

        return step

    def test_passes_and_skips_are_success(self) -> None:
        skipped = self.raises(StepSkipped("no tool"))
        status, said = self.outcome(("a", self.suite(3, 0, 1)), ("b", lambda run: None), ("c", skipped))
        self.assertEqual((status, said[-1]), (0, "3 passed, 0 failed, 2 skipped"))
        self.assertIn("skipped: c: no tool", said)
        self.assertTrue(any(line.split()[:5] == ["unit", "4", "3", "0", "1"] for line in said))

    def test_a_failure_in_a_suite_is_no_success(self) -> None:
        status, said = self.outcome(("a", self.suite(3, 2, 0)), ("b", self.suite(1, 0, 0)))
        self.assertEqual((status, said[-1]), (1, "4 passed, 2 failed"))
        self.assertIn("    the report", said)
        self.assertIn("3 passed, 2 FAILED", said[0])
        self.assertNotIn("FAILED", said[2])

    def test_a_failed_step_is_no_success_and_the_others_go_on(self) -> None:
        bad = self.raises(StepFailed("    | the reason"))
        status, said = self.outcome(("a", bad), ("b", self.suite(1, 0, 0)), ("c", self.raises(NotReached())))
        self.assertEqual((status, said[-1]), (1, "1 passed, 1 failed"))
        self.assertIn("failed: a", said)
        self.assertIn("    | the reason", said)
        self.assertIn("not run: an earlier step failed or was skipped", "\n".join(said))

    def test_a_signal_is_a_failure_and_what_was_tested_is_told(self) -> None:
        ended = self.raises(child_processes.Ended(15))
        status, said = self.outcome(("a", self.suite(3, 0, 0)), ("b", ended), ("c", self.suite(9, 0, 0)))
        self.assertEqual((status, said[-1]), (143, "3 passed, 1 failed"))
        self.assertIn("failed: b, ended by SIGTERM", said)
        self.assertIn("ended", "".join(said[1:3]))

    def test_times_of_failed_steps_are_not_kept(self) -> None:
        self.outcome(
            ("a", self.suite(1, 0, 0)), ("b", self.raises(StepFailed("no"))), ("c", lambda run: None)
        )
        self.assertEqual(list(command.load_times()), ["a", "c"])
        command.TIMES.write_text("[")
        self.assertEqual(command.load_times(), {})
        self.assertEqual(command.expected("x: build", {}), 75)
        self.assertEqual((command.expected("x: build", {"x: build": 3}), command.expected("odd", {})), (3, 2))

    def plan(self, quick: bool = False, deep: bool = False) -> list[str]:
        """Returns the names of the steps."""
        return [name for name, _ in command.plan(argparse.Namespace(quick=quick, deep=deep))]

    def test_the_plan_leaves_nothing_out(self) -> None:
        quick, normal, deep = self.plan(quick=True), self.plan(), self.plan(deep=True)
        for name in (
            "scripts: types",
            "sources: edge labels",
            "release: tests",
            "python: module",
            "scripts: tests",
            "gate: counts",
        ):
            self.assertIn(name, quick)
        self.assertIn("relacy: models", quick)
        more = ["gate: self-test", "asan: tests", "tsan: tests", "fuzz: tests"]
        self.assertEqual([name for name in more if name in quick], [])
        self.assertEqual([name for name in more if name in normal], more)
        self.assertEqual(
            [name for name in ("debug: tests", "clang: tests", "clang-tidy") if name in deep],
            ["debug: tests", "clang: tests", "clang-tidy"],
        )
        self.assertLess(set(normal), set(deep))
        self.assertNotIn("clang-tidy", normal)
        self.assertEqual(
            [("scripts: mutants" in plan) for plan in (quick, normal, deep)], [False, False, True]
        )
        for preset in ("release", "relacy", "asan", "tsan", "fuzz"):
            at = normal.index(f"{preset}: configure")
            last = "models" if preset == "relacy" else "tests"
            self.assertEqual(normal[at + 1 : at + 3], [f"{preset}: build", f"{preset}: {last}"])
        for name in (
            "setup",
            "scripts: syntax",
            "scripts: docstrings",
            "sources: format",
            "protocol: models",
        ):
            self.assertIn(name, quick)
        for preset in ("debug", "clang"):
            at = deep.index(f"{preset}: configure")
            self.assertEqual(deep[at + 1 : at + 3], [f"{preset}: build", f"{preset}: tests"])

    def test_every_step_is_given_the_run_and_its_folder(self) -> None:
        given: list[tuple[str, tuple[object, ...]]] = []

        def noted(name: str) -> Callable[..., None]:
            return lambda *words: given.append((name, words))

        names = (
            "configure",
            "build",
            "run_tests",
            "run_models",
            "fuzz_configure",
            "run_fuzzers",
            "clang_configure",
            "sanitizer_configure",
        )
        for name in (*names, "clang_tidy"):
            self.replace(command, name, noted(name))
        self.replace(command, "test_targets", lambda folder: [f"all of {folder.name}"])
        for step, action in command.plan(argparse.Namespace(quick=False, deep=True)):
            if (
                step.split(": ")[-1] in ("configure", "build", "tests", "models", "clang-tidy")
                and "s: " not in step
            ):
                if not step.startswith(("scripts", "protocol")):
                    action(self.state)
        self.assertEqual({words[0] for _, words in given}, {self.state})
        folders = [(name, *(getattr(word, "name", word) for word in words[1:])) for name, words in given]
        for expected in (
            ("configure", "release", "release"),
            ("build", "release", ()),
            ("sanitizer_configure", "asan", "asan"),
            ("sanitizer_configure", "tsan", "tsan"),
            ("build", "asan", ["all of asan"]),
            ("build", "fuzz", ["fuzz_dataset", "fuzz_operations", "fuzz_saved_file"]),
            ("fuzz_configure", "fuzz"),
            ("run_fuzzers", "fuzz"),
            ("clang_configure", "clang"),
            ("build", "clang"),
            ("clang_tidy", "clang"),
        ):
            self.assertIn(expected, folders)

    def test_a_terminal_or_a_log_sees_each_step_with_the_time_that_is_left(self) -> None:
        command.TIMES.write_text('{"a": 8, "bb": 50, "c: tests": 70}')
        self.replace(time, "monotonic", iter(range(0, 1000, 4)).__next__)
        _, said = self.outcome(
            ("a", self.suite(3, 0, 0)), ("bb", self.suite(1, 0, 0)), ("c: tests", lambda run: None)
        )
        self.assertEqual(said[0], "[1/3] a             4.0 s  3 passed   about 2 min left")
        self.assertEqual(said[1], "[2/3] bb            4.0 s  1 passed   about 70 s left")
        self.assertEqual(said[2], "[3/3] c: tests      4.0 s  ok")
        self.assertEqual(command.load_times(), {"a": 6, "bb": 27, "c: tests": 37})
        table = said[said.index("") + 1 :]
        self.assertEqual(table[0], "suite  tests  passed  failed  skipped  assertions  seconds")
        self.assertEqual(table[1], "unit       3       3       0        0           -      0.0")
        self.assertEqual(table[-2], "32 s; logs in build/test-logs")

    def test_times_that_cannot_be_kept_are_no_failure(self) -> None:
        self.replace(command, "TIMES", Path("/dev/null/times"))
        self.assertEqual(self.outcome(("a", self.suite(1, 0, 0)))[0], 0)

    def test_without_a_suite_there_is_no_table(self) -> None:
        _, said = self.outcome(("a", lambda run: None))
        self.assertFalse(any("assertions" in line for line in said))

    def test_flags_choose_how_much(self) -> None:
        seen: list[argparse.Namespace] = []

        def plan(options: argparse.Namespace) -> list[command.Step]:
            seen.append(options)
            return [("a", lambda run: None)]

        self.replace(command, "plan", plan)
        for flags, expected in (("--quick", (True, False)), ("--deep", (False, True)), ("", (False, False))):
            self.replace(sys, "argv", ["scripts/test", *flags.split()])
            with contextlib.redirect_stdout(io.StringIO()):
                command.main()
            self.assertEqual((seen[-1].quick, seen[-1].deep), expected)
        self.replace(sys, "argv", ["scripts/test", "--quick", "--deep"])
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            command.main()


class ScriptTestsTest(RunnerCase):
    """The tests of the scripts, file by file."""

    def outcome(self, *files: tuple[str, int, list[int]]) -> tuple[int, str]:
        """Returns (exit status, last line) of a run whose files end so."""
        left = iter(files)
        self.replace(scripts, "run_file", lambda path: next(left))
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = scripts.run_side_by_side([self.folder] * len(files))
        return status, said.getvalue().splitlines()[-1]

    def test_files_are_counted_together(self) -> None:
        both = self.outcome(("", 0, [3, 0, 1]), ("", 0, [4, 0, 1]))
        self.assertEqual(both, (0, "7 passed, 0 failed, 2 skipped"))
        self.assertEqual(self.outcome(("", 0, [3, 0, 0])), (0, "3 passed, 0 failed"))

    def test_a_file_that_fails_or_does_not_count_is_no_success(self) -> None:
        ends: list[tuple[str, int, list[int]]]
        ends = [("", 1, [2, 1, 0]), ("", 1, [2, 0, 0]), ("Killed", -9, []), ("", 0, [])]
        for bad in ends:
            status, line = self.outcome(("", 0, [3, 0, 0]), bad)
            self.assertEqual((status, line.split(", ")[1]), (1, "1 failed"))
        self.assertEqual(self.outcome(), (1, "0 passed, 1 failed"))

    def test_a_file_says_what_it_counts(self) -> None:
        said, status, counts = scripts.run_file(Path("test_none.py"))
        self.assertEqual((status, counts, said.splitlines()[-1]), (1, [0, 1, 0], "0 passed, 1 failed"))


class BuildsTest(RunnerCase):
    def test_what_does_not_configure_or_build_is_a_failure_and_breaks_its_folder(self) -> None:
        self.replace(cmake, "known_targets", lambda folder: {"a"})
        steps: list[Callable[[Run, Path], None]] = [
            lambda run, folder: builds.configure(run, "release", folder),
            lambda run, folder: builds.build(run, folder, ["a"]),
        ]
        for status in (0, 1, None):
            self.replace(command_line, "run_logged", lambda *words, **options: status)
            for step in steps:
                self.state.broken.clear()
                if status == 0:
                    step(self.state, self.folder)
                else:
                    with self.assertRaises(StepFailed):
                        step(self.state, self.folder)
                self.assertEqual(self.state.broken, set() if status == 0 else {self.folder})

    def test_only_targets_that_there_are_are_built(self) -> None:
        words: list[str] = []
        self.replace(cmake, "known_targets", lambda folder: {"a", "b"})

        def run_logged(command: list[str], log: Path, **options: object) -> int:
            words.extend(command)
            return 0

        self.replace(command_line, "run_logged", run_logged)
        builds.build(self.state, self.folder, ["a", "c"])
        self.assertEqual(words[-2:], ["--target", "a"])
        words.clear()
        builds.build(self.state, self.folder)
        self.assertNotIn("--target", words)

    def test_without_clang_its_builds_are_skipped_and_broken(self) -> None:
        self.replace(builds, "clang_available", lambda: False)
        for step in (builds.fuzz_configure, builds.clang_configure):
            self.state.broken.clear()
            with self.assertRaises(StepSkipped):
                step(self.state, self.folder)
            self.assertEqual(self.state.broken, {self.folder})

    def configured(self, step: Callable[[Run, Path], None], **environment: str) -> list[str]:
        """Returns the words with which a step configures."""
        words: list[str] = []

        def run_logged(command: list[object], log: Path, **options: object) -> int:
            words.extend(map(str, command))
            return 0

        self.replace(command_line, "run_logged", run_logged)
        with mock.patch.dict(os.environ, environment):
            step(self.state, self.folder)
        return words

    def test_warnings_are_errors_where_a_server_builds(self) -> None:
        configure = builds.configure
        for server, said in (("true", "ON"), ("", "OFF")):
            words = self.configured(lambda run, folder: configure(run, "release", folder), CI=server)
            expected = ["cmake", "--preset", "release", "-B", str(self.folder), f"-DHOTINDEX_WERROR={said}"]
            self.assertEqual(words, [*expected, "-DHOTINDEX_EVERY_CHECK=OFF", "-DHOTINDEX_BUILD_PYTHON=OFF"])

    def test_a_deep_run_has_every_check_of_the_sanitizers(self) -> None:
        self.state.options.deep = True
        words = self.configured(lambda run, folder: builds.configure(run, "asan", folder))
        self.assertIn("-DHOTINDEX_EVERY_CHECK=ON", words)

    def test_with_clang_its_builds_are_configured_and_libfuzzer_is_tried(self) -> None:
        self.replace(builds, "clang_available", lambda: True)
        words = self.configured(builds.clang_configure)
        self.assertEqual(words[1:3] + words[-1:], ["--preset", "release", "-DHOTINDEX_WERROR=ON"])
        for status, skipped in ((0, False), (1, True)):
            done = subprocess.CompletedProcess([], status, "", "")
            self.replace(child_processes, "run", lambda words, **o: done if o["capture_output"] else None)
            if skipped:
                self.state.broken.clear()
                with self.assertRaises(StepSkipped):
                    builds.fuzz_configure(self.state, self.folder)
                self.assertEqual(self.state.broken, {self.folder})
            else:
                self.assertEqual(self.configured(builds.fuzz_configure)[1:3], ["--preset", "fuzz"])

    def test_sanitizers_are_built_by_clang_unless_another_compiler_was_chosen(self) -> None:
        def configure(run: Run, folder: Path) -> None:
            builds.sanitizer_configure(run, "tsan", folder)

        with mock.patch.dict(os.environ):
            os.environ.pop("CXX", None)
            self.replace(builds, "clang_available", lambda: False)
            self.assertNotIn("-DCMAKE_CXX_COMPILER=clang++-19", self.configured(configure))
            self.replace(builds, "clang_available", lambda: True)
            words = self.configured(configure)
            self.assertEqual((words[2], words[-1]), ("tsan", "-DCMAKE_CXX_COMPILER=clang++-19"))
            self.assertNotIn(words[-1], self.configured(configure, CXX="g++"))
            (self.folder / "CMakeCache.txt").touch()
            self.assertNotIn(words[-1], self.configured(configure))

    def test_clang_needs_both_compilers(self) -> None:
        for there, available in (("clang-19 clang++-19", True), ("clang-19", False), ("clang++-19", False)):
            self.replace(shutil, "which", lambda name: name if name in there.split() else None)
            self.assertEqual(builds.clang_available(), available)

    def test_the_python_module_is_built_and_tested_where_that_is_possible(self) -> None:
        said = "1: 8 passed, 1 failed"
        ended: dict[str, int] = {}

        def run_logged(command: list[object], log: Path, **options: Any) -> int:
            words = list(map(str, command))
            log.write_text(said)
            if "on_line" in options:
                self.assertIn("--no-tests=error", words)
                options["on_line"](said)
            kind = "test" if words[0] == "ctest" else "build" if "--build" in words else "configure"
            return ended.get(kind, 0)

        self.replace(command_line, "run_logged", run_logged)
        for headers, library in ((True, True), (True, False), (False, True)):
            self.replace(sysconfig, "get_path", lambda name, there=headers: self.folder / str(there))
            self.replace(own_commands, "pybind11_known", lambda there=library: there)
            (self.folder / "True").mkdir(exist_ok=True)
            (self.folder / "True" / "Python.h").touch()
            if headers and library:
                self.assertEqual(counts(own_commands.test_python_module(self.state)[0]), (8, 1, 0))
            else:
                self.assertRaises(StepSkipped, own_commands.test_python_module, self.state)
        self.replace(own_commands, "python_module_possible", lambda: True)
        for kind in ("configure", "build"):
            ended = {kind: 1}
            self.assertRaises(StepFailed, own_commands.test_python_module, self.state)
        said, ended = "No tests were found!!!", {"test": 8}
        self.assertEqual(counts(own_commands.test_python_module(self.state)[0]), (0, 1, 0))
        self.state.broken.add(BUILD / "release")
        self.assertRaises(NotReached, own_commands.test_python_module, self.state)

    def test_how_far_a_build_is_is_shown(self) -> None:
        shown: list[str] = []
        self.replace(self.state, "live", shown.append)

        def run_logged(command: object, log: Path, on_line: Callable[[str], None]) -> int:
            for line in ("[3/9] Building", "warning"):
                on_line(line)
            return 0

        self.replace(command_line, "run_logged", run_logged)
        self.replace(cmake, "known_targets", lambda folder: set())
        builds.build(self.state, self.folder)
        self.assertEqual(shown, ["3/9"])


if __name__ == "__main__":
    unittest.main()
