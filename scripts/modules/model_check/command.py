"""Model-checks the shipped source: runs the Relacy models of relacy/, weakens every memory order in turn,
switches every planted bug on in turn, and keeps the ledger of what killed what. Model-checks the snapshot
protocol with Spin, and under weak memory with GenMC."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from typing import NoReturn

from common import child_processes, command_line
from common.command_line import in_words
from model_check.checks import Checks, check_coverage, check_ledger, check_windows
from model_check.ledger import write_ledger
from model_check.models import MODELS, Results, build, executable, run_models
from model_check.mutants import mutate, one_mutant_each
from model_check.protocol import check_protocol
from model_check.weak_memory import check_genmc
from model_check.windows import read_windows

EXPLANATION = """\
The last line is: N passed, N failed. A scenario counts as one, and so do checks such as these: every edge is
met by a model, every order in the source is met by a model, the ledger speaks of the orders and bugs that are
in the source, each of them dies in its window (relacy/windows.txt), and every survivor is explained in
relacy/survivors.json. No verdict depends on time: every search ends by executions.

examples:
  scripts/model_check                        every scenario, bounded and random search (in scripts/test)
  scripts/model_check --deep                 more preemptions and no bound at all, 200,000 executions a
                                             search: an hour or two
  scripts/model_check --deep --executions 20000     the same in a few minutes
  scripts/model_check --mutate               weaken orders, plant bugs: half a minute; writes
                                             results/model_check
  scripts/model_check --mutate --find-windows       first find windows for mutants that have none, or do not
                                                    die there
  scripts/model_check --protocol             the snapshot protocol in Spin, every state, and every planted
                                             error: 4 minutes, 2 GiB; writes results/model_check/protocol.md
  scripts/model_check --protocol --quick     what takes a moment of it (in scripts/test); writes nothing
  scripts/model_check --protocol --only reuse       configurations and planted errors with that in the name
  scripts/model_check --genmc                the protocol's steps in GenMC, every execution under RC11 and
                                             IMM, and every order weakened: 10 minutes; writes
                                             results/model_check/genmc.md; skipped where there is no genmc
  scripts/model_check --genmc --quick        what takes a moment of it, nothing weakened; writes nothing
  scripts/model_check --genmc --only slot_birth     models and weakened orders with that in the name
  scripts/model_check --mutate --mutant pin  only mutants whose name contains the text; writes nothing
  scripts/model_check --only upsert_search   scenarios whose name contains the text
  scripts/model_check --only late_reader --mutant 'epoch_advance:epochs.hpp:pin:load=relaxed'
"""


def parse() -> argparse.Namespace:
    """Returns the command line; ends the command where it is wrong."""
    parser = command_line.StrictParser(prog="scripts/model_check", description=__doc__, epilog=EXPLANATION)
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument(
        "--quick", action="store_true", help="bounded and random searches of a few seconds each (default)"
    )
    depth.add_argument(
        "--deep",
        action="store_true",
        help="more preemptions, no bound, more executions; with --mutate: wider searches for what its window "
        "does not kill",
    )
    parser.add_argument(
        "--executions", type=int, metavar="N", help="with --deep: of each search at most (200000)"
    )
    parser.add_argument(
        "--mutate", action="store_true", help="weaken every order and plant every bug; write the ledger"
    )
    parser.add_argument(
        "--protocol",
        action="store_true",
        help="search every state of relacy/protocol.pml with Spin instead; write "
        "results/model_check/protocol.md",
    )
    parser.add_argument(
        "--genmc",
        action="store_true",
        help="explore every execution of the models in relacy/genmc with GenMC instead, if it is on the "
        "PATH, and weaken their orders; write results/model_check/genmc.md",
    )
    parser.add_argument(
        "--find-windows",
        action="store_true",
        help="with --mutate: find windows first for mutants that have none or live in theirs; write "
        "relacy/windows.txt",
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="the scenario TEXT, or those whose name contains it"
    )
    parser.add_argument(
        "--mutant",
        default="",
        metavar="NAME",
        help="one weakened order or planted bug in all that is run; with --mutate: those whose name contains "
        "it, and no ledger is written",
    )
    parser.add_argument(
        "--replay",
        default="",
        metavar="WHICH",
        help="one execution, with its trace: random:SEED, bound:N:EXECUTION or full:EXECUTION; with --only a "
        "scenario's whole name",
    )
    parser.add_argument("--list", action="store_true", help="scenarios and what they claim")
    options = parser.parse(sys.argv[1:])
    for other in ("protocol", "genmc"):
        for flag in ("deep", "mutate", "mutant", "replay", "list"):
            if getattr(options, other) and getattr(options, flag):
                parser.error(f"--{flag} does not go with --{other}")
    if options.protocol and options.genmc:
        parser.error("--genmc does not go with --protocol")
    if options.find_windows and not options.mutate:
        parser.error("--find-windows goes with --mutate")
    for flag in ("only", "replay", "list"):
        if options.mutate and getattr(options, flag):
            parser.error(
                f"--{flag} does not go with --mutate, which asks all scenarios; --mutant TEXT chooses mutants"
            )
    if options.replay and not options.only:
        parser.error("--replay needs --only with a scenario's name; --list shows them")
    if options.executions is not None and (not options.deep or options.mutate):
        parser.error("--executions goes with --deep, and not with --mutate")
    if options.executions is not None and options.executions < 1:
        parser.error(f"--executions {options.executions}: expected a whole number above 0")
    return options


def models_with(only: str) -> list[str]:
    """Returns the models that have the scenario of that name, else those with scenarios whose names contain
    it."""
    listed = {m: child_processes.run([executable(m), "--list"], capture_output=True).stdout for m in MODELS}
    names = {m: [line.split()[0] for line in listed[m].splitlines() if line.strip()] for m in MODELS}
    return [m for m in MODELS if only in names[m]] or [
        m for m in MODELS if any(only in name for name in names[m])
    ]


NO_SUCH_MUTANT = 4  # as in relacy/runner.cpp


def run_here(models: list[str], options: argparse.Namespace) -> int:
    """Lists, replays, or runs with one mutant in force, each model's output as it comes. Returns the exit
    status."""
    flags = ["--only", options.only]
    for name in ("mutant", "replay"):
        flags += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
    flags += ["--list"] if options.list else []
    flags += ["--deep"] if options.deep else []
    flags += ["--executions", str(options.executions)] if options.executions else []
    planted = bool(options.mutant)
    commands = [[executable(model, planted), *flags] for model in models]
    statuses = [child_processes.run(command, stderr=subprocess.PIPE) for command in commands]
    ran = [done for done in statuses if done.returncode != NO_SUCH_MUTANT]
    # Where a model does not meet an order, another one may.
    for done in ran or statuses[:1]:
        print(done.stderr, end="", file=sys.stderr)
    return max(done.returncode for done in ran) if ran else 2


def mutate_and_check(models: list[str], options: argparse.Namespace, checks: Checks) -> Results | None:
    """Asks about mutants, and writes the ledger where all were asked about. Returns the models' results, None
    where there is nothing to check."""
    ledger, results = mutate(options, models)
    if ledger is None or not ledger["mutants"] + ledger["bugs"]:
        none_named = f"--mutant {options.mutant}: no order or bug has that in its name"
        print(none_named if ledger else "the models fail without any mutant")
        return None
    ambiguous = one_mutant_each(results)
    checks.check(not ambiguous, "a mutant's name means one place", *ambiguous)
    if options.mutant:
        check_windows(ledger, read_windows(), checks)
    else:
        write_ledger(ledger)
        check_coverage(results, checks)
        check_ledger(results, checks)
    return results


def count_scenarios(results: Results, checks: Checks) -> None:
    """Counts each scenario as one; a model that fails has one that failed."""
    for model, (status, facts) in sorted(results.items()):
        names = list(dict.fromkeys(search["scenario"] for search in facts.searches))
        if status == 0:
            checks.passed += names
        else:
            checks.failed.append(f"{model} model")
            checks.passed += names[: max(0, len(names) - 1)]


def main() -> int:
    """Returns the exit status."""
    options = parse()
    if options.protocol:
        return check_protocol(options.quick, options.only)
    if options.genmc:
        return check_genmc(options.quick, options.only)
    begin = time.monotonic()
    if not build(planted=options.mutate or bool(options.mutant)):
        return 1
    models = models_with(options.only) if options.only else MODELS
    if not models:
        none_named = f"--only {options.only}: no scenario has that in its name; --list shows them"
        print(f"scripts/model_check: {none_named}", file=sys.stderr)
        return 2
    if not options.mutate and (options.list or options.replay or options.mutant):
        return run_here(models, options)
    checks = Checks()
    results: Results | None
    if options.mutate:
        results = mutate_and_check(models, options, checks)
        if results is None:
            print("0 passed, 1 failed", flush=True)
            return 1
    else:
        deep = ["--deep"] if options.deep else []
        deep += ["--executions", str(options.executions)] if options.executions else []
        results = run_models(models, ["--only", options.only, *deep])
    count_scenarios(results, checks)
    if not options.only and not options.mutate:
        check_coverage(results, checks)
        check_ledger(results, checks)
    executions = sum(int(search["executions"]) for _, facts in results.values() for search in facts.searches)
    if executions:
        print(f"{executions:,} executions; {in_words(time.monotonic() - begin)}")
    print(f"{len(checks.passed)} passed, {len(checks.failed)} failed", flush=True)
    return 1 if checks.failed else 0


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/model_check", main)
