"""What scripts/bench passes on about a dataset, and what it passes back."""

from __future__ import annotations

import json

from tree import Case

NOTE = "vectors.npy: row 3 of the file is all zeros: left out"


class DatasetTest(Case):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.scratch / "vectors.npy"
        self.file.write_bytes(b"vectors")

    def test_the_metric_and_the_rows_reach_every_call_of_the_binary(self) -> None:
        words = ("--dataset", self.file, "--metric", "inner_product", "--rows", "50", "--repetitions", "2")
        done = self.run_it(self.bench(*words))
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = [flags.split() for flags in self.logged("flags")]
        self.assertEqual(len(calls), 3)  # one that lists, and two rounds
        for flags in calls:
            for flag in (f"--dataset={self.file.resolve()}", "--metric=inner_product", "--rows=50"):
                self.assertIn(flag, flags)

    def test_notes_about_the_dataset_are_kept_without_the_place_of_its_file(self) -> None:
        done = self.run_it(self.bench("--dataset", self.file, "--rows", "50", "--repetitions", "1"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"note: {NOTE}\n", done.stdout)
        text = (self.out / "results.json").read_text()
        context = json.loads(text)["context"]
        self.assertEqual(context["dataset_notes"], [NOTE])
        self.assertIn("the first 50 rows", context["dataset"])
        summary = (self.out / "summary.md").read_text()
        self.assertIn(NOTE, summary)
        for what in (text, summary):
            self.assertNotIn(str(self.scratch), what)

    def test_flags_about_a_dataset_without_one_are_errors(self) -> None:
        for flag, value in (("--metric", "cosine"), ("--rows", "50")):
            with self.subTest(flag):
                done = self.run_it(self.bench(flag, value))
                self.assertEqual(done.returncode, 2, done.stdout)
                self.assertIn(f"{flag} is about the vectors of a file: give --dataset FILE, too", done.stderr)
