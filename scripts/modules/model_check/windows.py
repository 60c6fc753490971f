"""Windows: the scenario and the search in which a mutant dies."""

from __future__ import annotations

import sys

from common.repository import ROOT

WINDOWS = ROOT / "relacy" / "windows.txt"
WINDOW_EXECUTIONS = 2000  # as in relacy/mutants.hpp


def read_windows():
    """(scenario, search) by the name of the mutant."""
    windows = {}
    for number, line in enumerate(WINDOWS.read_text().splitlines() if WINDOWS.exists() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            mutant, scenario, search = line.split(None, 2)
        except ValueError:
            sys.exit(
                f"scripts/model_check: {WINDOWS}:{number}: expected MUTANT SCENARIO SEARCH, found: {line}"
            )
        if mutant in windows:
            sys.exit(
                f"scripts/model_check: {WINDOWS}:{number}: {mutant} has a window already; leave one of the two lines"
            )
        windows[mutant] = (scenario, search.strip())
    return windows


def write_windows(windows, names):
    """In the order of `names`; what is not among them is gone from the source."""
    known = [name for name in names if name in windows]
    wide = max(map(len, known), default=0)
    head = (
        "# Windows: the scenario and the search in which each mutant dies within 2,000 executions, whatever the machine.\n"
        "# scripts/model_check --mutate searches them; with --find-windows it fills in what is missing or does not kill.\n"
        "# MUTANT SCENARIO SEARCH (random, bound N or full)\n"
    )
    WINDOWS.write_text(head + "".join(f"{name:<{wide}} {' '.join(windows[name])}\n" for name in known))
