"""scripts/model_check: a model that fails, a mutant that lives, an order that no model meets: each makes the
exit status. Made-up reports stand in for the models."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Callable
from unittest import mock

from bench.results import Json
from common import builds
from model_check import checks as check_module
from model_check import command, ledger, models, mutants, protocol, spin, windows
from model_check.checks import Checks
from model_check.ledger import Ledger
from model_check.models import Facts, Results, Row
from model_check.protocol_list import BUGS, CONFIGURATIONS
from model_check.spin import HOLDS, INCOMPLETE, VIOLATED, Outcome

SITE: Row = {
    "id": "handover:a.hpp:give:store",
    "edge": "handover",
    "file": "/x/impl/hotindex/a.hpp",
    "line": "7",
    "function": "give",
    "operation": "store",
    "order": "release",
    "executions": "9",
}
FATE: Row = {
    "verdict": "killed",
    "by": "scenario",
    "search": "bound 2",
    "execution": "5",
    "result": "Data race",
    "kills": "3",
    "tries": "4",
}
MUTANT: Row = {**{key: value for key, value in SITE.items() if key != "executions"}, "to": "relaxed", **FATE}
BUG: Row = {"name": "free_one_early", "what": "frees one early", **FATE}
NAME = "handover:a.hpp:give:store=relaxed"


def facts(
    *scenarios: str,
    sites: tuple[Row, ...] = (SITE,),
    mutants: tuple[Row, ...] = (),
    bugs: tuple[Row, ...] = (),
) -> Facts:
    """Returns a model's report."""
    searches = [{"scenario": name, "executions": "100"} for name in scenarios]
    return Facts(searches, list(sites), list(mutants), list(bugs))


def quietly(run: Callable[[], object]) -> tuple[object, str]:
    """Returns (what a function returns, what it prints)."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return run(), said.getvalue()


class ModelCase(unittest.TestCase):
    """Each test has a folder of its own."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="hotindex-scripts-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def replace(self, owner: object, name: str, value: object) -> None:
        """Puts something in another's place for the time of the test."""
        patch = mock.patch.object(owner, name, value)
        patch.start()
        self.addCleanup(patch.stop)


class RunTest(ModelCase):
    """The programs, their reports and their statuses."""

    def program(self, script: str) -> None:
        """Makes every model a program that does so; $report is where it reports."""
        path = self.folder / "model"
        taken = 'while [ $# -gt 1 ]; do [ "$1" = --report ] && report=$2; shift; done'
        path.write_text(f"#!/bin/sh\n{taken}\n{script}\n")
        path.chmod(0o755)
        for module in (models, command):
            self.replace(module, "executable", lambda model, planted=False: path)

    def test_status_and_report_of_each_model_are_kept(self) -> None:
        line = "\\t".join(["search", "late_reader", "2", "bound 2", "100", "0.5", "ok"])
        self.program(f'printf "{line}\\n" >"$report"; echo told; exit 3')
        found, said = quietly(lambda: models.run_models(["pool", "map"], []))
        assert isinstance(found, dict)
        self.assertEqual(sorted(found), ["map", "pool"])
        for status, report in found.values():
            self.assertEqual(status, 3)
            self.assertEqual(
                (report.searches[0]["scenario"], report.searches[0]["executions"]), ("late_reader", "100")
            )
        self.assertEqual(said.count("told"), 2)
        self.assertIn("== pool ==", said)

    def test_every_kind_of_row_is_read(self) -> None:
        path = self.folder / "report"
        kinds = {"site": models.SITE, "mutant": models.MUTANT, "bug": models.BUG, "search": models.SEARCH}
        path.write_text("".join("\t".join([kind, *names]) + "\n" for kind, names in kinds.items()))
        found = models.read_report(path)
        for rows, names in (
            (found.sites, models.SITE),
            (found.mutants, models.MUTANT),
            (found.bugs, models.BUG),
            (found.searches, models.SEARCH),
        ):
            self.assertEqual(rows, [{name: name for name in names}])

    def here(self, *statuses: int, **options: object) -> object:
        """Returns the exit status where models end so."""
        self.program(
            'n=$(cat "$0.n" 2>/dev/null || echo 1); echo $((n + 1)) >"$0.n"; exit $(sed -n ${n}p "$0.s")'
        )
        (self.folder / "model.s").write_text("".join(f"{status}\n" for status in statuses))
        (self.folder / "model.n").unlink(missing_ok=True)
        chosen = {
            "only": "",
            "mutant": "",
            "replay": "",
            "list": False,
            "deep": False,
            "executions": None,
            **options,
        }
        return quietly(lambda: command.run_here(["m"] * len(statuses), argparse.Namespace(**chosen)))[0]

    def test_one_model_that_fails_is_no_success(self) -> None:
        self.assertEqual(self.here(0, 0), 0)
        self.assertEqual(self.here(0, 1), 1)
        self.assertEqual(self.here(1, 0), 1)

    def test_a_mutant_that_no_model_knows_is_wrong_usage(self) -> None:
        self.assertEqual(self.here(4, 4, mutant="x"), 2)
        self.assertEqual(self.here(4, 1, mutant="x"), 1)
        self.assertEqual(self.here(4, 0, mutant="x"), 0)

    def test_scenarios_are_found_by_their_whole_name_first(self) -> None:
        self.replace(command, "MODELS", ["a", "b"])
        listed = {"a": "read 2 threads\n", "b": "read_late 2 threads\n\n"}
        for model, text in listed.items():
            path = self.folder / model
            path.write_text(f"#!/bin/sh\nprintf '{text}'\n")
            path.chmod(0o755)
        self.replace(command, "executable", lambda model, planted=False: self.folder / model)
        self.assertEqual(command.models_with("read"), ["a"])
        self.assertEqual(command.models_with("rea"), ["a", "b"])
        self.assertEqual(command.models_with("late"), ["b"])
        self.assertEqual(command.models_with("none"), [])

    def test_models_that_do_not_build_are_a_failure(self) -> None:
        for works, status in ((True, True), (False, False)):
            self.replace(builds, "run_in_turn", lambda commands, log: works)
            self.assertEqual(quietly(lambda: models.build(True))[0], status)


class MainTest(ModelCase):
    """The exit status of scripts/model_check."""

    def main(
        self, results: Results, *flags: str, builds: bool = True, good: bool = True
    ) -> tuple[object, list[str]]:
        """Returns (exit status, what was said) where the models report this."""

        def check(results: Results, checks: Checks) -> None:
            checks.check(good, "it is so", "repair it")

        self.replace(sys, "argv", ["scripts/model_check", *flags])
        self.replace(command, "build", lambda planted: builds)
        self.replace(command, "run_models", lambda models, flags: results)
        self.replace(command, "models_with", lambda only: ["pool"] if only == "late" else [])
        self.replace(command, "check_coverage", check)
        self.replace(command, "check_ledger", check)
        status, said = quietly(command.main)
        return status, said.splitlines()

    def test_scenarios_and_checks_are_counted(self) -> None:
        status, said = self.main({"pool": (0, facts("a", "b", "a")), "map": (0, facts("c"))})
        self.assertEqual((status, said[-1]), (0, "5 passed, 0 failed"))
        self.assertIn("400 executions", said[-2])

    def test_a_model_that_fails_is_no_success(self) -> None:
        for failing in (1, 134, -11):
            status, said = self.main({"pool": (failing, facts("a", "b")), "map": (0, facts("c"))})
            self.assertEqual((status, said[-1]), (1, "4 passed, 1 failed"))
        status, said = self.main({"pool": (1, facts())})
        self.assertEqual((status, said[-1]), (1, "2 passed, 1 failed"))

    def test_a_check_that_fails_is_no_success_and_says_how_to_repair_it(self) -> None:
        status, said = self.main({"pool": (0, facts("a"))}, good=False)
        self.assertEqual((status, said[-1]), (1, "1 passed, 2 failed"))
        self.assertIn("FAILED: it is so", said)
        self.assertIn("  repair it", said)

    def test_one_scenario_alone_is_not_held_against_the_whole(self) -> None:
        status, said = self.main({"pool": (0, facts("a"))}, "--only", "late", good=False)
        self.assertEqual((status, said[-1]), (0, "1 passed, 0 failed"))
        self.assertEqual(self.main({}, "--only", "none")[0], 2)

    def test_what_does_not_build_is_no_success(self) -> None:
        self.assertEqual(self.main({}, builds=False)[0], 1)

    def mutated(self, mutants: list[Row], bugs: list[Row], *flags: str) -> tuple[object, list[str]]:
        """Returns the outcome of --mutate with such a ledger."""
        made = mutate_ledger(mutants, bugs)
        results: Results = {"pool": (0, facts("a"))}
        self.replace(command, "mutate", lambda options, models: (made if mutants or bugs else None, results))
        self.written: list[Ledger] = []
        self.replace(command, "write_ledger", self.written.append)
        return self.main(results, "--mutate", *flags)

    def test_a_ledger_is_written_and_checked(self) -> None:
        status, said = self.mutated([MUTANT], [BUG])
        self.assertEqual((status, said[-1], len(self.written)), (0, "4 passed, 0 failed", 1))

    def test_models_that_fail_without_a_mutant_are_no_success(self) -> None:
        status, said = self.mutated([], [])
        self.assertEqual((status, said[-1], self.written), (1, "0 passed, 1 failed", []))
        self.assertIn("the models fail without any mutant", said)

    def test_some_mutants_are_checked_and_nothing_is_written(self) -> None:
        self.replace(command, "read_windows", lambda: {})
        status, said = self.mutated([MUTANT], [], "--mutant", "give")
        self.assertEqual((status, self.written), (0, []))

    def test_flags_that_do_not_go_together_are_wrong_usage(self) -> None:
        for flags in (
            ["--find-windows"],
            ["--mutate", "--only", "a"],
            ["--mutate", "--list"],
            ["--replay", "full:3"],
            ["--executions", "3"],
            ["--deep", "--executions", "0"],
            ["--protocol", "--mutate"],
        ):
            with self.subTest(flags=flags), self.assertRaises(SystemExit) as raised:
                self.main({}, *flags)
            self.assertEqual(raised.exception.code, 2)


def mutate_ledger(rows: list[Row], bugs: list[Row], in_window: bool = True) -> Ledger:
    """Returns a ledger with these rows."""
    place = {"window": "scenario, bound 2", "in_window": in_window, "model": "pool"}
    every: list[list[Json]] = [[{**row, **place} for row in part] for part in (rows, bugs)]
    return {"command": "it", "executions_in_a_window": 2000, "mutants": every[0], "bugs": every[1]}


class ChecksTest(ModelCase):
    """What is held against the source."""

    def setUp(self) -> None:
        super().setUp()
        self.checks = Checks()
        self.results: Results = {"pool": (0, facts("a"))}
        self.windows: windows.Windows = {NAME: ("scenario", "bound 2")}
        self.replace(check_module, "LEDGER", self.folder)
        self.replace(check_module, "ROOT", self.folder)
        self.replace(check_module, "declared_edges", lambda: ["handover"])
        self.replace(check_module, "orders_in_source", lambda: {("a.hpp", 7): "release handover"})
        self.replace(check_module, "declared_bugs", lambda: ["free_one_early"])
        self.replace(check_module, "read_windows", lambda: self.windows)
        self.explained: dict[str, str] = {}
        self.replace(check_module, "explanations", lambda: self.explained)
        self.write(mutate_ledger([MUTANT], [BUG]))

    def write(self, made: Ledger) -> None:
        """Writes the ledger and the README that prints its example."""
        (self.folder / "ledger.json").write_text(json.dumps(made))
        (self.folder / "relacy").mkdir(exist_ok=True)
        example = ledger.example(made) if made["bugs"] else ""
        (self.folder / "relacy" / "README.md").write_text(f"text\n{example}\n")

    def failed(self) -> tuple[list[str], str]:
        """Returns (the checks that fail, what was said)."""
        self.checks = Checks()

        def both() -> None:
            check_module.check_coverage(self.results, self.checks)
            check_module.check_ledger(self.results, self.checks)

        said = quietly(both)[1]
        self.assertEqual(said.count("FAILED: "), len(self.checks.failed))
        return self.checks.failed, said

    def test_all_as_it_must_be(self) -> None:
        self.assertEqual(self.failed()[0], [])
        self.assertEqual(len(self.checks.passed), 10)

    def test_an_edge_or_an_order_that_no_model_meets(self) -> None:
        self.replace(check_module, "declared_edges", lambda: ["handover", "other"])
        self.replace(check_module, "orders_in_source", lambda: {("a.hpp", 7): "x", ("a.hpp", 8): "acquire y"})
        failed, said = self.failed()
        self.assertEqual(
            failed, ["every edge is met by a model", "every order in the source is met by a model"]
        )
        self.assertIn("not met: other", said)
        self.assertIn("a.hpp:8: acquire y", said)

    def test_a_ledger_that_is_not_there(self) -> None:
        (self.folder / "ledger.json").unlink()
        self.assertEqual(self.failed()[0], ["there is a ledger"])

    def test_a_ledger_of_other_orders_or_bugs(self) -> None:
        self.write(mutate_ledger([{**MUTANT, "to": "acquire"}], [BUG]))
        failed, said = self.failed()
        self.assertIn("the ledger speaks of the orders that are in the source", failed)
        self.assertIn(f"not in the ledger: {NAME}", said)
        self.assertIn("not in the source: handover:a.hpp:give:store=acquire", said)
        self.write(mutate_ledger([MUTANT], [BUG, {**BUG, "name": "other"}]))
        self.assertEqual(self.failed()[0], ["the ledger speaks of the planted bugs that are in the source"])

    def test_a_window_of_nothing(self) -> None:
        self.windows["gone"] = ("scenario", "full")
        self.assertEqual(self.failed()[0], ["every window is of an order or bug that is in the source"])

    def test_a_mutant_that_does_not_die_in_its_window(self) -> None:
        self.write(mutate_ledger([MUTANT], [BUG], in_window=False))
        failed, said = self.failed()
        self.assertEqual(failed, ["every mutant dies in its window"])
        self.assertIn(f"{NAME}: its window is scenario, bound 2, 2000 executions; killed by scenario", said)

    def test_a_window_that_has_moved(self) -> None:
        self.windows[NAME] = ("scenario", "bound 3")
        self.assertEqual(self.failed()[0], ["the ledger was made with the windows of relacy/windows.txt"])

    def test_an_example_that_is_not_the_ledgers(self) -> None:
        (self.folder / "relacy" / "README.md").write_text("text\n")
        self.assertEqual(self.failed()[0], ["the replay that relacy/README.md prints is one that fails"])

    def test_a_survivor_needs_a_reason_and_a_reason_a_survivor(self) -> None:
        self.write(mutate_ledger([{**MUTANT, "verdict": "survived"}], [BUG]))
        failed, said = self.failed()
        self.assertEqual(failed, ["every survivor is explained"])
        self.assertIn(NAME, said)
        self.explained = {NAME: "equivalent"}
        self.assertEqual(self.failed()[0], [])
        self.write(mutate_ledger([MUTANT], [{**BUG, "verdict": "undecided"}]))
        self.assertEqual(
            self.failed()[0], ["every survivor is explained", "every explanation is of a survivor"]
        )


class MutantsTest(ModelCase):
    """Who killed what."""

    def test_each_order_can_be_weakened_in_its_ways(self) -> None:
        def expected(order: str, file: str = SITE["file"]) -> list[str]:
            site = {**SITE, "order": order, "file": file}
            return sorted(
                name.rpartition("=")[2] for name in mutants.mutants_expected({"m": (0, facts(sites=(site,)))})
            )

        self.assertEqual(expected("acquire") + expected("release"), ["relaxed", "relaxed"])
        self.assertEqual(expected("acq_rel"), ["acquire", "release"])
        self.assertEqual(expected("light fence") + expected("heavy fence"), ["nothing", "nothing"])
        self.assertEqual(expected("relaxed") + expected("release", "/x/relacy/a.hpp"), [])

    def test_the_best_answer_of_all_models_counts(self) -> None:
        lives, dies = {**MUTANT, "verdict": "survived"}, {**MUTANT, "kills": "1", "tries": "100"}
        often = {**MUTANT, "kills": "50", "tries": "100"}
        results: Results = {
            "a": (0, facts(mutants=(lives,))),
            "b": (0, facts(mutants=(dies,), bugs=(BUG,))),
            "c": (0, facts(mutants=(often,))),
        }
        found = mutants.answers(results)
        self.assertEqual([model for model, _ in found[NAME]], ["c", "b", "a"])
        self.assertTrue(mutants.killed(NAME, found))
        self.assertTrue(mutants.killed("free_one_early", found))
        self.assertFalse(mutants.killed("none", found))
        self.assertFalse(mutants.killed(NAME, mutants.answers({"a": results["a"]})))

    def test_a_name_of_two_places_is_found(self) -> None:
        moved = {**SITE, "line": "8"}
        one: Results = {"a": (0, facts()), "b": (0, facts())}
        self.assertEqual(mutants.one_mutant_each(one), [])
        self.assertEqual(mutants.one_mutant_each({**one, "c": (0, facts(sites=(moved,)))}), [SITE["id"]])

    def asked(
        self, first: Results, wider: Results, status: int = 0, mutant: str = ""
    ) -> tuple[Ledger | None, list[list[str]]]:
        """Returns (the ledger, the flags of each question) where the models answer so."""
        asked: list[list[str]] = []

        def ask(models: list[str], flags: list[str]) -> Results:
            asked.append([str(flag) for flag in flags])
            answer = first if "--mutate" in flags else wider
            return {model: (status, facts) for model, (_, facts) in answer.items()}

        self.replace(mutants, "ask", ask)
        self.replace(mutants, "declared_bugs", lambda: ["free_one_early"])
        self.replace(mutants, "read_windows", lambda: {NAME: ("scenario", "bound 2")})
        options = argparse.Namespace(mutant=mutant, find_windows=False, deep=False)
        found, _ = quietly(lambda: mutants.mutate(options, ["pool"]))
        assert isinstance(found, tuple)
        return found[0], asked

    def test_what_dies_in_its_window_is_asked_once(self) -> None:
        made, asked = self.asked({"pool": (0, facts(mutants=(MUTANT,), bugs=(BUG,)))}, {})
        assert made
        self.assertEqual(len(asked), 1)
        self.assertEqual([row["in_window"] for row in made["mutants"] + made["bugs"]], [True, True])
        self.assertEqual(
            [row["window"] for row in made["mutants"] + made["bugs"]], ["scenario, bound 2", "none"]
        )
        self.assertNotIn("kills", made["mutants"][0])

    def test_what_lives_in_its_window_is_searched_more_widely(self) -> None:
        lives = {**MUTANT, "verdict": "survived"}
        first: Results = {"pool": (0, facts(mutants=(lives,), bugs=(BUG,)))}
        made, asked = self.asked(first, {"pool": (0, facts(mutants=(MUTANT,)))})
        assert made
        self.assertEqual(asked[1], ["--wide", "--mutant", NAME])
        [row] = made["mutants"]
        self.assertEqual((row["verdict"], row["in_window"]), ("killed", False))
        made, _ = self.asked(first, {"pool": (0, facts(mutants=(lives,)))})
        assert made
        self.assertEqual(ledger.survivors(made), [NAME])

    def test_models_that_fail_without_a_mutant_give_no_ledger(self) -> None:
        self.assertIsNone(self.asked({"pool": (0, facts(mutants=(MUTANT,)))}, {}, status=1)[0])


class ProtocolTest(ModelCase):
    def test_a_search_that_fails_makes_the_status(self) -> None:
        configuration, bug = CONFIGURATIONS[0], BUGS[0]
        self.replace(spin, "version", lambda: "6.5.2")
        self.replace(protocol, "chosen", lambda quick, only: [(configuration, None), (configuration, bug)])
        self.replace(protocol, "LEDGER", self.folder)
        for first, second, failed in (
            (HOLDS, VIOLATED, 0),
            (HOLDS, HOLDS, 1),
            (VIOLATED, VIOLATED, 1),
            (INCOMPLETE, INCOMPLETE, 2),
        ):
            verdicts = iter((first, second))
            self.replace(spin, "search", lambda *words, **options: Outcome(next(verdicts), "why"))
            status, said = quietly(lambda: protocol.check_protocol(True, ""))
            self.assertEqual(status, 1 if failed else 0)
            self.assertEqual(said.splitlines()[-1], f"{2 - failed} passed, {failed} failed")
            self.assertEqual(said.count("FAILED: "), failed)
        self.assertEqual(list(self.folder.iterdir()), [])
        verdicts = iter((HOLDS, VIOLATED))
        self.assertEqual(quietly(lambda: protocol.check_protocol(False, ""))[0], 0)
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"protocol.json", "protocol.md"})

    def test_nothing_to_search_is_wrong_usage(self) -> None:
        self.replace(spin, "version", lambda: "6.5.2")
        self.assertEqual(quietly(lambda: protocol.check_protocol(True, "no such thing"))[0], 2)
        quick, everything = protocol.chosen(True, ""), protocol.chosen(False, "")
        self.assertEqual(len(everything), len(CONFIGURATIONS) + len(BUGS))
        self.assertLess(0, len(quick))
        self.assertLess(len(quick), len(everything))


if __name__ == "__main__":
    unittest.main()
