"""What scripts/bench and scripts/plot read of a run: every repetition counts, ratios stand the right way up,
and what failed or cannot be used is told."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable
from unittest import mock

from bench import keeping, measurement, results, tables
from bench import command as bench_command
from bench.measurement import Measurement, Plan, Rounds
from bench.results import BadResults, Cell, Group, Json, Results
from common.failure import Failure
from plot import command as plot_command
from plot import style

CONTEXT: Json = {
    "machine": {"cpu": "made up", "cores": 4, "memory_gib": 1, "kernel": "none"},
    "commit": "c0ffee",
}
SEARCH = "search/{}/n:1000/dim:64/k:10/real_time/threads:{}"


def entry(index: str, ops: float, threads: int = 1, **more: Any) -> Json:
    """Returns one repetition of a search."""
    found: Json = {"name": SEARCH.format(index, threads), "threads": threads, "ops": ops, "failed": 0.0}
    return {**found, **more}


def read(*entries: Any, context: Json | None = None) -> Results:
    """Returns what is made of these entries."""
    return results.summarise("file", CONTEXT if context is None else context, list(entries))


class NamesTest(unittest.TestCase):
    def test_a_name_is_taken_apart(self) -> None:
        name = results.parse_name(SEARCH.format("mutex", 4))
        assert name
        self.assertEqual(
            (name.workload, name.index, name.structure, name.threads), ("search", "mutex", "index", 4)
        )
        self.assertEqual(name.parameters, (("n", "1000"), ("dim", "64"), ("k", "10")))
        name = results.parse_name("churn/map_lock_free/keys:zipf/min_time:0.1/iterations:3", 2)
        assert name
        self.assertEqual((name.index, name.structure, name.threads), ("lock_free", "map", 2))
        self.assertEqual(name.parameters, (("keys", "zipf"),))

    def test_what_is_no_name_of_a_benchmark(self) -> None:
        for text in (
            "",
            "search",
            "n:1/mutex",
            "search/n:1",
            "search/mutex/threads:0",
            "search/mutex/threads:x",
        ):
            self.assertIsNone(results.parse_name(text))


class SummaryTest(unittest.TestCase):
    def test_every_repetition_counts(self) -> None:
        [group] = read(entry("mutex", 1), entry("mutex", 5), entry("mutex", 2), entry("mutex", 9, 2)).groups
        cell = group.lines["mutex"][1]
        self.assertEqual(cell.throughput, [1, 5, 2])
        self.assertEqual((cell.median, cell.low, cell.high, cell.spread), (2, 1, 5, 2.0))
        self.assertEqual((group.threads, group.repetitions), ([1, 2], (1, 3)))
        self.assertIsNone(group.lines["mutex"][2].spread)

    def test_the_successful_operations_are_the_throughput(self) -> None:
        [group] = read(entry("mutex", 3, items_per_second=4.0, failed=1.0)).groups
        self.assertEqual(group.lines["mutex"][1].throughput, [3])
        self.assertEqual(group.lines["mutex"][1].failed_share, 0.25)
        [group] = read({"name": SEARCH.format("mutex", 1), "items_per_second": 4.0}).groups
        self.assertEqual(group.lines["mutex"][1].throughput, [4])
        self.assertEqual(Cell().failed_share, 0)

    def test_a_benchmark_that_failed_is_an_error_and_no_result(self) -> None:
        found = read(
            entry("mutex", 1),
            entry("rwlock", 9, error_occurred=True, error_message="wrong answer"),
            entry("lock_free", 9, skipped="error", skip_message="left out"),
            entry("lock_free", 9, 2, error_occurred=True),
        )
        self.assertEqual(list(found.groups[0].lines), ["mutex"])
        self.assertEqual(
            [message for _, message in found.errors], ["wrong answer", "left out", "no reason given"]
        )
        self.assertIn("rwlock", found.errors[0][0])

    def test_a_name_that_follows_no_rule_is_told(self) -> None:
        self.assertEqual(read(entry("mutex", 1), {"name": "odd", "ops": 1}).unnamed, ["odd"])

    def test_means_of_the_binary_are_no_repetitions(self) -> None:
        [group] = read(entry("mutex", 1), entry("mutex", 7, run_type="aggregate")).groups
        self.assertEqual(group.lines["mutex"][1].throughput, [1])

    def test_what_is_no_rate_is_refused(self) -> None:
        wrong: list[Any] = [None, "1", -1, math.nan, math.inf, True]
        for value in wrong:
            for field in ("ops", "failed", "writer_ops"):
                with self.subTest(value=value, field=field), self.assertRaisesRegex(
                    BadResults, f"{field} is"
                ):
                    read({**entry("mutex", 1), field: value})
        with self.assertRaisesRegex(BadResults, "benchmark 1 has no name"):
            read(entry("mutex", 1), {"ops": 1})
        with self.assertRaisesRegex(BadResults, "benchmark 0 has no name"):
            read(7)

    def test_a_run_without_a_result_is_refused_and_says_why(self) -> None:
        with self.assertRaisesRegex(BadResults, r"no usable|no benchmark here has a usable result$"):
            read()
        with self.assertRaisesRegex(BadResults, r"usable result \(search/.*: wrong\)"):
            read(entry("mutex", 1, error_occurred=True, error_message="wrong"))
        with self.assertRaisesRegex(BadResults, r"usable result \(odd\)"):
            read({"name": "odd", "ops": 1})

    def test_workloads_and_indexes_stand_in_their_order(self) -> None:
        names = (
            "tax/mutex/stats:off",
            "mixed/mutex",
            "insert/lock_free",
            "insert/mutex",
            "insert/map_mutex",
            "new/mutex",
        )
        found = read(*({"name": name, "ops": 1} for name in names))
        self.assertEqual(
            [(each.workload, each.structure) for each in found.groups],
            [("insert", "index"), ("insert", "map"), ("mixed", "index"), ("tax", "index"), ("new", "index")],
        )
        self.assertEqual(list(found.groups[0].lines), ["mutex", "lock_free"])

    def test_the_tax_has_its_variants_as_lines_and_is_compared_to_none_of_them(self) -> None:
        [group] = read(
            {"name": "tax/mutex/stats:on/n:10", "ops": 1},
            {"name": "tax/mutex/stats:off/n:10", "ops": 2},
        ).groups
        self.assertEqual((list(group.lines), group.baseline), (["stats off", "stats on"], "stats off"))
        self.assertEqual(group.ratio("stats on", 1), (0.5, 0.5, 0.5))

    def test_the_writer_beside_is_kept(self) -> None:
        [group] = read({"name": "search_beside_writer/mutex/n:1", "ops": 1, "writer_ops": 7}).groups
        self.assertEqual((group.lines["mutex"][1].beside, group.busy_threads(3)), ([7], 4))
        [group] = read(entry("mutex", 1, writer_ops=7)).groups
        self.assertEqual((group.lines["mutex"][1].beside, group.busy_threads(3)), ([], 3))

    def test_cores_are_those_of_the_machine_else_of_the_binary(self) -> None:
        cases: list[tuple[Json, int | None]] = [
            ({"machine": {"cores": 4}, "num_cpus": 2}, 4),
            ({"num_cpus": 2}, 2),
            ({"machine": {"cores": 0}, "num_cpus": 1}, 1),
            ({"num_cpus": "2"}, None),
        ]
        for context, cores in cases:
            self.assertEqual(read(entry("mutex", 1), context=context).cores, cores)

    def test_the_machine_is_told_as_far_as_it_is_known(self) -> None:
        line = results.machine_line(
            read(entry("mutex", 1), context={**CONTEXT, "dirty": True, "date": "2026-01-01T1"})
        )
        self.assertEqual(line, "made up, 4 cores · commit c0ffee with changes · 2026-01-01")
        busy = {"cores_busy_with_other_programs": 0.16, "num_cpus": 1}
        self.assertEqual(
            results.machine_line(read(entry("mutex", 1), context=busy)),
            "1 core · other programs kept 0.2 cores busy",
        )
        quiet = {"cores_busy_with_other_programs": 0.15}
        self.assertEqual(
            results.machine_line(read(entry("mutex", 1), context=quiet)), "machine, commit and date unknown"
        )


class RatioTest(unittest.TestCase):
    def group(self, mine: list[float], base: list[float]) -> Group:
        """Returns a group of two lines."""
        lines = {"lock_free": {1: Cell(mine)}, "mutex": {1: Cell(base)}, "rwlock": {1: Cell([10.0])}}
        return Group("search", "index", (), lines=lines)

    def test_a_ratio_is_of_throughput_to_the_baselines_in_pairs(self) -> None:
        self.assertEqual(self.group([6, 4, 9], [1, 2, 3]).ratio("lock_free", 1), (3, 2, 6))

    def test_without_pairs_the_medians_are_compared(self) -> None:
        self.assertEqual(self.group([6, 4], [1, 2, 3]).ratio("lock_free", 1), (2.5, 2.5, 2.5))

    def test_another_baseline_and_none(self) -> None:
        group = self.group([5], [1])
        self.assertEqual(group.ratio("lock_free", 1, "rwlock"), (0.5, 0.5, 0.5))
        self.assertIsNone(group.ratio("lock_free", 2))
        self.assertIsNone(group.ratio("lock_free", 1, "none"))
        self.assertIsNone(self.group([5], [0]).ratio("lock_free", 1))
        self.assertIsNone(self.group([5, 5], [0, 1]).ratio("lock_free", 1))

    def test_tables_show_values_and_ratios(self) -> None:
        heading, rows, words = tables.rows_of(self.group([6000, 4000, 9000], [1000, 2000, 3000]))
        self.assertEqual(heading, ["threads", "lock_free", "ratio", "mutex", "rwlock", "ratio"])
        self.assertEqual(rows, [["1", "6.00 (83%)", "x3.00", "2.00 (100%)", "0.010", "x0.01"]])
        self.assertEqual(words, "thousand operations/s")
        self.assertEqual(
            [tables.three_digits(x) for x in (0.5, 1, 9.99, 10, 99.9, 100)],
            ["0.500", "1.00", "9.99", "10.0", "99.9", "100"],
        )
        self.assertEqual([results.unit(x)[0] for x in (199, 200, 199999, 200000)], [1, 1e3, 1e3, 1e6])


class FileTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="hotindex-scripts-")
        self.addCleanup(scratch.cleanup)
        self.path = Path(scratch.name) / "results.json"

    def refused(self, text: str | bytes) -> str:
        """Returns what is said about a file of this content."""
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with self.assertRaises(BadResults) as raised:
            results.read(self.path)
        return str(raised.exception)

    def test_a_file_that_cannot_be_used_says_why(self) -> None:
        whole = json.dumps({"context": {}, "benchmarks": [entry("mutex", 1)]})
        cases: list[tuple[str | bytes, str]] = [
            (whole[:-9], "cut short"),
            (whole.replace("1,", "NaN,", 1), "NaN"),
            (b"\xff", "byte 0 is not UTF-8"),
            ("{,}", "not JSON"),
            ("[]", 'no list "benchmarks"'),
            ('{"benchmarks": {}}', 'no list "benchmarks"'),
            ('{"benchmarks": []}', "nothing was measured"),
            ('{"benchmarks": [1], "context": {"machine": 1}}', "context.machine is not an object"),
            ("[" * 100_000, "recursion"),
        ]
        for text, why in cases:
            with self.subTest(why=why):
                said = self.refused(text)
                self.assertIn(why, said)
                self.assertIn(str(self.path), said)
        self.assertNotIn("cut short", self.refused("{,}"))
        self.path.unlink()
        with self.assertRaisesRegex(BadResults, "No such file"):
            results.read(self.path)

    def test_a_growing_file_is_read_as_far_as_it_goes(self) -> None:
        whole = json.dumps({"context": {"a": 1}, "benchmarks": [entry("mutex", 1), entry("mutex", 2)]})
        seen = []
        for size in range(len(whole) + 1):
            self.path.write_text(whole[:size])
            seen.append([each["ops"] for each in measurement.read_entries(self.path)[1]])
        self.assertEqual(
            [numbers for i, numbers in enumerate(seen) if i == 0 or numbers != seen[i - 1]], [[], [1], [1, 2]]
        )
        self.assertEqual(measurement.read_entries(self.path)[0], {"a": 1})
        self.path.unlink()
        self.assertEqual(measurement.read_entries(self.path), ({}, []))


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

    def test_a_filter_chooses_and_one_that_chooses_nothing_is_refused(self) -> None:
        names = [SEARCH.format(index, 1) for index in ("mutex", "rwlock")]
        self.assertEqual(measurement.chosen(names, "mutex"), names[:1])
        self.assertEqual(measurement.chosen(names, None), names)
        with self.assertRaisesRegex(Failure, "--filter mutx: no benchmark has that in its name.*mutex"):
            measurement.chosen(names, "mutx")
        with self.assertRaisesRegex(Failure, "lists no benchmark"):
            measurement.chosen([], None)
        self.assertEqual(measurement.exactly(["a/b:1.5", "c"]), r"--benchmark_filter=^(a/b:1\.5|c)$")

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
