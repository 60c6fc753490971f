"""Builds and runs every test of hotindex: unit and stress tests in a release build and under AddressSanitizer
with UndefinedBehaviorSanitizer and ThreadSanitizer, the Relacy models, the fuzz targets for a moment, and the
checks of format and scripts."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Callable, List, NoReturn, Optional, Sequence, Tuple

from common import child_processes, command_line, output
from common.command_line import in_words
from common.repository import ROOT
from test.binaries import run_tests, test_targets
from test.builds import build, clang_configure, configure, fuzz_configure, sanitizer_configure
from test.fuzzers import FUZZERS, run_fuzzers
from test.own_commands import (
    check_counts,
    check_edges,
    check_protocol,
    run_models,
    test_gate,
    test_python_module,
    test_scripts,
    try_mutants,
)
from test.python_checks import check_docstrings, check_python_format, check_types
from test.run import BUILD, LOGS, NotReached, Run, StepFailed, StepSkipped, Suite
from test.source_checks import check_format, check_scripts, clang_tidy, setup

EXPLANATION = """\
The last line counts Catch2 test cases, model scenarios and fuzz targets: N passed, N failed[, N skipped].
What else can go wrong (a build, a check, a crash or a sanitizer's report after the last test case) counts as
one failed each, so that the exit status is 0 exactly when that line says 0 failed. A check whose tool is not
installed counts as one skipped. A signal that ends the run counts as one failed; the exit status is then 128
+ signal.

logs: build/test-logs

environment:
  CI=true               warnings are errors
  HOTINDEX_NO_SETUP=1   do not look for packages
  CC, CXX               the compilers, when a build folder is made for the first time; without them g++, and
                        clang for the sanitizers where it is installed

examples:
  scripts/test            everything but the long searches
  scripts/test --quick    before a commit: release build and models
  scripts/test --deep     the long searches too, five minutes of each fuzz target; clang and clang-tidy where
                          installed
"""
TIMES = BUILD / "test-times.json"

# Seconds a step takes on 2 cores, for the estimate of a first run; after that, what it took the last time.
GUESSES = {
    "configure": 5,
    "build": 75,
    "scripts: tests": 45,
    "python: module": 15,
    "protocol: models": 60,
    "tests": 40,
    "types": 20,
    "self-test": 20,
    "clang-tidy": 240,
    "mutants": 240,
}


Action = Callable[[Run], Optional[List[Suite]]]  # None: a step without counts of its own
Step = Tuple[str, Action]


def plan(options: argparse.Namespace) -> list[Step]:
    """Returns the steps of a run in their order."""
    steps: list[Step] = [
        ("setup", setup),
        ("scripts: syntax", check_scripts),
        ("scripts: format", check_python_format),
        ("scripts: types", check_types),
        ("scripts: docstrings", check_docstrings),
        ("sources: format", check_format),
    ]
    if (ROOT / "scripts" / "lint_edges").exists():
        steps.append(("sources: edge labels", check_edges))

    def add(
        preset: str,
        *,
        targets: Callable[[Path], Sequence[str]] = lambda folder: (),
        tests: Callable[[Run, Path], List[Suite]] = run_tests,
        by: Callable[[Run, str, Path], None] = configure,
    ) -> None:
        folder = BUILD / preset
        steps.append((f"{preset}: configure", lambda run: by(run, preset, folder)))
        steps.append((f"{preset}: build", lambda run: build(run, folder, targets(folder))))
        steps.append(
            (f"{preset}: {'tests' if tests is run_tests else 'models'}", lambda run: tests(run, folder))
        )

    add("release")
    steps.append(("python: module", test_python_module))
    steps.append(("scripts: tests", test_scripts))
    steps.append(("gate: counts", check_counts))
    steps.append(("protocol: models", check_protocol))
    add("relacy", tests=run_models)
    if not options.quick:
        steps.append(("gate: self-test", test_gate))
        add("asan", targets=test_targets, by=sanitizer_configure)
        add("tsan", targets=test_targets, by=sanitizer_configure)
        fuzzers = BUILD / "fuzz"
        steps.append(("fuzz: configure", lambda run: fuzz_configure(run, fuzzers)))
        steps.append(("fuzz: build", lambda run: build(run, fuzzers, [fuzzer.target for fuzzer in FUZZERS])))
        steps.append(("fuzz: tests", lambda run: run_fuzzers(run, fuzzers)))
    if options.deep:
        steps.append(("scripts: mutants", try_mutants))
        add("debug", targets=test_targets)
        folder = BUILD / "clang"
        steps.append(("clang: configure", lambda run: clang_configure(run, folder)))
        steps.append(("clang: build", lambda run: build(run, folder)))
        steps.append(("clang: tests", lambda run: run_tests(run, folder)))
        steps.append(("clang-tidy", lambda run: clang_tidy(run, folder)))
    return steps


def load_times() -> dict[str, float]:
    """Returns what each step took the last time."""
    try:
        times = json.loads(TIMES.read_text())
        return {name: float(seconds) for name, seconds in times.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def expected(name: str, times: dict[str, float]) -> float:
    """Returns the seconds that a step is likely to take."""
    return times.get(name, next((guess for key, guess in GUESSES.items() if name.endswith(key)), 2))


def execute(run: Run, steps: list[Step]) -> None:
    """Runs the steps, and tells of each what came out."""
    times = load_times()
    width = max(len(name) for name, _ in steps)
    for number, (name, action) in enumerate(steps, 1):
        run.head = f"[{number:>{len(str(len(steps)))}}/{len(steps)}] {name:<{width}}"
        run.begin = time.monotonic()
        print(run.head, end="", flush=True)
        report: list[str] = []
        outcome = "ok"
        try:
            suites = action(run) or []
            report = [each for suite in suites for each in suite.report]
            if suites:
                outcome = f"{sum(suite.passed for suite in suites)} passed"
                failed = sum(suite.failed for suite in suites)
                outcome += f", {failed} FAILED" if failed else ""
        except StepFailed as failure:
            outcome = "FAILED"
            report = [str(failure)]
            run.failed_steps.append(name)
        except StepSkipped as reason:
            outcome = f"skipped: {reason}"
            run.skipped_steps.append(f"{name}: {reason}")
        except NotReached:
            outcome = "not run: an earlier step failed or was skipped"
        except child_processes.Ended as ended:
            run.failed_steps.append(f"{name}, ended by {ended}")
            command_line.ProgressLine.break_line()
            print("ended")
            raise
        took = time.monotonic() - run.begin
        if outcome == "ok" or "passed" in outcome:
            # A build with nothing to do says little about the next one: forget the slow ones only by and by.
            times[name] = max(took, (took + times.get(name, took)) / 2)
        left = sum(expected(later, times) for later, _ in steps[number:])
        rest = f"   about {in_words(left)} left" if number < len(steps) else ""
        run.progress.clear()
        print(f"{run.head if run.progress.terminal else ''}  {took:7.1f} s  {outcome}{rest}", flush=True)
        for each in report:
            print(each, flush=True)
    try:
        output.write_whole(TIMES, json.dumps(times, indent=1))
    except output.CannotWrite:
        pass  # only the next estimate is worse


def print_table(run: Run) -> None:
    """Prints the counts of every suite."""
    if not run.suites:
        return
    rows: list[tuple[object, ...]] = [
        ("suite", "tests", "passed", "failed", "skipped", "assertions", "seconds")
    ]
    for suite in run.suites:
        total = suite.passed + suite.failed + suite.skipped
        assertions = "-" if suite.assertions is None else f"{suite.assertions:,}"
        rows.append(
            (suite.name, total, suite.passed, suite.failed, suite.skipped, assertions, f"{suite.seconds:.1f}")
        )
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        cells = [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join([str(row[0]).ljust(widths[0]), *cells]))


def main() -> int:
    """Returns the exit status."""
    parser = command_line.StrictParser(prog="scripts/test", description=__doc__, epilog=EXPLANATION)
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="release build and models only")
    depth.add_argument(
        "--deep", action="store_true", help="HOTINDEX_DEEP=1 for the tests, a debug build, clang"
    )
    options = parser.parse(sys.argv[1:])
    begin = time.monotonic()
    LOGS.mkdir(parents=True, exist_ok=True)
    run = Run(options)
    ended: child_processes.Ended | None = None
    try:
        execute(run, plan(options))
    except child_processes.Ended as signal:
        ended = signal  # what was tested until then is told all the same
    print_table(run)
    print()
    for name in run.failed_steps:
        print(f"failed: {name}")
    for reason in run.skipped_steps:
        print(f"skipped: {reason}")
    print(f"{in_words(time.monotonic() - begin)}; logs in build/test-logs")
    passed, failed, skipped = run.counts()
    sys.stderr.flush()
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    if ended:
        raise ended
    return 1 if failed else 0


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/test", main)
