"""What the tests of scripts/stress share: programs of their own in place of those that are built."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from typing import Callable
from unittest import mock

from stress import command, detection, garbage, matrix, peer, soak


def quietly(run: Callable[[], object]) -> tuple[object, str]:
    """Returns (what a function returns, what it prints)."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return run(), said.getvalue()


class ProgramCase(unittest.TestCase):
    """Each test has a program of its own in place of those that are built."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="hotindex-scripts-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.script = ""
        for module in (detection, matrix, garbage, peer, soak, command):
            if hasattr(module, "soak_command"):
                self.replace(module, "soak_command", self.command)
            if hasattr(module, "build"):
                self.replace(module, "build", lambda preset, target="": None)
            for place in ("RESULTS", "BUILD"):
                if hasattr(module, place):
                    self.replace(module, place, self.folder)
        self.replace(matrix, "MATRIX", self.folder / "detection.json")
        self.replace(matrix, "ROOT", self.folder)

    def replace(self, owner: object, name: str, value: object) -> None:
        """Puts something in another's place for the time of the test."""
        patch = mock.patch.object(owner, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def command(self, preset: str, *flags: str, name: str = "") -> list[str]:
        """Returns the words that run the program of the test; $* are its flags."""
        return ["sh", "-c", self.script, preset, *flags]
