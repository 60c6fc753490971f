"""What ends a command with a message."""

from __future__ import annotations


class Failure(Exception):
    """The command ends here, with this message and its status for failures."""
