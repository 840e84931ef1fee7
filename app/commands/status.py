"""`status`: where a session stands, and how the world differs from what was done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app import interrupts
from app.console import Console
from app.options import Options
from app.wiring import Wiring
from services.events import Event
from services.handover.certificates import certificates
from services.handover.content import Certificate
from services.problem import Exit
from services.text import say
from services.walk import Drift, Walk

_SIGNS = {"done": "✓", "attention": "!", "failed": "✗", "begun": "▸", "outdated": "!"}


def run(options: Options, console: Console, home: Path) -> Exit:
    """Exit 1 if the world is not as the session left it. Raises Problem, Interrupted."""
    wiring = Wiring(home, redact=console.redact)
    with interrupts.listening(), wiring.look(options.session, _unheard) as walk:
        drift = interrupts.in_thread(walk.drift)
        facts = walk.session.facts
        found = certificates(walk.store.folder.pki, facts, datetime.now(UTC))
        if console.json:
            console.result(_map(walk, drift, found))
        else:
            console.say(_words(walk, drift, found))
    return Exit.NOT_FINE if drift else Exit.FINE


def _unheard(event: Event) -> None:
    return None


def _map(walk: Walk, drift: Sequence[Drift], found: Sequence[Certificate]) -> dict[str, Any]:
    session = walk.session
    return {
        "session": session.id,
        "place": session.place,
        "changed": session.changed,
        "steps": [{"name": name, "state": state} for name, state in walk.states().items()],
        "resources": [
            {
                "kind": deed.kind,
                "id": deed.resource,
                "made": deed.made,
                "adopted": not deed.made,
                "state": deed.state,
            }
            for deed in session.deeds
        ],
        "drift": [each.to_map() for each in drift],
        "certificates": [
            {
                "role": each.role,
                "not_after": each.not_after,
                "days_left": each.days_left,
                "ending": each.ending,
            }
            for each in found
        ],
    }


def _words(walk: Walk, drift: Sequence[Drift], found: Sequence[Certificate]) -> str:
    session = walk.session
    lines = [
        say("app.status.session", session=session.id, place=session.place, changed=session.changed)
    ]
    for number, (name, state) in enumerate(walk.states().items()):
        lines.append(
            say(
                "app.status.step",
                sign=_SIGNS.get(state, "·"),
                number=number,
                title=say(f"{name}.title"),
                state=say(f"app.state.{state}"),
            )
        )
    if session.deeds:
        lines.append(say("app.status.resources"))
    for deed in session.deeds:
        how = say("app.how.made" if deed.made else "app.how.adopted")
        lines.append(say("app.status.resource", how=how, kind=deed.kind, id=deed.resource or "-"))
    if found:
        lines.append(say("app.status.certificates"))
    for each in found:
        key = f"-{each.ending}" if each.ending else ""
        until = each.not_after[:10]
        lines.append(
            say(f"app.status.certificate{key}", role=each.role, until=until, count=each.days_left)
        )
    lines.append(say("app.status.drift" if drift else "app.status.no-drift"))
    lines += [say(f"app.told.drift-{each.how}", **each.to_map()) for each in drift]
    return "\n".join(lines)
