"""The steps that are commands of this folder, with a count in their last line."""

from __future__ import annotations

import re
import sys
import time

from common import command_line
from common.repository import ROOT
from test.run import BUILD, LOGS, NotReached, StepFailed, Suite, time_limit


def check_edges(run):
    log = LOGS / "edges.log"
    if command_line.run_logged([ROOT / "scripts" / "lint_edges"], log) != 0:
        raise StepFailed(command_line.tail(log, 60))


def test_scripts(run):
    folder = ROOT / "scripts" / "tests"
    command = [sys.executable, folder / "run.py"]
    suites = [run_counting(run, "scripts tests", command, LOGS / "scripts-tests.log", ROOT)]
    run.suites += suites
    return suites


COUNTS = re.compile(r"(?:^|: )(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$")


def run_counting(run, title, command, log, folder):
    suite = Suite(title)
    begin = time.monotonic()
    seen = []

    def on_line(line):
        counts = COUNTS.search(line)
        if counts:
            seen[:] = [int(number or 0) for number in counts.groups()]

    status = command_line.run_logged(
        command, log, env=run.environment, cwd=folder, on_line=on_line, timeout=time_limit(run, {})
    )
    suite.seconds = time.monotonic() - begin
    if seen:
        suite.passed, suite.failed, suite.skipped = seen
        if status != 0 and suite.failed == 0:
            suite.failed = 1
    elif status == 0:
        skipped = "Not Run (Disabled)" in log.read_text(errors="replace") or "***Skipped" in log.read_text(
            errors="replace"
        )
        suite.skipped, suite.passed = int(skipped), int(not skipped)
    else:
        suite.failed = 1
    if suite.failed:
        suite.report.append(command_line.tail(log, 60))
    return suite


def run_models(run, folder):
    if folder in run.broken:
        raise NotReached
    command = [ROOT / "scripts" / "model_check", "--deep" if run.options.deep else "--quick"]
    suites = [run_counting(run, "relacy model_check", command, LOGS / "relacy-model_check.log", folder)]
    run.suites += suites
    return suites


def check_counts(run):
    if BUILD / "release" in run.broken:
        raise NotReached
    suites = [
        run_counting(
            run, "gate counts", [ROOT / "scripts" / "gate", "--check-counts"], LOGS / "gate-counts.log", ROOT
        )
    ]
    run.suites += suites
    return suites


def test_gate(run):
    if BUILD / "release" in run.broken:
        raise NotReached
    suites = [
        run_counting(
            run,
            "gate self-test",
            [ROOT / "scripts" / "gate", "--self-test", "--quick"],
            LOGS / "gate-self-test.log",
            ROOT,
        )
    ]
    run.suites += suites
    return suites
