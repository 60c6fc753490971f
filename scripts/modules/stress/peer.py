"""scripts/stress --peer: the positive control, an index that must fail the checks."""

from __future__ import annotations

import argparse
import os
import re
import sys

from common import builds, command_line, machine, output
from common.child_processes import Command
from common.command_line import in_words
from common.repository import ROOT
from stress.program import BUILD, RESULTS, commit, soak_command


class Control:
    """Runs of the harness on hnswlib, and what they tell."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.line = command_line.ProgressLine(every=30)
        # Threads, seconds, histories, operations, violations; with one thread, and with several.
        self.alone: list[float] = []
        self.together: list[float] = []
        self.pages: list[str] = []

    def on_line(self, text: str) -> None:
        """Takes in a line of the program."""
        kind, *fields = text.split("\t")
        if kind in ("progress", "done"):
            numbers = [float(field) for field in fields]
            if fields[0] == "1":
                self.alone = numbers
            else:
                self.together = numbers
            threads, seconds, histories, _, wrong = numbers
            self.line.show(
                f"hnswlib, {threads:.0f} threads: {in_words(seconds)}, {histories:,.0f} histories, "
                f"{wrong:,.0f} violations"
            )
        elif kind == "violation":
            self.pages.append(os.path.relpath(fields[1], ROOT))

    def run(self, preset: str, seconds: float, *flags: str) -> tuple[int | None, str]:
        """Runs the harness for so long. Returns (its exit status, what it said)."""
        fixed = (f"--seconds={seconds:g}", f"--seed={self.seed}")
        command = soak_command(f"{preset}-peers", *fixed, *flags, name="stress_hnswlib")
        log = BUILD / "stress" / f"{preset}-hnswlib.log"
        status = command_line.run_logged(command, log, on_line=self.on_line, timeout=seconds + 600)
        self.line.clear()
        return status, log.read_text(errors="replace")


def build_peers() -> None:
    """Builds the harness with hnswlib, plain and for ThreadSanitizer; ends the command where it does not
    build."""
    for preset in ("release", "tsan"):
        folder = BUILD / f"{preset}-peers"
        log = BUILD / "test-logs" / f"{preset}-peers-build.log"
        definitions = ["-DHOTINDEX_BUILD_PEERS=ON", "-DHOTINDEX_BUILD_BENCH=OFF"]
        commands: list[Command] = [
            ["cmake", "--preset", preset, "-B", folder, *definitions],
            ["cmake", "--build", folder, "--target", "stress_hnswlib"],
        ]
        if not builds.run_in_turn(commands, log):
            print(command_line.tail(log), file=sys.stderr)
            sys.exit("scripts/stress: the build failed; is hnswlib installed (scripts/setup --peers)?")


def peer(options: argparse.Namespace) -> int:
    """Checks that the harness objects to hnswlib, whose contract excludes a search beside an add, and only
    where threads meet. Returns the exit status."""
    build_peers()
    out = BUILD / "stress"
    out.mkdir(parents=True, exist_ok=True)
    control = Control(options.seed)
    status, text = control.run("release", options.minutes * 40, f"--out={out}")
    if status not in (0, 1) or not control.alone or not control.together:
        print(f"hnswlib: the process ended with status {status}: its contract allows that, too")
        print(text[-3000:])
        return 1
    checked = [control.alone, control.together]
    _, races = control.run("tsan", options.minutes * 20, "--no-checks")
    reports = len(re.findall(r"WARNING: ThreadSanitizer: data race", races))
    lines = report(checked, text, races, reports)
    RESULTS.mkdir(parents=True, exist_ok=True)
    output.write_whole(RESULTS / "hnswlib.md", "\n".join(lines))
    print("\n".join(lines[4:]))
    expected = status == 0 and reports > 0
    print(f"results/stress/hnswlib.md; timeline: {', '.join(control.pages) or '-'}")
    print(
        "as expected: the checks object to hnswlib with several threads, and not with one"
        if expected
        else "NOT as expected: the checks must object to hnswlib with several threads, and not with one"
    )
    return 0 if expected else 1


def report(checked: list[list[float]], text: str, races: str, reports: int) -> list[str]:
    """Returns the lines of hnswlib.md: the counts, what the harness said, and ThreadSanitizer's reports."""
    first = re.search(r"^NOT linearizable.*?\n\n", text, re.MULTILINE | re.DOTALL)
    example = first[0].rstrip() if first else "(none)"
    summaries = [line for line in races.splitlines() if line.startswith("SUMMARY")]
    where = sorted({name for line in summaries for name in re.findall(r"::(\w+)\(", line)})
    return [
        "# The positive control: hnswlib under the same checks",
        "",
        f"Made by `scripts/stress --peer hnswlib` on {machine.processors()}, commit {commit()}. hnswlib says "
        "of itself that a search must not run beside an add. So this is no defect of hnswlib, it is a check "
        "of the checks: they must object here, and only where threads meet.",
        "",
        "| | histories | operations | not linearizable |",
        "|---|--:|--:|--:|",
        *(
            f"| {threads:.0f} {'thread' if threads == 1 else 'threads'} | {histories:,.0f} "
            f"| {calls:,.0f} | {wrong:,.0f} |"
            for threads, _, histories, calls, wrong in checked
        ),
        "",
        f"ThreadSanitizer, without any check of answers: {reports} data races"
        + (f", in {', '.join(where)} and others." if where else "."),
        "",
        "The first history that no order explains, minimised:",
        "",
        "```",
        example,
        "```",
        "",
    ]
