"""scripts/stress --matrix, --garbage, --peer and --list: what a program's end says about a bug, and the exit
status that follows. Made-up programs stand in for the real ones."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Callable
from unittest import mock

from common import child_processes
from common.failure import Failure
from plot import style
from stress import command, detection, garbage, matrix, peer, soak
from stress.detection import DETECTORS, OF_ORDERS, Cell, Detector
from stress.matrix import Matrix, Row

DETECTOR = Detector("a check", "release", "pool", ("--no-checks",))
ASAN = "echo 'ERROR: AddressSanitizer: heap-use-after-free' >&2"
SEGV = "echo 'ERROR: AddressSanitizer: SEGV on unknown address' >&2"
BUG, ORDER = Row("bug", "pin_once", "pins once", "--bug=pin_once"), Row("order", "pin", "x", "--weaken=pin")


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


class DetectTest(ProgramCase):
    def cell(self, script: str, seconds: float = 1) -> Cell:
        """Returns what a check says whose program does so."""
        self.script = script
        return detection.detect("--bug=pin_once", DETECTOR, seconds)

    def test_the_end_of_the_program_is_the_verdict(self) -> None:
        for script, verdict in (
            ("exit 0", ""),
            ("exit 1", "found"),
            ("exit 3", "hang"),
            ("exit 2", "crash"),
            ("kill -SEGV $$", "crash"),
            ("kill -KILL $$", "crash"),
            (f"{ASAN}; exit 66", "found"),
            (f"{SEGV}; exit 66", "crash"),
            ("echo 'x: runtime error: overflow' >&2; exit 3", "found"),
            (f"{ASAN}; exit 0", ""),
        ):
            with self.subTest(script=script):
                self.assertEqual(self.cell(script).verdict, verdict)

    def test_a_program_that_computes_for_ever_hangs_and_one_that_waits_says_nothing(self) -> None:
        wait = os.wait4
        for computed, verdict in ((0.2, "hang"), (0.1, "")):  # of 0.4 s

            def wait4(pid: int, options: int) -> tuple[int, int, SimpleNamespace]:
                found, status, _ = wait(pid, options)
                return found, status, SimpleNamespace(ru_utime=computed)

            self.replace(os, "wait4", wait4)
            self.assertEqual(self.cell("sleep 60", -29.6).verdict, verdict)

    def test_the_program_is_told_what_to_run(self) -> None:
        flags = "--bug=pin_once --seconds=1 --kinds=pool --stop-at-first --no-checks"
        self.assertEqual(
            self.cell(f'[ "$*" = "{flags}" ] && [ "$TSAN_OPTIONS" = halt_on_error=1 ]').verdict, ""
        )

    def test_a_cell_in_words(self) -> None:
        self.assertEqual([str(Cell(v, 1.25)) for v in ("", "found", "hang")], [".", "1.2 s", "hang 1.2 s"])


class MatrixTest(ProgramCase):
    def setUp(self) -> None:
        super().setUp()
        self.cells: dict[tuple[str, str], str] = {}
        self.asked: list[tuple[str, str, float]] = []
        self.script = (
            "case $1 in --list) printf 'bug\\tpin_once\\tpins once\\nedge\\tpin\\tx\\n' ;; *) exit $0 ;; esac"
        )
        self.replace(matrix, "detect", self.detect)

    def detect(self, flag: str, detector: Detector, seconds: float) -> Cell:
        """Returns the verdict that the test has made up."""
        self.asked.append((flag, detector.name, seconds))
        return Cell(self.cells.get((flag, detector.name), ""), seconds)

    def run_it(self, only: list[str] | None = None, table_status: int = 0) -> tuple[object, str]:
        """Returns (exit status, what was said)."""
        table = f"exit {table_status}"
        self.script = self.script.replace("exit $0", table)
        options = argparse.Namespace(seconds=5.0, jobs=1, only=only)
        return quietly(lambda: matrix.matrix(options))

    def test_a_bug_that_every_check_misses_is_no_success(self) -> None:
        status, said = self.run_it()
        self.assertEqual(status, 1)
        self.assertIn("0 of 1 planted bugs are caught by at least one check; not by any: pin_once", said)
        longer = [each for each in self.asked if each[2] == 60]
        self.assertEqual(len(longer), len(DETECTORS))
        self.assertEqual({flag for flag, _, _ in longer}, {"--bug=pin_once"})

    def test_a_bug_that_one_check_finds_is_one(self) -> None:
        for verdict in ("found", "crash", "hang"):
            self.cells["--bug=pin_once", "pool"] = verdict
            self.asked.clear()
            status, said = self.run_it()
            self.assertEqual(status, 0)
            self.assertIn("1 of 1 planted bugs are caught by at least one check. By check:", said)
            self.assertEqual({seconds for _, _, seconds in self.asked}, {5})

    def test_orders_are_asked_of_their_checks_and_make_no_failure(self) -> None:
        self.cells["--bug=pin_once", "pool"] = "found"
        self.assertEqual(self.run_it()[0], 0)
        self.assertEqual([name for flag, name, _ in self.asked if flag == "--weaken=pin"], list(OF_ORDERS))
        page = (self.folder / "detection.md").read_text()
        self.assertIn("0 of 1 are caught.", page)
        self.assertIn("Not seen here: pin.", page)
        self.assertIn("| pin_once | . | . |", page)

    def test_a_table_of_progress_that_fails_is_no_success(self) -> None:
        self.cells["--bug=pin_once", "pool"] = "found"
        self.assertEqual(self.run_it(table_status=1)[0], 1)

    def test_some_rows_again_keep_the_others(self) -> None:
        every = {("bug", "pin_once", each.name): Cell("", 60) for each in DETECTORS}
        every |= {("order", "pin", name): Cell("found", 1) for name in OF_ORDERS}
        every["bug", "gone", "pool"] = Cell("found", 1)
        (self.folder / "detection.json").write_text(matrix.as_json(every))
        self.cells["--bug=pin_once", "pool"] = "found"
        self.assertEqual(self.run_it(["pin_once"])[0], 0)
        self.assertEqual({flag for flag, _, _ in self.asked}, {"--bug=pin_once"})
        kept = json.loads((self.folder / "detection.json").read_text())
        self.assertEqual(len(kept), len(every) - 1)
        self.assertIn(["order", "pin", "TSan", "found", 1], kept)
        with self.assertRaises(SystemExit) as raised:
            self.run_it(["none"])
        self.assertIn("no bug and no edge is named none", str(raised.exception))

    def test_a_program_that_cannot_list_is_a_failure(self) -> None:
        self.script = "echo broken >&2; exit 5"
        with self.assertRaisesRegex(Failure, "--list ended with status 5: broken"):
            matrix.listed("bug")

    def test_a_signal_keeps_what_was_measured(self) -> None:
        whole = Matrix([BUG], 5, 1)
        found = iter([Cell("found", 1.0)])

        def detect(flag: str, detector: Detector, seconds: float) -> Cell:
            for cell in found:
                return cell
            raise child_processes.Ended(15)

        self.replace(matrix, "detect", detect)
        with self.assertRaises(child_processes.Ended):
            quietly(lambda: whole.measure([(BUG, each) for each in DETECTORS[:2]], 5))
        kept = json.loads((self.folder / "stress" / "detection.json").read_text())
        self.assertEqual(kept, [["bug", "pin_once", DETECTORS[0].name, "found", 1.0]])


class GarbageTest(ProgramCase):
    def garbage(self, script: str) -> tuple[object, str]:
        """Returns (exit status, what was said) where the program does so."""
        self.script = script
        self.replace(style, "cannot_draw", lambda: "no matplotlib")
        return quietly(lambda: garbage.garbage(argparse.Namespace()))

    FIRST, SECOND = (
        "garbage\\tsearch\\t1\\t10\\t5\\t1048576\\t4\\t4",
        "garbage\\tsearch\\t1\\t20\\t2\\t9\\t4\\t4",
    )
    SAMPLES = f"printf '{FIRST}\\n{SECOND}\\n'"

    def test_samples_are_told_and_kept(self) -> None:
        status, said = self.garbage(self.SAMPLES)
        self.assertEqual(status, 0)
        self.assertIn("1 stopped in search: at most 5 objects (1.00 MiB), the bound then 4; ", said)
        self.assertIn("; 1 of 1 samples beyond it; 2 left", said)
        self.assertEqual(len(json.loads((self.folder / "garbage.json").read_text())["samples"]), 2)

    def test_a_program_that_fails_is_no_success(self) -> None:
        self.assertEqual(self.garbage(f"{self.SAMPLES}; exit 1")[0], 1)
        with self.assertRaises(SystemExit) as raised:
            self.garbage("exit 0")
        self.assertIn("nothing was measured", str(raised.exception))


class PeerTest(ProgramCase):
    DONE = "printf 'done\\t1\\t2.0\\t9\\t90\\t0\\ndone\\t4\\t2.0\\t9\\t90\\t3\\n'"
    RACES = "case $* in *--no-checks*) echo 'WARNING: ThreadSanitizer: data race'; exit 66 ;; esac"

    def peer(self, script: str) -> tuple[object, str]:
        """Returns (exit status, what was said) where the harness does so."""
        self.script = script
        self.replace(peer, "build_peers", lambda: None)
        return quietly(lambda: peer.peer(argparse.Namespace(seed=1, minutes=0.01)))

    def test_objections_to_several_threads_alone_are_what_is_expected(self) -> None:
        status, said = self.peer(f"{self.DONE}; {self.RACES}")
        self.assertEqual(status, 0)
        self.assertIn("\nas expected", said)
        page = (self.folder / "hnswlib.md").read_text()
        self.assertIn("| 1 thread | 9 | 90 | 0 |\n| 4 threads | 9 | 90 | 3 |", page)
        self.assertIn("1 data races", page)

    def test_anything_else_is_no_success(self) -> None:
        for script in (
            f"{self.DONE}; {self.RACES}; exit 1",
            self.DONE,
            f"{self.RACES}",
            f"{self.DONE}; {self.RACES}; exit 139",
            f"{self.DONE.replace('4', '1')}; {self.RACES}",
        ):
            with self.subTest(script=script):
                status, said = self.peer(script)
                self.assertEqual(status, 1)
                self.assertNotIn("\nas expected", said)


class SoakTest(ProgramCase):
    def soak(self, script: str, **more: object) -> tuple[object, str]:
        """Returns (exit status, what was said) of a soak whose program does so."""
        self.script = script
        fixed: dict[str, object] = {"sanitizer": "none", "minutes": 0.01, "seed": 1, "out": self.folder}
        fixed |= dict.fromkeys(("bug", "weaken", "replay"))
        options = argparse.Namespace(**{**fixed, **more})
        return quietly(lambda: soak.soak(options))

    DONE = "printf 'done\\t2.0\\t20\\t200\\t0\\t6\\t4.0\\n'"

    def test_only_status_0_without_a_report_is_success(self) -> None:
        for script, status in (
            (self.DONE, 0),
            (f"{self.DONE}; exit 1", 1),
            (f"{self.DONE}; exit 2", 1),
            (f"{self.DONE}; {ASAN}", 1),
            (f"{self.DONE}; echo 'a.cpp:1: runtime error: overflow'", 1),
        ):
            with self.subTest(script=script):
                self.assertEqual(self.soak(script)[0], status)

    def test_a_round_that_does_not_end_is_told(self) -> None:
        status, said = self.soak(f"{self.DONE}; sleep 60", minutes=-599.7 / 60)
        self.assertEqual(status, 1)
        self.assertIn("stopped: a round did not end", said)

    def test_a_violation_says_how_to_play_it_again(self) -> None:
        script = f"printf 'violation\\tpool:7\\t-\\n'; {self.DONE}; exit 1"
        status, said = self.soak(script, weaken="pin", sanitizer="tsan")
        self.assertEqual(status, 1)
        self.assertIn("again: scripts/stress --replay pool:7 --sanitizer tsan --weaken pin", said)

    def test_suppressions_are_refused(self) -> None:
        with mock.patch.dict("os.environ", {"TSAN_OPTIONS": "suppressions=/x"}):
            with self.assertRaises(SystemExit) as raised:
                self.soak(self.DONE)
        self.assertIn("proves nothing", str(raised.exception))


class CommandTest(ProgramCase):
    def main(self, *flags: str) -> object:
        """Returns the exit status of scripts/stress with these flags."""
        self.replace(sys, "argv", ["scripts/stress", *flags])
        return quietly(command.main)[0]

    def test_each_task_gives_its_status(self) -> None:
        names = {
            "--matrix": "matrix",
            "--garbage": "garbage",
            "--peer=hnswlib": "peer",
            "--minutes=1": "soak",
        }
        for flag, name in names.items():
            for status in (0, 1):
                self.replace(command, name, lambda options: status)
                self.assertEqual(self.main(flag), status)

    def test_a_list_that_fails_is_no_success(self) -> None:
        for script, status in (("exit 0", 0), ("exit 3", 3), ("kill -SEGV $$", 139)):
            self.script = script
            self.assertEqual(self.main("--list"), status)

    def test_flags_that_do_not_go_together_are_wrong_usage(self) -> None:
        for flags in (
            ["--only", "a"],
            ["--threads", "0", "--churn"],
            ["--structure", "x", "--churn"],
            ["--against", "a"],
        ):
            with self.subTest(flags=flags), self.assertRaises(SystemExit) as raised:
                self.main(*flags)
            self.assertEqual(raised.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
