"""What the numbers depend on: machine, build, source, dataset."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import re
import shlex
import sys

from bench.results import Json
from common import child_processes, machine, repository
from common.repository import ROOT


def cores():
    return len(os.sched_getaffinity(0))


def first_line(command):
    try:
        said = child_processes.run(command, capture_output=True, cwd=ROOT).stdout
    except OSError:
        return ""
    return said.splitlines()[0].strip() if said.strip() else ""


def describe_machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": machine.cpu(),
        "cores": cores(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": f"{platform.system()} {re.match(r'[0-9.]*', platform.release())[0]} {platform.machine()}",
    }


def describe_build(folder=ROOT / "build" / "release"):
    """The compiler and the flags that the benchmark binary was really compiled with."""
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


def describe_source():
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


def describe_dataset(options):
    path = options.dataset
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
