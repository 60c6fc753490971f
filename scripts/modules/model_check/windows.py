"""Windows: the scenario and the search in which a mutant dies."""

from __future__ import annotations

import sys
from typing import Dict, Tuple

from common.repository import ROOT

WINDOWS = ROOT / "relacy" / "windows.txt"
WINDOW_EXECUTIONS = 2000  # as in relacy/mutants.hpp
Windows = Dict[str, Tuple[str, str]]  # scenario and search, by the name of the mutant


def read_windows() -> Windows:
    """Returns the (scenario, search) by the name of the mutant; ends the command where the file is wrong."""
    windows: Windows = {}
    for number, line in enumerate(WINDOWS.read_text().splitlines() if WINDOWS.exists() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        place = f"scripts/model_check: {WINDOWS}:{number}"
        try:
            mutant, scenario, search = line.split(None, 2)
        except ValueError:
            sys.exit(f"{place}: expected MUTANT SCENARIO SEARCH, found: {line}")
        if mutant in windows:
            sys.exit(f"{place}: {mutant} has a window already; leave one of the two lines")
        windows[mutant] = (scenario, search.strip())
    return windows


HEAD = """\
# Windows: the scenario and the search in which each mutant dies within 2,000 executions, whatever the \
machine.
# scripts/model_check --mutate searches them; with --find-windows it fills in what is missing or does not \
kill.
# MUTANT SCENARIO SEARCH (random, bound N or full)
"""


def write_windows(windows: Windows, names: list[str]) -> None:
    """Writes the windows in the order of `names`; what is not among them is gone from the source."""
    known = [name for name in names if name in windows]
    wide = max(map(len, known), default=0)
    WINDOWS.write_text(HEAD + "".join(f"{name:<{wide}} {' '.join(windows[name])}\n" for name in known))
