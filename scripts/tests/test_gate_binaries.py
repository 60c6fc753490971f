"""scripts/gate --binaries: two programs that use Google Benchmark, measured by turns."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest import mock

from gate.session import Program, Session
from google_case import GoogleCase

FEW = ("--pairs", "10")


class BinariesTest(GoogleCase):
    def test_the_slower_program_is_found_and_the_line_to_see_it_again_is_theirs(self) -> None:
        old, new = self.program("old", 100), self.program("new", 200)
        status, said = self.gate("--binaries", old, new, *FEW, "--", "--mine=two words")
        self.assertEqual(status, 1)
        self.assertIn("Regression: BM_First/8 takes 100.0% longer", said)
        again = f"--binaries {old} {new} --filter '^BM_First/8$' -- '--mine=two words'"
        self.assertIn(f"To reproduce it: scripts/gate {again}", said)
        flags, place = (self.folder / "new.flags").read_text().splitlines()
        self.assertIn(
            "--mine=two words --benchmark_repetitions=1 --benchmark_min_time=0.02 --benchmark_filter=^(BM_",
            flags,
        )
        self.assertEqual(place, os.getcwd())
        saved = json.loads((self.folder / "gate" / "baseline.json").read_text())
        self.assertEqual(len(saved["benchmarks"]), 20)
        self.assertEqual(saved["context"]["executable"], str(old))

    def test_what_it_left_can_be_compared_again(self) -> None:
        self.gate("--binaries", self.program("old", 100), self.program("new", 200), *FEW)
        folder = self.folder / "gate"
        status, said = self.gate(
            "--baseline", folder / "baseline.json", "--candidate", folder / "candidate.json"
        )
        self.assertEqual(status, 1)
        self.assertIn(f"To reproduce it: {self.folder / 'new'} ", said)
        self.assertNotIn("interleaved", said)

    def test_equal_programs_pass_and_that_they_are_equal_is_told(self) -> None:
        one = self.program("old", 100)
        status, said = self.gate("--binaries", one, self.program("new", 100), *FEW)
        self.assertEqual(status, 0)
        self.assertIn("both programs are the same, byte by byte", said)
        self.assertIn("both sides are the same program", self.gate("--binaries", one, one, *FEW)[1])

    def test_a_benchmark_that_repeats_itself_counts_by_its_middle_run(self) -> None:
        old, new = self.program("old", 100, own="yes"), self.program("new", 200, own="yes")
        status, said = self.gate("--binaries", old, new, *FEW, "--filter", "First")
        self.assertEqual(status, 1)
        self.assertIn("BM_First/8/repeats:3 takes 100.0% longer", said)  # not ten times that

    def test_their_own_least_time_and_filter_count(self) -> None:
        old = self.program("old", 100)
        flags = "--benchmark_min_time=0.5", "--benchmark_filter=Second"
        said = self.gate("--binaries", old, self.program("new", 200), *FEW, "--", *flags)[1]
        self.assertIn("measure: 1 benchmarks, 10 pairs", said)
        words = (self.folder / "old.flags").read_text().split()
        self.assertEqual([word for word in words if "min_time" in word], ["--benchmark_min_time=0.5"])

    def test_a_quantity_can_be_chosen(self) -> None:
        old, new = self.program("old", 100, rate="3.0"), self.program("new", 100, rate="2.0")
        self.assertEqual(self.gate("--binaries", old, new, *FEW, "--filter", "First")[0], 0)
        by = ("--filter", "First", "--by", "items_per_second")
        self.assertEqual(self.gate("--binaries", old, new, *FEW, *by)[0], 1)

    def test_what_cannot_be_measured_is_status_3(self) -> None:
        old = self.program("old", 100)
        text = self.folder / "text"
        text.write_text("")
        for new, why in (
            (self.folder / "none", "no such file"),
            (text, "no program: it cannot be executed"),
            (self.program("broken", 100, fails="no memory"), "broken: no memory"),
        ):
            status, said = self.gate("--binaries", old, new, *FEW)
            self.assertEqual(status, 3)
            self.assertIn(why, said)
        silent = self.folder / "silent"
        silent.write_text("#!/bin/sh\n")
        silent.chmod(0o755)
        self.assertIn("it lists no benchmark", self.gate("--binaries", old, silent)[1])

    def test_flags_that_the_gate_sets_itself_are_refused(self) -> None:
        old = self.program("old", 100)
        status, said = self.gate("--binaries", old, old, "--", "--benchmark_out=x")
        self.assertEqual(status, 3)
        self.assertIn("--binaries sets --benchmark_out itself", said)
        status, said = self.gate("--refs", "a", "b", "--", "--mine")
        self.assertEqual(status, 3)
        self.assertIn("flags after -- are for the programs of --binaries", said)


class SessionTest(GoogleCase):
    def session(self) -> Session:
        """Returns a session of two programs."""
        sides = [Program(name, self.program(name, 100)) for name in ("old", "new")]
        return Session(sides[0], sides[1], [], seed=1)

    def test_no_round_is_begun_that_would_pass_the_time(self) -> None:
        made = self.session()
        now = [0.0]
        with mock.patch("time.monotonic", lambda: now[0]):

            def pair(name: str) -> None:
                now[0] += 1.0
                made.pairs[name] = made.pairs.get(name, 0) + 1

            self.replace(made, "measure_pair", pair)
            made.measure(made.names, 30, "look", 7.0)
            self.assertEqual(list(made.pairs.values()), [3, 3])  # two seconds a round
            self.assertTrue(made.cut_short)
            made.pairs, made.cut_short = {}, False
            now[0] = 0.0
            made.measure(made.names, 3, "look", 6.0)
            self.assertEqual((list(made.pairs.values()), made.cut_short), ([3, 3], False))

    def test_a_run_of_several_threads_is_longer(self) -> None:
        made = self.session()
        names = ("BM_A", "BM_A/real_time/threads:1", "BM_A/real_time/threads:16")
        self.assertEqual([made.seconds_of(name) for name in names], [0.02, 0.02, 0.05])
