"""`lab serve`: only the lab, in the foreground."""

from __future__ import annotations

from pathlib import Path

from app.console import Console
from app.options import Options
from services.problem import Exit


def run(options: Options, console: Console, home: Path) -> Exit:
    """Raises Problem."""
    raise NotImplementedError
