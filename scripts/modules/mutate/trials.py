"""Tries mutants, and keeps what came out: a run that is broken off goes on where it was."""

from __future__ import annotations

import json
import math
import queue
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Iterable

from common import child_processes, command_line, output
from common.command_line import in_words
from mutate import workshop
from mutate.coverage import TESTS, Test, digest
from mutate.python_mutants import Mutant

KEEP_EVERY = 20.0  # seconds
UNREACHED = "no test runs it"


@dataclass
class Fate:
    """What came of a mutant."""

    name: str
    test: str  # that objects to it; "" where it lives
    how: str
    mark: str  # a hash of what the fate depends on
    file: str = ""  # of the test that objects

    @property
    def lives(self) -> bool:
        """Has no test objected?"""
        return not self.test


class Trials:
    """The mutants of a run, and the fates that are known."""

    def __init__(self, tests: list[Test], kept: Path, longest: float = math.inf) -> None:
        self.tests = [each for each in tests if each.seconds <= longest]
        self.kept = kept
        self.files = {test.name: test.file for test in tests}
        self.fates: dict[str, Fate] = {}
        self.marks = {file: digest(TESTS / f"{file}.py") for file in set(self.files.values())}
        self.known = {name: Fate(**each) for name, each in self.read().items()}
        self.last = time.monotonic()

    def read(self) -> dict[str, dict[str, str]]:
        """Returns what an earlier run has kept."""
        found: dict[str, dict[str, str]] = json.loads(self.kept.read_text()) if self.kept.exists() else {}
        return found

    def asked(self, mutant: Mutant) -> list[Test]:
        """Returns the tests that may notice a mutant, cheapest first."""
        return [test for test in self.tests if test.reaches(mutant)]

    def mark(self, source: str, files: Iterable[str], asked: Iterable[Test] = ()) -> str:
        """Returns a hash of a source, of files of tests, and of which of these tests were asked."""
        marks = "".join(self.marks.get(file, "gone") for file in sorted(set(files)))
        return f"{hash_of(source)}{hash_of(marks + ' '.join(sorted(each.name for each in asked)))}"

    def remembered(self, mutant: Mutant, source: str) -> Fate | None:
        """Returns a mutant's fate, if neither its file nor the tests that decided have changed since."""
        known = self.known.get(mutant.name)
        if not known:
            return None
        mark = self.mark(source, [known.file]) if known.file else self.mark_of_all(source, self.asked(mutant))
        return known if known.mark == mark else None

    def mark_of_all(self, source: str, asked: list[Test]) -> str:
        """Returns the hash that stands beside a mutant that lives: of all the tests that were asked."""
        return self.mark(source, [each.file for each in asked], asked)

    def one(self, worker: workshop.Worker, mutant: Mutant, source: str) -> Fate:
        """Tries one mutant. Returns its fate."""
        asked = self.asked(mutant)
        test = how = ""
        if asked:
            limits = [(each.name, each.limit) for each in asked]
            test, how = worker.attempt(mutant.path, mutant.apply(source), limits)
        file = self.files.get(test, "")
        mark = self.mark(source, [file]) if file else self.mark_of_all(source, asked)
        return Fate(mutant.name, test, how or ("" if asked else UNREACHED), mark, file)

    def run(self, mutants: list[Mutant], sources: dict[str, str], jobs: int) -> None:
        """Tries all of them, so many at a time."""
        todo: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
        for mutant in mutants:
            fate = self.remembered(mutant, sources[mutant.path])
            if fate:
                self.fates[mutant.name] = fate
            else:
                todo.put(mutant)
        count = todo.qsize()
        print(f"{len(mutants)} mutants, {len(mutants) - count} of them known already", flush=True)
        if not count:
            return
        with tempfile.TemporaryDirectory(prefix="hotindex-mutate-") as scratch:
            crew = list(workshop.workers(Path(scratch), min(jobs, count)))
            answers: queue.SimpleQueue[Fate | BaseException] = queue.SimpleQueue()
            for worker in crew:
                work = (worker, todo, sources, answers)
                threading.Thread(target=self.keep_busy, args=work, daemon=True).start()
            try:
                self.collect(count, answers)
            finally:
                self.keep()
                for worker in crew:
                    worker.end()

    def keep_busy(
        self,
        worker: workshop.Worker,
        todo: queue.SimpleQueue[Mutant],
        sources: dict[str, str],
        answers: queue.SimpleQueue[Fate | BaseException],
    ) -> None:
        """Tries mutants until there are none left."""
        try:
            while True:
                mutant = todo.get_nowait()
                answers.put(self.one(worker, mutant, sources[mutant.path]))
        except queue.Empty:
            pass
        except BaseException as failure:  # told by the main thread
            answers.put(failure)

    def collect(self, count: int, answers: queue.SimpleQueue[Fate | BaseException]) -> None:
        """Takes in what the workers find, and shows how far they are."""
        line = command_line.ProgressLine(every=30)
        begin = time.monotonic()
        alive = 0
        try:
            for done in range(1, count + 1):
                answer = answers.get()
                if isinstance(answer, BaseException):
                    raise answer
                self.fates[answer.name] = answer
                alive += answer.lives
                took = time.monotonic() - begin
                left = in_words(took / done * (count - done))
                line.show(f"{done} of {count} mutants, {alive} live; {in_words(took)}, about {left} left")
                if time.monotonic() - self.last > KEEP_EVERY:
                    self.keep()
        except child_processes.Ended:
            line.clear()
            print(f"{len(self.fates)} fates are kept: the next run goes on from there", flush=True)
            raise
        line.clear()

    def keep(self) -> None:
        """Writes every fate that is known."""
        self.known.update(self.fates)
        self.last = time.monotonic()
        output.write_whole(self.kept, json.dumps({name: asdict(each) for name, each in self.known.items()}))


def hash_of(text: str) -> str:
    """Returns a short hash of a text."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]
