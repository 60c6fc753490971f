"""Trials of the gate's decision: how often identical versions are accused, and a slower one is named."""

from __future__ import annotations

import concurrent.futures
import time

import numpy as np
from scipy import stats

from common import command_line
from common.command_line import in_words
from gate import statistics as gate_statistics
from gate.self_test.noise import KINDS, LOOKS, SUITE, real_suite, synthetic_suite
from gate.statistics import REGRESSION, Rules, Sample, UNDECIDED

EFFECTS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.12, 0.15, 0.20, 0.25, 0.30)
MUST_FIND = 0.10
RULES = Rules(looks=2)


def part(sample, count):
    return Sample(sample.name, sample.baseline[:count], sample.candidate[:count], True)


def both_looks(samples, family=None):
    """As scripts/gate --refs decides."""
    family = family or len(samples)
    first = gate_statistics.judge(
        [part(each, LOOKS[0]) for each in samples], RULES, family=family, intervals=False
    )
    by_name = {each.name: each for each in samples}
    return gate_statistics.second_look(
        first, lambda names: [by_name[name] for name in names], RULES, family=family
    )


def identical_trials(seed, count, measured):
    """[(accused benchmarks, benchmarks that could not be decided)] of comparisons of identical versions."""
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


def slowdown_trials(seed, count, effect, draw):
    """How many of `count` comparisons name the one benchmark of a suite that is slower."""
    rng = np.random.default_rng(seed)
    named = 0
    for _ in range(count):
        sample = draw(rng)
        sample.candidate = sample.candidate * (1 + effect)
        named += both_looks([sample], SUITE)[0].verdict == REGRESSION
    return named


def synthetic_slowdown(seed, count, effect, kind, spread):
    return slowdown_trials(seed, count, effect, lambda rng: Sample("b", *KINDS[kind](rng, LOOKS[1], spread)))


def real_slowdown(seed, count, effect, measured):
    return slowdown_trials(seed, count, effect, lambda rng: real_suite(rng, [measured])[0])


def spread_over(pool, title, jobs, begin):
    """Runs [(function, arguments...)] on all cores; the answers in order."""
    progress = command_line.ProgressLine()
    waiting = {pool.submit(*job): i for i, job in enumerate(jobs)}
    answers = [None] * len(jobs)
    start = time.monotonic()
    for done, each in enumerate(concurrent.futures.as_completed(waiting), 1):
        answers[waiting[each]] = each.result()
        left = (time.monotonic() - start) / done * (len(jobs) - done)
        progress.show(f"{title}: {done} of {len(jobs)}, about {in_words(left)} left")
    progress.clear()
    return answers


def rate(hits, trials):
    """With its 95% interval (Clopper and Pearson)."""
    found = stats.binomtest(int(hits), int(trials)).proportion_ci(0.95, method="exact")
    return {
        "of": int(trials),
        "hits": int(hits),
        "rate": hits / trials,
        "interval": [float(found.low), float(found.high)],
    }


def identical(pool, trials, measured, seed, begin):
    each = 5
    title = "identical versions, measured pairs" if measured else "identical versions, synthetic"
    told = sum(
        spread_over(
            pool, title, [(identical_trials, seed + i, each, measured) for i in range(trials // each)], begin
        ),
        [],
    )
    size = len(measured) if measured else SUITE
    return {
        "accused": rate(sum(accused != 0 for accused, _ in told), len(told)),
        "benchmarks": size,
        "undecided_share": sum(open_ for _, open_ in told) / (len(told) * size),
    }
