"""What the commands print, and the files they write.

Where the output goes decides nothing: a reader that has gone, a full disk or a closed stdout ends no
measurement and changes no verdict. What is lost so is told in one line at the end. Files come whole or not at
all.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from common.failure import Failure

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class CannotWrite(Failure):
    """A place cannot be written to; the message names it, and why."""


# ---- standard output ----


class _Steady(io.FileIO):
    """A standard stream's file. What cannot be written is dropped; the first reason is kept."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.failure: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        """Returns how much is dealt with: always all of it, in the end."""
        try:
            while (written := super().write(data)) is None:  # somebody has made it non-blocking
                select.select([], [self.fileno()], [])
            return written
        except OSError as failure:
            self.failure = self.failure or failure
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # children find a place to write to, too
            os.close(nowhere)
            return memoryview(data).nbytes


class _Streams:
    def __init__(self) -> None:
        self.out: _Steady | None = None
        self.closed = False


_streams = _Streams()


def prepare() -> None:
    """Makes printing safe: to be called once, before anything is printed or opened."""
    _streams.closed = sys.stdout is None
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: or the next file that is opened would be taken for it
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)
    for name, descriptor, errors in (("stdout", 1, "replace"), ("stderr", 2, "backslashreplace")):
        old = getattr(sys, name)
        if old is not None:
            old.flush()
        steady = _Steady(descriptor)
        if descriptor == 1:
            _streams.out = steady
        stream = io.TextIOWrapper(
            io.BufferedWriter(steady),
            encoding=getattr(old, "encoding", None) or "utf-8",
            errors=errors,
            line_buffering=descriptor == 2 or os.isatty(descriptor),
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def lost() -> tuple[str, bool]:
    """Returns (what to say about standard output, whether that is a fault). A reader that has had enough, as
    head has, is neither; a closed stdout was somebody's wish."""
    sys.stdout.flush()
    failure = _streams.out.failure if _streams.out else None
    if _streams.closed:
        return "standard output is closed: what there was to say is lost", False
    if failure is None or failure.errno == errno.EPIPE:
        return "", False
    return f"standard output: {failure.strerror}: not all that there was to say is there", True


def fancy() -> bool:
    """Returns whether standard output is a terminal on which a line can be rewritten."""
    return os.isatty(1) and not _streams.closed and os.environ.get("TERM", "dumb") not in ("", "dumb")


# ---- files ----


def reason(failure: OSError) -> str:
    """Returns a failure in words: the place and why."""
    where = failure.filename2 or failure.filename
    return f"{where}: {failure.strerror}" if where else str(failure.strerror or failure)


def write_whole(path: Path | str, content: str | bytes) -> None:
    """Writes a file so that whoever reads it finds the old content or the new one, never a part. Raises
    CannotWrite."""
    path = Path(path)
    content = content.encode("utf-8") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.resolve()
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):  # a device or a pipe stays one
            with target.open("wb") as sink:
                sink.write(content)
            return
        beside = tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False)
        try:
            with beside:
                beside.write(content)
            os.chmod(beside.name, target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_mask())
            os.replace(beside.name, target)
        except BaseException:
            os.unlink(beside.name)
            raise
    except OSError as failure:
        raise CannotWrite(f"{path}: {failure.strerror}") from None


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_file(path: Path) -> str:
    """Returns why no file can be written there; "" when one can. Leaves no trace."""
    if path.is_dir():
        return f"{path}: that is a folder"
    if path.exists():
        return "" if os.access(path, os.W_OK) else f"{path}: {os.strerror(errno.EACCES)}"
    return check_folder(path.parent)


def check_folder(path: Path) -> str:
    """Returns why no file can be made in that folder, which need not exist yet; "" when one can. Leaves no
    trace."""
    there = path.absolute()
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    try:
        if not there.is_dir():
            return f"{path}: {there} is not a folder"
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as failure:
        return f"{path}: {failure.strerror}" + (f" in {there}" if there != path.absolute() else "")
