"""The gate inside a git hook, and what is said when git refuses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Mapping

from tree import Case, Done, Word

HOOK = """#!/bin/sh
exec >>"{log}" 2>&1
"{python}" "{tree}/scripts/modules/start.py" gate --refs HEAD HEAD --measures times --pairs 1 --threads 1 \\
    --filter '^search/mutex'
echo "gate ended with $?"
exit 0
"""
USER = ("-c", "user.name=A", "-c", "user.email=a@b.c")


class GitCase(Case):
    """A tree that may be a repository."""

    def git(self, *words: Word, cwd: Path | None = None) -> str:
        """Returns what git prints."""
        done = self.run_it(["git", *USER, *words], cwd=cwd or self.tree)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def commit_all(self) -> None:
        """Makes a repository with a commit of the scripts and two files."""
        (self.tree / "a.txt").write_text("a\n")
        (self.tree / "b.txt").write_text("b\n")
        self.git("init", "-q", "-b", "main")
        self.git("add", ".")
        self.git("commit", "-qm", "one")


class HookTest(GitCase):
    def setUp(self) -> None:
        super().setUp()
        self.commit_all()
        self.said = self.scratch / "said"
        hook = self.tree / ".git" / "hooks" / "pre-commit"
        hook.write_text(HOOK.format(python=sys.executable, tree=self.tree, log=self.said))
        hook.chmod(0o755)
        other = hook.with_name("post-checkout")
        other.write_text(f"#!/bin/sh\necho another hook >>{self.said}\n")
        other.chmod(0o755)

    def check_commit(self, files: str, cwd: Path | None = None) -> None:
        """Asserts that the gate has run in the hook, and that the commit has these changes against the one
        before."""
        said = self.said.read_text()
        self.assertRegex(said, r"gate ended with [02]\n", said)
        self.assertTrue(self.logged("done"), said)
        self.assertEqual(self.git("diff", "--name-status", "HEAD~1", "HEAD", cwd=cwd), files)
        self.git("fsck", "--strict", cwd=cwd)
        self.assertNotIn("another hook", said)

    def test_a_hook_leaves_partial_staging_alone(self) -> None:
        (self.tree / "a.txt").write_text("a, changed\n")
        self.git("add", "a.txt")
        (self.tree / "a.txt").write_text("a, changed again\n")
        (self.tree / "b.txt").write_text("b, changed\n")
        (self.tree / "c.txt").write_text("new\n")
        self.git("add", "-N", "c.txt")
        self.git("commit", "-qm", "two")
        self.check_commit("M\ta.txt")
        self.assertEqual(self.git("show", "HEAD:a.txt"), "a, changed")
        self.assertEqual(self.git("status", "--porcelain"), "M a.txt\n M b.txt\n A c.txt")

    def test_a_hook_leaves_commit_a_alone(self) -> None:
        (self.tree / "a.txt").write_text("a, changed\n")
        (self.tree / "b.txt").unlink()
        self.git("commit", "-qam", "two")
        self.check_commit("M\ta.txt\nD\tb.txt")
        self.assertEqual(self.git("status", "--porcelain"), "")

    def test_a_hook_leaves_a_commit_of_one_path_alone(self) -> None:
        (self.tree / "a.txt").write_text("a, changed\n")
        (self.tree / "b.txt").write_text("b, changed\n")
        self.git("add", "b.txt")
        self.git("commit", "-qm", "two", "--only", "a.txt")
        self.check_commit("M\ta.txt")
        self.assertEqual(self.git("status", "--porcelain"), "M  b.txt")

    def test_a_hook_leaves_a_linked_worktree_alone(self) -> None:
        linked = self.scratch / "linked"
        self.git("-c", "core.hooksPath=/dev/null", "worktree", "add", "-q", linked, "-b", "other")
        hook = self.tree / ".git" / "hooks" / "pre-commit"
        hook.write_text(HOOK.format(python=sys.executable, tree=linked, log=self.said))
        (linked / "a.txt").write_text("a, changed\n")
        (linked / "b.txt").write_text("b, changed\n")
        self.git("add", "a.txt", cwd=linked)
        self.git("commit", "-qm", "two", cwd=linked)
        self.check_commit("M\ta.txt", cwd=linked)
        self.assertEqual(self.git("status", "--porcelain", cwd=linked), "M b.txt")
        self.assertEqual(self.git("status", "--porcelain"), "")


class RefusalTest(GitCase):
    def refs(self, base: str, env: Mapping[str, str] | None = None) -> str:
        """Runs scripts/gate --refs BASE HEAD. Returns its one line of complaint."""
        done = self.run_it(self.command("gate", "--refs", base, "HEAD"), env=env)
        self.assertEqual(done.returncode, 3, done.stdout)
        self.assert_one_line(done.stderr, "scripts/gate: ")
        return done.stderr

    def test_a_clone_of_somebody_else_is_told_in_git_s_words(self) -> None:
        self.commit_all()
        said = self.refs("HEAD", env={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
        self.assertIn("dubious ownership", said)
        self.assertIn(f"git config --global --add safe.directory {self.tree}", said)

    def test_settings_on_git_s_command_line_still_count(self) -> None:
        self.commit_all()
        settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        said = self.refs("none", env={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", **settings})
        self.assertIn("no such commit", said)

    def test_a_shallow_clone_is_told(self) -> None:
        self.commit_all()
        self.git("commit", "-qm", "two", "--allow-empty")
        whole, self.tree = self.tree, self.scratch / "shallow"
        self.git("clone", "-q", "--depth", "1", f"file://{whole}", self.tree, cwd=self.scratch)
        self.assertIn("shallow", said := self.refs("HEAD~1"))
        self.assertIn("git fetch --unshallow", said)

    def test_a_folder_that_is_no_clone_is_told(self) -> None:
        said = self.refs("HEAD")
        self.assertIn("not a git repository", said)
        self.assertIn("not in an unpacked archive", said)

    def test_a_misspelt_branch_names_the_nearest(self) -> None:
        self.commit_all()
        self.assertIn("maim: this clone has no such commit; did you mean main?", self.refs("maim"))

    def test_counts_are_not_overwritten_when_git_does_not_say_what_they_were(self) -> None:
        from gate import counts as gate_counts
        from common import repository

        def refuse(*_arguments: str, cwd: Path = repository.ROOT) -> Done:
            raise repository.GitRefused("git refuses: detected dubious ownership")

        kept, repository.attempt = repository.attempt, refuse
        self.addCleanup(setattr, repository, "attempt", kept)
        with self.assertRaises(repository.GitRefused):
            gate_counts.write_committed({"search": {"calls": 1, "totals": {"loads": 1}}}, None)
