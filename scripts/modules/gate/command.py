"""scripts/gate: which of its tasks is done, and the exit status that follows."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from common import command_line, output
from common.failure import Failure
from gate import counts as gate_counts, refs as gate_refs, report as gate_report
from gate.calibration import calibrate, shown
from gate.comparison import compare_binaries, compare_files, compare_refs
from gate.options import Usage, parse_options
from gate.statistics import REGRESSION


def counts_of_this_build() -> Path:
    """Builds operation_counts. Returns its path."""
    version = gate_refs.working_tree()
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    gate_refs.build(version, ("operation_counts",), ("operation_counts",))
    return version.binary("operation_counts")


def check_counts() -> int:
    """Compares this build's counts with the committed ones. Returns the exit status."""
    failing, told, compared = gate_counts.check_committed(counts_of_this_build())
    for line in told:
        print(line)
    for each in failing:
        print(f"{each.verdict}: {gate_report.counted(each)}")
    print(f"counts: {compared - len(failing)} passed, {len(failing)} failed", flush=True)
    if any(each.verdict == REGRESSION for each in failing):
        return 1
    return 3 if failing else 0


def write_counts(options: argparse.Namespace) -> int:
    """Writes this build's counts, with a reason where some rise. Returns the exit status."""
    counts = gate_counts.take_counts(counts_of_this_build())
    more, written = gate_counts.write_committed(counts, options.accept)
    for each in more:
        print(f"{'accepted' if written else 'more than before'}: {gate_report.counted(each)}")
    if not written:
        raise Usage('counts rose: scripts/gate --write-counts --accept "REASON" writes them with the reason')
    measures = sum(len(each["totals"]) for each in counts.values())
    print(f"{shown(gate_counts.COMMITTED)}: {measures} counts of {len(counts)} operations")
    return 0


def self_test(options: argparse.Namespace) -> int:
    """Measures the gate itself. Returns the exit status."""
    from gate.self_test import run as gate_self_test

    return gate_self_test.run(options.full, options, run)


def main(arguments: list[str]) -> int:
    """Does what a command line asks for. Returns the exit status."""
    options = parse_options(arguments)
    if options.refs:
        return compare_refs(options)
    if options.binaries:
        return compare_binaries(options)
    if options.baseline:
        return compare_files(options)
    if options.calibrate:
        return calibrate(options)
    if options.self_test:
        return self_test(options)
    return check_counts() if options.check_counts else write_counts(options)


def run(arguments: list[str]) -> int:
    """Does what a command line asks for, and tells what went wrong. Returns the exit status."""
    try:
        return main(arguments)
    except Failure as failure:
        command_line.ProgressLine.break_line()
        print(f"scripts/gate: {failure}", file=sys.stderr)
        return 3
    except OSError as failure:
        command_line.ProgressLine.break_line()
        print(f"scripts/gate: {output.reason(failure)}", file=sys.stderr)
        return 3
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 3
    except Exception:  # a fault of the gate itself is no regression of what it measures
        traceback.print_exc()
        print("scripts/gate: this is a fault of the gate itself", file=sys.stderr)
        return 3


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/gate", lambda: run(sys.argv[1:]), failure=3)
