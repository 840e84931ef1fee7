"""`--help-answers`: every name that an answers file may hold."""

from __future__ import annotations

from pathlib import Path

from app.answers import HOST_PARTS
from app.console import Console
from app.options import Options
from services.problem import Exit
from services.session.model import Session
from services.steps import all as all_steps
from services.text import say


def run(options: Options, console: Console, home: Path) -> Exit:
    """Print each answer with its default and what it means."""
    console.say(say("app.answers.about"))
    session = Session()
    for step in all_steps.STEPS:
        if step.ASKS:
            console.say("\n" + say(f"{step.NAME}.title"))
        for ask in step.ASKS:
            console.say(f"  {ask.name}")
            console.say(f"      {ask.label}. {ask.help}".rstrip())
            default = ask.default(session)
            if default:
                console.say("      " + say("app.answers.default", default=default))
            elif ask.required and ask.kind != "secret":
                key = "app.answers.only-one" if ask.choices else "app.answers.needed"
                console.say("      " + say(key))
    console.say("\n" + say("app.answers.hosts"))
    for part in HOST_PARTS:
        console.say(f"  hosts.NAME.{part}")
        console.say("      " + say(f"app.answers.host-{part.replace('_', '-')}"))
    return Exit.FINE
