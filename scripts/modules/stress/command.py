"""Soaks the lock-free index: random calls by several threads for as long as asked, every answer checked. And
measures the checks themselves: which of them finds which planted bug."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from common import child_processes, command_line, output
from stress import churn as stress_churn
from stress.garbage import garbage
from stress.matrix import matrix
from stress.peer import peer
from stress.program import BUILD, PRESETS, RESULTS, build, soak_command
from stress.soak import soak

EXPLANATION = """\
A round is a kind and a seed (scripts/stress --list names the kinds). A violation prints the command that
plays its round again, and writes a minimised history as an HTML timeline where there is one.

examples:
  scripts/stress --minutes 10                      release build
  scripts/stress --minutes 10 --sanitizer tsan     the same under ThreadSanitizer; asan: AddressSanitizer and
                                                   others
  scripts/stress --replay black_controlled:6293 --bug birth_then_death --out results/stress
                                                   one round again, with its minimised history as a timeline
  scripts/stress --garbage                         what stopped searches keep in memory:
                                                   results/stress/garbage.svg
  scripts/stress --churn --against v0.1            what a minute of insertions and removals keeps, here and
                                                   there: results/stress/churn.svg; about 15 minutes
  scripts/stress --matrix                          every planted bug by every check: more than an hour on 2
                                                   cores; writes results/stress/detection.md and progress.md
  scripts/stress --matrix --missing                what results/stress/detection.json does not have yet
  scripts/stress --peer hnswlib                    the same checks on hnswlib, whose contract excludes what
                                                   they ask for: exit status 0 if they object; writes
                                                   results/stress/hnswlib.md

Exit status: 0 no violation, 1 violations or a sanitizer's report, 2 wrong usage, 128 + signal when a signal
ended it; what was seen until then is told, and with --matrix kept in build/stress/detection.json.
"""


def thread_list(text: str) -> list[int]:
    """Returns the numbers of threads that a flag names."""
    numbers = [int(each) for each in text.split(",")]
    if min(numbers) < 1:
        raise ValueError(text)
    return numbers


def parse() -> argparse.Namespace:
    """Returns the command line; ends the command where it is wrong."""
    parser = every_flag()
    options = parser.parse(sys.argv[1:])
    trouble = output.check_folder(options.out)
    if trouble:
        parser.error(f"--out {trouble}")
    if (options.only or options.missing) and not options.matrix:
        parser.error("--only and --missing belong to --matrix")
    if not options.churn and (options.against or options.threads or options.structure):
        parser.error("--against, --threads and --structure belong to --churn")
    for name in options.structure or []:
        if name not in stress_churn.STRUCTURES:
            parser.error(f"--structure {name}: not one of {', '.join(stress_churn.STRUCTURES)}")
    return options


def every_flag() -> command_line.StrictParser:
    """Returns the parser of a command line."""
    parser = command_line.StrictParser(prog="scripts/stress", description=__doc__, epilog=EXPLANATION)
    parser.add_argument("--minutes", type=float, default=1, help="how long (default 1)")
    parser.add_argument("--sanitizer", choices=sorted(PRESETS), default="none")
    parser.add_argument("--seed", type=int, default=1, help="where the rounds begin")
    parser.add_argument("--replay", metavar="KIND:SEED", help="play one round again")
    parser.add_argument(
        "--out",
        type=Path,
        default=BUILD / "stress",
        help="folder for histories and timelines (default build/stress)",
    )
    parser.add_argument("--bug", help="with this planted bug switched on")
    parser.add_argument("--weaken", metavar="EDGE", help="with the orders of this edge relaxed")
    parser.add_argument("--matrix", action="store_true", help="every planted bug by every check")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help="with --matrix: these rows again",
    )
    parser.add_argument(
        "--missing", action="store_true", help="with --matrix: what results/stress does not have yet"
    )
    parser.add_argument(
        "--garbage", action="store_true", help="what searches that are stopped for ever keep in memory"
    )
    parser.add_argument(
        "--churn", action="store_true", help="what insertions and removals keep in memory, by threads"
    )
    parser.add_argument(
        "--against", metavar="COMMIT", help="with --churn: the same with that commit's library, too"
    )
    parser.add_argument(
        "--threads",
        type=thread_list,
        metavar="LIST",
        help="with --churn: numbers of threads (default 1,2,4,8,32)",
    )
    parser.add_argument(
        "--structure",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help=f"with --churn: of {', '.join(stress_churn.STRUCTURES)} (default: all)",
    )
    parser.add_argument("--seconds", type=float, default=5, help="of each check of the matrix (default 5)")
    parser.add_argument("--jobs", type=int, default=2, help="checks of the matrix at a time (default 2)")
    parser.add_argument(
        "--peer", choices=["hnswlib"], help="the positive control: an index that must fail the checks"
    )
    parser.add_argument("--list", action="store_true", help="kinds of rounds, planted bugs, edges")
    return parser


def main() -> int:
    """Returns the exit status."""
    options = parse()
    if options.churn:
        folder = RESULTS if options.out == BUILD / "stress" else options.out
        return stress_churn.churn(options, folder)
    if options.list:
        build("release")
        return child_processes.exit_status(child_processes.run(soak_command("release", "--list")).returncode)
    if options.peer:
        return peer(options)
    if options.garbage:
        return garbage(options)
    return matrix(options) if options.matrix else soak(options)


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/stress", main)
