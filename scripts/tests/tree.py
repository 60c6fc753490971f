"""A hotindex in a folder of its own for the tests: the scripts are the real ones, what takes long is not.
cmake puts a fake hotindex_bench in place of building it; with FAKE_BUILD_SECONDS it first waits, as does a
process below it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import IO, Callable, Mapping, Sequence, Union

SCRIPTS = Path(__file__).resolve().parent.parent
FAKE_BENCH = SCRIPTS / "tests" / "fake_hotindex_bench"

CMAKE = f"""#!/usr/bin/env bash
set -euo pipefail
if [[ -n ${{FAKE_BUILD_SECONDS:-}} ]]; then
    sleep "$FAKE_BUILD_SECONDS" &
    echo "begin $$" >>"$FAKE_LOG"
    echo "begin $!" >>"$FAKE_LOG"
    wait
fi
mkdir -p build/release/bench
cp {FAKE_BENCH} build/release/bench/hotindex_bench
echo '[{{"command": "c++ -O2 -o hotindex_bench.dir/x.o -c x.cpp"}}]' >build/release/compile_commands.json
"""
NINJA = "#!/bin/sh\necho 'hotindex_bench: phony'\n"
Child = subprocess.Popen[str]
Done = subprocess.CompletedProcess[str]
Word = Union[str, Path]  # of a command
PATTERNS = shutil.ignore_patterns("__pycache__", "tests")


class Case(unittest.TestCase):
    """Each test has a tree of its own, and leaves no process."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="hotindex-scripts-")
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.tree = self.scratch / "tree"
        self.log = self.scratch / "log"
        self.out = self.scratch / "out"
        shutil.copytree(SCRIPTS, self.tree / "scripts", ignore=PATTERNS)
        (self.tree / ".gitignore").write_text("/build/\n__pycache__/\n")
        lacking = self.scratch / "lacking" / "matplotlib"
        lacking.mkdir(parents=True)
        (lacking / "__init__.py").write_text("raise ImportError('not installed')\n")
        self.programs = self.scratch / "programs"
        self.program("cmake", CMAKE)
        self.program("ninja", NINJA)
        for checker in ("black", "mypy"):  # they take seconds
            self.program(checker, "#!/bin/sh\n")
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") and name not in ("TERM", "NO_COLOR", "CI")
        }
        self.environment |= {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOTINDEX_NO_SETUP": "1",
            "HOTINDEX_PYTHON": sys.executable,
            "FAKE_LOG": str(self.log),
            "PYTHONDONTWRITEBYTECODE": "1",
            # No matplotlib, unless a test wants charts: they take seconds.
            "PYTHONPATH": str(self.scratch / "lacking"),
            # Of the machine's own git settings none counts.
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }
        self.addCleanup(self.end_what_is_left)

    def program(self, name: str, text: str) -> None:
        """Puts a program in front of the machine's own."""
        self.programs.mkdir(exist_ok=True)
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    # ---- running ----

    def command(self, name: str, *arguments: Word) -> list[str]:
        """Returns the words of a command of the tree, without the search for a Python that can draw."""
        return [
            sys.executable,
            str(self.tree / "scripts" / "modules" / "start.py"),
            name,
            *map(str, arguments),
        ]

    def whole_command(self, name: str, *arguments: Word) -> list[str]:
        """Returns the words of a command of the tree as people call it."""
        return [str(self.tree / "scripts" / name), *map(str, arguments)]

    def bench(self, *arguments: Word) -> list[str]:
        """Returns the words of scripts/bench with its results in self.out."""
        return self.command("bench", "--threads", "1", "--out", self.out, *arguments)

    def start(
        self,
        command: Sequence[Word],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: int = subprocess.PIPE,
    ) -> Child:
        """Starts a command as a shell would: signals as they are by default. Returns it."""
        child = subprocess.Popen(
            command,
            env={**self.environment, **(env or {})},
            cwd=cwd or self.tree,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(self.stop, child)
        return child

    @staticmethod
    def stop(child: Child) -> None:
        """Ends what a test has left, and its pipes."""
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe:
                pipe.close()

    def run_it(
        self,
        command: Sequence[Word],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: int = subprocess.PIPE,
    ) -> Done:
        """Runs a command to its end. Returns what it printed, and its status."""
        child = self.start(command, env=env, cwd=cwd, stdout=stdout)
        out, err = child.communicate(timeout=120)
        return subprocess.CompletedProcess(command, child.returncode, out, err)

    # ---- looking ----

    def logged(self, word: str) -> list[str]:
        """Returns what the fakes have noted under this word."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.split(" ", 1)[1] for line in lines if line.startswith(f"{word} ")]

    def wait_for(self, holds: Callable[[], object], what: str, seconds: float = 60) -> None:
        """Waits until something holds; fails when it never does."""
        until = time.monotonic() + seconds
        while not holds():
            self.assertLess(time.monotonic(), until, f"waited in vain: {what}")
            time.sleep(0.02)

    def living(self) -> list[int]:
        """Returns which of the fakes' processes are still there."""
        return [int(pid) for pid in self.logged("begin") if is_alive(int(pid))]

    def assert_nothing_is_left(self) -> None:
        """Asserts that no process of the fakes is there after a moment."""
        self.assertTrue(self.logged("begin"), "no fake has begun")
        self.wait_for(lambda: not self.living(), "processes are left", 5)

    def forget_log(self) -> None:
        """Begins another part of a test: nothing has been noted yet."""
        self.end_what_is_left()
        self.log.unlink(missing_ok=True)

    def end_what_is_left(self) -> None:
        """So that a test that fails leaves nothing, either."""
        for pid in self.living():
            os.kill(pid, signal.SIGKILL)

    def assert_one_line(self, text: str, *words: str) -> None:
        """Asserts that one line was said on stderr, with these words, and no traceback."""
        self.assertEqual(len(text.splitlines()), 1, text)
        for word in words:
            self.assertIn(word, text)


def streams(child: Child) -> tuple[IO[str], IO[str]]:
    """Returns a child's stdout and stderr."""
    assert child.stdout and child.stderr
    return child.stdout, child.stderr


def is_alive(pid: int) -> bool:
    """Returns whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def on_terminal(
    command: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    seconds: float = 60,
    close_when: Callable[[], object] | None = None,
) -> tuple[int, str]:
    """Runs a command on a terminal of its own, which is closed once `close_when` holds. Returns (exit status,
    output)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execvpe(command[0], list(command), env)
    said, until = b"", time.monotonic() + seconds
    while time.monotonic() < until:
        if close_when and close_when():
            break
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:  # nobody has it open any more
                break
            if not data:
                break
            said += data
    os.close(terminal)
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), said.decode(errors="replace")
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError(f"{command[0]} did not end; it said {said!r}")
