"""No command: the assistant, where there is a terminal to draw on."""

from __future__ import annotations

from pathlib import Path

from app.console import Console
from app.invocation import command
from app.options import Options
from app.start import Begin
from app.terminal import Manner, manner
from app.wiring import Wiring
from services.problem import Exit, Problem


def run(options: Options, console: Console, home: Path) -> int:
    """Raises Problem `app.no-terminal`."""
    wiring = Wiring(home, redact=console.redact)
    there = manner(plain=options.plain)
    if there is Manner.SCREENS:
        return assistant(wiring, "welcome", options, console)
    if there is Manner.LINES:
        from app.commands import choose

        return choose.run(options, console, home)
    raise Problem("app.no-terminal", exit=Exit.ANSWER_MISSING)


def assistant(wiring: Wiring, begin: Begin, options: Options, console: Console) -> int:
    """The assistant, opened at `begin`, until the person leaves it. It hears signals itself."""
    from app import tui

    return tui.run(wiring, begin, console.redact, command([], options.home))
