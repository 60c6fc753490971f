"""scripts/mutate: what is changed, who is asked about it, and what is said of it. Made-up modules and tests
stand in for the project's."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import subprocess
import sys
import unittest
from typing import Any
from unittest import mock

from common.failure import Failure
from mutate import command, coverage, report, trials, workshop
from mutate.coverage import Test
from mutate.python_mutants import Mutant, mutants_of
from mutate.report import Tally
from mutate.trials import Fate, Trials
from tree import Case

SOURCE = '''"""A module: 1 < 2."""

LIMIT = 3

@staticmethod
def first(a: int, b: int = 1) -> bool:
    """Returns 4."""
    if a < b and not LIMIT:
        note(a, b)
        return True
    return a + 2 > (
        b
    )

class Room:
    size = 0.5

    def try_it(self) -> None:
        try:
            print(f"{1 + 1}", flush=True)
        except ValueError:
            raise
        except OSError:
            self.x = 1
            self.y = min(self.x, 2)
        return
'''


def changes(source: str = SOURCE) -> dict[str, list[str]]:
    """Returns what is changed, by kind."""
    found: dict[str, list[str]] = {}
    for each in mutants_of("a.py", source):
        found.setdefault(each.kind, []).append(each.what)
    return found


class MutantsTest(unittest.TestCase):
    def test_every_mutant_is_python_and_leaves_the_lines_where_they_are(self) -> None:
        before = SOURCE.splitlines()
        found = mutants_of("a.py", SOURCE)
        self.assertGreater(len(found), 20)
        for each in found:
            after = each.apply(SOURCE)
            ast.parse(after)
            self.assertNotEqual(after, SOURCE)
            self.assertEqual(len(after.splitlines()), len(before))
            changed = [i for i, (old, new) in enumerate(zip(before, after.splitlines()), 1) if old != new]
            self.assertEqual(changed[0], each.line, each.what)

    def test_each_kind_of_change_is_made(self) -> None:
        found = changes()
        self.assertEqual(found["comparison"][:2], ["a < b -> a <= b", "a < b -> a >= b"])
        self.assertEqual(found["and, or"], ["a < b and not LIMIT -> a < b or not LIMIT"])
        self.assertEqual(found["sign dropped"], ["not LIMIT -> LIMIT"])
        self.assertEqual(found["operation"], ["a + 2 -> a - 2"])
        self.assertEqual(found["condition negated"], ["a < b and not LIMIT -> not (a < b and not LIMIT)"])
        self.assertEqual(found["branch dropped"], ["a < b and not LIMIT -> False"])
        self.assertEqual(found["condition dropped"], ["a < b and not LIMIT -> True"])
        self.assertEqual(found["return value"], ["a + 2 > ( b ) -> None"])
        self.assertEqual(found["function"], ["min -> max"])
        self.assertEqual(found["call dropped"][0], "note(a, b) -> pass")
        self.assertEqual(found["arguments swapped"], ["note(a, b) -> note(b, a)"])
        self.assertEqual(
            found["handler dropped"], ["except OSError: self.x = 1 self.y = min(self.x, 2) -> raise"]
        )
        self.assertIn("True -> False", found["constant"])
        self.assertIn("0.5 -> 1.0", found["constant"])
        self.assertEqual(changes("x = 100\ny = 99\n")["constant"], ["100 -> 50", "99 -> 100", "99 -> 98"])
        for new in ("3 -> 4", "3 -> 2"):
            self.assertIn(new, found["constant"])
        self.assertEqual(
            changes("for i in x:\n    if i:\n        continue\n    n += i\n    raise i\n")[
                "statement dropped"
            ],
            ["continue -> pass", "n += i -> pass", "raise i -> pass"],
        )
        self.assertEqual(changes("y = [a for a in x if a]\n")["condition dropped"], ["a -> True"])

    def test_what_only_a_reader_sees_is_not_changed(self) -> None:
        said = "\n".join(what for each in changes().values() for what in each)
        for text in ("Returns 4", "1 < 2", "1 + 1", "staticmethod", "flush"):
            self.assertNotIn(text + " ->", said)
        self.assertNotIn("True -> False", changes('p.add("--x", flush=True, help=1)\n').get("constant", []))
        self.assertEqual(changes('if __name__ == "__main__":\n    main(1, 2)\nx: int = y\n'), {})

    def test_a_mutant_knows_its_function_and_its_statement(self) -> None:
        by_what = {each.what: each for each in mutants_of("a.py", SOURCE)}
        late = by_what["a + 2 -> a - 2"]
        self.assertEqual((late.function, late.line, late.lines, late.late), ("first", 11, (11, 13), True))
        head = by_what["not LIMIT -> LIMIT"]
        self.assertEqual(head.lines, (8, 8))
        early = by_what["0.5 -> 1.0"]
        self.assertEqual((early.function, early.late), ("Room", False))
        default = next(each for each in mutants_of("a.py", SOURCE) if each.line == 6)
        self.assertEqual((default.what, default.late), ("1 -> 2", False))
        self.assertEqual(by_what["min -> max"].function, "Room.try_it")

    def test_equal_changes_of_one_function_are_told_apart(self) -> None:
        names = [each.name for each in mutants_of("a.py", "def f():\n    return x(1) + x(1)\n")]
        self.assertEqual(len(set(names)), len(names))
        self.assertIn("a.py: f: 1 -> 2 #2", names)

    def test_columns_are_those_of_characters(self) -> None:
        [each] = mutants_of("a.py", 'x = "äöü" < y\n')[:1]
        self.assertEqual(each.apply('x = "äöü" < y\n'), "x = ('äöü' <= y)\n")


def mutant(what: str = "a -> b", late: bool = True, lines: tuple[int, int] = (3, 5)) -> Mutant:
    """Returns a made-up mutant."""
    return Mutant("scripts/modules/m.py", "f", lines[0], lines, late, "kind", what, 0, 1, "b")


class AskedTest(unittest.TestCase):
    def test_who_runs_a_line_of_the_statement_is_asked(self) -> None:
        def reaches(*lines: int, late: bool = True, imported: bool = False) -> bool:
            files = frozenset(["scripts/modules/m.py"] if imported else [])
            test = Test("t", "test_m", 1, {"scripts/modules/m.py": set(lines)}, files)
            return test.reaches(mutant(late=late))

        self.assertEqual([reaches(line) for line in (2, 3, 4, 5, 6)], [False, True, True, True, False])
        self.assertFalse(reaches(imported=True))
        self.assertEqual(
            [reaches(9, late=False), reaches(late=False), reaches(late=False, imported=True)],
            [True, False, True],
        )
        self.assertFalse(Test("t", "test_m", 1, {"scripts/modules/n.py": {4}}).reaches(mutant()))


class ReportTest(Case):
    """Tallies, score and status."""

    def tallies(self, equivalent: dict[str, str] | None = None) -> tuple[list[Tally], list[str]]:
        """Returns the tally of one that is killed and of two that live."""
        fates = {
            "a": Fate("", "t", "failed", "", "test_m"),
            "b": Fate("", "", "", ""),
            "c": Fate("", "", "", ""),
        }
        mutants = [mutant(what) for what in fates]
        named = {each.name: fates[each.what] for each in mutants}
        return report.tally(mutants, named, equivalent or {})

    def test_who_lives_survives_unless_it_is_accepted(self) -> None:
        [each], wrong = self.tallies()
        self.assertEqual(
            (each.total, each.killed, each.equivalent, len(each.survivors), wrong), (3, 1, 0, 2, [])
        )
        self.assertAlmostEqual(each.score, 1 / 3)
        self.assertEqual(each.killers, {"test_m": 1})
        [each], wrong = self.tallies({mutant("b").name: "the same"})
        self.assertEqual(
            (each.total, each.killed, each.equivalent, len(each.survivors), wrong), (3, 1, 1, 1, [])
        )
        self.assertEqual(each.score, 0.5)
        self.assertEqual(Tally("none").score, 1)

    def test_an_accepted_one_that_is_killed_is_wrong(self) -> None:
        self.assertEqual(self.tallies({mutant("a").name: "the same"})[1], [mutant("a").name])

    def test_the_table_has_a_sum_and_the_page_each_survivor(self) -> None:
        tallies, _ = self.tallies()
        self.assertEqual(
            report.rows(tallies)[1:],
            [("scripts/modules/m.py", "3", "1", "0", "2", "33.3%"), ("all", "3", "1", "0", "2", "33.3%")],
        )
        page = report.markdown(tallies, "it", "c0ffee")
        self.assertIn("| all | 3 | 1 | 0 | 2 | 33.3% |", page)
        self.assertIn("- 3, f: kind: `b`", page)
        self.assertIn("Killed by: test_m 1.", page)
        document = report.as_json(tallies, "it", "c0ffee")["files"][0]
        self.assertEqual((document["killed"], document["survived"]), (1, 2))

    def test_reasons_must_be_there(self) -> None:
        path = self.scratch / "equivalent.json"
        self.assertEqual(report.read_equivalent(path), {})
        path.write_text('{"a": "why"}')
        self.assertEqual(report.read_equivalent(path), {"a": "why"})
        for text in ('{"a": ""}', "[]", '{"a": 1}'):
            path.write_text(text)
            with self.assertRaises(Failure):
                report.read_equivalent(path)


class StatusTest(Case):
    """The exit status, with made-up fates."""

    def main(self, lives: int, *flags: str, equivalent: dict[str, str] | None = None) -> tuple[object, str]:
        """Returns (exit status, what was said) where so many of ten mutants live."""
        mutants = [mutant(str(number)) for number in range(10)]

        def run(trial: Trials, asked: list[Mutant], sources: dict[str, str], jobs: int) -> None:
            for number, each in enumerate(asked):
                trial.fates[each.name] = Fate(each.name, "" if number < lives else "t", "", "")

        said = io.StringIO()
        patches: list[Any] = [
            mock.patch.object(sys, "argv", ["scripts/mutate", *flags]),
            mock.patch.object(command, "files", lambda only: ["scripts/mutate"]),
            mock.patch.object(command, "mutants_of", lambda path, source: mutants),
            mock.patch.object(command, "measure", lambda jobs, kept: ([Test("t", "test_runner", 1)], [])),
            mock.patch.object(command, "BUILD", self.scratch),
            mock.patch.object(report, "read_equivalent", lambda: equivalent or {}),
            mock.patch.object(Trials, "run", run),
        ]
        with contextlib.ExitStack() as stack, contextlib.redirect_stdout(said):
            for patch in patches:
                stack.enter_context(patch)
            status = command.main()
        return status, said.getvalue()

    def test_too_many_survivors_are_no_success(self) -> None:
        self.assertEqual(self.main(1)[0], 0)
        status, said = self.main(2)
        self.assertEqual(status, 1)
        self.assertIn("8 killed, 0 equivalent, 2 survived: 80.0%, 90% are asked for", said)
        self.assertIn("scripts/modules/m.py:3: f: kind: 0", said)
        self.assertEqual(self.main(2, "--at-least", "80")[0], 0)

    def test_what_is_accepted_counts_neither_way_and_must_live(self) -> None:
        accepted = {mutant("0").name: "the same", mutant("1").name: "the same"}
        self.assertEqual(self.main(2, equivalent=accepted)[0], 0)
        status, said = self.main(1, equivalent=accepted)
        self.assertEqual(status, 1)
        self.assertIn(f"accepted as equivalent, and killed: {mutant('1').name}", said)

    def test_a_sample_is_drawn_by_its_seed(self) -> None:
        def drawn(seed: str) -> list[str]:
            lines = self.main(9, "--sample", "3", "--seed", seed)[1].splitlines()
            return [line for line in lines if "kind" in line]

        self.assertEqual((len(drawn("1")), drawn("1")), (3, drawn("1")))
        self.assertNotEqual(drawn("1"), drawn("2"))

    def test_a_list_tries_nothing(self) -> None:
        status, said = self.main(9, "--list")
        self.assertEqual((status, said.splitlines()[-1]), (0, "10 mutants of 1 files"))

    def test_a_file_that_is_not_there_is_told(self) -> None:
        with self.assertRaisesRegex(Failure, "--only nowhere"):
            command.files(["nowhere"])
        self.assertEqual(command.files(["gate/runs.py"]), ["scripts/modules/gate/runs.py"])


class KeptTest(Case):
    """What is known is not tried again, and only while it holds."""

    def test_a_fate_holds_until_its_file_or_the_tests_change(self) -> None:
        tests = [
            Test("t", "test_m", 1, {"scripts/modules/m.py": {4}}),
            Test("u", "test_n", 2, {"scripts/modules/m.py": {4}}),
        ]
        kept = self.scratch / "kept.json"
        with mock.patch.object(trials, "digest", lambda path: path.stem):
            first = Trials(tests, kept)
            killed = Fate(mutant("a").name, "t", "failed", first.mark("source", ["test_m"]), "test_m")
            alive = Fate(mutant("b").name, "", "", first.mark_of_all("source", tests))
            first.fates = {each.name: each for each in (killed, alive)}
            first.keep()
            again = Trials(tests, kept)
            self.assertEqual(again.remembered(mutant("a"), "source"), killed)
            self.assertEqual(again.remembered(mutant("b"), "source"), alive)
            self.assertIsNone(again.remembered(mutant("a"), "other"))
            self.assertIsNone(Trials(tests, kept, 1).remembered(mutant("b"), "source"))
            self.assertIsNone(again.remembered(mutant("c"), "source"))
            self.assertEqual([each.name for each in again.asked(mutant())], ["t", "u"])
            self.assertEqual([each.name for each in Trials(tests, kept, 1).asked(mutant())], ["t"])
        with mock.patch.object(trials, "digest", lambda path: path.stem.replace("test_n", "changed")):
            other = Trials(tests, kept)
            self.assertEqual(other.remembered(mutant("a"), "source"), killed)
            self.assertIsNone(other.remembered(mutant("b"), "source"))

    def test_a_mutant_that_no_test_runs_lives(self) -> None:
        trial = Trials([Test("t", "test_runner", 1)], self.scratch / "kept.json")
        worker = mock.Mock()
        fate = trial.one(worker, mutant(), "source")
        self.assertTrue(fate.lives)
        self.assertEqual(fate.how, "no test runs it")
        worker.attempt.assert_not_called()


class WorkerTest(Case):
    """The program that tries mutants, on a project of one function."""

    TESTS = """import os, time, unittest
import m
class T(unittest.TestCase):
    def test_double(self): self.assertEqual(m.double(3), 6)
    def test_slow(self): self.assertGreater(m.double(3), 0)
"""

    def answers(self, *bodies: str) -> list[dict[str, str]]:
        """Returns the answers for a function with these bodies."""
        root = self.scratch / "project"
        for folder, name, text in (("tests", "test_m.py", self.TESTS), ("modules", "m.py", "whole")):
            (root / "scripts" / folder).mkdir(parents=True)
            (root / "scripts" / folder / name).write_text(text)
        fakes = self.scratch / "fakes"
        for name in ("numpy", "scipy", "matplotlib"):
            fakes.mkdir(exist_ok=True)
            (fakes / f"{name}.py").write_text("")
        tests = [["test_m.T.test_slow", 0.5], ["test_m.T.test_double", 30]]
        jobs = []
        for body in bodies:
            text = f"import os, sys, time\ndef double(n):\n    {body}\n"
            jobs.append(json.dumps({"path": "scripts/modules/m.py", "text": text, "tests": tests}))
        program = workshop.HERE / "worker.py"
        environment = {**self.environment, "PYTHONPATH": str(fakes)}
        done = subprocess.run(
            [sys.executable, str(program), str(root)],
            input="\n".join(jobs),
            env=environment,
            text=True,
            capture_output=True,
        )
        self.assertEqual((root / "scripts" / "modules" / "m.py").read_text(), "whole", done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_the_test_that_objects_is_told_and_how(self) -> None:
        found = self.answers(
            "return 2 * n",
            "return n",
            "return 0",
            "time.sleep(60)",
            "os._exit(0)",
            "sys.exit(0)",
            "return 2 *",
            "return n + n",
        )
        slow, double = "test_m.T.test_slow", "test_m.T.test_double"
        self.assertEqual(
            [(each["test"], each["how"]) for each in found],
            [
                ("", ""),
                (double, "failed"),
                (slow, "failed"),
                (slow, "took too long"),
                (slow, "ended the process"),
                (slow, "failed"),
                (slow, "failed"),
                ("", ""),
            ],
        )


class TraceTest(Case):
    def test_lines_are_noted_for_each_test_also_in_what_it_starts(self) -> None:
        root = self.scratch / "project"
        texts = {
            "scripts/modules/m.py": "import n\ndef a():\n    return 1\ndef b():\n    return 2\n",
            "scripts/modules/n.py": "x = 1\n",
            "scripts/modules/start.py": "import sys\ndef go():\n    return 3\ngo()\n",
            "impl/planted_bugs/plant.py": "import sys\n",
            "scripts/tests/test_m.py": """import subprocess, sys, unittest
import m
class T(unittest.TestCase):
    def test_a(self): m.a()
    def test_b(self): m.b()
    def test_child(self): subprocess.run([sys.executable, "scripts/modules/start.py"], check=True)
    def test_bad(self): self.fail()
""",
        }
        for name, text in texts.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        workshop.let_trace(root)
        found = coverage.trace(root, "test_m")
        by_name = {
            name.rpartition(".")[2]: lines for (name, _, _), lines in zip(found["tests"], found["lines"])
        }
        self.assertEqual(by_name["test_a"], {"scripts/modules/m.py": [2, 3]})
        self.assertEqual(by_name["test_b"], {"scripts/modules/m.py": [4, 5]})
        self.assertEqual(by_name["test_child"], {"scripts/modules/start.py": [2, 3]})
        self.assertEqual(
            {name.rpartition(".")[2]: good for name, _, good in found["tests"]},
            {"test_a": True, "test_b": True, "test_child": True, "test_bad": False},
        )
        self.assertEqual(sorted(found["imported"]), ["scripts/modules/m.py", "scripts/modules/n.py"])


if __name__ == "__main__":
    unittest.main()
