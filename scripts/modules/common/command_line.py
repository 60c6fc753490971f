"""What every command of this folder does the same way: how it begins and ends, strict flags, a line of
progress, children with a log."""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Callable, NoReturn, Sequence

from common import child_processes, output
from common.failure import Failure
from common.repository import ROOT
from common.suggestion import nearest


def begin_and_end(name: str, main: Callable[[], int], *, failure: int = 1) -> NoReturn:
    """Runs a command and ends the process with its exit status: what `main` returns; 128 + signal when one
    ended it; `failure` when a message or a fault did, or when what it had to say got lost and it would else
    have been 0."""
    output.prepare()
    child_processes.answer_signals()
    try:
        try:
            status = main()
        finally:
            child_processes.answer_no_more()
    except child_processes.Ended as ended:
        ProgressLine.break_line()
        print(f"{name}: ended by {ended}", file=sys.stderr)
        status = 128 + ended.number
    except Failure as message:
        ProgressLine.break_line()
        print(f"{name}: {message}", file=sys.stderr)
        status = failure
    except OSError as fault:
        ProgressLine.break_line()
        print(f"{name}: {output.reason(fault)}", file=sys.stderr)
        status = failure
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else failure
    except Exception:
        ProgressLine.break_line()
        traceback.print_exc()
        print(f"{name}: this is a fault of the command itself", file=sys.stderr)
        status = failure
    child_processes.end_all()
    said, got_lost = output.lost()
    if said:
        print(f"{name}: {said}", file=sys.stderr)
    sys.stderr.flush()
    sys.exit(failure if got_lost and status == 0 else status)


class StrictParser(argparse.ArgumentParser):
    """argparse without abbreviations; a misspelt flag is an error (exit 2) that names the nearest valid
    one."""

    wrong_usage = 2  # the status
    dashed = ("--filter",)  # flags whose values may begin with a dash

    def __init__(self, prog: str, description: str | None, epilog: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Returns what these arguments say; ends the command where they are wrong."""
        arguments = self.join_dashed(arguments)
        # Before argparse, which would rather complain about a positional argument that the stray value looks
        # like.
        for argument in arguments:
            if argument == "--":
                break
            if re.match(r"-[^\d.]", argument):
                flag = argument.split("=", 1)[0]
                known = self._option_string_actions
                if flag not in known and (flag.startswith("--") or flag[:2] not in known):
                    self.error(f"unknown flag {flag}{nearest(flag, known, cutoff=0.5)}")
        parsed, rest = self.parse_known_args(arguments)
        if rest:
            self.error(f"unexpected argument {rest[0]}")
        return parsed

    def join_dashed(self, arguments: Sequence[str]) -> list[str]:
        """Returns the arguments, a value that begins with one dash joined to its flag: argparse would take
        it for a flag."""
        joined: list[str] = []
        for argument in arguments:
            before = joined[-1] if joined else ""
            if before in self.dashed and re.match(r"-[^-]", argument) and "--" not in joined:
                joined[-1] = f"{before}={argument}"
            else:
                joined.append(argument)
        return joined

    def error(self, message: str) -> NoReturn:
        """Ends the command with this message and the status for wrong usage."""
        self.exit(self.wrong_usage, f"{self.prog}: {message}\nSee {self.prog} --help.\n")


def in_words(seconds: float) -> str:
    """Returns 41 s, 3 min 20 s, 2 h 05 min."""
    seconds = max(0, round(seconds))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min" + (f" {seconds % 60:02d} s" if seconds < 600 and seconds % 60 else "")
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


class ProgressLine:
    """One line rewritten in place on a terminal, without escape codes; elsewhere, and on a dumb terminal, a
    line of its own every `every` seconds."""

    unfinished = 0  # characters of the line that is on the terminal now

    def __init__(self, every: float = 15.0) -> None:
        self.terminal = output.fancy()
        self.every = every
        self.last = time.monotonic()

    def show(self, text: str) -> None:
        """Shows how far the command is; not more often than is good for the reader."""
        now = time.monotonic()
        if self.terminal:
            if now - self.last >= 0.1:
                shown = text[: shutil.get_terminal_size().columns - 1]
                print(f"\r{shown.ljust(ProgressLine.unfinished)}", end="", flush=True)
                ProgressLine.unfinished = len(shown)
                self.last = now
        elif now - self.last >= self.every:
            print(text, flush=True)
            self.last = now

    def clear(self) -> None:
        """Takes the line away, so that something else can be printed in its place."""
        if self.terminal and ProgressLine.unfinished:
            print(f"\r{' ' * ProgressLine.unfinished}\r", end="", flush=True)
            ProgressLine.unfinished = 0

    @staticmethod
    def break_line() -> None:
        """Leaves the line as it is and goes to the next one: for what is printed to stderr."""
        if ProgressLine.unfinished:
            print(flush=True)
            ProgressLine.unfinished = 0


def run_logged(
    command: child_processes.Command,
    log: Path | str,
    *,
    timeout: float | None = None,
    env: dict[str, str] | None = None,
    cwd: Path | str = ROOT,
    on_line: Callable[[str], None] | None = None,
) -> int | None:
    """Runs a command with its output in the file `log`. Returns its exit status; None when it took longer
    than `timeout` seconds and was killed, with all its children."""
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    timed_out = threading.Event()

    def note(text: str) -> None:
        try:
            sink.write(text)
        except OSError as failure:
            raise output.CannotWrite(f"{log}: {failure.strerror}") from None

    with log.open("w", encoding="utf-8", errors="replace") as sink:
        try:
            child = child_processes.Child(
                command,
                cwd=cwd,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                errors="replace",
            )
        except OSError as failure:
            note(f"{failure}\n")
            return 127

        def stop() -> None:
            if child.returncode is None:
                timed_out.set()
                child.tell(signal.SIGKILL)

        timer = threading.Timer(timeout, stop) if timeout else None
        try:
            if timer:
                timer.daemon = True
                timer.start()
            for line in child.stdout or ():
                note(line)
                if on_line:
                    on_line(line.rstrip("\n"))
            status = child.wait()
        except BaseException:
            child.end()
            raise
        finally:
            if timer:
                timer.cancel()
            if child.stdout:
                child.stdout.close()
    return None if timed_out.is_set() else status


def run_setup(*flags: str) -> bool:
    """Looks for the packages that are needed, and installs what is missing; asks for a password where it
    must. Returns whether they are there."""
    return child_processes.run([ROOT / "scripts" / "setup", *flags], interactive=True).returncode == 0


TROUBLE = re.compile(r"^FAILED:|(ERROR|WARNING): \w+Sanitizer|: runtime error: ", re.MULTILINE)


def tail(log: Path | str, lines: int = 40) -> str:
    """Returns what a reader needs of a log: from the first failed build command or sanitizer's report on,
    else its end."""
    text = Path(log).read_text(encoding="utf-8", errors="replace").splitlines() if Path(log).exists() else []
    failed = next((i for i, line in enumerate(text) if TROUBLE.search(line)), None)
    shown = text[failed : failed + lines] if failed is not None else text[-lines:]
    return "\n".join(f"    | {line}" for line in shown)
