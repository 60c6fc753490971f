"""The Python module as its users see it, from several threads. Run by ctest, which says where it is."""

from __future__ import annotations

import datetime
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Callable, Dict, Optional, TypeVar

import hotindex
import numpy

T = TypeVar("T")
INDEXES = (hotindex.LockFreeHotVectorIndex, hotindex.HotVectorIndex)


class ModuleTest(unittest.TestCase):
    """Each test is for every index."""

    def test_vectors_go_in_and_come_out(self) -> None:
        for Index in INDEXES:
            index = Index(3)
            self.assertTrue(index.add_vector("a", numpy.array([1, 2, 3], dtype=numpy.float32)))
            self.assertFalse(index.add_vector("a", [4, 5, 6]))  # any sequence of numbers
            self.assertTrue(index.add_vector("b\u00e9", numpy.arange(6)[::2] + 1))  # and any layout
            self.assertEqual(len(index), 2)
            self.assertIn("b\u00e9", index)
            self.assertNotIn("c", index)
            vector = there(index.get_vector("a"))
            self.assertEqual(vector.dtype, numpy.float32)
            self.assertEqual(vector.tolist(), [4, 5, 6])
            vector[0] = 7  # the caller's own
            self.assertEqual(there(index.get_vector("a")).tolist(), [4, 5, 6])
            self.assertIsNone(index.get_vector("c"))
            self.assertTrue(index.remove_vector("a"))
            self.assertFalse(index.remove_vector("a"))
            self.assertEqual((index.dimension, index.metric), (3, "cosine"))
            ids, rows = index.vectors()
            self.assertEqual((ids, rows.tolist()), (["b\u00e9"], [[1, 3, 5]]))

    def test_searches_answer_as_numpy_does(self) -> None:
        random = numpy.random.default_rng(5)
        rows = random.standard_normal((300, 16)).astype(numpy.float32)
        queries = random.standard_normal((7, 16)).astype(numpy.float32)
        for Index in INDEXES:
            index = Index(16, metric="inner_product")
            self.assertEqual(index.add_vectors([str(i) for i in range(300)], rows), 300)
            for query, (ids, scores) in zip(queries, index.search_batch(queries, 5)):
                expected = numpy.argsort(-(rows @ query), kind="stable")[:5]
                self.assertEqual(ids, [str(i) for i in expected])
                numpy.testing.assert_allclose(scores, (rows @ query)[expected], rtol=1e-4)
                again, same = index.search(query, 5)
                self.assertEqual((again, same.tolist()), (ids, scores.tolist()))
                even, _ = index.search(query, 5, lambda id: int(id) % 2 == 0)
                best = [str(i) for i in numpy.argsort(-(rows @ query), kind="stable") if i % 2 == 0]
                self.assertEqual(even, best[:5])
                (batch, _), _ = index.search_batch([query, query], 5, lambda id: int(id) % 2 == 0)
                self.assertEqual(batch, even)
                near, close = index.search_radius(query, float(scores[2]))
                self.assertEqual((near, close.tolist()), (ids[:3], scores[:3].tolist()))
                self.assertEqual(index.search_radius(query, float(scores[2]), 2)[0], ids[:2])
                kept, _ = index.search_radius(query, float(scores[2]), allowed=lambda id: id not in ids[:1])
                self.assertEqual(kept, ids[1:3])

    def test_many_are_removed_at_once(self) -> None:
        for Index in INDEXES:
            index = Index(2)
            index.add_vectors([str(i) for i in range(100)], numpy.ones((100, 2)))
            usage = index.memory_usage()
            self.assertGreaterEqual(usage.rows, 100 * 2 * 4)
            parts = usage.rows + usage.bookkeeping + usage.ids + usage.table + usage.records
            self.assertEqual(usage.total, parts)
            self.assertEqual(index.remove_vectors(["1", "2", "2", "none"]), 2)
            self.assertEqual(len(index), 98)
            self.assertEqual(index.clear(), 98)
            self.assertEqual(index.vectors()[1].shape, (0, 2))

    def test_what_is_refused_raises_and_changes_nothing(self) -> None:
        for Index in INDEXES:
            index = Index(2)
            index.add_vector("a", [1, 2])
            refused = (
                lambda: index.add_vector("a", [1, 2, 3]),
                lambda: index.add_vector("a", [[1, 2]]),
                lambda: index.add_vector("a", [1, float("nan")]),
                lambda: index.add_vector("", [1, 2]),
                lambda: index.add_vectors(["a"], [[1, 2], [3, 4]]),
                lambda: index.search([1, 2, 3], 1),
                lambda: index.search_batch([[1, 2, 3], [1, 2, 3]], 1),
                lambda: Index(0),
                lambda: Index(2, metric="cosinus"),
                lambda: Index(2, tracking="some"),
            )
            for call in refused:
                self.assertRaises(hotindex.InvalidArgument, call)
                self.assertRaises(ValueError, call)
            self.assertRaises(ZeroDivisionError, index.search, [1, 2], 1, lambda id: 1 // 0 > 1)
            self.assertEqual(index.vectors()[1].tolist(), [[1, 2]])

    def test_accesses_tiers_and_statistics(self) -> None:
        for Index in INDEXES:
            never = datetime.timedelta(0)
            index = Index(2, tracking="exact", hot_accesses=2, manage_every=never)
            index.add_vector("a", [1, 2])
            index.search([1, 2], 1)
            self.assertTrue(index.access("a"))
            stats = there(index.access_stats("a"))
            self.assertEqual((stats.count, stats.tier), (2, "warm"))
            self.assertLess(abs(time.time() - stats.created.timestamp()), 60)
            self.assertGreaterEqual(there(stats.last), stats.created)
            self.assertIsNone(index.access_stats("b"))
            self.assertEqual(index.manage_tiers(), 1)
            self.assertTrue(index.demote("a"))
            self.assertTrue(index.promote("a"))
            self.assertEqual(there(index.access_stats("a")).tier, "hot")
            counted = index.get_stats()
            self.assertEqual((counted.vectors, counted.queries, counted.similarity_computations), (1, 1, 1))
            self.assertEqual((counted.promotions, counted.demotions), (2, 1))
            self.assertGreater(counted.query_seconds, 0)
            index.reset_stats()
            self.assertEqual(index.get_stats().queries, 0)

    def test_an_index_is_saved_and_loaded(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "saved"
            for Index in INDEXES:
                index = Index(2, metric="squared_euclidean")
                index.add_vector("a", [1, 2])
                self.assertEqual(index.save(path), path.stat().st_size)
                for Other in INDEXES:
                    loaded = Other.load(str(path))
                    self.assertEqual(loaded.metric, "squared_euclidean")
                    self.assertEqual(loaded.vectors()[1].tolist(), [[1, 2]])
            path.write_bytes(path.read_bytes()[:-1])
            with self.assertRaisesRegex(hotindex.StorageError, "the file ends after"):
                hotindex.HotVectorIndex.load(path)
            with self.assertRaisesRegex(OSError, "No such file"):
                hotindex.HotVectorIndex.load(path / "below" if path.is_dir() else f"{path}-not-there")

    def test_four_threads_use_one_index_at_the_same_time(self) -> None:
        for Index in INDEXES:
            index = Index(8, metric="inner_product")
            start = threading.Barrier(4)
            wrong: list[str] = []

            def work(number: int) -> None:
                start.wait()
                for i in range(200):
                    row = numpy.full(8, i, dtype=numpy.float32)
                    index.add_vector(f"{number}-{i}", row)
                    index.add_vectors([f"{number}-last"], row.reshape(1, 8))
                    ids, scores = index.search(
                        numpy.ones(8, dtype=numpy.float32), 3, lambda id: id.startswith(f"{number}-")
                    )
                    if not ids or scores[0] != 8 * i:
                        wrong.append(f"{number}: {ids} {scores} at {i}")
                    if i % 2:
                        index.remove_vector(f"{number}-{i - 1}")
                    if i % 50 == 0:
                        ids, rows = index.vectors()
                        wrong.extend(f"{id}: {row}" for id, row in zip(ids, rows) if len(set(row)) != 1)

            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(wrong, [])
            self.assertEqual(len(index), 4 * 101)

    def test_no_call_keeps_another_thread_from_running(self) -> None:
        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        path = Path(scratch.name) / "saved"
        rows = numpy.ones((500, 64), dtype=numpy.float32)
        ids = [str(i) for i in range(500)]
        for Index in INDEXES:
            index = Index(64, metric="inner_product")
            index.add_vectors(ids, rows)
            index.save(path)
            calls: Dict[str, Callable[[], object]] = {
                "add_vector": lambda: index.add_vector("0", rows[0]),
                "add_vectors": lambda: index.add_vectors(ids, rows),
                "get_vector": lambda: index.get_vector("0"),
                "search": lambda: index.search(rows[0], 1),
                "search_batch": lambda: index.search_batch(rows[:9], 1),
                "vectors": index.vectors,
                "save": lambda: index.save(path),
                "load": lambda: Index.load(path),
            }
            for name, call in calls.items():
                with self.subTest(index=Index.__name__, call=name):
                    self.assertTrue(runs_beside(call))
        self.assertFalse(runs_beside(lambda: None))


def there(value: Optional[T]) -> T:
    """Returns what is expected to be there."""
    assert value is not None
    return value


def runs_beside(call: Callable[[], object]) -> bool:
    """Returns whether this thread runs before another one has made 2,000 calls, where the interpreter's lock
    changes hands only where a call releases it."""
    begun, seen = threading.Event(), threading.Event()
    left = [2_000]

    def others() -> None:
        begun.set()
        while left[0] and not seen.is_set():
            call()
            left[0] -= 1

    sys.setswitchinterval(1000)
    thread = threading.Thread(target=others)
    thread.start()
    begun.wait()
    seen.set()
    thread.join()
    return left[0] != 0


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed or not result.testsRun else 0)
