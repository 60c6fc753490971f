"""Files that cannot be compared, and wrong command lines: the status that the gate must give."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Callable, List, Tuple, Union
import math

import numpy as np

from bench.results import Json


Change = Callable[[Json], object]
Case = Tuple[str, int, List[Union[str, Path]]]  # what, the status it must have, the command line


def saved_run(
    rng: np.random.Generator, slower: float = 1.0, runs: int = 12, change: Change | None = None
) -> Json:
    """Returns what scripts/bench might have written, changed by `change`; its first benchmark is `slower`."""
    names = [f"search/lock_free/n:{n}/real_time/threads:1" for n in (1000, 2000, 4000)]
    times = {
        name: np.exp(rng.normal(0, 0.01, runs)) * (slower if position == 0 else 1)
        for position, name in enumerate(names)
    }
    document = {
        "context": {
            "machine": {"cpu": "a processor", "cores": 2},
            "compiler": "a compiler",
            "flags": ["-O2"],
            "dataset": "generated",
            "pinned": "false",
            "seed": "1",
        },
        "benchmarks": [
            {
                "name": name,
                "run_type": "iteration",
                "repetition_index": i,
                "threads": 1,
                "items_per_second": 1 / value,
                "ops": 1 / value,
            }
            for name in names
            for i, value in enumerate(times[name])
        ],
    }
    if change:
        change(document)
    return document


def of_first(change: Change) -> Change:
    """Returns a change of all measurements of the first benchmark."""

    def apply(document: Json) -> None:
        first = document["benchmarks"][0]["name"]
        for entry in document["benchmarks"]:
            if entry["name"] == first:
                change(entry)

    return apply


def without_first(document: Json) -> None:
    """Removes the first benchmark from a document."""
    first = document["benchmarks"][0]["name"]
    document["benchmarks"] = [each for each in document["benchmarks"] if each["name"] != first]


def with_context(key: str, value: object) -> Change:
    """Returns a change of a document's context."""
    return lambda document: document["context"].__setitem__(key, value)


def every_candidate(rng: np.random.Generator) -> list[tuple[str, int, Json | str]]:
    """Returns [(what, the status that a comparison with a sound run must have, the document or its text)]."""
    whole = json.dumps(saved_run(rng))
    return [
        ("identical versions", 0, saved_run(rng)),
        ("30% slower", 1, saved_run(rng, slower=1.3)),
        ("30% faster", 0, saved_run(rng, slower=1 / 1.3)),
        ("too few runs to tell", 2, saved_run(rng, runs=3)),
        ("a benchmark is missing", 3, saved_run(rng, change=without_first)),
        ("no benchmark at all", 3, saved_run(rng, change=lambda document: document["benchmarks"].clear())),
        ("NaN", 3, saved_run(rng, change=of_first(lambda entry: entry.update(ops=math.nan)))),
        ("a throughput of zero", 3, saved_run(rng, change=of_first(lambda entry: entry.update(ops=0)))),
        ("a negative throughput", 3, saved_run(rng, change=of_first(lambda entry: entry.update(ops=-1)))),
        (
            "a benchmark that failed",
            3,
            saved_run(
                rng,
                change=of_first(lambda entry: entry.update(error_occurred=True, error_message="no memory")),
            ),
        ),
        ("a truncated file", 3, whole[: len(whole) // 2]),
        ("an empty file", 3, ""),
        ("not a run", 3, '{"benchmarks": 1}'),
        (
            "another machine",
            3,
            saved_run(rng, change=with_context("machine", {"cpu": "another processor", "cores": 2})),
        ),
        ("another compiler", 3, saved_run(rng, change=with_context("compiler", "another compiler"))),
        ("other flags", 3, saved_run(rng, change=with_context("flags", ["-O0"]))),
        ("another dataset", 3, saved_run(rng, change=with_context("dataset", "other vectors"))),
        (
            "a file that does not say its machine",
            0,
            saved_run(rng, change=lambda document: document["context"].pop("machine")),
        ),
    ]


def data_cases(folder: Path, gate: Callable[[list[str]], int]) -> list[tuple[str, int, int, str]]:
    """Returns [(what, the status that it must have, the status, what was said)]."""
    rng = np.random.default_rng(1)

    def write(name: str, document: Json | str) -> Path:
        path = folder / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    base = write("base.json", saved_run(rng))
    conditions = {"machine": {"cpu": "a processor", "cores": 2}, "compiler": "a compiler", "flags": ["-O2"]}

    def count_of(loads: int) -> Json:
        counts = [{"name": "search", "calls": 10, "totals": {"loads": loads}}]
        return {"context": conditions, "counts": counts}

    candidates = every_candidate(rng)
    cases: list[Case] = [
        (what, wanted, ["--baseline", base, "--candidate", write(f"{i}.json", document)])
        for i, (what, wanted, document) in enumerate(candidates)
    ]
    fewer, more = write("fewer.json", count_of(100)), write("more.json", count_of(101))
    missing = next(arguments for what, _, arguments in cases if what == "a benchmark is missing")
    machine = next(arguments for what, _, arguments in cases if what == "another machine")
    slow = next(arguments for what, _, arguments in cases if what == "30% slower")
    cases += [
        ("the missing side is the baseline", 3, ["--baseline", missing[-1], "--candidate", base]),
        ("a benchmark may be missing", 0, [*missing, "--allow-missing", "n:1000/"]),
        ("another machine, allowed", 0, [*machine, "--across", "machine"]),
        ("one more of a count", 1, ["--baseline", fewer, "--candidate", more]),
        ("one less of a count", 0, ["--baseline", more, "--candidate", fewer]),
        ("nothing left to compare", 3, [*slow, "--filter", "nothing_has_this_name"]),
        ("no such file", 3, ["--baseline", base, "--candidate", folder / "none.json"]),
        ("an unknown flag", 3, ["--basline", base, "--candidate", base]),
        ("no task", 3, []),
        ("two tasks", 3, [*slow, "--calibrate"]),
    ]
    told = []
    for what, wanted, arguments in cases:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = gate([str(each) for each in arguments])
        lines = [
            line for line in said.getvalue().splitlines() if line.strip() and not line.startswith("See ")
        ]
        told.append((what, wanted, status, lines[-1] if lines else ""))
    return told
