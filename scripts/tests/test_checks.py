"""scripts/test holds Python to its standard: each check finds what it is there for."""

from __future__ import annotations

import shutil
import unittest
from pathlib import Path

from test import python_checks
from tree import Case, SCRIPTS, Word

SOUND = '''"""A module."""

from __future__ import annotations


class Room:
    """A room."""

    @property
    def name(self) -> str:
        """What it is called."""
        return "room"

    def enter(self) -> None:
        """Enters it."""

    def count(self) -> int:
        """Returns how many are in it."""
        return self._count()

    def _count(self) -> int:
        return 0
'''
CONFIGURATION = SCRIPTS / "modules" / "pyproject.toml"


class ChecksTest(Case):
    def module(self, before: str = "", after: str = "") -> Path:
        """Returns a file with the sound module, of which a part is replaced."""
        self.assertIn(before, SOUND)
        path = self.scratch / "module.py"
        path.write_text(SOUND.replace(before, after) if before else SOUND)
        return path

    def said(self, checker: str, before: str = "", after: str = "") -> tuple[int, str]:
        """Returns (status, output) of black or mypy, the real ones, on that file."""
        flags = {"black": ["--check", "--config"], "mypy": ["--config-file"]}[checker]
        command: list[Word] = [shutil.which(checker) or checker, *flags, CONFIGURATION]
        done = self.run_it([*command, self.module(before, after)], cwd=self.scratch)
        return done.returncode, done.stdout + done.stderr

    def test_a_sound_module_has_no_findings(self) -> None:
        path = self.module()
        self.assertEqual(python_checks.undocumented(path) + python_checks.long_lines(path), [])

    def test_a_function_without_a_docstring(self) -> None:
        found = python_checks.undocumented(self.module('        """Enters it."""\n', "        pass\n"))
        self.assertEqual(len(found), 1)
        self.assertIn("module.py:14: enter has no docstring", found[0])

    def test_a_docstring_that_does_not_say_what_is_returned(self) -> None:
        found = python_checks.undocumented(self.module("Returns how many", "How many"))
        self.assertEqual(len(found), 1)
        self.assertIn("count: its docstring does not say what it returns", found[0])

    def test_a_class_without_a_docstring(self) -> None:
        found = python_checks.undocumented(self.module('    """A room."""\n\n', ""))
        self.assertEqual(len(found), 1)
        self.assertIn("Room has no docstring", found[0])

    def test_a_line_of_more_columns_than_there_may_be(self) -> None:
        fits, long = "A" * 104, "A" * 105
        self.assertEqual(python_checks.long_lines(self.module('"""A module."""', f'"""{fits}"""')), [])
        found = python_checks.long_lines(self.module('"""A module."""', f'"""{long}"""'))
        self.assertEqual(len(found), 1)
        self.assertIn("module.py:1: 111 columns, 110 are the most", found[0])

    @unittest.skipUnless(shutil.which("black"), "black is not installed")
    def test_what_black_would_change(self) -> None:
        status, told = self.said("black")
        if "required version" in told:
            self.skipTest("black is of another version")
        self.assertEqual(status, 0, told)
        status, told = self.said("black", "return 0", "return  0")
        self.assertEqual(status, 1, told)
        self.assertIn("would reformat", told)

    @unittest.skipUnless(shutil.which("mypy"), "mypy is not installed")
    def test_what_mypy_objects_to(self) -> None:
        self.assertEqual(self.said("mypy")[0], 0)
        status, told = self.said("mypy", "return 0", 'return "0"')
        self.assertEqual(status, 1, told)
        self.assertIn("Incompatible return value type", told)
        status, told = self.said("mypy", "def _count(self) -> int:", "def _count(self):")
        self.assertEqual(status, 1, told)
        self.assertIn("missing a return type annotation", told)

    def test_checkers_that_are_not_installed_are_skipped(self) -> None:
        for checker, step in (("black", "scripts: format"), ("mypy", "scripts: types")):
            with self.subTest(checker):
                program = self.programs / checker
                program.unlink()
                done = self.run_it(self.command("test", "--quick"), env={"PATH": self.path_without(checker)})
                missing = f"skipped: {step}: {checker} is not installed (scripts/setup --lint)"
                self.assertIn(missing, done.stdout)

    def path_without(self, program: str) -> str:
        """Returns a PATH of the fakes and of folders with links to all programs but that one."""
        links = self.scratch / f"without-{program}"
        links.mkdir()
        for folder in ("/usr/bin", "/bin"):
            for path in Path(folder).iterdir():
                link = links / path.name
                if path.name != program and not link.is_symlink():
                    link.symlink_to(path)
        return f"{self.programs}:{links}"
