"""The machine that a result is of, in words."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

from common import child_processes


def cpu() -> str:
    """Returns the processor's name, the architecture where nobody says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    if not name:  # Arm's /proc/cpuinfo has numbers only
        with contextlib.suppress(OSError):
            listed = child_processes.run(["lscpu"], capture_output=True, env={"LC_ALL": "C"})
            named = (line.partition(":") for line in listed.stdout.splitlines())
            name = next((value.strip() for key, _, value in named if key == "Model name"), "")
    return name or platform.machine()


def processors() -> str:
    """Returns the processor's name and how many there are, for the head of a document."""
    return f"{cpu()}, {os.cpu_count()} processors"
