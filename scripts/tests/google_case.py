"""What the tests of the gate on other people's benchmarks share: files that Google Benchmark 1.7.1 wrote, of
its own example built twice, and a program that behaves as one of its programs does."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import shutil
from pathlib import Path

from bench.results import Json
from gate import command, comparison, refs, session
from plot import style
from runner_case import RunnerCase

HERE = Path(__file__).resolve().parent
FILES = HERE / "google_benchmark"  # new.json copies twice what old.json copies once
PROGRAM = HERE / "fake_google_benchmark"


class GoogleCase(RunnerCase):
    """Each test has a folder of its own, where the gate keeps what it has measured, too."""

    def setUp(self) -> None:
        super().setUp()
        for module in (refs, session):
            self.replace(module, "FOLDER", self.folder / "gate")
        self.replace(style, "cannot_draw", lambda: "no matplotlib")
        self.replace(comparison, "load_floors", lambda options, context, notes: ({}, {}))

    def gate(self, *words: object) -> tuple[int, str]:
        """Returns (exit status, what was said) of scripts/gate."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = command.run([str(word) for word in words])
        return status, said.getvalue()

    def file(self, name: str, document: Json) -> Path:
        """Returns a file of this JSON, as Google Benchmark writes it: a NaN may be in it."""
        path = self.folder / name
        path.write_text(json.dumps(document))
        return path

    def compare(self, baseline: Json, candidate: Json, *flags: object) -> tuple[int, str]:
        """Returns (exit status, what was said) of a comparison of two files."""
        files = "--baseline", self.file("a.json", baseline), "--candidate", self.file("b.json", candidate)
        return self.gate(*files, *flags)

    def program(self, name: str, nanoseconds: int, own: str = "", rate: str = "", fails: str = "") -> Path:
        """Returns a program of that name whose first benchmark takes so long an iteration."""
        path = self.folder / name
        shutil.copy(PROGRAM, path)
        settings = f"nanoseconds={nanoseconds} own={own} rate={rate} fails='{fails}'\n"
        path.with_name(f"{name}.settings").write_text(settings)
        return path


def of(name: str) -> Json:
    """Returns what the old or the new program wrote."""
    found: Json = json.loads((FILES / f"{name}.json").read_text())
    return found


def kept(document: Json, run_type: str) -> Json:
    """Returns a document with only its iterations, or only its aggregates."""
    found = copy.deepcopy(document)
    found["benchmarks"] = [each for each in found["benchmarks"] if each["run_type"] == run_type]
    return found
