"""scripts/model_check: how models, mutants and Spin are asked, and what is looked for where."""

from __future__ import annotations

import argparse
import json
import sys
import unittest
from pathlib import Path
from typing import Sequence
from unittest import mock

from common import builds
from model_check import command, models, mutants, protocol, spin, windows
from model_check.models import Results, Row
from model_check.protocol_list import BUGS, CONFIGURATIONS, LONG, MOMENT
from model_check.spin import SpinFailed
from test_model_check import BUG, MUTANT, NAME, SITE, ModelCase, facts, quietly

OTHER = "handover:a.hpp:give:store=acquire"


def said_of(name: str, kills: int, tries: int = 1000, verdict: str = "killed") -> Row:
    """Returns what a model says of a mutant."""
    place, _, to = name.rpartition("=")
    counted = {"kills": str(kills), "tries": str(tries), "verdict": verdict}
    return {**MUTANT, "id": place, "to": to, **counted}


class AskingTest(ModelCase):
    def test_mutants_are_asked_of_planted_models_and_never_of_the_litmus_tests(self) -> None:
        asked: list[object] = []

        def run_models(chosen: list[str], flags: list[str], planted: bool = False) -> Results:
            asked.append((chosen, flags, planted))
            return {}

        self.replace(mutants, "run_models", run_models)
        mutants.ask(["litmus", "pool", "map"], ["--find"])
        self.assertEqual(asked, [(["pool", "map"], ["--find"], True)])

    def test_a_rate_is_failures_an_execution(self) -> None:
        self.assertEqual(mutants.rate(said_of(NAME, 3, 4)), 0.75)
        self.assertEqual(mutants.rate(said_of(NAME, 0, 0)), 0)
        self.assertEqual(mutants.rate(said_of(NAME, 1, 1)), 1)
        self.assertAlmostEqual(mutants.RARE, 0.0025)

    def test_the_verdicts_of_several_models_have_an_order(self) -> None:
        results: Results = {
            model: (0, facts(mutants=(said_of(NAME, 1, verdict=verdict),)))
            for model, verdict in (("a", "survived"), ("b", "undecided"), ("c", "killed"))
        }
        found = mutants.answers(results)[NAME]
        self.assertEqual([model for model, _ in found], ["c", "b", "a"])

    def test_two_models_number_what_they_meet_apart(self) -> None:
        several = {**SITE, "id": "z"}
        places = ({**several, "line": "1"}, {**several, "line": "2"}, SITE, {**SITE, "line": "9"})
        self.assertEqual(mutants.one_mutant_each({"a": (0, facts(sites=places))}), [SITE["id"], "z"])
        relaxed = {**SITE, "line": "9", "order": "relaxed"}
        self.assertEqual(mutants.one_mutant_each({"a": (0, facts(sites=(SITE, relaxed)))}), [])

    def found(
        self, *answers: list[Row], models: Sequence[str] = ("pool", "map")
    ) -> tuple[dict[str, str], list[list[str]], str]:
        """Returns (the model and the kills that were found, by mutant; who was asked; what was said) where
        models say this, one after the other."""
        asked: list[list[str]] = []
        said = iter(answers)

        def ask(chosen: list[str], flags: list[str]) -> Results:
            asked.append([*chosen, *flags])
            return {chosen[0]: (0, facts(mutants=tuple(next(said))))}

        self.replace(mutants, "ask", ask)
        out, told = quietly(lambda: mutants.find([*models, "litmus"], [NAME, OTHER]))
        assert isinstance(out, dict)
        return {name: f"{model} {row['kills']}" for name, (model, row) in out.items()}, asked, told

    def test_windows_are_looked_for_in_small_models_first(self) -> None:
        found, asked, told = self.found([said_of(NAME, 100), said_of(OTHER, 50)])
        self.assertEqual(found, {NAME: "pool 100", OTHER: "pool 50"})
        self.assertEqual(asked, [["pool", "--find", "--mutant", NAME, "--mutant", OTHER]])
        self.assertEqual(told, "")

    def test_what_fails_rarely_is_looked_for_in_the_next_model_too(self) -> None:
        found, asked, told = self.found([said_of(NAME, 100), said_of(OTHER, 1)], [said_of(OTHER, 9)])
        self.assertEqual(found, {NAME: "pool 100", OTHER: "map 9"})
        self.assertEqual(asked[1], ["map", "--find", "--mutant", OTHER])
        self.assertEqual(told, "")

    def test_the_best_of_the_rare_windows_is_kept_and_told(self) -> None:
        found, _, told = self.found([said_of(NAME, 100), said_of(OTHER, 2)], [said_of(OTHER, 1)])
        self.assertEqual(found[OTHER], "pool 2")
        self.assertEqual(told, f"{OTHER}: fails only 2 times in 1000 executions\n")
        alive = [said_of(OTHER, 0, verdict="survived")]
        found, _, told = self.found([said_of(NAME, 100), *alive], alive)
        self.assertNotIn(OTHER, found)
        self.assertEqual(told, f"{OTHER}: no window found\n")
        found, _, told = self.found([said_of(NAME, 100), said_of(OTHER, 2, 800)], [said_of(OTHER, 2, 800)])
        self.assertEqual(
            told, f"{OTHER}: fails only 2 times in 800 executions\n" if 2 / 800 < mutants.RARE else ""
        )

    def test_only_models_that_were_asked_for_are_asked(self) -> None:
        _, asked, _ = self.found([said_of(NAME, 100), said_of(OTHER, 9)], models=("map",))
        self.assertEqual(asked[0][0], "map")

    def test_windows_that_were_found_are_written_in_the_order_of_the_source(self) -> None:
        later = {**SITE, "line": "70", "id": "zz"}
        earlier = {**SITE, "line": "9", "id": "yy"}
        results: Results = {
            "pool": (
                0,
                facts(
                    sites=(later, earlier),
                    mutants=(said_of("zz=relaxed", 0, verdict="survived"),),
                    bugs=(BUG,),
                ),
            )
        }
        written: list[tuple[object, list[str]]] = []
        self.replace(mutants, "ask", lambda models, flags: results)
        self.replace(mutants, "declared_bugs", lambda: ["free_one_early"])
        self.replace(mutants, "read_windows", lambda: {})
        self.replace(mutants, "write_windows", lambda windows, names: written.append((dict(windows), names)))
        self.replace(
            mutants,
            "find",
            lambda models, names: {
                name: ("pool", {**said_of(name, 9), "by": "late", "search": "full"})
                for name in names
                if name == "zz=relaxed"
            },
        )
        options = argparse.Namespace(mutant="", find_windows=True, deep=True)
        out, told = quietly(lambda: mutants.mutate(options, ["pool"]))
        assert isinstance(out, tuple)
        self.assertEqual(
            written, [({"zz=relaxed": ("late", "full")}, ["yy=relaxed", "zz=relaxed", "free_one_early"])]
        )
        self.assertIn("looking for windows of 2: yy=relaxed, zz=relaxed", told)
        self.assertIn("not killed in a window of their own, so searched more widely: yy=relaxed", told)
        made = out[0]
        self.assertEqual(made["command"], "scripts/model_check --mutate --deep")
        self.assertEqual([(row["id"], row["window"]) for row in made["mutants"]], [("zz", "late, full")])

    def test_some_mutants_alone_can_be_asked_about(self) -> None:
        results: Results = {"pool": (0, facts(mutants=(MUTANT,), bugs=(BUG,)))}
        self.replace(mutants, "ask", lambda models, flags: results)
        self.replace(mutants, "declared_bugs", lambda: ["free_one_early"])
        self.replace(mutants, "read_windows", lambda: {})
        options = argparse.Namespace(mutant="free", find_windows=False, deep=False)
        out, told = quietly(lambda: mutants.mutate(options, ["pool"]))
        assert isinstance(out, tuple)
        self.assertEqual((len(out[0]["mutants"]), len(out[0]["bugs"])), (0, 1))
        self.assertIn("1 mutants asked about", told)


class ProgramsTest(ModelCase):
    def test_programs_lie_in_the_build_folder(self) -> None:
        self.assertEqual(models.executable("pool").name, "pool_model")
        self.assertEqual(models.executable("pool", True).name, "pool_model_planted")
        self.assertEqual(models.executable("pool").parent, models.BUILD / "relacy")

    def test_planted_models_are_built_where_they_are_asked_for(self) -> None:
        for planted, works in ((True, True), (False, True), (False, False)):
            built: list[list[str]] = []

            def run_in_turn(commands: list[list[object]], log: Path) -> bool:
                built.extend([str(word) for word in words] for words in commands)
                self.assertEqual(log.name, "relacy-build.log")
                return works

            self.replace(builds, "run_in_turn", run_in_turn)
            said = quietly(lambda: models.build(planted))[1]
            self.assertEqual(
                ["planted_models" in words for words in built], [False, False, True][: 2 + planted]
            )
            self.assertEqual("the models do not build" in said, not works)

    def test_models_are_run_planted_where_that_is_asked_for(self) -> None:
        path = self.folder / "model"
        path.write_text('#!/bin/sh\necho "$*"\n')
        path.chmod(0o755)
        asked: list[tuple[str, bool]] = []

        def executable(model: str, planted: bool = False) -> Path:
            asked.append((model, planted))
            return path

        self.replace(models, "executable", executable)
        for planted in (False, True):
            said = quietly(lambda: models.run_models(["pool"], ["--only", "x"], planted))[1]
            self.assertIn("== pool ==\n--only x --report ", said)
        quietly(lambda: models.run_models(["pool"], []))
        self.assertEqual(asked, [("pool", False), ("pool", True), ("pool", False)])

    def here(self, **options: object) -> str:
        """Returns what a model is called with."""
        path = self.folder / "model"
        path.write_text('#!/bin/sh\necho "$*" >&2\n')
        path.chmod(0o755)
        self.replace(command, "executable", lambda model, planted=False: path)
        fixed = {"only": "late", "mutant": "", "replay": "", "list": False, "deep": False, "executions": None}
        return quietly(lambda: command.run_here(["m"], argparse.Namespace(**{**fixed, **options})))[1].strip()

    def test_models_are_told_what_the_command_line_says(self) -> None:
        self.assertEqual(self.here(), "--only late")
        self.assertEqual(self.here(mutant="x", replay="full:3"), "--only late --mutant x --replay full:3")
        self.assertEqual(
            self.here(list=True, deep=True, executions=7), "--only late --list --deep --executions 7"
        )

    def test_where_no_model_knows_a_mutant_one_says_so(self) -> None:
        path = self.folder / "model"
        path.write_text("#!/bin/sh\necho no such mutant >&2\nexit 4\n")
        path.chmod(0o755)
        self.replace(command, "executable", lambda model, planted=False: path)
        fixed = {"only": "", "mutant": "x", "replay": "", "list": False, "deep": False, "executions": None}
        status, said = quietly(lambda: command.run_here(["a", "b"], argparse.Namespace(**fixed)))
        self.assertEqual((status, said), (2, "no such mutant\n"))

    def main(self, *flags: str) -> tuple[object, list[object]]:
        """Returns (exit status, what was called) of scripts/model_check."""
        called: list[object] = []

        def run_models(chosen: list[str], flags: list[str]) -> Results:
            called.append((chosen, flags))
            return {"pool": (0, facts("a"))}

        def build(planted: bool) -> bool:
            called.append(planted)
            return True

        def run_here(chosen: list[str], options: argparse.Namespace) -> int:
            called.append(chosen)
            return 7

        def check_protocol(quick: bool, only: str) -> int:
            called.append((quick, only))
            return 9

        for name, value in (
            ("run_models", run_models),
            ("build", build),
            ("run_here", run_here),
            ("check_protocol", check_protocol),
        ):
            self.replace(command, name, value)
        for name in ("check_coverage", "check_ledger"):
            self.replace(command, name, lambda results, checks: None)
        self.replace(command, "models_with", lambda only: ["pool"])
        self.replace(sys, "argv", ["scripts/model_check", *flags])
        return quietly(command.main)[0], called

    def test_each_task_is_given_what_was_asked_for(self) -> None:
        self.assertEqual(self.main(), (0, [False, (models.MODELS, ["--only", ""])]))
        self.assertEqual(self.main("--quick")[0], 0)
        deep = ["--only", "", "--deep", "--executions", "1"]
        self.assertEqual(self.main("--deep", "--executions", "1"), (0, [False, (models.MODELS, deep)]))
        self.assertEqual(self.main("--only", "late"), (0, [False, (["pool"], ["--only", "late"])]))
        self.assertEqual(self.main("--only", "late", "--list"), (7, [False, ["pool"]]))
        self.assertEqual(self.main("--only", "late", "--replay", "full:1"), (7, [False, ["pool"]]))
        self.assertEqual(self.main("--mutant", "x"), (7, [True, models.MODELS]))
        self.assertEqual(self.main("--protocol", "--quick", "--only", "x"), (9, [(True, "x")]))


class SpinTest(ModelCase):
    """A search, with made-up programs in place of Spin, the compiler and what that makes."""

    def programs(self, *, spin_: str = "touch pan.c", gcc: str = "true", pan: str = "true") -> None:
        """Puts the programs on the PATH; gcc makes a pan."""
        made = f"printf '#!/bin/sh\\n%s\\n' '{pan}' >pan; chmod +x pan; echo \"$*\" >flags"
        # Asked for its version, Spin runs anywhere.
        heard = f'[ "$1" = -V ] || echo "$*" >spin-flags\n{spin_}'
        for name, script in (("spin", heard), ("gcc", f"{made}\n{gcc}")):
            path = self.folder / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        patch = mock.patch.dict("os.environ", {"PATH": f"{self.folder}:/usr/bin:/bin"})
        patch.start()
        self.addCleanup(patch.stop)

    def search(self, long: bool = False, timeout: float = 60) -> tuple[spin.Outcome, list[str]]:
        """Returns (the outcome of a search, the progress that was told)."""
        told: list[str] = []
        folder = self.folder / "search"
        found = spin.search(
            Path("model.pml"), {"OPS": 2, "BUG": 1}, folder, told.append, long=long, timeout=timeout
        )
        return found, told

    def test_a_search_is_made_run_and_read(self) -> None:
        self.programs(pan="echo States= 1.5e+06; echo $*")
        found, told = self.search()
        self.assertEqual(
            (found.verdict, found.why), (spin.INCOMPLETE, "the search does not say what it has met")
        )
        self.assertEqual(told, ["1,500,000 states"])
        folder = self.folder / "search"
        self.assertEqual(
            (folder / "spin-flags").read_text().split(), ["-a", "-DOPS=2", "-DBUG=1", "model.pml"]
        )
        flags = (folder / "flags").read_text().split()
        self.assertIn("-DMEMLIM=4000", flags)
        self.assertIn("-O0", flags)
        self.assertIn("-m20000 -w24", (folder / "log").read_text())
        (folder / "old").write_text("")
        self.search(long=True)
        self.assertIn("-O2", (folder / "flags").read_text())
        self.assertFalse((folder / "old").exists())

    def test_a_search_that_ends_badly_or_not_at_all_is_incomplete(self) -> None:
        self.programs(pan="exit 3")
        self.assertIn("status 3", self.search()[0].why)
        self.programs(pan="sleep 60")
        self.assertEqual(self.search(timeout=0.3)[0].why, "it took too long")

    def test_a_model_that_becomes_no_program_is_a_failure(self) -> None:
        for programs in ({"spin_": "exit 1"}, {"spin_": "true"}, {"gcc": "echo no; exit 1"}):
            self.programs(**programs)
            with self.assertRaisesRegex(SpinFailed, "failed:"):
                self.search()

    def test_the_version_is_that_of_spin(self) -> None:
        self.programs(spin_="echo Spin Version 6.5.2 -- 6 December 2019")
        self.assertEqual(spin.version(), "6.5.2")
        self.programs(spin_="echo of my own")
        self.assertEqual(spin.version(), "of my own")
        (self.folder / "spin").unlink()
        with mock.patch.dict("os.environ", {"PATH": str(self.folder)}):
            with self.assertRaisesRegex(SpinFailed, "spin is not installed"):
                spin.version()

    def test_nothing_is_said_of_a_search_that_says_nothing(self) -> None:
        found = spin.read_outcome("", 0)
        self.assertEqual(
            (found.errors, found.states, found.depth, found.memory, found.seconds), (0, 0, 0, 0.0, 0.0)
        )
        self.assertEqual(spin.Outcome("x"), spin.Outcome("x", "", 0, 0, 0, 0.0, 0.0))
        said = "pan:1: assertion violated (a==b) (at depth 9)\ndepth reached 9, errors: 0\n"
        self.assertEqual(spin.read_outcome(said, 0).verdict, spin.INCOMPLETE)


class ProtocolTest(ModelCase):
    """What is told of the searches of the protocol."""

    def row(self, verdict: str, planted: bool = False, why: str = "why") -> protocol.Row:
        """Returns a made-up search."""
        outcome = spin.Outcome(verdict, why, 1, 1234, 56, 78.9, 2.5)
        return protocol.Row(CONFIGURATIONS[0], BUGS[0] if planted else None, outcome)

    def test_a_fault_is_told_in_its_own_words(self) -> None:
        for verdict, planted, words in (
            (spin.HOLDS, False, ""),
            (spin.VIOLATED, True, ""),
            (spin.VIOLATED, False, "the protocol fails: why\n  its trace: cd build/protocol/"),
            (spin.HOLDS, True, f"the planted error survives in {CONFIGURATIONS[0].name}: -D"),
            (spin.INCOMPLETE, False, "not decided: why; -D"),
            (spin.INCOMPLETE, True, "not decided: why; -D"),
        ):
            fault = self.row(verdict, planted).fault()
            self.assertTrue(fault.startswith(words), fault)
            self.assertEqual(bool(fault), bool(words))

    def test_the_table_has_a_row_for_each_search(self) -> None:
        searches = [(spin.HOLDS, False), (spin.INCOMPLETE, False), (spin.VIOLATED, True), (spin.HOLDS, True)]
        lines = protocol.table([self.row(*each) for each in searches], "6.5.2").splitlines()
        rows = [line for line in lines if "1,234" in line]
        self.assertEqual(len(rows), 4)
        self.assertTrue(rows[0].endswith("| 1,234 | 56 | 2.5 | 79 | 1 |"))
        self.assertTrue(rows[1].endswith("| 1,234 | 56 | 2.5 | 79 | **not decided**: why |"))
        self.assertTrue(
            rows[2].startswith(f"| {BUGS[0].number} | {BUGS[0].what} | {CONFIGURATIONS[0].name} | `why` |")
        )
        self.assertIn("| **holds** why | 1,234 | 2.5 | 1 |", rows[3])
        self.assertIn("1 of 2 configurations; 1 of 2 planted errors", "\n".join(lines))
        self.assertEqual(lines.count("## Planted errors"), 1)
        parameters = protocol.shown_parameters({"A": 1, "B": 2})
        self.assertEqual(parameters, "A=1 B=2")
        kept = protocol.as_json(self.row(spin.VIOLATED, True))
        self.assertEqual((kept["name"], kept["verdict"], kept["states"]), (BUGS[0].name, spin.VIOLATED, 1234))

    def test_each_search_is_given_its_parameters_and_told(self) -> None:
        given: list[tuple[object, ...]] = []

        def search(*words: object, long: bool, timeout: float) -> spin.Outcome:
            given.append((*words[:3], long, timeout))
            words[3]("half")  # type: ignore[operator]
            return spin.Outcome(spin.HOLDS, "", 0, 1234, 56, 78.9, 2.5)

        self.replace(spin, "search", search)
        each = CONFIGURATIONS[0]
        _, said = quietly(lambda: protocol.search_all([(each, None), (CONFIGURATIONS[-1], BUGS[0])]))
        folder = protocol.BUILD / each.name
        long = each.seconds > LONG
        self.assertEqual(given[0], (protocol.MODEL, dict(each.parameters), folder, long, protocol.TIMEOUT))
        self.assertEqual(given[1][1], {**CONFIGURATIONS[-1].parameters, "BUG": BUGS[0].number})
        self.assertRegex(said, rf"{each.name} +holds +1,234 states  depth   56 +2.5 s +79 MiB")
        self.assertIn(f"FAILED: {BUGS[0].name}: the planted error survives", said)

    def test_what_takes_a_moment_is_what_the_list_says(self) -> None:
        quick = {(each.name, bug) for each, bug in protocol.chosen(True, "")}
        for each in CONFIGURATIONS:
            self.assertEqual((each.name, None) in quick, each.seconds <= MOMENT)
        self.assertEqual({bug for _, bug in quick if bug}, {bug for bug in BUGS if bug.quick})

    def test_the_documents_hold_every_search_once(self) -> None:
        self.replace(spin, "version", lambda: "6.5.2")
        self.replace(protocol, "LEDGER", self.folder)
        self.replace(
            protocol, "search_all", lambda jobs: [self.row(spin.HOLDS), self.row(spin.VIOLATED, True)]
        )
        status, said = quietly(lambda: protocol.check_protocol(False, ""))
        self.assertEqual((status, said.splitlines()[-1]), (0, "2 passed, 0 failed"))
        self.assertIn("# The snapshot protocol in Spin", said)
        document = json.loads((self.folder / "protocol.json").read_text())
        self.assertEqual([len(document[part]) for part in ("configurations", "planted")], [1, 1])
        self.assertEqual((document["planted"][0]["name"], document["spin"]), (BUGS[0].name, "6.5.2"))
        status, said = quietly(lambda: protocol.check_protocol(False, "no such thing"))
        self.assertEqual((status, "--only no such thing: no configuration" in said), (2, True))


class WindowsTest(ModelCase):
    def test_windows_are_read_and_faults_of_the_file_are_told(self) -> None:
        path = self.folder / "windows.txt"
        self.replace(windows, "WINDOWS", path)
        self.assertEqual(windows.read_windows(), {})
        path.write_text("# a comment\n\na=relaxed late bound 2 \nb early full\n")
        self.assertEqual(windows.read_windows(), {"a=relaxed": ("late", "bound 2"), "b": ("early", "full")})
        for text, told in (
            ("a late\n", "txt:1: expected MUTANT"),
            ("a b c\na b d\n", "txt:2: a has a window already"),
        ):
            path.write_text(text)
            with self.assertRaises(SystemExit) as raised:
                windows.read_windows()
            self.assertIn(told, str(raised.exception))
        windows.write_windows(
            {"a": ("late", "full"), "bcd": ("early", "bound 2"), "gone": ("x", "y")}, ["bcd", "a", "none"]
        )
        self.assertEqual(path.read_text(), windows.HEAD + "bcd early bound 2\na   late full\n")
        self.assertEqual(list(windows.read_windows()), ["bcd", "a"])


if __name__ == "__main__":
    unittest.main()
