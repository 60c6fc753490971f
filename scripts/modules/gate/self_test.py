"""Measures the gate itself: how often it accuses identical versions, and which slowdowns it finds.

Everything goes through the functions that decide about commits. What is drawn at random has a fixed seed, so that a
self-test on synthetic runs says the same each time; runs of the benchmarks themselves are another sample each time.

- Identical versions, whole suites with both looks: synthetic noise of five kinds, and pairs really measured here.
- One benchmark of the suite slower by 1% to 30%: how often it is named as a regression.
- One more atomic operation, fence or allocation in each operation: always found.
- Files that cannot be compared, and command lines that are wrong: never a pass.
"""

import concurrent.futures
import contextlib
import datetime
import io
import json
import math
import os
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import stats

from bench import command as bench
from common import child_processes
from common import command_line
from gate import counts as gate_counts
from gate import refs as gate_refs
from gate import report as gate_report
from gate import runs as gate_runs
from gate import statistics as gate_statistics
from common import output
from plot import command as plot
from common.command_line import ROOT, in_words
from gate.statistics import REGRESSION, UNDECIDED, Rules, Sample

RESULTS = ROOT / "results" / "gate"
SUITE = 30  # benchmarks, as many as the gate's own with 1 and 2 threads
LOOKS = (30, 120)  # pairs
EFFECTS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.12, 0.15, 0.20, 0.25, 0.30)
MUST_FIND = 0.10
RULES = Rules(looks=2)


# ---- synthetic noise ----


def spread_out(rng, count, spread):
    """Times of `count` pairs as (baseline, candidate), with what all kinds of noise have."""
    return np.exp(rng.normal(0, spread, (2, count)))


def quiet(rng, count, spread):
    return spread_out(rng, count, spread)


def heavy_tails(rng, count, spread):
    """Now and then a run is far off, as when another process is on the core."""
    return np.exp(np.clip(spread * rng.standard_t(2, (2, count)), -1, 3))


def drift(rng, count, spread):
    """The machine's speed wanders: a clock that heats up and cools down."""
    way = np.cumsum(rng.normal(0, 0.02, 2 * count)).reshape(count, 2)
    first = rng.random(count) < 0.5  # who is first in a pair is drawn by lot
    return spread_out(rng, count, spread) * np.exp(np.where(first, way.T, way.T[::-1]))


def bursts(rng, count, spread):
    """For some rounds every run is disturbed, each by another amount."""
    busy, on = np.zeros(count, bool), False
    for i in range(count):
        on = rng.random() < (0.8 if on else 0.06)
        busy[i] = on
    return spread_out(rng, count, spread) * (1 + busy * rng.exponential(0.4, (2, count)))


def two_speeds(rng, count, spread):
    """Each process is lucky or not with where its memory lies."""
    return spread_out(rng, count, spread) * np.where(rng.random((2, count)) < 0.4, 1.08, 1.0)


KINDS = {
    "quiet": quiet,
    "heavy tails": heavy_tails,
    "drift": drift,
    "bursts": bursts,
    "two speeds": two_speeds,
}
SPREADS = (0.01, 0.03, 0.06)  # of single runs: a pair's ratio has 1.4 times as much


def synthetic_suite(rng):
    """120 pairs of each benchmark, of all kinds and spreads in turn; all disturbed by the same bursts of the machine."""
    kinds = list(KINDS.values())
    return [
        Sample(f"b{i}", *kinds[i % len(kinds)](rng, LOOKS[1], SPREADS[i % len(SPREADS)]))
        for i in range(SUITE)
    ]


# ---- pairs that were measured ----


def real_suite(rng, measured):
    """120 pairs of each benchmark, drawn from pairs of identical versions: five rounds at a time, the same rounds for all
    benchmarks, so that what a disturbance does to neighbours is kept; with the sides exchanged by lot."""
    rounds = min(len(each.baseline) for each in measured)
    begin = rng.integers(0, rounds, -(-LOOKS[1] // 5))
    chosen = ((begin[:, None] + np.arange(5)) % rounds).ravel()[: LOOKS[1]]
    samples = []
    for each in measured:
        sides = np.stack([each.baseline[chosen], each.candidate[chosen]])
        swapped = np.where(rng.random(len(chosen)) < 0.5, sides, sides[::-1])
        samples.append(Sample(each.name, *swapped))
    return samples


# ---- trials ----


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


# ---- counts ----


def planted_counts(binary):
    """[(what was planted, found)]: one more of each kind in each operation, and nothing at all."""
    plain = gate_counts.take_counts(binary)
    told = [
        (
            "nothing",
            all(
                each.verdict == gate_statistics.PASS
                for each in gate_counts.compare_counts(plain, gate_counts.take_counts(binary))
            ),
        )
    ]
    measures = {
        "load": "loads",
        "store": "stores",
        "rmw": "rmws",
        "cas_failure": "cas_failures",
        "light_fence": "light_fences",
        "heavy_fence": "heavy_fences",
        "allocation": "allocations",
    }
    for kind, measure in measures.items():
        for operation in ("search", "get", "replace", "insert", "remove"):
            found = gate_counts.compare_counts(plain, gate_counts.take_counts(binary, f"{kind}@{operation}"))
            named = {(each.name.split("/")[0], each.measure) for each in found if each.verdict == REGRESSION}
            told.append(
                (
                    f"{kind}@{operation}",
                    (operation, measure) in named and all(name == operation for name, _ in named),
                )
            )
    return told


def accepted_rises():
    """[(what, whether it went as it must)]: a rise that was accepted passes up to where it was accepted, and no other."""
    before = {"search": {"calls": 10, "totals": {"loads": 100, "stores": 20}}}
    after = {"search": {"calls": 10, "totals": {"loads": 110, "stores": 20}}}
    told = []
    for what, accepted, passes in (
        ("a rise with a reason", {"search: loads": {"up_to": 11.0, "reason": "a test"}}, True),
        ("a rise beyond what was accepted", {"search: loads": {"up_to": 10.5, "reason": "a test"}}, False),
        (
            "a rise of another measure than was accepted",
            {"search: stores": {"up_to": 11.0, "reason": "a test"}},
            False,
        ),
        ("a rise without a reason", {}, False),
    ):
        found = gate_counts.compare_counts(before, after)
        gate_counts.let_accepted_pass(found, accepted)
        told.append((what, all(each.verdict == gate_statistics.PASS for each in found) == passes))
    return told


# ---- data that cannot be used ----


def saved_run(rng, slower=1.0, runs=12, change=lambda document: None):
    """What scripts/bench might have written; its first benchmark is `slower`."""
    names = [f"search/lock_free/n:{n}/real_time/threads:1" for n in (1000, 2000, 4000)]
    times = {
        name: np.exp(rng.normal(0, 0.01, runs)) * (slower if position == 0 else 1)
        for position, name in enumerate(names)
    }
    document = {
        "context": {
            "machine": {"cpu": "a processor", "cores": 2},
            "compiler": "a compiler",
            "flags": ["-O2"],
            "dataset": "generated",
            "pinned": "false",
            "seed": "1",
        },
        "benchmarks": [
            {
                "name": name,
                "run_type": "iteration",
                "repetition_index": i,
                "threads": 1,
                "items_per_second": 1 / value,
                "ops": 1 / value,
            }
            for name in names
            for i, value in enumerate(times[name])
        ],
    }
    change(document)
    return document


def of_first(change):
    """A change of all measurements of the first benchmark."""

    def apply(document):
        first = document["benchmarks"][0]["name"]
        for entry in document["benchmarks"]:
            if entry["name"] == first:
                change(entry)

    return apply


def without_first(document):
    first = document["benchmarks"][0]["name"]
    document["benchmarks"] = [each for each in document["benchmarks"] if each["name"] != first]


def with_context(key, value):
    return lambda document: document["context"].__setitem__(key, value)


def data_cases(folder, gate):
    """[(what, the status that it must have, the status, what was said)]"""
    rng = np.random.default_rng(1)

    def write(name, document):
        path = folder / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    base = write("base.json", saved_run(rng))
    whole = json.dumps(saved_run(rng))
    conditions = {"machine": {"cpu": "a processor", "cores": 2}, "compiler": "a compiler", "flags": ["-O2"]}
    count_of = lambda loads: {
        "context": conditions,
        "counts": [{"name": "search", "calls": 10, "totals": {"loads": loads}}],
    }  # noqa: E731
    candidates = [
        ("identical versions", 0, saved_run(rng)),
        ("30% slower", 1, saved_run(rng, slower=1.3)),
        ("30% faster", 0, saved_run(rng, slower=1 / 1.3)),
        ("too few runs to tell", 2, saved_run(rng, runs=3)),
        ("a benchmark is missing", 3, saved_run(rng, change=without_first)),
        ("no benchmark at all", 3, saved_run(rng, change=lambda document: document["benchmarks"].clear())),
        ("NaN", 3, saved_run(rng, change=of_first(lambda entry: entry.update(ops=math.nan)))),
        ("a throughput of zero", 3, saved_run(rng, change=of_first(lambda entry: entry.update(ops=0)))),
        ("a negative throughput", 3, saved_run(rng, change=of_first(lambda entry: entry.update(ops=-1)))),
        (
            "a benchmark that failed",
            3,
            saved_run(
                rng,
                change=of_first(lambda entry: entry.update(error_occurred=True, error_message="no memory")),
            ),
        ),
        ("a truncated file", 3, whole[: len(whole) // 2]),
        ("an empty file", 3, ""),
        ("not a run", 3, '{"benchmarks": 1}'),
        (
            "another machine",
            3,
            saved_run(rng, change=with_context("machine", {"cpu": "another processor", "cores": 2})),
        ),
        ("another compiler", 3, saved_run(rng, change=with_context("compiler", "another compiler"))),
        ("other flags", 3, saved_run(rng, change=with_context("flags", ["-O0"]))),
        ("another dataset", 3, saved_run(rng, change=with_context("dataset", "other vectors"))),
        (
            "a file that does not say its machine",
            3,
            saved_run(rng, change=lambda document: document["context"].pop("machine")),
        ),
    ]
    cases = [
        (what, wanted, ["--baseline", base, "--candidate", write(f"{i}.json", document)])
        for i, (what, wanted, document) in enumerate(candidates)
    ]
    fewer, more = write("fewer.json", count_of(100)), write("more.json", count_of(101))
    missing = next(arguments for what, _, arguments in cases if what == "a benchmark is missing")
    machine = next(arguments for what, _, arguments in cases if what == "another machine")
    slow = next(arguments for what, _, arguments in cases if what == "30% slower")
    cases += [
        ("the missing side is the baseline", 3, ["--baseline", missing[3], "--candidate", base]),
        ("a benchmark may be missing", 0, [*missing, "--allow-missing", "n:1000/"]),
        ("another machine, allowed", 0, [*machine, "--across", "machine"]),
        ("one more of a count", 1, ["--baseline", fewer, "--candidate", more]),
        ("one less of a count", 0, ["--baseline", more, "--candidate", fewer]),
        ("nothing left to compare", 3, [*slow, "--filter", "nothing_has_this_name"]),
        ("no such file", 3, ["--baseline", base, "--candidate", folder / "none.json"]),
        ("an unknown flag", 3, ["--basline", base, "--candidate", base]),
        ("no task", 3, []),
        ("two tasks", 3, [*slow, "--calibrate"]),
    ]
    told = []
    for what, wanted, arguments in cases:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = gate([str(each) for each in arguments])
        lines = [
            line for line in said.getvalue().splitlines() if line.strip() and not line.startswith("See ")
        ]
        told.append((what, wanted, status, lines[-1] if lines else ""))
    return told


# ---- the whole ----


def measure_identical(pairs, options):
    """Pairs of every benchmark of the gate, of one version against itself."""
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    gate_refs.install()
    version = gate_refs.working_tree()
    gate_refs.build(version)
    session = gate_refs.Session(
        version, version, gate_refs.profile_flags(options.threads or [1, 2]), None, options.min_time
    )
    print(f"measure: {len(session.names)} benchmarks against themselves, {pairs} pairs of each", flush=True)
    session.measure(session.names, pairs, "identical versions")
    samples = gate_runs.samples(session.saved(0)[0], session.saved(1)[0])
    troubled = [f"{each.name}: {why}" for each in samples if (why := gate_statistics.check(each))]
    if troubled:
        raise gate_refs.RefsFailed(f"cannot measure: {'; '.join(troubled)}")
    return samples


class Report:
    """Lines of what was tested, and how many of them are as they must be."""

    def __init__(self):
        self.passed = self.failed = 0

    def line(self, fine, text):
        self.passed += fine
        self.failed += not fine
        print(f"  {'ok  ' if fine else 'FAIL'}  {text}", flush=True)


def shown_rate(told):
    low, high = told["interval"]
    return f"{told['hits']} of {told['of']} ({told['rate']:.1%}; 95% interval {low:.1%} to {high:.1%})"


def run(full, options, gate):
    begin = time.monotonic()
    report = Report()
    gate_refs.FOLDER.mkdir(parents=True, exist_ok=True)
    print("Data and command lines: the exit status")
    with tempfile.TemporaryDirectory(prefix="hotindex-gate-") as scratch:
        for what, wanted, status, said in data_cases(Path(scratch), gate):
            report.line(
                status == wanted,
                f"{what}: {status}" + ("" if status == wanted else f" instead of {wanted}; it said: {said}"),
            )

    print("One more of each count in each operation")
    version = gate_refs.working_tree()
    gate_refs.build(version, ("operation_counts",), ("operation_counts",))
    counts = planted_counts(version.binary("operation_counts"))
    wrong = [what for what, found in counts if not found]
    report.line(
        not wrong,
        f"{len(counts) - 1} planted, {len(counts) - 1 - len(wrong)} found"
        if not wrong
        else f"not as it should be: {', '.join(wrong)}",
    )

    for what, fine in accepted_rises():
        report.line(fine, what)

    measured = measure_identical(60, options) if full else None
    document = {}
    with child_processes.pool(os.cpu_count()) as pool:
        trials = 1000 if full else 20
        print(f"Identical versions: suites of {SUITE} benchmarks, any of them accused")
        document["identical_synthetic"] = told = identical(pool, trials, None, 1000, begin)
        report.line(
            told["accused"]["rate"] <= 0.01,
            f"synthetic: {shown_rate(told['accused'])}; {told['undecided_share']:.1%} of the benchmarks undecided",
        )
        if full:
            document["identical_measured"] = told = identical(pool, 500, measured, 5000, begin)
            report.line(
                told["accused"]["rate"] <= 0.01,
                f"drawn from pairs measured here: {shown_rate(told['accused'])}; {told['undecided_share']:.1%} of the benchmarks undecided",
            )
            halves = [
                [Sample(each.name, each.baseline[half], each.candidate[half]) for each in measured]
                for half in (slice(0, 30), slice(30, 60))
            ]
            accused = [
                sum(
                    each.verdict == REGRESSION for each in gate_statistics.judge(half, RULES, intervals=False)
                )
                for half in halves
            ]
            report.line(
                not any(accused),
                f"as they were measured, {len(halves)} comparisons of 30 pairs: {sum(map(bool, accused))} with an accused benchmark",
            )
            document["identical_as_measured"] = {
                "comparisons": len(halves),
                "accused": sum(map(bool, accused)),
            }

        effects = EFFECTS if full else (MUST_FIND,)
        count = 200 if full else 10
        print("One slower benchmark in a suite: how often it is named")
        jobs = [
            (synthetic_slowdown, 7919 * i + j, count, effect, kind, spread)
            for i, effect in enumerate(effects)
            for j, (kind, spread) in enumerate((k, s) for k in KINDS for s in SPREADS)
        ]
        named = iter(spread_over(pool, "slower benchmarks, synthetic", jobs, begin))
        power = {kind: {} for kind in KINDS}
        for effect in effects:
            for kind in KINDS:
                power[kind][effect] = rate(sum(next(named) for _ in SPREADS), count * len(SPREADS))
        for kind in KINDS:
            told = power[kind][MUST_FIND]
            report.line(told["rate"] >= 0.95, f"slower by {MUST_FIND:.0%}, {kind}: {shown_rate(told)}")
        document["slower_synthetic"] = {
            kind: [{"effect": effect, **told} for effect, told in by.items()] for kind, by in power.items()
        }
        if full:
            real_power(pool, measured, document, report, begin)

    took = time.monotonic() - begin
    if full:
        document = {
            "context": {
                "machine": bench.describe_machine(),
                **bench.describe_source(),
                "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "command_line": shlex.join(["scripts/gate", *bench.shown_arguments(sys.argv[1:])]),
                "seconds": round(took),
            },
            "rules": {
                "false_alarms_at_most": RULES.alpha,
                "minimum_effect": RULES.minimum_effect,
                "pairs_at_looks": LOOKS,
                "suite": SUITE,
            },
            "counts": {"planted": len(counts) - 1, "found": len(counts) - 1 - len(wrong)},
            **document,
        }
        output.write_whole(RESULTS / "self_test.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
        update_readme(document)
        why = plot.cannot_draw()
        if not why:
            draw(document, RESULTS / "power.svg")
        drawn = f"no chart: {why}" if why else "power.svg, power.png"
        print(f"results/gate/self_test.json, {drawn}; the README's figures")
    print(f"{in_words(took)}\ngate self-test: {report.passed} passed, {report.failed} failed", flush=True)
    return 0 if report.failed == 0 else 1


def real_power(pool, measured, document, report, begin):
    """The same on pairs measured here, for each benchmark; those that calibration calls too noisy are named."""
    told = spread_over(
        pool,
        "calibrate",
        [(gate_statistics.calibrated, each, list(LOOKS), SUITE, RULES) for each in measured],
        begin,
    )
    noisy = [
        each.name
        for each, entry in zip(measured, told)
        if entry["floor"][1] >= RULES.detect or (entry["finds"][1] or 1) > RULES.detect
    ]
    count = 50
    jobs = [
        (real_slowdown, 104729 * i + j, count, effect, each)
        for i, effect in enumerate(EFFECTS)
        for j, each in enumerate(measured)
    ]
    named = iter(spread_over(pool, "slower benchmarks, measured pairs", jobs, begin))
    by_name = {each.name: [] for each in measured}
    for effect in EFFECTS:
        for each in measured:
            by_name[each.name].append({"effect": effect, **rate(next(named), count)})
    gated = [each.name for each in measured if each.name not in noisy]
    at = EFFECTS.index(MUST_FIND)
    if gated:
        found = rate(sum(by_name[name][at]["hits"] for name in gated), count * len(gated))
        report.line(
            found["rate"] >= 0.95,
            f"slower by {MUST_FIND:.0%}, pairs measured here, {len(gated)} of {len(measured)} benchmarks: {shown_rate(found)}",
        )
    if noisy:
        print(f"        cannot decide on {MUST_FIND:.0%} on this machine: {', '.join(noisy)}")
    document["slower_measured"] = by_name
    document["cannot_decide"] = noisy
    document["noise"] = {
        each.name: {"spread": entry["spread"], "floor": entry["floor"][1]}
        for each, entry in zip(measured, told)
    }


def measured_rates(document):
    """[(effect, hits, trials)] of the benchmarks that can be gated."""
    gated = [name for name in document["slower_measured"] if name not in document["cannot_decide"]]
    return [
        (
            effect,
            sum(document["slower_measured"][name][i]["hits"] for name in gated),
            sum(document["slower_measured"][name][i]["of"] for name in gated),
        )
        for i, effect in enumerate(EFFECTS)
    ]


def draw(document, path):
    """How often a slowdown is found, by its size."""
    figure, axes = plot.new_figure(8.6, 5.0, 1)
    axis = axes[0][0]
    lines = {
        kind: [(each["effect"], each["rate"]) for each in told]
        for kind, told in document["slower_synthetic"].items()
    }
    styles = plot.style_of([*lines, "measured"])
    for kind, points in lines.items():
        colour, marker, dashes = styles[kind]
        axis.plot(
            [100 * x for x, _ in points],
            [100 * y for _, y in points],
            color=colour,
            marker=marker,
            linestyle=dashes,
            markersize=5,
            label=f"synthetic: {kind}",
        )
    real = [(effect, hits / of) for effect, hits, of in measured_rates(document) if of]
    if real:
        gated = len(document["slower_measured"]) - len(document["cannot_decide"])
        axis.plot(
            [100 * x for x, _ in real],
            [100 * y for _, y in real],
            color="#D55E00",
            marker="o",
            markersize=6,
            linewidth=2.4,
            label=f"pairs measured: {gated} benchmarks that can be gated",
        )
    axis.axhline(95, color="#777777", linewidth=0.9, linestyle=(0, (4, 3)))
    axis.text(30.6, 93.6, "95 in 100", ha="right", va="top", fontsize=8, color="#555555")
    axis.axvline(100 * RULES.minimum_effect, color="#777777", linewidth=0.9, linestyle=(0, (4, 3)))
    axis.text(
        100 * RULES.minimum_effect - 0.25,
        52,
        "minimum effect",
        ha="right",
        va="center",
        rotation=90,
        fontsize=8,
        color="#555555",
    )
    axis.set_xlim(0, 31)
    axis.set_ylim(-2, 102)
    axis.set_xticks([1, 2, 3, 5, 7, 10, 15, 20, 25, 30])
    axis.set_xlabel(f"slowdown of one benchmark in a suite of {SUITE}, percent")
    axis.set_ylabel("named as a regression,\npercent of comparisons")
    axis.legend(loc="lower right", frameon=False, fontsize=9)
    synthetic, real = document["identical_synthetic"]["accused"], document["identical_measured"]["accused"]
    axis.set_title(
        f"What the gate finds; of identical suites it accused {synthetic['hits']} of {synthetic['of']:,} (synthetic), "
        f"{real['hits']} of {real['of']:,} (measured)",
        loc="left",
        fontsize=10,
    )
    figure.tight_layout()
    gate_report.save(figure, path)


BEGIN, END = "<!-- gate: generated -->", "<!-- gate: end -->"


def update_readme(document):
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text:
        return
    synthetic, real = document["identical_synthetic"]["accused"], document["identical_measured"]["accused"]
    kinds = [
        next(each for each in told if each["effect"] == MUST_FIND)
        for told in document["slower_synthetic"].values()
    ]
    found = {effect: (hits, of) for effect, hits, of in measured_rates(document)}[MUST_FIND]
    noisy = document["cannot_decide"]
    lines = [
        "| | trials | |",
        "|---|--:|---|",
        f"| identical suites of {SUITE} benchmarks, synthetic noise: any benchmark accused | {synthetic['of']:,} | {synthetic['hits']} (95% interval {synthetic['interval'][0]:.1%} to {synthetic['interval'][1]:.1%}) |",
        f"| the same, drawn from pairs measured on 2 shared cores | {real['of']:,} | {real['hits']} (95% interval {real['interval'][0]:.1%} to {real['interval'][1]:.1%}) |",
        f"| one benchmark 10% slower, synthetic noise of {len(kinds)} kinds: named | {sum(each['of'] for each in kinds):,} | {sum(each['hits'] for each in kinds) / sum(each['of'] for each in kinds):.1%}; the worst kind {min(each['rate'] for each in kinds):.1%} |",
        f"| the same, on the {len(document['slower_measured']) - len(noisy)} of {len(document['slower_measured'])} benchmarks whose measured noise allows a verdict | {found[1]:,} | {found[0] / max(1, found[1]):.1%} |",
        f"| one more atomic operation, fence or allocation in an operation: found | {document['counts']['planted']} | {document['counts']['found']} |",
    ]
    head, rest = text.split(BEGIN, 1)
    output.write_whole(path, f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{rest.split(END, 1)[1]}")
