"""Builds the benchmark binary, measures every workload on every index over a ladder of threads, prints a
table and leaves results.json, summary.md and charts."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from common import command_line, output

EXPLANATION = """\
The benchmarks are measured in rounds: each round runs all of them once, in a random order, in a process of
its own. So repetitions of different indexes are interleaved, and what changes in the machine meanwhile meets
all alike. Without a flag and with --quick the time for each benchmark follows from the time there is, and a
round that would not end in time is left out, which the summary then says. With --repetitions every round is
run, however long it takes.

What is measured is kept: results.json is written anew after every round, and Ctrl-C, SIGTERM or a closed
terminal lead to the table of what there is until then, without charts. Charts need matplotlib, all else does
not.

Exit status: 0 measured, 1 something failed (the table is printed all the same), 2 wrong usage, 128 + signal
when a signal ended it.

environment:
  HOTINDEX_NO_SETUP=1   do not look for packages

examples:
  scripts/bench                                          all workloads, within 6 minutes on 2 cores
  scripts/bench --quick --dataset mnist.idx3-ubyte.gz    within about 90 seconds, on real vectors
  scripts/bench --threads 1,2,4 --filter '^search/'      only searches
  scripts/bench --full --out results/my-machine          long runs, for numbers to publish
  scripts/bench --portable bench.pyz                     then, on another machine without packages:
                                                         python3 bench.pyz --out results
"""
FILTER = (
    "only benchmarks in whose name this Python regular expression is found; -REGEX: all but those, as in "
    "Google Benchmark's own flag"
)


def parse_options() -> argparse.Namespace:
    """Returns the command line; ends the command where it is wrong."""
    parser = command_line.StrictParser(prog="scripts/bench", description=__doc__, epilog=EXPLANATION)
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_true", help="within about 90 seconds")
    effort.add_argument("--full", action="store_true", help="long runs, more threads, no limit of time")
    parser.add_argument(
        "--dataset", metavar="FILE", type=existing_file, help="vectors to use; default: generated ones"
    )
    parser.add_argument(
        "--metric",
        choices=("cosine", "inner_product", "squared_euclidean"),
        help="what the dataset is compared by; default: what its file says, otherwise cosine",
    )
    parser.add_argument("--rows", metavar="N", type=at_least_two, help="only the first N rows of the dataset")
    parser.add_argument("--threads", metavar="LIST", type=thread_list, help="such as 1,2,4,8")
    parser.add_argument("--filter", metavar="REGEX", type=regular_expression, help=FILTER)
    parser.add_argument("--repetitions", metavar="N", type=positive, help="rounds, all of them run")
    parser.add_argument("--out", metavar="DIR", type=Path, help="default: results/local/<time>")
    parser.add_argument(
        "--portable",
        metavar="FILE",
        type=Path,
        help="measure nothing; write one Python file that measures on another machine",
    )
    options = parser.parse(sys.argv[1:])
    if options.portable and len(sys.argv) > (2 if "=" in sys.argv[1] else 3):
        parser.error("--portable goes alone: the file that it writes takes the other flags")
    trouble = options.out and output.check_folder(options.out)
    if trouble:
        parser.error(f"--out {trouble}")
    if not options.dataset and (options.metric or options.rows):
        flag = "--metric" if options.metric else "--rows"
        parser.error(f"{flag} is about the vectors of a file: give --dataset FILE, too")
    return options


def existing_file(text: str) -> Path:
    """Returns a flag's value as the path of a file that can be read."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: this is a directory; give one of the files in it")
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(
            f"{text}: this is a pipe or a device; save what it delivers to a file first"
        )
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    if not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"{text}: you may not read this file")
    return path


def thread_list(text: str) -> list[int]:
    """Returns a flag's value as numbers of threads, ascending."""
    if not re.fullmatch(r"\d+(,\d+)*", text) or not all(1 <= int(count) <= 1024 for count in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text}: not a list of numbers from 1 to 1024, such as 1,2,4")
    return sorted({int(count) for count in text.split(",")})


def selects(pattern: str | None, name: str) -> bool:
    """Returns whether --filter means a benchmark of this name."""
    if pattern is None:
        return True
    if pattern.startswith("-"):
        return not re.search(pattern[1:], name)
    return bool(re.search(pattern, name))


def regular_expression(text: str) -> str:
    """Returns a flag's value, a regular expression that compiles, after a minus or not."""
    try:
        re.compile(text[1:] if text.startswith("-") else text)
    except re.error as failure:
        raise argparse.ArgumentTypeError(f"{text}: not a regular expression: {failure}") from None
    return text


def positive(text: str) -> int:
    """Returns a flag's value as a whole number of at least 1."""
    if not re.fullmatch(r"\d+", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: not a number of at least 1")
    return int(text)


def at_least_two(text: str) -> int:
    """Returns a flag's value as a whole number of at least 2: one row is a query, the others are searched."""
    if not re.fullmatch(r"\d+", text) or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text}: not a number of at least 2")
    return int(text)
