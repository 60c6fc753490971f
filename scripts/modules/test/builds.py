"""The steps that configure and build a folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Sequence

from common import builds, child_processes, command_line
from common.child_processes import Command
from test.run import LOGS, NotReached, Run, StepFailed, StepSkipped


def configure(run: Run, preset: str, folder: Path, extra: Sequence[str] = ()) -> None:
    """Configures a build folder."""
    # Said either way, so that the folder does not remember the last run's answer.
    strict = os.environ.get("CI") == "true"
    definitions = [
        f"-DHOTINDEX_WERROR={'ON' if strict else 'OFF'}",
        f"-DHOTINDEX_EVERY_CHECK={'ON' if run.options.deep else 'OFF'}",
        "-DHOTINDEX_BUILD_PYTHON=OFF",  # a step of its own
        *extra,
    ]
    log = LOGS / f"{folder.name}-configure.log"
    command: Command = ["cmake", "--preset", preset, "-B", folder, *definitions]
    if command_line.run_logged(command, log, on_line=lambda line: run.live(line.strip())) != 0:
        run.broken.add(folder)
        raise StepFailed(command_line.tail(log))


def build(run: Run, folder: Path, targets: Sequence[str] = ()) -> None:
    """Builds those of the targets that the folder has; everything where none is given."""
    if folder in run.broken:
        raise NotReached
    known = builds.known_targets(folder)
    wanted = [target for target in targets if target in known]
    log = LOGS / f"{folder.name}-build.log"
    command: Command = ["cmake", "--build", folder, *(["--target", *wanted] if wanted else [])]

    def on_line(line: str) -> None:
        step = builds.step_of(line)
        if step:
            run.live(step)

    if command_line.run_logged(command, log, on_line=on_line) != 0:
        run.broken.add(folder)
        raise StepFailed(command_line.tail(log, 60))


def fuzz_configure(run: Run, folder: Path) -> None:
    """Configures the fuzz targets, where clang has libFuzzer."""
    missing = "clang-19 with libFuzzer is not installed (scripts/setup --lint)"
    if not clang_available():
        run.broken.add(folder)
        raise StepSkipped(missing)
    with tempfile.TemporaryDirectory() as scratch:
        probe = 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
        command = ["clang++-19", "-fsanitize=fuzzer,address", "-x", "c++", "-", "-o", f"{scratch}/probe"]
        if child_processes.run(command, text_input=probe, capture_output=True).returncode != 0:
            run.broken.add(folder)
            raise StepSkipped(missing)
    configure(run, "fuzz", folder)


def clang_available() -> bool:
    """Returns whether clang is installed."""
    return bool(shutil.which("clang-19") and shutil.which("clang++-19"))


CLANG = ["-DCMAKE_C_COMPILER=clang-19", "-DCMAKE_CXX_COMPILER=clang++-19"]


def sanitizer_configure(run: Run, preset: str, folder: Path) -> None:
    """Configures a sanitizer's build: by clang where it is installed, which compiles such code in half the
    time that g++ takes. CXX, and the compiler that the folder was made with, have precedence."""
    chosen = "CXX" in os.environ or (folder / "CMakeCache.txt").exists()
    configure(run, preset, folder, [] if chosen or not clang_available() else CLANG)


def clang_configure(run: Run, folder: Path) -> None:
    """Configures a release build by clang."""
    if not clang_available():
        run.broken.add(folder)
        raise StepSkipped("clang-19 is not installed (scripts/setup --lint)")
    configure(run, "release", folder, [*CLANG, "-DHOTINDEX_WERROR=ON"])
