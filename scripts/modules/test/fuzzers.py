"""The fuzz targets, for a moment each."""

from __future__ import annotations

import concurrent.futures
import re
import time

from common import command_line
from common.repository import ROOT
from test.run import LOGS, NotReached, Suite, shorten

# (target, its binary in the build folder, its corpus, longest input). After a long run a corpus is made again by
#   BINARY -set_cover_merge=1 -use_counters=0 -max_len=N new-corpus CORPUS build/fuzz/TARGET-found
FUZZERS = [
    ("fuzz_dataset", "bench/tests/fuzz_dataset", "bench/tests/corpus", 512),
    ("fuzz_operations", "stress/fuzz_operations", "stress/corpus", 160),
]


def run_fuzzers(run, folder):
    """All targets at once, from their corpus; what they find new stays in the build folder for the next run."""
    if folder in run.broken:
        raise NotReached
    seconds = 300 if run.options.deep else 10

    def fuzz(target, binary, corpus, longest):
        suite = Suite(f"fuzz {target}")
        log, found, crashes = LOGS / f"{target}.log", folder / f"{target}-found", folder / f"{target}-crash-"
        found.mkdir(exist_ok=True)
        command = [
            folder / binary,
            f"-max_total_time={seconds}",
            f"-max_len={longest}",
            "-print_final_stats=1",
        ]
        command += [f"-artifact_prefix={crashes}", "-timeout=60", found, ROOT / corpus]
        begin = time.monotonic()
        status = command_line.run_logged(command, log, timeout=seconds + 300)
        suite.seconds = time.monotonic() - begin
        runs = re.search(r"stat::number_of_executed_units: (\d+)", log.read_text(errors="replace"))
        suite.assertions = int(runs[1]) if runs else None
        if status == 0 and runs:
            suite.passed = 1
        else:
            suite.failed = 1
            again = f"{shorten(folder / binary)} {shorten(crashes)}..."
            suite.report.append(
                f"    {target} ended with status {status}; again: {again}\n{command_line.tail(log, 60)}"
            )
        return suite

    with concurrent.futures.ThreadPoolExecutor(len(FUZZERS)) as pool:
        suites = list(pool.map(lambda fuzzer: fuzz(*fuzzer), FUZZERS))
    run.suites += suites
    return suites
