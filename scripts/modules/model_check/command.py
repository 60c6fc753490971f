"""Model-checks the shipped source: runs the Relacy models of relacy/, weakens every memory order in turn, switches every
planted bug on in turn, and keeps the ledger of what killed what."""

import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from common import child_processes
from common import command_line
from common import output
from common.command_line import ROOT, in_words

EXPLANATION = """\
The last line is: N passed, N failed. A scenario counts as one, and so do checks such as these: every edge is met by a
model, every order in the source is met by a model, the ledger speaks of the orders and bugs that are in the source, each
of them dies in its window (relacy/windows.txt), and every survivor is explained in relacy/survivors.json. No verdict
depends on time: every search ends by executions.

examples:
  scripts/model_check                        every scenario, bounded and random search (in scripts/test)
  scripts/model_check --deep                 more preemptions and no bound at all, 200,000 executions a search: an hour or two
  scripts/model_check --deep --executions 20000     the same in a few minutes
  scripts/model_check --mutate               weaken orders, plant bugs: half a minute; writes results/model_check
  scripts/model_check --mutate --find-windows       first find windows for mutants that have none, or do not die there
  scripts/model_check --mutate --mutant pin  only mutants whose name contains the text; writes nothing
  scripts/model_check --only upsert_search   scenarios whose name contains the text
  scripts/model_check --only last_advance --mutant 'epoch_advance:epoch_domain.hpp:pin:load=relaxed'
"""

BUILD = ROOT / "build" / "relacy"
LEDGER = ROOT / "results" / "model_check"
WINDOWS = ROOT / "relacy" / "windows.txt"
SURVIVORS = ROOT / "relacy" / "survivors.json"
IMPL = ROOT / "impl" / "hotindex"
WINDOW_EXECUTIONS = 2000  # as in relacy/mutants.hpp
MODELS = ["litmus", "index_set", "pool", "epoch", "map", "slot", "index"]


def executable(model):
    return BUILD / "relacy" / f"{model}_model"


@dataclass
class Facts:
    """What a model's report says."""

    searches: list = field(default_factory=list)
    sites: list = field(default_factory=list)
    mutants: list = field(default_factory=list)
    bugs: list = field(default_factory=list)


SITE = ["id", "edge", "file", "line", "function", "operation", "order", "executions"]
MUTANT = [
    "id",
    "edge",
    "file",
    "line",
    "function",
    "operation",
    "order",
    "to",
    "verdict",
    "by",
    "search",
    "execution",
    "result",
    "kills",
    "tries",
]
BUG = ["name", "what", "verdict", "by", "search", "execution", "result", "kills", "tries"]
SEARCH = ["scenario", "threads", "search", "executions", "seconds", "result"]


def read_report(path):
    facts = Facts()
    kinds = {
        "search": (SEARCH, facts.searches),
        "site": (SITE, facts.sites),
        "mutant": (MUTANT, facts.mutants),
        "bug": (BUG, facts.bugs),
    }
    for line in Path(path).read_text().splitlines():
        kind, *values = line.split("\t")
        names, into = kinds[kind]
        into.append(dict(zip(names, values)))
    return facts


# ---- building and running ----


def build():
    log = BUILD.parent / "test-logs" / "relacy-build.log"
    for command in (["cmake", "--preset", "relacy"], ["cmake", "--build", BUILD]):
        if command_line.run_logged(command, log) != 0:
            print(command_line.tail(log))
            print("scripts/model_check: the models do not build", file=sys.stderr)
            return False
    return True


def run_models(models, flags):
    """Runs models side by side; prints each one's output when it ends. Returns (exit status, facts) by model."""
    results = {}
    flags = [str(flag) for flag in flags]

    def one(model):
        with tempfile.NamedTemporaryFile(suffix=".tsv") as report:
            command = [executable(model), *flags, "--report", report.name]
            done = child_processes.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            return done.returncode, done.stdout, read_report(report.name)

    progress = command_line.ProgressLine(every=30)
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        # The longest first.
        jobs = {pool.submit(one, model): model for model in reversed(models)}
        waiting = set(jobs)
        while waiting:
            ended, waiting = concurrent.futures.wait(
                waiting, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for job in ended:
                status, said, facts = job.result()
                progress.clear()
                print(f"== {jobs[job]} ==\n{said}", end="", flush=True)
                results[jobs[job]] = (status, facts)
            if waiting:
                names = ", ".join(sorted(jobs[job] for job in waiting))
                progress.show(f"{in_words(time.monotonic() - begin)}; running: {names}")
    progress.clear()
    return results


# ---- what the source says ----


def declared_edges():
    text = (IMPL / "backend" / "edges.hpp").read_text().split("enum class")[0]
    return re.findall(r"X\((\w+),", text)


USE = re.compile(r"B::(acquire|release|acq_rel|light_fence|heavy_fence)\((?:edge::(\w+)|(e))\)")


def orders_in_source():
    """(file, line) of every named order in the algorithms, with what stands there; lines of planted bugs left out."""
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


def declared_bugs():
    text = (IMPL / "backend" / "planted_bugs.hpp").read_text().split("enum class")[0]
    return re.findall(r"X\((\w+),", text)


def bug_lines():
    """(file, line) of orders that only run when a bug is planted: within reach of a `B::planted` that opens a block."""
    lines = set()
    for path in IMPL.rglob("*.hpp"):
        text = path.read_text().splitlines()
        for number, line in enumerate(text, 1):
            if re.search(r"if \(B::planted\(bug::\w+\)\) \{", line):
                for later in range(number, min(number + 10, len(text))):
                    lines.add((path.name, later + 1))
                    if text[later].strip() == "}":
                        break
    return lines


# ---- the checks beside the scenarios ----


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


def survivors(ledger):
    return [f"{m['id']}={m['to']}" for m in ledger["mutants"] if m["verdict"] != "killed"] + [
        bug["name"] for bug in ledger["bugs"] if bug["verdict"] != "killed"
    ]


def explanations():
    return json.loads(SURVIVORS.read_text()) if SURVIVORS.exists() else {}


# ---- windows: the scenario and the search in which a mutant dies ----


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


# ---- asking about mutants ----


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


# ---- the ledger ----


def elsewhere(mutant):
    return "" if mutant["in_window"] else f", **not in its window**: {mutant['window']}"


def write_ledger(ledger):
    output.write_whole(LEDGER / "ledger.json", json.dumps(ledger, indent=1) + "\n")
    explained = explanations()
    killed = [m for m in ledger["mutants"] if m["verdict"] == "killed"]
    dead_bugs = [b for b in ledger["bugs"] if b["verdict"] == "killed"]
    lines = [
        "# The ledger: which order is needed, and what shows it",
        "",
        f"Generated by `{ledger['command']}`; do not edit. Each row weakens one order of the shipped source at run time; a model of",
        "`relacy/` must then fail. Each has a window, the scenario and search named for it in `relacy/windows.txt`, and dies there",
        f"within {WINDOW_EXECUTIONS:,} executions, or the verdict says so. Numbers of executions are those until the failure.",
        "",
        f"**{len(killed)} of {len(ledger['mutants'])} weakened orders and {len(dead_bugs)} of {len(ledger['bugs'])} planted bugs are killed.**",
        "",
        "| edge | where | operation | order | weakened to | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for m in ledger["mutants"]:
        name = f"{m['id']}={m['to']}"
        verdict = (
            f"killed by {m['by']} ({m['search']}, execution {m['execution']}: {m['result'].lower()}){elsewhere(m)}"
            if m["verdict"] == "killed"
            else f"**{m['verdict']}**: {explained.get(name, 'not explained')}"
        )
        lines.append(
            f"| {m['edge']} | {m['file']} {m['function']}() | {m['operation']} | {m['order']} | {m['to']} | {verdict} |"
        )
    lines += ["", "## Planted bugs", "", "| bug | what is changed | verdict |", "|---|---|---|"]
    for b in ledger["bugs"]:
        verdict = (
            f"killed by {b['by']} ({b['search']}, execution {b['execution']}: {b['result'].lower()}){elsewhere(b)}"
            if b["verdict"] == "killed"
            else f"**{b['verdict']}**: {explained.get(b['name'], 'not explained')}"
        )
        lines.append(f"| {b['name']} | {b['what']} | {verdict} |")
    (LEDGER / "ledger.md").write_text("\n".join(lines) + "\n")
    update_example(ledger)
    update_readme(len(killed), len(ledger["mutants"]), len(dead_bugs), len(ledger["bugs"]))


EXAMPLE = re.compile(r"^scripts/model_check --only \w+ --mutant free_one_early --replay \S+$", re.MULTILINE)


def example(ledger):
    """The replay that relacy/README.md prints: one that fails."""
    bug = next(b for b in ledger["bugs"] if b["name"] == "free_one_early")
    search = bug["search"].replace(" ", ":")
    return (
        f"scripts/model_check --only {bug['by']} --mutant free_one_early --replay {search}:{bug['execution']}"
    )


def update_example(ledger):
    path = ROOT / "relacy" / "README.md"
    path.write_text(EXAMPLE.sub(example(ledger), path.read_text()))


BEGIN, END = "<!-- model_check: generated -->", "<!-- model_check: end -->"


def update_readme(killed, mutants, dead_bugs, bugs):
    path = ROOT / "README.md"
    text = path.read_text()
    if BEGIN not in text:
        return
    rest = "" if (killed, dead_bugs) == (mutants, bugs) else "; the rest is explained there"
    said = (
        f"{BEGIN}\n{killed} of {mutants} weakened memory orders and {dead_bugs} of {bugs} planted bugs make a model fail, each in the "
        f"search named for it: the [ledger](results/model_check/ledger.md){rest}.\n{END}"
    )
    output.write_whole(
        path, re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: said, text, flags=re.DOTALL)
    )


def parse():
    parser = command_line.StrictParser(prog="scripts/model_check", description=__doc__, epilog=EXPLANATION)
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument(
        "--quick", action="store_true", help="bounded and random searches of a few seconds each (default)"
    )
    depth.add_argument(
        "--deep",
        action="store_true",
        help="more preemptions, no bound, more executions; with --mutate: wider searches for what its window does not kill",
    )
    parser.add_argument(
        "--executions", type=int, metavar="N", help="with --deep: of each search at most (200000)"
    )
    parser.add_argument(
        "--mutate", action="store_true", help="weaken every order and plant every bug; write the ledger"
    )
    parser.add_argument(
        "--find-windows",
        action="store_true",
        help="with --mutate: find windows first for mutants that have none or live in theirs; write relacy/windows.txt",
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="the scenario TEXT, or those whose name contains it"
    )
    parser.add_argument(
        "--mutant",
        default="",
        metavar="NAME",
        help="one weakened order or planted bug in all that is run; with --mutate: those whose name contains it, and no ledger is written",
    )
    parser.add_argument(
        "--replay",
        default="",
        metavar="WHICH",
        help="one execution, with its trace: random:SEED, bound:N:EXECUTION or full:EXECUTION; with --only a scenario's whole name",
    )
    parser.add_argument("--list", action="store_true", help="scenarios and what they claim")
    options = parser.parse_args()
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


def models_with(only):
    """The models that have the scenario of that name, else those with scenarios whose names contain it."""
    listed = {
        m: subprocess.run([executable(m), "--list"], capture_output=True, text=True).stdout for m in MODELS
    }
    names = {m: [line.split()[0] for line in listed[m].splitlines() if line.strip()] for m in MODELS}
    return [m for m in MODELS if only in names[m]] or [
        m for m in MODELS if any(only in name for name in names[m])
    ]


NO_SUCH_MUTANT = 4  # as in relacy/runner.cpp


def run_here(models, options):
    """Lists, replays, or runs with one mutant in force, each model's output as it comes. Returns the exit status."""
    flags = ["--only", options.only]
    for name in ("mutant", "replay"):
        flags += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
    flags += ["--list"] if options.list else []
    flags += ["--deep"] if options.deep else []
    flags += ["--executions", str(options.executions)] if options.executions else []
    statuses = [
        subprocess.run([executable(model), *flags], stderr=subprocess.PIPE, text=True) for model in models
    ]
    ran = [done for done in statuses if done.returncode != NO_SUCH_MUTANT]
    # Where a model does not meet an order, another one may.
    for done in ran or statuses[:1]:
        print(done.stderr, end="", file=sys.stderr)
    return max(done.returncode for done in ran) if ran else 2


def main():
    options = parse()
    begin = time.monotonic()
    if not build():
        return 1
    models = models_with(options.only) if options.only else MODELS
    if not models:
        print(
            f"scripts/model_check: --only {options.only}: no scenario has that in its name; --list shows them",
            file=sys.stderr,
        )
        return 2
    if not options.mutate and (options.list or options.replay or options.mutant):
        return run_here(models, options)
    passed, failed = [], []
    if options.mutate:
        ledger, results = mutate(options, models)
        if ledger is None or not ledger["mutants"] + ledger["bugs"]:
            print(
                f"--mutant {options.mutant}: no order or bug has that in its name"
                if ledger
                else "the models fail without any mutant"
            )
            print("0 passed, 1 failed", flush=True)
            return 1
        check(
            passed,
            failed,
            not one_mutant_each(results),
            "a mutant's name means one place",
            "\n  ".join(one_mutant_each(results)),
        )
        if not options.mutant:
            write_ledger(ledger)
            check_coverage(results, passed, failed)
            check_ledger(results, passed, failed)
        else:
            check_windows(ledger, read_windows(), passed, failed)
    else:
        deep = (
            ["--deep"] + (["--executions", options.executions] if options.executions else [])
            if options.deep
            else []
        )
        results = run_models(models, ["--only", options.only, *deep])
    for model, (status, facts) in sorted(results.items()):
        names = list(dict.fromkeys(search["scenario"] for search in facts.searches))
        bad = status != 0
        (failed if bad else passed).extend(names if not bad else [f"{model} model"])
        if bad:
            passed.extend(names[: max(0, len(names) - 1)])
    if not options.only and not options.mutate:
        check_coverage(results, passed, failed)
        check_ledger(results, passed, failed)
    executions = sum(int(search["executions"]) for _, facts in results.values() for search in facts.searches)
    if executions:
        print(f"{executions:,} executions; {in_words(time.monotonic() - begin)}")
    print(f"{len(passed)} passed, {len(failed)} failed", flush=True)
    return 1 if failed else 0


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/model_check", main)
