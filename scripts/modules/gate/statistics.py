"""How the gate decides: from the times of two versions to one verdict for each benchmark.

What is compared is the time of an operation (1 / throughput); a ratio of 1.10 means that the candidate takes
10% longer.

1. The effect is the median of the pairs' ratios, with a bootstrap interval over the pairs: what disturbs a
   machine lasts longer than a pair, and meets both of its sides. (Runs that were not interleaved have no
   pairs: the ratio of medians.)
2. Whether it is more than chance says a rank test on the pairs' ratios (Wilcoxon's, signed). Its level needs
   no assumption about the noise but the one that the random order within each pair makes true: without a
   difference between the versions, each is as likely to be the slower one. (Runs that were not interleaved:
   Mann and Whitney's test.)
3. Many benchmarks are compared, so the tests' levels are corrected by Holm's method. It bounds the chance
   that any benchmark at all is accused wrongly, which is what turns a gate red; Benjamini and Hochberg's
   method would bound the share of wrong ones among the accused, and a pull request without accused ones would
   not profit from that.
4. A regression needs the corrected test, an interval at the corrected level that lies above 1, and an effect
   of at least the minimum effect and of the noise floor: what identical versions would show with noise such
   as this, 99 times in 100.
5. A pass needs evidence too: as many runs as a regression would need, and a bootstrap bound that excludes a
   slowdown of `detect`, which one such slowdown in a hundred (`miss`) would slip through. Else the verdict is
   "cannot decide".

There may be two looks: benchmarks that the first leaves undecided are run again, and looked at with all their
pairs. The levels are split between the looks, so that the error rates hold for both together.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, Sequence, Tuple, TypedDict

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]
Floors = Dict[str, float]  # noise floors by benchmark
Interval = Tuple[float, float]

PASS, REGRESSION, IMPROVEMENT = "pass", "regression", "improvement"
UNDECIDED, NO_DATA = "cannot decide", "no data"


@dataclass(frozen=True)
class Rules:
    """How sure the gate must be, and of what."""

    alpha: float = 0.01  # chance that a comparison of identical versions accuses any benchmark
    miss: float = 0.01  # chance that a slowdown of `detect` passes
    confidence: float = 0.95  # of the intervals that are shown
    minimum_effect: float = 0.05  # less than this is no regression, however sure
    detect: float = 0.10  # a pass excludes a slowdown as large as this
    looks: int = 1  # at most, of which each has alpha / looks and miss / looks
    resamples: int = 2000
    seed: int = 1  # of the bootstrap: the same data give the same verdict


@dataclass(frozen=True)
class Summary:
    """What is left of one side's measurements where only aggregates were kept."""

    median: float  # seconds an operation; the mean where there is no median
    spread: float  # standard deviation / mean
    runs: int

    @staticmethod
    def of(measured: Array) -> Summary:
        """Returns the summary of measurements."""
        spread = float(np.std(measured, ddof=1) / np.mean(measured)) if len(measured) > 1 else 0.0
        return Summary(float(np.median(measured)), spread, len(measured))


@dataclass
class Sample:
    """The measurements of one benchmark: seconds an operation, element i of both sides from pair i where
    paired; or what is left of them."""

    name: str
    baseline: Array
    candidate: Array
    paired: bool = True
    trouble: str = ""  # why there is nothing to compare
    summaries: tuple[Summary, Summary] | None = None  # instead of measurements

    @property
    def runs(self) -> tuple[int, int]:
        """The numbers of measurements of both sides."""
        if self.summaries:
            return self.summaries[0].runs, self.summaries[1].runs
        return len(self.baseline), len(self.candidate)

    @property
    def medians(self) -> tuple[float, float]:
        """Seconds an operation on both sides."""
        if self.summaries:
            return self.summaries[0].median, self.summaries[1].median
        return float(np.median(self.baseline)), float(np.median(self.candidate))


class Welch:
    """Welch's t-test on the logarithms of summarised times, whose standard deviations are, while they are
    small, those of the times relative to their means."""

    def __init__(self, summaries: tuple[Summary, Summary]) -> None:
        a, b = summaries
        parts = [max(each.spread, 1e-9) ** 2 / each.runs for each in summaries]
        self.shift = math.log(b.median / a.median)
        self.error = math.sqrt(sum(parts))
        self.freedom = sum(parts) ** 2 / sum(
            part**2 / (each.runs - 1) for part, each in zip(parts, summaries)
        )

    def p(self) -> tuple[float, float]:
        """Returns (p that the candidate is not slower, p that it is not faster)."""
        at = self.shift / self.error
        return float(stats.t.sf(at, self.freedom)), float(stats.t.cdf(at, self.freedom))

    def ratios(self, probabilities: Sequence[float]) -> Array:
        """Returns these quantiles of the ratio."""
        quantiles: Array = np.exp(self.shift + self.error * stats.t.ppf(probabilities, self.freedom))
        return quantiles

    def floor(self) -> float:
        """Returns what identical versions stay below 99 times in 100."""
        return float(np.expm1(self.error * stats.t.ppf(0.995, self.freedom)))


@dataclass
class Effect:
    """What the measurements of one benchmark show."""

    ratio: float  # of time: above 1 is slower
    interval: Interval  # at Rules.confidence, for this benchmark alone
    wide_interval: Interval | None  # at the corrected level, for all benchmarks together
    p: float  # corrected; of the test in the direction of the effect
    floor: float
    threshold: float
    baseline: float  # medians, seconds an operation
    candidate: float


@dataclass
class Finding:
    """The verdict on one benchmark, and where there were measurements, what they show."""

    name: str
    verdict: str
    why: str = ""
    effect: Effect | None = None
    runs: tuple[int, int] = (0, 0)
    paired: bool = True


class Calibrated(TypedDict):
    """What pairs of identical versions tell of one benchmark; `floor` and `finds` have a value a look."""

    spread: float
    floor: list[float]
    finds: list[float | None]


def holm(p: Iterable[float]) -> Array:
    """Returns the p-values adjusted by Holm's step-down correction, in the order given."""
    raw = np.asarray(list(p), dtype=float)
    order = np.argsort(raw)
    stepped = np.maximum.accumulate(raw[order] * (len(raw) - np.arange(len(raw))))
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def test_p(sample: Sample) -> tuple[float, float]:
    """Returns (p that the candidate is not slower, p that it is not faster), each of a one-sided test."""
    if sample.summaries:
        return Welch(sample.summaries).p()
    a, b = np.log(sample.baseline), np.log(sample.candidate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ties: then the normal approximation is used
        if sample.paired:
            difference = b - a
            if not np.any(difference):
                return 1.0, 1.0
            both = [
                float(stats.wilcoxon(difference, alternative=side).pvalue) for side in ("greater", "less")
            ]
            return both[0], both[1]
        both = [float(stats.mannwhitneyu(b, a, alternative=side).pvalue) for side in ("greater", "less")]
        return both[0], both[1]


def smallest_p(runs_baseline: int, runs_candidate: int, paired: bool) -> float:
    """Returns the smallest p that the test can give with so many runs."""
    if paired:
        return 0.5 ** min(runs_baseline, runs_candidate)
    return 1 / math.comb(runs_baseline + runs_candidate, runs_baseline)


def runs_needed(benchmarks: int, rules: Rules, paired: bool, summarised: bool = False) -> int:
    """Returns the smallest number of runs a side with which the test can reach its corrected level; of a
    standard deviation of fewer than three, nothing follows."""
    if summarised:
        return 3
    level = rules.alpha / rules.looks / max(1, benchmarks)
    return next(n for n in range(2, 200) if smallest_p(n, n, paired) <= level)


def resampled_medians(values: Array, count: int, rng: np.random.Generator) -> Array:
    """Returns the bootstrap distribution of the median, without the resamples: which of the sorted values
    stand in the middle of a resample is drawn as the order statistics of uniform numbers are, of which the
    first middle one is beta distributed."""
    ordered, n = np.sort(values), len(values)
    k = (n + 1) // 2
    left = rng.beta(k, n - k + 1, count)
    median: Array = ordered[np.minimum((left * n).astype(int), n - 1)]
    if n % 2 == 0:
        right = 1 - (1 - left) * rng.random(count) ** (1 / (n - k))
        median = (median + ordered[np.minimum((right * n).astype(int), n - 1)]) / 2
    return median


def resampled_ratios(sample: Sample, count: int, rng: np.random.Generator) -> Array:
    """Returns the bootstrap distribution of the effect."""
    if sample.paired:
        return resampled_medians(sample.candidate / sample.baseline, count, rng)
    return resampled_medians(sample.candidate, count, rng) / resampled_medians(sample.baseline, count, rng)


def quantiles_of(
    sample: Sample, probabilities: Sequence[float], count: int, rng: np.random.Generator
) -> list[float]:
    """Returns these quantiles of the effect: from `count` resamples, or by Welch's test."""
    if sample.summaries:
        return [float(each) for each in Welch(sample.summaries).ratios(probabilities)]
    return [float(each) for each in np.quantile(resampled_ratios(sample, count, rng), probabilities)]


def effect_of(sample: Sample) -> float:
    """Returns how many times as long the candidate takes."""
    if sample.paired:
        return float(np.median(sample.candidate / sample.baseline))
    return sample.medians[1] / sample.medians[0]


def noise_floor(sample: Sample, rng: np.random.Generator, count: int = 2000) -> float:
    """Returns what identical versions would show with these measurements: the 99th percentile of |ratio - 1|
    when the effect is taken out and the labels are exchanged at random, within each pair where they are
    paired."""
    if sample.summaries:
        return Welch(sample.summaries).floor()
    if sample.paired:
        ratios = np.log(sample.candidate / sample.baseline)
        signs = np.where(rng.random((count, len(ratios))) < 0.5, 1.0, -1.0)
        effect = np.abs(np.median(signs * (ratios - np.median(ratios)), axis=1))
    else:
        a = sample.baseline / np.median(sample.baseline)
        b = sample.candidate / np.median(sample.candidate)
        pool = rng.permuted(np.tile(np.concatenate([a, b]), (count, 1)), axis=1)
        left, right = pool[:, : len(a)], pool[:, len(a) :]
        effect = np.abs(np.log(np.median(right, axis=1) / np.median(left, axis=1)))
    return float(np.expm1(np.quantile(effect, 0.99)))


def check(sample: Sample) -> str:
    """Returns why a sample cannot be compared, "" when it can."""
    if sample.trouble:
        return sample.trouble
    if sample.summaries:
        few = [side for side, each in zip(("baseline", "candidate"), sample.summaries) if each.runs < 2]
        return f"the {few[0]} has one run of it, and no standard deviation" if few else ""
    for side, values in (("baseline", sample.baseline), ("candidate", sample.candidate)):
        if len(values) == 0:
            return f"the {side} has no run of it"
        if not np.all(np.isfinite(values)) or np.any(values <= 0):
            bad = next(value for value in values if not np.isfinite(value) or value <= 0)
            return f"the {side} has a run whose time is {bad}"
    return ""


def judge(
    samples: list[Sample],
    rules: Rules,
    floors: Floors | None = None,
    family: int | None = None,
    intervals: bool = True,
) -> list[Finding]:
    """Returns a Finding for each sample. `floors` are calibrated noise floors by name; `family` is the number
    of benchmarks that are compared in all, when these are not all. Without `intervals`, those at the
    corrected level are computed only where a verdict depends on them."""
    floors = floors or {}
    rng = np.random.default_rng(rules.seed)
    findings: dict[str, Finding] = {}
    sound: list[Sample] = []
    for sample in samples:
        why = check(sample)
        if why:
            findings[sample.name] = Finding(sample.name, NO_DATA, why, runs=sample.runs)
        else:
            sound.append(sample)
    family = max(family or 0, len(samples))
    tests = [test_p(sample) for sample in sound]
    # The others of the family count as if their p were 1.
    rest = [1.0] * (family - len(sound))
    slower = holm([p for p, _ in tests] + rest)
    faster = holm([p for _, p in tests] + rest)
    for sample, p_slower, p_faster in zip(sound, slower, faster):
        p_values = float(p_slower), float(p_faster)
        calibrated_floor = floors.get(sample.name, 0.0)
        findings[sample.name] = judge_one(sample, p_values, rules, family, calibrated_floor, rng, intervals)
    return [findings[sample.name] for sample in samples]


def judge_one(
    sample: Sample,
    p_values: tuple[float, float],
    rules: Rules,
    family: int,
    calibrated_floor: float,
    rng: np.random.Generator,
    intervals: bool,
) -> Finding:
    """Returns the finding on one sample; `p_values` are the corrected ones, that it is not slower and not
    faster."""
    level = rules.alpha / rules.looks
    runs = sample.runs
    ratio = effect_of(sample)
    tail = (1 - rules.confidence) / 2
    asked = (tail, 1 - tail, 1 - rules.miss / rules.looks)
    low, high, bound = quantiles_of(sample, asked, rules.resamples, rng)
    floor = max(noise_floor(sample, rng), calibrated_floor)
    threshold = max(rules.minimum_effect, floor)
    size = max(ratio, 1 / ratio) - 1
    p = p_values[0] if ratio >= 1 else p_values[1]
    likely = p <= level and size >= threshold
    wide = None
    if likely or intervals:
        # Enough resamples for some hundred beyond each end of the interval would take minutes: twenty
        # must do.
        count = int(min(200_000, max(rules.resamples, 20 * family / level)))
        ends = quantiles_of(sample, (level / family, 1 - level / family), count, rng)
        wide = ends[0], ends[1]
    effect = Effect(ratio, (low, high), wide, p, floor, threshold, *sample.medians)
    found = Finding(sample.name, UNDECIDED, "", effect, runs, sample.paired)
    if likely and ratio > 1 and wide and wide[0] > 1:
        found.verdict = REGRESSION
    elif likely and ratio < 1 and wide and wide[1] < 1:
        found.verdict = IMPROVEMENT
    elif min(runs) < (least := runs_needed(family, rules, sample.paired, bool(sample.summaries))):
        are = "run" if min(runs) == 1 else "runs"
        few = f"{min(runs)} {are} a side cannot show anything"
        found.why = f"{few} among {family} benchmarks: {least} are needed"
    elif floor >= rules.detect:
        found.why = f"too noisy to gate: identical versions may differ by {floor:.1%}"
    elif bound - 1 < rules.detect:
        found.verdict = PASS
        if p <= level and size < threshold:
            word = "slower" if ratio > 1 else "faster"
            found.why = f"{word}, but by less than the {threshold:.1%} that count"
    else:
        found.why = f"a slowdown of {bound - 1:.1%} cannot be excluded"
    return found


def power_and_floor(
    pairs: Array, count: int, family: int, rules: Rules, rng: np.random.Generator, trials: int = 300
) -> tuple[float, float | None]:
    """Returns, from pairs of runs of identical versions, (noise floor of a comparison of `count` pairs, the
    smallest slowdown that it finds 95 times in 100). None for the latter when even a slowdown by half is not
    found. The interval at the corrected level is left out here, which agrees with the test nearly always."""
    a, b = np.log(np.asarray(pairs, dtype=float)).T
    ratios = (b - a)[rng.integers(0, len(a), (max(2000, trials), count))]
    ratios *= np.where(rng.random(ratios.shape) < 0.5, 1.0, -1.0)
    shift = np.median(ratios, axis=1)
    floor = float(np.expm1(np.quantile(np.abs(shift), 0.99)))
    threshold = np.log1p(max(rules.minimum_effect, floor))
    level = rules.alpha / rules.looks / family

    def power(slowdown: float) -> float:
        by = np.log1p(slowdown)
        found = 0
        for i in range(trials):
            if shift[i] + by >= threshold:
                found += stats.wilcoxon(ratios[i] + by, alternative="greater").pvalue <= level
        return found / trials

    steps = [*np.arange(0.02, 0.20, 0.01), 0.20, 0.25, 0.30, 0.40, 0.50]
    low, high = 0, len(steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if power(steps[middle]) >= 0.95 else (middle + 1, high)
    return floor, float(steps[low]) if low < len(steps) else None


def calibrated(sample: Sample, looks: list[int], family: int, rules: Rules) -> Calibrated:
    """Returns what pairs of identical versions tell: their spread, and the noise floor and the smallest
    slowdown found at each look."""
    rng = np.random.default_rng(rules.seed)
    ratios = np.log(sample.candidate / sample.baseline)
    low, high = np.quantile(ratios, (0.25, 0.75))
    pairs = np.column_stack([sample.baseline, sample.candidate])
    floors, found = zip(*(power_and_floor(pairs, count, family, rules, rng, trials=150) for count in looks))
    return {"spread": float(high - low), "floor": list(floors), "finds": list(found)}


def second_look(
    first: list[Finding],
    sample_of: Callable[[list[str]], list[Sample]],
    rules: Rules,
    floors: Floors | None = None,
    family: int | None = None,
) -> list[Finding]:
    """Returns the findings after both looks: `sample_of(names)` gives samples with all pairs for those
    undecided at the first. `family` as in judge()."""
    names = [each.name for each in first if each.verdict == UNDECIDED]
    if not names:
        return first
    again = judge(sample_of(names), rules, floors, family=family or len(first), intervals=False)
    by_name = {each.name: each for each in again}
    return [by_name.get(each.name, each) for each in first]
