"""Builds and runs every test of hotindex: unit and stress tests in a release build and under AddressSanitizer with
UndefinedBehaviorSanitizer and ThreadSanitizer, the Relacy models, the fuzz targets for a moment, and the checks of
format and scripts."""

import concurrent.futures
import json
import os
import platform
import py_compile
import re
import shutil
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from common import child_processes
from common import command_line
from common import output
from common import repository
from common.command_line import ROOT, in_words

EXPLANATION = """\
The last line counts Catch2 test cases, model scenarios and fuzz targets: N passed, N failed[, N skipped]. What else can go wrong (a
build, a check, a crash or a sanitizer's report after the last test case) counts as one failed each, so that the exit
status is 0 exactly when that line says 0 failed. A check whose tool is not installed counts as one skipped. A signal that
ends the run counts as one failed; the exit status is then 128 + signal.

logs: build/test-logs

environment:
  CI=true               warnings are errors
  HOTINDEX_NO_SETUP=1   do not look for packages
  CC, CXX               the compilers, when a build folder is made for the first time

examples:
  scripts/test            everything but the long searches
  scripts/test --quick    before a commit: release build and models
  scripts/test --deep     the long searches too, five minutes of each fuzz target; clang and clang-tidy where installed
"""

BUILD = ROOT / "build"
LOGS = BUILD / "test-logs"
TIMES = BUILD / "test-times.json"

# Seconds a step takes on 2 cores, for the estimate of a first run; after that, what it took the last time.
GUESSES = {"configure": 5, "build": 75, "scripts: tests": 45, "tests": 40, "self-test": 20, "clang-tidy": 240}

SANITIZER_OPTIONS = {
    "asan": {"UBSAN_OPTIONS": "print_stacktrace=1"},
    "tsan": {"TSAN_OPTIONS": "second_deadlock_stack=1"},
}


@dataclass
class Suite:
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    assertions: int = None  # None: not counted
    seconds: float = 0.0
    report: list = field(default_factory=list)  # what to show of the failures


class StepFailed(Exception):
    """A step without test cases of its own failed; the message is shown."""


class StepSkipped(Exception):
    """A check could not be made here; the message says why."""


class NotReached(Exception):
    """An earlier step that this one needs failed, and is counted already."""


class Run:
    def __init__(self, options):
        self.options = options
        self.suites = []
        self.failed_steps = []
        self.skipped_steps = []
        self.broken = set()  # build folders that did not configure or build
        self.environment = {"HOTINDEX_DEEP": "1"} if options.deep else {}
        self.progress = command_line.ProgressLine(every=1e9)
        self.head = ""
        self.begin = 0.0

    def live(self, text):
        """While a step runs on a terminal: how far it is."""
        self.progress.show(f"{self.head}  {text}  {in_words(time.monotonic() - self.begin)}")

    def counts(self):
        passed = sum(suite.passed for suite in self.suites)
        failed = sum(suite.failed for suite in self.suites) + len(self.failed_steps)
        skipped = sum(suite.skipped for suite in self.suites) + len(self.skipped_steps)
        return passed, failed, skipped


# ---- the steps ----


def setup(run):
    log = LOGS / "setup.log"
    if command_line.run_logged([ROOT / "scripts" / "setup"], log) != 0:
        raise StepFailed(command_line.tail(log))


def files_of_project(*endings):
    """Tracked files and new ones that are not ignored; without git, everything outside build/."""
    try:
        listed = repository.git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = [ROOT / name for name in listed.split("\0") if name]
    except repository.GitRefused:
        names = [path for path in ROOT.rglob("*") if BUILD not in path.parents]
    return sorted(path for path in set(names) if path.suffix in endings and path.is_file())


def check_scripts(run):
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        for path in files_of_project(".py"):
            try:
                py_compile.compile(str(path), cfile=f"{scratch}/compiled", doraise=True)
            except py_compile.PyCompileError as failure:
                problems.append(f"    | {failure}")
    shells = [
        path
        for path in files_of_project("", ".sh")
        if path.read_bytes()[:32].split(b"\n")[0].endswith(b"bash")
    ]
    for path in shells:
        checked = child_processes.run(["bash", "-n", path], capture_output=True, text=True)
        if checked.returncode:
            problems.append(f"    | {checked.stderr.strip()}")
    if shutil.which("shellcheck") and shells:
        checked = child_processes.run(["shellcheck", "-x", *shells], cwd=ROOT, capture_output=True, text=True)
        if checked.returncode:
            problems.append(checked.stdout or checked.stderr)
    if problems:
        raise StepFailed("\n".join(problems))


def check_format(run):
    tool = shutil.which("clang-format-19")
    if not tool:
        raise StepSkipped("clang-format-19 is not installed (scripts/setup --lint)")
    files = files_of_project(".cpp", ".hpp")
    log = LOGS / "format.log"
    if command_line.run_logged([tool, "--dry-run", "-Werror", "--ferror-limit=1", *files], log) != 0:
        found = re.findall(
            r"^(.+?):(\d+):\d+: error: code should be", log.read_text(errors="replace"), re.MULTILINE
        )
        if not found:
            raise StepFailed(command_line.tail(log))
        names = [shorten(name) for name, _ in found]
        places = "\n".join(
            f"    | {name}:{line} is the first of its lines" for name, (_, line) in zip(names, found)
        )
        raise StepFailed(f"{places}\n    | to repair: clang-format-19 -i {' '.join(names)}")


def check_edges(run):
    log = LOGS / "edges.log"
    if command_line.run_logged([ROOT / "scripts" / "lint_edges"], log) != 0:
        raise StepFailed(command_line.tail(log, 60))


def test_scripts(run):
    folder = ROOT / "scripts" / "tests"
    command = [sys.executable, folder / "run.py"]
    suites = [run_counting(run, "scripts tests", command, LOGS / "scripts-tests.log", ROOT)]
    run.suites += suites
    return suites


def configure(run, preset, folder, extra=()):
    # Said either way, so that the folder does not remember the last run's answer.
    strict = os.environ.get("CI") == "true"
    definitions = [f"-DHOTINDEX_WERROR={'ON' if strict else 'OFF'}", *extra]
    log = LOGS / f"{folder.name}-configure.log"
    command = ["cmake", "--preset", preset, "-B", folder, *definitions]
    if command_line.run_logged(command, log, on_line=lambda line: run.live(line.strip())) != 0:
        run.broken.add(folder)
        raise StepFailed(command_line.tail(log))


def build(run, folder, targets=()):
    if folder in run.broken:
        raise NotReached
    listing = ["ninja", "-C", folder, "-t", "targets", "all"]
    known = child_processes.run(listing, capture_output=True, text=True).stdout
    known = {line.split(":")[0] for line in known.splitlines()}
    targets = [target for target in targets if target in known]
    log = LOGS / f"{folder.name}-build.log"
    command = ["cmake", "--build", folder, *(["--target", *targets] if targets else [])]

    def on_line(line):
        step = re.match(r"\[(\d+/\d+)\]", line)
        if step:
            run.live(step[1])

    if command_line.run_logged(command, log, on_line=on_line) != 0:
        run.broken.add(folder)
        raise StepFailed(command_line.tail(log, 60))


def registered_tests(folder):
    """What ctest knows in a build folder, as [(name, command, properties)]."""
    command = ["ctest", "--test-dir", folder, "--show-only=json-v1"]
    shown = child_processes.run(command, capture_output=True, text=True, cwd=ROOT)
    if shown.returncode != 0:
        return []
    tests = json.loads(shown.stdout).get("tests", [])
    return [
        (
            test["name"],
            test.get("command", []),
            {each["name"]: each["value"] for each in test.get("properties", [])},
        )
        for test in tests
    ]


def test_targets(folder):
    """The tests of a sanitizer's folder are all it has to build. Before the build ctest may not know the commands, but
    it knows the names, and a test is named after its target."""
    return [name for name, _, _ in registered_tests(folder)]


def run_tests(run, folder):
    if folder in run.broken:
        raise NotReached
    tests = registered_tests(folder)
    if not tests:
        raise StepFailed(f"    | no test is registered in {folder.relative_to(ROOT)}")
    suites = []
    for name, command, properties in tests:
        run.live(name)
        # Catch2's binaries are named ..._tests. They run directly, with the properties ctest has for them, because
        # their own XML report counts test cases and assertions, and ctest would count the whole binary as one.
        if name.endswith("_tests") and command and not properties.get("DISABLED"):
            suites.append(run_catch(run, folder, name, command, properties))
        else:
            suites.append(run_through_ctest(run, folder, name))
    run.suites += suites
    return suites


def time_limit(run, properties):
    return float(properties.get("TIMEOUT") or (4 * 3600 if run.options.deep else 900))


def run_catch(run, folder, name, command, properties):
    suite = Suite(f"{folder.name} {name}")
    log, report = LOGS / f"{folder.name}-{name}.log", LOGS / f"{folder.name}-{name}.xml"
    report.unlink(missing_ok=True)
    environment = dict(each.split("=", 1) for each in properties.get("ENVIRONMENT", []))
    for key, value in SANITIZER_OPTIONS.get(folder.name, {}).items():
        environment.setdefault(key, os.environ.get(key, value))
    command = [*command, "--reporter", "xml", "--out", report]
    if folder.name == "tsan":
        command = [*fixed_addresses(), *command]
    begin = time.monotonic()
    limit = time_limit(run, properties)
    status = command_line.run_logged(
        command,
        log,
        timeout=limit,
        env={**environment, **run.environment},
        cwd=properties.get("WORKING_DIRECTORY", folder),
    )
    suite.seconds = time.monotonic() - begin
    complete, died_in = read_catch_report(report, suite)
    if status is None:
        trouble = f"stopped after {in_words(limit)}"
    elif not complete or (status != 0 and suite.failed == 0):
        trouble = f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"
    elif suite.passed + suite.failed + suite.skipped == 0:
        trouble = "ran no test case"
    else:
        trouble = ""
    if suite.failed and not trouble and command_line.TROUBLE.search(log.read_text(errors="replace")):
        suite.report.append(command_line.tail(log, 60))
    if trouble:
        where = f', in "{died_in}"' if died_in else ""
        suite.failed += 1
        suite.report.append(f"    {name} {trouble}{where}\n{command_line.tail(log, 60)}")
    return suite


def fixed_addresses():
    """ThreadSanitizer of older compilers dies at its start where the kernel randomises addresses widely."""
    command = ["setarch", platform.machine(), "-R"]
    try:
        works = child_processes.run([*command, "true"], capture_output=True).returncode == 0
    except OSError:
        works = False
    return command if works else []


def read_catch_report(path, suite):
    """Adds the counts of Catch2's XML (version 2 or 3) to the suite. It is read as far as it goes, because a
    process that died leaves it unfinished. Returns whether it is complete, and the test case that was never ended.
    """
    parser = xml.XMLPullParser(events=("start", "end"))
    try:
        parser.feed(path.read_bytes().decode("utf-8", errors="replace") if path.exists() else "")
    except xml.ParseError as failure:
        suite.report.append(f"    {path.name}: not XML any more: {failure}")
    case, totals, closed = None, None, False
    depth = 0
    try:
        for event, element in parser.read_events():
            depth += 1 if event == "start" else -1
            if event == "start":
                if element.tag == "TestCase":
                    case = element
                continue
            if element.tag == "TestCase":
                count_case(element, suite)
                case = None
            elif element.tag == "OverallResults" and depth == 1:
                totals = element
            closed = depth == 0
    except xml.ParseError as failure:
        suite.report.append(f"    {path.name}: not XML any more: {failure}")
    if totals is not None:
        suite.assertions = sum(
            int(totals.get(key, 0)) for key in ("successes", "failures", "expectedFailures")
        )
    return closed, case.get("name") if case is not None else ""


def count_case(element, suite):
    overall = element.find("OverallResult")
    if overall is None or overall.get("success") != "true":
        suite.failed += 1
        if suite.failed <= 20:
            suite.report.append(explain_case(element))
    elif int(overall.get("skips", 0)):
        suite.skipped += 1
    else:
        suite.passed += 1


def explain_case(element):
    lines = [f"    FAILED: {element.get('name')}  ({shorten(element.get('filename'))}:{element.get('line')})"]
    for part in element.iter():
        text = (part.text or "").strip()
        place = f"{shorten(part.get('filename'))}:{part.get('line')}"
        if part.tag == "Expression" and part.get("success") == "false":
            original, expanded = (part.findtext(tag, "").strip() for tag in ("Original", "Expanded"))
            lines.append(f"      {place}: {part.get('type')}( {original} )  with  {expanded}")
        elif part.tag in ("Exception", "Failure", "FatalErrorCondition") and text:
            lines.append(f"      {place}: {part.tag}: {text}")
        elif part.tag == "Section":
            lines.append(f"      in section: {part.get('name')}")
        elif part.tag == "Info" and text:
            lines.append(f"      with: {text}")
    return "\n".join(lines[:30])


def shorten(path):
    try:
        return str(Path(path).resolve().relative_to(ROOT)) if path else ""
    except ValueError:
        return path


COUNTS = re.compile(r"(?:^|: )(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$")


def run_through_ctest(run, folder, name, where=None):
    """A test that is no Catch2 binary: ctest runs it. The line `N passed, N failed` of its output counts; without one
    the test counts as one."""
    command = [
        *(fixed_addresses() if folder.name == "tsan" else []),
        "ctest",
        "--test-dir",
        where or folder,
        "-R",
        f"^{re.escape(name)}$",
        "-V",
        "--timeout",
    ]
    command.append(str(round(time_limit(run, {}))))
    return run_counting(run, f"{folder.name} {name}", command, LOGS / f"{folder.name}-{name}.log", folder)


def run_counting(run, title, command, log, folder):
    suite = Suite(title)
    begin = time.monotonic()
    seen = []

    def on_line(line):
        counts = COUNTS.search(line)
        if counts:
            seen[:] = [int(number or 0) for number in counts.groups()]

    status = command_line.run_logged(
        command, log, env=run.environment, cwd=folder, on_line=on_line, timeout=time_limit(run, {})
    )
    suite.seconds = time.monotonic() - begin
    if seen:
        suite.passed, suite.failed, suite.skipped = seen
        if status != 0 and suite.failed == 0:
            suite.failed = 1
    elif status == 0:
        skipped = "Not Run (Disabled)" in log.read_text(errors="replace") or "***Skipped" in log.read_text(
            errors="replace"
        )
        suite.skipped, suite.passed = int(skipped), int(not skipped)
    else:
        suite.failed = 1
    if suite.failed:
        suite.report.append(command_line.tail(log, 60))
    return suite


def run_models(run, folder):
    if folder in run.broken:
        raise NotReached
    command = [ROOT / "scripts" / "model_check", "--deep" if run.options.deep else "--quick"]
    suites = [run_counting(run, "relacy model_check", command, LOGS / "relacy-model_check.log", folder)]
    run.suites += suites
    return suites


def check_counts(run):
    if BUILD / "release" in run.broken:
        raise NotReached
    suites = [
        run_counting(
            run, "gate counts", [ROOT / "scripts" / "gate", "--check-counts"], LOGS / "gate-counts.log", ROOT
        )
    ]
    run.suites += suites
    return suites


def test_gate(run):
    if BUILD / "release" in run.broken:
        raise NotReached
    suites = [
        run_counting(
            run,
            "gate self-test",
            [ROOT / "scripts" / "gate", "--self-test", "--quick"],
            LOGS / "gate-self-test.log",
            ROOT,
        )
    ]
    run.suites += suites
    return suites


# (target, its binary in the build folder, its corpus, longest input). After a long run a corpus is made again by
#   BINARY -set_cover_merge=1 -use_counters=0 -max_len=N new-corpus CORPUS build/fuzz/TARGET-found
FUZZERS = [
    ("fuzz_dataset", "bench/tests/fuzz_dataset", "bench/tests/corpus", 512),
    ("fuzz_operations", "stress/fuzz_operations", "stress/corpus", 160),
]


def fuzz_configure(run, folder):
    missing = "clang-19 with libFuzzer is not installed (scripts/setup --lint)"
    if not clang_available():
        run.broken.add(folder)
        raise StepSkipped(missing)
    with tempfile.TemporaryDirectory() as scratch:
        probe = 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
        command = ["clang++-19", "-fsanitize=fuzzer,address", "-x", "c++", "-", "-o", f"{scratch}/probe"]
        if child_processes.run(command, text_input=probe, text=True, capture_output=True).returncode != 0:
            run.broken.add(folder)
            raise StepSkipped(missing)
    configure(run, "fuzz", folder)


def run_fuzzers(run, folder):
    """All targets at once, from their corpus; what they find new stays in the build folder for the next run."""
    if folder in run.broken:
        raise NotReached
    seconds = 300 if run.options.deep else 10

    def fuzz(target, binary, corpus, longest):
        suite = Suite(f"fuzz {target}")
        log, found, crashes = LOGS / f"{target}.log", folder / f"{target}-found", folder / f"{target}-crash-"
        found.mkdir(exist_ok=True)
        command = [
            folder / binary,
            f"-max_total_time={seconds}",
            f"-max_len={longest}",
            "-print_final_stats=1",
        ]
        command += [f"-artifact_prefix={crashes}", "-timeout=60", found, ROOT / corpus]
        begin = time.monotonic()
        status = command_line.run_logged(command, log, timeout=seconds + 300)
        suite.seconds = time.monotonic() - begin
        runs = re.search(r"stat::number_of_executed_units: (\d+)", log.read_text(errors="replace"))
        suite.assertions = int(runs[1]) if runs else None
        if status == 0 and runs:
            suite.passed = 1
        else:
            suite.failed = 1
            again = f"{shorten(folder / binary)} {shorten(crashes)}..."
            suite.report.append(
                f"    {target} ended with status {status}; again: {again}\n{command_line.tail(log, 60)}"
            )
        return suite

    with concurrent.futures.ThreadPoolExecutor(len(FUZZERS)) as pool:
        suites = list(pool.map(lambda fuzzer: fuzz(*fuzzer), FUZZERS))
    run.suites += suites
    return suites


def clang_available():
    return shutil.which("clang-19") and shutil.which("clang++-19")


def clang_configure(run, folder):
    if not clang_available():
        run.broken.add(folder)
        raise StepSkipped("clang-19 is not installed (scripts/setup --lint)")
    compilers = ["-DCMAKE_C_COMPILER=clang-19", "-DCMAKE_CXX_COMPILER=clang++-19", "-DHOTINDEX_WERROR=ON"]
    configure(run, "release", folder, compilers)


def clang_tidy(run, folder):
    tool = shutil.which("clang-tidy-19")
    if not tool:
        raise StepSkipped("clang-tidy-19 is not installed (scripts/setup --lint)")
    if not (folder / "compile_commands.json").exists():
        raise NotReached
    commands = json.loads((folder / "compile_commands.json").read_text())
    ours = set(files_of_project(".cpp"))
    files = sorted({Path(each["file"]) for each in commands} & ours)
    problems, done = [], 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(
                child_processes.run,
                [tool, "-p", str(folder), "--quiet", "--warnings-as-errors=*", str(path)],
                capture_output=True,
                text=True,
                cwd=ROOT,
            )
            for path in files
        ]
        for job in concurrent.futures.as_completed(jobs):
            done += 1
            run.live(f"{done}/{len(files)}")
            if job.result().returncode:
                problems.append(job.result().stdout.strip() or job.result().stderr.strip())
    (LOGS / "clang-tidy.log").write_text("\n".join(problems))
    if problems:
        raise StepFailed(
            command_line.tail(LOGS / "clang-tidy.log", 80)
            + "\n    | all of it: build/test-logs/clang-tidy.log"
        )


# ---- the plan and its execution ----


def plan(options):
    steps = [("setup", setup), ("scripts: syntax", check_scripts), ("sources: format", check_format)]
    if (ROOT / "scripts" / "lint_edges").exists():
        steps.append(("sources: edge labels", check_edges))

    def add(preset, *, targets=lambda folder: (), tests=run_tests):
        folder = BUILD / preset
        steps.append((f"{preset}: configure", lambda run: configure(run, preset, folder)))
        steps.append((f"{preset}: build", lambda run: build(run, folder, targets(folder))))
        steps.append(
            (f"{preset}: {'tests' if tests is run_tests else 'models'}", lambda run: tests(run, folder))
        )

    add("release")
    steps.append(("scripts: tests", test_scripts))
    steps.append(("gate: counts", check_counts))
    add("relacy", tests=run_models)
    if not options.quick:
        steps.append(("gate: self-test", test_gate))
        add("asan", targets=test_targets)
        add("tsan", targets=test_targets)
        fuzzers = BUILD / "fuzz"
        steps.append(("fuzz: configure", lambda run: fuzz_configure(run, fuzzers)))
        steps.append(("fuzz: build", lambda run: build(run, fuzzers, [target for target, *_ in FUZZERS])))
        steps.append(("fuzz: tests", lambda run: run_fuzzers(run, fuzzers)))
    if options.deep:
        add("debug", targets=test_targets)
        folder = BUILD / "clang"
        steps.append(("clang: configure", lambda run: clang_configure(run, folder)))
        steps.append(("clang: build", lambda run: build(run, folder)))
        steps.append(("clang: tests", lambda run: run_tests(run, folder)))
        steps.append(("clang-tidy", lambda run: clang_tidy(run, folder)))
    return steps


def load_times():
    try:
        times = json.loads(TIMES.read_text())
        return {name: float(seconds) for name, seconds in times.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def expected(name, times):
    return times.get(name, next((guess for key, guess in GUESSES.items() if name.endswith(key)), 2))


def execute(run, steps):
    times = load_times()
    width = max(len(name) for name, _ in steps)
    for number, (name, action) in enumerate(steps, 1):
        run.head = f"[{number:>{len(str(len(steps)))}}/{len(steps)}] {name:<{width}}"
        run.begin = time.monotonic()
        print(run.head, end="", flush=True)
        report, outcome = [], "ok"
        try:
            suites = action(run) or []
            report = [each for suite in suites for each in suite.report]
            if suites:
                outcome = f"{sum(suite.passed for suite in suites)} passed"
                failed = sum(suite.failed for suite in suites)
                outcome += f", {failed} FAILED" if failed else ""
        except StepFailed as failure:
            outcome = "FAILED"
            report = [str(failure)]
            run.failed_steps.append(name)
        except StepSkipped as reason:
            outcome = f"skipped: {reason}"
            run.skipped_steps.append(f"{name}: {reason}")
        except NotReached:
            outcome = "not run: an earlier step failed or was skipped"
        except child_processes.Ended as ended:
            run.failed_steps.append(f"{name}, ended by {ended}")
            command_line.ProgressLine.break_line()
            print("ended")
            raise
        took = time.monotonic() - run.begin
        if outcome == "ok" or "passed" in outcome:
            # A build with nothing to do says little about the next one: forget the slow ones only by and by.
            times[name] = max(took, (took + times.get(name, took)) / 2)
        left = sum(expected(later, times) for later, _ in steps[number:])
        rest = f"   about {in_words(left)} left" if number < len(steps) else ""
        run.progress.clear()
        print(f"{run.head if run.progress.terminal else ''}  {took:7.1f} s  {outcome}{rest}", flush=True)
        for each in report:
            print(each, flush=True)
    try:
        output.write_whole(TIMES, json.dumps(times, indent=1))
    except output.CannotWrite:
        pass  # only the next estimate is worse


def print_table(run):
    if not run.suites:
        return
    rows = [("suite", "tests", "passed", "failed", "skipped", "assertions", "seconds")]
    for suite in run.suites:
        total = suite.passed + suite.failed + suite.skipped
        assertions = "-" if suite.assertions is None else f"{suite.assertions:,}"
        rows.append(
            (suite.name, total, suite.passed, suite.failed, suite.skipped, assertions, f"{suite.seconds:.1f}")
        )
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        cells = [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join([str(row[0]).ljust(widths[0]), *cells]))


def main() -> int:
    """Returns the exit status."""
    parser = command_line.StrictParser(prog="scripts/test", description=__doc__, epilog=EXPLANATION)
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="release build and models only")
    depth.add_argument(
        "--deep", action="store_true", help="HOTINDEX_DEEP=1 for the tests, a debug build, clang"
    )
    options = parser.parse_args()
    begin = time.monotonic()
    LOGS.mkdir(parents=True, exist_ok=True)
    run, ended = Run(options), None
    try:
        execute(run, plan(options))
    except child_processes.Ended as signal:
        ended = signal  # what was tested until then is told all the same
    print_table(run)
    print()
    for name in run.failed_steps:
        print(f"failed: {name}")
    for reason in run.skipped_steps:
        print(f"skipped: {reason}")
    print(f"{in_words(time.monotonic() - begin)}; logs in build/test-logs")
    passed, failed, skipped = run.counts()
    sys.stderr.flush()
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    if ended:
        raise ended
    return 1 if failed else 0


def begin() -> NoReturn:
    """Runs the command, and ends the process with its exit status."""
    command_line.begin_and_end("scripts/test", main)
