"""scripts/stress --matrix: which check finds which planted bug."""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import re
import sys
import time
from dataclasses import dataclass
from typing import Iterable, Sequence, Tuple

from common import child_processes, command_line, machine, output
from common.command_line import in_words
from common.failure import Failure
from common.repository import ROOT
from stress.detection import Cell, DETECTORS, Detector, OF_ORDERS, detect
from stress.program import BUILD, PLANTED, RESULTS, build, commit, soak_command

MATRIX = RESULTS / "detection.json"  # [kind, name, check, verdict, seconds]
LONGER = 12  # times as long for bugs that no check has found
Key = Tuple[str, str, str]  # kind, name, check
PLANTED_BUGS = ROOT / "impl" / "planted_bugs"


@dataclass(frozen=True)
class Row:
    """What is wrong in a row of the matrix: a planted bug, or a weakened order."""

    kind: str  # bug or order
    name: str
    what: str
    flag: str  # that makes it so
    room: str = ""  # of a bug; "": not known

    def key(self, detector: Detector) -> Key:
        """Returns the key of a check's cell."""
        return self.kind, self.name, detector.name

    def is_asked(self, detector: Detector) -> bool:
        """Returns whether a check runs the code that is wrong, and is for this kind of row."""
        if self.kind != "bug":
            return detector.name in OF_ORDERS
        return not self.room or detector.runs(self.room)


def listed(kind: str) -> list[list[str]]:
    """Returns the [name, description] of each bug or edge that the program knows. Raises Failure."""
    told = child_processes.run(soak_command("release", "--list"), capture_output=True)
    if told.returncode != 0:
        how = child_processes.how_it_ended(told.returncode)
        raise Failure(f"stress_soak --list ended with {how}: {told.stderr.strip()}")
    return [line.split("\t")[1:] for line in told.stdout.splitlines() if line.startswith(f"{kind}\t")]


def rooms_of_bugs() -> dict[str, str]:
    """Returns the room of each planted bug: the name of its file."""
    found = ((path.stem, path.read_text()) for path in sorted(PLANTED_BUGS.glob("*.bugs")))
    return {name: room for room, text in found for name in re.findall(r"^bug (\w+):", text, re.MULTILINE)}


def every_row() -> list[Row]:
    """Returns the rows: planted bugs that a check may find, then weakened orders."""
    rooms = rooms_of_bugs()
    bugs = [Row("bug", name, what, f"--bug={name}", rooms.get(name, "")) for name, what in listed("bug")]
    bugs = [row for row in bugs if any(row.is_asked(detector) for detector in DETECTORS)]
    return bugs + [Row("order", name, what, f"--weaken={name}") for name, what in listed("edge")]


def as_json(cells: dict[Key, Cell]) -> str:
    """Returns the cells of the matrix as detection.json has them: a line each."""

    def values(cell: Cell) -> list[object]:
        return [cell.verdict, cell.seconds, *([cell.where] if cell.where else [])]

    each = (json.dumps([*key, *values(cells[key])]) for key in sorted(cells))
    lines = ",\n".join(each)
    return f"[\n{lines}\n]\n"


class Matrix:
    """The rows, and the cells that are measured."""

    def __init__(self, rows: list[Row], seconds: float, jobs: int) -> None:
        self.rows = rows
        self.seconds = seconds  # of each check
        self.jobs = jobs
        self.where = f"{machine.processors()}, commit {commit()}"
        self.cells: dict[Key, Cell] = {}
        self.begin = time.monotonic()
        self.line = command_line.ProgressLine(every=60)

    def read(self) -> None:
        """Takes the cells of an earlier run from detection.json, but for those that nobody would ask for."""
        asked = {row.key(detector) for row in self.rows for detector in DETECTORS if row.is_asked(detector)}
        for kind, name, check, verdict, seconds, *where in json.loads(MATRIX.read_text()):
            if (kind, name, check) in asked:
                self.cells[kind, name, check] = Cell(verdict, seconds, *where)

    def measure(self, wanted: Iterable[tuple[Row, Detector]], seconds: float) -> None:
        """Measures cells; what there is when a signal comes is kept."""
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            jobs = {
                pool.submit(detect, row.flag, detector, seconds): (row.kind, row.name, detector.name)
                for row, detector in wanted
            }
            try:
                for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
                    self.cells[jobs[job]] = dataclasses.replace(job.result(), where=self.where)
                    took = in_words(time.monotonic() - self.begin)
                    self.line.show(f"{done}/{len(jobs)} of {seconds:g} s in {took}")
            except child_processes.Ended:
                self.line.clear()
                kept = BUILD / "stress" / "detection.json"
                output.write_whole(kept, as_json(self.cells))
                print(f"{len(self.cells)} cells are kept in {kept.relative_to(ROOT)}", flush=True)
                raise

    def measure_all(self, chosen: list[Row], missing: bool = False) -> None:
        """Measures these rows, or what is missing of them; bugs that no check finds get more time."""
        wanted = [
            (row, detector)
            for row in chosen
            for detector in DETECTORS
            if row.is_asked(detector) and not (missing and row.key(detector) in self.cells)
        ]
        self.measure(wanted, self.seconds)
        asked = {row.name for row, _ in wanted if row.kind == "bug"}
        late = [row for row in chosen if row.kind == "bug" and row.name in asked and not self.caught(row)]
        longer = [
            (row, detector)
            for row in late
            for detector in DETECTORS
            if row.is_asked(detector) and self.cells[row.key(detector)].seconds < self.seconds * LONGER
        ]
        self.measure(longer, self.seconds * LONGER)
        self.line.clear()

    def write(self) -> None:
        """Writes detection.json."""
        output.write_whole(MATRIX, as_json(self.cells))

    def caught(self, row: Row) -> bool:
        """Returns whether any check finds what is wrong in a row."""
        return any(each.verdict for key, each in self.cells.items() if key[:2] == (row.kind, row.name))

    def had_longer(self, row: Row) -> bool:
        """Returns whether a row's checks had more time."""
        cells = [self.cells[row.key(detector)] for detector in DETECTORS if row.is_asked(detector)]
        return any(not each.verdict and each.seconds >= self.seconds * LONGER for each in cells)

    def places(self) -> str:
        """Returns in words where the cells were measured, most of them first."""
        places = collections.Counter(cell.where for cell in self.cells.values()).most_common()
        if len(places) == 1:
            return places[0][0]
        return "; ".join(f"{where or 'an unknown machine'} ({count:,} cells)" for where, count in places)

    def table(self, kind: str, checks: Sequence[str]) -> list[str]:
        """Returns the rows of a kind as Markdown, with a column for each of these checks."""
        lines = [f"| {kind} | " + " | ".join(checks) + " | what |", "|---|" + "--:|" * len(checks) + "---|"]
        for row in self.rows:
            if row.kind == kind:
                cells = " | ".join(str(self.cells.get((kind, row.name, check), "")) for check in checks)
                lines.append(f"| {row.name} | {cells} | {row.what} |")
        return lines

    def report(self) -> list[str]:
        """Returns the lines of detection.md."""
        bugs = [row for row in self.rows if row.kind == "bug"]
        orders = [row for row in self.rows if row.kind == "order"]
        missed = [row.name for row in bugs if not self.caught(row)]
        weak = [row.name for row in orders if not self.caught(row)]
        late = [row.name for row in bugs if self.had_longer(row)]
        checks = [detector.name for detector in DETECTORS]
        found = {
            check: sum(cell.verdict != "" for key, cell in self.cells.items() if key[::2] == ("bug", check))
            for check in checks
        }
        by_check = ", ".join(f"{check} {count}" for check, count in found.items())
        more_time = f"those rows had {self.seconds * LONGER:g} s"
        return [
            "# Which check finds which planted bug",
            "",
            f"Made by `scripts/stress --matrix --seconds {self.seconds:g}` on {self.places()}. "
            "A cell is the time until the first detection; a dot: "
            f"not within {self.seconds:g} s. `crash` and `hang`: the process died of the bug, or operations "
            "waited for each other for ever, before the check could speak; nothing: the check does not run "
            "that code. The sanitizers' columns run without any check of answers.",
            "",
            f"{len(bugs) - len(missed)} of {len(bugs)} planted bugs are caught by at least one check"
            + (f"; not by any: {', '.join(missed)}" if missed else "")
            + f". By check: {by_check}."
            + (f" Nobody found {', '.join(late)} in that time: {more_time}." if late else ""),
            "",
            *self.table("bug", checks),
            "",
            "## Orders of one edge weakened to relaxed, all its ends at once",
            "",
            f"{len(orders) - len(weak)} of {len(orders)} are caught. On x86-64 a weakened order hardly ever "
            "shows in an answer: that the race is there is for ThreadSanitizer to say, and for the "
            "[model checker](../model_check/ledger.md) to prove."
            + (f" Not seen here: {', '.join(weak)}." if weak else ""),
            "",
            *self.table("order", OF_ORDERS),
            "",
        ]


def write_progress() -> int:
    """Writes progress.md. Returns the status of the program that makes its table."""
    made = child_processes.run(soak_command("release", "--progress-table"), capture_output=True)
    output.write_whole(
        RESULTS / "progress.md",
        "# Threads stopped for ever, at every step\n\nMade by `scripts/stress --matrix` on "
        f"{machine.processors()}, commit {commit()}. Each stop: one thread stands still before one atomic "
        "operation, another completes 25 rounds of calls of every kind on the same ids and others; the whole "
        "history is linearizable. Tunables: TinyTraits, so that growth, reclamation and reuse happen in "
        "every operation.\n\n" + made.stdout,
    )
    return made.returncode


def matrix(options: argparse.Namespace) -> int:
    """Measures the matrix, or with --only some of its rows again, or with --missing what is not there yet,
    and writes its tables. Returns the exit status."""
    build("release")
    for preset in ("release", "tsan", "asan"):
        build(preset, PLANTED)
    whole = Matrix(every_row(), options.seconds, options.jobs)
    chosen = whole.rows
    if options.only:
        unknown = [name for name in options.only if name not in {row.name for row in chosen}]
        if unknown:
            sys.exit(f"scripts/stress: --only: no bug and no edge is named {unknown[0]}; --list shows them")
        chosen = [row for row in chosen if row.name in options.only]
    if options.only or options.missing:
        whole.read()
    whole.measure_all(chosen, options.missing)
    whole.write()
    lines = whole.report()
    output.write_whole(RESULTS / "detection.md", "\n".join(lines))
    failed = write_progress()
    print("\n".join(lines[2:6]))
    print("results/stress/detection.md, results/stress/progress.md")
    missed = any(row.kind == "bug" and not whole.caught(row) for row in whole.rows)
    return 1 if missed or failed else 0
