"""The programs that scripts/stress builds and runs, and what they run on."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from common import child_processes, command_line, repository
from common.repository import ROOT

BUILD = ROOT / "build"
RESULTS = ROOT / "results" / "stress"
PRESETS = {"none": "release", "tsan": "tsan", "asan": "asan"}


def build(preset):
    log = BUILD / "test-logs" / f"{preset}-stress-build.log"
    for command in (
        ["cmake", "--preset", preset],
        ["cmake", "--build", BUILD / preset, "--target", "stress_soak"],
    ):
        if command_line.run_logged(command, log) != 0:
            print(command_line.tail(log), file=sys.stderr)
            sys.exit(f"scripts/stress: the build failed; log: {log.relative_to(ROOT)}")


def soak_command(preset, *flags, name="stress_soak"):
    fixed = []
    if preset.startswith(
        "tsan"
    ):  # older ones die at their start where the kernel randomises addresses widely
        fixed = ["setarch", platform.machine(), "-R"]
        if child_processes.run([*fixed, "true"], capture_output=True).returncode != 0:
            fixed = []
    return [*fixed, str(BUILD / preset / "stress" / name), *flags]


def commit() -> str:
    """Returns the commit that is checked out, shortened."""
    return repository.commit(7)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} processors"
    return f"{platform.machine()}, {os.cpu_count()} processors"
