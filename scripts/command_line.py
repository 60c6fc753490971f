"""What every command of this folder does the same way: strict flags, a line of progress, children with a log."""

import argparse
import difflib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class StrictParser(argparse.ArgumentParser):
    """argparse without abbreviations; a misspelt flag is an error (exit 2) that names the nearest valid one."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def parse_args(self, args=None, namespace=None):
        arguments = sys.argv[1:] if args is None else list(args)
        # Before argparse, which would rather complain about a positional argument that the stray value looks like.
        for argument in arguments:
            if argument == "--":
                break
            if re.match(r"-[^\d.]", argument):
                flag = argument.split("=", 1)[0]
                known = self._option_string_actions
                if flag not in known and (flag.startswith("--") or flag[:2] not in known):
                    near = difflib.get_close_matches(flag, known, n=1, cutoff=0.5)
                    self.error(f"unknown flag {flag}" + (f"; did you mean {near[0]}?" if near else ""))
        parsed, rest = self.parse_known_args(arguments, namespace)
        if rest:
            self.error(f"unexpected argument {rest[0]}")
        return parsed

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\nSee {self.prog} --help.\n")


def in_words(seconds):
    """41 s, 3 min 20 s, 2 h 05 min."""
    seconds = max(0, round(seconds))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min" + (f" {seconds % 60:02d} s" if seconds < 600 and seconds % 60 else "")
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


class ProgressLine:
    """One line rewritten in place on a terminal; elsewhere a line of its own every `every` seconds."""

    def __init__(self, every=15.0):
        self.terminal = sys.stdout.isatty()
        self.every = every
        self.last = time.monotonic()

    def show(self, text):
        now = time.monotonic()
        if self.terminal:
            if now - self.last >= 0.1:
                width = os.get_terminal_size().columns or 80
                print(f"\r\x1b[K{text[: width - 1]}", end="", flush=True)
                self.last = now
        elif now - self.last >= self.every:
            print(text, flush=True)
            self.last = now

    def clear(self):
        if self.terminal:
            print("\r\x1b[K", end="", flush=True)


def run_logged(command, log, *, timeout=None, env=None, cwd=ROOT, on_line=None):
    """Runs a command in a process group of its own, its output in the file `log`. Returns its exit status; None when
    it took longer than `timeout` seconds and was killed, with all its children."""
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    timed_out = threading.Event()
    with log.open("w", encoding="utf-8", errors="replace") as sink:
        try:
            child = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as failure:
            sink.write(f"{failure}\n")
            return 127

        def stop():
            timed_out.set()
            kill_group(child)

        timer = threading.Timer(timeout, stop) if timeout else None
        if timer:
            timer.start()
        try:
            for line in child.stdout:
                sink.write(line)
                if on_line:
                    on_line(line.rstrip("\n"))
            status = child.wait()
        except BaseException:
            kill_group(child)
            raise
        finally:
            if timer:
                timer.cancel()
    return None if timed_out.is_set() else status


def kill_group(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


TROUBLE = re.compile(r"^FAILED:|(ERROR|WARNING): \w+Sanitizer|: runtime error: ", re.MULTILINE)


def tail(log, lines=40):
    """What a reader needs of a log: from the first failed build command or sanitizer's report on, else its end."""
    text = Path(log).read_text(encoding="utf-8", errors="replace").splitlines() if Path(log).exists() else []
    failed = next((i for i, line in enumerate(text) if TROUBLE.search(line)), None)
    shown = text[failed : failed + lines] if failed is not None else text[-lines:]
    return "\n".join(f"    | {line}" for line in shown)
