"""What the numbers depend on: machine, build, source, dataset."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shlex
from pathlib import Path

from common import child_processes, repository
from common.repository import ROOT


def cores():
    return len(os.sched_getaffinity(0))


def first_line(command):
    try:
        said = child_processes.run(command, capture_output=True, text=True, cwd=ROOT).stdout
    except OSError:
        return ""
    return said.splitlines()[0].strip() if said.strip() else ""


def describe_machine():
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    if not cpu:  # Arm's /proc/cpuinfo has numbers only
        with contextlib.suppress(OSError):
            listed = child_processes.run(["lscpu"], capture_output=True, text=True, env={"LC_ALL": "C"})
            named = (line.partition(":") for line in listed.stdout.splitlines())
            cpu = next((value.strip() for key, _, value in named if key == "Model name"), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu or platform.machine(),
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
