"""`resume`: go on where a session stopped."""

from __future__ import annotations

from pathlib import Path

from app.commands import begin
from app.commands.walking import lead
from app.console import Console
from app.options import Options
from app.terminal import Manner, manner
from app.wiring import Wiring


def run(options: Options, console: Console, home: Path) -> int:
    """Raises Problem, Interrupted."""
    wiring = Wiring(home, redact=console.redact)
    session = wiring.read(options.session).id
    there = manner(plain=options.plain, unattended=options.yes or options.json)
    if there is Manner.SCREENS and not (options.answers or options.answer or options.host_key):
        return begin.assistant(lambda: wiring, ("resume", session), options, console, home)
    return lead(
        options,
        console,
        wiring.steps,
        lambda emit, reveal, ask: wiring.resume(session, emit, reveal, ask),
        resumed=True,
        answered_elsewhere=True,
    )
