"""The findings as Markdown, and their place in the README."""

from __future__ import annotations

import os
import platform
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scripts.benchmarks.finding import Finding, Omitted
from scripts.benchmarks.table import number

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

Findings = Mapping[str, Sequence[Finding | Omitted]]
"""By the name of the benchmark."""


def markdown(found: Findings) -> str:
    """The judged numbers as a table of Markdown, and what computer they were measured on."""
    lines = ["| benchmark | | goal | measured | rounds |", "| --- | --- | --- | --- | --- |"]
    lines += [_row(name, finding) for name, finding in _judged(found)]
    return "\n".join([*lines, "", computer()]) + "\n"


def computer() -> str:
    """What the numbers depend on besides the program, in a sentence."""
    system = f"{platform.system()} {platform.release().partition('-')[0]} on {platform.machine()}"
    return (
        f"{os.cpu_count()} cores, {system}, Python {platform.python_version()},"
        f" {' '.join(ssl.OPENSSL_VERSION.split()[:2])}."
    )


def written(readme: str, block: str) -> str:
    """`readme` with `block` between its two marks. Raises ValueError unless it has them."""
    marks = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
    new, times = marks.subn(lambda _: f"{BEGIN}\n{block}{END}", readme)
    if times != 1:
        raise ValueError(f"{BEGIN} and {END}: expected once, found {times} times")
    return new


def write(file: Path, found: Findings) -> None:
    """Put the findings into a file that has the marks. Raises ValueError as `written`."""
    file.write_text(written(file.read_text(encoding="utf-8"), markdown(found)), encoding="utf-8")


def _judged(found: Findings) -> Iterator[tuple[str, Finding]]:
    for name, findings in found.items():
        for finding in findings:
            if isinstance(finding, Finding) and finding.goal is not None:
                yield name, finding


def _row(name: str, finding: Finding) -> str:
    unit = f" {finding.unit}" if finding.unit else ""
    missed = "" if finding.met else " (missed)"
    signs = {"<=": "≤", ">=": "≥", "=": "="}
    assert finding.goal is not None
    goal = f"{signs[finding.goal.sign]} {finding.goal.bound:.3g}"
    extremes = f"{number(finding.low)} – {number(finding.high)}"
    return (
        f"| {name} | {finding.what} | {goal} | {number(finding.value)}{unit}{missed} | {extremes} |"
    )
