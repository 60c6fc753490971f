"""Makes a copy of the library's headers with planted bugs in it, each behind a switch that is off at first.

    plant.py --sources impl --out FOLDER BUGS...

A bug is a text edit, in a file of BUGS (README.md says how one is written). The copy is
FOLDER/sources/hotindex; its compilers and debuggers see the lines of the original. In FOLDER/names is
hotindex/planted_bugs.hpp, which lists the bugs and holds the switch. An edit that does not fit the sources is
an error: nothing is made then."""

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, NoReturn, Optional, Tuple


class DoesNotFit(Exception):
    """A file of bugs is not as it should be, or not as the sources are; says where and why."""


@dataclass
class Edit:
    """One place of a bug."""

    place: str  # in the file of bugs, for messages
    file: str  # below hotindex/
    after_text: str  # the edit is in the block that begins after this text; "": in the file
    before: str = ""
    after: str = ""  # in place of `before` when the bug is on
    always: str = ""  # in place of `before` whether it is on or not
    kinds: List[str] = field(default_factory=list)  # of before, after, always: those that are there


@dataclass
class Bug:
    """A change that looks harmless and is not."""

    name: str
    what: str
    place: str
    edits: List[Edit] = field(default_factory=list)


HEAD = re.compile(r"bug (\w+): (\S.*)")
WHERE = re.compile(r'in (\S+?)(?:, after "(.+)")?')
BLOCKS = ("before", "after", "always")


def read_bugs(path: Path, name: str) -> List[Bug]:
    """Returns the bugs of a file. Raises DoesNotFit."""
    bugs: List[Bug] = []
    block = ""  # of BLOCKS: where indented lines go
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{name}:{number}"
        edit = bugs[-1].edits[-1] if bugs and bugs[-1].edits else None
        if line.startswith("    ") or not line.strip():
            if block and edit:
                setattr(edit, block, getattr(edit, block) + line[4:] + "\n")
            elif line.strip():
                raise DoesNotFit(f"{place}: an indented line belongs below `before`, `after` or `always`")
            continue
        if line.startswith("#"):
            block = ""
            continue
        head, where = HEAD.fullmatch(line), WHERE.fullmatch(line)
        if head:
            bugs.append(Bug(head[1], head[2], place))
            block = ""
        elif where and bugs:
            bugs[-1].edits.append(Edit(place, where[1], where[2] or ""))
            block = ""
        elif line in BLOCKS and edit:
            block = line
            edit.kinds.append(line)
        else:
            raise DoesNotFit(
                f"{place}: expected `bug NAME: WHAT`, `in FILE`, `before`, `after` or `always`; found: {line}"
            )
    for bug in bugs:
        if not bug.edits:
            raise DoesNotFit(f"{bug.place}: {bug.name} changes nothing: give `in FILE`, `before` and `after`")
        for each in bug.edits:
            each.before, each.after, each.always = (
                each.before.strip(),
                each.after.strip(),
                each.always.strip(),
            )
            if not each.before or each.kinds not in (["before", "after"], ["before", "always"]):
                raise DoesNotFit(
                    f"{each.place}: {bug.name} needs `before`, then `after` or `always`, once each"
                )
            if each.before == each.after or "//" in each.after + each.always:
                raise DoesNotFit(f"{each.place}: {bug.name}: `after` changes nothing, or has a comment")
    return bugs


def pattern_of(code: str) -> str:
    """Returns a regular expression for this code however it is laid out."""
    tokens = re.findall(r"\w+|[^\w\s]", code)
    joined: str = (r"\b" if re.match(r"\w", tokens[0]) else "") + re.escape(tokens[0])
    for left, right in zip(tokens, tokens[1:]):
        both_words = re.match(r"\w", left) and re.match(r"\w", right)
        joined += (r"\s+" if both_words else r"\s*") + re.escape(right)
    return joined + (r"\b" if re.match(r"\w", tokens[-1]) else "")


def end_of_block(text: str, start: int) -> int:
    """Returns where the block ends that begins first from here on, or else the one around."""
    depth = 0
    for at in range(start, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth <= 0:
                return at
    return len(text)


Span = Tuple[int, int]


def place_of(edit: Edit, bug: Bug, text: str) -> Span:
    """Returns where in the text the edit fits. Raises DoesNotFit."""
    where = f"{edit.place}: {bug.name}"
    start, end = 0, len(text)
    if edit.after_text:
        start = text.find(edit.after_text)
        if text.count(edit.after_text) != 1:
            times = "more than once" if start != -1 else "nowhere"
            raise DoesNotFit(f"{where}: hotindex/{edit.file} has the text {edit.after_text!r} {times}")
        end = end_of_block(text, start)
    fits = list(re.finditer(pattern_of(edit.before), text[start:end]))
    if not fits:
        shown = " ".join(edit.before.split())
        block = " in the block after that text" if edit.after_text else ""
        raise DoesNotFit(f"{where}: this is not in hotindex/{edit.file}{block}: {shown}")
    if len(fits) > 1:
        raise DoesNotFit(
            f"{where}: this is in hotindex/{edit.file} {len(fits)} times: "
            f'say which by `in {edit.file}, after "TEXT"`, whose block has it once'
        )
    return start + fits[0].start(), start + fits[0].end()


def line_of(text: str, offset: int) -> int:
    """Returns the number of the line that an offset is in."""
    return text.count("\n", 0, offset) + 1


def switched(original: str, edits: List[Tuple[Bug, Edit]], begins: str, goes_on: str) -> str:
    """Returns the code that does what the original does, or what the edit of the bug does that is on.

    Whole statements become an `if`, everything else a `?:`. What is there always, stands on one line.
    `begins` and `goes_on` are the #line directives for the original and for what comes after it."""
    if edits[0][1].always:
        return " ".join(edits[0][1].always.split()) + goes_on
    if original[-1] in ";}":
        code = f"{begins}{original}\n"
        for each, change in reversed(edits):
            code = f"{{ if (planted(bug::{each.name})) {{ {change.after} }} else {{ {code} }} }}"
        return f"{code}{goes_on}"
    code = f"({begins}{original}\n)"
    for each, change in reversed(edits):
        code = f"(planted(bug::{each.name}) ? ({change.after}) : {code})"
    return f"{code}{goes_on}"


def plant(path: Path, text: str, edits: List[Tuple[Bug, Edit]]) -> str:
    """Returns the text of a header with these edits in it. Raises DoesNotFit."""
    spans: Dict[Span, List[Tuple[Bug, Edit]]] = {}
    for bug, edit in edits:
        here = spans.setdefault(place_of(edit, bug, text), [])
        if any(bug is other for other, _ in here):
            raise DoesNotFit(f"{edit.place}: {bug.name} edits this text twice")
        here.append((bug, edit))
    include = "#include <hotindex/planted_bugs.hpp>\n" if edits else ""
    out, done, last = f'{include}#line 1 "{path}"\n', 0, ""
    for begin, end in sorted(spans):
        here = spans[(begin, end)]
        names = " and ".join(bug.name for bug, _ in here)
        if begin < done:
            raise DoesNotFit(
                f"{here[0][1].place}: {names} overlaps with {last}: edit the same text, or texts apart"
            )
        if len(here) > 1 and any(edit.always for _, edit in here):
            raise DoesNotFit(f"{here[0][1].place}: {names} edit the same text, and one says `always`")
        begins = f'\n#line {line_of(text, begin)} "{path}"\n'
        goes_on = f'\n#line {line_of(text, end)} "{path}"\n'
        out += text[done:begin] + switched(text[begin:end], here, begins, goes_on)
        done, last = end, names
    return out + text[done:]


NAMES = """\
// Made by impl/planted_bugs/plant.py: the bugs of this build, and the switch that turns one on.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hotindex {{

enum class bug : std::uint8_t {{
    none,
    {enumerators},
    end
}};

inline constexpr std::size_t bug_count = static_cast<std::size_t>(bug::end); ///< with bug::none

[[nodiscard]] constexpr std::string_view name_of(bug b) noexcept {{
    constexpr std::array<std::string_view, bug_count> names{{"none",
        {names}}};
    return names[static_cast<std::size_t>(b)];
}}

/// What is changed, in words.
[[nodiscard]] constexpr std::string_view what_is(bug b) noexcept {{
    constexpr std::array<std::string_view, bug_count> texts{{"nothing",
        {texts}}};
    return texts[static_cast<std::size_t>(b)];
}}

/// The bug that is on, set while no other thread runs; and the bugs whose places were reached.
// relaxed, all: no thread runs when the switch is set, or when somebody looks at what was reached
struct PlantedBugs {{
    std::atomic<bug> active = bug::none;
    std::array<std::atomic<bool>, bug_count> reached{{}};

    void turn_on(bug b) noexcept {{ active.store(b, std::memory_order_relaxed); }}
    [[nodiscard]] bug on() const noexcept {{ return active.load(std::memory_order_relaxed); }}
    [[nodiscard]] bool was_reached(bug b) const noexcept {{
        return reached[static_cast<std::size_t>(b)].load(std::memory_order_relaxed);
    }}
    void clear_reached() noexcept {{
        for (auto& each : reached)
            each.store(false, std::memory_order_relaxed);
    }}
}};
inline constinit PlantedBugs planted_bugs;

/// Asked by the patched sources.
[[nodiscard]] inline bool planted(bug b) noexcept {{
    std::atomic<bool>& reached = planted_bugs.reached[static_cast<std::size_t>(b)];
    if (!reached.load(std::memory_order_relaxed))
        reached.store(true, std::memory_order_relaxed);
    return planted_bugs.on() == b;
}}

}} // namespace hotindex
"""


def names_of(bugs: List[Bug]) -> str:
    """Returns the header that lists the bugs."""
    quoted = [bug.what.replace("\\", "\\\\").replace('"', '\\"') for bug in bugs]
    return NAMES.format(
        enumerators=",\n    ".join(bug.name for bug in bugs),
        names=",\n        ".join(f'"{bug.name}"' for bug in bugs),
        texts=",\n        ".join(f'"{text}"' for text in quoted),
    )


def write_changed(path: Path, text: str) -> None:
    """Writes a file unless it says that already: what did not change is not compiled again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def make(sources: Path, out: Path, files: List[Path]) -> None:
    """Makes the copy. Raises DoesNotFit."""
    root = sources.parent
    bugs: List[Bug] = []
    for path in files:
        name = str(path.relative_to(root)) if root in path.parents else str(path)
        bugs += read_bugs(path, name)
    seen: Dict[str, Bug] = {}
    for bug in bugs:
        if bug.name in ("none", "end"):
            raise DoesNotFit(f"{bug.place}: no bug can be named {bug.name}")
        if bug.name in seen:
            raise DoesNotFit(f"{bug.place}: {bug.name} is the name of another bug, at {seen[bug.name].place}")
        seen[bug.name] = bug
    headers = sorted((sources / "hotindex").rglob("*.hpp"))
    known = {str(path.relative_to(sources / "hotindex")) for path in headers}
    for bug in bugs:
        for edit in bug.edits:
            if edit.file not in known:
                raise DoesNotFit(f"{edit.place}: {bug.name}: there is no file hotindex/{edit.file}")
    made = {}
    for path in headers:
        name = str(path.relative_to(sources / "hotindex"))
        edits = [(bug, edit) for bug in bugs for edit in bug.edits if edit.file == name]
        made[out / "sources" / "hotindex" / name] = plant(path, path.read_text(encoding="utf-8"), edits)
    for old in (out / "sources").rglob("*.hpp"):
        if old not in made:
            old.unlink()  # a header that moved
    for path, text in made.items():
        write_changed(path, text)
    write_changed(out / "names" / "hotindex" / "planted_bugs.hpp", names_of(bugs))


def refuse(why: str) -> NoReturn:
    """Ends the program with a message."""
    sys.exit(f"plant.py: {why}")


def main(arguments: Optional[List[str]] = None) -> None:
    """Makes what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=Path, required=True, help="the folder that holds hotindex/")
    parser.add_argument("--out", type=Path, required=True, help="where the copy goes")
    parser.add_argument("bugs", type=Path, nargs="+", help="files of bugs")
    options = parser.parse_args(arguments)
    try:
        make(options.sources.resolve(), options.out.resolve(), [path.resolve() for path in options.bugs])
    except DoesNotFit as failure:
        refuse(str(failure))
    except OSError as failure:
        refuse(f"{failure.filename}: {failure.strerror}")


if __name__ == "__main__":
    main()
