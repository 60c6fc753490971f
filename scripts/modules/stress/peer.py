"""scripts/stress --peer: the positive control, an index that must fail the checks."""

from __future__ import annotations

import os
import re
import sys

from common import command_line, machine, output
from common.command_line import in_words
from common.repository import ROOT
from stress.program import BUILD, RESULTS, commit, soak_command


def peer(options):
    """hnswlib's contract excludes a search beside an add: the harness must object, and only where threads meet."""
    for preset in ("release", "tsan"):
        folder = BUILD / f"{preset}-peers"
        log = BUILD / "test-logs" / f"{preset}-peers-build.log"
        definitions = ["-DHOTINDEX_BUILD_PEERS=ON", "-DHOTINDEX_BUILD_BENCH=OFF"]
        for command in (
            ["cmake", "--preset", preset, "-B", folder, *definitions],
            ["cmake", "--build", folder, "--target", "stress_hnswlib"],
        ):
            if command_line.run_logged(command, log) != 0:
                print(command_line.tail(log), file=sys.stderr)
                sys.exit("scripts/stress: the build failed; is hnswlib installed (scripts/setup --peers)?")
    out = BUILD / "stress"
    out.mkdir(parents=True, exist_ok=True)
    line = command_line.ProgressLine(every=30)
    alone, together, pages = [], [], []

    def on_line(text):
        kind, *fields = text.split("\t")
        if kind in ("progress", "done"):
            (alone if fields[0] == "1" else together)[:] = [float(field) for field in fields]
            threads, seconds, histories, calls, wrong = map(float, fields)
            line.show(
                f"hnswlib, {threads:.0f} threads: {in_words(seconds)}, {histories:,.0f} histories, {wrong:,.0f} violations"
            )
        elif kind == "violation":
            pages.append(os.path.relpath(fields[1], ROOT))

    def soak_peer(preset, seconds, *flags):
        command = soak_command(
            f"{preset}-peers",
            f"--seconds={seconds:g}",
            f"--seed={options.seed}",
            *flags,
            name="stress_hnswlib",
        )
        log = out / f"{preset}-hnswlib.log"
        status = command_line.run_logged(command, log, on_line=on_line, timeout=seconds + 600)
        line.clear()
        return status, log.read_text(errors="replace")

    status, text = soak_peer("release", options.minutes * 40, f"--out={out}")
    if status not in (0, 1) or not alone or not together:
        print(
            f"hnswlib: the process ended with status {status}: its contract allows that, too\n{text[-3000:]}"
        )
        return 1
    first = re.search(r"^NOT linearizable.*?\n\n", text, re.MULTILINE | re.DOTALL)
    example = first[0].rstrip() if first else "(none)"
    checked = [list(alone), list(together)]
    _, races = soak_peer("tsan", options.minutes * 20, "--no-checks")
    where = sorted(
        {
            name
            for line in races.splitlines()
            if line.startswith("SUMMARY")
            for name in re.findall(r"::(\w+)\(", line)
        }
    )
    reports = len(re.findall(r"WARNING: ThreadSanitizer: data race", races))
    lines = [
        "# The positive control: hnswlib under the same checks",
        "",
        f"Made by `scripts/stress --peer hnswlib` on {machine.processors()}, commit {commit()}. hnswlib says of itself that a search "
        "must not run beside an add. So this is no defect of hnswlib, it is a check of the checks: they must object here, "
        "and only where threads meet.",
        "",
        "| | histories | operations | not linearizable |",
        "|---|--:|--:|--:|",
        *(
            f"| {threads:.0f} {'thread' if threads == 1 else 'threads'} | {histories:,.0f} | {calls:,.0f} | {wrong:,.0f} |"
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
    RESULTS.mkdir(parents=True, exist_ok=True)
    output.write_whole(RESULTS / "hnswlib.md", "\n".join(lines))
    print("\n".join(lines[4:]))
    expected = status == 0 and reports > 0
    print(f"results/stress/hnswlib.md; timeline: {', '.join(pages) or '-'}")
    print(
        "as expected: the checks object to hnswlib with several threads, and not with one"
        if expected
        else "NOT as expected: the checks must object to hnswlib with several threads, and not with one"
    )
    return 0 if expected else 1
