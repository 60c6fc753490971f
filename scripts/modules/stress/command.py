"""Soaks the lock-free index: random calls by several threads for as long as asked, every answer checked. And measures
the checks themselves: which of them finds which planted bug."""

import concurrent.futures
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NoReturn

from common import child_processes
from common import command_line
from common import output
from plot import command as plot
from common import repository
from stress import churn as stress_churn
from common.command_line import ROOT, in_words

EXPLANATION = """\
A round is a kind and a seed (scripts/stress --list names the kinds). A violation prints the command that plays its
round again, and writes a minimised history as an HTML timeline where there is one.

examples:
  scripts/stress --minutes 10                        release build
  scripts/stress --minutes 10 --sanitizer tsan       the same under ThreadSanitizer; asan: AddressSanitizer and others
  scripts/stress --replay black_controlled:6053 --bug birth_then_death --out results/stress
                                                     one round again, with its minimised history as a timeline
  scripts/stress --garbage                           what stopped searches keep in memory: results/stress/garbage.svg
  scripts/stress --churn --against v0.1              what a minute of insertions and removals keeps, here and there:
                                                     results/stress/churn.svg; about 15 minutes
  scripts/stress --matrix                            every planted bug by every check: about 20 minutes on 2 cores;
                                                     writes results/stress/detection.md and progress.md
  scripts/stress --peer hnswlib                      the same checks on hnswlib, whose contract excludes what they ask for:
                                                     exit status 0 if they object; writes results/stress/hnswlib.md

Exit status: 0 no violation, 1 violations or a sanitizer's report, 2 wrong usage, 128 + signal when a signal ended it; what
was seen until then is told, and with --matrix kept in build/stress/detection.json.
"""

BUILD = ROOT / "build"
RESULTS = ROOT / "results" / "stress"
MATRIX = RESULTS / "detection.json"  # [kind, name, check, verdict, seconds]
PRESETS = {"none": "release", "tsan": "tsan", "asan": "asan"}
NO_PROGRESS = 3


def build(preset):
    log = BUILD / "test-logs" / f"{preset}-stress-build.log"
    for command in (
        ["cmake", "--preset", preset],
        ["cmake", "--build", BUILD / preset, "--target", "stress_soak"],
    ):
        if command_line.run_logged(command, log) != 0:
            print(command_line.tail(log), file=sys.stderr)
            sys.exit(f"scripts/stress: the build failed; log: {log.relative_to(ROOT)}")


def soak_command(preset, *flags, name="stress_soak"):
    fixed = []
    if preset.startswith(
        "tsan"
    ):  # older ones die at their start where the kernel randomises addresses widely
        fixed = ["setarch", platform.machine(), "-R"]
        if child_processes.run([*fixed, "true"], capture_output=True).returncode != 0:
            fixed = []
    return [*fixed, str(BUILD / preset / "stress" / name), *flags]


def mutation(options):
    flags = [f"--bug={options.bug}"] if options.bug else []
    return flags + ([f"--weaken={options.weaken}"] if options.weaken else [])


def soak(options):
    preset = PRESETS[options.sanitizer]
    build(preset)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    flags = [f"--out={out}", *mutation(options)]
    if options.replay:
        flags.append(f"--replay={options.replay}")
    else:
        flags += [f"--seconds={options.minutes * 60:g}", f"--seed={options.seed}"]
    for name in ("TSAN_OPTIONS", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS"):
        if "suppressions=" in os.environ.get(name, ""):
            sys.exit(f"scripts/stress: {name} names suppressions; a soak with suppressions proves nothing")
    log = BUILD / "stress" / f"{preset}.log"
    line = command_line.ProgressLine(every=30)
    last = []
    violations = []

    def on_line(text):
        kind, *fields = text.split("\t")
        if kind in ("progress", "done"):
            last[:] = [float(field) for field in fields]
            seconds, rounds, calls, wrong, limbo, memory = last
            left = "" if options.replay else f" of {in_words(options.minutes * 60)}"
            line.show(
                f"{in_words(seconds)}{left}: {rounds:,.0f} histories, {calls:,.0f} operations, {wrong:.0f} violations, "
                f"limbo at most {limbo:,.0f}, resident {memory:.0f} MiB"
            )
        elif kind == "violation":
            violations.append(fields)
            line.clear()
            extra = "".join(
                f" --{name} {value}"
                for name, value in (("bug", options.bug), ("weaken", options.weaken))
                if value
            )
            sanitizer = "" if options.sanitizer == "none" else f" --sanitizer {options.sanitizer}"
            print(f"violation; again: scripts/stress --replay {fields[0]}{sanitizer}{extra}", flush=True)
            if len(fields) > 1 and fields[1] != "-":
                print(f"  timeline: {os.path.relpath(fields[1], ROOT)}", flush=True)

    limit = None if options.replay else options.minutes * 60 + 600
    ended = None
    try:
        status = command_line.run_logged(soak_command(preset, *flags), log, on_line=on_line, timeout=limit)
    except child_processes.Ended as signal_:
        ended, status = signal_, 128 + signal_.number
    line.clear()
    seconds, rounds, calls, wrong, limbo, memory = last or [0] * 6
    reports = len(
        re.findall(r"(?:ERROR|WARNING): \w+Sanitizer|runtime error:", log.read_text(errors="replace"))
    )
    if reports or violations or (status not in (0, 1) and not ended):
        print(command_line.tail(log, 60))
    if status is None:
        print(f"stopped: a round did not end within {in_words(limit)}")
    print(
        f"{options.sanitizer}: {in_words(seconds)}, {calls:,.0f} operations in {rounds:,.0f} histories, "
        f"{wrong:.0f} violations, {reports} sanitizer reports, 0 suppressions, limbo at most {limbo:,.0f} objects, "
        f"resident {memory:.0f} MiB, exit status {status}"
    )
    if ended:
        raise ended
    return 0 if status == 0 and not reports else 1


# ---- the positive control ----


def peer(options):
    """hnswlib's contract excludes a search beside an add: the harness must object, and only where threads meet."""
    for preset in ("release", "tsan"):
        folder = BUILD / f"{preset}-peers"
        log = BUILD / "test-logs" / f"{preset}-peers-build.log"
        definitions = ["-DHOTINDEX_BUILD_PEERS=ON", "-DHOTINDEX_BUILD_BENCH=OFF"]
        for command in (
            ["cmake", "--preset", preset, "-B", folder, *definitions],
            ["cmake", "--build", folder, "--target", "stress_hnswlib"],
        ):
            if command_line.run_logged(command, log) != 0:
                print(command_line.tail(log), file=sys.stderr)
                sys.exit("scripts/stress: the build failed; is hnswlib installed (scripts/setup --peers)?")
    out = BUILD / "stress"
    out.mkdir(parents=True, exist_ok=True)
    line = command_line.ProgressLine(every=30)
    alone, together, pages = [], [], []

    def on_line(text):
        kind, *fields = text.split("\t")
        if kind in ("progress", "done"):
            (alone if fields[0] == "1" else together)[:] = [float(field) for field in fields]
            threads, seconds, histories, calls, wrong = map(float, fields)
            line.show(
                f"hnswlib, {threads:.0f} threads: {in_words(seconds)}, {histories:,.0f} histories, {wrong:,.0f} violations"
            )
        elif kind == "violation":
            pages.append(os.path.relpath(fields[1], ROOT))

    def soak_peer(preset, seconds, *flags):
        command = soak_command(
            f"{preset}-peers",
            f"--seconds={seconds:g}",
            f"--seed={options.seed}",
            *flags,
            name="stress_hnswlib",
        )
        log = out / f"{preset}-hnswlib.log"
        status = command_line.run_logged(command, log, on_line=on_line, timeout=seconds + 600)
        line.clear()
        return status, log.read_text(errors="replace")

    status, text = soak_peer("release", options.minutes * 40, f"--out={out}")
    if status not in (0, 1) or not alone or not together:
        print(
            f"hnswlib: the process ended with status {status}: its contract allows that, too\n{text[-3000:]}"
        )
        return 1
    first = re.search(r"^NOT linearizable.*?\n\n", text, re.MULTILINE | re.DOTALL)
    example = first[0].rstrip() if first else "(none)"
    checked = [list(alone), list(together)]
    _, races = soak_peer("tsan", options.minutes * 20, "--no-checks")
    where = sorted(
        {
            name
            for line in races.splitlines()
            if line.startswith("SUMMARY")
            for name in re.findall(r"::(\w+)\(", line)
        }
    )
    reports = len(re.findall(r"WARNING: ThreadSanitizer: data race", races))
    lines = [
        "# The positive control: hnswlib under the same checks",
        "",
        f"Made by `scripts/stress --peer hnswlib` on {processor()}, commit {commit()}. hnswlib says of itself that a search "
        "must not run beside an add. So this is no defect of hnswlib, it is a check of the checks: they must object here, "
        "and only where threads meet.",
        "",
        "| | histories | operations | not linearizable |",
        "|---|--:|--:|--:|",
        *(
            f"| {threads:.0f} {'thread' if threads == 1 else 'threads'} | {histories:,.0f} | {calls:,.0f} | {wrong:,.0f} |"
            for threads, _, histories, calls, wrong in checked
        ),
        "",
        f"ThreadSanitizer, without any check of answers: {reports} data races"
        + (f", in {', '.join(where)} and others." if where else "."),
        "",
        "The first history that no order explains, minimised:",
        "",
        "```",
        example,
        "```",
        "",
    ]
    RESULTS.mkdir(parents=True, exist_ok=True)
    output.write_whole(RESULTS / "hnswlib.md", "\n".join(lines))
    print("\n".join(lines[4:]))
    expected = status == 0 and reports > 0
    print(f"results/stress/hnswlib.md; timeline: {', '.join(pages) or '-'}")
    print(
        "as expected: the checks object to hnswlib with several threads, and not with one"
        if expected
        else "NOT as expected: the checks must object to hnswlib with several threads, and not with one"
    )
    return 0 if expected else 1


# ---- the detection matrix ----

# (column, preset, kinds of round, further flags). What runs with --no-checks can be found by the sanitizer alone.
DETECTORS = [
    ("black box, controlled", "release", "black_controlled", []),
    ("black box, disturbed", "release", "black_disturbed", []),
    ("white box, controlled", "release", "white_controlled", []),
    ("white box, free", "release", "white_free,white_disturbed", []),
    ("stops", "release", "stopping", []),
    ("invariants", "release", "invariants", []),
    ("exact counts", "release", "accesses", []),
    ("pool", "release", "pool", []),
    ("progress", "release", "progress", []),
    ("ASan, LSan", "asan", "black_controlled,black_disturbed,stopping,accesses,pool", ["--no-checks"]),
    ("TSan", "tsan", "black_free,black_disturbed,accesses", ["--no-checks"]),
]


def listed(kind):
    told = child_processes.run(soak_command("release", "--list"), capture_output=True, text=True)
    if told.returncode != 0:
        how = child_processes.how_it_ended(told.returncode)
        raise command_line.Failure(f"stress_soak --list ended with {how}: {told.stderr.strip()}")
    return [line.split("\t")[1:] for line in told.stdout.splitlines() if line.startswith(f"{kind}\t")]


def detect(flag, detector, seconds):
    """(verdict, seconds): found by the check, or as a crash or hang, or not at all."""
    _, preset, kinds, flags = detector
    command = soak_command(
        preset, flag, f"--seconds={seconds}", f"--kinds={kinds}", "--stop-at-first", *flags
    )
    limit = seconds + 30
    with tempfile.TemporaryFile() as report:
        begin = time.monotonic()
        environment = {"TSAN_OPTIONS": "halt_on_error=1"}  # or its first report would end nothing
        child = child_processes.Child(command, stdout=subprocess.DEVNULL, stderr=report, env=environment)
        timer = threading.Timer(limit, child.tell, (signal.SIGKILL,))
        timer.daemon = True
        timer.start()
        _, waited, usage = os.wait4(child.pid, 0)
        timer.cancel()
        took = time.monotonic() - begin
        child.returncode = status = os.waitstatus_to_exitcode(waited)
        child.forget()
        report.seek(0)
        text = report.read().decode(errors="replace")
    if status == -signal.SIGKILL and took >= limit:
        # A loop without end computes; a controlled round on a busy machine mostly waits for its turn to be switched to.
        return "hang" if usage.ru_utime > limit / 3 else "", took
    if status == 0:
        return "", took
    if re.search(r"(ERROR|WARNING): \w+Sanitizer|runtime error:", text):
        deadly = re.search(
            r"AddressSanitizer(:DEADLYSIGNAL|: SEGV)|ThreadSanitizer:DEADLYSIGNAL|ThreadSanitizer: SEGV", text
        )
        return "crash" if deadly else "found", took
    return "hang" if status == NO_PROGRESS else "found" if status == 1 else "crash", took


def cell(verdict, took):
    return {"": ".", "found": f"{took:.1f} s"}.get(verdict, f"{verdict} {took:.1f} s")


def as_json(cells: dict) -> str:
    """Returns the cells of the matrix as detection.json has them: a line each."""
    lines = ",\n".join(json.dumps([*key, *cells[key]]) for key in sorted(cells))
    return f"[\n{lines}\n]\n"


def matrix(options):
    for preset in ("release", "tsan", "asan"):
        build(preset)
    rows = [("bug", name, what, f"--bug={name}") for name, what in listed("bug")]
    rows += [("order", name, what, f"--weaken={name}") for name, what in listed("edge")]
    cells = {}
    line = command_line.ProgressLine(every=60)
    begin = time.monotonic()

    def measure(wanted, seconds):
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            jobs = {
                pool.submit(detect, flag, detector, seconds): (kind, name, detector[0])
                for kind, name, flag, detector in wanted
            }
            try:
                for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
                    cells[jobs[job]] = job.result()
                    line.show(f"{done}/{len(jobs)} of {seconds:g} s in {in_words(time.monotonic() - begin)}")
            except child_processes.Ended:
                line.clear()
                kept = BUILD / "stress" / "detection.json"
                output.write_whole(kept, as_json(cells))
                print(f"{len(cells)} cells are kept in {kept.relative_to(ROOT)}", flush=True)
                raise

    # On this hardware a weak order shows itself to TSan; one check of answers is there to confirm that.
    chosen = rows
    if options.only:
        unknown = [name for name in options.only if name not in {row[1] for row in rows}]
        if unknown:
            sys.exit(f"scripts/stress: --only: no bug and no edge is named {unknown[0]}; --list shows them")
        chosen = [row for row in rows if row[1] in options.only]
        cells |= {
            (kind, name, column): (verdict, took)
            for kind, name, column, verdict, took in json.loads(MATRIX.read_text())
        }
    measure(
        [
            (kind, name, flag, detector)
            for kind, name, _, flag in chosen
            for detector in DETECTORS
            if kind == "bug" or detector[0] in ("black box, disturbed", "TSan")
        ],
        options.seconds,
    )
    found = {(kind, name) for (kind, name, _), (verdict, _) in cells.items() if verdict}
    late = [row for row in chosen if row[0] == "bug" and row[:2] not in found]
    longer = options.seconds * 12
    measure([(kind, name, flag, detector) for kind, name, _, flag in late for detector in DETECTORS], longer)
    line.clear()

    def had_longer(row):
        return any(
            not verdict and took >= longer
            for verdict, took in (cells[(*row[:2], each[0])] for each in DETECTORS)
        )

    late = [row for row in rows if row[0] == "bug" and had_longer(row)]
    known = {row[:2] for row in rows}
    output.write_whole(MATRIX, as_json({key: value for key, value in cells.items() if key[:2] in known}))
    columns = [detector[0] for detector in DETECTORS]

    def table(kind, chosen):
        lines = [f"| {kind} | " + " | ".join(chosen) + " | what |", "|---|" + "--:|" * len(chosen) + "---|"]
        for row_kind, name, what, _ in rows:
            if row_kind == kind:
                lines.append(
                    f"| {name} | " + " | ".join(cell(*cells[kind, name, c]) for c in chosen) + f" | {what} |"
                )
        return lines

    caught = {(k, n) for (k, n, _), (verdict, _) in cells.items() if verdict}
    missed = [name for kind, name, _, _ in rows if kind == "bug" and ("bug", name) not in caught]
    weak = [name for kind, name, _, _ in rows if kind == "order" and ("order", name) not in caught]
    bugs = sum(kind == "bug" for kind, *_ in rows)
    orders = len(rows) - bugs
    by_column = ", ".join(
        f"{c} {sum(bool(cells['bug', n, c][0]) for k, n, _, _ in rows if k == 'bug')}" for c in columns
    )
    lines = [
        "# Which check finds which planted bug",
        "",
        f"Made by `scripts/stress --matrix --seconds {options.seconds:g}` on {processor()}, commit {commit()}, "
        f"{options.jobs} at a time. A cell is the time until the first detection; a dot: not within {options.seconds:g} s. "
        "`crash` and `hang`: the process died of the bug, or operations waited for each other for ever, before the check "
        "could speak. The sanitizers' columns run without any check of answers.",
        "",
        f"{bugs - len(missed)} of {bugs} planted bugs are caught by at least one check"
        + (f"; not by any: {', '.join(missed)}" if missed else "")
        + f". By check: {by_column}."
        + (
            f" Nobody found {', '.join(row[1] for row in late)} in that time: those rows had {longer:g} s."
            if late
            else ""
        ),
        "",
        *table("bug", columns),
        "",
        "## Orders of one edge weakened to relaxed, all its ends at once",
        "",
        f"{orders - len(weak)} of {orders} are caught. On x86-64 a weakened order hardly ever shows in an answer: that "
        "the race is there is for ThreadSanitizer to say, and for the [model checker](../model_check/ledger.md) to prove."
        + (f" Not seen here: {', '.join(weak)}." if weak else ""),
        "",
        *table("order", ["black box, disturbed", "TSan"]),
        "",
    ]
    output.write_whole(RESULTS / "detection.md", "\n".join(lines))
    progress = child_processes.run(
        soak_command("release", "--progress-table"), capture_output=True, text=True
    )
    output.write_whole(
        RESULTS / "progress.md",
        "# Threads stopped for ever, at every step\n\nMade by `scripts/stress --matrix` on "
        f"{processor()}, commit {commit()}. Each stop: one thread stands still before one atomic operation, another "
        "completes 25 rounds of calls of every kind on the same ids and others; the whole history is linearizable. "
        "Tunables: TinyTraits, so that growth, reclamation and reuse happen in every operation.\n\n"
        + progress.stdout,
    )
    print("\n".join(lines[2:6]))
    print("results/stress/detection.md, results/stress/progress.md")
    return 1 if missed or progress.returncode else 0


# ---- bounded garbage ----


def garbage(options):
    build("release")
    line = command_line.ProgressLine(every=5)
    begin = time.monotonic()
    rows = []

    def on_line(text):
        kind, *fields = text.split("\t")
        if kind == "garbage":
            operation, *numbers = fields
            rows.append((operation, *map(int, numbers)))
            line.show(
                f"{operation}, {numbers[0]} stopped: {int(numbers[1]):,} updates, {in_words(time.monotonic() - begin)}"
            )

    status = command_line.run_logged(
        soak_command("release", "--garbage"), BUILD / "stress" / "garbage.log", on_line=on_line
    )
    line.clear()
    if not rows:
        sys.exit("scripts/stress: nothing was measured; log: build/stress/garbage.log")
    names = (
        "operation",
        "stopped",
        "updates",
        "limbo_objects",
        "limbo_bytes",
        "seen_objects",
        "bound_objects",
    )
    document = {
        "context": {
            "command": "scripts/stress --garbage",
            "machine": processor(),
            "commit": commit(),
            "vectors": 1000,
            "dimension": 128,
        },
        "samples": [dict(zip(names, row)) for row in rows],
    }
    lines = ",\n".join("  " + json.dumps(each) for each in document["samples"])
    text = f'{{\n "context": {json.dumps(document["context"])},\n "samples": [\n{lines}\n ]\n}}\n'
    output.write_whole(RESULTS / "garbage.json", text)
    for operation, stopped in dict.fromkeys((row[0], row[1]) for row in rows):
        mine = [row for row in rows if row[:2] == (operation, stopped)]
        most = max(mine, key=lambda row: row[3])
        over = sum(row[3] > row[6] for row in mine[:-1])
        print(
            f"{stopped} stopped in {operation}: at most {most[3]:,} objects ({most[4] / 2**20:.2f} MiB), the bound then {most[6]:,}; "
            f"{over} of {len(mine) - 1} samples beyond it; {mine[-1][3]} left after all had gone on"
        )
    why = plot.cannot_draw()
    if not why:
        draw_garbage(document, RESULTS / "garbage.svg")
    print(f"results/stress/garbage.json, {f'no chart: {why}' if why else 'garbage.svg, garbage.png'}")
    return 0 if status == 0 else 1


def draw_garbage(document, path):
    import matplotlib.pyplot as plt

    figure, axes = plot.new_figure(10.6, 4.6, 2)
    samples = document["samples"]
    last = max(each["updates"] for each in samples)
    styles = {0: ("#009E73", (0, (1.5, 1.5))), 1: ("#0072B2", "-"), 4: ("#CC79A7", "-")}
    for axis, with_get in zip(axes[0], (False, True)):
        for stopped, (colour, dashes) in styles.items():
            mine = [each for each in samples if each["operation"] == "search" and each["stopped"] == stopped]
            x = [each["updates"] / 1000 for each in mine]
            if not with_get:
                each_bytes = max(
                    each["limbo_bytes"] for each in samples if each["operation"] == "search"
                ) / max(each["limbo_objects"] for each in samples if each["operation"] == "search")
                bound = [each["bound_objects"] * each_bytes / 2**20 for each in mine[:-1]]
                axis.plot(
                    x[:-1],
                    bound,
                    color=colour,
                    linewidth=1,
                    linestyle=(0, (5, 3)),
                    alpha=0.8,
                    drawstyle="steps-post",
                )
            label = (
                "no search stopped"
                if stopped == 0
                else f"{stopped} search{'es' if stopped > 1 else ''} stopped"
            )
            axis.plot(
                x,
                [each["limbo_bytes"] / 2**20 for each in mine],
                color=colour,
                linestyle=dashes,
                linewidth=2,
                label=label,
            )
        if with_get:
            mine = [each for each in samples if each["operation"] == "get"]
            axis.plot(
                [each["updates"] / 1000 for each in mine],
                [each["limbo_bytes"] / 2**20 for each in mine],
                color="#D55E00",
                linewidth=2,
                linestyle=(0, (6, 2, 1.5, 2)),
                label="1 get stopped (pinned)",
            )
        axis.axvline(0.9 * last / 1000, color="#777777", linewidth=0.9, zorder=1)
        axis.set_xlim(0, last / 1000 * 1.01)
        axis.set_ylim(bottom=0)
        axis.annotate(
            "they go on",
            xy=(0.9 * last / 1000, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
            color="#555555",
        )
        axis.set_xlabel("updates, thousands")
        axis.set_ylabel("memory that waits to be used again, MiB")
        axis.legend(loc="upper left", frameon=False, fontsize=9, bbox_to_anchor=(0.0, 0.93))
    axes[0][0].set_ylim(0, axes[0][0].get_ylim()[1] * 1.25)
    axes[0][0].set_title(
        "Searches stopped for ever keep what they see (dashed: the bound)", loc="left", fontsize=10
    )
    axes[0][1].set_title(
        "A thread stopped inside a get keeps all that is replaced later", loc="left", fontsize=10
    )
    figure.text(
        0.01,
        0.01,
        "1,000 vectors of 128 floats, one thread that replaces, removes and inserts; threads stop one after the other in the first half.",
        fontsize=8,
        color="#555555",
    )
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    for kind, settings in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 130})):
        figure.savefig(path.with_suffix(f".{kind}"), **settings)
    plt.close(figure)


def commit() -> str:
    """Returns the commit that is checked out, shortened."""
    return repository.commit(7)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} processors"
    return f"{platform.machine()}, {os.cpu_count()} processors"


def thread_list(text: str) -> list[int]:
    """Returns the numbers of threads that a flag names."""
    numbers = [int(each) for each in text.split(",")]
    if min(numbers) < 1:
        raise ValueError(text)
    return numbers


def main() -> int:
    """Returns the exit status."""
    parser = command_line.StrictParser(prog="scripts/stress", description=__doc__, epilog=EXPLANATION)
    parser.add_argument("--minutes", type=float, default=1, help="how long (default 1)")
    parser.add_argument("--sanitizer", choices=sorted(PRESETS), default="none")
    parser.add_argument("--seed", type=int, default=1, help="where the rounds begin")
    parser.add_argument("--replay", metavar="KIND:SEED", help="play one round again")
    parser.add_argument(
        "--out",
        type=Path,
        default=BUILD / "stress",
        help="folder for histories and timelines (default build/stress)",
    )
    parser.add_argument("--bug", help="with this planted bug switched on")
    parser.add_argument("--weaken", metavar="EDGE", help="with the orders of this edge relaxed")
    parser.add_argument("--matrix", action="store_true", help="every planted bug by every check")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help="with --matrix: these rows again",
    )
    parser.add_argument(
        "--garbage", action="store_true", help="what searches that are stopped for ever keep in memory"
    )
    parser.add_argument(
        "--churn", action="store_true", help="what insertions and removals keep in memory, by threads"
    )
    parser.add_argument(
        "--against", metavar="COMMIT", help="with --churn: the same with that commit's library, too"
    )
    parser.add_argument(
        "--threads",
        type=thread_list,
        metavar="LIST",
        help="with --churn: numbers of threads (default 1,2,4,8,32)",
    )
    parser.add_argument(
        "--structure",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help=f"with --churn: of {', '.join(stress_churn.STRUCTURES)} (default: all)",
    )
    parser.add_argument("--seconds", type=float, default=5, help="of each check of the matrix (default 5)")
    parser.add_argument("--jobs", type=int, default=2, help="checks of the matrix at a time (default 2)")
    parser.add_argument(
        "--peer", choices=["hnswlib"], help="the positive control: an index that must fail the checks"
    )
    parser.add_argument("--list", action="store_true", help="kinds of rounds, planted bugs, edges")
    options = parser.parse_args()
    trouble = output.check_folder(options.out)
    if trouble:
        parser.error(f"--out {trouble}")
    if options.only and not options.matrix:
        parser.error("--only belongs to --matrix")
    if not options.churn and (options.against or options.threads or options.structure):
        parser.error("--against, --threads and --structure belong to --churn")
    for name in options.structure or []:
        if name not in stress_churn.STRUCTURES:
            parser.error(f"--structure {name}: not one of {', '.join(stress_churn.STRUCTURES)}")
    if options.churn:
        folder = RESULTS if options.out == BUILD / "stress" else options.out
        return stress_churn.churn(options, folder, processor(), commit())
    if options.list:
        build("release")
        return child_processes.exit_status(child_processes.run(soak_command("release", "--list")).returncode)
    if options.peer:
        return peer(options)
    if options.garbage:
        return garbage(options)
    return matrix(options) if options.matrix else soak(options)


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/stress", main)
