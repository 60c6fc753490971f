"""scripts/bench and scripts/plot: what was measured is kept, and what went wrong makes the exit status."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Callable
from unittest import mock

from bench import command as bench_command
from bench import keeping, measurement
from bench.measurement import Measurement, Plan, Rounds
from bench.results import Json, Results
from common import command_line
from common.failure import Failure
from plot import command as plot_command
from plot import style
from test_results import CONTEXT, SEARCH, entry, read


class MeasurementTest(unittest.TestCase):
    def test_repetitions_of_all_rounds_are_numbered_as_those_of_one_run(self) -> None:
        rounds = [
            [{"name": "b", "ops": 1}, {"name": "a", "ops": 2}],
            [
                {"name": "a", "ops": 3},
                {"name": "a", "run_type": "aggregate", "ops": 9},
                {"name": "c", "ops": 4},
            ],
        ]
        found = measurement.renumber(rounds, ["a", "b"])
        self.assertEqual(
            [(each["name"], each["ops"], each["repetition_index"], each["repetitions"]) for each in found],
            [("a", 2, 0, 2), ("a", 3, 1, 2), ("b", 1, 0, 1), ("c", 4, 0, 1)],
        )

    def test_the_binary_is_asked_for_its_benchmarks(self) -> None:
        with tempfile.TemporaryDirectory(prefix="hotindex-scripts-") as scratch:
            program = Path(scratch) / "bench"

            def listed(script: str) -> tuple[list[str], list[str]]:
                program.write_text(f"#!/bin/sh\n{script}\n")
                program.chmod(0o755)
                return measurement.list_benchmarks(program, ["--quick"])

            names = listed('echo search/mutex/n:1; echo noise; echo "bench: note: $*" >&2; echo other >&2')
            self.assertEqual(names, (["search/mutex/n:1"], ["--quick --benchmark_list_tests"]))
            with self.assertRaisesRegex(Failure, "bench failed: .*no memory"):
                listed("echo no memory >&2; exit 1")

    def test_how_far_a_round_came_is_told(self) -> None:
        with tempfile.TemporaryDirectory(prefix="hotindex-scripts-") as scratch:
            runner = Rounds(Plan(Path("bench"), [], ["a", "b"], 3, 0.1, None), Path(scratch))
            outs = [Path(scratch) / name for name in ("1", "2")]
            outs[1].write_text('{"context": {}, "benchmarks": [{"name": "a"},')
            outs[0].write_text("")
            runner.outs = outs[1:]
            self.assertEqual(runner.partial("it ended"), "it ended in round 1 of 3, after 1 of 2 benchmarks")
            runner.outs, runner.durations = outs, [1.0]
            said = "it ended in round 2 of 3, after 1 of 2 benchmarks; the 1 rounds before it are complete"
            self.assertEqual(runner.partial("it ended"), said)

    def test_what_other_programs_used_is_the_rest(self) -> None:
        busy, own, now = iter([10.0, 16.0]), iter([1.0, 3.0]), iter([100.0, 102.0])
        with mock.patch.object(measurement, "busy_seconds", lambda: next(busy)):
            with mock.patch.object(measurement, "own_seconds", lambda: next(own)):
                with mock.patch.object(command_line, "ProgressLine", lambda: None):
                    with mock.patch.object(time, "monotonic", lambda: next(now)):
                        runner = Rounds(Plan(Path("bench"), [], [], 1, 0.1, None), Path("nowhere"))
                        self.assertEqual(runner.so_far().others, 2.0)

    def test_a_filter_chooses_and_one_that_chooses_nothing_is_refused(self) -> None:
        names = [SEARCH.format(index, 1) for index in ("mutex", "rwlock")]
        self.assertEqual(measurement.chosen(names, "mutex"), names[:1])
        self.assertEqual(measurement.chosen(names, None), names)
        with self.assertRaisesRegex(Failure, "--filter mutx: no benchmark has that in its name.*mutex"):
            measurement.chosen(names, "mutx")
        self.assertEqual(measurement.chosen(names, "-mutex"), names[1:])
        self.assertEqual(measurement.chosen(names, "-^x|lock$"), names)
        with self.assertRaisesRegex(Failure, "--filter -search: every benchmark has that in its name"):
            measurement.chosen(names, "-search")
        with self.assertRaisesRegex(Failure, "lists no benchmark"):
            measurement.chosen([], None)
        self.assertEqual(measurement.exactly(["a/b:1.5", "c"]), r"--benchmark_filter=^(a/b:1\.5|c)$")

    def test_what_a_vector_takes_is_what_the_binary_says(self) -> None:
        with tempfile.TemporaryDirectory(prefix="hotindex-scripts-") as scratch:
            program = Path(scratch) / "bench"
            for says, found in (
                ('{"vectors": 2, "indexes": [1]}', {"vectors": 2, "indexes": [1]}),
                ('{"vectors": 2, "indexes": []}', None),
                ("unknown flag --memory", None),
            ):
                program.write_text(f"#!/bin/sh\n[ $* = --memory ] && echo '{says}'\n")
                program.chmod(0o755)
                self.assertEqual(bench_command.memory_of(program), found)

    def rounds(self, script: str, rounds: int = 2, deadline: float | None = None) -> tuple[Measurement, int]:
        """Returns (what was measured by a program that does so, how often it was kept)."""
        with tempfile.TemporaryDirectory(prefix="hotindex-scripts-") as scratch:
            program = Path(scratch) / "bench"
            written = json.dumps({"context": {"a": 1}, "benchmarks": [entry("mutex", 1, run_name="x")]})
            taken = 'for word; do case $word in --benchmark_out=*) out="${word#*=}" ;; esac; done'
            program.write_text(f"#!/bin/sh\n{taken}\necho '{written}' >\"$out\"\n{script}\n")
            program.chmod(0o755)
            kept: list[Measurement] = []
            plan = Plan(program, [], [SEARCH.format("mutex", 1)], rounds, 0.1, deadline)
            runner = Rounds(plan, Path(scratch))
            runner.run(kept.append)
            return runner.so_far(), len(kept)

    def test_every_round_is_kept(self) -> None:
        found, kept = self.rounds("")
        self.assertEqual((found.rounds, len(found.entries), kept, found.crash, found.note), (2, 2, 2, "", ""))
        self.assertEqual(found.context, {"a": 1})

    def test_a_round_that_fails_is_a_crash_and_the_last_one(self) -> None:
        for script, how in (("echo no memory; exit 3", "status 3"), ("kill -SEGV $$", "SIGSEGV")):
            found, kept = self.rounds(script)
            self.assertEqual((found.rounds, kept), (0, 0))
            self.assertIn(f"bench ended with {how} in round 1", found.crash)
            self.assertEqual("no memory" in found.crash, "memory" in script)

    def test_rounds_that_do_not_fit_into_the_time_are_told(self) -> None:
        found, kept = self.rounds("", rounds=3, deadline=1e-9)
        self.assertEqual((found.rounds, kept), (1, 1))
        self.assertEqual(found.note, "1 of 3 rounds fitted into the time")


class FinishTest(unittest.TestCase):
    """The exit status of scripts/bench."""

    def finish(
        self, *entries: Json, crash: str = "", why: str = "", cannot: str = "", trouble: str = ""
    ) -> object:
        """Returns the status, or what ended the command."""
        keeper = keeping.Keeper(Path("nowhere"), {**CONTEXT, "dataset_notes": [], "dirty": False})
        keeper.context |= dict.fromkeys(("compiler", "flags", "dataset", "date", "command_line"), "x")
        keeper.context |= {"min_time": 0.1}

        def write(name: str, text: str) -> None:
            keeper.trouble = trouble

        measured = Measurement({}, list(entries), 1, "", crash, None)
        with mock.patch.object(keeper, "write", write), contextlib.redirect_stdout(io.StringIO()) as said:
            with mock.patch.object(bench_command, "draw", lambda results, folder: ([], why)):
                with mock.patch.object(style, "cannot_draw", lambda: cannot):
                    try:
                        status: object = bench_command.finish(keeper, measured, 0.0)
                    except Failure as failure:
                        status = str(failure)
        self.said = said.getvalue()
        return status

    def test_a_measurement_without_errors_is_a_success(self) -> None:
        self.assertEqual(self.finish(entry("mutex", 1), entry("lock_free", 2)), 0)
        self.assertIn("x2.00", self.said)

    def test_a_benchmark_that_failed_is_none(self) -> None:
        bad = entry("lock_free", 2, error_occurred=True, error_message="wrong answer")
        self.assertEqual(self.finish(entry("mutex", 1), bad), 1)
        self.assertIn("failed: wrong answer", self.said)

    def test_a_crash_is_none(self) -> None:
        self.assertEqual(
            self.finish(entry("mutex", 1), crash="it ended with SIGSEGV"), "it ended with SIGSEGV"
        )
        self.assertIn("note: it ended with SIGSEGV", self.said)

    def test_a_file_that_cannot_be_written_is_none(self) -> None:
        self.assertEqual(self.finish(entry("mutex", 1), trouble="disk full"), "disk full")

    def test_charts_that_fail_are_none_and_a_missing_matplotlib_is_no_failure(self) -> None:
        self.assertEqual(self.finish(entry("mutex", 1), why="broken"), 1)
        self.assertEqual(self.finish(entry("mutex", 1), why="no matplotlib", cannot="no matplotlib"), 0)
        self.assertIn("no charts: no matplotlib", self.said)

    def test_what_a_reader_must_know_is_a_note(self) -> None:
        found = read(
            entry("mutex", 1),
            entry("rwlock", 1, error_occurred=True),
            context={**CONTEXT, "dataset_notes": ["a"]},
        )
        measured = Measurement({}, [], 1, "b", "crash\nmore", 0.16)
        notes = keeping.remarks(measured, found)
        self.assertEqual(notes[:2] + notes[3:4], ["a", "b", "crash"])
        self.assertIn("other programs kept 0.2", notes[2])
        self.assertIn("rwlock", notes[4])
        found.context["stolen"] = 0.25
        self.assertIn("the hypervisor took 25.0% of the processor time", keeping.remarks(measured, found)[3])
        del found.context["stolen"]
        measured.others = 0.15
        self.assertEqual(len(keeping.remarks(measured, found)), 4)


class PlotTest(unittest.TestCase):
    """scripts/plot: its tables and its exit status."""

    def group_of(self, threads: tuple[int, ...], context: Json = CONTEXT) -> Results:
        """Returns searches by three indexes."""
        by = {"mutex": 1.0, "rwlock": 2.0, "lock_free": 6.0}
        return read(
            *(entry(i, x * (n if i != "mutex" else 1), n) for i, x in by.items() for n in threads),
            context=context,
        )

    def test_ratios_stand_the_right_way_up_at_as_many_threads_as_cores(self) -> None:
        table = plot_command.ratio_table(self.group_of((1, 4, 8)))
        self.assertIn("| 4 | x8.00 [8.00 to 8.00] | x24.00 [24.00 to 24.00] | x3.00 [3.00 to 3.00] |", table)
        table = plot_command.ratio_table(self.group_of((8, 16)))
        self.assertIn("| 16 | x32.00", table)

    def test_a_line_that_was_not_measured_is_a_dash(self) -> None:
        self.assertIn("| 1 | - | - | - |", plot_command.ratio_table(read(entry("mutex", 1))))

    def test_claims_are_compared_with_what_was_measured(self) -> None:
        table = plot_command.claims_table(self.group_of((1, 2, 4, 8)))
        self.assertIn("3 to 10 times the mutex index | by threads: 2: x12.0, 4: x24.0 |", table)
        self.assertIn("search: near-linear | 4 threads: x4.0 of what one does |", table)

    def plot(
        self, content: object, *flags: str, draw: Callable[..., list[str]] = lambda *_: ["a"]
    ) -> tuple[int, str]:
        """Returns (exit status, what was said on stderr) for a file of this content."""
        with tempfile.TemporaryDirectory(prefix="hotindex-scripts-") as scratch:
            path = Path(scratch) / "results.json"
            path.write_text(json.dumps(content))
            words = [
                "scripts/plot",
                str(path),
                "-o",
                scratch,
                *(flag.replace("FOLDER", scratch) for flag in flags),
            ]
            (Path(scratch) / "README.md").write_text("nothing\n")
            patches: list[contextlib.AbstractContextManager[object]] = [
                mock.patch.object(sys, "argv", words),
                mock.patch.object(plot_command, "cannot_draw", lambda: ""),
                mock.patch.object(plot_command, "draw_all", draw),
            ]
            said, status = io.StringIO(), -1
            with contextlib.ExitStack() as stack, contextlib.redirect_stderr(said):
                for patch in patches:
                    stack.enter_context(patch)
                stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
                status = plot_command.main()
            return status, said.getvalue()

    def test_what_was_left_out_is_told(self) -> None:
        bad = entry("rwlock", 1, error_occurred=True, error_message="wrong")
        status, said = self.plot({"benchmarks": [entry("mutex", 1), bad, {"name": "odd", "ops": 1}]})
        self.assertEqual(status, 0)
        self.assertIn("it failed: wrong", said)
        self.assertIn("left out odd: not named workload/index", said)

    def test_a_file_without_results_is_status_2(self) -> None:
        status, said = self.plot({"benchmarks": []})
        self.assertEqual(status, 2)
        self.assertIn("nothing was measured", said)

    def test_a_summary_shows_the_notes_and_the_charts_that_were_drawn(self) -> None:
        words = ("compiler", "flags", "commit", "dataset", "date", "command_line")
        context: dict[str, object] = {word: "made up" for word in words}
        context |= {"dirty": False, "rounds": 1, "min_time": 0.1, "dataset_notes": ["carried here"]}
        context["machine"] = {"cpu": "made up", "cores": 2, "memory_gib": 1, "kernel": "none"}
        found: list[str] = []

        def draw(_: object, folder: Path, *__: object) -> list[str]:
            found.append(str(folder))
            return ["overview"]

        with mock.patch("common.output.write_whole") as write:
            content = {"context": context, "benchmarks": [entry("mutex", 1)]}
            self.assertEqual(self.plot(content, "--summary", draw=draw)[0], 0)
        [(path, text)] = [call.args for call in write.call_args_list]
        self.assertEqual(str(path), f"{found[0]}/summary.md")
        self.assertIn("- **note: carried here**\n", text)
        self.assertIn("![overview](overview.svg)", text)

    def test_a_summary_of_a_file_that_does_not_say_enough_is_status_2(self) -> None:
        status, said = self.plot({"benchmarks": [entry("mutex", 1)]}, "--summary")
        self.assertEqual(status, 2)
        self.assertIn("does not say 'machine'", said)

    def test_a_readme_without_markers_is_status_2(self) -> None:
        status, said = self.plot({"benchmarks": [entry("mutex", 1)]}, "--readme", "FOLDER/README.md")
        self.assertEqual(status, 2)
        self.assertIn("there is no", said)

    def test_a_chart_that_cannot_be_drawn_is_no_success(self) -> None:
        def fails(*_: object) -> list[str]:
            raise OSError("disk full")

        with self.assertRaises(OSError):
            self.plot({"benchmarks": [entry("mutex", 1)]}, draw=fails)
        with self.assertRaises(SystemExit) as raised:
            self.plot({"benchmarks": [entry("mutex", 1)]}, "--only", "insert")
        self.assertEqual(raised.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
