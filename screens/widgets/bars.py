"""Bars and curves out of eighths of a block."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> str:
    """`share` (0 to 1) of `width` cells, filled up with blanks."""
    eighths = round(max(min(share, 1.0), 0.0) * width * 8)
    whole, rest = divmod(eighths, 8)
    drawn = "█" * whole + (_EIGHTHS[rest] if rest else "")
    return drawn.ljust(width)


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values at eight levels between nothing and the greatest of them."""
    last = values[-width:]
    top = max(last, default=0.0)
    if top <= 0:
        return _LEVELS[0] * len(last)
    return "".join(_LEVELS[min(int(value / top * 8), 7)] for value in last)
