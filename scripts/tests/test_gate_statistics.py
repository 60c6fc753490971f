"""How the gate decides: each rule of gate/statistics.py, with measurements for which the verdict is known."""

from __future__ import annotations

import collections
import itertools
import math
import unittest
import warnings
from typing import Sequence
from unittest import mock

import numpy as np

from gate import statistics
from gate.statistics import (
    IMPROVEMENT,
    NO_DATA,
    PASS,
    REGRESSION,
    UNDECIDED,
    Array,
    Finding,
    Interval,
    Rules,
    Sample,
)

RULES = Rules()


def sample(
    baseline: Sequence[float], candidate: Sequence[float], paired: bool = True, name: str = "a"
) -> Sample:
    """Returns a sample of these seconds an operation."""
    return Sample(name, np.array(baseline, float), np.array(candidate, float), paired)


def noisy(
    ratio: float, noise: float, runs: int = 30, *, paired: bool = True, seed: int = 1, name: str = "a"
) -> Sample:
    """Returns a sample whose candidate takes `ratio` times as long, up to noise of this size."""
    rng = np.random.default_rng(seed)
    baseline = np.exp(rng.normal(0, noise / math.sqrt(2), runs))
    candidate = ratio * np.exp(rng.normal(0, noise / math.sqrt(2), runs))
    return Sample(name, baseline, candidate, paired)


def decide(each: Sample, rules: Rules = RULES, family: int | None = None, floor: float = 0.0) -> Finding:
    """Returns the finding on one sample."""
    [found] = statistics.judge([each], rules, {each.name: floor}, family)
    return found


def decide_with(
    each: Sample, p: tuple[float, float], rules: Rules = RULES, family: int = 1, intervals: bool = True
) -> Finding:
    """Returns the finding on one sample, where the corrected test says this."""
    rng = np.random.default_rng(1)
    return statistics.judge_one(each, p, rules, family, 0.0, rng, intervals)


class TestsTest(unittest.TestCase):
    """The levels of the tests."""

    def test_holm_multiplies_each_p_by_those_that_are_left_and_never_steps_down(self) -> None:
        self.assertEqual(statistics.holm([0.01, 0.04, 0.03]).tolist(), [0.03, 0.06, 0.06])
        self.assertEqual(statistics.holm([0.9, 0.2]).tolist(), [0.9, 0.4])
        self.assertEqual(statistics.holm([0.7, 0.8]).tolist(), [1.0, 1.0])

    def test_the_smallest_p_is_that_of_one_order_among_all(self) -> None:
        self.assertEqual(statistics.smallest_p(5, 3, True), 1 / 8)
        self.assertEqual(statistics.smallest_p(3, 3, False), 1 / 20)
        self.assertEqual(statistics.smallest_p(2, 3, False), 1 / 10)

    def test_as_many_runs_are_needed_as_reach_the_corrected_level(self) -> None:
        self.assertEqual(statistics.runs_needed(1, RULES, True), 7)  # 1/128 is below 0.01, 1/64 is not
        self.assertEqual(statistics.runs_needed(0, RULES, True), 7)
        self.assertEqual(statistics.runs_needed(1, Rules(looks=2), True), 8)
        self.assertEqual(statistics.runs_needed(30, RULES, True), 12)
        self.assertEqual(statistics.runs_needed(1, RULES, False), 5)  # 1/252
        self.assertEqual(statistics.runs_needed(1, Rules(alpha=0.25), True), 2)
        self.assertEqual(statistics.runs_needed(1, Rules(alpha=0.125), True), 3)
        self.assertEqual(statistics.runs_needed(1, Rules(alpha=0.6), True), 2)  # one pair shows nothing
        self.assertEqual(statistics.runs_needed(1, Rules(alpha=1e-31), True), 103)

    def test_both_tests_tell_slower_from_faster(self) -> None:
        for paired in (True, False):
            with self.subTest(paired=paired):
                slower, faster = statistics.test_p(noisy(1.5, 0.05, 10, paired=paired))
                self.assertLess(slower, 0.002)
                self.assertGreater(faster, 0.99)
                slower, faster = statistics.test_p(noisy(1 / 1.5, 0.05, 10, paired=paired))
                self.assertGreater(slower, 0.99)
                self.assertLess(faster, 0.002)

    def test_equal_times_show_nothing(self) -> None:
        self.assertEqual(statistics.test_p(sample([1, 2, 3], [1, 2, 3])), (1.0, 1.0))

    def test_ties_are_no_matter_for_the_reader(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            slower, faster = statistics.test_p(sample([1, 2, 3, 4], [1, 4, 6, 8]))
        self.assertLess(slower, faster)

    def test_a_paired_test_looks_at_pairs_and_not_at_their_sizes(self) -> None:
        baseline = [float(10**i) for i in range(8)]
        paired = sample(baseline, [1.1 * each for each in baseline])
        self.assertLess(statistics.test_p(paired)[0], 0.005)
        paired.paired = False
        self.assertGreater(statistics.test_p(paired)[0], 0.3)


class DistributionTest(unittest.TestCase):
    """The effect, its bootstrap, and the floor."""

    def shares(self, values: Sequence[float]) -> dict[float, float]:
        """Returns how often each median is drawn."""
        count = 40_000
        drawn = statistics.resampled_medians(np.array(values, float), count, np.random.default_rng(1))
        return {value: n / count for value, n in sorted(collections.Counter(drawn.tolist()).items())}

    def test_medians_are_drawn_as_by_resampling(self) -> None:
        cases: list[tuple[list[float], dict[float, float]]] = [
            ([2, 0, 1], {0: 7 / 27, 1: 13 / 27, 2: 7 / 27}),
            ([1, 0], {0: 1 / 4, 0.5: 1 / 2, 1: 1 / 4}),
            ([7], {7: 1.0}),
        ]
        for values, expected in cases:
            with self.subTest(values=values):
                found = self.shares(values)
                self.assertEqual(found.keys(), expected.keys())
                for value, share in expected.items():
                    self.assertAlmostEqual(found[value], share, delta=0.01)

    def test_medians_of_an_even_number_are_drawn_as_by_resampling(self) -> None:
        values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
        rng = np.random.default_rng(2)
        plain = np.median(rng.choice(values, (40_000, len(values))), axis=1)
        drawn = statistics.resampled_medians(np.array(values), 40_000, rng)
        for value in np.unique(plain):
            self.assertAlmostEqual(
                float(np.mean(drawn <= value)), float(np.mean(plain <= value)), delta=0.015
            )

    def test_the_effect_of_pairs_is_the_median_of_their_ratios(self) -> None:
        each = sample([1, 2, 3], [3, 1, 2])
        self.assertAlmostEqual(statistics.effect_of(each), 2 / 3)
        each.paired = False
        self.assertEqual(statistics.effect_of(each), 1)
        self.assertEqual(statistics.effect_of(sample([1, 1, 1], [3, 3, 3], False)), 3)

    def test_resampled_ratios_are_of_candidate_to_baseline(self) -> None:
        rng = np.random.default_rng(1)
        for paired in (True, False):
            drawn = statistics.resampled_ratios(sample([1, 1], [3, 3], paired), 5, rng)
            self.assertEqual(drawn.tolist(), [3.0] * 5)
        both = statistics.resampled_ratios(sample([1, 2, 4], [2, 4, 8], True), 50, rng)
        self.assertEqual(set(both.tolist()), {2.0})
        apart = statistics.resampled_ratios(sample([1, 2, 4], [2, 4, 8], False), 200, rng)
        self.assertEqual(set(apart.tolist()), {0.5, 1.0, 2.0, 4.0, 8.0})

    def floor(self, each: Sample) -> float:
        """Returns a sample's noise floor."""
        return statistics.noise_floor(each, np.random.default_rng(1))

    def test_the_floor_of_pairs_is_what_exchanged_labels_show(self) -> None:
        self.assertEqual(self.floor(sample([1, 2, 3], [1.5, 3, 4.5])), 0)
        self.assertAlmostEqual(self.floor(sample([1, 1], [2, 8])), 1.0)  # around 4, by a factor of 2

    def test_the_floor_of_separate_runs_is_what_exchanged_labels_show(self) -> None:
        self.assertEqual(self.floor(sample([1, 1], [3, 3, 3], False)), 0)
        self.assertAlmostEqual(self.floor(sample([1, 4], [10, 40], False)), 3.0)

    def test_the_floor_of_separate_runs_is_that_of_every_split(self) -> None:
        each = noisy(1.3, 0.2, 6, paired=False)
        sides = [np.log(side / np.median(side)) for side in (each.baseline, each.candidate)]
        pool = np.concatenate(sides)
        effects = []
        for left in itertools.combinations(range(12), 6):
            right = [i for i in range(12) if i not in left]
            medians = [np.median(np.exp(pool[list(part)])) for part in (left, right)]
            effects.append(abs(math.log(medians[1] / medians[0])))
        exact = math.expm1(float(np.quantile(effects, 0.99)))
        self.assertAlmostEqual(self.floor(each) / exact, 1, delta=0.08)

    def test_the_floor_is_nearly_the_largest_of_what_labels_show_not_the_middle(self) -> None:
        # The median of three is not zero in a quarter of the draws, and never beyond the middle distance.
        self.assertAlmostEqual(self.floor(sample([1, 1, 1], [1, 2, 8])), 1.0)


class CheckTest(unittest.TestCase):
    def test_what_cannot_be_compared_says_why(self) -> None:
        sound = [1.0, 2.0]
        cases: list[tuple[list[float], list[float], str]] = [
            ([], sound, "the baseline has no run of it"),
            (sound, [], "the candidate has no run of it"),
            ([1.0, math.nan], sound, "the baseline has a run whose time is nan"),
            (sound, [math.inf, 1.0], "the candidate has a run whose time is inf"),
            (sound, [1.0, 0.0], "the candidate has a run whose time is 0.0"),
            ([-1.0, 1.0], sound, "the baseline has a run whose time is -1.0"),
            (sound, sound, ""),
        ]
        for baseline, candidate, why in cases:
            with self.subTest(why=why):
                self.assertEqual(statistics.check(sample(baseline, candidate)), why)

    def test_a_trouble_is_told_first(self) -> None:
        each = sample([1.0], [1.0])
        each.trouble = "the candidate lacks it"
        found = decide(each)
        self.assertEqual((found.verdict, found.why), (NO_DATA, "the candidate lacks it"))
        self.assertEqual((found.runs, found.effect), ((1, 1), None))


class VerdictTest(unittest.TestCase):
    """judge() and judge_one()."""

    def test_a_slowdown_is_a_regression_paired_or_not(self) -> None:
        for paired in (True, False):
            found = decide(noisy(1.2, 0.02, paired=paired))
            self.assertEqual((found.verdict, found.runs, found.paired), (REGRESSION, (30, 30), paired))
            assert found.effect
            self.assertAlmostEqual(found.effect.ratio, 1.2, delta=0.02)
            self.assertLess(found.effect.interval[0], found.effect.ratio)
            self.assertGreater(found.effect.interval[1], found.effect.ratio)
            self.assertLess(found.effect.p, 1e-6)
            self.assertEqual(found.effect.threshold, max(0.05, found.effect.floor))
            self.assertAlmostEqual(found.effect.candidate / found.effect.baseline, 1.2, delta=0.02)

    def test_a_speedup_is_an_improvement(self) -> None:
        found = decide(noisy(1 / 1.2, 0.02))
        self.assertEqual(found.verdict, IMPROVEMENT)
        assert found.effect
        self.assertLess(found.effect.p, 1e-6)

    def test_no_change_passes_without_a_word(self) -> None:
        found = decide(noisy(1.0, 0.02))
        self.assertEqual((found.verdict, found.why), (PASS, ""))

    def test_a_sure_change_below_the_minimum_effect_passes_and_is_told(self) -> None:
        found = decide(noisy(1.03, 0.005))
        self.assertEqual(found.verdict, PASS)
        self.assertEqual(found.why, "slower, but by less than the 5.0% that count")
        found = decide(noisy(1 / 1.03, 0.005))
        self.assertEqual(found.why, "faster, but by less than the 5.0% that count")

    def test_too_few_runs_are_no_pass(self) -> None:
        found = decide(noisy(1.0, 0.001, 6))
        self.assertEqual(found.verdict, UNDECIDED)
        self.assertEqual(found.why, "6 runs a side cannot show anything among 1 benchmarks: 7 are needed")
        self.assertEqual(decide(noisy(1.0, 0.001, 7)).verdict, PASS)
        self.assertIn("1 run a side", decide(sample([1], [1])).why)
        self.assertIn("1 run a side", decide(sample([1], [1, 1, 1, 1, 1], False)).why)

    def test_the_side_with_fewer_runs_counts(self) -> None:
        found = decide(sample([1.0] * 4, [1.0] * 30, False))
        self.assertIn("4 runs a side", found.why)
        found = decide(sample([1.0] * 30, [1.0] * 4, False))
        self.assertIn("4 runs a side", found.why)

    def test_too_much_noise_is_no_pass(self) -> None:
        found = decide(noisy(1.0, 0.5, 20))
        self.assertEqual(found.verdict, UNDECIDED)
        self.assertRegex(found.why, r"too noisy to gate: identical versions may differ by \d+\.\d%")
        self.assertIn("differ by 10.0%", decide(noisy(1.0, 0.001), floor=0.1).why)
        self.assertEqual(decide(noisy(1.0, 0.001), floor=0.099).verdict, PASS)

    def test_a_slowdown_that_cannot_be_excluded_is_no_pass(self) -> None:
        found = decide(noisy(1.09, 0.05, 12), Rules(minimum_effect=0.2))
        self.assertEqual(found.verdict, UNDECIDED)
        self.assertRegex(found.why, r"a slowdown of 1\d\.\d% cannot be excluded")

    def test_a_slowdown_of_just_what_must_be_found_is_no_pass(self) -> None:
        steady = sample([1.0] * 30, [2.0] * 30)
        self.assertEqual(decide(steady, Rules(minimum_effect=3, detect=1.0)).verdict, UNDECIDED)
        self.assertEqual(decide(steady, Rules(minimum_effect=3, detect=1.01)).verdict, PASS)

    def test_a_calibrated_floor_counts_where_it_is_higher(self) -> None:
        found = decide(noisy(1.2, 0.02), floor=0.3)
        self.assertEqual(found.verdict, UNDECIDED)
        assert found.effect
        self.assertEqual((found.effect.floor, found.effect.threshold), (0.3, 0.3))
        low = decide(noisy(1.2, 0.02), floor=0.0001)
        assert low.effect
        self.assertGreater(low.effect.floor, 0.001)
        self.assertEqual(low.verdict, REGRESSION)

    def test_a_family_makes_each_of_it_need_more(self) -> None:
        slow = sample([1.0] * 8, [1.2 + i / 1000 for i in range(8)])  # p is 1/256
        self.assertEqual(decide(slow).verdict, REGRESSION)
        self.assertEqual(decide(slow, family=2).verdict, REGRESSION)
        self.assertEqual(decide(slow, family=3).verdict, UNDECIDED)
        self.assertEqual(decide(slow, Rules(looks=2)).verdict, REGRESSION)
        self.assertEqual(decide(slow, Rules(looks=3)).verdict, UNDECIDED)

    def test_benchmarks_without_data_belong_to_the_family(self) -> None:
        slow = sample([1.0] * 8, [1.2 + i / 1000 for i in range(8)])
        lacking = [sample([], [1.0], name=f"b{i}") for i in range(2)]
        found = statistics.judge([lacking[0], slow, lacking[1]], RULES)
        self.assertEqual([each.name for each in found], ["b0", "a", "b1"])
        self.assertEqual([each.verdict for each in found], [NO_DATA, UNDECIDED, NO_DATA])
        self.assertEqual(found[0].runs, (0, 1))

    def test_a_given_family_is_never_made_smaller(self) -> None:
        slow = sample([1.0] * 8, [1.2 + i / 1000 for i in range(8)])
        others = [sample([1.0] * 8, [1.0] * 8, name=f"b{i}") for i in range(3)]
        self.assertEqual(statistics.judge([slow, *others], RULES, family=1)[0].verdict, UNDECIDED)

    def test_intervals_at_the_corrected_level_are_there_where_asked_for(self) -> None:
        same = noisy(1.0, 0.02)
        [without] = statistics.judge([same], RULES, intervals=False)
        [with_] = statistics.judge([same], RULES)
        assert without.effect and with_.effect
        self.assertIsNone(without.effect.wide_interval)
        assert with_.effect.wide_interval
        self.assertLess(with_.effect.wide_interval[0], with_.effect.interval[0])
        self.assertGreater(with_.effect.wide_interval[1], with_.effect.interval[1])
        [slow] = statistics.judge([noisy(1.2, 0.02)], RULES, intervals=False)
        assert slow.effect
        self.assertIsNotNone(slow.effect.wide_interval)

    def test_the_test_must_reach_its_level_and_the_effect_its_threshold(self) -> None:
        double, half = sample([1.0] * 30, [2.0] * 30), sample([2.0] * 30, [1.0] * 30)
        rules = Rules(minimum_effect=1.0, detect=3.0)
        for p, verdict in ((0.01, REGRESSION), (0.0101, PASS)):
            self.assertEqual(decide_with(double, (p, 0.0), rules).verdict, verdict)
        for p, verdict in ((0.01, IMPROVEMENT), (0.0101, PASS)):
            self.assertEqual(decide_with(half, (0.0, p), rules).verdict, verdict)
        higher = Rules(minimum_effect=1.001, detect=3.0)
        self.assertEqual(decide_with(double, (0.0, 1.0), higher).verdict, PASS)
        self.assertIn("slower, but by less", decide_with(double, (0.01, 1.0), higher).why)
        self.assertEqual(decide_with(double, (0.0101, 1.0), higher).why, "")
        self.assertEqual(decide_with(double, (0.006, 1.0), Rules(detect=3.0, looks=2)).verdict, PASS)

    def test_the_interval_at_the_corrected_level_must_exclude_no_change(self) -> None:
        ratios = [0.8] * 12 + [1.3] * 18
        slow, fast = sample([1.0] * 30, ratios), sample(ratios, [1.0] * 30)
        rules = Rules(minimum_effect=0.01, detect=9.0)
        self.assertNotEqual(decide_with(slow, (0.0, 1.0), rules).verdict, REGRESSION)
        self.assertNotEqual(decide_with(fast, (1.0, 0.0), rules).verdict, IMPROVEMENT)

    def test_an_interval_that_ends_at_no_change_does_not_exclude_it(self) -> None:
        ratios = [1.0] * 12 + [2.0] * 18
        slow, fast = sample([1.0] * 30, ratios), sample(ratios, [1.0] * 30)
        rules = Rules(minimum_effect=1.0, detect=9.0)
        for each, p in ((slow, (0.0, 1.0)), (fast, (1.0, 0.0))):
            found = decide_with(each, p, rules)
            assert found.effect and found.effect.wide_interval
            self.assertIn(1.0, found.effect.wide_interval)
            self.assertEqual((found.verdict, found.why), (PASS, ""))

    def test_the_shown_interval_holds_the_middle_share_of_the_bootstrap(self) -> None:
        each = noisy(1.2, 0.1)
        drawn = statistics.resampled_ratios(each, RULES.resamples, np.random.default_rng(1))
        found = decide_with(each, (0.0, 1.0))
        assert found.effect
        self.assertEqual(found.effect.interval, tuple(float(x) for x in np.quantile(drawn, (0.025, 0.975))))

    def test_more_is_drawn_the_farther_out_the_corrected_interval_ends(self) -> None:
        asked: list[int] = []
        draw = statistics.resampled_ratios

        def note(each: Sample, count: int, rng: np.random.Generator) -> Array:
            asked.append(count)
            return draw(each, min(count, 10), rng)

        with mock.patch.object(statistics, "resampled_ratios", note):
            for family, level in ((1, 0.01), (50, 0.01), (1000, 0.01), (1, 0.5)):
                decide_with(noisy(1.2, 0.1), (0.0, 1.0), Rules(alpha=level), family)
        self.assertEqual(asked, [2000, 2000, 2000, 100_000, 2000, 200_000, 2000, 2000])

    def test_without_a_change_the_test_is_that_it_is_slower(self) -> None:
        found = decide_with(sample([1.0] * 9, [1.0] * 9), (0.3, 0.4))
        assert found.effect
        self.assertEqual(found.effect.p, 0.3)

    def test_samples_are_of_pairs_unless_told_otherwise(self) -> None:
        self.assertTrue(Sample("a", np.array([1.0]), np.array([1.0])).paired)
        self.assertEqual((Finding("a", PASS).runs, Finding("a", PASS).paired), ((0, 0), True))

    def test_a_larger_family_widens_the_corrected_interval(self) -> None:
        def wide(family: int, rules: Rules = RULES) -> Interval:
            found = decide_with(noisy(1.2, 0.1), (0.0, 1.0), rules, family)
            assert found.effect and found.effect.wide_interval
            return found.effect.wide_interval

        one, many, looks = wide(1), wide(50), wide(1, Rules(looks=50))
        self.assertLess(many[0], one[0])
        self.assertGreater(many[1], one[1])
        self.assertLess(looks[0], one[0])

    def test_a_pass_excludes_the_slowdown_at_the_level_of_misses(self) -> None:
        each = noisy(1.05, 0.1)
        drawn = statistics.resampled_ratios(each, RULES.resamples, np.random.default_rng(RULES.seed))
        for miss, looks in ((0.01, 1), (0.01, 2), (0.2, 1)):
            excluded = float(np.quantile(drawn, 1 - miss / looks)) - 1
            low, high = (Rules(miss=miss, looks=looks, detect=by * excluded) for by in (0.999, 1.001))
            found = decide_with(each, (1.0, 1.0), low)
            self.assertEqual(found.verdict, UNDECIDED)
            self.assertEqual(found.why, f"a slowdown of {excluded:.1%} cannot be excluded")
            self.assertEqual(decide_with(each, (1.0, 1.0), high).verdict, PASS)

    def test_the_same_measurements_give_the_same_verdict(self) -> None:
        self.assertEqual(decide(noisy(1.1, 0.1)), decide(noisy(1.1, 0.1)))


class LooksTest(unittest.TestCase):
    """second_look()."""

    def finding(self, name: str, verdict: str) -> Finding:
        """Returns a finding of the first look."""
        return Finding(name, verdict)

    def test_only_the_undecided_are_looked_at_again(self) -> None:
        verdicts = (("a", PASS), ("b", UNDECIDED), ("c", REGRESSION), ("d", UNDECIDED), ("e", NO_DATA))
        first = [self.finding(name, verdict) for name, verdict in verdicts]
        asked: list[list[str]] = []

        def sample_of(names: list[str]) -> list[Sample]:
            asked.append(names)
            return [noisy(1.0 if name == "b" else 1.3, 0.02, name=name) for name in names]

        found = statistics.second_look(first, sample_of, RULES)
        self.assertEqual(asked, [["b", "d"]])
        self.assertEqual([each.name for each in found], ["a", "b", "c", "d", "e"])
        self.assertEqual([each.verdict for each in found], [PASS, PASS, REGRESSION, REGRESSION, NO_DATA])

    def test_where_all_is_decided_nothing_is_measured_again(self) -> None:
        first = [self.finding("a", PASS), self.finding("b", REGRESSION)]
        self.assertEqual(statistics.second_look(first, self.never, RULES), first)

    def never(self, names: list[str]) -> list[Sample]:
        """Returns nothing: it must not be called."""
        raise AssertionError(f"asked for {names}")

    def test_the_family_is_that_of_the_first_look(self) -> None:
        slow = sample([1.0] * 8, [1.2 + i / 1000 for i in range(8)])
        first = [self.finding("a", UNDECIDED), *(self.finding(f"b{i}", PASS) for i in range(2))]
        found = statistics.second_look(first, lambda names: [slow], RULES)
        self.assertEqual(found[0].verdict, UNDECIDED)
        found = statistics.second_look(first, lambda names: [slow], RULES, family=1)
        self.assertEqual(found[0].verdict, REGRESSION)

    def test_floors_hold_at_the_second_look_too(self) -> None:
        first = [self.finding("a", UNDECIDED)]
        found = statistics.second_look(first, lambda names: [noisy(1.2, 0.02)], RULES, {"a": 0.3})
        self.assertEqual(found[0].verdict, UNDECIDED)


if __name__ == "__main__":
    unittest.main()
