"""What a measurement leaves: results.json, charts, and what a reader must know."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from bench import disturbances, results as result_file
from bench.conditions import cores
from bench.measurement import Measurement
from bench.results import Json, Results
from common import command_line, output, repository
from plot import charts, style


def tell_of_existing(folder: Path) -> None:
    """Says what of an earlier run is about to be overwritten."""
    if not folder.is_dir():
        return
    old = [name for name in ("results.json", "summary.md") if (folder / name).exists()]
    charts = len(list(folder.glob("*.svg")))
    old += [f"{charts} chart{'s' if charts > 1 else ''}"] if charts else []
    if old:
        print(
            f"note: {repository.shown(folder)} exists: {', '.join(old)} in it will be overwritten; "
            "what this run does not draw stays"
        )


class Keeper:
    """Writes what was measured. A disk that is full is told at the end: until then it may have room again."""

    def __init__(self, folder: Path, context: Json) -> None:
        self.folder = folder
        self.context = context
        self.ticks = disturbances.ticks()
        self.made = not folder.exists()
        self.trouble = ""

    def document(self, measured: Measurement) -> Json:
        """Returns what results.json holds."""
        private = ("host_name", "executable")
        context = {key: value for key, value in measured.context.items() if key not in private}
        others = measured.others
        context |= {
            **self.context,
            "rounds": measured.rounds,
            "cores_busy_with_other_programs": None if others is None else round(others, 2),
            "stolen": disturbances.stolen_since(self.ticks),
        }
        return {"context": context, "benchmarks": measured.entries}

    def keep(self, measured: Measurement) -> None:
        """Writes results.json."""
        if measured.entries:
            self.write("results.json", json.dumps(self.document(measured), indent=1) + "\n")

    def write(self, name: str, text: str) -> None:
        """Writes a file of the folder, whole or not at all; keeps why not."""
        try:
            output.write_whole(self.folder / name, text)
        except output.CannotWrite as failure:
            self.trouble = str(failure)

    def leave_no_empty_folder(self) -> None:
        """Where nothing was measured, nothing is left."""
        if self.made:
            with contextlib.suppress(OSError):
                self.folder.rmdir()


def draw(results: Results, folder: Path) -> tuple[list[str], str]:
    """Draws the charts. Returns (their names, why there are none or not all)."""
    why = style.cannot_draw()
    if why:
        return [], why
    progress = command_line.ProgressLine()
    try:
        return (
            charts.draw_all(results, folder, None, lambda done, of: progress.show(f"charts: {done} of {of}")),
            "",
        )
    except OSError as failure:
        return [], output.reason(failure)
    except Exception as failure:  # whatever it is: the numbers are there
        return [], f"{type(failure).__name__}: {failure}"
    finally:
        progress.clear()


def remarks(measured: Measurement, results: Results) -> list[str]:
    """Returns what a reader of the numbers must know."""
    notes = [*results.context["dataset_notes"], *([measured.note] if measured.note else [])]
    if measured.others is not None and measured.others > result_file.QUIET:
        notes.append(
            f"other programs kept {measured.others:.1f} of the {cores()} cores busy meanwhile: "
            "the numbers are lower and farther apart than on a quiet machine"
        )
    doubts = disturbances.warnings_of(results.context)
    notes += [words for cause, words in doubts.items() if cause != "busy"]
    if measured.crash:
        notes.append(measured.crash.splitlines()[0])
    return notes + [f"{name} failed: {message}" for name, message in dict(results.errors).items()]
