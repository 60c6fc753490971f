"""Draws the charts of a results.json: for every workload the throughput against threads with its spread, the ratio to
the mutex and the parallel efficiency, and one overview of the three headline workloads."""

from __future__ import annotations

import itertools
import statistics
import sys
import textwrap
from pathlib import Path
from typing import NoReturn

from common import child_processes
from common import command_line
from common import output
from bench import results as result_file

EXAMPLES = """\
examples:
  scripts/plot results/local/20250101T120000Z/results.json -o charts
  scripts/plot results.json -o charts --only search
  scripts/plot results/full/results.json -o results/full --readme README.md

writes, as SVG and PNG: overview, and one chart for each workload with its parameters
"""

# Okabe and Ito's colours, told apart with any colour vision; markers and dashes say the same again, for grey paper.
STYLES = {
    "mutex": ("#D55E00", "s", (0, (5, 2))),
    "rwlock": ("#009E73", "^", (0, (1.5, 1.5))),
    "lock_free": ("#0072B2", "o", "-"),
}
OTHER_STYLES = (
    ("#CC79A7", "D", "-"),
    ("#E69F00", "v", (0, (5, 2))),
    ("#56B4E9", "P", (0, (1.5, 1.5))),
    ("#000000", "X", (0, (5, 2, 1.5, 2))),
    ("#8C6D31", "*", "-"),
)
PANEL_WIDTH = {1: 7.0, 2: 5.6, 3: 4.4}  # inches, by the number of panels
LABELS = {"lock_free": "lock-free", "rwlock": "reader-writer lock", "mutex": "mutex"}


def style_of(lines):
    """{line: (colour, marker, dashes)}; a chart without the usual lines takes the other styles in order."""
    free = [*OTHER_STYLES, *(style for line, style in STYLES.items() if line not in lines)]
    others = itertools.cycle(free)
    return {line: STYLES[line] if line in STYLES else next(others) for line in lines}


def label_of(line):
    return LABELS.get(line, line.replace("_", " "))


def cannot_draw() -> str:
    """Returns why nothing can be drawn here; "" when it can."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as failure:
        return f"drawing needs matplotlib, which scripts/setup installs ({failure})"
    return ""


def new_figure(width, height, panels):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.color": "#E3E3E3",
            "grid.linewidth": 0.8,
            "axes.axisbelow": True,
            "svg.hashsalt": "hotindex",  # the same results give the same file
        }
    )
    return plt.subplots(1, panels, figsize=(width, height), squeeze=False)


def thread_axis(axis, group, cores):
    """log2, with a plain number at every measured count, and what lies beyond the cores shaded."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    threads = group.threads
    axis.set_xscale("log", base=2)
    left, right = threads[0] / 2**0.3, threads[-1] * 2**0.3
    axis.set_xlim(left, right)
    axis.xaxis.set_major_locator(FixedLocator(threads))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("threads, beside one that writes" if group.busy_threads(0) else "threads")
    if cores and group.busy_threads(threads[-1]) > cores:
        # From just beyond the last count that still has a core for each thread.
        fitting = cores - group.busy_threads(0)
        begin = max(left, min(fitting * 2**0.15, threads[-1] / 2**0.1))
        axis.axvspan(begin, right, color="#000000", alpha=0.055, linewidth=0, zorder=0)
        axis.annotate(
            f"oversubscribed: more\nthreads than {cores} core{'s' if cores != 1 else ''}",
            xy=(right, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=8,
            color="#555555",
        )


def draw_lines(axis, group, value):
    """One line for each index; `value(line, threads)` is (median, low, high) or None. Returns the largest value drawn."""
    top = 0.0
    alone = len(group.threads) == 1
    crowded = alone or len(group.lines) > 3  # then points and bars stand side by side, without bands
    for place, (line, (colour, marker, dashes)) in enumerate(style_of(group.lines).items()):
        points = [(count, value(line, count)) for count in sorted(group.lines[line])]
        points = [(count, *seen) for count, seen in points if seen]
        if not points:
            continue
        counts, middle, low, high = zip(*points)
        if crowded:
            counts = [
                count * 2 ** ((0.1 if alone else 0.06) * (place - (len(group.lines) - 1) / 2))
                for count in counts
            ]
        else:
            axis.fill_between(counts, low, high, color=colour, alpha=0.16, linewidth=0)
        bars = [[m - l for m, l in zip(middle, low)], [h - m for m, h in zip(middle, high)]]
        axis.errorbar(counts, middle, yerr=bars, fmt="none", ecolor=colour, elinewidth=1.1, capsize=3)
        axis.plot(
            counts, middle, color=colour, marker=marker, linestyle=dashes, markersize=6, label=label_of(line)
        )
        top = max(top, *high)
    return top


def draw_throughput(axis, group, cores):
    top = max(cell.high for cells in group.lines.values() for cell in cells.values())
    divisor, words = result_file.unit(top)

    def value(line, count):
        cell = group.lines[line][count]
        return cell.median / divisor, cell.low / divisor, cell.high / divisor

    draw_lines(axis, group, value)
    thread_axis(axis, group, cores)
    axis.set_ylim(0, top / divisor * 1.08 or 1)
    axis.set_ylabel(f"{words},\nall threads, real time")


def baseline_words(group):
    return "all off" if group.workload == "tax" else label_of(group.baseline)


def draw_ratio(axis, group, cores):
    top = draw_lines(axis, group, group.ratio)
    thread_axis(axis, group, cores)
    axis.axhline(1, color="#777777", linewidth=0.9, zorder=1)
    axis.set_ylim(0, max(top, 1) * 1.08)
    axis.set_ylabel(f"throughput, {baseline_words(group)} = 1")


def draw_writer(axis, group, cores):
    """What the thread beside the measured ones did meanwhile: searches are quick beside a writer that is kept waiting."""
    unit, words = result_file.unit(
        max(max(cell.beside) for cells in group.lines.values() for cell in cells.values())
    )

    def value(line, count):
        beside = group.lines[line][count].beside
        return tuple(x / unit for x in (statistics.median(beside), min(beside), max(beside)))

    top = draw_lines(axis, group, value)
    thread_axis(axis, group, cores)
    axis.set_ylim(0, top * 1.08)
    axis.set_ylabel(f"{words},\nreal time")


def draw_efficiency(axis, group, cores):
    def value(line, count):
        one, here = group.lines[line].get(1), group.lines[line][count]
        if not one or one.median <= 0:
            return None
        return tuple(x / (count * one.median) for x in (here.median, here.low, here.high))

    top = draw_lines(axis, group, value)
    thread_axis(axis, group, cores)
    if cores and group.threads[-1] > 1:
        first, last = group.threads[0], group.threads[-1]
        steps = [first * (last / first) ** (i / 200) for i in range(201)]
        limit = f"the most that {cores} core{'s' if cores > 1 else ''} can give"
        axis.plot(
            steps,
            [min(1, cores / group.busy_threads(x)) for x in steps],
            color="#777777",
            linewidth=1,
            zorder=1,
            label=limit,
        )
    axis.set_ylim(0, max(top, 1) * 1.08)
    axis.set_ylabel("throughput per thread,\n1 thread = 1")


def spread_words(group_or_groups):
    groups = group_or_groups if isinstance(group_or_groups, list) else [group_or_groups]
    low = min(each.repetitions[0] for each in groups)
    high = max(each.repetitions[1] for each in groups)
    if high == 1:
        return "One repetition: the spread is unknown"
    return f"Median of {low if low == high else f'{low} to {high}'} repetitions; band and bars: lowest to highest"


def finish(figure, axes, title, note, path):
    """Title, one legend for all panels above them, footnote, and both files."""
    width, height = figure.get_size_inches()
    title = textwrap.fill(title, int(width * 9))
    below_title = 0.22 + 0.22 * (title.count("\n") + 1)  # inches from the top
    handles = {}
    for axis in axes:  # a line may be missing from one panel, such as a peer without a ratio
        for handle, label in zip(*axis.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    columns = max(1, min(len(handles), int(width / 2.6)))
    rows = -(-len(handles) // columns)
    labels = list(handles)
    # matplotlib fills a legend column by column; readers read row by row.
    labels = [labels[i] for column in range(columns) for i in range(column, len(labels), columns)]
    figure.text(0.14 / width, 1 - 0.14 / height, title, ha="left", va="top", fontsize=13, fontweight="bold")
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="upper left",
        bbox_to_anchor=(0.14 / width, 1 - below_title / height),
        ncol=columns,
        frameon=False,
        borderpad=0,
        handlelength=3.2,
        borderaxespad=0,
    )
    note = "\n".join(textwrap.fill(line, int(width * 14)) for line in note.split("\n"))
    figure.text(0.14 / width, 0.1 / height, note, fontsize=8, color="#555555", va="bottom")
    bottom = 0.18 + 0.14 * (note.count("\n") + 1)
    top = below_title + 0.16 + 0.21 * rows
    figure.tight_layout(rect=(0, bottom / height, 1, 1 - top / height), w_pad=2.5)
    for kind, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 130})):
        figure.savefig(f"{path}.{kind}", **options)
    import matplotlib.pyplot as plt

    plt.close(figure)


def draw_group(group, cores, machine, folder):
    panels = [(draw_throughput, "Throughput")]
    if group.baseline in group.lines and len(group.lines) > 1:
        base = baseline_words(group)
        panels.append((draw_ratio, f"Relative to {'the ' if base == 'mutex' else ''}{base}"))
    if group.workload == "search_beside_writer":
        panels.append((draw_writer, "What the writer replaced"))
    elif (
        group.workload != "tax"
        and len(group.threads) > 1
        and any(1 in cells for cells in group.lines.values())
    ):
        panels.append((draw_efficiency, "Parallel efficiency"))
    figure, axes = new_figure(PANEL_WIDTH[len(panels)] * len(panels), 4.5, len(panels))
    for axis, (draw, name) in zip(axes[0], panels):
        draw(axis, group, cores)
        axis.set_title(name, loc="left", fontsize=11)
    path = folder / group.slug
    finish(figure, axes[0], group.title, f"{spread_words(group)}.\n{machine}", path)
    return path.name


def headline_groups(results):
    """For each headline workload the group that an overview should show: the one with the most lines, then points."""
    chosen = []
    for workload in result_file.HEADLINE:
        candidates = [
            each for each in results.groups if each.workload == workload and each.structure == "index"
        ]
        if candidates:
            chosen.append(max(candidates, key=lambda each: (len(each.lines), len(each.threads))))
    return chosen


def draw_overview(groups, cores, machine, folder):
    figure, axes = new_figure(PANEL_WIDTH[len(groups)] * len(groups), 4.5, len(groups))
    for axis, group in zip(axes[0], groups):
        draw_throughput(axis, group, cores)
        # The title stands above the note on oversubscription, in two lines.
        head, _, rest = group.title.partition(": ")
        for words, above, size, weight in ((head, 42, 11, "bold"), (rest, 29, 9, "normal")):
            axis.annotate(
                words,
                xy=(0, 1),
                xycoords="axes fraction",
                xytext=(0, above),
                textcoords="offset points",
                fontsize=size,
                fontweight=weight,
            )
    title = "Throughput against threads: the same work on each index"
    finish(figure, axes[0], title, f"{spread_words(groups)}.\n{machine}", folder / "overview")
    return "overview"


def draw_all(results, folder, only=None, progress=None):
    """Draws every chart into the folder, on all cores. Returns the charts' names without their endings."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    machine, cores = result_file.machine_line(results), results.cores
    jobs = []
    if not only:
        headline = headline_groups(results)
        if headline:
            jobs.append((draw_overview, headline, cores, machine, folder))
    for each in results.groups:
        if not only or each.workload == only:
            jobs.append((draw_group, each, cores, machine, folder))
    drawn = []
    with child_processes.pool() as pool:
        for future in [pool.submit(*job) for job in jobs]:
            drawn.append(future.result())
            if progress:
                progress(len(drawn), len(jobs))
    return drawn


BEGIN, END = "<!-- bench: generated -->", "<!-- bench: end -->"


def ratio_table(results):
    """The ratios of the headline workloads, and of read-heavy on Zipf keys, as Markdown: median of the repetitions, [lowest to highest]."""
    rows = [
        "| workload | threads | rwlock / mutex | lock_free / mutex | lock_free / rwlock |",
        "|---|--:|--:|--:|--:|",
    ]

    def shown(ratio):
        return f"x{ratio[0]:.2f} [{ratio[1]:.2f} to {ratio[2]:.2f}]" if ratio else "-"

    read_heavy = [
        each
        for each in results.groups
        if each.workload == "read_heavy" and ("keys", "zipf") in each.parameters
    ]
    for group in [*headline_groups(results), *read_heavy]:
        for threads in group.threads:
            of_mutex = [
                shown(group.ratio(line, threads)) for line in ("rwlock", "lock_free") if line in group.lines
            ]
            of_rwlock = shown(group.ratio("lock_free", threads, "rwlock"))
            rows.append(f"| {group.title} | {threads} | {' | '.join(of_mutex)} | {of_rwlock} |")
    low, high = results.groups[0].repetitions
    rounds = f"{low}" if low == high else f"{low} to {high}"
    return "\n".join(
        [
            *rows,
            "",
            f"Median of {rounds} interleaved repetitions, lowest and highest in brackets; {machine_of(results)}.",
        ]
    )


def machine_of(results):
    return f"{result_file.machine_line(results)}; beyond {results.cores} threads it is oversubscribed"


def update_readme(path, results):
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise result_file.BadResults(f"--readme {path}: there is no {BEGIN} ... {END} in it")
    head, rest = text.split(BEGIN, 1)
    output.write_whole(path, f"{head}{BEGIN}\n{ratio_table(results)}\n{END}{rest.split(END, 1)[1]}")


def main() -> int:
    """Returns the exit status."""
    parser = command_line.StrictParser(prog="scripts/plot", description=__doc__, epilog=EXAMPLES)
    parser.add_argument("results", metavar="RESULTS.json", type=Path)
    parser.add_argument("-o", "--out", metavar="DIR", type=Path, required=True, help="folder for the charts")
    parser.add_argument("--only", metavar="WORKLOAD", help="draw the charts of this workload and no others")
    parser.add_argument(
        "--readme", metavar="FILE", type=Path, help="also put the table of ratios between FILE's markers"
    )
    options = parser.parse_args()
    trouble = output.check_folder(options.out)
    if trouble:
        parser.error(f"--out {trouble}")
    why = cannot_draw()
    if why:
        raise command_line.Failure(why)
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
