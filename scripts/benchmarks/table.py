"""The findings as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.benchmarks.finding import Finding, Omitted

HEADINGS = ("benchmark", "what", "goal", "measured", "rounds", "met")
_MET = {True: "yes", False: "NO", None: ""}


def rows_of(benchmark: str, findings: Sequence[Finding | Omitted]) -> list[Sequence[str]]:
    """A row a finding; the benchmark's name stands once."""
    return [
        ("" if index else benchmark, *_cells(finding)) for index, finding in enumerate(findings)
    ]


def _cells(finding: Finding | Omitted) -> Sequence[str]:
    if isinstance(finding, Omitted):
        return (f"{finding.what}: skipped: {finding.reason}",)
    return (
        finding.what,
        "" if finding.goal is None else str(finding.goal),
        number(finding.value) + (f" {finding.unit}" if finding.unit else ""),
        f"{number(finding.low)} to {number(finding.high)}",
        _MET[finding.met],
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be; a row with two cells alone is a remark."""
    whole = [row for row in rows if len(row) == len(HEADINGS)]
    widths = [max(len(row[column]) for row in [HEADINGS, *whole]) for column in range(6)]
    widths[0] = max(len(row[0]) for row in [HEADINGS, *rows])
    lines = []
    for row in [HEADINGS, ["-" * width for width in widths], *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float) -> str:
    """Three digits or so: no measurement here knows more."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
