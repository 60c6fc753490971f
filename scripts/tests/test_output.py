"""Where the output goes decides nothing: pipes, full disks, closed streams, dumb terminals, places nobody can
write to."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Sequence

from bench.results import Json
from tree import Case, Done, Word, on_terminal, streams


def saved_run(slower: float = 1.0) -> str:
    """Returns what scripts/bench might have written, of twelve rounds; its first benchmark is slower."""
    names = [f"search/lock_free/n:{n}/real_time/threads:1" for n in (1000, 2000, 4000)]
    entries = []
    for position, name in enumerate(names):
        for i in range(12):
            rate = 1e5 * (1 + 0.002 * (i * 7 % 5)) / (slower if position == 0 else 1)
            entries.append({"name": name, "run_type": "iteration", "threads": 1, "ops": rate})
    context = {"machine": {"cpu": "a processor", "cores": 2}, "compiler": "a compiler", "flags": "-O2"}
    context |= {"dataset": "generated", "pinned": "false"}
    return json.dumps({"context": context, "benchmarks": entries})


class OutputTest(Case):
    def setUp(self) -> None:
        super().setUp()
        self.base, self.slow = self.scratch / "base.json", self.scratch / "slow.json"
        self.base.write_text(saved_run())
        self.slow.write_text(saved_run(slower=1.3))

    def gate(self, candidate: Path, *arguments: Word) -> list[str]:
        """Returns the words that compare a saved run with the other."""
        return self.command("gate", "--baseline", self.base, "--candidate", candidate, *arguments)

    def results(self) -> list[Json]:
        """Returns what scripts/bench has kept."""
        entries: list[Json] = json.loads((self.out / "results.json").read_text())["benchmarks"]
        return entries

    # ---- pipes ----

    def head_1(self, command: Sequence[str]) -> tuple[int, str]:
        """Runs `command | head -1`, and more of it than a pipe holds. Returns its status, and its stderr."""
        child = self.start(command, env={"FAKE_SECONDS": "0.02"})
        out, err = streams(child)
        out.readline()
        out.close()
        said = err.read()
        return child.wait(60), said

    def test_bench_whose_reader_has_gone_measures_on(self) -> None:
        status, err = self.head_1(self.bench("--repetitions", "2"))
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(len(self.results()), 18)
        self.assertTrue((self.out / "summary.md").exists())

    def test_a_regression_stays_one_when_the_reader_has_gone(self) -> None:
        self.assertEqual(self.head_1(self.gate(self.slow)), (1, ""))

    def test_a_pass_stays_one_when_the_reader_has_gone(self) -> None:
        self.assertEqual(self.head_1(self.gate(self.base)), (0, ""))

    # ---- full disks and closed streams ----

    def into(self, command: Sequence[str], redirection: str) -> Done:
        """Runs a command with its streams redirected by a shell. Returns its end."""
        return self.run_it(["bash", "-c", f'"$@" {redirection}', "-", *command])

    def test_bench_on_a_full_disk_says_so_and_keeps_its_results(self) -> None:
        done = self.into(self.bench("--repetitions", "1"), ">/dev/full")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assert_one_line(done.stderr, "standard output: No space left on device")
        self.assertEqual(len(self.results()), 9)

    def test_a_regression_stays_one_on_a_full_disk(self) -> None:
        done = self.into(self.gate(self.slow), ">/dev/full")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assert_one_line(done.stderr, "No space left on device")

    def test_a_pass_that_nobody_could_be_told_is_none(self) -> None:
        done = self.into(self.gate(self.base), ">/dev/full")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assert_one_line(done.stderr, "No space left on device")

    def test_the_lint_of_edges_on_a_full_disk_says_so(self) -> None:
        done = self.into(self.command("lint_edges", "--help"), ">/dev/full")
        self.assertEqual(done.returncode, 1)
        self.assert_one_line(done.stderr, "scripts/lint_edges: standard output: No space left on device")

    def test_a_closed_stdout_is_told_and_changes_no_status(self) -> None:
        for what, command, status in (
            ("bench", self.bench("--repetitions", "1"), 0),
            ("a regression", self.gate(self.slow), 1),
            ("a pass", self.gate(self.base), 0),
        ):
            with self.subTest(what):
                done = self.into(command, ">&-")
                self.assertEqual(done.returncode, status, done.stderr)
                self.assert_one_line(done.stderr, "standard output is closed")
        self.assertEqual(len(self.results()), 9)

    def test_all_streams_closed_change_no_status(self) -> None:
        done = self.into(self.gate(self.slow), "<&- >&- 2>&-")
        self.assertEqual(done.returncode, 1)

    def test_the_table_is_printed_before_results_that_cannot_be_written_fail(self) -> None:
        self.out.mkdir()
        (self.out / "results.json").symlink_to("/dev/full")
        done = self.run_it(self.bench("--repetitions", "2"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("Churn", done.stdout)
        self.assert_one_line(done.stderr, "results.json", "No space left on device")

    def test_the_verdict_is_told_before_files_that_cannot_be_written_fail(self) -> None:
        for candidate, status in ((self.slow, 1), (self.base, 3)):
            with self.subTest(status=status):
                done = self.run_it(self.gate(candidate, "--json", "/dev/full"))
                self.assertEqual(done.returncode, status)
                self.assertRegex(done.stdout, "Regression:|Pass:")
                self.assert_one_line(done.stderr, "/dev/full: No space left on device")

    # ---- places ----

    def test_places_nobody_can_write_to_are_refused_before_anything_is_measured(self) -> None:
        (self.scratch / "file").write_text("x")
        for place, words in (
            ("/dev/null/x", "/dev/null is not a folder"),
            ("/proc/x", "No such file or directory"),
            (str(self.scratch / "file"), "is not a folder"),
        ):
            with self.subTest(place=place):
                done = self.run_it(self.command("bench", "--out", place))
                self.assertEqual(done.returncode, 2)
                self.assertIn(words, done.stderr)
                self.assertNotIn("Traceback", done.stderr)
                self.assertEqual(self.logged("begin"), [])
        for flag in ("--json", "--markdown", "--chart"):
            with self.subTest(flag=flag):
                done = self.run_it(self.gate(self.slow, flag, "/dev/null/x"))
                self.assertEqual(done.returncode, 3)
                self.assertIn(f"{flag} ", done.stderr.splitlines()[0])
        done = self.run_it(self.command("stress", "--out", "/dev/null/x"))
        self.assertEqual(done.returncode, 2)
        done = self.run_it(self.command("plot", self.base, "-o", "/dev/null/x"))
        self.assertEqual(done.returncode, 2)

    def test_an_existing_folder_is_named_with_what_will_be_overwritten(self) -> None:
        self.out.mkdir()
        command = self.whole_command("bench", "--out", self.out, "--repetitions", "1", "--filter", "search")
        charts = {"PYTHONPATH": ""}
        first = self.run_it(command, env=charts)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertNotIn("overwritten", first.stdout)
        again = self.run_it(command, env=charts)
        self.assertIn("out exists: results.json, summary.md, 2 charts in it will be over", again.stdout)
        self.assertIn("overview.svg", (self.out / "summary.md").read_text())

    def test_a_file_comes_whole_or_not_at_all(self) -> None:
        from common import output

        path = self.scratch / "file.json"
        output.write_whole(path, "old")
        with self.assertRaises(UnicodeEncodeError):
            output.write_whole(path, "half\ud800")
        self.assertEqual(path.read_text(), "old")
        self.assertEqual([each.name for each in self.scratch.glob(".file*")], [])
        path.chmod(0o600)
        output.write_whole(path, "new")
        self.assertEqual((path.read_text(), stat.S_IMODE(path.stat().st_mode)), ("new", 0o600))

    def test_a_device_is_written_to_and_not_replaced(self) -> None:
        from common import output

        link = self.scratch / "link"
        link.symlink_to(os.devnull)
        output.write_whole(link, "text")
        self.assertTrue(stat.S_ISCHR(os.stat(os.devnull).st_mode))
        with self.assertRaises(output.CannotWrite):
            output.write_whole("/dev/full", "text")

    # ---- terminals ----

    def on_terminal_of(self, **variables: str) -> str:
        """Returns what scripts/bench shows on such a terminal."""
        env = {**self.environment, "FAKE_SECONDS": "0.4", **variables}
        status, said = on_terminal(self.bench("--repetitions", "1"), self.tree, env)
        self.assertEqual(status, 0, said)
        return said

    def test_a_dumb_terminal_gets_lines_and_nothing_else(self) -> None:
        terminals: list[dict[str, str]] = [{"TERM": "dumb"}, {}]
        for variables in terminals:
            with self.subTest(variables):
                said = self.on_terminal_of(**variables)
                self.assertNotIn("\x1b", said)
                self.assertNotIn("\r", said.replace("\r\n", "\n"))

    def test_a_terminal_gets_a_line_that_is_rewritten_without_escape_codes(self) -> None:
        said = self.on_terminal_of(TERM="xterm-256color", NO_COLOR="1")
        self.assertNotIn("\x1b", said)
        self.assertIn("\rround 1 of 1", said)

    # ---- without matplotlib ----

    def test_measuring_needs_no_matplotlib(self) -> None:
        done = self.run_it(self.whole_command("bench", "--out", self.out, "--repetitions", "1"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Churn", done.stdout)
        self.assertIn("note: no charts: drawing needs matplotlib", done.stdout)
        self.assertNotIn(".svg", (self.out / "summary.md").read_text())
        done = self.run_it(self.gate(self.slow, "--chart", self.scratch / "c.svg"))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("chart: none: drawing needs matplotlib", done.stdout)
        done = self.run_it(self.command("plot", self.out / "results.json", "-o", self.out))
        self.assertEqual(done.returncode, 1)
        self.assertIn("scripts/plot: drawing needs matplotlib", done.stderr)

    # ---- --filter ----

    def test_a_filter_means_the_same_to_bench_and_gate(self) -> None:
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
            self.assertEqual(self.run_it([*git, *words]).returncode, 0)
        refs = ("--refs", "HEAD", "HEAD", "--measures", "times", "--pairs", "1", "--threads", "1")
        for pattern, count in (
            (r"/(?!mutex|rwlock)\w+/n:1", 3),
            (r"n:1\.5", 3),
            ("-search/rw|churn", 5),
        ):
            with self.subTest(pattern):
                seen = []
                for command in (self.bench("--repetitions", "1"), self.command("gate", *refs)):
                    self.forget_log()
                    done = self.run_it([*command, "--filter", pattern])
                    self.assertIn(done.returncode, (0, 2), done.stderr)
                    seen.append(set(self.logged("done")))
                self.assertEqual(seen[0], seen[1])
                self.assertEqual(len(seen[0]), count)

    def test_a_filter_that_finds_nothing_names_what_is_near(self) -> None:
        done = self.run_it(self.bench("--filter", "serch"))
        self.assertEqual(done.returncode, 1)
        self.assert_one_line(done.stderr, "serch: no benchmark has that in its name; did you mean search?")
