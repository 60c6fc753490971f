"""The one file that scripts/bench --portable writes, and what runs from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

from bench import portable
from bench.origin import Origin
from bench.results import Json
from common.failure import Failure

HERE = Path(__file__).resolve().parent
MODULES = HERE.parent / "modules"
ABOUT: Json = {"compiler": "made up 1.0", "flags": "-O9", "commit": "0123456789ab", "dirty": False}


class PortableTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="hotindex-scripts-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.file = self.folder / "bench.pyz"

    def pack(self, binary: Path) -> Path:
        """Writes the file around a program. Returns its path."""
        size = portable.pack(Origin(binary, dict(ABOUT)), self.file, MODULES)
        self.assertEqual(size, self.file.stat().st_size)
        return self.file

    def program(self) -> Path:
        """Returns a dynamic program of the system, under a name of our own."""
        copy = self.folder / "program"
        shutil.copy(os.path.realpath("/bin/sh"), copy)
        return copy

    def unpacked(self) -> Path:
        """Returns the folder of the payload."""
        with zipfile.ZipFile(self.file) as archive:
            archive.extractall(self.folder / "unpacked")
        return self.folder / "unpacked" / "payload"

    def test_the_program_runs_by_the_loader_and_the_libraries_that_it_brings(self) -> None:
        self.pack(self.program())
        payload = self.unpacked()
        origin = portable.carried(payload, "bench.pyz")
        self.assertEqual(origin.context, ABOUT)
        self.assertEqual(origin.command, "bench.pyz")
        self.assertEqual(len(origin.notes), 1)
        told = 'tr "\\0" "\\n" </proc/$$/cmdline; cat /proc/$$/maps; exit "$0"'
        done = subprocess.run([origin.binary, "-c", told, "7"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 7, done.stderr)
        mapped = [line for line in done.stdout.splitlines() if ".so" in line and "/" in line]
        self.assertTrue(mapped)
        for line in mapped:
            self.assertIn(str(payload / "lib"), line)

    def test_the_file_is_a_command_of_its_own(self) -> None:
        done = subprocess.run(
            [sys.executable, self.pack(self.program()), "--no-such-flag"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.folder)},
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--no-such-flag", done.stderr)
        self.assertEqual(list(self.folder.glob("hotindex-bench-*")), [])  # nothing stays behind

    def test_a_program_that_is_no_benchmark_is_no_success(self) -> None:
        done = subprocess.run(
            [sys.executable, self.pack(self.program()), "--out", "results"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("bench.pyz: start-program failed", done.stderr)
        self.assertFalse((self.folder / "results").exists())

    def test_a_library_that_is_not_here_is_named(self) -> None:
        listing = "\tlibgone.so.3 => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x1)\n"
        with mock.patch("common.child_processes.run") as run:
            run.return_value = subprocess.CompletedProcess([], 0, listing, "")
            with self.assertRaisesRegex(Failure, r"libgone\.so\.3.*scripts/setup"):
                portable.libraries_of(Path("program"))

    def test_what_is_no_dynamic_program_is_an_error(self) -> None:
        script = self.folder / "script"
        script.write_text("#!/bin/sh\n")
        with self.assertRaisesRegex(Failure, "ldd script"):
            portable.libraries_of(script)

    def test_a_file_that_was_cut_says_so(self) -> None:
        payload = self.folder / "payload"
        payload.mkdir()
        with self.assertRaisesRegex(Failure, "bench.pyz is no whole file"):
            portable.carried(payload, "bench.pyz")
        (payload / "origin.json").write_text(json.dumps(ABOUT))
        with self.assertRaisesRegex(Failure, "bench.pyz is no whole file.*binary"):
            portable.carried(payload, "bench.pyz")

    def test_it_goes_alone(self) -> None:
        command = [sys.executable, str(MODULES / "start.py"), "bench", f"--portable={self.file}", "--quick"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--portable goes alone", done.stderr)
        self.assertFalse(self.file.exists())
