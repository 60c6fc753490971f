"""scripts/bench --portable: one Python file that measures on a Linux machine without any package.

The file is a zip archive that Python runs. In it are the modules of scripts/bench, and in `payload/` the
benchmark binary, every library that it needs, the loader of programs included, and origin.json: what binary
that is.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NoReturn

from bench.origin import Origin, checkout
from bench.results import Json
from common import child_processes, command_line, output
from common.failure import Failure
from common.repository import ROOT

PACKAGES = ("bench", "common", "plot")
PAYLOAD = "payload"
MODULES = "scripts/modules"
# Unpacked, because a process that guards the others starts from a file; Python then finds everything as in a
# checkout.
MAIN = f"""\
import os, sys, tempfile, zipfile
if sys.version_info < (3, 9):
    sys.exit("this needs Python 3.9 or later")
with tempfile.TemporaryDirectory(prefix="hotindex-bench-") as folder:
    with zipfile.ZipFile(os.path.dirname(os.path.abspath(__file__))) as archive:
        archive.extractall(folder)
    sys.path[0] = os.path.join(folder, "{MODULES}")
    from bench.portable import begin
    begin()
"""


def libraries_of(binary: Path) -> tuple[Path, list[Path]]:
    """Returns the loader of a dynamic program, and the libraries that it finds for it. Raises Failure."""
    listed = child_processes.run(["ldd", str(binary)], capture_output=True, env={"LC_ALL": "C"})
    if listed.returncode != 0:
        raise Failure(f"ldd {binary.name}: {child_processes.complaint(listed)}")
    missing = re.findall(r"^\s*(\S+) => not found", listed.stdout, re.MULTILINE)
    if missing:
        raise Failure(
            f"{binary.name} needs {missing[0]}, which is not here: scripts/setup installs what it needs"
        )
    loader = re.search(r"^\s*(/\S*/ld-\S+)", listed.stdout, re.MULTILINE)
    if not loader:
        raise Failure(f"ldd {binary.name} names no loader: {listed.stdout.strip()}")
    found = re.findall(r"^\s*\S+ => (/\S+)", listed.stdout, re.MULTILINE)
    return Path(loader[1]), [Path(each) for each in found]


def add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    """Adds a file, or what a link leads to, under that name."""
    archive.writestr(name, path.read_bytes(), zipfile.ZIP_DEFLATED)


def pack(origin: Origin, to: Path, modules: Path) -> int:
    """Writes the file, whole or not at all. Returns its size in bytes. Raises Failure."""
    loader, libraries = libraries_of(origin.binary)
    about: Json = {**origin.context, "binary": origin.binary.name, "loader": loader.name}
    with tempfile.TemporaryDirectory(prefix="hotindex-portable-") as scratch:
        made = Path(scratch) / "archive"
        with made.open("wb") as file:
            file.write(b"#!/usr/bin/env python3\n")
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("__main__.py", MAIN)
                for package in PACKAGES:
                    for source in sorted((modules / package).glob("*.py")):
                        add(archive, source, f"{MODULES}/{package}/{source.name}")
                add(archive, origin.binary, f"{PAYLOAD}/{origin.binary.name}")
                for library in {each.name: each for each in (loader, *libraries)}.values():
                    add(archive, library, f"{PAYLOAD}/lib/{library.name}")
                archive.writestr(f"{PAYLOAD}/origin.json", json.dumps(about, indent=1) + "\n")
        whole = made.read_bytes()
    output.write_whole(to, whole)
    os.chmod(to, 0o755)
    return len(whole)


def make(to: Path, logs: Path) -> int:
    """Builds, and writes the file. Returns the exit status. Raises Failure."""
    origin = checkout(logs)
    size = pack(origin, to, Path(__file__).resolve().parents[1])
    print(
        f"{to.name}, {size / 2**20:.1f} MiB: python3 {to.name} --out results measures on any Linux machine "
        "of this architecture with Python 3.9; here, scripts/plot draws results/results.json",
        flush=True,
    )
    return 0


def carried(payload: Path, command: str) -> Origin:
    """Returns where the unpacked binary comes from; that command measures with it. Raises Failure."""
    try:
        about: Json = json.loads((payload / "origin.json").read_text())
        name, loader = about.pop("binary"), about.pop("loader")
    except (OSError, ValueError, KeyError) as fault:
        raise Failure(f"{command} is no whole file of scripts/bench --portable: {fault}") from None
    started = payload / f"start-{name}"
    words = f'exec "{payload}/lib/{loader}" --library-path "{payload}/lib" "{payload}/{name}" "$@"'
    started.write_text(f"#!/bin/sh\n{words}\n")
    for each in (started, payload / name, payload / "lib" / loader):
        each.chmod(0o755)
    note = "the program was built on another machine, and ran here with its own libraries"
    return Origin(started, about, command, [note])


def begin() -> NoReturn:
    """Measures with the binary that was unpacked with this module, and ends the process with its exit
    status."""
    from bench import command  # it imports this module, too

    name = Path(sys.argv[0]).name
    command_line.begin_and_end(name, lambda: command.main(lambda _: carried(ROOT / PAYLOAD, name)))
