"""The steps that look at the files: syntax, format, clang-tidy."""

from __future__ import annotations

import concurrent.futures
import json
import os
import py_compile
import re
import shutil
import tempfile
from pathlib import Path

from common import child_processes, command_line
from common.repository import ROOT
from test.run import LOGS, NotReached, Run, StepFailed, StepSkipped, files_of_project, shell_files, shorten


def setup(run: Run) -> None:
    """Installs what is built and tested with, and what the checks need. Where a system does not have all of
    the latter, the checks that miss something say so."""
    log = LOGS / "setup.log"
    command = ROOT / "scripts" / "setup"
    if command_line.run_logged([command, "--lint"], LOGS / "setup-lint.log") != 0:
        if command_line.run_logged([command], log) != 0:
            raise StepFailed(command_line.tail(log))


def check_scripts(run: Run) -> None:
    """Checks the syntax of Python and shell."""
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        for path in files_of_project(".py"):
            try:
                py_compile.compile(str(path), cfile=f"{scratch}/compiled", doraise=True)
            except py_compile.PyCompileError as failure:
                problems.append(f"    | {failure}")
    shells = shell_files()
    for path in shells:
        checked = child_processes.run(["bash", "-n", path], capture_output=True)
        if checked.returncode:
            problems.append(f"    | {checked.stderr.strip()}")
    if shutil.which("shellcheck") and shells:
        checked = child_processes.run(["shellcheck", "-x", *shells], cwd=ROOT, capture_output=True)
        if checked.returncode:
            problems.append(checked.stdout or checked.stderr)
    if problems:
        raise StepFailed("\n".join(problems))


def check_format(run: Run) -> None:
    """Checks that C++ and C are as clang-format leaves them."""
    tool = shutil.which("clang-format-19")
    if not tool:
        raise StepSkipped("clang-format-19 is not installed (scripts/setup --lint)")
    files = files_of_project(".cpp", ".hpp", ".c", ".h")
    log = LOGS / "format.log"
    if command_line.run_logged([tool, "--dry-run", "-Werror", "--ferror-limit=1", *files], log) != 0:
        found = re.findall(
            r"^(.+?):(\d+):\d+: error: code should be", log.read_text(errors="replace"), re.MULTILINE
        )
        if not found:
            raise StepFailed(command_line.tail(log))
        names = [shorten(name) for name, _ in found]
        places = "\n".join(
            f"    | {name}:{line} is the first of its lines" for name, (_, line) in zip(names, found)
        )
        raise StepFailed(f"{places}\n    | to repair: clang-format-19 -i {' '.join(names)}")


def clang_tidy(run: Run, folder: Path) -> None:
    """Runs clang-tidy on every source of a build folder."""
    tool = shutil.which("clang-tidy-19")
    if not tool:
        raise StepSkipped("clang-tidy-19 is not installed (scripts/setup --lint)")
    if not (folder / "compile_commands.json").exists():
        raise NotReached
    commands = json.loads((folder / "compile_commands.json").read_text())
    ours = set(files_of_project(".cpp"))
    files = sorted({Path(each["file"]) for each in commands} & ours)
    problems: list[str] = []
    done = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(
                child_processes.run,
                [tool, "-p", str(folder), "--quiet", "--warnings-as-errors=*", str(path)],
                capture_output=True,
                cwd=ROOT,
            )
            for path in files
        ]
        for job in concurrent.futures.as_completed(jobs):
            done += 1
            run.live(f"{done}/{len(files)}")
            if job.result().returncode:
                problems.append(job.result().stdout.strip() or job.result().stderr.strip())
    (LOGS / "clang-tidy.log").write_text("\n".join(problems))
    if problems:
        raise StepFailed(
            command_line.tail(LOGS / "clang-tidy.log", 80)
            + "\n    | all of it: build/test-logs/clang-tidy.log"
        )
