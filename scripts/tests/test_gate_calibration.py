"""How noisy a benchmark is, and what the gate would find in spite of that."""

from __future__ import annotations

import unittest

import numpy as np

from gate import statistics
from gate.statistics import Array, Rules
from test_gate_statistics import RULES, noisy, sample


class CalibrationTest(unittest.TestCase):
    def test_without_noise_the_minimum_effect_is_found(self) -> None:
        found = statistics.calibrated(sample([1.0] * 10, [1.0] * 10), [30, 120], 30, RULES)
        self.assertEqual((found["spread"], found["floor"]), (0, [0, 0]))
        for finds in found["finds"]:
            self.assertAlmostEqual(finds or 0, 0.055, delta=0.0051)

    def test_with_noise_more_is_needed_and_more_runs_find_less(self) -> None:
        each = noisy(1.0, 0.1, 60)
        found = statistics.calibrated(each, [15, 60], 1, RULES)
        ratios: Array = np.log(each.candidate / each.baseline)
        self.assertAlmostEqual(found["spread"], float(np.subtract(*np.quantile(ratios, (0.75, 0.25)))))
        self.assertGreater(found["floor"][0], found["floor"][1])
        self.assertGreater(found["floor"][1], 0.02)
        few, many = found["finds"]
        assert few and many
        self.assertGreater(few, many)
        self.assertGreater(many, 0.05)

    def test_where_even_a_slowdown_by_half_is_not_found_that_is_said(self) -> None:
        self.assertEqual(statistics.calibrated(noisy(1.0, 2.0, 60), [15], 1, RULES)["finds"], [None])
        # Six pairs cannot reach the level, whatever they show.
        self.assertEqual(statistics.calibrated(noisy(1.0, 0.01, 60), [6], 1, RULES)["finds"], [None])
        self.assertIsNotNone(statistics.calibrated(noisy(1.0, 0.01, 60), [7], 1, RULES)["finds"][0])
        self.assertEqual(statistics.calibrated(noisy(1.0, 0.01, 60), [7], 1, Rules(looks=2))["finds"], [None])

    def test_what_both_sides_have_in_common_is_no_noise(self) -> None:
        each = noisy(1.0, 0.1, 20)
        scaled = sample((100 * each.baseline).tolist(), (100 * each.candidate).tolist())
        found, again = (statistics.calibrated(side, [20], 1, RULES)["floor"][0] for side in (each, scaled))
        self.assertAlmostEqual(found, again)

    def test_a_difference_of_all_pairs_goes_both_ways(self) -> None:
        # Identical versions: that one side of each pair took longer may be the other one the next time.
        found = statistics.calibrated(sample([1.0] * 10, [1.2] * 10), [31], 1, RULES)
        self.assertAlmostEqual(found["floor"][0], 0.2)
        self.assertGreater(found["finds"][0] or 9, 0.3)

    def test_the_level_is_that_of_one_benchmark_among_all_at_one_look(self) -> None:
        each = noisy(1.0, 0.001, 20)
        for family, alpha, finds in ((1, 1 / 128, True), (2, 1 / 128, False), (2, 1 / 64, True)):
            found = statistics.calibrated(each, [7], family, Rules(alpha=alpha))["finds"][0]
            self.assertEqual(found is not None, finds)

    def test_one_pair_is_enough_to_be_drawn_from(self) -> None:
        self.assertEqual(statistics.calibrated(sample([2.0], [2.0]), [7], 1, RULES)["floor"], [0])

    def test_slowdowns_are_tried_in_small_steps_and_then_in_large_ones(self) -> None:
        steps = [*(i / 100 for i in range(2, 21)), 0.25, 0.3, 0.4, 0.5]
        pairs = np.array([[1.0, 1.0]])
        for step in steps:
            rules = Rules(minimum_effect=step - 0.001)
            rng = np.random.default_rng(1)
            floor, finds = statistics.power_and_floor(pairs, 7, 1, rules, rng, trials=2)
            self.assertEqual(floor, 0)
            self.assertAlmostEqual(finds or 0, step)
        rules = Rules(minimum_effect=0.501)
        found = statistics.power_and_floor(pairs, 7, 1, rules, np.random.default_rng(1), trials=2)
        self.assertEqual(found, (0, None))


if __name__ == "__main__":
    unittest.main()
