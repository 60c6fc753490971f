"""scripts/stress --minutes and --replay: the program that it runs, and what its exit status says."""

from __future__ import annotations

from tree import Case, Done

# Builds whatever target is asked for, as a program that says what it was called with.
CMAKE = """#!/usr/bin/env bash
set -euo pipefail
[[ $1 == --build ]] || exit 0
mkdir -p "$2/stress"
cat >"$2/stress/$4" <<'PROGRAM'
#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"$FAKE_LOG"
printf 'progress\\t1.0\\t10\\t100\\t0\\t5\\t4.0\\n'
case ${FAKE_OUTCOME:-} in
violation)
    printf 'violation\\tpool:7\\t-\\n'
    printf 'done\\t2.0\\t20\\t200\\t1\\t6\\t4.0\\n'
    exit 1
    ;;
report) echo 'WARNING: ThreadSanitizer: data race (pid=1)' >&2 ;;
crash) kill -SEGV $$ ;;
esac
printf 'done\\t2.0\\t20\\t200\\t0\\t6\\t4.0\\n'
PROGRAM
chmod +x "$2/stress/$4"
"""


class StressTest(Case):
    def setUp(self) -> None:
        super().setUp()
        self.program("cmake", CMAKE)

    def stress(self, *flags: str, outcome: str = "") -> Done:
        """Returns how scripts/stress ended, where its program has this outcome."""
        command = self.whole_command("stress", "--out", self.out, *flags)
        return self.run_it(command, env={"FAKE_OUTCOME": outcome})

    def called(self) -> list[str]:
        """Returns what was run: a program's name and its flags, a line each."""
        return self.log.read_text().splitlines()

    def test_a_soak_of_the_shipped_sources(self) -> None:
        done = self.stress("--minutes", "0.5", "--seed", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.called(), [f"stress_soak --out={self.out} --seconds=30 --seed=3"])
        self.assertIn("200 operations in 20 histories, 0 violations, 0 sanitizer reports", done.stdout)

    def test_a_planted_bug_is_in_a_program_of_its_own(self) -> None:
        done = self.stress("--replay", "pool:7", "--bug", "pin_once", outcome="violation")
        self.assertEqual(done.returncode, 1, done.stderr)
        (line,) = self.called()
        self.assertEqual(line, f"stress_soak_planted --out={self.out} --bug=pin_once --replay=pool:7")
        self.assertIn("again: scripts/stress --replay pool:7 --bug pin_once", done.stdout)

    def test_a_violation_a_report_and_a_crash_are_no_success(self) -> None:
        for outcome, said in (
            ("violation", "1 violations"),
            ("report", "1 sanitizer reports"),
            ("crash", "exit status -11"),
        ):
            with self.subTest(outcome):
                done = self.stress("--minutes", "0.5", outcome=outcome)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(said, done.stdout)
