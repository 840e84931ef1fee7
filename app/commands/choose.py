"""The assistant's first screen, line by line."""

from __future__ import annotations

from pathlib import Path

from app.commands import lab, resume
from app.commands import run as new
from app.console import Console
from app.options import Options
from app.plain import Back, Dialogue, Leave
from services.problem import Exit
from services.session.store import Sessions
from services.text import say


def run(options: Options, console: Console, home: Path) -> int:
    """Ask what to do, and do it. Raises Problem, Interrupted."""
    saved = any(not isinstance(each, tuple) for each in Sessions(home).all())
    offered = ["new", *(["resume"] if saved else []), "lab", "stop"]
    options.plain = True
    try:
        chosen = Dialogue(console).choose(say("plain.welcome"), offered, offered.index("lab"))
    except (Back, Leave):
        return Exit.FINE
    command = {"new": new.run, "resume": resume.run, "lab": lab.run}.get(chosen)
    return command(options, console, home) if command is not None else Exit.FINE
