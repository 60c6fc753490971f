"""The checks beside the scenarios: of the coverage, the ledger and the windows."""

from __future__ import annotations

import json
from pathlib import Path

from common.repository import ROOT
from model_check.ledger import EXAMPLE, LEDGER, example, explanations, survivors
from model_check.mutants import mutants_expected, name_of
from model_check.source import bug_lines, declared_bugs, declared_edges, orders_in_source
from model_check.windows import WINDOW_EXECUTIONS, read_windows


def check(passed, failed, holds, what, remedy=""):
    if holds:
        passed.append(what)
    else:
        failed.append(what)
        print(f"FAILED: {what}" + (f"\n  {remedy}" if remedy else ""))


def check_coverage(results, passed, failed):
    sites = [site for _, facts in results.values() for site in facts.sites]
    met_edges = {site["edge"] for site in sites}
    missing = [edge for edge in declared_edges() if edge not in met_edges]
    check(passed, failed, not missing, "every edge is met by a model", "not met: " + ", ".join(missing))
    met = {(Path(site["file"]).name, int(site["line"])) for site in sites}
    source = orders_in_source()
    unmet = [place for place in source if place not in met and place not in bug_lines()]
    check(
        passed,
        failed,
        not unmet,
        "every order in the source is met by a model",
        "\n  ".join(f"{file}:{line}: {source[(file, line)]}" for file, line in unmet),
    )


def check_ledger(results, passed, failed):
    path = LEDGER / "ledger.json"
    again = "run scripts/model_check --mutate and commit results/model_check"
    if not path.exists():
        check(passed, failed, False, "there is a ledger", again)
        return
    ledger = json.loads(path.read_text())
    known = {f"{m['id']}={m['to']}" for m in ledger["mutants"]}
    now = mutants_expected(results)
    check(
        passed,
        failed,
        known == now,
        "the ledger speaks of the orders that are in the source",
        "\n  ".join(
            [
                again,
                *(f"not in the ledger: {name}" for name in sorted(now - known)),
                *(f"not in the source: {name}" for name in sorted(known - now)),
            ]
        ),
    )
    bugs = {bug["name"] for bug in ledger["bugs"]}
    check(
        passed,
        failed,
        bugs == set(declared_bugs()),
        "the ledger speaks of the planted bugs that are in the source",
        again,
    )
    windows = read_windows()
    misplaced = sorted(set(windows) - now - bugs)
    check(
        passed,
        failed,
        not misplaced,
        "every window is of an order or bug that is in the source",
        "\n  ".join(["run scripts/model_check --mutate --find-windows; not in the source:", *misplaced]),
    )
    check_windows(ledger, windows, passed, failed)
    shown = EXAMPLE.findall((ROOT / "relacy" / "README.md").read_text())
    check(
        passed,
        failed,
        shown == [example(ledger)],
        "the replay that relacy/README.md prints is one that fails",
        again,
    )
    explained = explanations()
    unexplained = [name for name in survivors(ledger) if name not in explained]
    check(
        passed,
        failed,
        not unexplained,
        "every survivor is explained",
        "\n  ".join(["in relacy/survivors.json:", *unexplained]),
    )
    idle = [name for name in explained if name not in survivors(ledger)]
    check(passed, failed, not idle, "every explanation is of a survivor", "\n  ".join(idle))


def check_windows(ledger, windows, passed, failed):
    outside = [
        f"{name_of(m)}: its window is {m['window']}, {WINDOW_EXECUTIONS} executions; "
        + (
            f"killed by {m['by']}, {m['search']}, execution {m['execution']}"
            if m["verdict"] == "killed"
            else m["verdict"]
        )
        for m in ledger["mutants"] + ledger["bugs"]
        if not m["in_window"]
    ]
    moved = [
        f"{name_of(m)}: the ledger was made with {m['window']}"
        for m in ledger["mutants"] + ledger["bugs"]
        if m["in_window"]
        and windows.get(name_of(m)) is not None
        and m["window"] != ", ".join(windows[name_of(m)])
    ]
    remedy = "stage a window for it (relacy/README.md), or run scripts/model_check --mutate --find-windows:"
    check(passed, failed, not outside, "every mutant dies in its window", "\n  ".join([remedy, *outside]))
    check(
        passed,
        failed,
        not moved,
        "the ledger was made with the windows of relacy/windows.txt",
        "\n  ".join(["run scripts/model_check --mutate:", *moved]),
    )
