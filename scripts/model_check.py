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

import child_processes
import command_line
import output
from command_line import ROOT, in_words

EXPLANATION = """\
The last line is: N passed, N failed. A scenario counts as one, and so does each of these checks: every edge is met by a
model, every order in the source is met by a model, the ledger speaks of the orders and bugs that are in the source, and
every survivor in it is explained in relacy/survivors.json.

examples:
  scripts/model_check                        every scenario, bounded and random search (in scripts/test)
  scripts/model_check --deep                 more preemptions and no bound at all, each search for a minute at most
  scripts/model_check --deep --seconds 5     the same in about 20 minutes on 2 cores
  scripts/model_check --mutate               weaken orders, plant bugs, write results/model_check/ledger.json and .md
  scripts/model_check --only upsert_search   scenarios whose name contains the text
  scripts/model_check --only last_advance --mutant 'epoch_advance:epoch_domain.hpp:pin:load=relaxed'
  scripts/model_check --only last_advance --mutant free_one_early --replay random:1
"""

BUILD = ROOT / "build" / "relacy"
LEDGER = ROOT / "results" / "model_check"
SURVIVORS = ROOT / "relacy" / "survivors.json"
IMPL = ROOT / "impl" / "hotindex"
MODELS = ["litmus", "index_set", "pool", "epoch", "map", "slot", "index"]

# Which model is asked first about the orders in a file. The others are asked about what survives.
OWNERS = {
    "epoch_domain.hpp": "epoch",
    "participants.hpp": "epoch",
    "limbo.hpp": "epoch",
    "memory_pool.hpp": "pool",
    "bucket_table.hpp": "map",
    "lock_free_hash_map.hpp": "map",
    "snapshot_times.hpp": "slot",
}
DEFAULT_OWNER = "index"
# Which model is asked first about a planted bug; the index about the others.
BUG_OWNERS = {
    "pin_once": "epoch",
    "free_one_early": "epoch",
    "advance_blindly": "epoch",
    "trust_place": "epoch",
    "take_pinned": "epoch",
    "fill_taken": "epoch",
    "keep_for_ever": "epoch",
    "open_by_store": "pool",
    "close_unowned": "pool",
    "clear_blindly": "index_set",
    "release_in_use": "slot",
    "release_undated": "slot",
    "same_life": "slot",
    "any_life": "slot",
    "time_before_open": "slot",
    "decide_by_store": "slot",
    "leave_open": "slot",
    "watch_nothing": "slot",
    "forget_table": "map",
    "free_entry_at_once": "map",
    "free_block_at_once": "map",
    "move_unfrozen": "map",
    "fill_over": "map",
    "trust_untouched": "map",
    "promote_early": "map",
}


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
MUTANT = ["id", "edge", "file", "line", "function", "operation", "order", "to", "verdict", "by", "search", "execution", "result"]
BUG = ["name", "what", "verdict", "by", "search", "execution", "result"]
SEARCH = ["scenario", "threads", "search", "executions", "seconds", "result"]


def read_report(path):
    facts = Facts()
    kinds = {"search": (SEARCH, facts.searches), "site": (SITE, facts.sites), "mutant": (MUTANT, facts.mutants), "bug": (BUG, facts.bugs)}
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
            ended, waiting = concurrent.futures.wait(waiting, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED)
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
                found[(path.name, number)] = ", ".join(f"{kind} {edge or parameter}" for kind, edge, parameter in uses)
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
    weaker = {"acquire": ["relaxed"], "release": ["relaxed"], "acq_rel": ["acquire", "release"], "light fence": ["nothing"], "heavy fence": ["nothing"]}
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
        "\n  ".join([again, *(f"not in the ledger: {name}" for name in sorted(now - known)), *(f"not in the source: {name}" for name in sorted(known - now))]),
    )
    bugs = {bug["name"] for bug in ledger["bugs"]}
    check(passed, failed, bugs == set(declared_bugs()), "the ledger speaks of the planted bugs that are in the source", again)
    explained = explanations()
    unexplained = [name for name in survivors(ledger) if name not in explained]
    check(passed, failed, not unexplained, "every survivor is explained", "\n  ".join(["in relacy/survivors.json:", *unexplained]))
    idle = [name for name in explained if name not in survivors(ledger)]
    check(passed, failed, not idle, "every explanation is of a survivor", "\n  ".join(idle))


def survivors(ledger):
    return [f"{m['id']}={m['to']}" for m in ledger["mutants"] if m["verdict"] != "killed"] + [
        bug["name"] for bug in ledger["bugs"] if bug["verdict"] != "killed"
    ]


def explanations():
    return json.loads(SURVIVORS.read_text()) if SURVIVORS.exists() else {}


# ---- the ledger ----


def ask(model, flags):
    """One model's mutants; its table is passed through line by line."""
    with tempfile.NamedTemporaryFile(suffix=".tsv") as report:
        command = [executable(model), *flags, "--report", report.name]
        child = child_processes.Child(command, stdout=subprocess.PIPE, text=True)
        try:
            for line in child.stdout:
                print("  " + line.rstrip(), flush=True)
            child.wait()
        finally:
            child.end()
            child.stdout.close()
        return read_report(report.name)


def plant(options, models, wanted):
    """Asks the owner of each of these bugs first, then the other models. Returns what was said, by bug."""
    flags = ["--seconds", str(options.seconds), *(["--deep"] if options.deep else [])]
    bugs = {}
    for bug in wanted:
        order = [BUG_OWNERS.get(bug, DEFAULT_OWNER)]
        order += [model for model in models if model not in order]
        for model in order:
            found = [each for each in ask(model, ["--plant", "--site", bug, *flags]).bugs if each["name"] == bug]
            if found and (bug not in bugs or found[0]["verdict"] == "killed"):
                bugs[bug] = {**found[0], "model": model}
            if bug in bugs and bugs[bug]["verdict"] == "killed":
                break
    return bugs


def plant_again(options, models):
    """The ledger, with these bugs asked about again."""
    ledger = json.loads((LEDGER / "ledger.json").read_text())
    known = {each["name"]: each for each in ledger["bugs"]} | plant(options, models, options.bugs)
    ledger["bugs"] = [known[bug] for bug in declared_bugs() if bug in known]
    return ledger


def mutate(options, results):
    """Asks the owner of each file first, then the other models about what survives. Returns the ledger."""
    begin = time.monotonic()
    flags = ["--seconds", str(options.seconds), *(["--deep"] if options.deep else [])]
    models = [model for model in results if model != "litmus"]
    sites = {site["id"]: site for _, facts in results.values() for site in facts.sites if "/impl/hotindex/" in site["file"]}
    met_by = collections.defaultdict(list)
    for model in models:
        for site in results[model][1].sites:
            met_by[site["id"]].append(model)
    mutants = {}
    files = sorted({Path(site["file"]).name for site in sites.values()})
    for file in files:
        owner = OWNERS.get(file, DEFAULT_OWNER)
        print(f"{file}: {owner} model ({in_words(time.monotonic() - begin)} so far)", flush=True)
        for m in ask(owner, ["--mutate", "--site", f":{file}:", *flags]).mutants:
            mutants[(m["id"], m["to"])] = {**m, "model": owner}
    for site in sites.values():  # met by other models only, or survived at the owner's
        weaker = [name.rsplit("=", 1)[1] for name in mutants_expected({"": (0, Facts(sites=[site]))})]
        for to in weaker:
            for model in met_by[site["id"]]:
                known = mutants.get((site["id"], to))
                if known is not None and (known["verdict"] == "killed" or known["model"] == model):
                    continue
                print(f"{site['id']}={to}: {model} model", flush=True)
                for m in ask(model, ["--mutate", "--site", f"{site['id']}={to}", *flags]).mutants:
                    if known is None or m["verdict"] == "killed":
                        mutants[(m["id"], m["to"])] = {**m, "model": model}
    bugs = plant(options, models, declared_bugs())
    place = lambda m: (m["file"], int(m["line"]), m["id"], m["to"])
    ledger = {
        "command": "scripts/model_check --mutate" + (" --deep" if options.deep else ""),
        "seconds_per_mutant_at_most": options.seconds,
        "seconds": round(time.monotonic() - begin),
        "mutants": [{**m, "file": Path(m["file"]).name} for m in sorted(mutants.values(), key=place)],
        "bugs": [bugs[bug] for bug in declared_bugs() if bug in bugs],
    }
    return ledger


def write_ledger(ledger):
    output.write_whole(LEDGER / "ledger.json", json.dumps(ledger, indent=1) + "\n")
    explained = explanations()
    killed = [m for m in ledger["mutants"] if m["verdict"] == "killed"]
    dead_bugs = [b for b in ledger["bugs"] if b["verdict"] == "killed"]
    lines = [
        "# The ledger: which order is needed, and what shows it",
        "",
        f"Generated by `{ledger['command']}`; do not edit. Each row weakens one order of the shipped source at run time; a model of",
        "`relacy/` must then fail. Numbers of executions are those until the failure.",
        "",
        f"**{len(killed)} of {len(ledger['mutants'])} weakened orders and {len(dead_bugs)} of {len(ledger['bugs'])} planted bugs are killed.**",
        "",
        "| edge | where | operation | order | weakened to | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for m in ledger["mutants"]:
        name = f"{m['id']}={m['to']}"
        verdict = (
            f"killed by {m['by']} ({m['search']}, execution {m['execution']}: {m['result'].lower()})"
            if m["verdict"] == "killed"
            else f"**survived**: {explained.get(name, 'not explained')}"
        )
        lines.append(f"| {m['edge']} | {m['file']} {m['function']}() | {m['operation']} | {m['order']} | {m['to']} | {verdict} |")
    lines += ["", "## Planted bugs", "", "| bug | what is changed | verdict |", "|---|---|---|"]
    for b in ledger["bugs"]:
        verdict = (
            f"killed by {b['by']} ({b['search']}, execution {b['execution']}: {b['result'].lower()})"
            if b["verdict"] == "killed"
            else f"**survived**: {explained.get(b['name'], 'not explained')}"
        )
        lines.append(f"| {b['name']} | {b['what']} | {verdict} |")
    output.write_whole(LEDGER / "ledger.md", "\n".join(lines) + "\n")
    update_readme(len(killed), len(ledger["mutants"]), len(dead_bugs), len(ledger["bugs"]))


BEGIN, END = "<!-- model_check: generated -->", "<!-- model_check: end -->"


def update_readme(killed, mutants, dead_bugs, bugs):
    path = ROOT / "README.md"
    text = path.read_text()
    if BEGIN not in text:
        return
    said = (
        f"{BEGIN}\n{killed} of {mutants} weakened memory orders and {dead_bugs} of {bugs} planted bugs make a model fail; "
        f"the rest is explained in the [ledger](results/model_check/ledger.md).\n{END}"
    )
    output.write_whole(path, re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: said, text, flags=re.DOTALL))


def main():
    parser = command_line.StrictParser(prog="scripts/model_check", description=__doc__, epilog=EXPLANATION)
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="bounded and random searches of a few seconds each (default)")
    depth.add_argument("--deep", action="store_true", help="more preemptions, no bound, a hundred times as many executions")
    parser.add_argument("--mutate", action="store_true", help="weaken every order and plant every bug; write the ledger")
    parser.add_argument("--seconds", type=float, default=60, metavar="N", help="with --mutate: for each mutant at most; with --deep: for each search (60)")
    parser.add_argument("--only", default="", metavar="TEXT", help="the scenario TEXT, or those whose name contains it")
    parser.add_argument("--mutant", default="", metavar="NAME", help="one weakened order or planted bug in all that is run")
    parser.add_argument("--replay", default="", metavar="WHICH", help="one execution, with its trace: random:SEED, bound:N:EXECUTION or full:EXECUTION")
    parser.add_argument("--list", action="store_true", help="scenarios and what they claim")
    parser.add_argument("--bugs", type=lambda text: text.split(","), metavar="NAME,...", help="ask about these planted bugs, and write them into the ledger that is there")
    options = parser.parse_args()
    if options.bugs and (unknown := [bug for bug in options.bugs if bug not in declared_bugs()]):
        parser.error(f"--bugs: nothing is planted by the name of {unknown[0]}; impl/hotindex/backend/planted_bugs.hpp has the names")
    if options.bugs and options.mutate:
        parser.error("--bugs and --mutate exclude each other: --mutate asks about all of them")
    begin = time.monotonic()
    if not build():
        return 1
    models = MODELS
    if options.only:
        listed = {m: child_processes.run([executable(m), "--list"], capture_output=True, text=True).stdout for m in MODELS}
        names = {m: [line.split()[0] for line in listed[m].splitlines() if line.strip()] for m in MODELS}
        models = [m for m in MODELS if options.only in names[m]] or [
            m for m in MODELS if any(options.only in name for name in names[m])
        ]
        if not models:
            print(f"scripts/model_check: --only {options.only}: no scenario has that in its name; --list shows them", file=sys.stderr)
            return 2
    if options.list or options.replay or options.mutant:
        flags = ["--only", options.only]
        for name in ("mutant", "replay"):
            flags += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
        flags += ["--list"] if options.list else []
        status = 0
        for model in models:
            done = child_processes.run([executable(model), *flags])
            status = max(status, child_processes.exit_status(done.returncode))
        return status
    results = run_models(models, ["--only", options.only] + (["--deep", "--seconds", str(options.seconds)] if options.deep and not options.mutate else []))
    passed, failed = [], []
    for model, (status, facts) in sorted(results.items()):
        names = list(dict.fromkeys(search["scenario"] for search in facts.searches))
        bad = status != 0
        (failed if bad else passed).extend(names if not bad else [f"{model} model"])
        if bad:
            passed.extend(names[: max(0, len(names) - 1)])
    if not options.only:
        if options.mutate and not failed:
            write_ledger(mutate(options, results))
        elif options.bugs and not failed:
            write_ledger(plant_again(options, [model for model in results if model != "litmus"]))
        check_coverage(results, passed, failed)
        check_ledger(results, passed, failed)
    executions = sum(int(search["executions"]) for _, facts in results.values() for search in facts.searches)
    print(f"{executions:,} executions; {in_words(time.monotonic() - begin)}")
    print(f"{len(passed)} passed, {len(failed)} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    command_line.begin_and_end("scripts/model_check", main)
