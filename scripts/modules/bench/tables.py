"""The tables of scripts/bench: on the terminal, and in summary.md beside the charts."""

from __future__ import annotations

import statistics
from typing import List, Tuple

from bench import results as result_file
from bench.results import Group, Json, Results


Table = Tuple[List[str], List[List[str]], str]  # heading, rows, unit


def rows_of(group: Group) -> Table:
    """Returns the group's table: a heading and rows, every cell text. Numbers of threads go down and lines
    across; in the tax, whose lines are many and have long names, the other way round."""
    top = max(cell.high for cells in group.lines.values() for cell in cells.values())
    divisor, words = result_file.unit(top)

    def value(line: str, count: int) -> str:
        cell = group.lines[line].get(count)
        if not cell:
            return "-"
        spread = f" ({cell.spread:.0%})" if cell.spread is not None else ""
        return three_digits(cell.median / divisor) + spread

    def ratio(line: str, count: int) -> str:
        seen = group.ratio(line, count)
        return f"x{seen[0]:.2f}" if seen else "-"

    compared = group.baseline in group.lines
    if group.workload == "tax":
        heading = ["threads"]
        for count in group.threads:
            heading += [str(count), *(["ratio"] if compared else [])]
        rows = []
        for line in group.lines:
            rows.append([line])
            for count in group.threads:
                rows[-1] += [value(line, count), *([ratio(line, count)] if compared else [])]
        return heading, rows, words
    heading = ["threads"]
    for line in group.lines:
        heading += [line, *(["ratio"] if compared and line != group.baseline else [])]
    rows = []
    for count in group.threads:
        rows.append([str(count)])
        for line in group.lines:
            rows[-1].append(value(line, count))
            if compared and line != group.baseline:
                rows[-1].append(ratio(line, count))
    return heading, rows, words


def three_digits(value: float) -> str:
    """Returns a number as short as a table wants it."""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{decimals}f}"


def failures_of(group: Group) -> str:
    """Returns words on operations that failed, such as the insert of a key that is there."""
    shares = {}
    for line, cells in group.lines.items():
        of_line = [cell.failed_share for cell in cells.values()]
        shares[line] = min(of_line), max(of_line)
    told = [
        f"{line} {low:.1%}" + (f" to {high:.1%}" if f"{high:.1%}" != f"{low:.1%}" else "")
        for line, (low, high) in shares.items()
        if high >= 0.0005
    ]
    return f"failed, and not counted, of the attempts: {', '.join(told)}" if told else ""


def writer_of(group: Group) -> str:
    """Returns what the thread beside the measured ones did, by index, over the numbers of threads."""
    told = []
    for line, cells in group.lines.items():
        rates = [statistics.median(cell.beside) for cell in cells.values() if cell.beside]
        if rates:
            low, high = (three_digits(rate / 1e3) for rate in (min(rates), max(rates)))
            told.append(f"{line} {low}" + (f" to {high}" if low != high else ""))
    return f"the writer beside it, thousand replacements/s: {', '.join(told)}" if told else ""


def fairness_of(group: Group) -> str:
    """Returns how uneven the threads were, by line, where they were least even."""
    top = max(cell.high for cells in group.lines.values() for cell in cells.values())
    divisor, _ = result_file.unit(top)
    told = []
    for line, cells in group.lines.items():
        of_line = [(count, cell.least_fair) for count, cell in cells.items() if count > 1]
        known = [(count, seen) for count, seen in of_line if seen]
        if known:
            count, seen = min(known, key=lambda each: each[1].jain)
            low, high = three_digits(seen.slowest / divisor), three_digits(seen.fastest / divisor)
            told.append(f"{line} {seen.jain:.2f} at {count} threads ({low} to {high})")
    return f"least fair: {', '.join(told)}" if told else ""


def remarks_on(group: Group) -> list[str]:
    """Returns what stands below a group's table."""
    return [remark for remark in (failures_of(group), writer_of(group), fairness_of(group)) if remark]


def memory_words(context: Json) -> str:
    """Returns what a vector takes in each index, "" where the context does not say."""
    memory = context.get("memory")
    if not isinstance(memory, dict) or not memory.get("indexes"):
        return ""
    each = ", ".join(
        f"{told['index']} {told['resident']:.0f} resident, {told['accounted']:.0f} accounted"
        for told in memory["indexes"]
    )
    return f"bytes a vector, of {memory['vectors']:,} with {memory['dimension']} floats: {each}"


LEGEND = (
    "Successful operations, all threads together, real time: the median of the rounds, in brackets "
    "(highest - lowest) / median; ratio: throughput relative to the {base}: the median of each round's own "
    "ratio. Least fair: Jain's index of the threads' rates, where it is lowest (1 is fair), and in brackets "
    "the slowest and the fastest thread, in the table's unit."
)


def elision_of(results: Results) -> list[str]:
    """Returns what the elided index was made of, if it was measured: a line or none."""
    told = results.context.get("elided")
    return [f"elided: {told}"] if told and any("elided" in group.lines for group in results.groups) else []


def print_tables(results: Results) -> None:
    """Prints all tables."""
    base = "mutex, in tax to the variant with all off"
    print("\n" + LEGEND.format(base=base))
    for line in elision_of(results):
        print(line)
    for group in results.groups:
        heading, rows, words = rows_of(group)
        widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
        print(f"\n{group.title}\n  in {words}")
        for row in [heading, *rows]:
            print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
        for remark in remarks_on(group):
            print(f"  {remark}")
    if memory_words(results.context):
        print(f"\n{memory_words(results.context)}")


def summary(results: Results, notes: list[str], drawn: list[str]) -> str:
    """Returns the text of summary.md; `drawn` are the charts that lie beside it."""
    context, machine = results.context, results.context["machine"]
    base = "mutex, in `tax` to the variant with all off"
    changed = " with uncommitted changes" if context["dirty"] else ""
    text = [
        "# Benchmark results",
        "",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['kernel']}",
        f"- compiler: {context['compiler']}; `{context['flags']}`",
        f"- commit: {context['commit']}{changed}",
        f"- dataset: {context['dataset']}",
        f"- date: {context['date']}",
        f"- command: `{context['command_line']}`",
        *([f"- {memory_words(context)}"] if memory_words(context) else []),
        f"- rounds: {context['rounds']}, at least {context['min_time']:.3g} s a benchmark in each",
        *[f"- {line}" for line in elision_of(results)],
        *[f"- **note: {note}**" for note in notes],
        "",
        "The raw numbers are in [results.json](results.json). " + LEGEND.format(base=base),
        f"Beyond {machine['cores']} threads the machine is oversubscribed.",
    ]
    if "overview" in drawn:
        text += ["", "![overview](overview.svg)"]
    for group in results.groups:
        heading, rows, words = rows_of(group)
        text += ["", f"## {group.title}", "", f"In {words}.", ""]
        text += [f"| {' | '.join(row)} |" for row in [heading, ["--:"] * len(heading), *rows]]
        for remark in remarks_on(group):
            text += ["", f"{remark[0].upper()}{remark[1:]}."]
        if group.slug in drawn:
            text += ["", f"![{group.title}]({group.slug}.svg)"]
        frontier = f"{group.slug}_frontier"
        if frontier in drawn:
            text += ["", f"![searches against writes]({frontier}.svg)"]
    return "\n".join(text) + "\n"
