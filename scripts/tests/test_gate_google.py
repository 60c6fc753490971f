"""scripts/gate on the JSON of other people's benchmarks: what counts of it, what is missing, what is told."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Callable

import numpy as np
from scipy import stats

from bench.results import BadResults, Json
from gate import entries, statistics
from gate.statistics import REGRESSION, UNDECIDED, Rules, Sample, Summary, Welch
from google_case import FILES, GoogleCase, kept, of

SIZE = "BM_memcpy/8192"


def changed(document: Json, change: Callable[[Json], object]) -> Json:
    """Returns a document with all its entries changed."""
    found = copy.deepcopy(document)
    for entry in found["benchmarks"]:
        change(entry)
    return found


class FilesTest(GoogleCase):
    def test_what_is_slower_is_found_and_the_line_to_see_it_again_is_theirs(self) -> None:
        status, said = self.compare(of("old"), of("new"))
        self.assertEqual(status, 1)
        self.assertIn(f"Regression: {SIZE} takes ", said)
        self.assertIn(f"To reproduce it: ./new '--benchmark_filter=^({SIZE})$', with each version", said)
        self.assertNotIn("hotindex", said.replace("hotindex-scripts", ""))
        self.assertEqual(self.compare(of("new"), of("old"))[0], 0)

    def test_what_the_files_do_not_say_is_a_note(self) -> None:
        said = self.compare(of("old"), of("new"))[1]
        self.assertIn("b.json do not say the compiler and the flags: make sure that it is the same", said)
        self.assertIn("note: libbenchmark says that it was built for debugging", said)
        self.assertIn("note: the runs were not interleaved", said)
        self.assertIn("note: times are by real_time; --by chooses", said)

    def test_another_number_of_processors_is_refused_unless_it_is_allowed(self) -> None:
        more = of("new")
        more["context"]["num_cpus"] = 64
        status, said = self.compare(of("old"), more)
        self.assertEqual(status, 3)
        self.assertIn("a.json has cores 2, ", said)
        self.assertEqual(self.compare(of("old"), more, "--across", "machine")[0], 1)

    def test_means_and_deviations_are_enough(self) -> None:
        old, new = (kept(of(name), "aggregate") for name in ("old", "new"))
        status, said = self.compare(old, new)
        self.assertEqual(status, 1)
        self.assertIn("of some benchmarks there are only means and standard deviations", said)
        self.assertEqual(self.compare(kept(of("old"), "iteration"), new)[0], 1)
        self.assertEqual(self.compare(new, old)[0], 0)

    def test_what_aggregates_lack_is_said(self) -> None:
        old, new = (kept(of(name), "aggregate") for name in ("old", "new"))
        new["benchmarks"] = [each for each in new["benchmarks"] if each["aggregate_name"] != "stddev"]
        status, said = self.compare(old, new)
        self.assertEqual(status, 3)
        self.assertIn("the candidate: there are neither repetitions nor their stddev", said)
        status, said = self.compare(old, changed(old, lambda entry: entry.pop("repetitions")))
        self.assertEqual(status, 0 if "Pass" in said else 2)  # iterations of an aggregate are repetitions
        none = changed(old, lambda entry: entry.update(repetitions=0, iterations=0))
        self.assertIn("nothing says of how many repetitions its mean is", self.compare(old, none)[1])

    def test_an_aggregate_of_old_versions_is_no_benchmark(self) -> None:
        def age(entry: Json) -> None:
            for key in ("run_type", "run_name", "aggregate_name", "repetitions"):
                entry.pop(key, None)

        status, said = self.compare(changed(of("old"), age), changed(of("new"), age))
        self.assertEqual(status, 1)
        self.assertNotIn("stddev", said)
        self.assertNotIn("_mean", said)

    def test_a_file_compared_with_itself_is_told(self) -> None:
        path = FILES / "old.json"
        said = self.gate("--baseline", path, "--candidate", path)[1]
        self.assertIn("note: both sides are the same file: nothing can differ", said)
        self.assertIn("both files hold the same, byte by byte", self.compare(of("old"), of("old"))[1])

    def test_one_chooses_what_counts(self) -> None:
        slow = changed(of("old"), lambda entry: entry.update(cpu_time=7 * entry["cpu_time"]))
        self.assertNotEqual(self.compare(of("old"), slow)[0], 1)
        self.assertEqual(self.compare(of("old"), slow, "--by", "cpu_time")[0], 1)
        status, said = self.compare(of("old"), slow, "--by", "items_per_second")
        self.assertEqual(status, 3)
        self.assertIn("BM_memcpy/64: it has no items_per_second; it has real_time, cpu_time, bytes", said)

    def test_times_and_rates_that_disagree_are_told(self) -> None:
        old = changed(kept(of("old"), "iteration"), lambda entry: entry.update(items_per_second=7.0))
        new = changed(old, lambda entry: entry.update(items_per_second=1.0))
        said = self.compare(old, new)[1]
        self.assertIn("do not agree on how long an operation takes: BM_memcpy/64 (x1.00 and x7.00), ", said)
        self.assertEqual(self.compare(old, new, "--by", "items_per_second")[0], 1)
        self.assertNotIn("do not agree", self.compare(old, old)[1])

    def test_both_sides_are_compared_by_what_both_have(self) -> None:
        old = changed(kept(of("old"), "iteration"), lambda entry: entry.update(items_per_second=7.0))
        new = changed(old, lambda entry: entry.pop("real_time"))
        self.assertIn("1.000", self.compare(old, new)[1])

    def test_a_benchmark_left_out_by_filter_is_not_compared(self) -> None:
        said = self.compare(of("old"), of("new"), "--filter", "-64")[1]
        self.assertIn(f"{SIZE} ", said)
        self.assertNotIn("BM_memcpy/64", said)

    def test_a_number_that_nobody_needs_may_be_no_number(self) -> None:
        odd = changed(of("old"), lambda entry: entry.update(errors=math.nan))
        self.assertEqual(self.compare(odd, of("new"))[0], 1)
        bad = changed(of("old"), lambda entry: entry.update(real_time=math.nan))
        status, said = self.compare(bad, of("new"))
        self.assertEqual(status, 3)
        self.assertIn("real_time is nan, not a time", said)


class EntriesTest(GoogleCase):
    def test_an_entry_says_how_long_an_operation_takes(self) -> None:
        cases: list[tuple[Json, float]] = [
            ({"real_time": 5, "time_unit": "us"}, 5e-6),
            ({"real_time": 5, "time_unit": "s", "items_per_second": 9}, 5),
            ({"real_time": 5}, 5e-9),
            ({"items_per_second": 4}, 0.25),
            ({"ops": 2, "real_time": 5}, 0.5),
            ({"ops": 0}, math.inf),
        ]
        for entry, seconds in cases:
            self.assertAlmostEqual(entries.seconds("file", {"name": "a", **entry}), seconds, places=15)

    def test_an_entry_that_does_not_say_it_is_refused_in_words(self) -> None:
        cases: list[tuple[Json, str]] = [
            ({}, "file: a: it has no ops nor real_time nor items_per_second: nothing says how long"),
            ({"cpu_time": 1}, "it has cpu_time"),
            ({"real_time": "1"}, "real_time is '1', not a time"),
            ({"real_time": -1}, "real_time is -1, not a time"),
            ({"real_time": True}, "not a time"),
            ({"ops": math.inf}, "ops is inf, not a rate"),
            ({"real_time": 1, "time_unit": "min"}, "time_unit is 'min', not one of ns, us, ms, s"),
        ]
        for entry, why in cases:
            with self.subTest(why=why), self.assertRaisesRegex(BadResults, why):
                entries.seconds("file", {"name": "a", **entry})


class WelchTest(GoogleCase):
    """Comparisons of which only aggregates are left."""

    def decide(self, a: Summary, b: Summary) -> statistics.Finding:
        """Returns the finding."""
        [found] = statistics.judge([Sample("a", np.array([]), np.array([]), False, "", (a, b))], Rules())
        return found

    def test_it_agrees_with_scipy(self) -> None:
        rng = np.random.default_rng(1)
        a, b = np.exp(rng.normal(0, 0.02, 15)), np.exp(rng.normal(0.01, 0.03, 12))
        p = stats.ttest_ind(np.log(b), np.log(a), equal_var=False, alternative="greater").pvalue
        shift = [float(np.exp(np.mean(np.log(side)))) for side in (a, b)]
        spread = [float(np.std(np.log(side), ddof=1)) for side in (a, b)]
        mine = Welch((Summary(shift[0], spread[0], 15), Summary(shift[1], spread[1], 12)))
        self.assertAlmostEqual(mine.p()[0], p)
        self.assertAlmostEqual(sum(mine.p()), 1)
        low, high = mine.ratios((0.01, 0.99))
        self.assertAlmostEqual(low * high, (shift[1] / shift[0]) ** 2)

    def test_a_difference_beyond_the_noise_is_found_and_another_is_not(self) -> None:
        one, slow = Summary(1.0, 0.01, 10), Summary(1.2, 0.01, 10)
        found = self.decide(one, slow)
        self.assertEqual((found.verdict, found.runs), (REGRESSION, (10, 10)))
        assert found.effect
        self.assertAlmostEqual(found.effect.ratio, 1.2)
        self.assertEqual(self.decide(slow, one).verdict, "improvement")
        self.assertEqual(self.decide(one, one).verdict, "pass")
        self.assertEqual(self.decide(Summary(1.0, 0.3, 10), Summary(1.2, 0.3, 10)).verdict, UNDECIDED)

    def test_few_runs_show_nothing(self) -> None:
        few = self.decide(Summary(1.0, 0.001, 2), Summary(2.0, 0.001, 9))
        self.assertNotEqual(few.verdict, "pass")
        self.assertIn("has one run of it", self.decide(Summary(1.0, 0.0, 1), Summary(2.0, 0.0, 9)).why)

    def test_identical_versions_are_rarely_accused(self) -> None:
        rng = np.random.default_rng(1)
        draw = [np.exp(rng.normal(0, 0.05, (2, 10))) for _ in range(200)]
        found = [self.decide(Summary.of(a), Summary.of(b)).verdict for a, b in draw]
        self.assertLessEqual(found.count(REGRESSION), 6)  # 1 in 100 by the rules; none is usual
