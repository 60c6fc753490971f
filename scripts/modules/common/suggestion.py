"""The nearest valid name to one that is misspelt."""

from __future__ import annotations

import difflib
from typing import Iterable


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Returns "; did you mean NAME?" for the known name that is most like the word, "" where none is."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""
