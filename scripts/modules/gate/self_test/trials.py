"""Trials of the gate's decision: how often identical versions are accused, and a slower one is named."""

from __future__ import annotations

import concurrent.futures
import time
from typing import Callable, Sequence, Tuple, TypeVar

import numpy as np
from scipy import stats

from bench.results import Json
from common import command_line
from common.command_line import in_words
from gate import statistics as gate_statistics
from gate.self_test.noise import KINDS, LOOKS, SUITE, real_suite, synthetic_suite
from gate.statistics import Finding, REGRESSION, Rules, Sample, UNDECIDED

EFFECTS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.12, 0.15, 0.20, 0.25, 0.30)
MUST_FIND = 0.10
RULES = Rules(looks=2)


def part(sample: Sample, count: int) -> Sample:
    """Returns a sample's first pairs."""
    return Sample(sample.name, sample.baseline[:count], sample.candidate[:count], True)


def both_looks(samples: list[Sample], family: int | None = None) -> list[Finding]:
    """Returns the findings as scripts/gate --refs comes to them."""
    family = family or len(samples)
    first = gate_statistics.judge(
        [part(each, LOOKS[0]) for each in samples], RULES, family=family, intervals=False
    )
    by_name = {each.name: each for each in samples}
    return gate_statistics.second_look(
        first, lambda names: [by_name[name] for name in names], RULES, family=family
    )


def identical_trials(seed: int, count: int, measured: list[Sample] | None) -> list[tuple[int, int]]:
    """Returns [(accused benchmarks, benchmarks that could not be decided)] of comparisons of identical
    versions."""
    rng = np.random.default_rng(seed)
    told = []
    for _ in range(count):
        found = both_looks(real_suite(rng, measured) if measured else synthetic_suite(rng))
        told.append(
            (
                sum(each.verdict == REGRESSION for each in found),
                sum(each.verdict == UNDECIDED for each in found),
            )
        )
    return told


def slowdown_trials(
    seed: int, count: int, effect: float, draw: Callable[[np.random.Generator], Sample]
) -> int:
    """Returns how many of `count` comparisons name the one benchmark of a suite that is slower."""
    rng = np.random.default_rng(seed)
    named = 0
    for _ in range(count):
        sample = draw(rng)
        sample.candidate = sample.candidate * (1 + effect)
        named += both_looks([sample], SUITE)[0].verdict == REGRESSION
    return named


def synthetic_slowdown(seed: int, count: int, effect: float, kind: str, spread: float) -> int:
    """Returns how many of `count` comparisons with synthetic noise name the slower benchmark."""
    return slowdown_trials(seed, count, effect, lambda rng: Sample("b", *KINDS[kind](rng, LOOKS[1], spread)))


def real_slowdown(seed: int, count: int, effect: float, measured: Sample) -> int:
    """Returns how many of `count` comparisons of measured pairs name the slower benchmark."""
    return slowdown_trials(seed, count, effect, lambda rng: real_suite(rng, [measured])[0])


Answer = TypeVar("Answer")
Pool = concurrent.futures.ProcessPoolExecutor


def spread_over(
    pool: Pool, title: str, function: Callable[..., Answer], jobs: Sequence[Tuple[object, ...]]
) -> list[Answer]:
    """Calls the function with each job's arguments, on all cores. Returns the answers in order."""
    progress = command_line.ProgressLine()
    waiting = {pool.submit(function, *job): i for i, job in enumerate(jobs)}
    answers: dict[int, Answer] = {}
    start = time.monotonic()
    for done, each in enumerate(concurrent.futures.as_completed(waiting), 1):
        answers[waiting[each]] = each.result()
        left = (time.monotonic() - start) / done * (len(jobs) - done)
        progress.show(f"{title}: {done} of {len(jobs)}, about {in_words(left)} left")
    progress.clear()
    return [answers[i] for i in range(len(jobs))]


def rate(hits: int, trials: int) -> Json:
    """Returns a rate with its 95% interval (Clopper and Pearson)."""
    found = stats.binomtest(int(hits), int(trials)).proportion_ci(0.95, method="exact")
    return {
        "of": int(trials),
        "hits": int(hits),
        "rate": hits / trials,
        "interval": [float(found.low), float(found.high)],
    }


def identical(pool: Pool, trials: int, measured: list[Sample] | None, seed: int) -> Json:
    """Returns how often comparisons of identical versions accuse a benchmark; synthetic ones without
    `measured`."""
    each = 5
    title = "identical versions, measured pairs" if measured else "identical versions, synthetic"
    jobs = [(seed + i, each, measured) for i in range(trials // each)]
    told = [one for some in spread_over(pool, title, identical_trials, jobs) for one in some]
    size = len(measured) if measured else SUITE
    return {
        "accused": rate(sum(accused != 0 for accused, _ in told), len(told)),
        "benchmarks": size,
        "undecided_share": sum(open_ for _, open_ in told) / (len(told) * size),
    }
