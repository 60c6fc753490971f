"""The steps that are commands of this folder, with a count in their last line."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
import time
from pathlib import Path

from common import builds, child_processes, command_line
from common.child_processes import Command
from common.repository import ROOT
from test.run import BUILD, LOGS, NotReached, Run, StepFailed, StepSkipped, Suite, time_limit


def check_edges(run: Run) -> None:
    """Runs scripts/lint_edges."""
    log = LOGS / "edges.log"
    if command_line.run_logged([ROOT / "scripts" / "lint_edges"], log) != 0:
        raise StepFailed(command_line.tail(log, 60))


def test_scripts(run: Run) -> list[Suite]:
    """Runs the tests of the scripts. Returns their counts."""
    folder = ROOT / "scripts" / "tests"
    command: Command = [sys.executable, folder / "run.py"]
    suites = [run_counting(run, "scripts tests", command, LOGS / "scripts-tests.log", ROOT)]
    run.suites += suites
    return suites


COUNTS = re.compile(r"(?:^|: )(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$")


def run_counting(run: Run, title: str, command: Command, log: Path, folder: Path) -> Suite:
    """Runs a command. Returns the counts of its last line that has some; without one the command counts as
    one test."""
    suite = Suite(title)
    begin = time.monotonic()
    seen: list[int] = []

    def on_line(line: str) -> None:
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
        said = log.read_text(errors="replace")
        skipped = "Not Run (Disabled)" in said or "***Skipped" in said
        suite.skipped, suite.passed = int(skipped), int(not skipped)
    else:
        suite.failed = 1
    if suite.failed:
        suite.report.append(command_line.tail(log, 60))
    return suite


def run_models(run: Run, folder: Path) -> list[Suite]:
    """Runs the models. Returns their counts."""
    if folder in run.broken:
        raise NotReached
    command: Command = [ROOT / "scripts" / "model_check", "--deep" if run.options.deep else "--quick"]
    suites = [run_counting(run, "relacy model_check", command, LOGS / "relacy-model_check.log", folder)]
    run.suites += suites
    return suites


def test_python_module(run: Run) -> list[Suite]:
    """Builds the Python module in the release folder, and runs its tests. Returns their counts."""
    folder = BUILD / "release"
    if folder in run.broken:
        raise NotReached
    if not python_module_possible():
        raise StepSkipped("pybind11 or Python's headers are not installed (scripts/setup --lint)")
    log = LOGS / "python-module-build.log"
    # With the Python that runs this, because that one has numpy.
    wanted = ["-DHOTINDEX_BUILD_PYTHON=ON", f"-DPython_EXECUTABLE={sys.executable}"]
    configure: Command = ["cmake", *wanted, folder]
    build: Command = ["cmake", "--build", folder, "--target", "hotindex_python"]
    if not builds.run_in_turn((configure, build), log):
        raise StepFailed(command_line.tail(log, 60))
    command: Command = ["ctest", "--test-dir", folder, "-R", "^python_module$", "-V", "--no-tests=error"]
    suites = [run_counting(run, "python module", command, LOGS / "python-module.log", folder)]
    run.suites += suites
    return suites


def python_module_possible() -> bool:
    """Returns whether there is what the Python module is built with."""
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    return headers and shutil.which("pkg-config") is not None and pybind11_known()


def pybind11_known() -> bool:
    """Returns whether pkg-config knows pybind11."""
    return child_processes.run(["pkg-config", "--exists", "pybind11"], capture_output=True).returncode == 0


def check_protocol(run: Run) -> list[Suite]:
    """Searches what takes a moment of the snapshot protocol's model. Returns the counts."""
    if not shutil.which("spin"):
        raise StepSkipped("spin is not installed (scripts/setup)")
    command: Command = [ROOT / "scripts" / "model_check", "--protocol", "--quick"]
    suites = [run_counting(run, "protocol model_check", command, LOGS / "protocol-model_check.log", ROOT)]
    run.suites += suites
    return suites


def try_mutants(run: Run) -> list[Suite]:
    """Tries a sample of the scripts' mutants, another one every day. Returns one test."""
    seed = int(time.time()) // 86_400
    sample = ["--sample", "200", "--seed", str(seed), "--at-least", "60"]
    command: Command = [ROOT / "scripts" / "mutate", *sample]
    suites = [run_counting(run, "scripts mutants", command, LOGS / "scripts-mutants.log", ROOT)]
    run.suites += suites
    return suites


def check_counts(run: Run) -> list[Suite]:
    """Compares what operations cost with the committed counts. Returns how many are as they must be."""
    if BUILD / "release" in run.broken:
        raise NotReached
    command: Command = [ROOT / "scripts" / "gate", "--check-counts"]
    suites = [run_counting(run, "gate counts", command, LOGS / "gate-counts.log", ROOT)]
    run.suites += suites
    return suites


def test_gate(run: Run) -> list[Suite]:
    """Runs the gate's self-test. Returns its counts."""
    if BUILD / "release" in run.broken:
        raise NotReached
    command: Command = [ROOT / "scripts" / "gate", "--self-test", "--quick"]
    suites = [run_counting(run, "gate self-test", command, LOGS / "gate-self-test.log", ROOT)]
    run.suites += suites
    return suites
