"""The checks beside the scenarios: of the coverage, the ledger and the windows."""

from __future__ import annotations

import json
from pathlib import Path

from bench.results import Json
from common.repository import ROOT
from model_check.ledger import EXAMPLE, LEDGER, Ledger, example, explanations, survivors
from model_check.models import Results
from model_check.mutants import mutants_expected, name_of
from model_check.source import declared_bugs, declared_edges, orders_in_source
from model_check.windows import WINDOW_EXECUTIONS, Windows, read_windows


class Checks:
    """What was checked: the names of what passed, and of what failed."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[str] = []

    def check(self, holds: bool, what: str, *remedy: str) -> None:
        """Counts one check; tells a failure, with lines on how to repair it."""
        if holds:
            self.passed.append(what)
            return
        self.failed.append(what)
        lines = "\n  ".join(remedy)
        print(f"FAILED: {what}" + (f"\n  {lines}" if lines else ""))


def check_coverage(results: Results, checks: Checks) -> None:
    """Checks that the models meet every edge, and every order in the source."""
    sites = [site for _, facts in results.values() for site in facts.sites]
    met_edges = {site["edge"] for site in sites}
    missing = [edge for edge in declared_edges() if edge not in met_edges]
    checks.check(not missing, "every edge is met by a model", "not met: " + ", ".join(missing))
    met = {(Path(site["file"]).name, int(site["line"])) for site in sites}
    source = orders_in_source()
    unmet = [place for place in source if place not in met]
    lines = [f"{file}:{line}: {source[file, line]}" for file, line in unmet]
    checks.check(not unmet, "every order in the source is met by a model", *lines)


def check_ledger(results: Results, checks: Checks) -> None:
    """Checks that the ledger, the windows and the explanations are of the source as it is."""
    path = LEDGER / "ledger.json"
    again = "run scripts/model_check --mutate and commit results/model_check"
    if not path.exists():
        checks.check(False, "there is a ledger", again)
        return
    ledger: Ledger = json.loads(path.read_text())
    known = {f"{m['id']}={m['to']}" for m in ledger["mutants"]}
    now = mutants_expected(results)
    changed = [f"not in the ledger: {name}" for name in sorted(now - known)]
    changed += [f"not in the source: {name}" for name in sorted(known - now)]
    checks.check(known == now, "the ledger speaks of the orders that are in the source", again, *changed)
    bugs = {bug["name"] for bug in ledger["bugs"]}
    same = bugs == set(declared_bugs())
    checks.check(same, "the ledger speaks of the planted bugs that are in the source", again)
    windows = read_windows()
    misplaced = sorted(set(windows) - now - bugs)
    find = "run scripts/model_check --mutate --find-windows; not in the source:"
    what = "every window is of an order or bug that is in the source"
    checks.check(not misplaced, what, find, *misplaced)
    check_windows(ledger, windows, checks)
    shown = EXAMPLE.findall((ROOT / "relacy" / "README.md").read_text())
    what = "the replay that relacy/README.md prints is one that fails"
    checks.check(shown == [example(ledger)], what, again)
    explained = explanations()
    living = survivors(ledger)
    unexplained = [name for name in living if name not in explained]
    checks.check(not unexplained, "every survivor is explained", "in relacy/survivors.json:", *unexplained)
    idle = [name for name in explained if name not in living]
    checks.check(not idle, "every explanation is of a survivor", *idle)


def check_windows(ledger: Ledger, windows: Windows, checks: Checks) -> None:
    """Checks that every mutant dies in its window, and that the ledger was made with these windows."""
    every = ledger["mutants"] + ledger["bugs"]

    def fate(mutant: Json) -> str:
        killed = f"killed by {mutant['by']}, {mutant['search']}, execution {mutant['execution']}"
        verdict = killed if mutant["verdict"] == "killed" else mutant["verdict"]
        window = f"its window is {mutant['window']}, {WINDOW_EXECUTIONS} executions"
        return f"{name_of(mutant)}: {window}; {verdict}"

    outside = [fate(mutant) for mutant in every if not mutant["in_window"]]
    remedy = "stage a window for it (relacy/README.md), or run scripts/model_check --mutate --find-windows:"
    checks.check(not outside, "every mutant dies in its window", remedy, *outside)
    own = [mutant for mutant in every if mutant["in_window"] and name_of(mutant) in windows]
    moved = [mutant for mutant in own if mutant["window"] != ", ".join(windows[name_of(mutant)])]
    made = [f"{name_of(mutant)}: the ledger was made with {mutant['window']}" for mutant in moved]
    what = "the ledger was made with the windows of relacy/windows.txt"
    checks.check(not moved, what, "run scripts/model_check --mutate:", *made)
