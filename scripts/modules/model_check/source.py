"""What the shipped source says: its edges, its memory orders, its planted bugs."""

from __future__ import annotations

import re

from common.repository import ROOT

IMPL = ROOT / "impl" / "hotindex"


def declared_edges():
    text = (IMPL / "backend" / "edges.hpp").read_text().split("enum class")[0]
    return re.findall(r"X\((\w+),", text)


USE = re.compile(r"B::(acquire|release|acq_rel|light_fence|heavy_fence)\((?:edge::(\w+)|(e))\)")


def orders_in_source():
    """(file, line) of every named order in the algorithms, with what stands there; lines of planted bugs left out."""
    found = {}
    for path in sorted(IMPL.rglob("*.hpp")):
        if path.parent.name == "backend":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            uses = USE.findall(line.split("//")[0])
            if uses:
                found[(path.name, number)] = ", ".join(
                    f"{kind} {edge or parameter}" for kind, edge, parameter in uses
                )
    return found


def declared_bugs():
    text = (IMPL / "backend" / "planted_bugs.hpp").read_text().split("enum class")[0]
    return re.findall(r"X\((\w+),", text)


def bug_lines():
    """(file, line) of orders that only run when a bug is planted: within reach of a `B::planted` that opens a block."""
    lines = set()
    for path in IMPL.rglob("*.hpp"):
        text = path.read_text().splitlines()
        for number, line in enumerate(text, 1):
            if re.search(r"if \(B::planted\(bug::\w+\)\) \{", line):
                for later in range(number, min(number + 10, len(text))):
                    lines.add((path.name, later + 1))
                    if text[later].strip() == "}":
                        break
    return lines
