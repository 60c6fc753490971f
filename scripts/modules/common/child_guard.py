"""Outlives the command that started it only to end what that command left running.

child_processes.py starts one of these and tells it, line by line, which process groups live: `+123` has
begun, `-123` has ended. The end of the input means that the command is gone, by whatever means; the groups
that are left are killed then.
"""

import os
import signal
import sys


def main() -> int:
    """Reads until the command is gone. Returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends the command must not end its guard before it
    living = set()
    for line in sys.stdin.buffer:
        group = int(line[1:])
        if line.startswith(b"+"):
            living.add(group)
        else:
            living.discard(group)
    for group in living:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            pass  # it ended meanwhile
    return 0


if __name__ == "__main__":
    sys.exit(main())
