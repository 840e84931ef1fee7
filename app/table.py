"""Columns for people, aligned by cells: names on the left, numbers on the right."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """The rows below their head. The first column is for names, the others for numbers."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(cells, column)) for column in columns]

    def line(row: Sequence[str]) -> str:
        first, *rest = row
        parts = [first + " " * (widths[0] - cells(first))]
        parts += [" " * (w - cells(t)) + t for t, w in zip(rest, widths[1:], strict=True)]
        return (indent + "   ".join(parts)).rstrip()

    return [line(head), *map(line, rows)]


def cells(text: str) -> int:
    """How many cells of a terminal `text` takes: wide characters take two (UAX 11)."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
