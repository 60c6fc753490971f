"""Changes the scripts in many small ways, one at a time, and runs the tests that run the changed line: a
change that no test objects to shows what is not tested."""

from __future__ import annotations

import argparse
import math
import os
import random
import shlex
import sys
import time
from pathlib import Path
from typing import NoReturn

from bench.options import positive
from common import command_line, repository
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT
from mutate import report
from mutate.coverage import measure
from mutate.python_mutants import Mutant, mutants_of
from mutate.trials import Trials
from mutate.workshop import confined, dangerous

BUILD = ROOT / "build" / "mutate"
WHERE = ("scripts/modules", "impl/planted_bugs/plant.py")
EXPLANATION = """\
Changed are comparisons, constants, conditions, operations, arguments and return values; calls, statements,
branches and handlers of errors are dropped. Each mutant is tried in a copy of the project, by the tests that
run a line of the changed statement, cheapest first, until one objects. A test that takes five times as long
as usual objects, too. A run that is broken off goes on where it was; what has not changed since is not tried
again (build/mutate).

Exit status: 0 when at least --at-least of what is not equivalent is killed, and nothing that is accepted as
equivalent in results/mutation/equivalent.json is killed; 1 otherwise, 2 wrong usage, 128 + signal when a
signal ended it.

examples:
  scripts/mutate --only scripts/modules/gate          the gate's modules; prints what survives
  scripts/mutate --sample 200 --seed 7                a sample: a few minutes
  scripts/mutate                                      everything: an hour or two on 2 cores
  scripts/mutate --only scripts/modules/test --write  also writes results/mutation/python.md and python.json
  scripts/mutate --only bench/results.py --list       the mutants, without trying them
"""


def percentage(text: str) -> float:
    """Returns a flag's value, a percentage, as a share."""
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text}: not a percentage")
    return value / 100


def parse() -> argparse.Namespace:
    """Returns the command line; ends the command where it is wrong."""
    parser = command_line.StrictParser(prog="scripts/mutate", description=__doc__, epilog=EXPLANATION)
    parser.add_argument(
        "--only",
        metavar="PATH",
        action="append",
        default=[],
        help="files with that in their path; repeatable",
    )
    parser.add_argument("--sample", metavar="N", type=positive, help="so many mutants, drawn by lot")
    parser.add_argument("--seed", metavar="S", type=int, default=1, help="of the sample (default 1)")
    parser.add_argument("--jobs", metavar="N", type=positive, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument(
        "--at-least", metavar="PERCENT", type=percentage, default=0.9, help="that must be killed (default 90)"
    )
    parser.add_argument(
        "--longest", metavar="SECONDS", type=float, default=math.inf, help="ask no test that takes longer"
    )
    parser.add_argument("--write", action="store_true", help="write results/mutation/python.md and .json")
    parser.add_argument("--list", action="store_true", help="print the mutants")
    return parser.parse(sys.argv[1:])


def files(only: list[str]) -> list[str]:
    """Returns the files with one of these texts in their paths. Raises Failure where a text is in none."""
    every: list[str] = []
    for place in WHERE:
        path = ROOT / place
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        every += [each.relative_to(ROOT).as_posix() for each in found]
    for text in only:
        if not any(text in path for path in every):
            raise Failure(f"--only {text}: no file that is changed has that in its path")
    return [path for path in every if not only or any(text in path for text in only)]


def chosen(options: argparse.Namespace, sources: dict[str, str]) -> list[Mutant]:
    """Returns the mutants that the command line asks for."""
    mutants = [each for path, source in sources.items() for each in mutants_of(path, source)]
    if options.sample and options.sample < len(mutants):
        drawn = set(random.Random(options.seed).sample(range(len(mutants)), options.sample))
        mutants = [each for number, each in enumerate(mutants) if number in drawn]
    return mutants


def main() -> int:
    """Returns the exit status."""
    options = parse()
    begin = time.monotonic()
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in files(options.only)}
    if not options.list and not confined():
        left_out = [path for path in sources if dangerous(path)]
        for path in left_out:
            print(f"note: left out: {path}: its mutants might signal others, and unshare does not work here")
            del sources[path]
    mutants = chosen(options, sources)
    if options.list:
        for each in mutants:
            print(f"{each.path}:{each.line}: {each.function}: {each.kind}: {each.what}")
        print(f"{len(mutants)} mutants of {len(sources)} files")
        return 0
    if not mutants:
        raise Failure("there is nothing to change")
    equivalent = report.read_equivalent()
    tests, failing = measure(options.jobs, BUILD / "coverage.json")
    for name in failing:
        print(f"note: left out: {name}: it fails without any mutant, or is skipped", flush=True)
    if not tests:
        raise Failure("no test passes")
    trials = Trials(tests, BUILD / "python.json", options.longest)
    trials.run(mutants, sources, options.jobs)
    tallies, wrong = report.tally(mutants, trials.fates, equivalent)
    report.print_survivors(tallies)
    report.print_table(tallies)
    for name in wrong:
        print(f"accepted as equivalent, and killed: {name}")
    if options.write:
        command = shlex.join(["scripts/mutate", *sys.argv[1:]])
        report.write(tallies, command, repository.commit())
        print("results/mutation/python.md, results/mutation/python.json")
    whole = report.added("all", tallies)
    print(in_words(time.monotonic() - begin))
    last = f"{whole.killed} killed, {whole.equivalent} equivalent, {len(whole.survivors)} survived"
    print(f"{last}: {whole.score:.1%}, {options.at_least:.0%} are asked for", flush=True)
    return 1 if wrong or whole.score < options.at_least else 0


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/mutate", main)
