"""What scripts/model_check --genmc makes of GenMC's output: only a whole exploration counts, only an
assertion or a data race is an error that was found. Where the models' orders come from. The command, with a
fake genmc."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

from tree import SCRIPTS, Case

sys.path.insert(0, str(SCRIPTS / "modules"))
from model_check.genmc import HOLDS, INCOMPLETE, VIOLATED, Outcome, read_outcome  # noqa: E402
from model_check.genmc_list import MODELS, SURVIVORS  # noqa: E402
from model_check.orders import flag, header, orders_of, read_orders  # noqa: E402
from model_check.weak_memory import SOURCES, Run, Weakened, table, text_of, weakened_orders  # noqa: E402

ROOT = SCRIPTS.parent
HEAD = """GenMC v0.10.3 (LLVM 14.0.6)
Copyright (C) 2024 MPI-SWS. All rights reserved.

*** Compilation complete.
*** Transformation complete.
"""
WHOLE = """*** Verification complete.
No errors were detected.
Number of complete executions explored: {executions}
{blocked}Total wall-clock time: 0.26s
"""
WRONG = """Error: {error}!
Event (1, 26) in graph:
<-1, 0> main:
\t(0, 1): Wna (clock_now, 1) protocol.h:69

{assertion}*** Verification unsuccessful.
Number of complete executions explored: 72
Number of blocked executions seen: 1
Total wall-clock time: 0.45s
"""


def whole(executions: int = 1545, blocked: str = "") -> str:
    """Returns what GenMC says of an exploration without an error."""
    return HEAD + WHOLE.format(executions=executions, blocked=blocked)


def wrong(error: str, assertion: str = "") -> str:
    """Returns what it says at an error."""
    return HEAD + WRONG.format(error=error, assertion=assertion)


ASSERTED = wrong("Safety violation", "Assertion violation: seen[0] == 1 || seen[0] == 2\n")


class ReadingTest(unittest.TestCase):
    def incomplete(self, said: str, why: str, status: int | None = 0) -> None:
        """Checks that an exploration is told to be incomplete, and why."""
        outcome = read_outcome(said, status)
        self.assertEqual(outcome.verdict, INCOMPLETE)
        self.assertIn(why, outcome.why)

    def test_a_whole_exploration_without_an_error_holds(self) -> None:
        self.assertEqual(read_outcome(whole(), 0), Outcome(HOLDS, "", 1545, 0.26))

    def test_a_warning_is_no_error(self) -> None:
        said = "Unordered writes do not constitute a bug per se, though they often indicate faulty design.\n"
        self.assertEqual(read_outcome(HEAD + said + whole(), 0).verdict, HOLDS)

    def test_an_assertion_and_a_data_race_are_errors(self) -> None:
        outcome = read_outcome(ASSERTED, 42)
        self.assertEqual(outcome, Outcome(VIOLATED, "seen[0] == 1 || seen[0] == 2", 72, 0.45))
        outcome = read_outcome(wrong("Non-atomic race"), 42)
        self.assertEqual((outcome.verdict, outcome.why), (VIOLATED, "data race"))

    def test_no_other_error_says_something_of_the_protocol(self) -> None:
        self.incomplete(wrong("Mixed-size accesses"), "Mixed-size accesses", 42)
        self.incomplete(wrong("Attempt to access non-allocated memory"), "non-allocated", 42)
        self.incomplete(wrong("Safety violation"), "Safety violation", 42)

    def test_blocked_executions_make_it_incomplete(self) -> None:
        self.incomplete(whole(blocked="Number of blocked executions seen: 3\n"), "3 executions were blocked")

    def test_an_exploration_of_nothing_is_incomplete(self) -> None:
        self.incomplete(whole(0), "no execution")

    def test_an_exploration_that_was_stopped_is_incomplete(self) -> None:
        self.incomplete(whole(), "took too long", None)
        self.incomplete(ASSERTED, "took too long", None)
        self.incomplete(HEAD, "SIGKILL", -9)
        self.incomplete(HEAD, "does not say")
        self.incomplete(whole().split("Number")[0], "does not say")
        self.incomplete("", "does not say")

    def test_a_model_that_does_not_compile_is_incomplete(self) -> None:
        said = "model.c:3:1: error: unknown type name 'in'\n1 error generated.\n"
        self.incomplete(said, "1 error generated", 5)


class OrdersTest(unittest.TestCase):
    def test_the_orders_are_those_of_the_ledger(self) -> None:
        ledger = json.loads((ROOT / "results" / "model_check" / "ledger.json").read_text())
        # A transaction's load reads the newest value, which in the model only a read-modify-write does.
        in_the_model = "elided_word:elided_mutex.hpp:elide:fetch_add"
        known = {f"{each['id']}={each['to']}" for each in ledger["mutants"]}
        self.assertIn(f"{in_the_model}=relaxed", known)
        known = {each.replace(in_the_model, "elided_word:elided_mutex.hpp:elide:load") for each in known}
        found = {f"{order.place}={to}" for order in read_orders().values() for to in order.weaker}
        self.assertEqual(found, known)

    def test_an_order_of_the_source_is_one_of_the_models(self) -> None:
        source = "void finish(Word w) {\n    w.store(1, B::{}(edge::slot_mark));\n}}\n"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "slot_store.hpp"
            for kind, value in (("release", "memory_order_release"), ("acq_rel", "memory_order_acq_rel")):
                path.write_text(source.replace("{}", kind).replace("}}", "}"))
                (order,) = orders_of(path)
                self.assertEqual(order.place, "slot_mark:slot_store.hpp:finish:store")
                defined = f"#define ORDER_slot_mark_finish_store {value} "
                self.assertIn(defined, header({order.macro: order}))
            self.assertEqual(order.weaker, ("acquire", "release"))

    def test_a_fence_that_is_weakened_is_none(self) -> None:
        order = read_orders()["ORDER_epoch_fence_pin_fence"]
        self.assertEqual([flag(order, to) for to in order.weaker], [f"-D{order.macro}=memory_order_relaxed"])

    def test_models_have_no_orders_of_their_own_but_those_of_the_harness(self) -> None:
        # `told` passes on what a caller knows; CAS() says what is relaxed.
        named = {"memory_order_relaxed", "memory_order_acquire", "memory_order_release"}
        for path in sorted(SOURCES.iterdir()):
            for line in path.read_text().splitlines():
                for word in named:
                    if word in line and "told" not in line:
                        self.assertEqual(word, "memory_order_relaxed", f"{path.name}: {line}")


class ListTest(unittest.TestCase):
    def test_each_name_is_one_model_and_each_file_is_explored(self) -> None:
        self.assertEqual(len({each.name for each in MODELS}), len(MODELS))
        self.assertEqual({each.file for each in MODELS}, {path.name for path in SOURCES.glob("*.c")})

    def test_a_survivor_is_an_order_of_a_model_and_has_a_reason(self) -> None:
        self.assertLessEqual(set(SURVIVORS), {each.name for each in weakened_orders("")})
        for reason in SURVIVORS.values():
            self.assertTrue(reason)

    def test_a_model_has_the_orders_of_what_it_includes(self) -> None:
        self.assertIn("ORDER_snapshot_end_watched_load", text_of("reuse.c"))
        self.assertIn("ORDER_slot_mark_finish_store", text_of("reuse.c"))
        self.assertNotIn("ORDER_snapshot_end_watched_load", text_of("replace.c"))

    def test_what_fails_is_told(self) -> None:
        order = read_orders()["ORDER_slot_mark_finish_store"]
        runs = [Run(MODELS[0], memory, Outcome(HOLDS, executions=1)) for memory in ("rc11", "imm")]
        survivor = Weakened(order, "relaxed", MODELS, explored=3)
        killed = Weakened(order, "relaxed", MODELS, "replace", "imm", Outcome(VIOLATED, "a || b"))
        unknown = Weakened(
            order, "relaxed", MODELS, "replace", "rc11", Outcome(INCOMPLETE, "it took too long")
        )
        self.assertEqual((killed.killed, killed.fault()), (True, ""))
        self.assertIn("does not say why", survivor.fault())
        self.assertIn("it took too long", unknown.fault())
        text = table(runs, [survivor, killed, unknown], "0.10.3")
        self.assertIn("1 of 1 models hold", text)
        self.assertIn("of 3 weakened orders 1 make a model fail; explained survivors: 0", text)
        self.assertIn("killed by replace (IMM", text)
        self.assertIn("`a \\|\\| b`", text)
        self.assertIn("**unexplained**", text)
        self.assertIn("**not decided**", text)
        runs[1].outcome = Outcome(VIOLATED, "data race")
        self.assertIn("0 of 1 models hold", table(runs, [], "0.10.3"))


FAKE = """#!/bin/sh
case "$*" in
--version) echo "  GenMC v0.10.3" ;;
*-DORDER_*) {weakened} ;;
*) {plain} ;;
esac
exit
"""


def says(text: str, status: int) -> str:
    """Returns the commands of a shell that say something and end so."""
    return f"cat <<'END'\n{text}END\nexit {status}"


class CommandTest(Case):
    def setUp(self) -> None:
        super().setUp()
        for folder in ("relacy/genmc", "impl/hotindex"):
            shutil.copytree(ROOT / folder, self.tree / folder)
        (self.tree / "results" / "model_check").mkdir(parents=True)

    def fake(self, *, plain: str = says(whole(), 0), weakened: str = says(ASSERTED, 42)) -> None:
        """Installs a genmc that says so of models as they are, and with a weakened order."""
        self.program("genmc", FAKE.format(plain=plain, weakened=weakened))

    def written(self) -> str:
        """Returns the table; "" where there is none."""
        path = self.tree / "results" / "model_check" / "genmc.md"
        return path.read_text() if path.exists() else ""

    def test_a_missing_genmc_is_told_in_one_line_and_is_no_failure(self) -> None:
        done = self.run_it(self.command("model_check", "--genmc"), env={"PATH": str(self.programs)})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_one_line(done.stdout, "genmc is not on the PATH: skipped")
        self.assertEqual(self.written(), "")

    def test_it_writes_the_table(self) -> None:
        self.fake()
        done = self.run_it(self.command("model_check", "--genmc"))
        explained = len(SURVIVORS)
        # The fake kills what is explained to survive, too.
        self.assertEqual(done.returncode, 1 if explained else 0, done.stdout + done.stderr)
        self.assertIn(f", {explained} failed", done.stdout.splitlines()[-1])
        self.assertIn(f"**{len(MODELS)} of {len(MODELS)} models hold", self.written())

    def test_a_model_that_fails_fails_the_command(self) -> None:
        self.fake(plain=says(ASSERTED, 42))
        done = self.run_it(self.command("model_check", "--genmc", "--quick", "--only", "replace"))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("FAILED: replace: seen[0] == 1 || seen[0] == 2", done.stdout)
        self.assertIn("again: genmc --imm", done.stdout)
        self.assertEqual(self.written(), "")

    def test_an_unexplained_survivor_fails_the_command(self) -> None:
        self.fake(weakened=says(whole(), 0))
        done = self.run_it(self.command("model_check", "--genmc", "--only", "snapshot_decided"))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("genmc_list.py does not say why", done.stdout)

    def test_what_is_asked_for_in_vain_is_an_error(self) -> None:
        self.fake()
        done = self.run_it(self.command("model_check", "--genmc", "--only", "nothing_of_the_kind"))
        self.assertEqual(done.returncode, 2, done.stdout)
        done = self.run_it(self.command("model_check", "--genmc", "--protocol"))
        self.assertEqual(done.returncode, 2, done.stdout)


if __name__ == "__main__":
    unittest.main()
