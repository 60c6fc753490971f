"""What the numbers depend on: machine, build, source, dataset."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import re
import shlex
import sys
from pathlib import Path

from bench.results import Json
from common import child_processes, machine, repository
from common.repository import ROOT


def cores() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def first_line(command: child_processes.Command) -> str:
    """Returns the first line that a command prints, "" where it cannot be run."""
    try:
        said = child_processes.run(command, capture_output=True, cwd=ROOT).stdout
    except OSError:
        return ""
    return said.splitlines()[0].strip() if said.strip() else ""


def describe_machine() -> Json:
    """Returns the machine for a document's context: processor, cores, memory, kernel."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": machine.cpu(),
        "cores": cores(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": f"{platform.system()} {re.sub(r'[^0-9.].*', '', platform.release())} {platform.machine()}",
    }


def describe_build(folder: Path = ROOT / "build" / "release") -> Json:
    """Returns the compiler and the flags that the benchmark binary was really compiled with."""
    commands = json.loads((folder / "compile_commands.json").read_text())
    chosen = next((each for each in commands if "hotindex_bench.dir" in each["command"]), commands[0])
    compiler, *words = shlex.split(chosen["command"])
    flags, skip = [], False
    for word in words:
        if skip or word in ("-o", "-c", "-isystem", "-I", "-MF", "-MT", "-MQ"):
            skip = not skip
        elif word.startswith("-") and not word.startswith(("-I", "-MD", "-isystem")):
            flags.append(word)
    return {"compiler": first_line([compiler, "--version"]), "flags": " ".join(flags)}


def describe_source() -> Json:
    """Returns the commit that is checked out, and whether files differ from it."""
    return {"commit": repository.commit(), "dirty": repository.changed()}


def describe_run(command: str) -> Json:
    """Returns where a document comes from: the source, the time, and the command with its arguments."""
    return {
        **describe_source(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command_line": shlex.join([command, *shown_arguments(sys.argv[1:])]),
    }


def shown_arguments(arguments: list[str]) -> list[str]:
    """Returns the arguments as given, paths outside the repository by their last part only."""
    return [re.sub(r"(^|=)(\.\.?/|/)[^=]*/", r"\1", argument) for argument in arguments]


def describe_dataset(options: argparse.Namespace) -> str:
    """Returns the dataset in words: its file's name, size and digest, and what is used of it."""
    path: Path | None = options.dataset
    if path is None:
        return "generated"
    digest = hashlib.sha256()
    with path.open("rb") as source:
        for block in iter(lambda: source.read(1 << 20), b""):
            digest.update(block)
    told = [f"{path.name}, {path.stat().st_size:,} bytes, sha256 {digest.hexdigest()[:16]}"]
    told += [f"the first {options.rows:,} rows"] if options.rows else []
    told += [f"compared by {options.metric}"] if options.metric else []
    return ", ".join(told)
