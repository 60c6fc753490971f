"""Says whether one version of hotindex, or of any program that uses Google Benchmark, is slower than another,
and how sure that is."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Callable

from bench import options as bench_options
from common import command_line, output
from common.failure import Failure
from common.repository import ROOT
from common.suggestion import nearest
from gate import entries as entries_of_gate, runs as gate_runs
from gate.statistics import Rules

EXPLANATION = """\
Exit status: 0 pass, 1 regression, 2 cannot decide, 3 usage or data error. A benchmark that is missing on one
side, an empty run, a NaN, a zero or a truncated file is never a pass. "Cannot decide" is neither: no slowdown
was shown, and none was excluded; --cannot-decide green or red makes a 0 or a 1 of it. A reader that has gone,
as head has, or a closed stdout changes no status; a full disk, or a file that was asked for and cannot be
written, makes 3 of a 0 and leaves the others. 128 + signal when a signal ended it; the pairs measured until
then are in build/gate.

--refs measures both commits by turns, each run a fresh process, in an order drawn by lot: 30 pairs of each
benchmark, then 90 more of those that are not decided by then; about 3 to 8 minutes on 2 cores, and what the
builds take: when --minutes are over, what is not decided stays so. Besides, it counts: operations on shared
memory, allocations, bytes a vector, instructions (valgrind). Counts need no statistics.

--binaries does the same with two programs that use Google Benchmark, whosever they are; it counts nothing.

--baseline and --candidate compare saved runs: any JSON of Google Benchmark with repetitions or at least their
mean and stddev, such as what scripts/bench --repetitions 10 wrote, or the two files that --refs left. What a
file does not say of its machine, compiler and flags is told; what two files say differently is refused.
Whatever changed on the machine between two separate runs counts as a difference: --refs and --binaries do not
have this weakness.

environment:
  HOTINDEX_NO_SETUP=1   do not look for packages

examples:
  scripts/gate --refs origin/main HEAD --markdown gate.md
  scripts/gate --refs HEAD~1 HEAD --measures counts        seconds, once both are built
  scripts/gate --baseline old/results.json --candidate new/results.json
  scripts/gate --binaries old/bench new/bench -- --benchmark_filter=BM_Parse
  scripts/gate --calibrate                                 how noisy is this machine?
  scripts/gate --write-counts --accept "versions cost one store"
"""

CALIBRATION = ROOT / "results" / "gate" / "calibration.json"
MINUTES = 8
SET_HERE = ("--benchmark_format", "--benchmark_out", "--benchmark_list_tests", "--benchmark_repetitions")
PAIRS = 30  # at the first look
SECOND = 4  # times as many at the second one
MEASURES = ("times", "counts", "instructions")


class Usage(Failure):
    """The command line or the data cannot be used: exit status 3."""


class GateParser(command_line.StrictParser):
    """A parser with the gate's own status for wrong usage."""

    wrong_usage = 3


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Returns what a command line asks for; ends the command where it is wrong."""
    parser = every_flag()
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse(arguments[:end])
    options.flags = arguments[end + 1 :]
    check_together(parser, options)
    check_places(parser, options)
    return options


def every_flag() -> GateParser:
    """Returns the parser of a command line."""
    parser = GateParser(prog="scripts/gate", description=__doc__, epilog=EXPLANATION)
    task = parser.add_argument_group("what to do")
    task.add_argument("--refs", nargs=2, metavar=("BASE", "HEAD"), help="build and measure two commits")
    task.add_argument("--baseline", metavar="FILE", type=Path, help="a saved run, with --candidate")
    task.add_argument(
        "--candidate", metavar="FILE", type=Path, help="another one; any JSON that Google Benchmark wrote"
    )
    task.add_argument(
        "--binaries",
        nargs=2,
        metavar=("OLD", "NEW"),
        type=program,
        help="measure two programs by turns, anybody's; what follows -- are flags for both",
    )
    task.add_argument(
        "--calibrate",
        action="store_true",
        help="measure this version against itself: the noise of each benchmark",
    )
    task.add_argument(
        "--self-test", action="store_true", help="measure the gate: false alarms, and what it finds"
    )
    task.add_argument(
        "--check-counts", action="store_true", help="compare this build's counts with the committed ones"
    )
    task.add_argument("--write-counts", action="store_true", help="write results/gate/counts.json")
    what = parser.add_argument_group("what to compare")
    what.add_argument(
        "--filter", metavar="REGEX", type=bench_options.regular_expression, help=bench_options.FILTER
    )
    what.add_argument("--threads", metavar="LIST", type=bench_options.thread_list, help="default: 1,2")
    what.add_argument(
        "--all", action="store_true", help="every workload of scripts/bench, not only the small ones"
    )
    what.add_argument(
        "--measures", metavar="LIST", type=list_of(MEASURES), help=f"of {', '.join(MEASURES)}; default: all"
    )
    what.add_argument(
        "--across",
        metavar="LIST",
        type=list_of(tuple(gate_runs.CONDITIONS)),
        default=[],
        help=f"compare in spite of another {', '.join(gate_runs.CONDITIONS)}",
    )
    what.add_argument(
        "--allow-missing",
        metavar="REGEX",
        type=bench_options.regular_expression,
        help="benchmarks that may be missing on one side",
    )
    what.add_argument(
        "--by",
        metavar="NAME",
        choices=entries_of_gate.CHOICES,
        help=f"what counts of an entry: {', '.join(entries_of_gate.CHOICES)}; default: the first that it has "
        f"of {', '.join(entries_of_gate.QUANTITIES)}",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--minutes",
        metavar="N",
        type=minutes,
        default=MINUTES,
        help=f"the longest that counting and measuring may take, without the builds; default {MINUTES}",
    )
    how.add_argument(
        "--cannot-decide",
        choices=("green", "red"),
        help='ends with 0 or with 1 where the verdict is "cannot decide"; default: a status of its own, 2',
    )
    how.add_argument(
        "--pairs",
        metavar="N",
        type=bench_options.positive,
        default=PAIRS,
        help=f"at the first look; default {PAIRS}",
    )
    how.add_argument(
        "--min-time",
        metavar="SECONDS",
        type=seconds,
        help="of one run; default 0.02, with several threads 0.05",
    )
    how.add_argument(
        "--minimum-effect",
        metavar="PERCENT",
        type=percentage,
        help="what is no regression, however sure; default 5",
    )
    how.add_argument(
        "--calibration", metavar="FILE", type=Path, help="default: results/gate/calibration.json"
    )
    how.add_argument("--accept", metavar="REASON", help="with --write-counts: why counts rise")
    effort = how.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_true", help="with --self-test: within half a minute")
    effort.add_argument(
        "--full",
        action="store_true",
        help="with --self-test: about 10 minutes; writes results/gate/ and the README's figures",
    )
    out = parser.add_argument_group("output")
    out.add_argument("--json", metavar="FILE", type=Path)
    out.add_argument("--markdown", metavar="FILE", type=Path)
    out.add_argument(
        "--chart",
        metavar="FILE",
        type=Path,
        help="as SVG and PNG; default with --refs: build/gate/ratios.svg",
    )
    return parser


def check_together(parser: GateParser, options: argparse.Namespace) -> None:
    """Ends the command where flags do not go together."""
    tasks = {
        "--refs": options.refs,
        "--baseline": options.baseline or options.candidate,
        "--binaries": options.binaries,
        "--calibrate": options.calibrate,
        "--self-test": options.self_test,
        "--check-counts": options.check_counts,
        "--write-counts": options.write_counts,
    }
    chosen = [name for name, given in tasks.items() if given]
    if len(chosen) != 1:
        parser.error(
            f"{' and '.join(chosen)} exclude each other" if chosen else f"choose one of {', '.join(tasks)}"
        )
    if bool(options.baseline) != bool(options.candidate):
        parser.error("--baseline and --candidate belong together")
    if (options.quick or options.full) and not options.self_test:
        parser.error("--quick and --full belong to --self-test")
    if options.flags and not options.binaries:
        parser.error(f"{options.flags[0]}: flags after -- are for the programs of --binaries")
    for flag in options.flags:
        if flag.split("=")[0] in SET_HERE:
            parser.error(f"{flag}: --binaries sets {flag.split('=')[0]} itself")
    if options.accept and not options.write_counts:
        parser.error("--accept belongs to --write-counts")
    if options.refs and any(ref.startswith("-") for ref in options.refs):
        parser.error("--refs needs two commits")


def check_places(parser: GateParser, options: argparse.Namespace) -> None:
    """Ends the command where a file cannot be written, before anything is measured."""
    for flag in ("json", "markdown", "chart"):
        path = getattr(options, flag)
        trouble = path and output.check_file(path)
        if trouble:
            parser.error(f"--{flag} {trouble}")
    if options.calibrate:
        trouble = output.check_file(options.calibration or CALIBRATION)
        if trouble:
            parser.error(f"--calibration {trouble}")


def list_of(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Returns the parser of a flag whose value lists some of the known words."""

    def parse(text: str) -> list[str]:
        words = text.split(",")
        for word in words:
            if word not in known:
                near = nearest(word, known, cutoff=0.4)
                raise argparse.ArgumentTypeError(f"{word}: not one of {', '.join(known)}{near}")
        return words

    return parse


def seconds(text: str) -> float:
    """Returns a flag's value as seconds; a unit may follow, as in Google Benchmark's own flag."""
    text = text[:-1] if text.endswith("s") else text
    if not re.fullmatch(r"\d*\.?\d+", text) or not 0.001 <= float(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text}: not a number of seconds from 0.001 to 100")
    return float(text)


def minutes(text: str) -> float:
    """Returns a flag's value as minutes."""
    if not re.fullmatch(r"\d*\.?\d+", text) or not 0 < float(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text}: not a number of minutes above 0")
    return float(text)


def program(text: str) -> Path:
    """Returns a flag's value as the path of a program that can be run."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    if not os.access(path, os.X_OK):
        raise argparse.ArgumentTypeError(f"{text}: no program: it cannot be executed")
    return path


def percentage(text: str) -> float:
    """Returns a flag's value, a percentage, as a share."""
    if not re.fullmatch(r"\d*\.?\d+", text) or not 0 < float(text) < 100:
        raise argparse.ArgumentTypeError(f"{text}: not a percentage")
    return float(text) / 100


def rules_of(options: argparse.Namespace, looks: int) -> Rules:
    """Returns the rules that a command line asks for, for so many looks."""
    effect = options.minimum_effect or Rules.minimum_effect
    return Rules(minimum_effect=effect, detect=max(Rules.detect, 2 * effect), looks=looks)
