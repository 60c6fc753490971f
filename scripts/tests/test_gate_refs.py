"""scripts/gate --refs: two looks at two commits, what is counted of both, and what becomes of a signal. A
made-up session stands in for the measurements."""

from __future__ import annotations

import contextlib
import io
import time
import unittest
from pathlib import Path

from bench import conditions
from bench.results import Json
from common import child_processes, repository
from common.repository import GitRefused
from gate import chart, command, comparison, counts, refs, runs
from gate.counts import Accepted, Counts, CountsFailed
from gate.refs import Version
from gate.session import Program
from plot import style
from runner_case import RunnerCase

FAST, SLOW = "search/mutex/n:1/threads:1", "search/rwlock/n:1/threads:8"
VERSIONS = {
    "old": Version("old", "aaaaaaaaaaaa", Path("a")),
    "new": Version("bbbbbbbbbbbbb", "bbbbbbbbbbbb", Path("b")),
}


class Session:
    """Measures whatever the test has made up: times of an operation by benchmark, a list for each look."""

    made: list[Session] = []
    factors: dict[str, list[float]] = {}
    breaks: set[str] = set()
    signal_after = 99
    cut_after = 99  # looks, of which the last is not whole

    def __init__(self, baseline: Program, candidate: Program, flags: list[str], *rest: object) -> None:
        self.programs = (baseline, candidate)
        self.given = (flags, *rest)
        self.names = list(self.factors)
        self.broken = set(self.breaks)
        self.pairs: dict[str, int] = dict.fromkeys(self.names, 0)
        self.asked: list[tuple[list[str], int, str]] = []
        self.times: list[dict[str, dict[int, float]]] = [{}, {}]
        self.counts: object = None
        self.kept = 0
        self.cut_short = False
        self.until: list[float] = []
        self.why = ""
        Session.made.append(self)

    def measure(self, names: list[str], count: int, title: str, until: float) -> float:
        """Measures pairs of these benchmarks. Returns the seconds it took."""
        if len(self.asked) == self.signal_after:
            raise child_processes.Ended(15)
        look = len(self.asked)
        self.until.append(until - time.monotonic())
        self.cut_short = look + 1 >= self.cut_after
        self.asked.append((list(names), count, title))
        for name in names:
            for _ in range(count):
                number = self.pairs[name]
                noise = 1 + (number % 7 - 3) * (0.0001 if len(self.factors[name]) == 1 or look else 0.2)
                self.times[0].setdefault(name, {})[number] = 1.0
                self.times[1].setdefault(name, {})[number] = (
                    self.factors[name][min(look, len(self.factors[name]) - 1)] * noise
                )
                self.pairs[name] += 1
        return 1.0

    def saved(self, side: int) -> list[runs.SavedRun]:
        """Returns a side's run."""
        context: Json = {
            "interleaved": "s",
            "machine": {"cpu": "made up", "cores": 2},
            "commit": f"commit-{side}",
        }
        return [runs.SavedRun(str(side), context, self.times[side], {})]

    def keep(self) -> str:
        """Counts how often it was asked to keep. Returns why it could not."""
        self.kept += 1
        return self.why


class RefsTest(RunnerCase):
    def setUp(self) -> None:
        super().setUp()
        Session.made, Session.factors, Session.breaks = [], {FAST: [1.0], SLOW: [1.0]}, set()
        Session.signal_after = Session.cut_after = 99
        self.built: list[str] = []
        self.counted: dict[str, Counts | CountsFailed] = {
            "old": self.loads(30),
            "bbbbbbbbbbbbb": self.loads(30),
        }
        self.asked_counts: list[tuple[str, list[str]]] = []
        self.diff: list[str] = []
        self.accepted: dict[str, Accepted] = {}
        self.floors: list[dict[str, float]] = [{}, {}]
        self.sides = ("old", "new")
        for name, value in (
            ("FOLDER", self.folder / "a" / "gate"),
            ("install", lambda: self.built.append("packages")),
            ("checked_out", lambda ref: VERSIONS[ref]),
            ("build", lambda version: self.built.append(version.commit)),
            ("count_version", self.count),
            ("profile_flags", lambda threads, every: [f"threads={threads}", f"all={every}"]),
        ):
            self.replace(refs, name, value)
        self.replace(comparison, "Session", Session)
        self.replace(comparison, "load_floors", lambda options, context, notes: self.floors)
        self.replace(repository, "git", self.git)
        self.replace(counts, "accepted_at", lambda commit: self.accepted if commit == "bbbbbbbbbbbb" else {})
        self.replace(conditions, "describe_machine", lambda: {"cpu": "described", "cores": 4})
        self.replace(conditions, "describe_build", lambda folder: {"flags": f"of {folder}"})
        self.replace(style, "cannot_draw", lambda: "no matplotlib")

    @staticmethod
    def loads(total: int) -> Counts:
        """Returns counts."""
        return {"get": {"calls": 10, "totals": {"loads": total}}}

    def git(self, *words: str) -> str:
        """Returns what git says."""
        self.diff.append(" ".join(words))
        return "bench/x" if "bench" in VERSIONS["new"].name else ""

    def count(self, version: Version, wanted: list[str]) -> Counts:
        """Returns the counts of a version."""
        self.asked_counts.append((version.name, wanted))
        found = self.counted[version.name]
        if isinstance(found, CountsFailed):
            raise found
        return found

    def gate(self, *flags: str) -> tuple[int, str]:
        """Returns (exit status, what was said)."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = command.run(["--refs", *self.sides, *flags])
        return status, said.getvalue()

    def test_equal_commits_pass_and_everything_is_kept(self) -> None:
        status, said = self.gate()
        [session] = Session.made
        self.assertEqual((status, session.kept), (0, 1))
        self.assertEqual(self.built, ["packages", "aaaaaaaaaaaa", "bbbbbbbbbbbb"])
        self.assertEqual(session.asked, [([FAST, SLOW], 30, "first look")])
        self.assertEqual(session.given, (["threads=[1, 2]", "all=False"], None, None))
        self.assertEqual(
            [(each.context["commit"], each.context["flags"]) for each in session.programs],
            [("aaaaaaaaaaaa", "of a"), ("bbbbbbbbbbbb", "of b")],
        )
        self.assertEqual(
            [each.path for each in session.programs],
            [Path("a/bench/hotindex_bench"), Path("b/bench/hotindex_bench")],
        )
        self.assertEqual(session.counts, (self.loads(30), self.loads(30)))
        self.assertEqual(
            self.asked_counts, [(name, ["counts", "instructions"]) for name in ("old", "bbbbbbbbbbbbb")]
        )
        self.assertIn("baseline: old (aaaaaaaaaaaa)\ncandidate: bbbbbbbbbbbbb\n", said)
        self.assertIn(
            "measure: 2 benchmarks, 30 pairs of each, then 90 more of those that are not decided; at most 8",
            said,
        )
        self.assertIn("count: old, counts and instructions", said)
        self.assertIn("note: the measurements are in build/gate/baseline.json", said)
        self.assertNotIn("bench/ differs", said)
        self.assertNotIn("same commit", said)
        self.assertEqual(self.diff, ["diff --name-only aaaaaaaaaaaa bbbbbbbbbbbb -- bench :!bench/tests"])
        self.assertTrue((self.folder / "a" / "gate").is_dir())
        self.assertEqual(self.gate()[0], 0)

    def test_a_slower_candidate_is_a_regression(self) -> None:
        Session.factors = {FAST: [1.0], SLOW: [1.3]}
        status, said = self.gate(
            "--all", "--threads", "8", "--filter", "search", "--min-time", "0.5", "--pairs", "20"
        )
        self.assertEqual(status, 1)
        self.assertIn(f"Regression: {SLOW} takes 30", said)
        again = "scripts/gate --refs aaaaaaaaaaaa bbbbbbbbbbbb --threads 8 --all --filter"
        self.assertIn(again, said)
        [session] = Session.made
        self.assertEqual(session.given, (["threads=[8]", "all=True"], "search", 0.5))
        self.assertEqual(session.asked, [([FAST, SLOW], 20, "first look")])
        Session.factors = {FAST: [1.3]}
        self.assertIn("bbbbbbbbbbbb --filter", self.gate()[1])

    def test_what_is_undecided_is_measured_three_times_as_often_once_more(self) -> None:
        Session.factors = {FAST: [1.0], SLOW: [1.0, 1.0]}  # noisy at the first look
        status, said = self.gate()
        [session] = Session.made
        self.assertEqual(session.asked[1:], [([SLOW], 90, "second look")])
        self.assertIn("measure: 1 of 2 are not decided", said)
        self.assertEqual(session.pairs, {FAST: 30, SLOW: 120})
        self.assertEqual(status, 0)

    def test_a_regression_that_the_second_look_shows_counts(self) -> None:
        Session.factors = {FAST: [1.0], SLOW: [1.0, 1.4]}
        status, said = self.gate()
        self.assertEqual(status, 1)
        self.assertIn(f"Regression: {SLOW}", said)

    def test_when_the_time_is_over_what_is_not_decided_stays_so(self) -> None:
        Session.factors, Session.cut_after = {FAST: [1.0], SLOW: [1.0, 1.0]}, 1
        status, said = self.gate("--minutes", "3")
        [session] = Session.made
        self.assertEqual((status, len(session.asked)), (2, 1))
        self.assertTrue(0 < session.until[0] <= 180)
        self.assertIn("note: the time ran out: benchmarks have 30 to 30 pairs; --minutes 6 gives", said)
        Session.cut_after = 2  # what the second look has until then counts
        self.assertEqual(self.gate()[0], 0)

    def test_what_cannot_be_decided_is_green_or_red_as_one_likes(self) -> None:
        Session.factors, Session.cut_after = {FAST: [1.0], SLOW: [1.0, 1.0]}, 1
        for colour, status in (("green", 0), ("red", 1)):
            found, said = self.gate("--cannot-decide", colour)
            self.assertEqual(found, status)
            self.assertIn(
                f"Cannot decide on 1 of 2 benchmarks: {SLOW}; nothing else got slower; that counts as", said
            )
        Session.factors = {FAST: [1.3], SLOW: [1.0, 1.0]}  # a regression stays one
        self.assertEqual(self.gate("--cannot-decide", "green")[0], 1)

    def test_a_benchmark_that_breaks_is_not_measured_again(self) -> None:
        Session.factors, Session.breaks = {FAST: [1.0], SLOW: [1.0, 1.0]}, {SLOW}
        self.assertEqual(self.gate()[0], 2)
        self.assertEqual(len(Session.made[0].asked), 1)

    def test_each_look_has_its_floors(self) -> None:
        self.floors = [{FAST: 0.5}, {}]
        self.assertEqual(self.gate()[0], 0)  # undecided at the first look, a pass at the second
        self.floors = [{}, {FAST: 0.5}]
        self.assertEqual(self.gate()[0], 0)
        self.floors = [{FAST: 0.5}, {FAST: 0.5}]
        self.assertEqual(self.gate()[0], 2)

    def test_levels_are_split_between_two_looks(self) -> None:
        Session.factors = {FAST: [1.3]}
        for pairs, status in (("7", 2), ("8", 1)):  # 1/128 is below 0.01 and not below half of it
            Session.signal_after = 1
            with contextlib.suppress(child_processes.Ended):
                self.assertEqual(self.gate("--pairs", pairs)[0], status)

    def test_a_signal_keeps_what_was_measured(self) -> None:
        Session.signal_after = 0
        said = io.StringIO()
        with contextlib.redirect_stdout(said), self.assertRaises(child_processes.Ended):
            command.run(["--refs", "old", "new"])
        self.assertIn(
            "0 pairs were measured; kept, to be compared by scripts/gate --baseline build/gate/",
            said.getvalue(),
        )
        self.assertEqual(Session.made[0].kept, 1)

    def test_counts_alone_are_enough(self) -> None:
        status, said = self.gate("--measures", "counts")
        self.assertEqual((status, Session.made), (0, []))
        self.assertEqual(self.asked_counts[0], ("old", ["counts"]))
        self.assertIn("Pass: 1 counts", said)
        self.assertEqual(self.gate("--measures", "times")[0], 0)
        self.assertEqual(len(self.asked_counts), 2)
        self.assertEqual(Session.made[0].counts, ({}, {}))

    def test_a_count_that_rose_is_a_regression_unless_it_was_accepted(self) -> None:
        self.counted["bbbbbbbbbbbbb"] = self.loads(31)
        status, said = self.gate("--measures", "counts")
        self.assertEqual(status, 1)
        self.assertIn("get has 3.1 atomic loads an operation instead of 3", said)
        self.assertIn("--measures counts,instructions --filter", said)
        self.accepted = {"get: loads": {"up_to": 3.1, "reason": "versions"}}
        status, said = self.gate("--measures", "counts")
        self.assertEqual(status, 0)
        self.assertIn("note: accepted: get: loads: versions", said)
        self.accepted = {}
        self.counted = {"old": self.loads(31), "bbbbbbbbbbbbb": self.loads(30)}
        self.assertEqual(self.gate("--measures", "counts")[0], 0)

    def test_counts_that_cannot_be_taken_are_no_pass(self) -> None:
        for name, side in (("old", "baseline"), ("bbbbbbbbbbbbb", "candidate")):
            self.counted = {"old": self.loads(30), "bbbbbbbbbbbbb": self.loads(30)}
            self.counted[name] = CountsFailed("valgrind failed")
            status, said = self.gate()
            self.assertEqual(status, 3)
            self.assertIn(f"counts: the {side}: valgrind failed", said)

    def test_the_same_commit_twice_is_built_once_and_told(self) -> None:
        self.sides = ("old", "old")
        status, said = self.gate()
        self.assertEqual((status, self.built), (0, ["packages", "aaaaaaaaaaaa"]))
        self.assertIn("note: both sides are the same commit", said)

    def test_benchmarks_that_changed_are_told(self) -> None:
        self.replace(repository, "git", lambda *words: "bench/x.hpp")
        self.assertIn("note: bench/ differs between the commits", self.gate()[1])

    def test_measurements_that_cannot_be_kept_are_told(self) -> None:
        keep = Session.keep

        def full(session: Session) -> str:
            keep(session)
            return "disk full"

        self.replace(Session, "keep", full)
        self.assertIn("note: the measurements are not kept: disk full", self.gate()[1])

    def test_a_commit_that_is_not_there_is_status_3(self) -> None:
        def checked_out(ref: str) -> Version:
            raise GitRefused(f"{ref}: this clone has no such commit")

        self.replace(refs, "checked_out", checked_out)
        status, said = self.gate()
        self.assertEqual(status, 3)
        self.assertIn("no such commit", said)

    def test_a_chart_is_drawn_where_that_can_be_done(self) -> None:
        self.assertIn("chart: none: no matplotlib", self.gate()[1])
        self.replace(style, "cannot_draw", lambda: "")
        drawn: list[Path] = []

        def draw(each: object, path: Path) -> bool:
            drawn.append(path)
            return len(drawn) == 1

        self.replace(chart, "draw", draw)
        self.assertIn("chart: ", self.gate()[1])
        self.assertNotIn("chart: ", self.gate("--chart", str(self.folder / "mine.svg"))[1])
        self.assertEqual([path.name for path in drawn], ["ratios.svg", "mine.svg"])

        def fails(each: object, path: Path) -> bool:
            raise OSError(28, "No space left on device")

        self.replace(chart, "draw", fails)
        status, said = self.gate()
        self.assertEqual(status, 3)
        self.assertIn("No space left on device", said)


class CommandsTest(unittest.TestCase):
    def test_the_command_that_compares_one_benchmark_again(self) -> None:
        again = comparison.refs_command
        fast = "scripts/gate --refs a b --filter '^search/mutex/n:1/threads:1$'"
        self.assertEqual(again(["a", "b"], FAST), fast)
        self.assertEqual(
            again(["a", "b"], FAST.replace("s:1", "s:2")), fast.replace("threads:1", "threads:2")
        )
        self.assertIn("--threads 8 --filter", again(["a", "b"], SLOW))
        self.assertIn("--threads 8 --all --filter", again(["a", "b"], SLOW, True))
        self.assertEqual(
            again(["a", "b"], "get", True),
            "scripts/gate --refs a b --measures counts,instructions --filter '^get$'",
        )


if __name__ == "__main__":
    unittest.main()
