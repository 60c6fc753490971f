"""scripts/stress --garbage: what searches that are stopped for ever keep in memory."""

from __future__ import annotations

import sys
import time

from common import command_line, machine, output
from common.command_line import in_words
from plot import style
from stress.program import BUILD, RESULTS, build, commit, rows_as_json, soak_command


def garbage(options):
    build("release")
    line = command_line.ProgressLine(every=5)
    begin = time.monotonic()
    rows = []

    def on_line(text):
        kind, *fields = text.split("\t")
        if kind == "garbage":
            operation, *numbers = fields
            rows.append((operation, *map(int, numbers)))
            line.show(
                f"{operation}, {numbers[0]} stopped: {int(numbers[1]):,} updates, {in_words(time.monotonic() - begin)}"
            )

    status = command_line.run_logged(
        soak_command("release", "--garbage"), BUILD / "stress" / "garbage.log", on_line=on_line
    )
    line.clear()
    if not rows:
        sys.exit("scripts/stress: nothing was measured; log: build/stress/garbage.log")
    names = (
        "operation",
        "stopped",
        "updates",
        "limbo_objects",
        "limbo_bytes",
        "seen_objects",
        "bound_objects",
    )
    document = {
        "context": {
            "command": "scripts/stress --garbage",
            "machine": machine.processors(),
            "commit": commit(),
            "vectors": 1000,
            "dimension": 128,
        },
        "samples": [dict(zip(names, row)) for row in rows],
    }
    text = rows_as_json(document["context"], "samples", document["samples"])
    output.write_whole(RESULTS / "garbage.json", text)
    for operation, stopped in dict.fromkeys((row[0], row[1]) for row in rows):
        mine = [row for row in rows if row[:2] == (operation, stopped)]
        most = max(mine, key=lambda row: row[3])
        over = sum(row[3] > row[6] for row in mine[:-1])
        print(
            f"{stopped} stopped in {operation}: at most {most[3]:,} objects ({most[4] / 2**20:.2f} MiB), the bound then {most[6]:,}; "
            f"{over} of {len(mine) - 1} samples beyond it; {mine[-1][3]} left after all had gone on"
        )
    why = style.cannot_draw()
    if not why:
        draw_garbage(document, RESULTS / "garbage.svg")
    print(f"results/stress/garbage.json, {f'no chart: {why}' if why else 'garbage.svg, garbage.png'}")
    return 0 if status == 0 else 1


def draw_garbage(document, path):
    figure, axes = style.new_figure(10.6, 4.6, 2)
    samples = document["samples"]
    last = max(each["updates"] for each in samples)
    styles = {0: (style.GREEN, style.DOTTED), 1: (style.BLUE, style.SOLID), 4: (style.PURPLE, style.SOLID)}
    for axis, with_get in zip(axes[0], (False, True)):
        for stopped, (colour, dashes) in styles.items():
            mine = [each for each in samples if each["operation"] == "search" and each["stopped"] == stopped]
            x = [each["updates"] / 1000 for each in mine]
            if not with_get:
                each_bytes = max(
                    each["limbo_bytes"] for each in samples if each["operation"] == "search"
                ) / max(each["limbo_objects"] for each in samples if each["operation"] == "search")
                bound = [each["bound_objects"] * each_bytes / 2**20 for each in mine[:-1]]
                axis.plot(
                    x[:-1],
                    bound,
                    color=colour,
                    linewidth=1,
                    linestyle=style.DASHED,
                    alpha=0.8,
                    drawstyle="steps-post",
                )
            label = (
                "no search stopped"
                if stopped == 0
                else f"{stopped} search{'es' if stopped > 1 else ''} stopped"
            )
            axis.plot(
                x,
                [each["limbo_bytes"] / 2**20 for each in mine],
                color=colour,
                linestyle=dashes,
                linewidth=2,
                label=label,
            )
        if with_get:
            mine = [each for each in samples if each["operation"] == "get"]
            axis.plot(
                [each["updates"] / 1000 for each in mine],
                [each["limbo_bytes"] / 2**20 for each in mine],
                color=style.VERMILION,
                linewidth=2,
                linestyle=style.DASH_DOT,
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
        "1,000 vectors of 128 floats, one thread that replaces, removes and inserts; threads stop one after the other in the first half.",
        fontsize=8,
        color=style.NOTE,
    )
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    style.save(figure, path.with_suffix(""))
