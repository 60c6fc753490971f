"""Pairs of runs to try the gate on: synthetic noise of five kinds, and pairs drawn from measured ones."""

from __future__ import annotations

from typing import Callable

import numpy as np

from gate.statistics import Array, Sample

SUITE = 30  # benchmarks, as many as the gate's own with 1 and 2 threads
LOOKS = (30, 120)  # pairs


def spread_out(rng: np.random.Generator, count: int, spread: float) -> Array:
    """Returns times of `count` pairs as (baseline, candidate), with what all kinds of noise have."""
    times: Array = np.exp(rng.normal(0, spread, (2, count)))
    return times


def quiet(rng: np.random.Generator, count: int, spread: float) -> Array:
    """Returns times on a quiet machine."""
    return spread_out(rng, count, spread)


def heavy_tails(rng: np.random.Generator, count: int, spread: float) -> Array:
    """Returns times of which some are far off, as when another process is on the core."""
    times: Array = np.exp(np.clip(spread * rng.standard_t(2, (2, count)), -1, 3))
    return times


def drift(rng: np.random.Generator, count: int, spread: float) -> Array:
    """Returns times on a machine whose speed wanders: a clock that heats up and cools down."""
    way = np.cumsum(rng.normal(0, 0.02, 2 * count)).reshape(count, 2)
    first = rng.random(count) < 0.5  # who is first in a pair is drawn by lot
    times: Array = spread_out(rng, count, spread) * np.exp(np.where(first, way.T, way.T[::-1]))
    return times


def bursts(rng: np.random.Generator, count: int, spread: float) -> Array:
    """Returns times where for some rounds every run is disturbed, each by another amount."""
    busy, on = np.zeros(count, bool), False
    for i in range(count):
        on = rng.random() < (0.8 if on else 0.06)
        busy[i] = on
    times: Array = spread_out(rng, count, spread) * (1 + busy * rng.exponential(0.4, (2, count)))
    return times


def two_speeds(rng: np.random.Generator, count: int, spread: float) -> Array:
    """Returns times where each process is lucky or not with where its memory lies."""
    times: Array = spread_out(rng, count, spread) * np.where(rng.random((2, count)) < 0.4, 1.08, 1.0)
    return times


Noise = Callable[[np.random.Generator, int, float], Array]
KINDS: dict[str, Noise] = {
    "quiet": quiet,
    "heavy tails": heavy_tails,
    "drift": drift,
    "bursts": bursts,
    "two speeds": two_speeds,
}
SPREADS = (0.01, 0.03, 0.06)  # of single runs: a pair's ratio has 1.4 times as much


def synthetic_suite(rng: np.random.Generator) -> list[Sample]:
    """Returns 120 pairs of each benchmark, of all kinds and spreads in turn; all disturbed by the same bursts
    of the machine."""
    kinds = list(KINDS.values())
    return [
        Sample(f"b{i}", *kinds[i % len(kinds)](rng, LOOKS[1], SPREADS[i % len(SPREADS)]))
        for i in range(SUITE)
    ]


def real_suite(rng: np.random.Generator, measured: list[Sample]) -> list[Sample]:
    """Returns 120 pairs of each benchmark, drawn from pairs of identical versions: five rounds at a time, the
    same rounds for all benchmarks, so that what a disturbance does to neighbours is kept; with the sides
    exchanged by lot."""
    rounds = min(len(each.baseline) for each in measured)
    begin = rng.integers(0, rounds, -(-LOOKS[1] // 5))
    chosen = ((begin[:, None] + np.arange(5)) % rounds).ravel()[: LOOKS[1]]
    samples = []
    for each in measured:
        sides = np.stack([each.baseline[chosen], each.candidate[chosen]])
        swapped = np.where(rng.random(len(chosen)) < 0.5, sides, sides[::-1])
        samples.append(Sample(each.name, *swapped))
    return samples
