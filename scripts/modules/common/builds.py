"""What the commands ask of cmake and ninja, and what makes a built program run."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Iterable

from common import child_processes, command_line
from common.child_processes import Command


def run_in_turn(commands: Iterable[Command], log: Path) -> bool:
    """Runs commands until one fails; the log is of the last one that ran. Returns whether all succeeded."""
    return all(command_line.run_logged(command, log) == 0 for command in commands)


def step_of(line: str) -> str:
    """Returns how far ninja is by a line that it prints, such as 3/14; "" when the line does not say."""
    step = re.match(r"\[(\d+/\d+)\]", line)
    return step[1] if step else ""


def known_targets(folder: Path) -> set[str]:
    """Returns the targets of a build folder."""
    listing: Command = ["ninja", "-C", folder, "-t", "targets", "all"]
    listed = child_processes.run(listing, capture_output=True).stdout
    return {line.split(":")[0] for line in listed.splitlines()}


def fixed_addresses() -> list[str]:
    """Returns the words that start a program of ThreadSanitizer: that of older compilers dies at its start
    where the kernel randomises addresses widely."""
    command = ["setarch", platform.machine(), "-R"]
    try:
        works = child_processes.run([*command, "true"], capture_output=True).returncode == 0
    except OSError:
        works = False
    return command if works else []
