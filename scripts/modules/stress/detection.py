"""The checks that may find a planted bug, and how one of them is tried on one bug."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass

from common import child_processes
from stress.program import PLANTED, soak_command

NO_PROGRESS = 3  # the program's status
SANITIZER = re.compile(r"(ERROR|WARNING): \w+Sanitizer|runtime error:")
DEADLY = re.compile(
    r"AddressSanitizer(:DEADLYSIGNAL|: SEGV)|ThreadSanitizer:DEADLYSIGNAL|ThreadSanitizer: SEGV"
)


# Files of planted bugs: of ordered maps, which the index does not use; of what maps and the index use.
ORDERED = ("btree", "skip_list")
SHARED = ("map", "memory", "reclaim")
ELSEWHERE = ("adaptive", "elision")  # for the model checker alone


@dataclass(frozen=True)
class Detector:
    """A column of the matrix: a check, in one build."""

    name: str
    preset: str
    kinds: str  # of rounds
    flags: tuple[str, ...] = ()

    def runs(self, room: str) -> bool:
        """Returns whether the check runs what the bugs of that file are in."""
        kinds = self.kinds.split(",")
        of_maps = [kind for kind in kinds if kind.startswith(("maps", "visits"))]
        if room in ORDERED:
            return bool(of_maps)
        if room in ELSEWHERE:
            return False
        return room in SHARED or len(of_maps) != len(kinds)


@dataclass(frozen=True)
class Cell:
    """What one check said about one bug: found by the check, a crash, a hang, or nothing."""

    verdict: str  # "", found, crash or hang
    seconds: float
    where: str = ""  # processors and commit

    def __str__(self) -> str:
        told = f"{self.seconds:.1f} s"
        return {"": ".", "found": told}.get(self.verdict, f"{self.verdict} {told}")


# What runs with --no-checks can be found by the sanitizer alone.
ALONE = ("--no-checks",)
CONTROLLED_AND_NOT = "black_controlled,black_disturbed,maps_controlled,maps_disturbed"
DETECTORS = (
    Detector("black box, controlled", "release", "black_controlled"),
    Detector("black box, disturbed", "release", "black_disturbed"),
    Detector("white box, controlled", "release", "white_controlled"),
    Detector("white box, free", "release", "white_free,white_disturbed"),
    Detector("stops", "release", "stopping"),
    Detector("invariants", "release", "invariants"),
    Detector("exact counts", "release", "accesses"),
    Detector("pool", "release", "pool"),
    Detector("progress", "release", "progress"),
    Detector("maps", "release", "maps_controlled,maps_disturbed"),
    Detector("visits", "release", "visits"),
    Detector("ASan, LSan", "asan", f"{CONTROLLED_AND_NOT},stopping,accesses,pool,visits", ALONE),
    Detector("TSan", "tsan", "black_free,black_disturbed,accesses,maps_disturbed,visits", ALONE),
)
# On this hardware a weak order shows itself to TSan; one check of answers is there to confirm that.
OF_ORDERS = ("black box, disturbed", "TSan")


def detect(flag: str, detector: Detector, seconds: float) -> Cell:
    """Runs one check for so long on a program with this mutant. Returns what it says, and when."""
    fixed = (f"--seconds={seconds}", f"--kinds={detector.kinds}", "--stop-at-first")
    command = soak_command(detector.preset, flag, *fixed, *detector.flags, name=PLANTED)
    limit = seconds + 30
    with tempfile.TemporaryFile() as report:
        begin = time.monotonic()
        environment = {"TSAN_OPTIONS": "halt_on_error=1"}  # or its first report would end nothing
        child = child_processes.Child(command, stdout=subprocess.DEVNULL, stderr=report, env=environment)
        timer = threading.Timer(limit, child.tell, (signal.SIGKILL,))
        timer.daemon = True
        timer.start()
        _, waited, usage = os.wait4(child.pid, 0)
        timer.cancel()
        took = time.monotonic() - begin
        child.returncode = status = os.waitstatus_to_exitcode(waited)
        child.forget()
        report.seek(0)
        text = report.read().decode(errors="replace")
    if status == -signal.SIGKILL and took >= limit:
        # A loop without end computes; a controlled round on a busy machine mostly waits for its turn.
        return Cell("hang" if usage.ru_utime > limit / 3 else "", took)
    if status == 0:
        return Cell("", took)
    if SANITIZER.search(text):
        return Cell("crash" if DEADLY.search(text) else "found", took)
    return Cell("hang" if status == NO_PROGRESS else "found" if status == 1 else "crash", took)
