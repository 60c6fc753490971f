"""The gate's deterministic measures: reading them, comparing two sides, and the figures that are committed.

Shared-memory operations, allocations and bytes come from operation_counts, instructions from callgrind. They
are equal on every run, so a comparison needs no statistics: what is more than the tolerance allows is a
regression.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, TypedDict, Union

from bench import results as result_file
from bench.results import Json
from common import child_processes, output, repository
from common.child_processes import Command
from common.failure import Failure
from common.repository import ROOT
from gate.statistics import IMPROVEMENT, NO_DATA, PASS, REGRESSION

COMMITTED = ROOT / "results" / "gate" / "counts.json"
UPDATE = 'scripts/gate --write-counts [--accept "REASON"]'
CALLGRIND = "valgrind"

WORDS = {
    "loads": "atomic loads",
    "stores": "atomic stores",
    "rmws": "atomic read-modify-writes",
    "cas_failures": "failed compare-exchanges",
    "light_fences": "light fences",
    "heavy_fences": "heavy fences",
    "shared_writes": "writes to shared memory",
    "allocations": "allocations",
    "allocated_bytes": "bytes allocated",
    "bytes": "bytes a vector",
    "instructions": "instructions",
}


class Figures(TypedDict):
    """What is counted in so many calls of one operation, by measure."""

    calls: int
    totals: dict[str, float]


class Accepted(TypedDict):
    """A rise that may stay: up to how many, and why."""

    up_to: Union[float, None]
    reason: str


Counts = Dict[str, Figures]  # by operation


@dataclass
class CountsFile:
    """What a file of counts holds."""

    context: Json
    counts: Counts
    accepted: dict[str, Accepted]


class CountsFailed(Failure):
    """A deterministic measure could not be taken; the message says why."""


@dataclass
class CountFinding:
    """The verdict on one measure of one operation."""

    name: str  # of the benchmark: workload/index/parameters
    measure: str  # a key of WORDS
    verdict: str
    baseline: float | None = None  # per operation, or per vector
    candidate: float | None = None
    why: str = ""

    @property
    def ratio(self) -> float | None:
        """The candidate's count relative to the baseline's; None where one is missing or zero."""
        return self.candidate / self.baseline if self.baseline and self.candidate is not None else None


# ---- taking them ----


def take_counts(binary: Path, plant: str | None = None) -> Counts:
    """Runs operation_counts, with one more of what `plant` names. Returns what it counts. Raises
    CountsFailed."""
    with tempfile.TemporaryDirectory(prefix="hotindex-gate-") as scratch:
        path = Path(scratch) / "counts.json"
        command: Command = [binary, f"--json={path}", *([f"--plant={plant}"] if plant else [])]
        try:
            done = child_processes.run(command, capture_output=True, cwd=scratch)
        except OSError as failure:
            raise CountsFailed(f"{binary}: {failure.strerror}") from None
        if done.returncode != 0:
            raise CountsFailed(f"{Path(binary).name} failed: {child_processes.complaint(done)}")
        return read_counts(path).counts


def take_instructions(driver: Path) -> Counts:
    """Runs instruction_driver under callgrind. Returns what is counted. Raises CountsFailed."""
    if not shutil.which(CALLGRIND):
        raise CountsFailed("valgrind is not installed: scripts/setup --gate installs it")
    with tempfile.TemporaryDirectory(prefix="hotindex-gate-") as scratch:
        command: Command = [
            CALLGRIND,
            "--tool=callgrind",
            f"--callgrind-out-file={scratch}/out",
            "--zero-before=measured_begin",
            "--dump-before=measured_end",
            driver,
        ]
        done = child_processes.run(command, capture_output=True, cwd=scratch)
        if done.returncode != 0:
            raise CountsFailed(f"valgrind failed: {done.stderr.strip()[-500:] or done.returncode}")
        counts: Counts = {}
        for number, line in enumerate(done.stdout.splitlines(), 1):
            name, calls = line.rsplit(" ", 1)
            part = Path(scratch) / f"out.{number}"
            total = re.search(r"^summary: (\d+)$", part.read_text() if part.exists() else "", re.MULTILINE)
            if not total or int(total[1]) == 0:
                raise CountsFailed(
                    f"callgrind wrote no instructions for {name}: "
                    "were measured_begin and measured_end renamed?"
                )
            counts[name] = {"calls": int(calls), "totals": {"instructions": int(total[1])}}
        if not counts:
            raise CountsFailed(f"{Path(driver).name} measured nothing")
        return counts


def merge(*parts: Counts) -> Counts:
    """Returns the figures of several tools as one."""
    merged: Counts = {}
    for part in parts:
        for name, figures in part.items():
            into = merged.setdefault(name, {"calls": figures["calls"], "totals": {}})
            # Each tool has its own number of calls: totals are brought to the first one's.
            for key, total in figures["totals"].items():
                into["totals"][key] = (
                    total * into["calls"] / figures["calls"] if figures["calls"] != into["calls"] else total
                )
    return merged


def read_counts(path: Path | str) -> CountsFile:
    """Returns what a file of counts holds. Raises BadResults."""
    return check_counts(path, result_file.load(path))


def check_counts(path: Path | str, document: object) -> CountsFile:
    """Returns what a document of counts holds; `path` is for messages. Raises BadResults."""
    entries = document.get("counts") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(entries, list) or not entries:
        raise result_file.BadResults(
            f'{path}: no list "counts": this is not what operation_counts --json writes'
        )
    counts: Counts = {}
    for position, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise result_file.BadResults(f"{path}: entry {position} of the counts has no name")
        calls, totals = entry.get("calls"), entry.get("totals")
        if type(calls) is not int or calls <= 0:
            raise result_file.BadResults(f"{path}: {name}: calls is {calls!r}, not a whole number above 0")
        if not isinstance(totals, dict) or not totals:
            raise result_file.BadResults(f"{path}: {name}: no totals")
        for key, value in totals.items():
            if type(value) not in (int, float) or not 0 <= value < float("inf"):
                raise result_file.BadResults(f"{path}: {name}: {key} is {value!r}, not a count")
        if name in counts:
            raise result_file.BadResults(f"{path}: {name} is there twice")
        counts[name] = {"calls": calls, "totals": totals}
    context = document.get("context")
    accepted = check_accepted(path, document.get("accepted", {}))
    return CountsFile(context if isinstance(context, dict) else {}, counts, accepted)


def check_accepted(path: Path | str, accepted: object) -> dict[str, Accepted]:
    """Returns the rises that a document accepts. Raises BadResults."""
    if not isinstance(accepted, dict):
        raise result_file.BadResults(f'{path}: "accepted" is {type(accepted).__name__}, not an object')
    for key, each in accepted.items():
        if not isinstance(each, dict) or not isinstance(each.get("reason"), str) or "up_to" not in each:
            raise result_file.BadResults(f'{path}: accepted "{key}" has no reason and up_to')
    return accepted


# ---- comparing them ----


@dataclass(frozen=True)
class Tolerances:
    """Relative increases that are no regression."""

    counts: float = 0.0
    memory: float = 0.001  # members that an index has once; a vector's would be eight bytes of some hundred
    instructions: float = 0.01  # code that has not changed may be placed and inlined differently

    def of(self, measure: str) -> float:
        """Returns the tolerance of a measure."""
        return {"instructions": self.instructions, "bytes": self.memory}.get(measure, self.counts)


def compare_counts(
    baseline: Counts, candidate: Counts, tolerances: Tolerances = Tolerances()
) -> list[CountFinding]:
    """Returns a finding for each measure of each operation, in the order of the baseline. Counts by edge
    explain a change of their sum, and are no measures of their own: an operation may move from one edge to
    another."""
    findings = []
    for name in [*baseline, *(name for name in candidate if name not in baseline)]:
        old_figures, new_figures = baseline.get(name), candidate.get(name)
        if old_figures is None or new_figures is None:
            side = "baseline" if old_figures is None else "candidate"
            findings.append(CountFinding(name, "", NO_DATA, why=f"the {side} does not count this operation"))
            continue
        before, after = old_figures["totals"], new_figures["totals"]
        calls = old_figures["calls"], new_figures["calls"]
        for measure in [*before, *(key for key in after if key not in before)]:
            if "." in measure:
                continue
            if measure not in before or measure not in after:
                side = "baseline" if measure not in before else "candidate"
                findings.append(CountFinding(name, measure, NO_DATA, why=f"the {side} does not count this"))
                continue
            old, new = before[measure] / calls[0], after[measure] / calls[1]
            allowed = tolerances.of(measure) * old
            # Compared as whole numbers where they are: no rounding in a division decides.
            change = (after[measure] - before[measure]) / calls[0] if calls[0] == calls[1] else new - old
            verdict = REGRESSION if change > allowed else IMPROVEMENT if change < -allowed else PASS
            why = explain_edges(measure, before, after, *calls) if verdict != PASS else ""
            findings.append(CountFinding(name, measure, verdict, old, new, why))
    return findings


def explain_edges(
    measure: str, before: dict[str, float], after: dict[str, float], calls_before: int, calls_after: int
) -> str:
    """Returns which edges a changed sum comes from."""
    changed = []
    for key in sorted({key for key in (*before, *after) if key.endswith(f".{measure}")}):
        by = after.get(key, 0) / calls_after - before.get(key, 0) / calls_before
        if by:
            changed.append(f"{key.split('.')[0]} {by:+.4g}")
    return ", ".join(changed)


# ---- the committed figures ----


def here() -> Json:
    """Returns what the counts depend on besides the source."""
    return {"architecture": platform.machine()}


def write_committed(counts: Counts, reason: str | None) -> tuple[list[CountFinding], bool]:
    """Writes results/gate/counts.json. What is more than HEAD's figures needs a reason, which stays in the
    file for as long as the count does. Returns (what is more, as findings; whether it was written)."""
    previous = committed_at("HEAD")
    more: list[CountFinding] = []
    accepted: dict[str, Accepted] = {}
    if previous:
        found = compare_counts(previous.counts, counts)
        more = [each for each in found if each.verdict in (REGRESSION, NO_DATA) and not only_new(each)]
        kept = {key_of(each): each.candidate for each in found}
        accepted = {key: each for key, each in previous.accepted.items() if kept.get(key) == each["up_to"]}
    if more and not reason:
        return more, False
    accepted |= {key_of(each): {"up_to": each.candidate, "reason": reason or ""} for each in more}
    lines = [
        f'  {{"name": {json.dumps(name)}, "calls": {each["calls"]}, "totals": {json.dumps(each["totals"])}}}'
        for name, each in counts.items()
    ]
    output.write_whole(
        COMMITTED,
        "{\n"
        f' "context": {json.dumps({"command": "scripts/gate --write-counts", **here()})},\n'
        f' "accepted": {json.dumps(accepted, indent=2)},\n'
        ' "counts": [\n' + ",\n".join(lines) + "\n ]\n}\n",
    )
    return more, True


def key_of(finding: CountFinding) -> str:
    """Returns the name under which a rise is accepted."""
    return f"{finding.name}: {finding.measure}" if finding.measure else finding.name


def only_new(finding: CountFinding) -> bool:
    """Returns whether the previous commit did not count this yet."""
    return finding.verdict == NO_DATA and "baseline" in finding.why


def committed_at(commit: str) -> CountsFile | None:
    """Returns the figures that a commit holds; None where there are none, or the clone does not reach so far,
    or this is no clone. Raises repository.GitRefused where git would know and does not say."""
    try:
        text = repository.file_at(commit, COMMITTED)
    except repository.NoRepository:
        return None
    name = f"{commit}:{COMMITTED.relative_to(ROOT).as_posix()}"
    return check_counts(name, json.loads(text)) if text is not None else None


def accepted_at(commit: str) -> dict[str, Accepted]:
    """Returns the rises that a commit accepts."""
    there = committed_at(commit)
    return there.accepted if there else {}


def previous_committed(committed: CountsFile) -> CountsFile | None:
    """Returns the figures before those in the working tree: HEAD's, or its parent's when HEAD has the
    same."""
    head = committed_at("HEAD")
    return committed_at("HEAD^") if head == committed else head


def let_accepted_pass(findings: list[CountFinding], accepted: dict[str, Accepted]) -> list[str]:
    """Makes a pass of what rose no further than was accepted with a reason. Returns a line for each."""
    told = []
    for each in findings:
        known = accepted.get(key_of(each))
        if each.verdict not in (REGRESSION, NO_DATA) or known is None:
            continue
        up_to = known["up_to"]
        if (
            each.candidate is None
            if up_to is None
            else each.candidate is not None and each.candidate <= up_to
        ):
            each.verdict = PASS
            each.why = f"accepted: {known['reason']}"
            told.append(f"accepted: {key_of(each)}: {known['reason']}")
    return told


def check_committed(binary: Path) -> tuple[list[CountFinding], list[str], int]:
    """Compares what this build counts with results/gate/counts.json, and that file with the previous
    commit's. Returns (findings that fail, lines that tell what was compared, how many findings there are)."""
    committed = read_counts(COMMITTED)
    measured = take_counts(binary)
    told: list[str] = []
    failing: list[CountFinding] = []
    same = committed.context.get("architecture") == platform.machine()
    tolerance = Tolerances() if same else Tolerances(counts=0.01, memory=0.01)
    if not same:
        theirs = committed.context.get("architecture")
        told.append(
            f"the committed counts are of {theirs}, this is {platform.machine()}: "
            "a difference of up to 1% is allowed"
        )
    found = compare_counts(committed.counts, measured, tolerance)
    for each in found:
        if each.verdict == IMPROVEMENT:
            each.why = "; ".join(
                part for part in (each.why, f"fewer than committed: {UPDATE} keeps them so") if part
            )
        if each.verdict != PASS:
            failing.append(each)
    told.append(
        f"{len(found)} counts are compared with results/gate/counts.json: "
        f"{len(found) - len(failing)} are equal"
    )
    try:
        previous = previous_committed(committed)
    except repository.GitRefused as refusal:
        told.append(f"not compared with the previous commit: {refusal}")
        return failing, told, len(found)
    if previous is None:
        told.append("the previous commit has no counts, or is not in this clone: not compared with it")
        return failing, told, len(found)
    older = compare_counts(previous.counts, committed.counts)
    told += let_accepted_pass(older, committed.accepted)
    for each in older:
        if each.verdict in (REGRESSION, NO_DATA) and not only_new(each):
            each.why = "; ".join(
                part for part in (each.why, f"more than the previous commit: {UPDATE}") if part
            )
            failing.append(each)
    better = sum(each.verdict == IMPROVEMENT for each in older)
    told.append(
        f"{len(older)} counts are compared with the previous commit's"
        + (f": {better} are fewer" if better else "")
    )
    return failing, told, len(found) + len(older)
