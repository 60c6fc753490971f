"""What a results.json says: every repetition counts, ratios stand the right way up, and what failed or cannot
be used is told."""

from __future__ import annotations

import json
import math
import tempfile
import unittest
from pathlib import Path
from typing import Any

from bench import measurement, results, tables
from bench.results import BadResults, Cell, Group, Json, Results

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


class ElisionTest(unittest.TestCase):
    """What the elided index was made of is told where it was measured."""

    def test_what_elided_was_made_of_is_told_where_it_was_measured(self) -> None:
        told: Json = {**CONTEXT, "elided": "no transactions"}
        for index, context, lines in (
            ("elided", told, ["elided: no transactions"]),
            ("mutex", told, []),
            ("elided", CONTEXT, []),  # of a program that does not say
        ):
            self.assertEqual(tables.elision_of(read(entry(index, 1.0), context=context)), lines)

    def test_elided_stands_between_the_locks_and_the_lock_free_index(self) -> None:
        found = read(*(entry(index, 1.0) for index in ("lock_free", "elided", "rwlock", "mutex")))
        self.assertEqual(list(found.groups[0].lines), ["mutex", "rwlock", "elided", "lock_free"])


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

    def test_a_threads_part_counts_and_an_empty_one_does_not(self) -> None:
        name = results.parse_name("search//mutex/", 3)
        assert name
        self.assertEqual((name.index, name.threads, name.parameters), ("mutex", 3, ()))
        self.assertEqual(results.parse_name("search/mutex").threads, 1)  # type: ignore[union-attr]

    def test_a_workload_in_words(self) -> None:
        cases: list[tuple[str, str, dict[str, str], str]] = [
            ("insert", "index", {"n": "10000", "dim": "128"}, "Insert: 10,000 adds of 128 floats a thread"),
            ("insert", "index", {}, "Insert: many adds a thread"),
            (
                "search",
                "index",
                {"n": "1000", "dim": "64", "k": "10"},
                "Search: top 10 of 1,000 vectors of 64 floats",
            ),
            ("search", "index", {}, "Search: top k of n vectors"),
            ("mixed", "index", {"k": "5"}, "Mixed: one add to two searches; top 5"),
            ("my_own", "index", {"n": "5"}, "My own; 5 vectors"),
            (
                "churn",
                "map",
                {"n": "5"},
                "Churn: an insert and a remove by turns, at a constant size; map alone, 5 keys",
            ),
            ("mixed", "index", {"dim": "8"}, "Mixed: one add to two searches; vectors of 8 floats"),
            ("mixed", "index", {}, "Mixed: one add to two searches"),
            (
                "read_heavy",
                "index",
                {"read": "get", "keys": "zipf"},
                "Read-heavy: 98% read, 1% insert, 1% remove; whole index, read by get, drawn by Zipf",
            ),
            ("mixed", "index", {"keys": "zipf:1.2"}, "Mixed: one add to two searches, drawn by Zipf (1.2)"),
            ("mixed", "index", {"keys": "uniform"}, "Mixed: one add to two searches, drawn uniformly"),
            ("mixed", "index", {"keys": "odd"}, "Mixed: one add to two searches, drawn odd"),
            ("tax", "index", {"index": "lock_free"}, "What instrumentation costs: the lock-free index"),
            ("tax", "map", {"index": "map_mutex"}, "What instrumentation costs: the map mutex; map alone"),
            ("mixed", "index", {"a_b": "", "c": "3"}, "Mixed: one add to two searches, a b, c 3"),
        ]
        for workload, structure, parameters, words in cases:
            with self.subTest(words=words):
                self.assertEqual(results.describe(workload, structure, parameters), words)

    def test_a_chart_is_named_after_its_group(self) -> None:
        group = Group("search", "index", (("n", "1000"), ("keys", "zipf:1.2")))
        self.assertEqual(group.slug, "search_n1000_keyszipf_1.2")
        self.assertEqual(Group("churn", "map", ()).slug, "churn_map")

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

    def test_the_tax_varies_what_has_several_values_and_is_no_size(self) -> None:
        found = read(
            {"name": "tax/mutex/n:10/stats:on/track:off", "ops": 1},
            {"name": "tax/mutex/n:20/stats:off/track:off", "ops": 2},
            {"name": "mixed/mutex/track:on", "ops": 3},
            {"name": "tax/mutex/plain", "ops": 3},
        )
        self.assertEqual(
            [list(each.lines) for each in found.groups[1:]], [["stats on"], ["stats off"], ["plain"]]
        )
        self.assertEqual([each.baseline for each in found.groups[1:]], ["", "stats off", ""])
        [both] = read(
            {"name": "tax/mutex/a:off/b:on", "ops": 1}, {"name": "tax/mutex/a:on/b:off", "ops": 1}
        ).groups
        self.assertEqual(both.baseline, "")

    def test_threads_stand_in_the_name_or_in_the_entry(self) -> None:
        name = "search/mutex/n:1"
        found = read(*({"name": name, "ops": 1, "threads": threads} for threads in (3, 0, "x", 1)))
        self.assertEqual(
            {n: len(cell.throughput) for n, cell in found.groups[0].lines["mutex"].items()}, {3: 1, 1: 3}
        )
        self.assertEqual(found.groups[0].lines["mutex"][1].failed_share, 0)
        beside = read({"name": "search_beside_writer/mutex/n:1", "ops": 1}).groups[0].lines["mutex"][1].beside
        self.assertEqual(beside, [0.0])

    def test_a_spread_needs_two_repetitions_and_threads_ascend(self) -> None:
        self.assertEqual(Cell([1.0, 3.0]).spread, 1.0)
        self.assertIsNone(Cell([0.0, 0.0]).spread)
        group = Group("search", "index", (), lines={"mutex": {n: Cell([1.0]) for n in (16, 1, 64, 8)}})
        self.assertEqual(group.threads, [1, 8, 16, 64])

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


class ThreadsTest(unittest.TestCase):
    """How even threads were, and what a vector takes."""

    def test_the_least_even_repetition_of_each_line_is_told(self) -> None:
        def even(jain: float, low: float = 1e3, high: float = 2e3) -> Json:
            return {"jain": jain, "slowest_thread": low, "fastest_thread": high}

        [group] = read(
            entry("mutex", 4000, 1, **even(1.0)),
            entry("mutex", 4000, 2, **even(0.9)),
            entry("mutex", 4000, 2, **even(0.6, 500, 3000)),
            entry("mutex", 4000, 4, **even(0.8)),
            entry("rwlock", 4000, 2),
            entry("lock_free", 4000, 4, **even(0.99)),
        ).groups
        told = (
            "least fair: mutex 0.60 at 2 threads (0.500 to 3.00), lock_free 0.99 at 4 threads (1.00 to 2.00)"
        )
        self.assertEqual(tables.remarks_on(group), [told])

    def test_one_thread_and_files_that_do_not_tell_have_no_line(self) -> None:
        partly: list[Json] = [{"jain": 0.5, "slowest_thread": 1.0}, {}]
        for more in partly:
            [group] = read(entry("mutex", 1, 2, **more)).groups
            self.assertEqual(tables.remarks_on(group), [])
        self.assertIsNone(results.threads_of({"jain": "x", "slowest_thread": 1, "fastest_thread": 1}))
        self.assertIsNone(results.threads_of({"jain": math.nan, "slowest_thread": 1, "fastest_thread": 1}))

    def test_what_a_vector_takes_is_told(self) -> None:
        each = {"index": "mutex", "resident": 483.3, "accounted": 571.6}
        context = {"memory": {"vectors": 20000, "dimension": 64, "indexes": [each]}}
        said = "bytes a vector, of 20,000 with 64 floats: mutex 483 resident, 572 accounted"
        self.assertEqual(tables.memory_words(context), said)
        silent: list[Json] = [{}, {"memory": None}, {"memory": {"indexes": []}}]
        for nothing in silent:
            self.assertEqual(tables.memory_words(nothing), "")


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
            (whole.replace('"ops": 1', '"ops": NaN'), "ops is nan, not a rate"),
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
        with self.assertRaisesRegex(BadResults, "it holds NaN"):  # of our own files, which never have one
            self.path.write_text("[NaN]")
            results.load(self.path)
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


if __name__ == "__main__":
    unittest.main()
