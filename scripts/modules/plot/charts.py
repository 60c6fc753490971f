"""The charts of a results.json: one for each workload, and an overview."""

from __future__ import annotations

import statistics
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional, Sequence, Tuple

from bench import results as result_file
from bench.results import Group, Ratio, Results
from common import child_processes
from plot import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Value = Callable[[str, int], Optional[Ratio]]  # of a line and its number of threads
Progress = Callable[[int, int], None]  # charts drawn, of all
Point = Tuple[float, float, float, float]  # where on the x axis; median, lowest, highest
PANEL_WIDTH = {1: 7.0, 2: 5.6, 3: 4.4}  # inches, by the number of panels


def thread_axis(axis: Axes, group: Group, cores: int | None) -> None:
    """Makes the x axis one of threads: log2, with a plain number at every measured count, and what lies
    beyond the cores shaded."""
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
        axis.axvspan(begin, right, color=style.BLACK, alpha=0.055, linewidth=0, zorder=0)
        axis.annotate(
            f"oversubscribed: more\nthreads than {cores} core{'s' if cores != 1 else ''}",
            xy=(right, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=8,
            color=style.NOTE,
        )


def draw_line(
    axis: Axes, line: str, looks: style.Style, places: list[float], points: Sequence[Point]
) -> None:
    """Draws one line through the medians of its points, at these places of the x axis, with bars from the
    lowest to the highest."""
    colour, marker, dashes = looks
    _, middle, low, high = zip(*points)
    bars = [[m - l for m, l in zip(middle, low)], [h - m for m, h in zip(middle, high)]]
    axis.errorbar(places, middle, yerr=bars, fmt="none", ecolor=colour, elinewidth=1.1, capsize=3)
    label = style.label_of(line)
    axis.plot(places, middle, color=colour, marker=marker, linestyle=dashes, markersize=6, label=label)


def draw_lines(axis: Axes, group: Group, value: Value) -> float:
    """Draws a line for each index; `value(line, threads)` is (median, low, high) or None. Returns the largest
    value drawn."""
    top = 0.0
    alone = len(group.threads) == 1
    crowded = alone or len(group.lines) > 3  # then points and bars stand side by side, without bands
    for place, (line, looks) in enumerate(style.style_of(group.lines).items()):
        points = [(count, *seen) for count in sorted(group.lines[line]) if (seen := value(line, count))]
        if not points:
            continue
        counts: list[float] = [count for count, *_ in points]
        if crowded:
            counts = [
                count * 2 ** ((0.1 if alone else 0.06) * (place - (len(group.lines) - 1) / 2))
                for count in counts
            ]
        else:
            _, _, low, high = zip(*points)
            axis.fill_between(counts, low, high, color=looks[0], alpha=0.16, linewidth=0)
        draw_line(axis, line, looks, counts, points)
        top = max(top, *(high for *_, high in points))
    return top


def draw_throughput(axis: Axes, group: Group, cores: int | None) -> None:
    """Draws the throughput of each line."""
    top = max(cell.high for cells in group.lines.values() for cell in cells.values())
    divisor, words = result_file.unit(top)

    def value(line: str, count: int) -> Ratio:
        cell = group.lines[line][count]
        return cell.median / divisor, cell.low / divisor, cell.high / divisor

    draw_lines(axis, group, value)
    thread_axis(axis, group, cores)
    axis.set_ylim(0, top / divisor * 1.08 or 1)
    axis.set_ylabel(f"{words},\nall threads, real time")


def baseline_words(group: Group) -> str:
    """Returns what the group's baseline is called."""
    return "all off" if group.workload == "tax" else style.label_of(group.baseline)


def draw_ratio(axis: Axes, group: Group, cores: int | None) -> None:
    """Draws the throughput of each line relative to the baseline."""
    top = draw_lines(axis, group, group.ratio)
    thread_axis(axis, group, cores)
    axis.axhline(1, color=style.RULE, linewidth=0.9, zorder=1)
    axis.set_ylim(0, max(top, 1) * 1.08)
    axis.set_ylabel(f"throughput, {baseline_words(group)} = 1")


def draw_writer(axis: Axes, group: Group, cores: int | None) -> None:
    """Draws what the thread beside the measured ones did meanwhile: searches are quick beside a writer that
    is kept waiting."""
    unit, words = result_file.unit(
        max(max(cell.beside) for cells in group.lines.values() for cell in cells.values())
    )

    def value(line: str, count: int) -> Ratio:
        beside = group.lines[line][count].beside
        return statistics.median(beside) / unit, min(beside) / unit, max(beside) / unit

    top = draw_lines(axis, group, value)
    thread_axis(axis, group, cores)
    axis.set_ylim(0, top * 1.08)
    axis.set_ylabel(f"{words},\nreal time")


def draw_efficiency(axis: Axes, group: Group, cores: int | None) -> None:
    """Draws each line's throughput a thread, relative to its own with one thread."""

    def value(line: str, count: int) -> Ratio | None:
        one, here = group.lines[line].get(1), group.lines[line][count]
        if not one or one.median <= 0:
            return None
        alone = count * one.median
        return here.median / alone, here.low / alone, here.high / alone

    top = draw_lines(axis, group, value)
    thread_axis(axis, group, cores)
    if cores and group.threads[-1] > 1:
        first, last = group.threads[0], group.threads[-1]
        steps = [first * (last / first) ** (i / 200) for i in range(201)]
        limit = f"the most that {cores} core{'s' if cores > 1 else ''} can give"
        axis.plot(
            steps,
            [min(1, cores / group.busy_threads(x)) for x in steps],
            color=style.RULE,
            linewidth=1,
            zorder=1,
            label=limit,
        )
    axis.set_ylim(0, max(top, 1) * 1.08)
    axis.set_ylabel("throughput per thread,\n1 thread = 1")


def spread_words(groups: list[Group]) -> str:
    """Returns what a point and its bars are."""
    low = min(each.repetitions[0] for each in groups)
    high = max(each.repetitions[1] for each in groups)
    if high == 1:
        return "One repetition: the spread is unknown"
    count = f"{low}" if low == high else f"{low} to {high}"
    return f"Median of {count} repetitions; band and bars: lowest to highest"


def finish(figure: Figure, axes: list[Axes], title: str, note: str, path: Path) -> None:
    """Adds the title, one legend for all panels above them and the footnote, and writes both files."""
    width, height = figure.get_size_inches()
    title = textwrap.fill(title, int(width * 9))
    below_title = 0.22 + 0.22 * (title.count("\n") + 1)  # inches from the top
    handles: dict[str, Artist] = {}
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
    figure.text(0.14 / width, 0.1 / height, note, fontsize=8, color=style.NOTE, va="bottom")
    bottom = 0.18 + 0.14 * (note.count("\n") + 1)
    top = below_title + 0.16 + 0.21 * rows
    figure.tight_layout(rect=(0, bottom / height, 1, 1 - top / height), w_pad=2.5)
    style.save(figure, path)


def draw_group(group: Group, cores: int | None, machine: str, folder: Path) -> str:
    """Draws a group's chart into the folder. Returns its name."""
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
    figure, axes = style.new_figure(PANEL_WIDTH[len(panels)] * len(panels), 4.5, len(panels))
    for axis, (draw, name) in zip(axes[0], panels):
        draw(axis, group, cores)
        axis.set_title(name, loc="left", fontsize=11)
    path = folder / group.slug
    finish(figure, axes[0], group.title, f"{spread_words([group])}.\n{machine}", path)
    return path.name


def draw_frontier_panel(axis: Axes, family: list[Group], threads: int) -> None:
    """Draws searches a second against what the writer beside them really replaced, a curve for each index; on
    the left, searches with nobody writing."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    beside = [each for each in family if each.workload == "search_beside_writer"]
    alone = [each for each in family if each.workload == "search"]
    top = max(cells[threads].high for each in family for cells in each.lines.values() if threads in cells)
    divisor, words = result_file.unit(top)
    most = 0.0
    left = 1e2  # where "nobody writes" stands
    for line, looks in style.style_of(beside[0].lines).items():
        points: list[Point] = []  # of writes a second
        for each in family:
            cell = each.lines.get(line, {}).get(threads)
            if cell:
                reached = statistics.median(cell.beside) if cell.beside else left
                points.append(
                    (max(reached, left), cell.median / divisor, cell.low / divisor, cell.high / divisor)
                )
        if not points:
            continue
        most = max(most, *(reached for reached, *_ in points))
        draw_line(axis, line, looks, [reached for reached, *_ in points], points)
    axis.set_xscale("log")
    axis.set_xlim(left * (0.7 if alone else 5), most * 1.6)
    marks = [left] if alone else []
    marks += [10.0**power for power in range(3, 9) if 10**power < most * 1.6]
    axis.xaxis.set_major_locator(FixedLocator(marks))
    names = {left: "nobody\nwrites", 1e3: "1,000", 1e4: "10,000", 1e5: "100,000", 1e6: "1 million"}
    axis.xaxis.set_major_formatter(lambda value, _: names.get(value, f"{value / 1e6:g} million"))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_ylim(0, top / divisor * 1.08 or 1)
    axis.set_xlabel("replacements/s that the writer reached")
    axis.set_ylabel(f"{words.replace('operations', 'searches')},\nall threads, real time")


def panels_of(threads: list[int], cores: int | None) -> list[int]:
    """Returns the three of these numbers of searchers that have panels: the least, one in the middle, and the
    most that have a core for each."""
    fitting = [count for count in threads if count <= (cores or threads[-1])]
    return fitting if len(fitting) <= 3 else [fitting[0], fitting[len(fitting) // 2], fitting[-1]]


def draw_frontier(family: list[Group], cores: int | None, machine: str, folder: Path) -> str:
    """Draws the chart of searches against writes into the folder, a panel for each of three numbers of
    searchers. Returns its name."""
    last = family[-1]
    fitting = panels_of(last.threads, cores)
    figure, axes = style.new_figure(PANEL_WIDTH[len(fitting)] * len(fitting), 4.5, len(fitting))
    for axis, threads in zip(axes[0], fitting):
        draw_frontier_panel(axis, family, threads)
        axis.set_title(f"{threads} searching thread{'s' if threads > 1 else ''}", loc="left", fontsize=11)
    size = last.title.partition("; ")[2]
    path = folder / frontier_name(family)
    finish(
        figure,
        axes[0],
        f"What searches cost beside a writer, and the other way round; {size}",
        f"{spread_words(family)}. Each point is one pace of the writer: 1,000, 10,000, 100,000, 1,000,000 "
        f"replacements a second, or without pause. Where an index cannot keep the pace, its point lies "
        f"further left.\n{machine}",
        path,
    )
    return path.name


def frontier_name(family: list[Group]) -> str:
    """Returns the name of the chart of searches against writes, without ending."""
    return f"{family[-1].slug}_frontier"


def headline_groups(results: Results) -> list[Group]:
    """Returns for each headline workload the group that an overview should show: the one with the most lines,
    then points."""
    chosen = []
    for workload in result_file.HEADLINE:
        candidates = [
            each for each in results.groups if each.workload == workload and each.structure == "index"
        ]
        if candidates:
            chosen.append(max(candidates, key=lambda each: (len(each.lines), len(each.threads))))
    return chosen


def draw_overview(groups: list[Group], cores: int | None, machine: str, folder: Path) -> str:
    """Draws the overview of these groups into the folder. Returns its name."""
    figure, axes = style.new_figure(PANEL_WIDTH[len(groups)] * len(groups), 4.5, len(groups))
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


def draw_all(
    results: Results, folder: Path, only: str | None = None, progress: Progress | None = None
) -> list[str]:
    """Draws every chart into the folder, on all cores. Returns the charts' names without their endings."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    machine, cores = result_file.machine_line(results), results.cores
    headline = [] if only else headline_groups(results)
    chosen = [each for each in results.groups if (not only or each.workload == only) and not each.paced]
    families = result_file.frontiers(results.groups) if only in (None, "search_beside_writer") else []
    drawn: list[str] = []
    with child_processes.pool() as pool:
        jobs = [pool.submit(draw_overview, headline, cores, machine, folder)] if headline else []
        jobs += [pool.submit(draw_group, each, cores, machine, folder) for each in chosen]
        jobs += [pool.submit(draw_frontier, each, cores, machine, folder) for each in families]
        for job in jobs:
            drawn.append(job.result())
            if progress:
                progress(len(drawn), len(jobs))
    return drawn
