"""How to speak with whoever is there: decided here once, for the whole program."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import Enum
from typing import TextIO


class Manner(Enum):
    """How this run speaks."""

    SCREENS = "screens"
    """The assistant, on the whole terminal."""
    LINES = "lines"
    """Questions and answers line by line: nothing is drawn, nothing moves."""
    NOBODY = "nobody"
    """There is nobody who could answer, or nobody who should be asked."""


def manner(
    *, plain: bool = False, unattended: bool = False, environment: Mapping[str, str] = os.environ
) -> Manner:
    """How to speak, from what was asked for and what the standard streams are.

    Parameters
    ----------
    plain
        Line by line was asked for.
    unattended
        No question was asked for (`--yes`, `--json`).
    environment
        `TERM=dumb`, `CI` and `ACCESSIBLE` ask for lines; `0` and `false` there mean no.
    """
    if unattended or not _is_terminal(sys.stdin):
        return Manner.NOBODY
    if plain or not _is_terminal(sys.stdout) or environment.get("TERM") == "dumb":
        return Manner.LINES
    if any(_is_set(environment.get(name, "")) for name in ("CI", "ACCESSIBLE")):
        return Manner.LINES
    return Manner.SCREENS


def _is_set(value: str) -> bool:
    return value.lower() not in ("", "0", "false")


def _is_terminal(stream: TextIO | None) -> bool:
    # A stream that was closed before the start is None.
    return stream is not None and stream.isatty()
