"""Draws the charts of a results.json: for every workload the throughput against threads with its spread, the
ratio to the mutex and the parallel efficiency, and one overview of the three headline workloads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from bench import results as result_file, tables
from bench.results import Ratio, Results
from common import command_line, output, readme
from common.failure import Failure
from plot.charts import draw_all, headline_groups
from plot.style import cannot_draw

EXAMPLES = """\
examples:
  scripts/plot results/local/20250101T120000Z/results.json -o charts
  scripts/plot results.json -o charts --only search
  scripts/plot results/full/results.json -o results/full --readme README.md

writes, as SVG and PNG: overview, and one chart for each workload with its parameters
"""

BLOCK = "bench"  # of the README


SHOWN = ("exchange", "read_heavy", "search_beside_writer")  # besides the headline workloads


def ratio_table(results: Results) -> str:
    """Returns the ratios of the workloads that a user asks for first, at as many threads as there are cores,
    as Markdown: median of the repetitions, [lowest to highest]."""
    rows = [
        "| workload | threads | rwlock / mutex | lock_free / mutex | lock_free / rwlock |",
        "|---|--:|--:|--:|--:|",
    ]

    def shown(ratio: Ratio | None) -> str:
        return f"x{ratio[0]:.2f} [{ratio[1]:.2f} to {ratio[2]:.2f}]" if ratio else "-"

    others = [
        each
        for each in results.groups
        if each.workload in SHOWN
        and not any(key == "keys" and value != "zipf" for key, value in each.parameters)
        and ("read", "search") not in each.parameters
        and (not each.paced or ("writes", "10000") in each.parameters)
    ]
    for group in [*headline_groups(results), *others]:
        threads = max((n for n in group.threads if n <= (results.cores or 1)), default=group.threads[-1])
        of_mutex = [shown(group.ratio(line, threads)) for line in ("rwlock", "lock_free")]
        of_rwlock = shown(group.ratio("lock_free", threads, "rwlock"))
        rows.append(f"| {group.title} | {threads} | {' | '.join(of_mutex)} | {of_rwlock} |")
    low, high = results.groups[0].repetitions
    rounds = f"{low}" if low == high else f"{low} to {high}"
    return "\n".join(
        [
            *rows,
            "",
            f"Median of {rounds} interleaved repetitions, lowest and highest in brackets; "
            f"{machine_of(results)}.",
        ]
    )


CLAIMS = (("insert", "insertion", "2 to 5"), ("search", "search", "3 to 10"))


def claims_table(results: Results) -> str:
    """Returns what was claimed of the lock-free index, and what was measured up to a thread for each core, as
    Markdown."""
    rows = ["| claimed of the lock-free index | measured |", "|---|---|"]
    groups = {group.workload: group for group in headline_groups(results)}
    for workload, name, times in CLAIMS:
        group = groups.get(workload)
        if not group or "lock_free" not in group.lines:
            continue
        ladder = [threads for threads in group.threads if 1 < threads <= (results.cores or 1)]
        ratios = [(threads, group.ratio("lock_free", threads)) for threads in ladder]
        told = ", ".join(f"{threads}: x{ratio[0]:.1f}" for threads, ratio in ratios if ratio)
        rows.append(f"| {name}: {times} times the mutex index | by threads: {told} |")
        line = group.lines["lock_free"]
        if 1 in line and ladder:
            gain = line[ladder[-1]].median / line[1].median
            rows.append(f"| {name}: near-linear | {ladder[-1]} threads: x{gain:.1f} of what one does |")
    return "\n".join(rows)


def machine_of(results: Results) -> str:
    """Returns the machine for the line below the table."""
    return f"{result_file.machine_line(results)}; beyond {results.cores} threads it is oversubscribed"


def update_readme(path: Path, results: Results) -> None:
    """Puts the tables into the file. Raises BadResults where it has no markers."""
    if not readme.write_block(path, BLOCK, f"{ratio_table(results)}\n\n{claims_table(results)}"):
        raise result_file.BadResults(
            f"--readme {path}: there is no {' ... '.join(readme.markers(BLOCK))} in it"
        )


def main() -> int:
    """Returns the exit status."""
    parser = command_line.StrictParser(prog="scripts/plot", description=__doc__, epilog=EXAMPLES)
    parser.add_argument("results", metavar="RESULTS.json", type=Path)
    parser.add_argument("-o", "--out", metavar="DIR", type=Path, required=True, help="folder for the charts")
    parser.add_argument("--only", metavar="WORKLOAD", help="draw the charts of this workload and no others")
    parser.add_argument(
        "--readme",
        metavar="FILE",
        type=Path,
        help="also put the tables of ratios and claims between FILE's markers",
    )
    parser.add_argument(
        "--summary", action="store_true", help="also write summary.md, as scripts/bench does where it draws"
    )
    options = parser.parse(sys.argv[1:])
    trouble = output.check_folder(options.out)
    if trouble:
        parser.error(f"--out {trouble}")
    why = cannot_draw()
    if why:
        raise Failure(why)
    try:
        results = result_file.read(options.results)
    except result_file.BadResults as failure:
        print(f"scripts/plot: {failure}", file=sys.stderr)
        return 2
    workloads = sorted({each.workload for each in results.groups})
    if options.only and options.only not in workloads:
        parser.error(f"--only {options.only}: {options.results} has {', '.join(workloads)}")
    for name, message in results.errors:
        print(f"scripts/plot: left out {name}: it failed: {message}", file=sys.stderr)
    for name in results.unnamed:
        print(f"scripts/plot: left out {name}: not named workload/index/...", file=sys.stderr)
    line = command_line.ProgressLine()
    drawn = draw_all(
        results, options.out, options.only, lambda done, all: line.show(f"{done} of {all} charts")
    )
    line.clear()
    if options.summary:
        try:
            text = tables.summary(results, list(results.context.get("dataset_notes", [])), drawn)
        except KeyError as missing:
            print(f"scripts/plot: --summary: {options.results} does not say {missing}", file=sys.stderr)
            return 2
        output.write_whole(options.out / "summary.md", text)
    if options.readme:
        try:
            update_readme(options.readme, results)
        except (OSError, output.CannotWrite, result_file.BadResults) as failure:
            print(f"scripts/plot: {failure}", file=sys.stderr)
            return 2
    print(f"{len(drawn)} charts, each as SVG and PNG, in {options.out}")
    return 0


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/plot", main)
