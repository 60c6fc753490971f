"""The one place that starts child processes, and that ends them.

- Every child leads a process group of its own, so that what it started ends with it.
- SIGINT, SIGTERM and SIGHUP end the children first (SIGTERM, after GRACE seconds SIGKILL), then raise Ended
  in the main thread. A signal that was ignored when the command began (nohup) stays ignored. A second Ctrl-C
  kills at once.
- A command that is killed itself cannot do that: child_guard.py then does. It knows groups, and so reaches
  the compilers below a ninja below a cmake; the kernel's own parent-death signal reaches one process, and is
  for pool() only.
- No child inherits the variables with which git tells a hook where the repository and its index are.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO, Mapping, Sequence, Union

# `git rev-parse --local-env-vars`, without the two that carry settings: they may hold the safe.directory that
# git needs.
GIT_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_INDEX_VERSION",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 5.0  # seconds between SIGTERM and SIGKILL


class Ended(BaseException):
    """A signal asks the command to end. Not an Exception: no handler of ordinary faults may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _State:
    """What the signal handler shares with the main thread."""

    def __init__(self) -> None:
        self.children: dict[int, Child] = {}
        self.ending: int | None = None  # the signal; 0 when the command ends by itself
        self.starting = 0  # the main thread is between a fork and the entry in `children`
        self.guard: subprocess.Popen[bytes] | None = None


_state = _State()


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns what children see: ours without git's, plus `extra`. git then takes no lock that it can do
    without."""
    inherited = {name: value for name, value in os.environ.items() if name not in GIT_VARIABLES}
    return {**inherited, "GIT_OPTIONAL_LOCKS": "0", **(extra or {})}


Command = Sequence[Union[str, Path]]
Stream = Union[int, IO[str], IO[bytes], None]


class Child(subprocess.Popen[str]):
    """A running child, whose streams are text. `interactive` leaves it in our own group, on the terminal: for
    what asks for a password."""

    def __init__(
        self,
        command: Command,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        interactive: bool = False,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        errors: str | None = None,
    ) -> None:
        self.interactive = interactive
        if not interactive and stdin is None:
            stdin = subprocess.DEVNULL
        words = [str(word) for word in command]
        main = threading.current_thread() is threading.main_thread()
        if _state.ending:
            raise Ended(_state.ending)
        _state.starting += main
        try:
            _start_guard()  # first: what is killed in the moment between a fork and its entry has no guard
            super().__init__(
                words,
                env=environment(env),
                cwd=cwd,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                text=True,
                errors=errors,
                start_new_session=not interactive,
            )
            _state.children[self.pid] = self
            if not interactive:
                _tell_guard(f"+{self.pid}\n")
        finally:
            _state.starting -= main
            if _state.ending:  # the signal came meanwhile, and did not see this child
                if self.pid in _state.children:
                    self.tell(signal.SIGTERM)
                raise Ended(_state.ending)

    pid = -1  # until there is one

    def tell(self, number: int) -> None:
        """Sends a signal to the whole group. Only valid while the leader has not been waited for."""
        try:
            if self.interactive:
                os.kill(self.pid, number)
            else:
                os.killpg(self.pid, number)
        except OSError:
            pass  # it has ended, or runs as somebody else (sudo)

    def poll(self) -> int | None:
        """Returns the exit status, or None while it runs."""
        status = super().poll()
        if status is not None:
            self.forget()
        return status

    def wait(self, timeout: float | None = None) -> int:
        """Returns the exit status. Raises subprocess.TimeoutExpired."""
        status = super().wait(timeout)
        self.forget()
        return status

    def forget(self) -> None:
        """For those who have waited for the child themselves: nothing is to be ended any more."""
        if _state.children.pop(self.pid, None) and not self.interactive:
            _tell_guard(f"-{self.pid}\n")

    def end(self, grace: float | None = None) -> int | None:
        """Ends the child with its whole group. Returns its exit status; None when an interactive one goes
        on."""
        if self.returncode is not None:
            return self.returncode
        self.tell(signal.SIGTERM)
        until = time.monotonic() + (GRACE if grace is None else grace)
        while not self._has_ended() and time.monotonic() < until:
            time.sleep(0.01)
        if self.interactive:  # a package manager is never killed
            return self.poll()
        # The leader is not waited for yet, so its number still names its group, and nobody else's.
        self.tell(signal.SIGKILL)
        return self.wait()

    def _has_ended(self) -> bool:
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        except ChildProcessError:
            return True


def run(
    command: Command,
    *,
    text_input: str | None = None,
    timeout: float | None = None,
    capture_output: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    interactive: bool = False,
    stdout: Stream = None,
    stderr: Stream = None,
    errors: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end. Returns what it printed, as text, and its status. The options are those of
    subprocess.run and of Child."""
    if capture_output:
        stdout = stderr = subprocess.PIPE
    child = Child(
        command,
        env=env,
        cwd=cwd,
        interactive=interactive,
        stdin=None if text_input is None else subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        errors=errors,
    )
    try:
        output, errors = child.communicate(text_input, timeout)
    except BaseException:
        child.end()
        raise
    return subprocess.CompletedProcess(child.args, child.returncode, output, errors)


def exit_status(returncode: int) -> int:
    """Returns a child's end as a shell tells it: 128 + signal where a signal ended it."""
    return 128 - returncode if returncode < 0 else returncode


def how_it_ended(returncode: int) -> str:
    """Returns SIGSEGV, or status 3. 143 is told as SIGTERM: who saves something first ends with it."""
    number = -returncode if returncode < 0 else returncode - 128
    if returncode < 0 or number in ENDING:
        return signal.Signals(number).name
    return f"status {returncode}"


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Returns what a child that failed has said, how it ended where it said nothing."""
    return (done.stderr or done.stdout).strip() or how_it_ended(done.returncode)


# ---- the guard ----


def _start_guard() -> None:
    if _state.guard is None:
        _state.guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve().with_name("child_guard.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )


def _tell_guard(line: str) -> None:
    if _state.guard is None or _state.guard.stdin is None:
        return
    try:
        _state.guard.stdin.write(line.encode())
    except (OSError, ValueError):
        pass  # the command is ending, or somebody has killed the guard: all else works without it


# ---- processes for computing ----


def _begin_worker(parent: int) -> None:
    """In each process of a pool: the parent alone answers the signals, and takes its workers along."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    if _state.guard is not None and _state.guard.stdin is not None:
        _state.guard.stdin.close()  # or the guard would wait for this process, too
    _state.children.clear()
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def pool(workers: int | None = None) -> concurrent.futures.ProcessPoolExecutor:
    """Returns a pool of processes that end with this one."""
    return concurrent.futures.ProcessPoolExecutor(workers, initializer=_begin_worker, initargs=(os.getpid(),))


# ---- signals ----


def _tell_all(number: int) -> None:
    for child in list(_state.children.values()):
        if child.returncode is None and not (child.interactive and number == signal.SIGKILL):
            child.tell(number)
    for worker in multiprocessing.active_children():
        worker.kill()  # it has nothing to save


def _on_signal(number: int, _frame: FrameType | None) -> None:
    if _state.ending is not None:
        if number == signal.SIGINT:  # somebody presses Ctrl-C again
            _tell_all(signal.SIGKILL)
        return
    _state.ending = number
    _tell_all(signal.SIGTERM)
    # Threads may wait for children that do not listen: a timer needs no thread of its own.
    signal.signal(signal.SIGALRM, lambda *_: _tell_all(signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, GRACE)
    if not _state.starting:
        raise Ended(number)


def answer_signals() -> None:
    """From here on SIGINT, SIGTERM and SIGHUP end the children and raise Ended in the main thread."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


def answer_no_more() -> None:
    """The command is about to end anyway: from here on a signal raises nothing."""
    if _state.ending is None:
        _state.ending = 0


def end_all() -> None:
    """Ends every child that is left, and the guard with them."""
    for worker in multiprocessing.active_children():
        worker.kill()
    for child in list(_state.children.values()):
        child.tell(signal.SIGTERM)
    for child in list(_state.children.values()):
        child.end()
    signal.setitimer(signal.ITIMER_REAL, 0)
    guard, _state.guard = _state.guard, None
    if guard is not None and guard.stdin is not None:
        guard.stdin.close()
        guard.wait()
