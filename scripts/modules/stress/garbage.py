"""scripts/stress --garbage: what searches that are stopped for ever keep in memory."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.results import Json
from common import command_line, machine, output
from common.command_line import in_words
from plot import style
from stress.program import BUILD, RESULTS, build, commit, rows_as_json, soak_command


if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = ("operation", "stopped", "updates", "limbo_objects", "limbo_bytes", "seen_objects", "bound_objects")


def garbage(options: argparse.Namespace) -> int:
    """Measures, prints a line for each number of stopped searches, writes garbage.json and its chart. Returns
    the exit status."""
    build("release")
    line = command_line.ProgressLine(every=5)
    begin = time.monotonic()
    samples: list[Json] = []

    def on_line(text: str) -> None:
        kind, *fields = text.split("\t")
        if kind == "garbage":
            operation, *numbers = fields
            samples.append(dict(zip(NAMES, (operation, *map(int, numbers)))))
            took = in_words(time.monotonic() - begin)
            line.show(f"{operation}, {numbers[0]} stopped: {int(numbers[1]):,} updates, {took}")

    command = soak_command("release", "--garbage")
    status = command_line.run_logged(command, BUILD / "stress" / "garbage.log", on_line=on_line)
    line.clear()
    if not samples:
        sys.exit("scripts/stress: nothing was measured; log: build/stress/garbage.log")
    context = {
        "command": "scripts/stress --garbage",
        "machine": machine.processors(),
        "commit": commit(),
        "vectors": 1000,
        "dimension": 128,
    }
    output.write_whole(RESULTS / "garbage.json", rows_as_json(context, "samples", samples))
    for operation, stopped in dict.fromkeys((each["operation"], each["stopped"]) for each in samples):
        mine = of(samples, operation, stopped)
        most = max(mine, key=lambda each: int(each["limbo_objects"]))
        over = sum(each["limbo_objects"] > each["bound_objects"] for each in mine[:-1])
        left = mine[-1]["limbo_objects"]
        print(
            f"{stopped} stopped in {operation}: at most {most['limbo_objects']:,} objects "
            f"({most['limbo_bytes'] / 2**20:.2f} MiB), the bound then {most['bound_objects']:,}; "
            f"{over} of {len(mine) - 1} samples beyond it; {left} left after all had gone on"
        )
    why = style.cannot_draw()
    if not why:
        draw_garbage(samples, RESULTS / "garbage.svg")
    print(f"results/stress/garbage.json, {f'no chart: {why}' if why else 'garbage.svg, garbage.png'}")
    return 0 if status == 0 else 1


def of(samples: list[Json], operation: str, stopped: int | None = None) -> list[Json]:
    """Returns the samples of an operation, with so many stopped where that is given."""
    mine = [each for each in samples if each["operation"] == operation]
    return [each for each in mine if stopped is None or each["stopped"] == stopped]


def draw_searches(axis: Axes, samples: list[Json], bounds: bool) -> None:
    """Draws what stopped searches keep, and with `bounds` dashed how much that may be."""
    styles = {0: (style.GREEN, style.DOTTED), 1: (style.BLUE, style.SOLID), 4: (style.PURPLE, style.SOLID)}
    searches = of(samples, "search")
    bytes_each = max(each["limbo_bytes"] for each in searches) / max(
        each["limbo_objects"] for each in searches
    )
    for stopped, (colour, dashes) in styles.items():
        mine = of(searches, "search", stopped)
        x = [each["updates"] / 1000 for each in mine]
        if bounds:
            bound = [each["bound_objects"] * bytes_each / 2**20 for each in mine[:-1]]
            steps = {"linewidth": 1, "linestyle": style.BOUND, "alpha": 0.8, "drawstyle": "steps-post"}
            axis.plot(x[:-1], bound, color=colour, **steps)
        label = f"{stopped} search{'es' if stopped > 1 else ''} stopped" if stopped else "no search stopped"
        y = [each["limbo_bytes"] / 2**20 for each in mine]
        axis.plot(x, y, color=colour, linestyle=dashes, linewidth=2, label=label)


def draw_garbage(samples: list[Json], path: Path) -> None:
    """Draws both panels: searches stopped, and beside them a get."""
    figure, axes = style.new_figure(10.6, 4.6, 2)
    last = max(each["updates"] for each in samples)
    for axis, with_get in zip(axes[0], (False, True)):
        draw_searches(axis, samples, bounds=not with_get)
        if with_get:
            mine = of(samples, "get")
            axis.plot(
                [each["updates"] / 1000 for each in mine],
                [each["limbo_bytes"] / 2**20 for each in mine],
                color=style.VERMILION,
                linewidth=2,
                linestyle=style.LONG_DASH_DOT,
                label="1 get stopped (pinned)",
            )
        axis.axvline(0.9 * last / 1000, color=style.RULE, linewidth=0.9, zorder=1)
        axis.set_xlim(0, last / 1000 * 1.01)
        axis.set_ylim(bottom=0)
        axis.annotate(
            "they go on",
            xy=(0.9 * last / 1000, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
            color=style.NOTE,
        )
        axis.set_xlabel("updates, thousands")
        axis.set_ylabel("memory that waits to be used again, MiB")
        axis.legend(loc="upper left", frameon=False, fontsize=9, bbox_to_anchor=(0.0, 0.93))
    axes[0][0].set_ylim(0, axes[0][0].get_ylim()[1] * 1.25)
    axes[0][0].set_title(
        "Searches stopped for ever keep what they see (dashed: the bound)", loc="left", fontsize=10
    )
    axes[0][1].set_title(
        "A thread stopped inside a get keeps all that is replaced later", loc="left", fontsize=10
    )
    figure.text(
        0.01,
        0.01,
        "1,000 vectors of 128 floats, one thread that replaces, removes and inserts; "
        "threads stop one after the other in the first half.",
        fontsize=8,
        color=style.NOTE,
    )
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    style.save(figure, path.with_suffix(""))
