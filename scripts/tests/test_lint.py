"""scripts/lint_edges finds what is wrong with an order or its comment, each kind of fault by itself."""

from __future__ import annotations

import subprocess

from tree import Case

EDGES = """#define HOTINDEX_EDGES(X) X(handover, "what is handed over")
enum class edge { handover };
"""
SOUND = """// Handover: see handover.hpp and give().
template <class B>
struct Handover {
    void give(int v) {
        value = v;
        // [handover] release-store; synchronizes-with the acquire-load in take(); publishes: the value
        full.store(true, B::release(edge::handover));
    }
    bool take() {
        // relaxed: a hint
        if (!full.load(B::relaxed()))
            return false;
        // [handover] acquire-load; synchronizes-with the release-store in give()
        return full.load(B::acquire(edge::handover));
    }
};
"""


class LintTest(Case):
    def lint(self, source: str) -> subprocess.CompletedProcess[str]:
        """Returns the lint's run over a library of that one header."""
        (self.tree / "impl/hotindex/backend").mkdir(parents=True, exist_ok=True)
        (self.tree / "impl/hotindex/backend/edges.hpp").write_text(EDGES)
        (self.tree / "impl/hotindex/handover.hpp").write_text(source)
        command = self.command("lint_edges")
        return subprocess.run(command, text=True, capture_output=True, env=self.environment, check=False)

    def finds(self, before: str, after: str, *found: str) -> None:
        """Asserts that this change of the sound header is found, in these words."""
        self.assertIn(before, SOUND)
        done = self.lint(SOUND.replace(before, after))
        self.assertEqual(done.returncode, 1, done.stdout)
        for words in found:
            self.assertIn(words, done.stdout)

    def test_a_sound_header_has_no_findings(self) -> None:
        done = self.lint(SOUND)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("1 edges, 4 ends, 0 findings", done.stdout)

    def test_a_reason_that_is_joined_to_another_sentence(self) -> None:
        self.finds(
            "// relaxed: a hint",
            "// only a look; relaxed: a hint",
            "handover.hpp:10: 'relaxed:' begins no line",
        )

    def test_an_edge_that_is_joined_to_another_sentence(self) -> None:
        self.finds(
            "// [handover] acquire", "// Now. [handover] acquire", "'[handover] acquire' begins no line"
        )

    def test_a_function_that_is_not_there(self) -> None:
        self.finds(
            "in take(); publishes",
            "in is_taken(); publishes",
            "handover.hpp:6",
            "is_taken(), which is no function",
        )

    def test_a_file_that_is_not_there(self) -> None:
        self.finds("see handover.hpp", "see design.md", "handover.hpp:1", "design.md, which is no file")

    def test_an_order_without_its_edge(self) -> None:
        self.finds(
            "        // [handover] release-store",
            "        // [handed] release-store",
            "[handed], which is no declared",
        )

    def test_a_relaxed_operation_without_its_reason(self) -> None:
        self.finds("        // relaxed: a hint\n", "", "without its reason")

    def test_an_order_that_belongs_to_no_edge(self) -> None:
        self.finds("B::acquire(edge::handover)", "std::memory_order_acquire", "belongs to no named edge")
