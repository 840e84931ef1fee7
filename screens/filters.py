"""What a line becomes on terminals that show less: ASCII only, or no colour at all."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_PLAIN = str.maketrans(
    {
        "✓": "v",
        "✗": "x",
        "▸": ">",
        "▾": "v",
        "·": ".",
        "…": "~",
        "•": "*",
        "●": "*",
        "○": "o",
        "─": "-",
        "━": "-",
        "│": "|",
        "┃": "|",
        "▌": "|",
        "▐": "|",
        "┌": "+",
        "┐": "+",
        "└": "+",
        "┘": "+",
        "├": "+",
        "┤": "+",
        "╭": "+",
        "╮": "+",
        "╰": "+",
        "╯": "+",
        "╵": "|",
        "╷": "|",
        "→": ">",
        "←": "<",
        "↑": "^",
        "↓": "v",
        "×": "x",
        "±": "~",
        "–": "-",
        "—": "-",
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "█": "#",
        "▉": "#",
        "▊": "#",
        "▋": "#",
        "▍": "=",
        "▎": "-",
        "▏": "-",
        "▇": "#",
        "▆": "*",
        "▅": "+",
        "▄": "=",
        "▃": "-",
        "▂": "_",
        "▁": ".",
        "▔": "-",
        "🭶": "-",
        "🭻": "_",
    }
)


@lru_cache(4096)
def in_ascii(text: str) -> str:
    """`text` in ASCII signs, each as wide as the one that it stands for."""
    if text.isascii():
        return text
    plain = text.translate(_PLAIN)
    if plain.isascii():
        return plain
    from rich.cells import cell_len

    return "".join(c if c.isascii() else "?" * cell_len(c) for c in plain)


class Ascii(LineFilter):
    """Every sign that is not ASCII is replaced by one that is, after layout: nothing moves."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(in_ascii(text), style, control) for text, style, control in segments]


@lru_cache(1024)
def _bare(style: Style) -> Style:
    return Style(
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        underline=style.underline,
        reverse=style.reverse,
        meta=style.meta,
    )


class Bare(LineFilter):
    """No colour, as `NO_COLOR` asks: bold, dim, underline and reverse are left."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, _bare(style) if style else style) for text, style, _ in segments]


def wants_ascii(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this terminal can be trusted with ASCII only."""
    if environment.get("TERM") == "linux":
        return True
    return locale.getpreferredencoding(False).lower().replace("-", "") not in ("utf8", "cp65001")
