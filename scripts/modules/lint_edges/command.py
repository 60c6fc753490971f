"""Checks the named edges of the lock-free code: every edge has both ends, every end cites its edge, every
relaxed operation gives its reason. And the comments of the library: what says something about an order begins
its line, and the functions and files that a comment names are there.

usage: scripts/lint_edges [--list]
  --list   also print each edge with the places of its two ends

Exit status: 0 all is well, 1 findings (printed as file:line: text), 2 wrong usage.
"""
from __future__ import annotations

import pathlib
import re
import sys
from typing import Dict, List, NoReturn

from common import command_line
from common.repository import ROOT
from model_check.source import IMPL, USE, declared_edges

REACH = 12  # a comment covers the operations in so many lines below it

CITED = re.compile(r"// \[(\w+)\] (acquire|release|acq_rel|light|heavy)")
RELAXED = re.compile(r"B::relaxed\(\)")
STRONG = re.compile(r"std::memory_order_(?!relaxed)|seq_cst")
# What says something about an order: "[edge] release-CAS; ...", "relaxed: ...", "relaxed on failure: ...".
ORDER_NOTE = re.compile(
    r"\[\w+\] (?:acquire|release|acq_rel|light|heavy)|\brelaxed(?:, [\w ]+)?(?: on failure)?:"
)
NAMED_FUNCTION = re.compile(r"(?<![\w:.])(\w+)\(\)")
NAMED_FILE = re.compile(r"(?<![\w*<.])[\w/]+\.(?:hpp|cpp|md|txt|py|json)\b")
ELSEWHERE = {"exit", "fork"}  # functions of the C library that comments speak of


def source_files() -> list[pathlib.Path]:
    """Returns every file of the library that has comments."""
    return sorted(path for path in IMPL.rglob("*") if path.suffix in (".hpp", ".cpp"))


def comment_findings(text: dict[pathlib.Path, list[str]]) -> list[str]:
    """Returns what is wrong with the comments of these files."""
    code = "\n".join(line.split("//")[0] for lines in text.values() for line in lines)
    functions = set(re.findall(r"(\w+)\s*\(", code)) | ELSEWHERE
    rooms = [path for path in ROOT.iterdir() if path.is_dir() and path.name not in ("build", ".git")]
    files = {path.name for room in rooms for path in room.rglob("*")} | {path.name for path in ROOT.iterdir()}
    findings = []
    for path, lines in text.items():
        for number, line in enumerate(lines, 1):
            _, slashes, comment = line.partition("//")
            if not slashes:
                continue
            place = f"{path.relative_to(ROOT)}:{number}"
            comment = comment.lstrip("/<").strip()
            for note in ORDER_NOTE.finditer(comment):
                if not re.fullmatch(r"(?:\[\w+\] )*", comment[: note.start()]):
                    findings.append(f"{place}: '{note[0]}' begins no line of its own")
            for name in NAMED_FUNCTION.findall(comment):
                if name not in functions:
                    findings.append(f"{place}: the comment names {name}(), which is no function here")
            for name in NAMED_FILE.findall(comment):
                if name.rsplit("/", 1)[-1] not in files:
                    findings.append(f"{place}: the comment names {name}, which is no file here")
    return findings


Ends = Dict[str, Dict[str, List[str]]]  # by edge, by side (release, acquire): their places
GIVES = ("release", "acq_rel", "heavy_fence", "heavy")
TAKES = ("acquire", "acq_rel", "light_fence", "light")


def add_end(ends: Ends, edge: str, kind: str, place: str) -> None:
    """Notes an operation as an end of its edge; one that acquires and releases is both."""
    if kind in GIVES:
        ends[edge]["release"].append(place)
    if kind in TAKES:
        ends[edge]["acquire"].append(place)


def order_findings(name: str, lines: list[str], ends: Ends) -> list[str]:
    """Returns what is wrong with the orders of one header; adds its ends."""
    findings = []
    for number, line in enumerate(lines, 1):
        place = f"{name}:{number}"
        code = line.split("//")[0]
        above = "\n".join(lines[max(0, number - 1 - REACH) : number])
        for kind, edge, parameter in USE.findall(code):
            if (
                parameter
            ):  # the edge is the function's argument: its callers are checked by the name they pass
                continue
            if edge not in ends:
                findings.append(f"{place}: edge {edge} is not declared in backend/edges.hpp")
                continue
            add_end(ends, edge, kind, place)
            if f"[{edge}]" not in above:
                comment = f"a comment '// [{edge}] ...' that names its partner"
                findings.append(f"{place}: {kind} on {edge} without {comment}")
        if RELAXED.search(code) and not re.search(r"relaxed", re.sub(r"B::relaxed\(\)", "", above)):
            findings.append(f"{place}: a relaxed operation without its reason ('// relaxed: ...')")
        if STRONG.search(code):
            findings.append(f"{place}: a memory order that belongs to no named edge")
        for cited, kind in CITED.findall(line):
            if cited not in ends:
                findings.append(f"{place}: the comment cites [{cited}], which is no declared edge")
                continue
            # One load can be the partner of two edges: what its comment says counts as an end, too.
            add_end(ends, cited, kind, f"{place} (comment)")
    return findings


def main() -> int:
    """Returns the exit status."""
    arguments = sys.argv[1:]
    if arguments in (["--help"], ["-h"]):
        print((__doc__ or "").strip())
        return 0
    if arguments not in ([], ["--list"]):
        print(f"lint_edges: unknown argument {' '.join(arguments)}; the only flag is --list", file=sys.stderr)
        return 2
    ends: Ends = {edge: {"release": [], "acquire": []} for edge in declared_edges()}
    findings = []
    text = {path: path.read_text().splitlines() for path in source_files()}
    for path, lines in text.items():
        if path.suffix == ".hpp" and path.parent.name != "backend":
            findings += order_findings(str(path.relative_to(ROOT)), lines, ends)
    for edge, sides in ends.items():
        for side, places in sides.items():
            if not places:
                findings.append(f"backend/edges.hpp: edge {edge} has no {side} end")
    findings += comment_findings(text)
    if arguments:
        for edge, sides in ends.items():
            print(
                f"{edge}\n  release: {', '.join(sides['release'])}\n  acquire: {', '.join(sides['acquire'])}"
            )
    for finding in findings:
        print(finding)
    count = sum(len(places) for sides in ends.values() for places in sides.values())
    print(f"lint_edges: {len(ends)} edges, {count} ends, {len(findings)} findings")
    return 1 if findings else 0


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/lint_edges", main)
