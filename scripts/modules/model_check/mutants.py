"""Asks the models about mutants: weakened orders and planted bugs."""

from __future__ import annotations

import collections
import time
from pathlib import Path

from common.command_line import in_words
from model_check.models import MODELS, run_models
from model_check.source import declared_bugs
from model_check.windows import WINDOWS, WINDOW_EXECUTIONS, read_windows, write_windows


def mutants_expected(results):
    """Names of the mutants that the sites met make possible."""
    weaker = {
        "acquire": ["relaxed"],
        "release": ["relaxed"],
        "acq_rel": ["acquire", "release"],
        "light fence": ["nothing"],
        "heavy fence": ["nothing"],
    }
    names = set()
    for _, facts in results.values():
        for site in facts.sites:
            if "/impl/hotindex/" in site["file"]:
                names |= {f"{site['id']}={to}" for to in weaker.get(site["order"], [])}
    return names


def name_of(mutant):
    return mutant["name"] if "name" in mutant else f"{mutant['id']}={mutant['to']}"


def ask(models, flags):
    """Asks models about mutants; their tables are shown. Returns (exit statuses, facts) by model."""
    return run_models([model for model in models if model != "litmus"], flags)


RARE = 1 / 400  # then 2,000 executions miss it once in 150 changes


def rate(said):
    """Failures an execution."""
    return int(said["kills"]) / max(1, int(said["tries"]))


def answers(results):
    """What the models say, by mutant: (model, what it says), the best first."""
    said = collections.defaultdict(list)
    for model, (_, facts) in results.items():
        for mutant in facts.mutants + facts.bugs:
            said[name_of(mutant)].append((model, mutant))
    rank = {"killed": 0, "undecided": 1, "survived": 2}
    return {
        name: sorted(each, key=lambda a: (rank[a[1]["verdict"]], -rate(a[1]))) for name, each in said.items()
    }


def one_mutant_each(results):
    """Names that mean different places in two models: their numbers (":2") count what a model meets."""
    places = collections.defaultdict(set)
    for _, facts in results.values():
        for site in facts.sites:
            if site["order"] != "relaxed":  # there is nothing to weaken
                places[site["id"]].add((Path(site["file"]).name, site["line"]))
    return sorted(name for name, where in places.items() if len(where) != 1)


def only_these(names):
    return [flag for name in names for flag in ("--mutant", name)]


def find(models, names):
    """The best window of each mutant: (model, what it says). Small models first; the others are asked about mutants
    that fail too rarely there, because what fails once in 2,000 executions may not do so after the next change.
    """
    found, rare = {}, list(names)
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
        print(
            f"{name}: "
            + (
                f"fails only {found[name][1]['kills']} times in {found[name][1]['tries']} executions"
                if name in found
                else "no window found"
            )
        )
    return found


def mutate(options, models):
    """Searches the window of each mutant, then wider for those that live. Returns the ledger and the models' results."""
    begin = time.monotonic()
    results = ask(models, ["--mutate", WINDOWS])
    if any(status != 0 for status, _ in results.values()):
        return None, results
    names = sorted(mutants_expected(results)) + declared_bugs()
    wanted = [name for name in names if options.mutant in name]
    windows = read_windows()
    in_window = answers(results)
    alive = [
        name
        for name in wanted
        if in_window.get(name, [(None, {"verdict": "-"})])[0][1]["verdict"] != "killed"
    ]
    if options.find_windows and alive:
        print(f"looking for windows of {len(alive)}: {', '.join(alive)}", flush=True)
        for name, (model, best) in find(models, alive).items():
            windows[name] = (best["by"], best["search"])
            in_window[name] = [(model, best)]
    if options.find_windows:
        write_windows(windows, in_order(names, results))
        alive = [
            name for name in alive if name not in in_window or in_window[name][0][1]["verdict"] != "killed"
        ]
    elsewhere = {}
    if alive:
        print(f"not killed in a window of their own, so searched more widely: {', '.join(alive)}", flush=True)
        elsewhere = answers(
            ask(models, ["--wide", *only_these(alive), *(["--deep"] if options.deep else [])])
        )
    mutants, bugs = [], []
    for name in wanted:
        own = name not in alive
        known = in_window if own else elsewhere
        if name not in known:  # no model meets it: a failed check of its own
            continue
        model, said = known[name][0]
        scenario, search = windows.get(name, ("-", "-"))
        row = {key: value for key, value in said.items() if key not in ("kills", "tries")}
        row |= {
            "model": model,
            "window": f"{scenario}, {search}" if name in windows else "none",
            "in_window": own,
        }
        (bugs if "name" in said else mutants).append(row)
    place = lambda m: (Path(m["file"]).name, int(m["line"]), m["id"], m["to"])
    ledger = {
        "command": "scripts/model_check --mutate" + (" --deep" if options.deep else ""),
        "executions_in_a_window": WINDOW_EXECUTIONS,
        "mutants": [{**m, "file": Path(m["file"]).name} for m in sorted(mutants, key=place)],
        "bugs": sorted(bugs, key=lambda b: declared_bugs().index(b["name"])),
    }
    print(f"{len(wanted)} mutants asked about in {in_words(time.monotonic() - begin)}", flush=True)
    return ledger, results


def in_order(names, results):
    """Orders as they stand in the source, then bugs."""
    place = {
        s["id"]: (Path(s["file"]).name, int(s["line"])) for _, facts in results.values() for s in facts.sites
    }
    return sorted(
        names,
        key=lambda name: (0, *place[name.rsplit("=", 1)[0]], name)
        if "=" in name
        else (1, "", declared_bugs().index(name), ""),
    )
