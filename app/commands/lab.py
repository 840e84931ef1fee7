"""`lab`: the assistant in a lab of its own, or all steps there line by line."""

from __future__ import annotations

from pathlib import Path

from app.commands import begin
from app.commands.walking import lead
from app.console import Console
from app.lab_process import LabSettings
from app.options import Options
from app.terminal import Manner, manner
from app.wiring import Wiring


def run(options: Options, console: Console, home: Path) -> int:
    """Raises Problem, Interrupted."""
    settings = LabSettings(options.backends, tuple(options.fault))
    wiring = Wiring(home, lab=settings, redact=console.redact)
    there = manner(plain=options.plain, unattended=options.yes or options.json)
    if there is Manner.SCREENS and not (options.answers or options.answer or options.host_key):
        return begin.assistant(wiring, "lab", options, console)
    return lead(
        options,
        console,
        wiring.steps,
        lambda emit, reveal, ask: wiring.new("lab", emit, reveal, ask),
        answered_elsewhere=True,
    )
