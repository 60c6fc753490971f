"""The snapshot protocol under weak memory: GenMC meets every execution of the models in relacy/genmc, whose
orders are those of the source, and of the models with each order weakened. The table of what came out."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.results import Json
from common import command_line, machine, output
from common.command_line import in_words
from common.repository import ROOT
from model_check import genmc
from model_check.genmc import HOLDS, MEMORY_MODELS, VIOLATED, Outcome
from model_check.genmc_list import LONG, MODELS, MOMENT, SURVIVORS, Model
from model_check.ledger import LEDGER
from model_check.orders import NoSuchOrder, Order, flag, header, read_orders

SOURCES = ROOT / "relacy" / "genmc"
BUILD = ROOT / "build" / "genmc"
TIMEOUT = 1800.0  # seconds of one exploration: far more than it takes
MISSING = "genmc is not on the PATH: skipped (no Debian package; to be built from github.com/MPI-SWS/genmc)"
MACRO = re.compile(r"\bORDER_\w+")


@dataclass
class Run:
    """A model as it is, under one memory model."""

    model: Model
    memory: str
    outcome: Outcome

    @property
    def passed(self) -> bool:
        """Is it as it must be?"""
        return self.outcome.verdict == HOLDS


@dataclass
class Weakened:
    """An order that is one step weaker than in the source."""

    order: Order
    to: str
    models: list[Model]  # that meet it, in the order in which they are asked
    by: str = ""  # the model that fails
    memory: str = ""  # the memory model under which it does
    outcome: Outcome | None = None  # of that; or of the first one that was not decided
    explored: int = 0  # models that hold, each under every memory model

    @property
    def name(self) -> str:
        """As in the ledger."""
        return f"{self.order.place}={self.to}"

    @property
    def killed(self) -> bool:
        """Has a model failed?"""
        return self.by != "" and self.outcome is not None and self.outcome.verdict == VIOLATED

    def fault(self) -> str:
        """Returns what is wrong with it; "" for nothing."""
        if self.killed:
            return "killed, but its survival is explained in genmc_list.py" if self.name in SURVIVORS else ""
        if self.outcome:
            return f"not decided in {self.by}: {self.outcome.why}"
        if self.name in SURVIVORS:
            return ""
        return f"survives in {self.explored} models, and genmc_list.py does not say why"


def text_of(file: str) -> str:
    """Returns a model's text, with that of the headers beside it that it includes."""
    text = (SOURCES / file).read_text()
    included = [name for name in re.findall(r'#include "(\w+\.h)"', text) if (SOURCES / name).exists()]
    return text + "".join(text_of(name) for name in included)


def definitions(model: Model) -> list[str]:
    """Returns the flags that give a model its parameters."""
    return [f"-D{name}={value}" for name, value in model.parameters.items()]


def explore(model: Model, memory: str, flags: list[str], log: str) -> Outcome:
    """Explores a model as it is, or with what the flags change. Returns the outcome."""
    path = BUILD / f"{log}.log"
    return genmc.explore(SOURCES / model.file, memory, definitions(model) + flags, BUILD, path, TIMEOUT)


def again(model: Model, memory: str, flags: list[str]) -> str:
    """Returns the command that explores it again."""
    command = genmc.command(SOURCES / model.file, memory, definitions(model) + flags, BUILD)
    return " ".join(map(str, command))


def explore_models(models: list[Model]) -> list[Run]:
    """Explores models as they are, one after the other, under each memory model, and prints a row of each.
    Returns the outcomes."""
    runs: list[Run] = []
    progress = command_line.ProgressLine(every=30)
    begin = time.monotonic()
    for number, model in enumerate(models, 1):
        for memory, title in MEMORY_MODELS.items():
            elapsed = in_words(time.monotonic() - begin)
            progress.show(f"{number}/{len(models)} {model.name}, {title}; {elapsed}")
            run = Run(model, memory, explore(model, memory, [], f"{model.name}-{memory}"))
            progress.clear()
            runs.append(run)
            found = run.outcome
            print(
                f"{model.name:<22} {title:<5} {found.verdict:<10} {found.executions:>9,} executions"
                f"  {found.seconds:6.1f} s",
                flush=True,
            )
            if not run.passed:
                print(f"FAILED: {model.name}: {found.why}\n  again: {again(model, memory, [])}", flush=True)
    return runs


def weakened_orders(only: str) -> list[Weakened]:
    """Returns every order that a model meets, once for each that is one step weaker, if `only` is in its
    name. Raises NoSuchOrder where a model has an order that the source does not."""
    orders = read_orders()
    asked = sorted((each for each in MODELS if each.seconds <= LONG), key=lambda each: each.seconds)
    met = {each.name: set(MACRO.findall(text_of(each.file))) for each in asked}
    used = sorted(set().union(*met.values()))
    unknown = [macro for macro in used if macro not in orders]
    if unknown:
        raise NoSuchOrder(f"relacy/genmc has orders that the source does not have: {', '.join(unknown)}")
    every = [
        Weakened(orders[macro], to, [model for model in asked if macro in met[model.name]])
        for macro in used
        for to in orders[macro].weaker
    ]
    return [each for each in every if only in each.name]


def weaken(each: Weakened, number: int) -> None:
    """Asks one model after the other about a weakened order, until one fails: first all under RC11."""
    change = [flag(each.order, each.to)]
    for memory in MEMORY_MODELS:
        for model in each.models:
            found = explore(model, memory, change, f"weakened-{number}")
            if found.verdict == HOLDS:
                each.explored += memory == "rc11"
                continue
            each.by, each.memory, each.outcome = model.name, memory, found
            return


def weaken_all(every: list[Weakened]) -> None:
    """Weakens one order after the other, and prints a row of each."""
    progress = command_line.ProgressLine(every=30)
    begin = time.monotonic()
    for number, each in enumerate(every, 1):
        progress.show(f"{number}/{len(every)} {each.name}; {in_words(time.monotonic() - begin)}")
        weaken(each, number)
        progress.clear()
        print(f"{each.name:<62} {verdict(each)}", flush=True)
        if each.fault():
            print(f"FAILED: {each.name}: {each.fault()}", flush=True)


def verdict(each: Weakened) -> str:
    """Returns what has become of a weakened order, in words."""
    if each.killed and each.outcome:
        where = f"{MEMORY_MODELS[each.memory]}, execution {each.outcome.executions + 1:,}"
        return f"killed by {each.by} ({where}: `{each.outcome.why}`)"
    if each.outcome:
        return f"**not decided** in {each.by}: {each.outcome.why}"
    return f"survives in {each.explored} models: {SURVIVORS.get(each.name, '**unexplained**')}"


def table(runs: list[Run], every: list[Weakened], version: str) -> str:
    """Returns the document on all explorations."""
    models = list({run.model.name: run.model for run in runs}.values())
    held = sum(all(run.passed for run in runs if run.model is model) for model in models)
    killed = sum(each.killed for each in every)
    explained = sum(not each.killed and not each.fault() for each in every)
    total = sum(run.outcome.executions for run in runs)
    lines = [
        "# The snapshot protocol under weak memory",
        "",
        f"Generated by `scripts/model_check --genmc`; do not edit. GenMC {version} met every execution",
        "of the models in [relacy/genmc](../../relacy/genmc), under RC11 and under IMM. Their orders are",
        "those of the source.",
        "",
        f"**{held} of {len(models)} models hold, in {total:,} executions; of {len(every)} weakened orders "
        f"{killed} make a model fail; explained survivors: {explained}.**",
        f"On one processor ({machine.cpu()}).",
        "",
        "| model | what | file | executions, RC11 | seconds | executions, IMM | seconds | errors |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for model in models:
        mine = {run.memory: run.outcome for run in runs if run.model is model}
        cells = " | ".join(f"{mine[m].executions:,} | {mine[m].seconds:.1f}" for m in MEMORY_MODELS)
        wrong = [f"**{mine[m].verdict}**: {mine[m].why}" for m in MEMORY_MODELS if mine[m].verdict != HOLDS]
        flags = "".join(f" {name}={value}" for name, value in model.parameters.items())
        lines.append(
            f"| {model.name} | {model.what} | `{model.file}{flags}` | {cells} | {', '.join(wrong) or '0'} |"
        )
    lines += [
        "",
        "## Weakened orders",
        "",
        f"Up to the first execution with an error, in the models that take at most {LONG:.0f} seconds.",
        "A survivor holds in all of them that have the order, under RC11 and IMM.",
        "",
        "| edge | where | operation | order | weakened to | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for each in every:
        order = each.order
        kind, fate = order.kind.replace("_fence", " fence"), verdict(each).replace("|", "\\|")
        lines.append(
            f"| {order.edge} | {order.file} {order.function}() | {order.operation} | {kind} | {each.to} "
            f"| {fate} |"
        )
    return "\n".join(lines) + "\n"


def as_json(runs: list[Run], every: list[Weakened], version: str) -> Json:
    """Returns what the .json holds."""
    return {
        "command": "scripts/model_check --genmc",
        "genmc": version,
        "models": [
            {
                "name": run.model.name,
                "file": run.model.file,
                "parameters": dict(run.model.parameters),
                "memory_model": run.memory,
                **asdict(run.outcome),
            }
            for run in runs
        ],
        "weakened": [
            {
                "id": each.order.place,
                "to": each.to,
                "verdict": "killed" if each.killed else "survives" if not each.outcome else "not decided",
                "by": each.by,
                "memory_model": each.memory,
                "why": each.outcome.why if each.outcome else SURVIVORS.get(each.name, ""),
            }
            for each in every
        ],
    }


def prepare() -> None:
    """Leaves the header with the source's orders where the models find it."""
    BUILD.mkdir(parents=True, exist_ok=True)
    Path(BUILD / "orders.h").write_text(header(read_orders()))


def check_genmc(quick: bool, only: str) -> int:
    """Explores, and writes the table where everything was explored. Where there is no GenMC, one line says
    so, and that is no failure. Returns the exit status."""
    if not genmc.is_there():
        print(MISSING, flush=True)
        return 0
    version = genmc.version()
    begin = time.monotonic()
    prepare()
    every = [] if quick else weakened_orders(only)
    models = [each for each in MODELS if only in each.name and not (quick and each.seconds > MOMENT)]
    if not models and not every:
        print(f"--only {only}: no model and no weakened order has that in its name")
        return 2
    runs = explore_models(models)
    weaken_all(every)
    idle = sorted(set(SURVIVORS) - {each.name for each in every}) if not quick and not only else []
    for name in idle:
        print(f"FAILED: genmc_list.py explains {name}, which no model has", flush=True)
    if not quick and not only:
        output.write_whole(LEDGER / "genmc.json", json.dumps(as_json(runs, every, version), indent=1) + "\n")
        written = table(runs, every, version)
        output.write_whole(LEDGER / "genmc.md", written)
        print(f"\n{written}")
    failed = sum(not run.passed for run in runs) + sum(each.fault() != "" for each in every) + len(idle)
    passed = len(runs) + len(every) + len(idle) - failed
    print(in_words(time.monotonic() - begin))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
