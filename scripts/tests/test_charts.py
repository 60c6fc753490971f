"""scripts/plot: which charts there are, and what is on the one of searches against writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import results as result_file
from bench import tables
from plot import charts, command
from plot.style import cannot_draw
from tree import Case

SIZE = "n:1000/dim:64/k:10"


def entry(name: str, index: str, threads: int, ops: float, writes: float | None = None) -> dict[str, Any]:
    """Returns one benchmark as the binary writes it."""
    found: dict[str, Any] = {
        "name": name.replace("INDEX", index) + f"/real_time/threads:{threads}",
        "threads": threads,
        "ops": ops,
        "failed": 0.0,
    }
    if writes is not None:
        found["writer_ops"] = writes
    return found


def made_up(paces: tuple[int, ...]) -> list[dict[str, Any]]:
    """Returns searches alone, beside writers at these paces, and beside one without pause."""
    found = []
    for index, factor in (("mutex", 1.0), ("lock_free", 2.0)):
        for threads in (1, 2):
            found.append(entry(f"search/INDEX/{SIZE}", index, threads, 1e5 * factor * threads))
            for pace in paces:
                name = f"search_beside_writer/INDEX/{SIZE}/writes:{pace}"
                found.append(entry(name, index, threads, 8e4 * factor, min(pace, 4e5)))
            found.append(entry(f"search_beside_writer/INDEX/{SIZE}", index, threads, 3e4 * factor, 9e5))
    return found


class FrontierTest(Case):
    def results(self, *paces: int) -> result_file.Results:
        """Returns the results of a made-up run."""
        context = {
            "machine": {"cpu": "made up", "cores": 2, "memory_gib": 1, "kernel": "none"},
            "date": "2026-01-01",
            "commit": "0" * 12,
        }
        return result_file.summarise(Path("made up"), context, made_up(paces))

    def test_searches_alone_come_first_then_the_paces_ascending_then_without_pause(self) -> None:
        [family] = result_file.frontiers(self.results(100000, 1000, 10000).groups)
        self.assertEqual(
            [(each.workload, dict(each.parameters).get("writes")) for each in family],
            [
                ("search", None),
                ("search_beside_writer", "1000"),
                ("search_beside_writer", "10000"),
                ("search_beside_writer", "100000"),
                ("search_beside_writer", None),
            ],
        )

    def test_one_pace_is_no_curve(self) -> None:
        self.assertEqual(result_file.frontiers(self.results(1000).groups), [])

    def test_paced_writers_share_one_chart_and_have_no_charts_of_their_own(self) -> None:
        if cannot_draw():
            self.skipTest(cannot_draw())
        results = self.results(1000, 10000)
        drawn = charts.draw_all(results, self.out)
        frontier = "search_beside_writer_n1000_dim64_k10_frontier"
        self.assertIn(frontier, drawn)
        self.assertFalse([name for name in drawn if "writes" in name])
        picture = (self.out / f"{frontier}.svg").read_text()
        for words in ("2 searching threads", "replacements/s that the writer reached", "lock-free", "nobody"):
            self.assertIn(words, picture.replace("<!-- ", "").replace(" -->", ""))

    def test_panels_reach_from_one_searcher_to_one_for_each_core(self) -> None:
        self.assertEqual(charts.panels_of([1, 2, 4, 8, 16, 32], 16), [1, 4, 16])
        self.assertEqual(charts.panels_of([1, 2, 4, 8], 2), [1, 2])
        self.assertEqual(charts.panels_of([1, 2, 4, 8], 4), [1, 2, 4])
        self.assertEqual(charts.panels_of([2, 4, 8, 16], None), [2, 8, 16])

    def test_the_pace_stands_in_the_title_and_what_was_reached_below_the_table(self) -> None:
        results = self.results(1000, 1000000)
        fast = next(each for each in results.groups if ("writes", "1000000") in each.parameters)
        self.assertIn("Search beside a writer of 1,000,000 replacements/s; top 10", fast.title)
        self.assertEqual(
            tables.remarks_on(fast),
            ["the writer beside it, thousand replacements/s: mutex 400, lock_free 400"],
        )

    def test_the_readme_shows_one_pace_and_the_writer_without_pause(self) -> None:
        table = command.ratio_table(self.results(1000, 10000, 100000))
        self.assertIn("a writer of 10,000 replacements/s", table)
        self.assertIn("a continuous writer", table)
        self.assertNotIn("100,000", table)
        self.assertEqual(json.dumps(table).count("Search beside"), 2)
