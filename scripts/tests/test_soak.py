"""scripts/stress --minutes, --replay and --list: what a soak says and how it ends, what the flags ask for."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import unittest
from pathlib import Path
from typing import Callable
from unittest import mock

from common import child_processes, command_line
from program_case import ProgramCase, quietly
from stress import churn as stress_churn
from stress import command, soak
from stress.program import PLANTED, SOAK
from test_detection import ASAN


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

    def test_what_the_program_is_told(self) -> None:
        seen = self.folder / "flags"
        note = f'echo "$*" >{seen}; {self.DONE}'
        self.soak(note, minutes=0.5, seed=7, bug="pin_once", weaken="pin")
        fixed = f"--out={self.folder.resolve()} --bug=pin_once --weaken=pin"
        self.assertEqual(seen.read_text().strip(), f"{fixed} --seconds=30 --seed=7")
        self.soak(note, replay="pool:7")
        self.assertEqual(seen.read_text().strip(), f"--out={self.folder.resolve()} --replay=pool:7")

    def test_what_is_built_and_how_long_it_may_take(self) -> None:
        built: list[tuple[str, str]] = []
        limits: list[object] = []

        def logged(words: object, log: Path, on_line: object, timeout: object) -> int:
            limits.append(timeout)
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("")
            return 0

        self.replace(soak, "build", lambda preset, target: built.append((preset, target)))
        self.replace(command_line, "run_logged", logged)
        out = self.folder / "a" / "b"
        self.soak("", sanitizer="tsan", minutes=2, out=out)
        self.soak("", bug="pin_once", replay="pool:7", out=out)
        self.assertTrue(out.is_dir())
        self.assertEqual(built, [("tsan", SOAK), ("release", PLANTED)])
        self.assertEqual(limits, [720, None])

    def test_what_was_seen_is_told(self) -> None:
        status, said = self.soak(self.DONE)
        told = (
            "none: 2 s, 200 operations in 20 histories, 0 violations, 0 sanitizer reports, 0 suppressions, "
        )
        self.assertIn(
            f"{told}limit".replace("limit", "limbo at most 6 objects, resident 4 MiB, exit status 0"), said
        )
        self.assertNotIn("| ", said)
        page = self.folder / "page.html"
        status, said = self.soak(
            f"printf 'violation\\tpool:7\\t{page}\\n'; echo the log; {self.DONE}; exit 1"
        )
        self.assertIn("page.html", said.split("timeline: ")[1])
        self.assertIn("    | the log", said)
        self.assertNotIn("timeline", self.soak(f"printf 'violation\\tpool:7\\n'; {self.DONE}")[1])
        self.assertIn("    | ", self.soak(f"{self.DONE}; kill -SEGV $$")[1])
        self.assertIn("exit status -11", self.soak("kill -SEGV $$")[1])
        self.assertIn("0 operations in 0 histories", self.soak("exit 0")[1])

    def test_violations_are_counted(self) -> None:
        options = argparse.Namespace(replay=None, minutes=1, bug="b", weaken=None, sanitizer="none")
        told = soak.Told(options)
        self.assertEqual((told.last, told.violations), ([0.0] * 6, 0))

        def tell() -> None:
            for line in ("violation\tpool:7\t-", "noise", "violation\tpool:8"):
                told.on_line(line)

        said = quietly(tell)
        self.assertEqual(told.violations, 2)
        self.assertIn("--replay pool:8 --bug b\n", said[1])
        shown: list[str] = []
        self.replace(told.line, "show", shown.append)
        line = "progress\t61\t2000\t30000\t1\t5\t9.6"
        told.on_line(line)
        told.options.replay = "pool:7"
        told.on_line(line.replace("progress", "done"))
        rest = "2,000 histories, 30,000 operations, 1 violations, limbo at most 5, resident 10 MiB"
        self.assertEqual(shown, [f"61 s of 60 s: {rest}", f"61 s: {rest}"])

    def test_a_signal_ends_it_with_what_was_seen(self) -> None:
        def logged(words: object, log: Path, on_line: Callable[[str], None], timeout: object) -> int:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("")
            on_line("progress\t61\t2000\t30000\t0\t5\t9.6")
            raise child_processes.Ended(15)

        self.replace(command_line, "run_logged", logged)
        said = io.StringIO()
        options = dict.fromkeys(("bug", "weaken", "replay"))
        fixed = {"sanitizer": "none", "minutes": 1, "seed": 1, "out": self.folder}
        with contextlib.redirect_stdout(said), self.assertRaises(child_processes.Ended):
            soak.soak(argparse.Namespace(**options, **fixed))
        self.assertIn("30,000 operations in 2,000 histories", said.getvalue())
        self.assertIn("exit status 143", said.getvalue())
        self.assertNotIn("| ", said.getvalue())

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

    def test_churn_has_a_folder_of_its_own_unless_told_otherwise(self) -> None:
        asked: list[Path] = []

        def churn(options: argparse.Namespace, folder: Path) -> int:
            asked.append(folder)
            return 5

        self.replace(stress_churn, "churn", churn)
        self.assertEqual(
            self.main("--churn", "--threads", "1,8", "--structure", "map,rows", "--against", "a"), 5
        )
        elsewhere = self.folder / "elsewhere"
        self.assertEqual(self.main("--churn", "--out", str(elsewhere)), 5)
        self.assertEqual(asked, [self.folder, elsewhere])

    def test_the_flags_say_what_is_done(self) -> None:
        seen: list[argparse.Namespace] = []

        def soak(options: argparse.Namespace) -> int:
            seen.append(options)
            return 0

        self.replace(command, "soak", soak)
        self.main()
        fixed = {"minutes": 1, "sanitizer": "none", "seed": 1, "replay": None, "bug": None, "weaken": None}
        fixed |= {"seconds": 5, "jobs": 2, "list": False}
        self.assertEqual({key: vars(seen[0])[key] for key in fixed}, fixed)
        words = "--minutes 2 --sanitizer tsan --seed 3 --replay a:1 --bug b --weaken c --seconds 7 --jobs 9"
        self.main(*words.split())
        given = {"minutes": 2, "sanitizer": "tsan", "seed": 3, "replay": "a:1", "bug": "b", "weaken": "c"}
        given |= {"seconds": 7, "jobs": 9}
        self.assertEqual({key: vars(seen[1])[key] for key in given}, given)
        self.assertEqual(command.thread_list("1,8"), [1, 8])
        for text in ("0", "4,0", "x"):
            with self.assertRaises(ValueError):
                command.thread_list(text)

    def test_a_place_that_cannot_be_written_to_is_wrong_usage(self) -> None:
        with self.assertRaises(SystemExit) as raised:
            self.main("--out", "/dev/null/none")
        self.assertEqual(raised.exception.code, 2)

    def test_a_list_is_that_of_the_program(self) -> None:
        built: list[str] = []
        self.replace(command, "build", lambda preset, target="": built.append(preset))
        self.script = '[ "$0 $*" = "release --list" ]'
        self.assertEqual((self.main("--list"), built), (0, ["release"]))

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
