"""No command: the assistant, where there is a terminal to draw on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from app.console import Console
from app.invocation import command
from app.options import Options
from app.terminal import Manner, manner
from services.problem import Exit, Problem

if TYPE_CHECKING:
    from app.start import Begin, Start


def run(options: Options, console: Console, home: Path) -> int:
    """Raises Problem `app.no-terminal`."""

    def wiring() -> Start:
        from app.wiring import Wiring  # 0.1 s, which the first screen does not wait for

        return Wiring(home, redact=console.redact)

    there = manner(plain=options.plain)
    if there is Manner.SCREENS:
        return assistant(wiring, "welcome", options, console, home)
    if there is Manner.LINES:
        from app.commands import choose

        return choose.run(options, console, home)
    raise Problem("app.no-terminal", exit=Exit.ANSWER_MISSING)


def assistant(
    start: Callable[[], Start], begin: Begin, options: Options, console: Console, home: Path
) -> int:
    """The assistant, opened at `begin`, until the person leaves it. It hears signals itself."""
    from app import tui

    return tui.run(start, begin, home, console.redact, command([], options.home))
