"""The gate's chart: the ratio of each benchmark with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, List, Tuple

from gate.report import Comparison, ORDER, percent
from gate.statistics import Effect, Finding, IMPROVEMENT, NO_DATA, PASS, REGRESSION, UNDECIDED
from plot import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Shown = List[Tuple[Finding, Effect]]
STYLES = {
    REGRESSION: (style.VERMILION, "X"),
    NO_DATA: (style.BLACK, "x"),
    UNDECIDED: (style.GREY, "D"),
    IMPROVEMENT: (style.GREEN, "^"),
    PASS: (style.BLUE, "o"),
}


def draw(comparison: Comparison, path: Path) -> bool:
    """Draws the ratio of each benchmark with its interval, the worst on top; as SVG and PNG. Returns whether
    there was anything to draw."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

    shown = [(each, each.effect) for each in comparison.findings if each.effect]
    if not shown:
        return False
    shown.sort(key=lambda each: each[1].ratio)
    path.parent.mkdir(parents=True, exist_ok=True)
    height = 2.1 + 0.23 * len(shown)
    figure, axes = style.new_figure(10.5, height, 1)
    axis = axes[0][0]
    low = min(min(effect.interval[0] for _, effect in shown), 0.93)
    high = max(max(effect.interval[1] for _, effect in shown), 1.07)
    low, high = max(low, 0.4) / 1.01, min(high, 2.5) * 1.01
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    axis.set_ylim(-0.7, len(shown) - 0.3)
    draw_rows(axis, shown)
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", visible=True)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    axis.xaxis.set_major_formatter(
        FuncFormatter(
            lambda value, _: "same" if abs(value - 1) < 1e-9 else percent(value).replace(".0%", "%")
        )
    )
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("time of an operation: right is slower")
    figure.text(
        0.14 / 10.5,
        1 - 0.14 / height,
        f"Benchmark gate: {comparison.verdict}",
        ha="left",
        va="top",
        fontsize=13,
        fontweight="bold",
    )
    add_legend(figure, shown, height)
    kind = "the median of the pairs' ratios" if shown[0][0].paired else "the ratio of medians"
    sides = f"{comparison.candidate} against {comparison.baseline}"
    note = f"{sides}\nPoint: {kind}; line: its 95% bootstrap interval. {comparison.machine}"
    figure.text(0.14 / 10.5, 0.1 / height, note, fontsize=8, color=style.NOTE, va="bottom")
    figure.tight_layout(rect=(0, 0.42 / height, 1, 1 - 0.72 / height))
    style.save(figure, path.with_suffix(""))
    return True


def draw_rows(axis: Axes, shown: Shown) -> None:
    """Draws a row for each benchmark, the first at the bottom, and labels it."""
    for place, (each, effect) in enumerate(shown):
        colour, marker = STYLES[each.verdict]
        axis.barh(
            place, effect.threshold * 2, left=1 - effect.threshold, height=0.8, color=style.BAND, zorder=0
        )
        axis.plot(
            effect.interval, (place, place), color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2
        )
        axis.plot(
            [effect.ratio], [place], color=colour, marker=marker, markersize=6.5, linestyle="none", zorder=3
        )
    axis.axvline(1, color=style.NOTE, linewidth=1, zorder=1)
    axis.set_yticks(range(len(shown)))
    axis.set_yticklabels([short_name(each.name) for each, _ in shown], fontsize=8)
    for label, (each, _) in zip(axis.get_yticklabels(), shown):
        if each.verdict not in (PASS, IMPROVEMENT):
            label.set_color(STYLES[each.verdict][0] if each.verdict == REGRESSION else style.NOTE)
        if each.verdict == REGRESSION:
            label.set_fontweight("bold")


def add_legend(figure: Figure, shown: Shown, height: float) -> None:
    """Adds a legend of the verdicts that are there."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    seen = [verdict for verdict in ORDER if any(each.verdict == verdict for each, _ in shown)]
    handles = [
        Line2D([], [], color=STYLES[verdict][0], marker=STYLES[verdict][1], linewidth=1.8, label=verdict)
        for verdict in seen
    ]
    handles.append(
        Patch(color=style.BAND, label="too little to count: below the minimum effect or the noise floor")
    )
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.14 / 10.5, 1 - 0.42 / height),
        ncol=len(handles),
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        fontsize=9,
    )


def short_name(name: str) -> str:
    """Returns a benchmark's name without what all benchmarks say."""
    return (
        name.replace("/real_time", "").replace("/threads:1", ", 1 thread")
        if name.endswith("/threads:1")
        else name.replace("/real_time", "").replace("/threads:", ", ") + " threads"
    )
