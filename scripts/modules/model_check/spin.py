"""Spin: how a Promela model becomes a program that searches all its states, and what that program says."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping

from common import child_processes, command_line
from common.child_processes import Command
from common.failure import Failure

DEPTH = 20_000  # steps of an execution
MEMORY = 4_000  # MiB
HOLDS, VIOLATED, INCOMPLETE = "holds", "violated", "incomplete"


class SpinFailed(Failure):
    """There is no Spin, or the model does not become a program."""


@dataclass
class Outcome:
    """What a search has come to."""

    verdict: str  # HOLDS: all states were met, none was an error; VIOLATED: an assertion; INCOMPLETE: neither
    why: str = ""  # the assertion, or what the search lacks
    errors: int = 0
    states: int = 0
    depth: int = 0
    memory: float = 0.0  # MiB
    seconds: float = 0.0


# Where one of them is said, not all states were met, whatever else is said.
LIMITS = {
    "max search depth too small": f"the search is not deep enough: {DEPTH} steps",
    "reached -DMEMLIM bound": f"it takes more than {MEMORY} MiB",
    "out of memory": "there is not enough memory",
    "VECTORSZ": "a state is too large",
}
ERROR = re.compile(r"^pan:\d+: (.+?) \(at depth -?\d+\)", re.MULTILINE)
COUNTS = re.compile(r"depth reached (\d+), errors: (\d+)")
STATES = re.compile(r"^\s*(\d+) states, stored", re.MULTILINE)
MEGABYTES = re.compile(r"^\s*([\d.]+)\s+total actual memory usage", re.MULTILINE)
ELAPSED = re.compile(r"elapsed time ([\d.]+(?:e[+-]?\d+)?) seconds")
REDUCED = re.compile(r"^Bit statespace search|^Hash-Compact", re.MULTILINE)


def read_outcome(said: str, status: int | None) -> Outcome:
    """Returns what the output and exit status (None: killed for its time) of a search come to. What is not
    plainly a whole search without an error, or an assertion that fails, is incomplete."""
    counts = COUNTS.search(said)
    outcome = Outcome(INCOMPLETE)
    if counts:
        outcome.depth, outcome.errors = int(counts[1]), int(counts[2])
    for pattern, name in ((MEGABYTES, "memory"), (ELAPSED, "seconds")):
        found = pattern.search(said)
        setattr(outcome, name, float(found[1]) if found else 0.0)
    states = STATES.search(said)
    outcome.states = int(states[1]) if states else 0
    error = ERROR.search(said)
    limit = next((reason for text, reason in LIMITS.items() if text in said), "")
    if error and error[1].startswith("assertion violated"):
        outcome.why = error[1][len("assertion violated") :].strip()
        # The model's own bounds: no claim about the protocol.
        if "clock_now<" in outcome.why.replace(" ", ""):
            outcome.why = "the clock of the model ends too early: TIMES"
        elif outcome.errors:
            outcome.verdict = VIOLATED
    elif error:
        outcome.why = error[1]
    elif limit:
        outcome.why = limit
    elif status is None:
        outcome.why = "it took too long"
    elif status != 0:
        outcome.why = f"the search ended with {child_processes.how_it_ended(status)}"
    elif not counts or not states:
        outcome.why = "the search does not say what it has met"
    elif outcome.errors or "Search not completed" in said:
        outcome.why = "the search was not completed"
    elif REDUCED.search(said):
        outcome.why = "the search was not exhaustive"
    else:
        outcome.verdict = HOLDS
    return outcome


def version() -> str:
    """Returns Spin's version. Raises SpinFailed where there is no Spin."""
    if not shutil.which("spin"):
        raise SpinFailed("spin is not installed: scripts/setup installs it (Debian package spin)")
    said = child_processes.run(["spin", "-V"], capture_output=True).stdout
    found = re.search(r"\d+(?:\.\d+)+", said)
    return found[0] if found else said.strip()


def definitions(parameters: Mapping[str, int]) -> list[str]:
    """Returns the flags that give the model its parameters."""
    return [f"-D{name}={value}" for name, value in parameters.items()]


def search(
    model: Path,
    parameters: Mapping[str, int],
    folder: Path,
    progress: Callable[[str], None],
    *,
    long: bool,
    timeout: float,
) -> Outcome:
    """Searches all states of the model with these parameters, in that folder, where the trail of an error
    stays. Tells `progress` how many it has met. `long`: it takes long (protocol_list). Returns
    the outcome. Raises SpinFailed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder / "log"
    # What does not take long is not worth the seconds of -O2. Without -DCOLLAPSE, -DBITSTATE and -DHC each
    # state is kept as it is.
    generator: Command = ["spin", "-a", *definitions(parameters), model]
    compiler: Command = [
        "gcc",
        "-w",
        "-O2" if long else "-O0",
        "-DSAFETY",
        f"-DMEMLIM={MEMORY}",
        "-o",
        "pan",
        "pan.c",
    ]
    for command in (generator, compiler):
        if command_line.run_logged(command, log, cwd=folder) != 0 or not (folder / "pan.c").exists():
            raise SpinFailed(f"{' '.join(map(str, command))} failed:\n{command_line.tail(log)}")

    def on_line(line: str) -> None:
        met = re.search(r"States=\s*([\d.e+]+)", line)
        if met:
            progress(f"{float(met[1]):,.0f} states")

    status = command_line.run_logged(
        ["./pan", "-n", f"-m{DEPTH}", "-w24"], log, cwd=folder, on_line=on_line, timeout=timeout
    )
    return read_outcome(log.read_text(errors="replace"), status)
