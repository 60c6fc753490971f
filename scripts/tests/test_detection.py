"""scripts/stress --matrix, --garbage and --peer: what a program's end says about a bug, and the exit status
that follows. Made-up programs stand in for the real ones."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Callable

from common import builds, child_processes
from common.failure import Failure
from plot import style
from program_case import ProgramCase, quietly
from stress import detection, garbage, matrix, peer
from stress.detection import DETECTORS, OF_ORDERS, Cell, Detector
from stress.matrix import Matrix, Row
from stress.program import PLANTED

DETECTOR = Detector("a check", "release", "pool", ("--no-checks",))
ASAN = "echo 'ERROR: AddressSanitizer: heap-use-after-free' >&2"
SEGV = "echo 'ERROR: AddressSanitizer: SEGV on unknown address' >&2"
BUG, ORDER = Row("bug", "pin_once", "pins once", "--bug=pin_once"), Row("order", "pin", "x", "--weaken=pin")


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

    def test_a_program_that_is_killed_early_has_crashed_and_one_in_time_is_not_touched(self) -> None:
        self.assertEqual(self.cell("kill -KILL $$", 60).verdict, "crash")
        limits: list[float] = []
        timer = threading.Timer

        def noted(limit: float, tell: Callable[[int], None], numbers: tuple[int]) -> threading.Timer:
            limits.append(limit)
            self.assertEqual(numbers, (signal.SIGKILL,))
            made = timer(limit, tell, numbers)
            self.timers.append(made)
            return made

        self.timers: list[threading.Timer] = []
        self.replace(threading, "Timer", noted)
        self.cell("exit 0", 5)
        self.assertEqual(limits, [35])
        self.assertTrue(self.timers[0].daemon)
        self.timers[0].join(5)
        self.assertFalse(self.timers[0].is_alive())

    def test_checks_are_of_kinds_in_builds(self) -> None:
        for each in DETECTORS:
            self.assertIn(each.preset, ("release", "asan", "tsan"))
            self.assertRegex(each.kinds, r"^[a-z_,]+$")
            self.assertEqual(each.flags, detection.ALONE if each.preset != "release" else ())
        self.assertLessEqual(set(OF_ORDERS), {each.name for each in DETECTORS})

    def test_bugs_are_asked_of_checks_that_run_their_code(self) -> None:
        asked = {
            room: [each.name for each in DETECTORS if each.runs(room)]
            for room in ("btree", "skip_list", "map", "memory", "reclaim", "store", "elision", "adaptive")
        }
        self.assertEqual(asked["btree"], ["maps", "visits", "ASan, LSan", "TSan"])
        self.assertEqual(asked["skip_list"], asked["btree"])
        for room in ("map", "memory", "reclaim"):
            self.assertEqual(asked[room], [each.name for each in DETECTORS])
        self.assertEqual(
            asked["store"], [each.name for each in DETECTORS if each.name not in ("maps", "visits")]
        )
        self.assertEqual(asked["elision"] + asked["adaptive"], [])

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

    def run_it(
        self, only: list[str] | None = None, table_status: int = 0, missing: bool = False
    ) -> tuple[object, str]:
        """Returns (exit status, what was said)."""
        table = f"exit {table_status}"
        self.script = self.script.replace("exit $0", table)
        options = argparse.Namespace(seconds=5.0, jobs=1, only=only, missing=missing)
        return quietly(lambda: matrix.matrix(options))

    def test_a_bug_that_every_check_misses_is_no_success(self) -> None:
        status, said = self.run_it()
        self.assertEqual(status, 1)
        self.assertIn("0 of 1 planted bugs are caught by at least one check; not by any: pin_once", said)
        longer = [each for each in self.asked if each[2] == 60]
        self.assertEqual(len(longer), len(DETECTORS))
        self.assertEqual({flag for flag, _, _ in longer}, {"--bug=pin_once"})
        page = (self.folder / "detection.md").read_text()
        self.assertIn("Nobody found pin_once in that time: those rows had 60 s.", page)
        self.assertIn("| bug | black box, controlled | ", page)
        self.assertIn("# Threads stopped for ever", (self.folder / "progress.md").read_text())

    def test_only_rows_that_had_longer_are_said_to(self) -> None:
        self.cells["--bug=pin_once", "pool"] = "found"
        self.run_it()
        self.assertNotIn("Nobody found", (self.folder / "detection.md").read_text())
        whole = Matrix([BUG], 5, 1)
        for seconds, verdict, longer in (
            (60, "", True),
            (59, "", False),
            (60, "found", False),
            (61, "", True),
        ):
            whole.cells = {("bug", "pin_once", each.name): Cell("found", 1) for each in DETECTORS}
            whole.cells["bug", "pin_once", "pool"] = Cell(verdict, seconds)
            self.assertEqual(whole.had_longer(BUG), longer)

    def test_what_is_needed_is_built_first(self) -> None:
        built: list[tuple[str, str]] = []
        self.replace(matrix, "build", lambda preset, target="": built.append((preset, target)))
        self.run_it()
        planted = PLANTED
        self.assertEqual(built, [("release", ""), ("release", planted), ("tsan", planted), ("asan", planted)])

    def test_cells_are_kept_in_order(self) -> None:
        cells = {("bug", "b", "x"): Cell("", 1.0), ("bug", "a", "x"): Cell("found", 2.0)}
        self.assertEqual(
            json.loads(matrix.as_json(cells)), [["bug", "a", "x", "found", 2], ["bug", "b", "x", "", 1]]
        )

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

    def test_what_is_missing_is_measured_and_nothing_else(self) -> None:
        every = {("bug", "pin_once", each.name): Cell("", 60, "elsewhere") for each in DETECTORS[:-1]}
        every |= {("order", "pin", name): Cell("found", 1, "elsewhere") for name in OF_ORDERS}
        (self.folder / "detection.json").write_text(matrix.as_json(every))
        self.assertEqual(self.run_it(missing=True)[0], 1)
        last = DETECTORS[-1].name
        self.assertEqual(self.asked, [("--bug=pin_once", last, 5), ("--bug=pin_once", last, 60)])
        page = (self.folder / "detection.md").read_text()
        self.assertIn(f"on elsewhere ({len(every)} cells); ", page)
        self.assertIn(" (1 cells). A cell is", page)
        self.asked.clear()
        self.assertEqual(self.run_it(missing=True)[0], 1)
        self.assertEqual(self.asked, [])

    def test_the_rooms_of_bugs_are_their_files(self) -> None:
        rooms = matrix.rooms_of_bugs()
        self.assertEqual(rooms["tower_retired_early"], "skip_list")
        self.assertEqual(set(rooms.values()), {path.stem for path in matrix.PLANTED_BUGS.glob("*.bugs")})

    def test_checks_that_do_not_run_the_code_are_not_asked(self) -> None:
        (self.folder / "tree.bugs").write_text("bug pin_once: pins once\n")
        self.replace(matrix, "PLANTED_BUGS", self.folder)
        self.replace(detection, "ORDERED", ("tree",))
        self.cells["--bug=pin_once", "visits"] = "found"
        self.assertEqual(self.run_it()[0], 0)
        asked = [name for flag, name, _ in self.asked if flag == "--bug=pin_once"]
        self.assertEqual(asked, ["maps", "visits", "ASan, LSan", "TSan"])
        page = (self.folder / "detection.md").read_text()
        self.assertIn("| pin_once |  |  |  |  |  |  |  |  |  | . | 5.0 s | . | . | pins once |", page)
        self.replace(detection, "ORDERED", ())
        self.replace(detection, "ELSEWHERE", ("tree",))
        self.assertEqual([row.name for row in matrix.every_row()], ["pin"])

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
        self.assertEqual(kept, [["bug", "pin_once", DETECTORS[0].name, "found", 1.0, whole.where]])


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
        self.assertIn("1 data races.", page)
        self.assertIn("(none)", page)

    def test_the_page_shows_the_first_history_and_where_threads_raced(self) -> None:
        history = "noise\\nNOT linearizable\\na\\nb\\n\\nNOT linearizable\\nc\\n\\n"
        summary = "SUMMARY: ThreadSanitizer: data race a.h:1 in hnsw::searchKnn(int)\\nother x::y(z)\\n"
        races = self.RACES.replace("exit", f'printf "{summary}"; exit')
        violation = "printf 'violation\\tx\\t/p.html\\n'"
        status, said = self.peer(f"printf '{history}'; {self.DONE}; {violation}; {races}")
        page = (self.folder / "hnswlib.md").read_text()
        self.assertIn("```\nNOT linearizable\na\nb\n```", page)
        self.assertIn("1 data races, in searchKnn and others.", page)
        self.assertIn("p.html", said)

    def test_a_peer_that_cannot_be_run_is_told(self) -> None:
        status, said = self.peer("echo the reason; exit 139")
        self.assertIn("the process ended with status 139", said)
        self.assertIn("the reason", said)

    def test_a_peer_that_does_not_build_ends_the_command(self) -> None:
        build = peer.build_peers
        for works in (True, False):
            built: list[str] = []

            def run_in_turn(commands: list[list[object]], log: Path) -> bool:
                built.append(log.name)
                return works

            self.replace(builds, "run_in_turn", run_in_turn)
            if works:
                build()
                self.assertEqual(built, ["release-peers-build.log", "tsan-peers-build.log"])
            else:
                with self.assertRaises(SystemExit) as raised:
                    quietly(build)
                self.assertIn("is hnswlib installed", str(raised.exception))

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


if __name__ == "__main__":
    unittest.main()
