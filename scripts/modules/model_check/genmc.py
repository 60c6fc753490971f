"""GenMC: how a model in C is explored under a weak memory model, and what GenMC says."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from common import child_processes, command_line
from common.child_processes import Command
from common.failure import Failure

HOLDS, VIOLATED, INCOMPLETE = "holds", "violated", "incomplete"
MEMORY_MODELS = {"rc11": "RC11", "imm": "IMM"}  # its flags, and their names
# Without the transformation of loops that spin no execution is given up: each has to be complete.
FLAGS = ["--disable-estimation", "--disable-spin-assume"]


class GenmcFailed(Failure):
    """GenMC does not say what it is."""


@dataclass
class Outcome:
    """What an exploration has come to."""

    verdict: str  # HOLDS: every execution was met, none was an error; VIOLATED: an error; INCOMPLETE: neither
    why: str = ""  # the error, or what the exploration lacks
    executions: int = 0  # complete ones
    seconds: float = 0.0


ERROR = re.compile(r"^Error: (.+?)!?$", re.MULTILINE)
ASSERTION = re.compile(r"^Assertion violation: (.+)$", re.MULTILINE)
COMPLETE = re.compile(r"^Number of complete executions explored: (\d+)", re.MULTILINE)
BLOCKED = re.compile(r"^Number of blocked executions seen: (\d+)", re.MULTILINE)
ELAPSED = re.compile(r"^Total wall-clock time: ([\d.]+)s", re.MULTILINE)
# What says something about the protocol. Other errors are the model's own.
ASSERTS, RACE = "Safety violation", "Non-atomic race"


def read_outcome(said: str, status: int | None) -> Outcome:
    """Returns what the output and exit status (None: killed for its time) of GenMC come to. What is not
    plainly a whole exploration without an error, or an assertion that fails, or a data race, is incomplete.
    """
    outcome = Outcome(INCOMPLETE)
    complete, elapsed = COMPLETE.search(said), ELAPSED.search(said)
    outcome.executions = int(complete[1]) if complete else 0
    outcome.seconds = float(elapsed[1]) if elapsed else 0.0
    error, assertion, blocked = ERROR.search(said), ASSERTION.search(said), BLOCKED.search(said)
    if status is None:
        outcome.why = "it took too long"
    elif error and error[1] == ASSERTS and assertion:
        outcome.verdict, outcome.why = VIOLATED, assertion[1].strip()
    elif error and error[1] == RACE:
        outcome.verdict, outcome.why = VIOLATED, "data race"
    elif error:
        outcome.why = error[1]
    elif status != 0:
        last = said.strip().splitlines()[-1:] or [""]
        outcome.why = f"genmc ended with {child_processes.how_it_ended(status)}: {last[0]}"
    elif "No errors were detected" not in said or not complete:
        outcome.why = "genmc does not say what it has met"
    elif blocked and int(blocked[1]):
        outcome.why = f"{blocked[1]} executions were blocked"
    elif not outcome.executions:
        outcome.why = "no execution is complete"
    else:
        outcome.verdict = HOLDS
    return outcome


def is_there() -> bool:
    """Returns whether a genmc is on the PATH."""
    return shutil.which("genmc") is not None


def version() -> str:
    """Returns GenMC's version. Raises GenmcFailed."""
    done = child_processes.run(["genmc", "--version"], capture_output=True)
    found = re.search(r"v(\d+(?:\.\d+)+)", done.stdout + done.stderr)
    if not found:
        raise GenmcFailed(f"genmc --version says no version: {child_processes.complaint(done)}")
    return found[1]


def command(model: Path, memory: str, flags: Sequence[str], includes: Path) -> Command:
    """Returns the command that explores a model, with these flags for its compiler."""
    return ["genmc", f"--{memory}", *FLAGS, "--", f"-I{includes}", *flags, model]


def explore(
    model: Path, memory: str, flags: Sequence[str], includes: Path, log: Path, timeout: float
) -> Outcome:
    """Explores every execution of a model under a memory model (a key of MEMORY_MODELS), up to the first
    error. What GenMC says is left in `log`. Returns the outcome."""
    status = command_line.run_logged(command(model, memory, flags, includes), log, timeout=timeout)
    return read_outcome(log.read_text(errors="replace"), status)
