"""What Catch2's XML says."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from pathlib import Path

from test.run import Suite, shorten


def read_catch_report(path: Path, suite: Suite) -> tuple[bool, str]:
    """Adds the counts of Catch2's XML (version 2 or 3) to the suite. It is read as far as it goes, because a
    process that died leaves it unfinished. Returns whether it is complete, and the test case that was never
    ended."""
    parser = xml.XMLPullParser(events=("start", "end"))
    try:
        parser.feed(path.read_bytes().decode("utf-8", errors="replace") if path.exists() else "")
    except xml.ParseError as failure:
        suite.report.append(f"    {path.name}: not XML any more: {failure}")
    case: xml.Element | None = None
    totals: xml.Element | None = None
    closed, depth = False, 0
    try:
        for event, element in parser.read_events():
            depth += 1 if event == "start" else -1
            if event == "start":
                if element.tag == "TestCase":
                    case = element
                continue
            if element.tag == "TestCase":
                count_case(element, suite)
                case = None
            elif element.tag == "OverallResults" and depth == 1:
                totals = element
            closed = depth == 0
    except xml.ParseError as failure:
        suite.report.append(f"    {path.name}: not XML any more: {failure}")
    if totals is not None:
        suite.assertions = sum(
            int(totals.get(key, 0)) for key in ("successes", "failures", "expectedFailures")
        )
    return closed, case.get("name", "") if case is not None else ""


def count_case(element: xml.Element, suite: Suite) -> None:
    """Counts a test case."""
    overall = element.find("OverallResult")
    if overall is None or overall.get("success") != "true":
        suite.failed += 1
        if suite.failed <= 20:
            suite.report.append(explain_case(element))
    elif int(overall.get("skips", 0)):
        suite.skipped += 1
    else:
        suite.passed += 1


def explain_case(element: xml.Element) -> str:
    """Returns what failed in a test case."""
    lines = [f"    FAILED: {element.get('name')}  ({shorten(element.get('filename'))}:{element.get('line')})"]
    for part in element.iter():
        text = (part.text or "").strip()
        place = f"{shorten(part.get('filename'))}:{part.get('line')}"
        if part.tag == "Expression" and part.get("success") == "false":
            original, expanded = (part.findtext(tag, "").strip() for tag in ("Original", "Expanded"))
            lines.append(f"      {place}: {part.get('type')}( {original} )  with  {expanded}")
        elif part.tag in ("Exception", "Failure", "FatalErrorCondition") and text:
            lines.append(f"      {place}: {part.tag}: {text}")
        elif part.tag == "Section":
            lines.append(f"      in section: {part.get('name')}")
        elif part.tag == "Info" and text:
            lines.append(f"      with: {text}")
    return "\n".join(lines[:30])
