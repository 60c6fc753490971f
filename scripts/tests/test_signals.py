"""What the commands do when they are told to end, or are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import unittest

from tree import Case, SCRIPTS, is_alive, on_terminal, streams

SLOW = {"FAKE_SECONDS": "0.15"}


class SignalsTest(Case):
    def end_bench(self, number: int, after: int) -> tuple[int, str, str]:
        """Starts scripts/bench and sends it a signal when so many benchmarks are done. Returns (its status,
        stdout, stderr)."""
        child = self.start(self.bench("--repetitions", "4"), env=SLOW)
        self.wait_for(lambda: len(self.logged("done")) >= after, f"{after} benchmarks")
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
        return child.returncode, out, err

    def check_kept(self, number: int, after: int) -> None:
        """Asserts that what was measured before a signal is kept."""
        status, out, err = self.end_bench(number, after)
        self.assertEqual(status, 128 + number, out + err)
        self.assert_one_line(err, f"ended by {signal.Signals(number).name}")
        kept = json.loads((self.out / "results.json").read_text())["benchmarks"]
        self.assertGreaterEqual(len(kept), after)
        self.assertIn("Insert: 10,000 adds", out)
        self.assertIn("note: ended by", out)
        self.assertIn("Insert: 10,000 adds", (self.out / "summary.md").read_text())
        self.assert_nothing_is_left()

    def test_sigint_in_round_1_keeps_what_was_measured(self) -> None:
        self.check_kept(signal.SIGINT, 4)

    def test_sigterm_in_round_1_keeps_what_was_measured(self) -> None:
        self.check_kept(signal.SIGTERM, 4)

    def test_sighup_in_round_1_keeps_what_was_measured(self) -> None:
        self.check_kept(signal.SIGHUP, 4)

    def test_sigint_in_a_later_round_ends_with_130(self) -> None:
        self.check_kept(signal.SIGINT, 12)

    def test_a_signal_before_the_first_result_leaves_no_empty_folder(self) -> None:
        child = self.start(self.bench(), env={"FAKE_SECONDS": "60"})
        self.wait_for(lambda: self.logged("begin"), "the first benchmark")
        child.terminate()
        out, err = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 143, err)
        self.assert_one_line(err, "ended by SIGTERM")
        self.assertFalse(self.out.exists())
        self.assert_nothing_is_left()

    def test_a_closed_terminal_keeps_what_was_measured(self) -> None:
        env = {**self.environment, **SLOW, "TERM": "xterm"}
        done = lambda: len(self.logged("done")) >= 4  # noqa: E731
        command = self.whole_command("bench", "--threads", "1", "--repetitions", "4", "--out", self.out)
        status, _ = on_terminal(command, self.tree, env, close_when=done)
        self.assertEqual(status, 128 + signal.SIGHUP)
        self.assertGreaterEqual(len(json.loads((self.out / "results.json").read_text())["benchmarks"]), 4)
        self.assertTrue((self.out / "summary.md").exists())
        self.assert_nothing_is_left()

    def test_under_nohup_a_closed_terminal_ends_nothing(self) -> None:
        command = ["bash", "-c", "trap '' HUP; exec \"$@\"", "-", *self.bench("--repetitions", "1")]
        child = self.start(command, env=SLOW)
        self.wait_for(lambda: self.logged("done"), "a benchmark")
        child.send_signal(signal.SIGHUP)
        _, err = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0, err)

    def test_what_was_measured_before_sigkill_is_on_the_disk(self) -> None:
        child = self.start(self.bench("--repetitions", "4"), env=SLOW)
        self.wait_for(lambda: len(self.logged("done")) >= 11, "a round and two benchmarks")
        child.kill()
        child.wait()
        self.assertEqual(len(json.loads((self.out / "results.json").read_text())["benchmarks"]), 9)
        self.assert_nothing_is_left()

    def test_every_command_ends_its_build_with_it(self) -> None:
        for name, arguments in (
            ("bench", ()),
            ("gate", ("--check-counts",)),
            ("model_check", ()),
            ("stress", ()),
            ("test", ()),
        ):
            others = (signal.SIGINT, signal.SIGHUP) if name == "bench" else ()
            for number in (signal.SIGTERM, signal.SIGKILL, *others):
                with self.subTest(command=name, signal=signal.Signals(number).name):
                    self.forget_log()
                    child = self.start(self.command(name, *arguments), env={"FAKE_BUILD_SECONDS": "300"})
                    self.wait_for(lambda: len(self.logged("begin")) == 2, "the build, and a process below it")
                    time.sleep(0.2)  # the build is a child by now, and known as one
                    child.send_signal(number)
                    out, err = child.communicate(timeout=30)
                    if number == signal.SIGKILL:
                        self.assertEqual(child.returncode, -signal.SIGKILL)
                    else:
                        self.assertEqual(child.returncode, 128 + number, out + err)
                        self.assert_one_line(err, f"ended by {signal.Signals(number).name}")
                    self.assert_nothing_is_left()

    def test_scripts_test_that_is_ended_still_counts(self) -> None:
        child = self.start(self.command("test"), env={"FAKE_BUILD_SECONDS": "300"})
        self.wait_for(lambda: self.logged("begin"), "the build")
        child.terminate()
        out, _ = child.communicate(timeout=30)
        self.assertRegex(out.splitlines()[-1], r"^\d+ passed, [1-9]\d* failed")
        self.assertIn("failed: release: configure, ended by SIGTERM", out)

    def test_a_gate_that_is_ended_keeps_its_pairs(self) -> None:
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
            self.assertEqual(self.run_it([*git, *words]).returncode, 0)
        command = self.command("gate", "--refs", "HEAD", "HEAD", "--measures", "times", "--threads", "1")
        child = self.start(command, env={"FAKE_SECONDS": "0.05"})
        self.wait_for(lambda: len(self.logged("done")) >= 8, "four pairs")
        child.terminate()
        out, err = child.communicate(timeout=30)
        self.assertEqual(child.returncode, 143, err)
        self.assert_one_line(err, "ended by SIGTERM")
        self.assertIn("pairs were measured; kept", out)
        gate = self.tree / "build" / "gate"
        files = [gate / f"{side}.json" for side in ("baseline", "candidate")]
        sides = [json.loads(path.read_text())["benchmarks"] for path in files]
        self.assertEqual(len(sides[0]), len(sides[1]))
        self.assertGreaterEqual(len(sides[0]), 3)
        self.assert_nothing_is_left()


PROGRAM = """
import sys, time
sys.path.insert(0, {modules!r})
from common import child_processes, command_line, output
{body}
command_line.begin_and_end("program", main)
"""


class ChildProcessesTest(Case):
    def program_of(self, body: str) -> list[str]:
        """Returns the words that run a command made of this `main`."""
        return [sys.executable, "-c", PROGRAM.format(modules=str(SCRIPTS / "modules"), body=body)]

    def test_a_child_that_does_not_listen_is_killed_after_the_grace(self) -> None:
        body = f"""
child_processes.GRACE = 0.5
def main():
    shell = 'trap "" TERM; echo "begin $$" >>{self.log}; while :; do sleep 0.05; done'
    return child_processes.run(["bash", "-c", shell]).returncode
"""
        child = self.start(self.program_of(body))
        self.wait_for(lambda: self.logged("begin"), "the child")
        begin = time.monotonic()
        child.terminate()
        child.communicate(timeout=30)
        self.assertEqual(child.returncode, 143)
        self.assertLess(time.monotonic() - begin, 4)
        self.assert_nothing_is_left()

    def test_children_that_threads_have_started_end_with_the_command(self) -> None:
        body = f"""
import concurrent.futures
def one(_):
    return child_processes.run(["bash", "-c", 'echo "begin $$" >>{self.log}; exec sleep 300']).returncode
def main():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(8)))
    return 0
"""
        child = self.start(self.program_of(body))
        self.wait_for(lambda: len(self.logged("begin")) == 2, "two children")
        child.terminate()
        _, err = child.communicate(timeout=30)
        self.assertEqual(child.returncode, 143, err)
        self.assertEqual(len(self.logged("begin")), 2, "more were started afterwards")
        self.assert_nothing_is_left()

    def test_processes_that_compute_end_with_a_command_that_is_killed(self) -> None:
        body = f"""
import os
def work(_):
    open({str(self.log)!r}, "a").write(f"begin {{os.getpid()}}\\n")
    time.sleep(300)
def main():
    child_processes.run(["true"])
    with child_processes.pool(2) as pool:
        list(pool.map(work, range(2)))
    return 0
"""
        for number, status in ((signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)):
            with self.subTest(signal=signal.Signals(number).name):
                self.forget_log()
                child = self.start(self.program_of(body))
                self.wait_for(lambda: len(self.logged("begin")) == 2, "two processes")
                child.send_signal(number)
                _, err = child.communicate(timeout=30)
                self.assertEqual(child.returncode, status, err)
                self.assertNotIn("Traceback", err)
                self.assert_nothing_is_left()

    def test_the_guard_ends_with_the_command(self) -> None:
        body = """
def main():
    child_processes.run(["true"])
    print(child_processes._state.guard.pid)
    return 0
"""
        done = self.run_it(self.program_of(body))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(is_alive(int(done.stdout)))

    def test_no_child_inherits_what_git_tells_a_hook(self) -> None:
        told = self.run_it(["git", "rev-parse", "--local-env-vars"]).stdout.split()
        self.assertIn("GIT_INDEX_FILE", told)
        settings = {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}  # among them may be safe.directory
        body = "def main():\n    return child_processes.run(['env']).returncode\n"
        done = self.run_it(self.program_of(body), env={name: "x" for name in told if name not in settings})
        seen = {line.split("=")[0] for line in done.stdout.splitlines()}
        self.assertEqual(seen & set(told), set())
        self.assertIn("PATH", seen)

    def test_a_child_that_a_signal_ended_is_told_as_a_shell_tells_it(self) -> None:
        from common import child_processes

        self.assertEqual(child_processes.exit_status(-11), 139)
        self.assertEqual(child_processes.exit_status(3), 3)
        self.assertEqual(child_processes.how_it_ended(-11), "SIGSEGV")
        self.assertEqual(child_processes.how_it_ended(143), "SIGTERM")
        self.assertEqual(child_processes.how_it_ended(3), "status 3")


REAL = SCRIPTS.parent / "build" / "release" / "bench" / "hotindex_bench"
BINARY = str(REAL)
FLAGS = ("--threads=1", "--benchmark_filter=^search/(mutex|rwlock|lock_free)/", "--benchmark_repetitions=1")


@unittest.skipUnless(REAL.exists(), "build/release/bench/hotindex_bench is not built")
class BinaryTest(Case):
    """hotindex_bench itself: the real one."""

    def test_a_signal_leaves_whole_files_and_128_more(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=signal.Signals(number).name):
                path = self.scratch / "out.json"
                path.unlink(missing_ok=True)
                command = [BINARY, *FLAGS, "--benchmark_min_time=0.3", f"--benchmark_out={path}"]
                child = self.start(command)
                self.wait_for(lambda: path.exists() and '"run_name"' in path.read_text(), "a result")
                child.send_signal(number)
                _, err = child.communicate(timeout=30)
                self.assertEqual(child.returncode, 128 + number, err)
                self.assert_one_line(err, f"ended by {signal.Signals(number).name}")
                self.assertIn(len(json.loads(path.read_text())["benchmarks"]), (1, 2, 3))

    def test_a_signal_leaves_whole_json_on_stdout(self) -> None:
        child = self.start([BINARY, *FLAGS, "--benchmark_min_time=0.3", "--benchmark_format=json"])
        out, _ = streams(child)
        begun = ""
        while '"run_name"' not in begun:
            begun += out.readline()
        child.terminate()
        rest = out.read()
        self.assertEqual(child.wait(30), 143)
        self.assertTrue(json.loads(begun + rest)["benchmarks"])

    def test_a_reader_that_has_gone_costs_the_file_nothing(self) -> None:
        path = self.scratch / "out.json"
        command = [BINARY, *FLAGS, "--benchmark_min_time=0.05", f"--benchmark_out={path}"]
        child = self.start(command)
        out, err = streams(child)
        out.readline()
        out.close()
        said = err.read()
        self.assertEqual(child.wait(30), 0, said)
        self.assertEqual(said, "")
        self.assertEqual(len(json.loads(path.read_text())["benchmarks"]), 3)

    def test_what_cannot_be_written_is_an_error(self) -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, full)
        short = [BINARY, *FLAGS, "--benchmark_min_time=0.01"]
        for command, stdout in (
            (short, full),
            ([*short, "--benchmark_format=json"], full),
            ([BINARY, "--help"], full),
            ([*short, "--benchmark_out=/dev/full"], subprocess.DEVNULL),
        ):
            with self.subTest(command=command[1:]):
                done = self.run_it(command, stdout=stdout)
                self.assertEqual(done.returncode, 1)
                self.assert_one_line(done.stderr, "No space left on device")
