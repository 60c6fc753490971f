"""The steps that run the tests of a build folder."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import time
from pathlib import Path
from typing import List, Tuple

from bench.results import Json
from common import builds, child_processes, command_line
from common.child_processes import Command
from common.command_line import in_words
from common.repository import ROOT
from test.catch_report import read_catch_report
from test.own_commands import run_counting
from test.run import LOGS, NotReached, Run, StepFailed, Suite, time_limit

SANITIZER_OPTIONS = {
    "asan": {"UBSAN_OPTIONS": "print_stacktrace=1"},
    "tsan": {"TSAN_OPTIONS": "second_deadlock_stack=1"},
}


Test = Tuple[str, List[str], Json]  # name, command, properties


def registered_tests(folder: Path) -> list[Test]:
    """Returns what ctest knows in a build folder, as [(name, command, properties)]."""
    command: Command = ["ctest", "--test-dir", folder, "--show-only=json-v1"]
    shown = child_processes.run(command, capture_output=True, cwd=ROOT)
    if shown.returncode != 0:
        return []
    tests = json.loads(shown.stdout).get("tests", [])
    return [
        (
            test["name"],
            test.get("command", []),
            {each["name"]: each["value"] for each in test.get("properties", [])},
        )
        for test in tests
    ]


def test_targets(folder: Path) -> list[str]:
    """Returns the tests of a sanitizer's folder, which are all it has to build. Before the build ctest may
    not know the commands, but it knows the names, and a test is named after its target."""
    return [name for name, _, _ in registered_tests(folder)]


def run_tests(run: Run, folder: Path) -> list[Suite]:
    """Runs every test of a build folder, as many at once as there are processors: most have one thread for
    most of the time. Returns their counts, in the order of the tests."""
    if folder in run.broken:
        raise NotReached
    tests = registered_tests(folder)
    if not tests:
        raise StepFailed(f"    | no test is registered in {folder.relative_to(ROOT)}")

    def one(test: Test) -> Suite:
        name, command, properties = test
        run.live(name)
        # Catch2's binaries are named ..._tests. They run directly, with the properties ctest has for them:
        # their own XML report counts test cases and assertions, and ctest would count the binary as one.
        if name.endswith("_tests") and command and not properties.get("DISABLED"):
            return run_catch(run, folder, name, command, properties)
        return run_through_ctest(run, folder, name)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        suites = list(pool.map(one, tests))
    run.suites += suites
    return suites


def run_catch(run: Run, folder: Path, name: str, command: list[str], properties: Json) -> Suite:
    """Runs a Catch2 binary. Returns the counts of its report; what ends it otherwise counts as one
    failure."""
    suite = Suite(f"{folder.name} {name}")
    log, report = LOGS / f"{folder.name}-{name}.log", LOGS / f"{folder.name}-{name}.xml"
    report.unlink(missing_ok=True)
    environment = dict(each.split("=", 1) for each in properties.get("ENVIRONMENT", []))
    for key, value in SANITIZER_OPTIONS.get(folder.name, {}).items():
        environment.setdefault(key, os.environ.get(key, value))
    fixed = builds.fixed_addresses() if folder.name == "tsan" else []
    begin = time.monotonic()
    limit = time_limit(run, properties)
    status = command_line.run_logged(
        [*fixed, *command, "--reporter", "xml", "--out", str(report)],
        log,
        timeout=limit,
        env={**environment, **run.environment},
        cwd=properties.get("WORKING_DIRECTORY", folder),
    )
    suite.seconds = time.monotonic() - begin
    complete, died_in = read_catch_report(report, suite)
    if status is None:
        trouble = f"stopped after {in_words(limit)}"
    elif not complete or (status != 0 and suite.failed == 0):
        trouble = f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"
    elif suite.passed + suite.failed + suite.skipped == 0:
        trouble = "ran no test case"
    else:
        trouble = ""
    if suite.failed and not trouble and command_line.TROUBLE.search(log.read_text(errors="replace")):
        suite.report.append(command_line.tail(log, 60))
    if trouble:
        where = f', in "{died_in}"' if died_in else ""
        suite.failed += 1
        suite.report.append(f"    {name} {trouble}{where}\n{command_line.tail(log, 60)}")
    return suite


def run_through_ctest(run: Run, folder: Path, name: str) -> Suite:
    """Has ctest run a test that is no Catch2 binary. Returns the counts of its line `N passed, N failed`;
    without one the test counts as one."""
    fixed = builds.fixed_addresses() if folder.name == "tsan" else []
    wanted = ["-R", f"^{re.escape(name)}$", "-V", "--timeout", str(round(time_limit(run, {})))]
    command: Command = [*fixed, "ctest", "--test-dir", folder, *wanted]
    return run_counting(run, f"{folder.name} {name}", command, LOGS / f"{folder.name}-{name}.log", folder)
