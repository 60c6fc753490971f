"""What the tests of scripts/test share: a run whose logs are in a folder of their own."""

from __future__ import annotations

import argparse
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from test import binaries, builds, fuzzers, own_commands, run, source_checks
from test.run import Run, Suite


class RunnerCase(unittest.TestCase):
    """Each test has a folder of its own for logs."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="hotindex-scripts-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        for module in (run, binaries, builds, fuzzers, own_commands, source_checks):
            if hasattr(module, "LOGS"):
                self.replace(module, "LOGS", self.folder)
        self.state = Run(argparse.Namespace(deep=False, quick=False))

    def replace(self, owner: object, name: str, value: object) -> None:
        """Puts something in another's place for the time of the test."""
        patch = mock.patch.object(owner, name, value)
        patch.start()
        self.addCleanup(patch.stop)


def counts(suite: Suite) -> tuple[int, int, int]:
    """Returns (passed, failed, skipped)."""
    return suite.passed, suite.failed, suite.skipped
