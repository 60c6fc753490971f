"""scripts/stress --matrix: which check finds which planted bug."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from common import child_processes, command_line, machine, output
from common.command_line import in_words
from common.repository import ROOT
from stress.program import BUILD, RESULTS, build, commit, soak_command

MATRIX = RESULTS / "detection.json"  # [kind, name, check, verdict, seconds]
NO_PROGRESS = 3

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
    told = child_processes.run(soak_command("release", "--list"), capture_output=True)
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
        f"Made by `scripts/stress --matrix --seconds {options.seconds:g}` on {machine.processors()}, commit {commit()}, "
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
    progress = child_processes.run(soak_command("release", "--progress-table"), capture_output=True)
    output.write_whole(
        RESULTS / "progress.md",
        "# Threads stopped for ever, at every step\n\nMade by `scripts/stress --matrix` on "
        f"{machine.processors()}, commit {commit()}. Each stop: one thread stands still before one atomic operation, another "
        "completes 25 rounds of calls of every kind on the same ids and others; the whole history is linearizable. "
        "Tunables: TinyTraits, so that growth, reclamation and reuse happen in every operation.\n\n"
        + progress.stdout,
    )
    print("\n".join(lines[2:6]))
    print("results/stress/detection.md, results/stress/progress.md")
    return 1 if missed or progress.returncode else 0
