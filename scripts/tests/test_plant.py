"""The planting of bugs: what becomes of an edit, and what is said where one does not fit."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLANT = ROOT / "impl" / "planted_bugs" / "plant.py"

HEADER = """\
#pragma once
inline int half(int n) {
    if (n < 0)
        n = -n;
    return n / 2;
}
inline int third(int n) { return n / 3; }
inline int rest(int n) {
    return n %
           2;
}
inline int again(int n) { return n / 3; }
"""


class Planting(unittest.TestCase):
    """Each test writes a header and a file of bugs into a folder of its own."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        (self.folder / "impl" / "hotindex").mkdir(parents=True)
        (self.folder / "impl" / "hotindex" / "room.hpp").write_text(HEADER)

    def plant(self, bugs: str) -> subprocess.CompletedProcess[str]:
        """Plants the bugs. Returns how plant.py ended."""
        (self.folder / "impl" / "room.bugs").write_text(bugs)
        flags = ["--sources", str(self.folder / "impl"), "--out", str(self.folder / "out")]
        command = [sys.executable, str(PLANT), *flags, str(self.folder / "impl" / "room.bugs")]
        return subprocess.run(command, capture_output=True, text=True)

    def refused(self, bugs: str) -> str:
        """Returns what plant.py says where it must refuse, and nothing may be made."""
        ended = self.plant(bugs)
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertFalse((self.folder / "out").exists())
        self.assertNotIn("Traceback", ended.stderr)
        return ended.stderr

    def run_with(self, bugs: str, program: str) -> str:
        """Returns what a program prints that is compiled with the planted header."""
        ended = self.plant(bugs)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        source = self.folder / "program.cpp"
        source.write_text(
            "#include <hotindex/room.hpp>\n#include <hotindex/planted_bugs.hpp>\n#include <cstdio>\n"
            "using namespace hotindex;\nint main() {\n" + program + "}\n"
        )
        includes = [f"-I{self.folder}/out/{each}" for each in ("sources", "names")]
        command = ["c++", "-std=c++20", *includes, str(source), "-o", f"{self.folder}/program"]
        compiled = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(compiled.returncode, 0, compiled.stderr)
        return subprocess.run([f"{self.folder}/program"], capture_output=True, text=True).stdout

    def test_bugs_are_off_until_one_is_turned_on(self) -> None:
        bugs = (
            "# a comment\n"
            "bug keeps_sign: a negative number stays negative\n"
            "in room.hpp\nbefore\n    if (n < 0) n = -n;\nafter\n\n"
            "bug doubles: it doubles\n"
            "in room.hpp\nbefore\n    n /\n        2\nafter\n    n * 2\n\n"
            "bug triples: it triples\n"
            "in room.hpp\nbefore\n    n / 2\nafter\n    n * 3\n"
            "in room.hpp\nbefore\n    return n % 2;\nalways\n"
            "    if (hotindex::planted(hotindex::bug::triples))\n        return -1;\n    return n % 2;\n"
        )
        program = (
            "using hotindex::half; for (int b = 0; b != int(bug_count); ++b) {\n"
            "  planted_bugs.turn_on(static_cast<bug>(b));\n"
            "  const auto name = name_of(bug(b));\n"
            '  std::printf("%.*s %d %d;", int(name.size()), name.data(), half(-8), rest(7));\n'
            "}\n"
        )
        # The header of the test has no namespace, so the switch is found by a using-declaration here.
        header = self.folder / "impl" / "hotindex" / "room.hpp"
        header.write_text(HEADER.replace("#pragma once\n", "#pragma once\nnamespace hotindex {\n") + "}\n")
        said = self.run_with(bugs, program)
        self.assertEqual(said, "none 4 1;keeps_sign -4 1;doubles 16 1;triples 24 -1;")

    def test_lines_are_those_of_the_original(self) -> None:
        header = self.folder / "impl" / "hotindex" / "room.hpp"
        text = HEADER.replace("#pragma once\n", "#pragma once\nnamespace hotindex {\n")
        header.write_text(
            text
            + "inline int line() { return __LINE__; }\ninline const char* file() { return __FILE__; }\n}\n"
        )
        bugs = "bug doubles: it doubles\nin room.hpp\nbefore\n    return n % 2;\nafter\n    return 1;\n"
        said = self.run_with(bugs, 'std::printf("%d %s", line(), file());\n')
        where = text.count("\n") + 1
        self.assertEqual(said, f"{where} {header}")

    def test_text_that_moved_is_an_error(self) -> None:
        said = self.refused("bug gone: x\nin room.hpp\nbefore\n    n / 7\nafter\n    n\n")
        self.assertIn("room.bugs:2: gone: this is not in hotindex/room.hpp: n / 7", said)

    def test_text_that_is_there_twice_is_an_error(self) -> None:
        bugs = "bug twice: x\nin room.hpp{}\nbefore\n    n / 3\nafter\n    n\n"
        self.assertIn("2 times: say which by", self.refused(bugs.format("")))
        self.assertEqual(self.plant(bugs.format(', after "int again("')).returncode, 0)
        (planted,) = (self.folder / "out").rglob("room.hpp")
        self.assertIn("third(int n) { return n / 3; }", planted.read_text())

    def test_what_else_does_not_fit_is_an_error(self) -> None:
        edit = "in room.hpp\nbefore\n    n / 2\nafter\n    n\n"
        for bugs, why in (
            ("bug a: x\n", "changes nothing"),
            (f"bug a: x\n{edit}bug a: y\n{edit}", "is the name of another bug"),
            ("bug a: x\nin attic.hpp\nbefore\n    n\nafter\n    m\n", "there is no file hotindex/attic.hpp"),
            ("bug a: x\nin room.hpp\nbefore\n    n / 2\n", "needs `before`, then `after` or `always`"),
            ("bug a: x\nin room.hpp\nbefore\n    n / 2\nafter\n    n / 2\n", "changes nothing"),
            ("bug a: x\nin room.hpp\nbefore\n    n / 2\nafter\n    n // no\n", "has a comment"),
            ("bug a: x\nin room.hpp\nafters\n", "found: afters"),
            (f"bug a: x\n{edit}bug b: y\nin room.hpp\nbefore\n    return n / 2;\nafter\n", "overlaps with"),
            (
                f"bug a: x\n{edit}bug b: y\nin room.hpp\nbefore\n    n / 2\nalways\n    n\n",
                "one says `always`",
            ),
        ):
            with self.subTest(why):
                self.assertIn(why, self.refused(bugs))

    def test_the_planted_bugs_fit_the_sources(self) -> None:
        bugs = sorted((ROOT / "impl" / "planted_bugs").glob("*.bugs"))
        self.assertTrue(bugs)
        flags = ["--sources", str(ROOT / "impl"), "--out", str(self.folder / "out"), *map(str, bugs)]
        command = [sys.executable, str(PLANT), *flags]
        ended = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        names = (self.folder / "out" / "names" / "hotindex" / "planted_bugs.hpp").read_text()
        count = sum(path.read_text().count("\nbug ") for path in bugs)
        self.assertEqual(names.count(',\n        "'), 2 * count)


if __name__ == "__main__":
    unittest.main()
