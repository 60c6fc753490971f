"""How every chart looks: colours, markers, figures."""

from __future__ import annotations

import itertools

# Okabe and Ito's colours, told apart with any colour vision; markers and dashes say the same again, for grey paper.
STYLES = {
    "mutex": ("#D55E00", "s", (0, (5, 2))),
    "rwlock": ("#009E73", "^", (0, (1.5, 1.5))),
    "lock_free": ("#0072B2", "o", "-"),
}
OTHER_STYLES = (
    ("#CC79A7", "D", "-"),
    ("#E69F00", "v", (0, (5, 2))),
    ("#56B4E9", "P", (0, (1.5, 1.5))),
    ("#000000", "X", (0, (5, 2, 1.5, 2))),
    ("#8C6D31", "*", "-"),
)
LABELS = {"lock_free": "lock-free", "rwlock": "reader-writer lock", "mutex": "mutex"}


def style_of(lines):
    """{line: (colour, marker, dashes)}; a chart without the usual lines takes the other styles in order."""
    free = [*OTHER_STYLES, *(style for line, style in STYLES.items() if line not in lines)]
    others = itertools.cycle(free)
    return {line: STYLES[line] if line in STYLES else next(others) for line in lines}


def label_of(line):
    return LABELS.get(line, line.replace("_", " "))


def cannot_draw() -> str:
    """Returns why nothing can be drawn here; "" when it can."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as failure:
        return f"drawing needs matplotlib, which scripts/setup installs ({failure})"
    return ""


def new_figure(width, height, panels):
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
            "grid.color": "#E3E3E3",
            "grid.linewidth": 0.8,
            "axes.axisbelow": True,
            "svg.hashsalt": "hotindex",  # the same results give the same file
        }
    )
    return plt.subplots(1, panels, figsize=(width, height), squeeze=False)
