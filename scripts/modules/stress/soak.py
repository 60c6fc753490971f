"""scripts/stress --minutes and --replay: random calls, every answer checked."""

from __future__ import annotations

import os
import re
import sys

from common import child_processes, command_line
from common.command_line import in_words
from common.repository import ROOT
from stress.program import BUILD, PRESETS, build, soak_command


def mutation(options):
    flags = [f"--bug={options.bug}"] if options.bug else []
    return flags + ([f"--weaken={options.weaken}"] if options.weaken else [])


def soak(options):
    preset = PRESETS[options.sanitizer]
    build(preset)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    flags = [f"--out={out}", *mutation(options)]
    if options.replay:
        flags.append(f"--replay={options.replay}")
    else:
        flags += [f"--seconds={options.minutes * 60:g}", f"--seed={options.seed}"]
    for name in ("TSAN_OPTIONS", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS"):
        if "suppressions=" in os.environ.get(name, ""):
            sys.exit(f"scripts/stress: {name} names suppressions; a soak with suppressions proves nothing")
    log = BUILD / "stress" / f"{preset}.log"
    line = command_line.ProgressLine(every=30)
    last = []
    violations = []

    def on_line(text):
        kind, *fields = text.split("\t")
        if kind in ("progress", "done"):
            last[:] = [float(field) for field in fields]
            seconds, rounds, calls, wrong, limbo, memory = last
            left = "" if options.replay else f" of {in_words(options.minutes * 60)}"
            line.show(
                f"{in_words(seconds)}{left}: {rounds:,.0f} histories, {calls:,.0f} operations, {wrong:.0f} violations, "
                f"limbo at most {limbo:,.0f}, resident {memory:.0f} MiB"
            )
        elif kind == "violation":
            violations.append(fields)
            line.clear()
            extra = "".join(
                f" --{name} {value}"
                for name, value in (("bug", options.bug), ("weaken", options.weaken))
                if value
            )
            sanitizer = "" if options.sanitizer == "none" else f" --sanitizer {options.sanitizer}"
            print(f"violation; again: scripts/stress --replay {fields[0]}{sanitizer}{extra}", flush=True)
            if len(fields) > 1 and fields[1] != "-":
                print(f"  timeline: {os.path.relpath(fields[1], ROOT)}", flush=True)

    limit = None if options.replay else options.minutes * 60 + 600
    ended = None
    try:
        status = command_line.run_logged(soak_command(preset, *flags), log, on_line=on_line, timeout=limit)
    except child_processes.Ended as signal_:
        ended, status = signal_, 128 + signal_.number
    line.clear()
    seconds, rounds, calls, wrong, limbo, memory = last or [0] * 6
    reports = len(
        re.findall(r"(?:ERROR|WARNING): \w+Sanitizer|runtime error:", log.read_text(errors="replace"))
    )
    if reports or violations or (status not in (0, 1) and not ended):
        print(command_line.tail(log, 60))
    if status is None:
        print(f"stopped: a round did not end within {in_words(limit)}")
    print(
        f"{options.sanitizer}: {in_words(seconds)}, {calls:,.0f} operations in {rounds:,.0f} histories, "
        f"{wrong:.0f} violations, {reports} sanitizer reports, 0 suppressions, limbo at most {limbo:,.0f} objects, "
        f"resident {memory:.0f} MiB, exit status {status}"
    )
    if ended:
        raise ended
    return 0 if status == 0 and not reports else 1
