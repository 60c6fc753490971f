"""What a results.json says: reads Google Benchmark's JSON, takes the names apart and summarises the
repetitions.

A benchmark is named workload/index/parameter:value/.../real_time/threads:N. The indexes named map_... are the
maps alone; they are compared with each other, not with the indexes. Throughput is the counter `ops`:
successful operations a second, all threads together, in real time. `items_per_second` counts attempts, and
stands in where `ops` is absent.
"""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, NamedTuple, NoReturn, Tuple

from common.failure import Failure

BASELINE = "mutex"
QUIET = 0.15  # cores that may be busy with other programs before the reader is told
INDEXES = (
    "mutex",
    "rwlock",
    "elided",
    "lock_free",
    "adaptive",
    "tree_mutex",
    "tree_rwlock",
    "absl_mutex",
    "absl_rwlock",
    "skip_list",
    "btree",
)
WORKLOADS = (
    "insert",
    "search",
    "mixed",
    "read_heavy",
    "exchange",
    "rapid_grow",
    "churn",
    "ranges",
    "search_beside_writer",
    "tax",
)
HEADLINE = ("insert", "search", "mixed")

# What Google Benchmark itself adds to a name.
_OWN_PARTS = re.compile(
    r"(real_time|process_time|manual_time|(iterations|repeats|min_time|min_warmup_time):.*)$"
)
# Parameters that say how large the work is, as against which variant of it runs.
_SIZES = ("n", "dim", "k", "batch", "universe")


Json = Dict[str, Any]  # an object of a JSON file: what it holds is checked where it is read
Parameters = Tuple[Tuple[str, str], ...]
Ratio = Tuple[float, float, float]  # median, lowest, highest


class BadResults(Failure):
    """The file cannot be used; the message says why, and names the file."""


@dataclass(frozen=True)
class Name:
    """A benchmark's name, taken apart."""

    workload: str
    index: str
    structure: str  # "index" or "map"
    parameters: Parameters
    threads: int


def parse_name(text: str, threads: int = 1) -> Name | None:
    """Returns the parts of a benchmark's name, None when it does not follow the contract."""
    parts = [part for part in text.split("/") if part]
    if len(parts) < 2 or any(":" in part for part in parts[:2]):
        return None
    workload, index, *rest = parts
    parameters = []
    for part in rest:
        key, _, value = part.partition(":")
        if key == "threads":
            if not value.isdigit() or int(value) == 0:
                return None
            threads = int(value)
        elif not _OWN_PARTS.match(part):
            parameters.append((key, value))
    structure = "index"
    if index.startswith("map_"):
        structure, index = "map", index[len("map_") :]
    return Name(workload, index, structure, tuple(parameters), threads)


@dataclass(frozen=True)
class Threads:
    """How even the threads of a repetition were, over all its laps."""

    slowest: float  # attempted operations a second of one thread, while it worked
    fastest: float
    jain: float  # Jain's index of all threads' rates: 1 is fair, 1 / threads is one thread alone


@dataclass
class Cell:
    """One line's value at one number of threads: a throughput for each repetition."""

    throughput: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)  # of a thread beside those that are measured, if any
    threads: list[Threads] = field(default_factory=list)  # as far as the file tells of them

    @property
    def median(self) -> float:
        """The throughput of the middle repetition."""
        return statistics.median(self.throughput)

    @property
    def low(self) -> float:
        """The lowest throughput."""
        return min(self.throughput)

    @property
    def high(self) -> float:
        """The highest throughput."""
        return max(self.throughput)

    @property
    def spread(self) -> float | None:
        """(max - min) / median; None with one repetition only."""
        return (self.high - self.low) / self.median if len(self.throughput) > 1 and self.median else None

    @property
    def least_fair(self) -> Threads | None:
        """The repetition in which the threads were least even; None where the file does not tell."""
        return min(self.threads, key=lambda each: each.jain) if self.threads else None

    @property
    def failed_share(self) -> float:
        """Of the operations attempted, the share that failed (an insert of what is there, a remove of what is
        not)."""
        attempted = sum(self.throughput) + sum(self.failed)
        return sum(self.failed) / attempted if attempted else 0.0


@dataclass
class Group:
    """What belongs on one chart: the same work, done by several lines over a ladder of threads."""

    workload: str
    structure: str
    parameters: Parameters
    baseline: str = BASELINE
    lines: dict[str, dict[int, Cell]] = field(default_factory=dict)  # by name, by threads

    @property
    def title(self) -> str:
        """The workload and its parameters in words."""
        return describe(self.workload, self.structure, dict(self.parameters))

    @property
    def slug(self) -> str:
        """The name of the group's chart, without ending."""
        parts = [self.workload] if self.structure == "index" else [self.workload, "map"]
        parts += [f"{key}{value}" for key, value in self.parameters]
        return re.sub(r"[^A-Za-z0-9.]+", "_", "_".join(parts)).strip("_")

    @property
    def threads(self) -> list[int]:
        """The numbers of threads of any line, ascending."""
        return sorted({count for cells in self.lines.values() for count in cells})

    def busy_threads(self, threads: float) -> float:
        """Returns how many threads compete for the cores: beside the searchers of search_beside_writer, which
        are what `threads` counts, there is the writer."""
        return threads + (self.workload == "search_beside_writer")

    @property
    def family(self) -> Parameters:
        """The parameters without the pace of the writer beside it."""
        return tuple(pair for pair in self.parameters if pair[0] != "writes")

    @property
    def paced(self) -> bool:
        """Does the thread beside the measured ones write at a pace?"""
        return self.family != self.parameters

    @property
    def repetitions(self) -> tuple[int, int]:
        """The lowest and the highest number of repetitions of a cell."""
        counts = [len(cell.throughput) for cells in self.lines.values() for cell in cells.values()]
        return min(counts), max(counts)

    def ratio(self, line: str, threads: int, baseline: str | None = None) -> Ratio | None:
        """Returns the throughput relative to the baseline (the group's own unless told otherwise) as (median,
        low, high), None where there is none. Repetitions are compared in pairs where both sides have as many:
        the rounds are interleaved, so a pair met the same conditions."""
        mine, base = (self.lines.get(each, {}).get(threads) for each in (line, baseline or self.baseline))
        if not mine or not base or min(base.throughput) <= 0:
            return None
        if len(mine.throughput) == len(base.throughput):
            ratios = [m / b for m, b in zip(mine.throughput, base.throughput)]
            return statistics.median(ratios), min(ratios), max(ratios)
        ratio = mine.median / base.median
        return ratio, ratio, ratio


def describe(workload: str, structure: str, parameters: dict[str, str]) -> str:
    """Returns the workload and its parameters in words; every parameter it does not know by name is added as
    it stands."""
    left = dict(parameters)
    subject = left.pop("index", "")  # of the tax only: elsewhere the indexes are the lines

    def take(key: str) -> str:
        value = left.pop(key, "")
        return f"{int(value):,}" if value.isdigit() else value

    n, dim, k, writes = take("n"), take("dim"), take("k"), take("writes")
    size = f" of {dim} floats" if dim else ""
    if workload == "insert":
        words = f"Insert: {n or 'many'} adds{size} a thread"
    elif workload == "search":
        words = f"Search: top {k or 'k'} of {n or 'n'} vectors{size}"
    else:
        words = {
            "mixed": "Mixed: one add to two searches",
            "read_heavy": "Read-heavy: 98% read, 1% insert, 1% remove",
            "exchange": "Exchange: 10% read, 40% insert, 40% remove, 10% update",
            "rapid_grow": "Rapid growth: 5% read, 80% insert, 5% remove, 10% update",
            "churn": "Churn: an insert and a remove by turns, at a constant size",
            "ranges": "Ranges: 80% visits of about 32 keys in order, 10% insert, 10% remove",
            "search_beside_writer": (
                f"Search beside a writer of {writes} replacements/s"
                if writes
                else "Search beside a continuous writer"
            ),
            "tax": "What instrumentation costs",
        }.get(workload, workload.replace("_", " ").capitalize())
        details = []
        if structure == "map" or workload in ("read_heavy", "exchange", "rapid_grow"):
            details.append("map alone" if structure == "map" else "whole index")
        if k:
            details.append(f"top {k}")
        if n or dim:
            of = "keys" if structure == "map" else "vectors"
            details.append(f"{n} {of}{size}" if n else f"{of}{size}")
        if subject:
            words += f": the {subject.replace('lock_free', 'lock-free').replace('_', ' ')}"
            words += "" if subject.startswith("map_") else " index"
        words += "; " + ", ".join(details) if details else ""
    for key, value in left.items():
        if key == "read":
            words += f", read by {value}"
        elif key == "keys":
            skewed = re.match(r"zipf[_:=-]?([\d.]*)$", value)
            drawn = f"Zipf{f' ({skewed[1]})' if skewed[1] else ''}" if skewed else value
            words += f", drawn {'by ' if skewed else ''}{drawn}{'ly' if drawn == 'uniform' else ''}"
        else:
            words += f", {key.replace('_', ' ')}{f' {value}' if value else ''}"
    return words


def frontiers(groups: list[Group]) -> list[list[Group]]:
    """Returns what belongs on one chart of searches against writes: searches alone, if they were measured,
    then beside writers of all paces, without pause last; for each size of the work that has two paces."""
    found = []
    for last in groups:
        if last.workload != "search_beside_writer" or last.paced:
            continue
        beside = [each for each in groups if each.workload == last.workload and each.paced]
        beside = [each for each in beside if each.family == last.family]
        alone = [each for each in groups if each.workload == "search" and each.parameters == last.family]
        if len(beside) > 1:
            paces = sorted(beside, key=lambda each: int(dict(each.parameters)["writes"]))
            found.append([*alone[:1], *paces, last])
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"it holds {text}, which is no measurement")


@dataclass
class Results:
    """What a results.json says."""

    context: Json
    groups: list[Group]
    errors: list[tuple[str, str]]  # (name, message): benchmarks that reported an error instead of a result
    unnamed: list[str]  # benchmarks whose names do not follow the contract

    @property
    def cores(self) -> int | None:
        """The cores of the machine that was measured; None where the file does not say."""
        for value in (self.context.get("machine", {}).get("cores"), self.context.get("num_cpus")):
            if isinstance(value, int) and value > 0:
                return value
        return None


def load(path: Path | str, constants: bool = False) -> Any:
    """Returns the JSON in a file, whatever it is; with `constants` there may be a NaN or an infinity in it,
    as Google Benchmark writes them into aggregates. Raises BadResults."""
    path = Path(path)
    try:
        return json.loads(
            path.read_text(encoding="utf-8"), parse_constant=float if constants else _refuse_constant
        )
    except OSError as failure:
        raise BadResults(f"{path}: {failure.strerror or failure}") from None
    except UnicodeDecodeError as failure:
        raise BadResults(f"{path}: not text: byte {failure.start} is not UTF-8") from None
    except json.JSONDecodeError as failure:
        size = path.stat().st_size
        ends = failure.msg.startswith("Unterminated") or failure.pos >= len(failure.doc.rstrip())
        cut = " (the file ends there: was its writing cut short?)" if ends else ""
        raise BadResults(
            f"{path}: not JSON: {failure.msg} at line {failure.lineno}, column {failure.colno}, "
            f"of {size:,} bytes{cut}"
        ) from None
    except (ValueError, RecursionError) as failure:
        raise BadResults(f"{path}: {failure}") from None


def parts(path: Path | str, document: object) -> tuple[Json, list[Json]]:
    """Returns (context, benchmarks) of a document that Google Benchmark wrote. Raises BadResults."""
    entries = document.get("benchmarks") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(entries, list):
        raise BadResults(f'{path}: no list "benchmarks": this is not Google Benchmark\'s JSON')
    if not entries:
        raise BadResults(f"{path}: the list of benchmarks is empty: nothing was measured")
    context = document.get("context")
    context = context if isinstance(context, dict) else {}
    if not isinstance(context.get("machine", {}), dict):
        raise BadResults(f"{path}: context.machine is not an object")
    return context, entries


def read(path: Path | str) -> Results:
    """Returns the results in a file. Raises BadResults."""
    return summarise(Path(path), *parts(path, load(path, constants=True)))


def entries_of(path: Path | str) -> list[Json]:
    """Returns the benchmarks in a file as they stand there; none in one of counts alone. Raises
    BadResults."""
    document = load(path, constants=True)
    if isinstance(document, dict) and "counts" in document and "benchmarks" not in document:
        return []
    return parts(path, document)[1]


def summarise(path: Path | str, context: Json, entries: list[Json]) -> Results:
    """Returns what a file at `path` holds, or will hold. Raises BadResults."""
    errors, unnamed, measured = [], [], []
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise BadResults(f"{path}: benchmark {position} has no name")
        if entry.get("run_type", "iteration") != "iteration":
            continue  # means and medians are computed here, from the repetitions
        text = entry["name"]
        if entry.get("error_occurred") or entry.get("skipped"):
            errors.append(
                (text, str(entry.get("error_message") or entry.get("skip_message") or "no reason given"))
            )
            continue
        threads = entry.get("threads")
        name = parse_name(text, threads if isinstance(threads, int) and threads > 0 else 1)
        if name is None:
            unnamed.append(text)
            continue
        throughput = entry.get("ops", entry.get("items_per_second"))
        failed = entry.get("failed", 0.0)
        beside = entry.get("writer_ops", 0.0)
        for label, value in (("ops", throughput), ("failed", failed), ("writer_ops", beside)):
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 <= value < float("inf")
            ):
                raise BadResults(f"{path}: {text}: {label} is {value!r}, not a rate")
        measured.append(Repetition(name, float(throughput), float(failed), float(beside), threads_of(entry)))
    if not measured:
        why = f" ({errors[0][0]}: {errors[0][1]})" if errors else f" ({unnamed[0]})" if unnamed else ""
        raise BadResults(f"{path}: no benchmark here has a usable result{why}")
    return Results(context, group(measured), errors, unnamed)


def threads_of(entry: Json) -> Threads | None:
    """Returns how even an entry's threads were, as far as it tells."""
    told = []
    for key in ("slowest_thread", "fastest_thread", "jain"):
        value = entry.get(key)
        if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
            return None
        told.append(float(value))
    return Threads(*told)


class Repetition(NamedTuple):
    """One repetition of a benchmark: what it did a second, and how even its threads were."""

    name: Name
    throughput: float
    failed: float
    beside: float
    threads: Threads | None


def group(measured: list[Repetition]) -> list[Group]:
    """Returns what was measured by chart, the workloads in their usual order."""
    groups: dict[tuple[str, str, Parameters], Group] = {}
    varying = _what_the_tax_varies(each.name for each in measured)
    for name, throughput, failed, beside, threads in measured:
        variant: Parameters = ()
        line, parameters = name.index, name.parameters
        if name.workload == "tax":
            # There the same index runs with and without its instruments: the variants are the lines.
            variant = tuple((key, value) for key, value in name.parameters if key in varying)
            rest = tuple(pair for pair in name.parameters if pair[0] not in varying)
            line = ", ".join(f"{key} {value}".strip() for key, value in variant) or "as it is"
            parameters = (("index", f"{'map_' if name.structure == 'map' else ''}{name.index}"), *rest)
        key_of_group = (name.workload, name.structure, parameters)
        into = groups.setdefault(
            key_of_group, Group(name.workload, name.structure, parameters, "" if variant else BASELINE)
        )
        if variant and all((value or key) in ("off", "0", "none", "false", "no") for key, value in variant):
            into.baseline = line
        cell = into.lines.setdefault(line, {}).setdefault(name.threads, Cell())
        cell.throughput.append(throughput)
        cell.failed.append(failed)
        if name.workload == "search_beside_writer":
            cell.beside.append(beside)
        if threads:
            cell.threads.append(threads)
    for each in groups.values():
        each.lines = dict(sorted(each.lines.items(), key=lambda of: rank(of[0], (each.baseline, *INDEXES))))
    return sorted(groups.values(), key=lambda each: (rank(each.workload, WORKLOADS), each.structure == "map"))


def rank(name: str, known: tuple[str, ...]) -> int:
    """Returns where a name stands among the known ones; what is unknown comes last."""
    return known.index(name) if name in known else len(known)


def _what_the_tax_varies(names: Iterable[Name]) -> set[str]:
    values: dict[str, set[str]] = {}
    for name in names:
        if name.workload == "tax":
            for key, value in name.parameters:
                values.setdefault(key, set()).add(value)
    return {key for key, seen in values.items() if key not in _SIZES and (len(seen) > 1 or seen == {""})}


def unit(top: float) -> tuple[float, str]:
    """Returns (divisor, words) for rates of which the largest is `top`, so that the numbers read well."""
    if top >= 2e5:
        return 1e6, "million operations/s"
    if top >= 2e2:
        return 1e3, "thousand operations/s"
    return 1.0, "operations/s"


def machine_line(results: Results) -> str:
    """Returns one line for footnotes: machine, commit, date, as far as the file tells."""
    context, machine = results.context, results.context.get("machine", {})
    parts = []
    if machine.get("cpu") or results.cores:
        cores = f"{results.cores} core{'s' if results.cores != 1 else ''}" if results.cores else ""
        parts.append(", ".join(part for part in (machine.get("cpu"), cores) if part))
    if context.get("compiler"):
        parts.append(str(context["compiler"]))
    if context.get("commit"):
        parts.append(
            f"commit {str(context['commit'])[:12]}" + (" with changes" if context.get("dirty") else "")
        )
    if context.get("date"):
        parts.append(str(context["date"])[:10])
    busy = context.get("cores_busy_with_other_programs")
    if isinstance(busy, (int, float)) and busy > QUIET:
        parts.append(f"other programs kept {busy:.1f} cores busy")
    return " · ".join(parts) or "machine, commit and date unknown"
