"""What the gate tells: one sentence, a table, markdown, JSON and a chart; and the exit status that follows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from common import output
from gate import counts as gate_counts
from gate.statistics import IMPROVEMENT, NO_DATA, PASS, REGRESSION, UNDECIDED

EXIT = {PASS: 0, REGRESSION: 1, UNDECIDED: 2, NO_DATA: 3}
ORDER = (REGRESSION, NO_DATA, UNDECIDED, IMPROVEMENT, PASS)
MARKS = {REGRESSION: "❌", NO_DATA: "❗", UNDECIDED: "❓", IMPROVEMENT: "✅", PASS: "✅"}


@dataclass
class Comparison:
    """All that was found, and how to say where it comes from."""

    baseline: str  # as the reader knows the two sides
    candidate: str
    findings: list  # of times
    counts: list  # gate_counts.CountFinding
    rules: object
    machine: str = ""
    notes: list = field(default_factory=list)
    reproduce: object = None  # name of a benchmark -> command

    @property
    def everything(self):
        return [*self.findings, *self.counts]

    @property
    def verdict(self):
        """A regression that was shown stays one, whatever else is missing; nothing compared is no pass."""
        seen = {each.verdict for each in self.everything}
        if not seen:
            return NO_DATA
        return next((verdict for verdict in (REGRESSION, NO_DATA, UNDECIDED) if verdict in seen), PASS)

    @property
    def status(self):
        return EXIT[self.verdict]


def percent(ratio):
    """+12.3% for 1.123."""
    return f"{100 * (ratio - 1):+.1f}%"


def chance(p):
    return "below 1 in 10,000" if p < 1e-4 else f"1 in {1 / p:,.0f}"


def slower(each):
    low, high = each.interval
    return (
        f"{each.name} takes {percent(each.ratio)[1:]} longer (95% interval {percent(low)} to {percent(high)}, {each.runs[0]} "
        f"{'pairs' if each.paired else 'runs a side'}; the chance that identical versions would be accused so is {chance(each.p)})"
    )


def counted(each):
    """One count's change in words."""
    if each.baseline is None:
        what = gate_counts.WORDS.get(each.measure, each.measure)
        return f"{each.name}{f' ({what})' if what else ''}: {each.why}"
    words = gate_counts.WORDS.get(each.measure, each.measure)
    unit = words if each.measure == "bytes" else f"{words} an operation"
    return f"{each.name} has {number(each.candidate)} {unit} instead of {number(each.baseline)}" + (
        f" ({each.why})" if each.why else ""
    )


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def sentence(comparison):
    """What a reader needs when reading nothing else."""
    slow = [each for each in comparison.findings if each.verdict == REGRESSION]
    more = [each for each in comparison.counts if each.verdict == REGRESSION]
    lacking = [each for each in comparison.everything if each.verdict == NO_DATA]
    open_ = [each for each in comparison.findings if each.verdict == UNDECIDED]
    if slow or more:
        parts = []
        if slow:
            worst = max(slow, key=lambda each: each.ratio)
            others = f"; {len(slow) - 1} more got slower" if len(slow) > 1 else ""
            parts.append(slower(worst) + others)
        if more:
            others = f"; {len(more) - 1} more counts rose" if len(more) > 1 else ""
            parts.append(f"{counted(more[0])}: counted, so there is no doubt{others}")
        first = worst if slow else more[0]
        how = f". To reproduce it: {comparison.reproduce(first.name)}" if comparison.reproduce else ""
        return f"Regression: {'; and '.join(parts)}{how}"
    if lacking:
        names = "; ".join(
            counted(each) if each in comparison.counts else f"{each.name}: {each.why}" for each in lacking[:3]
        )
        more_words = f"; and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        return f"No verdict, data are missing: {names}{more_words}"
    if not comparison.everything:
        return "No verdict: nothing was compared"
    if open_:
        names = ", ".join(each.name for each in open_[:6]) + (
            f" and {len(open_) - 6} more" if len(open_) > 6 else ""
        )
        return f"Cannot decide on {len(open_)} of {len(comparison.findings)} benchmarks: {names}; nothing else got slower"
    better = [each for each in comparison.everything if each.verdict == IMPROVEMENT]
    words = [f"{len(comparison.findings)} benchmarks"] if comparison.findings else []
    words += [f"{len(comparison.counts)} counts"] if comparison.counts else []
    gained = f"; {len(better)} improved" if better else ""
    rules = comparison.rules
    limit = (
        f"; a slowdown of {rules.detect:.0%} or more is excluded for each benchmark"
        if comparison.findings
        else ""
    )
    return f"Pass: {' and '.join(words)}{limit}{gained}"


def ordered(findings):
    return sorted(findings, key=lambda each: ORDER.index(each.verdict))


def rows_of_times(findings):
    rows = [("benchmark", "ratio of time", "95% interval", "threshold", "pairs", "verdict")]
    if findings and not findings[0].paired:
        rows = [("benchmark", "ratio of time", "95% interval", "threshold", "runs", "verdict")]
    for each in ordered(findings):
        known = each.ratio is not None
        runs = str(each.runs[0]) if each.runs[0] == each.runs[1] else f"{each.runs[0]}, {each.runs[1]}"
        rows.append(
            (
                each.name,
                f"{each.ratio:.3f}" if known else "-",
                f"{each.interval[0]:.3f} to {each.interval[1]:.3f}" if known else "-",
                f"{each.threshold:.1%}" if known else "-",
                runs,
                each.verdict + (f": {each.why}" if each.why else ""),
            )
        )
    return rows


def rows_of_counts(counts):
    """What changed, or could not be compared."""
    rows = [("operation", "measure", "baseline", "candidate", "verdict")]
    for each in ordered(each for each in counts if each.verdict != PASS):
        words = gate_counts.WORDS.get(each.measure, each.measure)
        known = each.baseline is not None
        rows.append(
            (
                each.name,
                words or "-",
                number(each.baseline) if known else "-",
                number(each.candidate) if known else "-",
                each.verdict + (f": {each.why}" if each.why else ""),
            )
        )
    return rows


def count_words(counts):
    same = sum(each.verdict == PASS for each in counts)
    return f"{len(counts)} counts (operations on shared memory, allocations, bytes, instructions): {same} are as they were"


def print_rows(rows):
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


def print_report(comparison):
    print(f"\nbaseline: {comparison.baseline}\ncandidate: {comparison.candidate}")
    if comparison.findings:
        print(
            "\nTime of an operation, candidate / baseline: above 1 is slower. A regression needs the threshold, and a"
        )
        print("test that holds for all benchmarks together.")
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


def markdown(comparison):
    def table(rows):
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


def document(comparison):
    def plain(value):
        if isinstance(value, float) and value != value:
            return None
        return value

    def of(each):
        return {key: plain(value) for key, value in asdict(each).items()}

    return {
        "verdict": comparison.verdict,
        "exit_status": comparison.status,
        "sentence": sentence(comparison),
        "baseline": comparison.baseline,
        "candidate": comparison.candidate,
        "machine": comparison.machine,
        "notes": comparison.notes,
        "rules": asdict(comparison.rules),
        "benchmarks": [of(each) for each in comparison.findings],
        "counts": [of(each) for each in comparison.counts],
    }


def write(path, comparison):
    """Writes the whole comparison as JSON. Raises output.CannotWrite."""
    output.write_whole(path, json.dumps(document(comparison), indent=1, allow_nan=False) + "\n")
