"""The blocks of Markdown files that commands write: between <!-- NAME: generated --> and <!-- NAME: end -->.
"""

from __future__ import annotations

from pathlib import Path

from common import output


def markers(name: str) -> tuple[str, str]:
    """Returns the lines before and after the block of that name."""
    return f"<!-- {name}: generated -->", f"<!-- {name}: end -->"


def write_block(path: Path, name: str, text: str) -> bool:
    """Puts the text between the file's markers of that name. Returns whether the file has them. Raises
    output.CannotWrite."""
    begin, end = markers(name)
    head, begun, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, tail = rest.partition(end)
    if not begun or not ended:
        return False
    output.write_whole(path, f"{head}{begin}\n{text}\n{end}{tail}")
    return True
