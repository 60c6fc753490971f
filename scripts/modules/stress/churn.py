"""scripts/stress --churn: what insertions and removals keep in memory, over time and by threads, in this tree
and in an earlier commit."""

from __future__ import annotations

import argparse
import concurrent.futures
import shutil
import sys
import time
from pathlib import Path

from bench.results import Json
from common import builds, command_line, machine, output, repository
from common.child_processes import Command
from common.command_line import in_words
from common.repository import ROOT
from plot import style
from stress.program import commit, rows_as_json

BUILD = ROOT / "build" / "churn"
STRUCTURES = {"map": "map", "index": "index, rows of 256 bytes", "rows": "index, rows of 64 KiB"}
NAMES = ("seconds", "resident_bytes", "limbo_objects", "limbo_bytes", "operations", "slowest_us")


def built_here() -> Path:
    """Returns the program of this tree."""
    log = ROOT / "build" / "test-logs" / "release-churn-build.log"
    commands: list[Command] = [
        ["cmake", "--preset", "release"],
        ["cmake", "--build", ROOT / "build" / "release", "--target", "stress_churn"],
    ]
    if not builds.run_in_turn(commands, log):
        sys.exit(f"{command_line.tail(log)}\nscripts/stress: the build failed; log: {log.relative_to(ROOT)}")
    return ROOT / "build" / "release" / "stress" / "stress_churn"


def built_against(ref: str) -> tuple[Path, str]:
    """Returns this tree's program on the library of another commit, and that commit."""
    commit = repository.resolve(ref)
    folder = BUILD / commit[:12]
    program = folder / "stress_churn"
    if program.exists():
        return program, commit[:12]
    tree = folder / "tree"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder / "build.log"
    archive = folder / "tree.tar"
    tree.mkdir()
    made = folder / "build"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DHOTINDEX_BUILD_TESTS=OFF", "-DHOTINDEX_BUILD_BENCH=OFF"]
    flags = ROOT / "impl" / "command_line"
    compiler: Command = ["c++", "-std=c++20", "-O3", "-I", tree / "impl", "-iquote", ROOT / "impl"]
    libraries: Command = [made / "impl" / "libhotindex.a", "-lhwy", "-lfmt", "-lpthread"]
    commands: list[Command] = [
        ["git", "archive", "--output", archive, commit],
        ["tar", "-xf", archive, "-C", tree],
        ["cmake", "-S", tree, "-B", made, "-G", "Ninja", *options],
        ["cmake", "--build", made, "--target", "hotindex"],
        [*compiler, ROOT / "stress" / "churn.cpp", *sorted(flags.glob("*.cpp")), *libraries, "-o", program],
    ]
    if not builds.run_in_turn(commands, log):
        place = log.relative_to(ROOT)
        sys.exit(f"{command_line.tail(log)}\nscripts/stress: no program for {ref}; log: {place}")
    return program, commit[:12]


def measure(program: Path, structure: str, threads: int, seconds: float, log: Path) -> list[dict[str, float]]:
    """Returns the samples of one run."""
    samples: list[dict[str, float]] = []

    def on_line(text: str) -> None:
        kind, *fields = text.split("\t")
        if kind == "sample":
            samples.append(dict(zip(NAMES, map(float, fields))))

    every = max(0.25, seconds / 240)
    flags = [
        f"--structure={structure}",
        f"--threads={threads}",
        f"--seconds={seconds:g}",
        f"--every={every:g}",
    ]
    status = command_line.run_logged([program, *flags], log, on_line=on_line, timeout=seconds + 120)
    if status != 0 or not samples:
        sys.exit(f"{command_line.tail(log)}\nscripts/stress: a run failed; log: {log.relative_to(ROOT)}")
    return samples


def describe(run: Json) -> str:
    """Returns a line on one run: memory at its beginning and end, and its slowest operation."""
    samples = run["samples"]
    early = next(each for each in samples if each["seconds"] >= samples[-1]["seconds"] / 10)
    peak = max(each["limbo_bytes"] for each in samples)
    slowest = max(each["slowest_us"] for each in samples)
    threads = f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}"
    last = samples[-1]
    return (
        f"{run['version']}, {run['structure']}, {threads}: "
        f"resident {early['resident_bytes'] / 2**20:.1f} MiB after {in_words(early['seconds'])}, "
        f"{last['resident_bytes'] / 2**20:.1f} MiB after {in_words(last['seconds'])}; limbo at most "
        f"{peak / 2**20:.2f} MiB; slowest operation {slowest / 1000:.1f} ms; "
        f"{last['operations'] / last['seconds'] / 1e6:.2f} M operations a second"
    )


def draw(document: Json, path: Path) -> None:
    """Draws resident memory and limbo over time, a column a structure, a colour a number of threads."""
    structures = list(dict.fromkeys(run["structure"] for run in document["runs"]))
    threads = list(dict.fromkeys(run["threads"] for run in document["runs"]))
    versions = list(dict.fromkeys(run["version"] for run in document["runs"]))
    from matplotlib.lines import Line2D

    figure, grid = style.new_figure(4.6 * len(structures) + 0.8, 7, len(structures), rows=2, same_x=True)
    for column, structure in enumerate(structures):
        for row, (name, title) in enumerate(
            (("resident_bytes", "Resident, MiB"), ("limbo_bytes", "Limbo, MiB"))
        ):
            axis = grid[row][column]
            for run in document["runs"]:
                if run["structure"] != structure:
                    continue
                x = [each["seconds"] for each in run["samples"]]
                y = [max(each[name], 1024) / 2**20 for each in run["samples"]]
                axis.plot(
                    x,
                    y,
                    color=style.IN_TURN[threads.index(run["threads"]) % len(style.IN_TURN)],
                    linestyle=style.SOLID if run["version"] == versions[-1] else style.EARLIER,
                    linewidth=1.7 if run["version"] == versions[-1] else 1.1,
                )
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
            axis.set_xlim(left=0)
            if column == 0:
                axis.set_ylabel(title)
            if row == 0:
                axis.set_title(STRUCTURES[structure], fontsize=11)
            else:
                axis.set_xlabel("seconds of churn")
    handles = [
        Line2D([], [], color=style.IN_TURN[i % len(style.IN_TURN)], linewidth=2) for i in range(len(threads))
    ]
    labels = [f"{n} thread{'s' if n > 1 else ''}" for n in threads]
    for version in versions:
        handles.append(
            Line2D(
                [], [], color=style.NOTE, linestyle=style.SOLID if version == versions[-1] else style.EARLIER
            )
        )
        labels.append("this tree" if version == "here" else version)
    figure.legend(handles, labels, loc="upper center", ncol=len(labels), frameon=False, fontsize=9.5)
    machine = document["context"]["machine"]
    note = f"{machine} · logarithmic · about 1,000 elements live all the while"
    figure.text(0.01, 0.005, note, fontsize=8, color=style.NOTE)
    figure.tight_layout(rect=(0, 0.02, 1, 0.95))
    style.save(figure, path.with_suffix(""), dpi=110)


def churn(options: argparse.Namespace, folder: Path) -> int:
    """Measures, prints a line a run, writes churn.json and its chart into the folder. Returns the exit
    status."""
    programs = {"here": built_here()}
    if options.against:
        program, old = built_against(options.against)
        programs = {old: program} | programs
    seconds = (options.minutes or 1) * 60
    threads = options.threads or [1, 2, 4, 8, 32]
    structures = options.structure or list(STRUCTURES)
    plan = [(structure, n) for structure in structures for n in threads]
    line = command_line.ProgressLine(every=15)
    begin = time.monotonic()
    runs: list[Json] = []
    # Old and new at the same time, so that both meet the same machine.
    with concurrent.futures.ThreadPoolExecutor(len(programs)) as pool:
        for done, (structure, n) in enumerate(plan):
            left = (len(plan) - done) * seconds
            took = in_words(time.monotonic() - begin)
            line.show(f"churn: {structure}, {n} threads; {took}, {in_words(left)} to go")
            jobs = {
                version: pool.submit(
                    measure, program, structure, n, seconds, BUILD / f"{version}-{structure}-{n}.log"
                )
                for version, program in programs.items()
            }
            for version, job in jobs.items():
                run = {"version": version, "structure": structure, "threads": n, "samples": job.result()}
                runs.append(run)
                line.clear()
                print(describe(run), flush=True)
    line.clear()
    context: Json = {
        "command": f"scripts/stress {' '.join(sys.argv[1:])}",
        "machine": machine.processors(),
        "commit": commit(),
    }
    output.write_whole(folder / "churn.json", rows_as_json(context, "runs", runs))
    why = style.cannot_draw()
    if not why:
        draw({"context": context, "runs": runs}, folder / "churn.svg")
    print(f"{repository.shown(folder)}/churn.json, {f'no chart: {why}' if why else 'churn.svg, churn.png'}")
    return 0
