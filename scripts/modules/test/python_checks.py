"""The steps that hold Python to its standard: format, columns, types, and docstrings that say what is
returned."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Iterator, Union

from common import command_line
from common.child_processes import Command
from common.repository import ROOT
from test.run import BUILD, LOGS, Run, StepFailed, StepSkipped, python_files, shell_files, shorten

CONFIGURATION = ROOT / "scripts" / "modules" / "pyproject.toml"
COLUMNS = 110
Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


# ---- format ----


def check_python_format(run: Run) -> None:
    """Checks that Python is as black leaves it, and that no line of Python or shell is too long."""
    long = [place for path in [*python_files(), *shell_files()] for place in long_lines(path)]
    if long:
        raise StepFailed("\n".join(f"    | {place}" for place in long))
    black = shutil.which("black")
    if not black:
        raise StepSkipped("black is not installed (scripts/setup --lint)")
    log = LOGS / "python-format.log"
    files = python_files()
    if command_line.run_logged([black, "--config", CONFIGURATION, "--check", *files], log) != 0:
        said = log.read_text(errors="replace")
        if "required version" in said:
            raise StepSkipped(f"black of another version than {shorten(CONFIGURATION)} requires")
        repair = f"black --config {shorten(CONFIGURATION)} scripts"
        raise StepFailed(f"{command_line.tail(log)}\n    | to repair: {repair}")


def long_lines(path: Path) -> list[str]:
    """Returns the places of lines with more columns than there may be."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        f"{shorten(path)}:{number}: {len(line)} columns, {COLUMNS} are the most"
        for number, line in enumerate(lines, 1)
        if len(line) > COLUMNS
    ]


# ---- types ----


def check_types(run: Run) -> None:
    """Checks the types with mypy, as strictly as it does."""
    mypy = shutil.which("mypy")
    if not mypy:
        raise StepSkipped("mypy is not installed (scripts/setup --lint)")
    log = LOGS / "python-types.log"
    flags: Command = ["--config-file", CONFIGURATION, "--cache-dir", BUILD / "mypy"]
    if command_line.run_logged([mypy, *flags, *python_files()], log) != 0:
        raise StepFailed(command_line.tail(log, 60))


# ---- docstrings ----


def check_docstrings(run: Run) -> None:
    """Checks that every public function and class has a docstring, and that it says what is returned."""
    lacking = [place for path in python_files() for place in undocumented(path)]
    if lacking:
        raise StepFailed("\n".join(f"    | {place}" for place in lacking))


def undocumented(path: Path) -> list[str]:
    """Returns the places of public functions and classes without a docstring that says what they return."""
    found = []
    for node in public(ast.parse(path.read_text(encoding="utf-8"))):
        place = f"{shorten(path)}:{node.lineno}: {node.name}"
        said = ast.get_docstring(node) or ""
        if not said:
            found.append(f"{place} has no docstring")
        elif not isinstance(node, ast.ClassDef) and gives(node) and not says(said):
            found.append(f"{place}: its docstring does not say what it returns")
    return found


def public(node: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    """Yields the public functions and classes of a module or a class. A test's name is the sentence that it
    checks; setUp is of unittest."""
    for each in node.body:
        if isinstance(each, ast.ClassDef):
            if not each.name.startswith("_"):
                if not each.name.endswith("Test"):
                    yield each
                yield from public(each)
        elif isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not each.name.startswith(("_", "test_")) and each.name != "setUp":
                yield each


def gives(function: Function) -> bool:
    """Returns whether a function gives its caller something; a property is a value, and its docstring names
    it."""
    if any(isinstance(each, ast.Name) and each.id == "property" for each in function.decorator_list):
        return False
    returned = ast.unparse(function.returns) if function.returns else "nothing is said"
    return returned not in ("None", "NoReturn")


def says(docstring: str) -> bool:
    """Returns whether a docstring says what is returned."""
    return "Returns" in docstring or "Yields" in docstring
