"""What the shipped source says: its edges, its memory orders, its planted bugs."""

from __future__ import annotations

import re
from pathlib import Path

from common.repository import ROOT

IMPL = ROOT / "impl" / "hotindex"


def declared_in(path: Path) -> list[str]:
    """Returns the names that a header lists as X(name, ...) before its enumeration."""
    return re.findall(r"X\((\w+),", path.read_text().split("enum class")[0])


def declared_edges() -> list[str]:
    """Returns the edges that the library declares."""
    return declared_in(IMPL / "backend" / "edges.hpp")


USE = re.compile(r"B::(acquire|release|acq_rel|light_fence|heavy_fence)\((?:edge::(\w+)|(e))\)")


def orders_in_source() -> dict[tuple[str, int], str]:
    """Returns (file, line) of every named order in the algorithms, with what stands there."""
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


def declared_bugs() -> list[str]:
    """Returns the names of the planted bugs, in the order in which the build lists them."""
    files = sorted((ROOT / "impl" / "planted_bugs").glob("*.bugs"))
    return [name for path in files for name in re.findall(r"^bug (\w+):", path.read_text(), re.MULTILINE)]
