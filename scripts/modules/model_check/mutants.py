"""Asks the models about mutants: weakened orders and planted bugs."""

from __future__ import annotations

import argparse
import collections
import time
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from bench.results import Json
from common.command_line import in_words
from model_check.ledger import Ledger
from model_check.models import MODELS, Results, Row, run_models
from model_check.source import declared_bugs
from model_check.windows import WINDOWS, WINDOW_EXECUTIONS, Windows, read_windows, write_windows


def mutants_expected(results: Results) -> set[str]:
    """Returns the names of the mutants that the sites met make possible."""
    weaker = {
        "acquire": ["relaxed"],
        "release": ["relaxed"],
        "acq_rel": ["acquire", "release"],
        "light fence": ["nothing"],
        "heavy fence": ["nothing"],
    }
    names: set[str] = set()
    for _, facts in results.values():
        for site in facts.sites:
            if "/impl/hotindex/" in site["file"]:
                names |= {f"{site['id']}={to}" for to in weaker.get(site["order"], [])}
    return names


def name_of(mutant: Row) -> str:
    """Returns a mutant's name."""
    return mutant["name"] if "name" in mutant else f"{mutant['id']}={mutant['to']}"


def ask(models: list[str], flags: Sequence[str | Path]) -> Results:
    """Asks models about mutants; their tables are shown. Returns (exit status, facts) by model."""
    return run_models([model for model in models if model != "litmus"], flags, planted=True)


RARE = 1 / 400  # then 2,000 executions miss it once in 150 changes
Answer = Tuple[str, Row]  # a model, and what it says of a mutant
Answers = Dict[str, List[Answer]]


def rate(said: Row) -> float:
    """Returns the failures an execution."""
    return int(said["kills"]) / max(1, int(said["tries"]))


def answers(results: Results) -> Answers:
    """Returns what the models say, by mutant: (model, what it says), the best first."""
    said: dict[str, list[Answer]] = collections.defaultdict(list)
    for model, (_, facts) in results.items():
        for mutant in facts.mutants + facts.bugs:
            said[name_of(mutant)].append((model, mutant))
    rank = {"killed": 0, "undecided": 1, "survived": 2}
    return {
        name: sorted(each, key=lambda a: (rank[a[1]["verdict"]], -rate(a[1]))) for name, each in said.items()
    }


def one_mutant_each(results: Results) -> list[str]:
    """Returns the names that mean different places in two models: their numbers (":2") count what a model
    meets."""
    places: dict[str, set[tuple[str, str]]] = collections.defaultdict(set)
    for _, facts in results.values():
        for site in facts.sites:
            if site["order"] != "relaxed":  # there is nothing to weaken
                places[site["id"]].add((Path(site["file"]).name, site["line"]))
    return sorted(name for name, where in places.items() if len(where) != 1)


def only_these(names: list[str]) -> list[str]:
    """Returns the flags that ask about these mutants alone."""
    return [flag for name in names for flag in ("--mutant", name)]


def find(models: list[str], names: list[str]) -> dict[str, Answer]:
    """Returns the best window of each mutant: (model, what it says). Small models first; the others are asked
    about mutants that fail too rarely there, because what fails once in 2,000 executions may not do so after
    the next change."""
    found: dict[str, Answer] = {}
    rare = list(names)
    for model in [model for model in MODELS if model in models and model != "litmus"]:
        if not rare:
            break
        for name, (first, *_) in answers(ask([model], ["--find", *only_these(rare)])).items():
            if first[1]["verdict"] == "killed" and (
                name not in found or rate(first[1]) > rate(found[name][1])
            ):
                found[name] = first
        rare = [name for name in rare if name not in found or rate(found[name][1]) < RARE]
    for name in rare:
        said = found[name][1] if name in found else None
        rarely = (
            f"fails only {said['kills']} times in {said['tries']} executions" if said else "no window found"
        )
        print(f"{name}: {rarely}")
    return found


def killed(name: str, answers_in: Answers) -> bool:
    """Returns whether a model kills that mutant."""
    return name in answers_in and answers_in[name][0][1]["verdict"] == "killed"


def mutate(options: argparse.Namespace, models: list[str]) -> tuple[Ledger | None, Results]:
    """Searches the window of each mutant, then wider for those that live. Returns the ledger, None where the
    models fail without any mutant, and the models' results."""
    begin = time.monotonic()
    results = ask(models, ["--mutate", WINDOWS])
    if any(status != 0 for status, _ in results.values()):
        return None, results
    names = sorted(mutants_expected(results)) + declared_bugs()
    wanted = [name for name in names if options.mutant in name]
    windows = read_windows()
    in_window = answers(results)
    alive = [name for name in wanted if not killed(name, in_window)]
    if options.find_windows and alive:
        print(f"looking for windows of {len(alive)}: {', '.join(alive)}", flush=True)
        for name, (model, best) in find(models, alive).items():
            windows[name] = (best["by"], best["search"])
            in_window[name] = [(model, best)]
    if options.find_windows:
        write_windows(windows, in_order(names, results))
        alive = [name for name in alive if not killed(name, in_window)]
    wider: Answers = {}
    if alive:
        print(f"not killed in a window of their own, so searched more widely: {', '.join(alive)}", flush=True)
        deep = ["--deep"] if options.deep else []
        wider = answers(ask(models, ["--wide", *only_these(alive), *deep]))
    # A mutant that no model meets is missing: a failed check of its own.
    rows = [
        row_of(name, *known[name][0], windows, name not in alive)
        for name in wanted
        if name in (known := wider if name in alive else in_window)
    ]
    print(f"{len(wanted)} mutants asked about in {in_words(time.monotonic() - begin)}", flush=True)
    mutants = sorted((row for row in rows if "name" not in row), key=place_of)
    bugs = sorted((row for row in rows if "name" in row), key=lambda row: declared_bugs().index(row["name"]))
    ledger: Ledger = {
        "command": "scripts/model_check --mutate" + (" --deep" if options.deep else ""),
        "executions_in_a_window": WINDOW_EXECUTIONS,
        "mutants": [{**row, "file": Path(row["file"]).name} for row in mutants],
        "bugs": bugs,
    }
    return ledger, results


def row_of(name: str, model: str, said: Row, windows: Windows, own: bool) -> Json:
    """Returns a mutant's row of the ledger; `own` says that it died in the window named for it."""
    told = {key: value for key, value in said.items() if key not in ("kills", "tries")}
    window = ", ".join(windows[name]) if name in windows else "none"
    return {**told, "model": model, "window": window, "in_window": own}


def place_of(row: Json) -> tuple[str, int, str, str]:
    """Returns where a weakened order stands in the ledger."""
    return Path(row["file"]).name, int(row["line"]), row["id"], row["to"]


def in_order(names: list[str], results: Results) -> list[str]:
    """Returns orders as they stand in the source, then bugs."""
    sites = [site for _, facts in results.values() for site in facts.sites]
    place = {site["id"]: (Path(site["file"]).name, int(site["line"])) for site in sites}
    bugs = declared_bugs()

    def place_of_name(name: str) -> tuple[int, str, int, str]:
        if "=" not in name:
            return 1, "", bugs.index(name), ""
        return (0, *place[name.rsplit("=", 1)[0]], name)

    return sorted(names, key=place_of_name)
