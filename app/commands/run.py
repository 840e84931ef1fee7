"""`run`: all steps in the account, or in whatever lab the environment points at."""

from __future__ import annotations

from pathlib import Path

from app.commands.walking import lead
from app.console import Console
from app.options import Options
from app.wiring import Wiring
from services.problem import Exit


def run(options: Options, console: Console, home: Path) -> Exit:
    """Raises Problem, Interrupted."""
    wiring = Wiring(home, redact=console.redact)
    return lead(
        options,
        console,
        wiring.steps,
        lambda emit, reveal, ask: wiring.new("cloud", emit, reveal, ask),
    )
