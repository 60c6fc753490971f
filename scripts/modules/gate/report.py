"""What the gate tells: one sentence, a table, markdown, JSON and a chart; and the exit status that follows.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Callable, Iterable, Tuple, TypeVar, Union

from bench.results import Json
from common import output
from gate import counts as gate_counts
from gate.counts import CountFinding
from gate.statistics import Effect, Finding, IMPROVEMENT, NO_DATA, PASS, REGRESSION, Rules, UNDECIDED

EXIT = {PASS: 0, REGRESSION: 1, UNDECIDED: 2, NO_DATA: 3}
ORDER = (REGRESSION, NO_DATA, UNDECIDED, IMPROVEMENT, PASS)
MARKS = {REGRESSION: "❌", NO_DATA: "❗", UNDECIDED: "❓", IMPROVEMENT: "✅", PASS: "✅"}


AnyFinding = TypeVar("AnyFinding", bound=Union[Finding, CountFinding])
Row = Tuple[str, ...]
NO_EFFECT = dict.fromkeys(each.name for each in fields(Effect))


@dataclass
class Comparison:
    """All that was found, and how to say where it comes from."""

    baseline: str  # as the reader knows the two sides
    candidate: str
    findings: list[Finding]  # of times
    counts: list[CountFinding]
    rules: Rules
    machine: str = ""
    notes: list[str] = field(default_factory=list)
    reproduce: Callable[[str], str] | None = None  # the command for a benchmark
    cannot_decide: str | None = None  # "green" or "red": what that is; None: a status of its own

    @property
    def everything(self) -> list[Finding | CountFinding]:
        """All findings."""
        return [*self.findings, *self.counts]

    @property
    def verdict(self) -> str:
        """A regression that was shown stays one, whatever else is missing; nothing compared is no pass."""
        seen = {each.verdict for each in self.everything}
        if not seen:
            return NO_DATA
        return next((verdict for verdict in (REGRESSION, NO_DATA, UNDECIDED) if verdict in seen), PASS)

    @property
    def status(self) -> int:
        """The exit status."""
        if self.verdict == UNDECIDED and self.cannot_decide:
            return {"green": 0, "red": 1}[self.cannot_decide]
        return EXIT[self.verdict]


def percent(ratio: float) -> str:
    """Returns +12.3% for 1.123."""
    return f"{100 * (ratio - 1):+.1f}%"


def chance(p: float) -> str:
    """Returns a probability in words."""
    return "below 1 in 10,000" if p < 1e-4 else f"1 in {1 / p:,.0f}"


def slower(each: Finding, effect: Effect) -> str:
    """Returns a regression of time in words."""
    low, high = effect.interval
    interval = f"95% interval {percent(low)} to {percent(high)}"
    runs = f"{each.runs[0]} {'pairs' if each.paired else 'runs a side'}"
    accused = f"the chance that identical versions would be accused so is {chance(effect.p)}"
    return f"{each.name} takes {percent(effect.ratio)[1:]} longer ({interval}, {runs}; {accused})"


def counted(each: CountFinding) -> str:
    """Returns one count's change in words."""
    words = gate_counts.WORDS.get(each.measure, each.measure)
    if each.baseline is None or each.candidate is None:
        return f"{each.name}{f' ({words})' if words else ''}: {each.why}"
    unit = words if each.measure == "bytes" else f"{words} an operation"
    why = f" ({each.why})" if each.why else ""
    return f"{each.name} has {number(each.candidate)} {unit} instead of {number(each.baseline)}{why}"


def number(value: float) -> str:
    """Returns a count as short as a table wants it."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def sentence(comparison: Comparison) -> str:
    """Returns what a reader needs when reading nothing else."""
    if not comparison.everything:
        return "No verdict: nothing was compared"
    if comparison.verdict == REGRESSION:
        return regression(comparison)
    if comparison.verdict == NO_DATA:
        lacking = [each for each in comparison.everything if each.verdict == NO_DATA]
        names = "; ".join(
            counted(each) if isinstance(each, CountFinding) else f"{each.name}: {each.why}"
            for each in lacking[:3]
        )
        more = f"; and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        return f"No verdict, data are missing: {names}{more}"
    if comparison.verdict == UNDECIDED:
        open_ = [each for each in comparison.findings if each.verdict == UNDECIDED]
        names = ", ".join(each.name for each in open_[:6])
        names += f" and {len(open_) - 6} more" if len(open_) > 6 else ""
        of = f"{len(open_)} of {len(comparison.findings)} benchmarks"
        counts_as = f"; that counts as {comparison.cannot_decide}" if comparison.cannot_decide else ""
        return f"Cannot decide on {of}: {names}; nothing else got slower{counts_as}"
    better = [each for each in comparison.everything if each.verdict == IMPROVEMENT]
    words = [f"{len(comparison.findings)} benchmarks"] if comparison.findings else []
    words += [f"{len(comparison.counts)} counts"] if comparison.counts else []
    gained = f"; {len(better)} improved" if better else ""
    excluded = f"{comparison.rules.detect:.0%} or more is excluded for each benchmark"
    limit = f"; a slowdown of {excluded}" if comparison.findings else ""
    return f"Pass: {' and '.join(words)}{limit}{gained}"


def regression(comparison: Comparison) -> str:
    """Returns the sentence of a comparison that shows a regression, of time or of counts."""
    slow = [(each, each.effect) for each in comparison.findings if each.verdict == REGRESSION and each.effect]
    more = [each for each in comparison.counts if each.verdict == REGRESSION]
    parts = []
    first = more[0].name if more else ""
    if slow:
        worst = max(slow, key=lambda each: each[1].ratio)
        others = f"; {len(slow) - 1} more got slower" if len(slow) > 1 else ""
        parts.append(slower(*worst) + others)
        first = worst[0].name
    if more:
        others = f"; {len(more) - 1} more counts rose" if len(more) > 1 else ""
        parts.append(f"{counted(more[0])}: counted, so there is no doubt{others}")
    how = f". To reproduce it: {comparison.reproduce(first)}" if comparison.reproduce else ""
    return f"Regression: {'; and '.join(parts)}{how}"


def ordered(findings: Iterable[AnyFinding]) -> list[AnyFinding]:
    """Returns the findings, the worst first."""
    return sorted(findings, key=lambda each: ORDER.index(each.verdict))


def rows_of_times(findings: list[Finding]) -> list[Row]:
    """Returns the table of times, its heading first."""
    runs = "runs" if findings and not findings[0].paired else "pairs"
    rows: list[Row] = [("benchmark", "ratio of time", "95% interval", "threshold", runs, "verdict")]
    for each in ordered(findings):
        known = each.effect
        runs = str(each.runs[0]) if each.runs[0] == each.runs[1] else f"{each.runs[0]}, {each.runs[1]}"
        rows.append(
            (
                each.name,
                f"{known.ratio:.3f}" if known else "-",
                f"{known.interval[0]:.3f} to {known.interval[1]:.3f}" if known else "-",
                f"{known.threshold:.1%}" if known else "-",
                runs,
                each.verdict + (f": {each.why}" if each.why else ""),
            )
        )
    return rows


def rows_of_counts(counts: list[CountFinding]) -> list[Row]:
    """Returns the table of the counts that changed or could not be compared, its heading first."""
    rows: list[Row] = [("operation", "measure", "baseline", "candidate", "verdict")]
    for each in ordered(each for each in counts if each.verdict != PASS):
        rows.append(
            (
                each.name,
                gate_counts.WORDS.get(each.measure, each.measure) or "-",
                "-" if each.baseline is None else number(each.baseline),
                "-" if each.candidate is None else number(each.candidate),
                each.verdict + (f": {each.why}" if each.why else ""),
            )
        )
    return rows


def count_words(counts: list[CountFinding]) -> str:
    """Returns how many counts there are, and how many are unchanged."""
    same = sum(each.verdict == PASS for each in counts)
    kinds = "operations on shared memory, allocations, bytes, instructions"
    return f"{len(counts)} counts ({kinds}): {same} are as they were"


def print_rows(rows: list[Row]) -> None:
    """Prints a table."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        print(
            "  "
            + "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:])),
                    row[-1],
                ]
            )
        )


def print_report(comparison: Comparison) -> None:
    """Prints both tables, the notes and the sentence."""
    print(f"\nbaseline: {comparison.baseline}\ncandidate: {comparison.candidate}")
    if comparison.findings:
        print(
            "\nTime of an operation, candidate / baseline: above 1 is slower. A regression needs the", end=" "
        )
        print("threshold, and a\ntest that holds for all benchmarks together.")
        print_rows(rows_of_times(comparison.findings))
    if comparison.counts:
        print(f"\n{count_words(comparison.counts)}")
        rows = rows_of_counts(comparison.counts)
        if len(rows) > 1:
            print_rows(rows)
    print()
    for note in comparison.notes:
        print(f"note: {note}")
    print(sentence(comparison), flush=True)


def markdown(comparison: Comparison) -> str:
    """Returns the comparison as Markdown, for a pull request."""

    def table(rows: list[Row]) -> list[str]:
        escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
        return [
            f"| {' | '.join(row)} |"
            for row in [escaped[0], ["---"] + ["--:"] * (len(rows[0]) - 2) + ["---"], *escaped[1:]]
        ]

    text = [
        f"## {MARKS[comparison.verdict]} Benchmark gate: {comparison.verdict}",
        "",
        sentence(comparison) + ".",
        "",
        f"Baseline {comparison.baseline}, candidate {comparison.candidate}; {comparison.machine}.",
    ]
    text += [f"- note: {note}" for note in comparison.notes]
    if comparison.findings:
        told = [each for each in comparison.findings if each.verdict != PASS]
        if told:
            text += ["", "### Times", "", *table(rows_of_times(told))]
        passed = [each for each in comparison.findings if each.verdict == PASS]
        if passed:
            text += [
                "",
                f"<details><summary>{len(passed)} benchmarks pass</summary>",
                "",
                *table(rows_of_times(passed)),
                "",
                "</details>",
            ]
    if comparison.counts:
        rows = rows_of_counts(comparison.counts)
        text += ["", "### Counts", "", count_words(comparison.counts) + "."]
        if len(rows) > 1:
            text += ["", *table(rows)]
    return "\n".join(text) + "\n"


def document(comparison: Comparison) -> Json:
    """Returns the comparison as --json writes it."""

    def time(each: Finding) -> Json:
        effect = asdict(each.effect) if each.effect else NO_EFFECT
        begin = {"name": each.name, "verdict": each.verdict, "why": each.why}
        return {**begin, **effect, "runs": each.runs, "paired": each.paired}

    return {
        "verdict": comparison.verdict,
        "exit_status": comparison.status,
        "sentence": sentence(comparison),
        "baseline": comparison.baseline,
        "candidate": comparison.candidate,
        "machine": comparison.machine,
        "notes": comparison.notes,
        "rules": asdict(comparison.rules),
        "benchmarks": [time(each) for each in comparison.findings],
        "counts": [asdict(each) for each in comparison.counts],
    }


def write(path: Path, comparison: Comparison) -> None:
    """Writes the whole comparison as JSON. Raises output.CannotWrite."""
    output.write_whole(path, json.dumps(document(comparison), indent=1, allow_nan=False) + "\n")
