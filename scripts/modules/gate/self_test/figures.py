"""What a full self-test leaves: its chart, and the README's figures."""

from __future__ import annotations

from pathlib import Path

from bench.results import Json
from common import readme
from common.repository import ROOT
from gate.self_test.noise import SUITE
from gate.self_test.trials import EFFECTS, MUST_FIND, RULES
from plot import style

RESULTS = ROOT / "results" / "gate"


def measured_rates(document: Json) -> list[tuple[float, int, int]]:
    """Returns [(effect, hits, trials)] of the benchmarks that can be gated."""
    gated = [name for name in document["slower_measured"] if name not in document["cannot_decide"]]
    return [
        (
            effect,
            sum(document["slower_measured"][name][i]["hits"] for name in gated),
            sum(document["slower_measured"][name][i]["of"] for name in gated),
        )
        for i, effect in enumerate(EFFECTS)
    ]


def draw(document: Json, path: Path) -> None:
    """Draws how often a slowdown is found, by its size."""
    figure, axes = style.new_figure(8.6, 5.0, 1)
    axis = axes[0][0]
    lines = {
        kind: [(each["effect"], each["rate"]) for each in told]
        for kind, told in document["slower_synthetic"].items()
    }
    styles = style.style_of([*lines, "measured"])
    for kind, points in lines.items():
        colour, marker, dashes = styles[kind]
        axis.plot(
            [100 * x for x, _ in points],
            [100 * y for _, y in points],
            color=colour,
            marker=marker,
            linestyle=dashes,
            markersize=5,
            label=f"synthetic: {kind}",
        )
    real = [(effect, hits / of) for effect, hits, of in measured_rates(document) if of]
    if real:
        gated = len(document["slower_measured"]) - len(document["cannot_decide"])
        axis.plot(
            [100 * x for x, _ in real],
            [100 * y for _, y in real],
            color=style.VERMILION,
            marker="o",
            markersize=6,
            linewidth=2.4,
            label=f"pairs measured: {gated} benchmarks that can be gated",
        )
    axis.axhline(95, color=style.RULE, linewidth=0.9, linestyle=style.LIMIT)
    axis.text(30.6, 93.6, "95 in 100", ha="right", va="top", fontsize=8, color=style.NOTE)
    axis.axvline(100 * RULES.minimum_effect, color=style.RULE, linewidth=0.9, linestyle=style.LIMIT)
    axis.text(
        100 * RULES.minimum_effect - 0.25,
        52,
        "minimum effect",
        ha="right",
        va="center",
        rotation=90,
        fontsize=8,
        color=style.NOTE,
    )
    axis.set_xlim(0, 31)
    axis.set_ylim(-2, 102)
    axis.set_xticks([1, 2, 3, 5, 7, 10, 15, 20, 25, 30])
    axis.set_xlabel(f"slowdown of one benchmark in a suite of {SUITE}, percent")
    axis.set_ylabel("named as a regression,\npercent of comparisons")
    axis.legend(loc="lower right", frameon=False, fontsize=9)
    synthetic, measured = (
        document["identical_synthetic"]["accused"],
        document["identical_measured"]["accused"],
    )
    axis.set_title(
        f"What the gate finds; of identical suites it accused {synthetic['hits']} of {synthetic['of']:,} "
        f"(synthetic), {measured['hits']} of {measured['of']:,} (measured)",
        loc="left",
        fontsize=10,
    )
    figure.tight_layout()
    style.save(figure, path.with_suffix(""))


def update_readme(document: Json) -> None:
    """Puts the figures into the README."""
    synthetic, real = document["identical_synthetic"]["accused"], document["identical_measured"]["accused"]
    kinds = [
        next(each for each in told if each["effect"] == MUST_FIND)
        for told in document["slower_synthetic"].values()
    ]
    found, tried = {effect: (hits, of) for effect, hits, of in measured_rates(document)}[MUST_FIND]
    all_of = len(document["slower_measured"])
    gated = f"{all_of - len(document['cannot_decide'])} of {all_of}"
    trials = sum(each["of"] for each in kinds)
    named = f"{sum(each['hits'] for each in kinds) / trials:.1%}"
    worst = f"the worst kind {min(each['rate'] for each in kinds):.1%}"
    planted = document["counts"]

    def accused(told: Json) -> str:
        low, high = told["interval"]
        return f"{told['of']:,} | {told['hits']} (95% interval {low:.1%} to {high:.1%})"

    rows = [
        f"identical suites of {SUITE} benchmarks, synthetic noise: any benchmark accused "
        f"| {accused(synthetic)}",
        f"the same, drawn from pairs measured on 2 shared cores | {accused(real)}",
        f"one benchmark 10% slower, synthetic noise of {len(kinds)} kinds: named "
        f"| {trials:,} | {named}; {worst}",
        f"the same, on the {gated} benchmarks whose measured noise allows a verdict "
        f"| {tried:,} | {found / max(1, tried):.1%}",
        "one more atomic operation, fence or allocation in an operation: found "
        f"| {planted['planted']} | {planted['found']}",
    ]
    lines = ["| | trials | |", "|---|--:|---|", *(f"| {row} |" for row in rows)]
    readme.write_block(ROOT / "README.md", "gate", "\n".join(lines))
