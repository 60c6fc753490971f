"""The fuzz targets, for a moment each."""

from __future__ import annotations

import concurrent.futures
import re
import time
from dataclasses import dataclass
from pathlib import Path

from common import command_line
from common.child_processes import Command
from common.repository import ROOT
from test.run import LOGS, NotReached, Run, Suite, shorten


@dataclass(frozen=True)
class Fuzzer:
    """A fuzz target. After a long run its corpus is made again by
    BINARY -set_cover_merge=1 -use_counters=0 -max_len=N new-corpus CORPUS build/fuzz/TARGET-found"""

    target: str
    binary: str  # in the build folder
    corpus: str
    longest: int  # input


FUZZERS = (
    Fuzzer("fuzz_dataset", "bench/tests/fuzz_dataset", "bench/tests/corpus", 512),
    Fuzzer("fuzz_operations", "stress/fuzz_operations", "stress/tests/corpus", 160),
    Fuzzer("fuzz_saved_file", "impl/tests/fuzz_saved_file", "impl/tests/corpus", 256),
)


def fuzz(fuzzer: Fuzzer, folder: Path, seconds: int) -> Suite:
    """Runs a target for so long. Returns one test, and the number of inputs."""
    target = fuzzer.target
    suite = Suite(f"fuzz {target}")
    log, found, crashes = LOGS / f"{target}.log", folder / f"{target}-found", folder / f"{target}-crash-"
    found.mkdir(exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-max_len={fuzzer.longest}", "-timeout=60"]
    told = ["-print_final_stats=1", f"-artifact_prefix={crashes}"]
    command: Command = [folder / fuzzer.binary, *limits, *told, found, ROOT / fuzzer.corpus]
    begin = time.monotonic()
    status = command_line.run_logged(command, log, timeout=seconds + 300)
    suite.seconds = time.monotonic() - begin
    runs = re.search(r"stat::number_of_executed_units: (\d+)", log.read_text(errors="replace"))
    suite.assertions = int(runs[1]) if runs else None
    if status == 0 and runs:
        suite.passed = 1
    else:
        suite.failed = 1
        again = f"{shorten(folder / fuzzer.binary)} {shorten(crashes)}..."
        ended = f"{target} ended with status {status}; again: {again}"
        suite.report.append(f"    {ended}\n{command_line.tail(log, 60)}")
    return suite


def run_fuzzers(run: Run, folder: Path) -> list[Suite]:
    """Runs all targets at once, from their corpus; what they find new stays in the build folder for the next
    run. Returns a suite for each."""
    if folder in run.broken:
        raise NotReached
    seconds = 300 if run.options.deep else 10
    with concurrent.futures.ThreadPoolExecutor(len(FUZZERS)) as pool:
        suites = list(pool.map(lambda fuzzer: fuzz(fuzzer, folder, seconds), FUZZERS))
    run.suites += suites
    return suites
