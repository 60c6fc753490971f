"""scripts/stress --minutes and --replay: random calls, every answer checked."""

from __future__ import annotations

import argparse
import os
import re
import sys

from common import child_processes, command_line
from common.command_line import in_words
from common.repository import ROOT
from stress.program import BUILD, PLANTED, PRESETS, SOAK, build, soak_command


def mutation(options: argparse.Namespace) -> list[str]:
    """Returns the program's flags for a planted bug or a weakened edge."""
    flags = [f"--bug={options.bug}"] if options.bug else []
    return flags + ([f"--weaken={options.weaken}"] if options.weaken else [])


class Told:
    """What a soak has told until now."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.line = command_line.ProgressLine(every=30)
        # Seconds, histories, operations, violations, limbo at most, resident MiB.
        self.last = [0.0] * 6
        self.violations = 0

    def on_line(self, text: str) -> None:
        """Takes in a line of the program."""
        kind, *fields = text.split("\t")
        if kind in ("progress", "done"):
            self.last = [float(field) for field in fields]
            seconds, rounds, calls, wrong, limbo, memory = self.last
            left = "" if self.options.replay else f" of {in_words(self.options.minutes * 60)}"
            self.line.show(
                f"{in_words(seconds)}{left}: {rounds:,.0f} histories, {calls:,.0f} operations, "
                f"{wrong:.0f} violations, limbo at most {limbo:,.0f}, resident {memory:.0f} MiB"
            )
        elif kind == "violation":
            self.violations += 1
            self.line.clear()
            mutant = (("bug", self.options.bug), ("weaken", self.options.weaken))
            extra = "".join(f" --{name} {value}" for name, value in mutant if value)
            sanitizer = self.options.sanitizer
            how = "" if sanitizer == "none" else f" --sanitizer {sanitizer}"
            print(f"violation; again: scripts/stress --replay {fields[0]}{how}{extra}", flush=True)
            if len(fields) > 1 and fields[1] != "-":
                print(f"  timeline: {os.path.relpath(fields[1], ROOT)}", flush=True)


def soak(options: argparse.Namespace) -> int:
    """Soaks the index, or plays a round again. Returns the exit status."""
    preset = PRESETS[options.sanitizer]
    program = PLANTED if options.bug else SOAK
    build(preset, program)
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
    told = Told(options)
    limit = None if options.replay else options.minutes * 60 + 600
    ended: child_processes.Ended | None = None
    status: int | None
    try:
        command = soak_command(preset, *flags, name=program)
        status = command_line.run_logged(command, log, on_line=told.on_line, timeout=limit)
    except child_processes.Ended as signal:
        ended, status = signal, 128 + signal.number
    told.line.clear()
    said = log.read_text(errors="replace")
    reports = len(re.findall(r"(?:ERROR|WARNING): \w+Sanitizer|runtime error:", said))
    if reports or told.violations or (status not in (0, 1) and not ended):
        print(command_line.tail(log, 60))
    if status is None:
        print(f"stopped: a round did not end within {in_words(limit or 0)}")
    seconds, rounds, calls, wrong, limbo, memory = told.last
    print(
        f"{options.sanitizer}: {in_words(seconds)}, {calls:,.0f} operations in {rounds:,.0f} histories, "
        f"{wrong:.0f} violations, {reports} sanitizer reports, 0 suppressions, "
        f"limbo at most {limbo:,.0f} objects, resident {memory:.0f} MiB, exit status {status}"
    )
    if ended:
        raise ended
    return 0 if status == 0 and not reports else 1
