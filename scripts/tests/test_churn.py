"""scripts/stress --churn: what it measures is kept, and what goes wrong is told."""

from __future__ import annotations

import json

from tree import Case, Done

CMAKE = """#!/usr/bin/env bash
set -euo pipefail
mkdir -p build/release/stress
cat >build/release/stress/stress_churn <<'PROGRAM'
#!/usr/bin/env bash
echo "flags $*" >>"$FAKE_LOG"
printf 'sample\\t0.50\\t2097152\\t10\\t640\\t100\\t15.5\\n'
[[ -z ${FAKE_FAILURE:-} ]] || exit 1
printf 'sample\\t1.00\\t3145728\\t20\\t1048576\\t3000000\\t2500.0\\n'
PROGRAM
chmod +x build/release/stress/stress_churn
"""


class ChurnTest(Case):
    def setUp(self) -> None:
        super().setUp()
        self.program("cmake", CMAKE)

    def churn(self, *flags: str, **environment: str) -> Done:
        """Returns the outcome of a measurement into the folder `out`."""
        self.environment |= environment
        fixed = ("--churn", "--minutes", "0.01", "--out", self.out)
        return self.run_it(self.whole_command("stress", *fixed, *flags))

    def test_every_run_is_printed_and_kept(self) -> None:
        done = self.churn("--threads", "1,8", "--structure", "map")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("here, map, 8 threads: resident 2.0 MiB", done.stdout)
        self.assertIn("3.0 MiB after 1 s; limbo at most 1.00 MiB; slowest operation 2.5 ms", done.stdout)
        runs = json.loads((self.out / "churn.json").read_text())["runs"]
        self.assertEqual([(run["structure"], run["threads"]) for run in runs], [("map", 1), ("map", 8)])
        self.assertEqual(runs[1]["samples"][1]["limbo_bytes"], 1048576)

    def test_a_run_that_fails_is_no_success(self) -> None:
        done = self.churn("--threads", "1", "--structure", "index", FAKE_FAILURE="1")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("a run failed", done.stderr)
        self.assertFalse((self.out / "churn.json").exists())

    def test_flags_of_churn_are_for_churn_and_name_what_there_is(self) -> None:
        done = self.churn("--structure", "tree")
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("tree: not one of map, index, rows", done.stderr)
        done = self.run_it([self.tree / "scripts" / "stress", "--threads", "4"])
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("belong to --churn", done.stderr)
