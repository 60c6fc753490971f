"""How every chart looks: colours, markers, dashes, figures, files."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Tuple, Union

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision; markers and dashes say the same again, for grey
# paper.
VERMILION, GREEN, BLUE = "#D55E00", "#009E73", "#0072B2"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
BLACK, BROWN, GREY = "#000000", "#8C6D31", "#999999"
IN_TURN = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)  # where lines have no colours of their own

NOTE = "#555555"  # footnotes and annotations
RULE = "#777777"  # lines that stand for a limit
GRID = "#E3E3E3"
BAND = "#EDEDED"  # what is too little to count

Dashes = Union[str, Tuple[float, Tuple[float, ...]]]
Style = Tuple[str, str, Dashes]  # colour, marker, dashes

SOLID: Dashes = "-"
DASHED: Dashes = (0, (5, 2))
DOTTED: Dashes = (0, (1.5, 1.5))
DASH_DOT: Dashes = (0, (5, 2, 1.5, 2))
LONG_DASH_DOT: Dashes = (0, (6, 2, 1.5, 2))
EARLIER: Dashes = (0, (4, 2))  # an earlier version
LIMIT: Dashes = (0, (4, 3))  # a limit for all lines
BOUND: Dashes = (0, (5, 3))  # a limit of one line

STYLES: dict[str, Style] = {
    "mutex": (VERMILION, "s", DASHED),
    "rwlock": (GREEN, "^", DOTTED),
    "lock_free": (BLUE, "o", SOLID),
}
OTHER_STYLES: tuple[Style, ...] = (
    (PURPLE, "D", SOLID),
    (ORANGE, "v", DASHED),
    (SKY, "P", DOTTED),
    (BLACK, "X", DASH_DOT),
    (BROWN, "*", SOLID),
)
LABELS = {"lock_free": "lock-free", "rwlock": "reader-writer lock", "mutex": "mutex"}


def style_of(lines: Iterable[str]) -> dict[str, Style]:
    """Returns each line's style; a chart without the usual lines takes the other styles in order."""
    names = list(lines)
    free = [*OTHER_STYLES, *(style for line, style in STYLES.items() if line not in names)]
    others = itertools.cycle(free)
    return {line: STYLES[line] if line in STYLES else next(others) for line in names}


def label_of(line: str) -> str:
    """Returns a line's name as legends have it."""
    return LABELS.get(line, line.replace("_", " "))


def cannot_draw() -> str:
    """Returns why nothing can be drawn here; "" when it can."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as failure:
        return f"drawing needs matplotlib, which scripts/setup installs ({failure})"
    return ""


def new_figure(
    width: float, height: float, columns: int, rows: int = 1, same_x: bool = False
) -> tuple[Figure, list[list[Axes]]]:
    """Returns a figure of so many inches and its panels by row; with `same_x` they share their x axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.color": GRID,
            "grid.linewidth": 0.8,
            "axes.axisbelow": True,
            "svg.hashsalt": "hotindex",  # the same results give the same file
        }
    )
    figure, panels = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, sharex=same_x)
    return figure, panels.tolist()


def save(figure: Figure, path: Path | str, dpi: int = 130) -> None:
    """Writes a figure as SVG, without a date, and as PNG beside it; `path` is without ending. Closes the
    figure."""
    import matplotlib.pyplot as plt

    for kind, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": dpi})):
        figure.savefig(f"{path}.{kind}", **options)
    plt.close(figure)
