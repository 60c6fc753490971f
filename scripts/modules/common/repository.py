"""What the commands ask git, and git's own words when it refuses."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from common import child_processes
from common.failure import Failure
from common.suggestion import nearest

ROOT = Path(__file__).resolve().parents[3]


class GitRefused(Failure):
    """git could not or would not; the message holds its words and what helps."""


class NoRepository(GitRefused):
    """This folder is not a clone."""


def attempt(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Returns what git printed, and its status, whether it succeeded or not. Raises GitRefused where git does
    not answer any question at all: it is not installed, does not trust the folder, or finds no repository."""
    try:
        done = child_processes.run(
            ["git", "-c", f"core.hooksPath={os.devnull}", *arguments],  # nobody's hooks run because we look
            cwd=cwd,
            env={"LC_ALL": "C"},
            capture_output=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise GitRefused("git is not installed: scripts/setup installs it") from None
    if done.returncode != 0:
        said = done.stderr.strip()
        if "dubious ownership" in said or "unsafe repository" in said:
            raise GitRefused(
                f"git refuses: {_first(said)}; if you trust it: "
                f"git config --global --add safe.directory {cwd}"
            )
        if "not a git repository" in said:
            raise NoRepository(
                f"git refuses: {_first(said)}; commits can be had in a clone only, not in an unpacked archive"
            )
    return done


def _first(said: str) -> str:
    line = next((line for line in said.splitlines() if line.startswith(("fatal:", "error:"))), said)
    return re.sub(r"^(fatal|error): ", "", line)


def git(*arguments: str, cwd: Path = ROOT) -> str:
    """Returns what git prints. Raises GitRefused with what git says when it fails."""
    done = attempt(*arguments, cwd=cwd)
    if done.returncode != 0:
        raise GitRefused(f"git {arguments[0]}: {_first(done.stderr.strip()) or done.returncode}")
    return done.stdout.strip()


def resolve(ref: str) -> str:
    """Returns the full hash of a commit. Raises GitRefused."""
    done = attempt("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    if done.returncode == 0:
        return done.stdout.strip()
    said = done.stderr.strip()
    if "ambiguous" in said:
        raise GitRefused(f"{ref}: git says: {_first(said)}")
    if attempt("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        help_ = "git fetch --unshallow brings the rest"
        raise GitRefused(f"{ref}: this clone is shallow and has no such commit: {help_}")
    names = attempt("for-each-ref", "--format=%(refname:short)").stdout.split()
    help_ = nearest(ref, names) or ": git fetch brings what others have pushed"
    raise GitRefused(f"{ref}: this clone has no such commit{help_}")


def commit(length: int = 12) -> str:
    """Returns the first digits of the commit that is checked out; "unknown" where git does not say."""
    try:
        return git("rev-parse", f"--short={length}", "HEAD")
    except GitRefused:
        return "unknown"


def changed() -> bool | None:
    """Returns whether files differ from the commit; None where git does not say."""
    try:
        return bool(git("status", "--porcelain"))
    except GitRefused:
        return None


def shown(path: Path) -> Path:
    """Returns a path as a reader of the terminal knows it: inside the repository from its root."""
    return path.relative_to(ROOT) if path.is_absolute() and ROOT in path.parents else path


def file_at(ref: str, path: Path) -> str | None:
    """Returns a file's text in a commit; None where the commit or the file is not there. Raises
    GitRefused."""
    shown = attempt("show", f"{ref}:{path.relative_to(ROOT).as_posix()}")
    return shown.stdout if shown.returncode == 0 else None
