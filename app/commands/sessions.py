"""`sessions`: what is saved, latest first."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.console import Console
from app.options import Options
from app.wiring import Wiring
from services.events import problem_map, rfc3339
from services.pki.ending import ends
from services.problem import Exit, Problem
from services.session.model import Session
from services.text import say
from services.walk import SETTLED


def run(options: Options, console: Console, home: Path) -> Exit:
    """A session that cannot be read is listed with the reason, and makes the exit code 1."""
    wiring = Wiring(home, redact=console.redact)
    saved = wiring.sessions()
    if console.json:
        console.result({"sessions": [_map(wiring, each) for each in saved]})
    elif not saved:
        console.say(say("app.sessions.none", home=home))
    else:
        for each in saved:
            console.say(_words(wiring, each))
    broken = any(isinstance(each, tuple) for each in saved)
    return Exit.NOT_FINE if broken else Exit.FINE


def _map(wiring: Wiring, each: Session | tuple[str, Problem]) -> dict[str, Any]:
    if isinstance(each, tuple):
        name, problem = each
        return {"session": name, "problem": problem_map(problem)}
    walk = wiring.at_rest(each)
    return {
        "session": each.id,
        "place": each.place,
        "created": each.created,
        "changed": each.changed,
        "step": walk.stands_at().NAME,
        "steps": dict(walk.states()),
        "resources": len(each.deeds),
        "certificates": [
            {
                "role": end.role,
                "not_after": rfc3339(end.not_after),
                "days_left": end.days_left,
                "ending": end.ending,
            }
            for end in ends(each.facts, datetime.now(UTC))
        ],
    }


def _words(wiring: Wiring, each: Session | tuple[str, Problem]) -> str:
    if isinstance(each, tuple):
        name, problem = each
        return say("app.sessions.broken", session=name, what=problem.words().what)
    walk = wiring.at_rest(each)
    done = all(state in SETTLED for state in walk.states().values())
    title = say(f"{walk.stands_at().NAME}.title")
    state = say("app.sessions.done") if done else say("app.sessions.at", title=title)
    head = say("app.sessions.head", session=each.id, place=each.place)
    lines = [head, say("app.sessions.line", changed=each.changed, state=state)]
    for end in ends(each.facts, datetime.now(UTC)):
        if end.ending:
            until = f"{end.not_after:%Y-%m-%d}"
            lines.append(say(f"app.sessions.{end.ending}", role=end.role, until=until))
    return "\n".join(lines)
