"""`lab`: the assistant in a lab of its own, or all steps there line by line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.commands import begin
from app.console import Console
from app.options import Options
from app.terminal import Manner, manner

if TYPE_CHECKING:
    from app.wiring import Wiring


def run(options: Options, console: Console, home: Path) -> int:
    """Raises Problem (`lab.unknown-fault` with exit 2), Interrupted."""
    if options.fault:
        from app.lab_process import LabSettings

        LabSettings(options.backends, tuple(options.fault)).check()

    def wiring() -> Wiring:
        from app.lab_process import LabSettings
        from app.wiring import Wiring  # 0.1 s, which the first screen does not wait for

        settings = LabSettings(options.backends, tuple(options.fault))
        return Wiring(home, lab=settings, redact=console.redact)

    there = manner(plain=options.plain, unattended=options.yes or options.json)
    if there is Manner.SCREENS and not (options.answers or options.answer or options.host_key):
        return begin.assistant(wiring, "lab", options, console, home)
    from app.commands.walking import lead

    composed = wiring()
    return lead(
        options,
        console,
        composed.steps,
        lambda emit, reveal, ask: composed.new("lab", emit, reveal, ask),
        answered_elsewhere=True,
    )
