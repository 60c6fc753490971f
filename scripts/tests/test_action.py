"""The action for other people's workflows: what it declares, and what it makes of its inputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from google_case import FILES

FOLDER = Path(__file__).resolve().parents[2] / ".github" / "actions" / "gate"


class ActionTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="hotindex-scripts-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def run_it(self, **inputs: str) -> tuple[int, str]:
        """Returns (exit status, what was said) as a runner would start it, which gives every input."""
        text = (FOLDER / "action.yml").read_text()
        declared = re.findall(r"^        (GATE_\w+): \$\{\{ inputs\.", text, re.MULTILINE)
        environment = {**os.environ, **dict.fromkeys(declared, ""), "GATE_CANNOT_DECIDE": "green"}
        environment |= {
            "HOTINDEX_NO_SETUP": "1",
            "HOTINDEX_PYTHON": sys.executable,
            "GITHUB_ACTION_PATH": str(FOLDER),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "RUNNER_TEMP": str(self.folder),
        }
        self.assertLessEqual(inputs.keys(), {*declared})
        [line] = re.findall(r"^      run: '(.*)'$", text, re.MULTILINE)
        done = subprocess.run(
            ["bash", "-e", "-c", line],
            env={**environment, **inputs},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def files(self, old: str, new: str, **inputs: str) -> tuple[int, str]:
        """Returns (exit status, what was said) of a comparison of two files."""
        return self.run_it(
            GATE_BASELINE=str(FILES / f"{old}.json"), GATE_CANDIDATE=str(FILES / f"{new}.json"), **inputs
        )

    def test_every_input_is_declared_and_used(self) -> None:
        text = (FOLDER / "action.yml").read_text()
        inputs = re.search(r"^inputs:\n((?:  .*\n)+)", text, re.MULTILINE)
        assert inputs
        declared = set(re.findall(r"^  ([\w-]+):$", inputs[1], re.MULTILINE))
        self.assertEqual(declared, set(re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", text)))
        given = set(re.findall(r"^        (GATE_\w+):", text, re.MULTILINE))
        self.assertEqual(given, set(re.findall(r"\$\{?(GATE_\w+)", (FOLDER / "run").read_text())))

    def test_a_regression_fails_and_the_summary_shows_it(self) -> None:
        status, said = self.files("old", "new")
        self.assertEqual(status, 1, said)
        self.assertIn("::error::benchmark gate: regression", said)
        self.assertIn("Benchmark gate: regression", (self.folder / "summary").read_text())
        outputs = dict(line.split("=", 1) for line in (self.folder / "output").read_text().splitlines())
        self.assertEqual(outputs["verdict"], "regression")
        self.assertEqual(json.loads(Path(outputs["json"]).read_text())["exit_status"], 1)
        self.assertIn("regression", Path(outputs["report"]).read_text())

    def test_what_cannot_be_decided_is_green_with_a_warning(self) -> None:
        status, said = self.files("old", "old", GATE_ARGUMENTS="--filter 'BM_(memcpy|x y)'")
        self.assertEqual(status, 0, said)
        self.assertIn("::warning::the benchmark gate cannot decide", said)

    def test_inputs_that_do_not_go_together_are_refused(self) -> None:
        cases: list[tuple[dict[str, str], str]] = [
            ({}, "give old and new, or baseline and candidate"),
            ({"GATE_OLD": "a"}, "old and new belong together"),
            ({"GATE_OLD": "a", "GATE_NEW": "b", "GATE_BASELINE": "c"}, "not both"),
            ({"GATE_OLD": "a", "GATE_NEW": "b", "GATE_FLAGS": "'x"}, "flags: quotes do not match"),
        ]
        for inputs, why in cases:
            status, said = self.run_it(**inputs)
            self.assertEqual(status, 3)
            self.assertIn(why, said)


if __name__ == "__main__":
    unittest.main()
