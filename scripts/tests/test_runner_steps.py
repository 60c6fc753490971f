"""scripts/test: a failed step makes the exit status, whatever step it is."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import unittest
from pathlib import Path
from typing import Callable

from common import builds as cmake
from common import child_processes, command_line
from runner_case import RunnerCase, counts
from test import builds, command, fuzzers
from test.run import NotReached, Run, StepFailed, StepSkipped, Suite


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


if __name__ == "__main__":
    unittest.main()
