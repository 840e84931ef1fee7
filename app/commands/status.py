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
from services.events import Event, rfc3339
from services.problem import Exit
from services.text import say
from services.walk import Drift, Walk

_SIGNS = {"done": "✓", "attention": "!", "failed": "✗", "begun": "▸", "outdated": "!"}


def run(options: Options, console: Console, home: Path) -> Exit:
    """Exit 1 if the world is not as the session left it. Raises Problem, Interrupted."""
    wiring = Wiring(home, redact=console.redact)
    with interrupts.listening(), wiring.look(options.session, _unheard) as walk:
        drift = interrupts.in_thread(walk.drift)
        certificates = _certificates(walk.store.folder.pki, datetime.now(UTC))
        if console.json:
            console.result(_map(walk, drift, certificates))
        else:
            console.say(_words(walk, drift, certificates))
    return Exit.NOT_FINE if drift else Exit.FINE


def _unheard(event: Event) -> None:
    return None


def _certificates(folder: Path, now: datetime) -> list[dict[str, Any]]:
    """The first certificate of each file: the chain above it lives longer."""
    from cryptography import x509  # 0.1 s

    found = []
    for path in sorted(folder.glob("*.crt")):
        try:
            certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        except (OSError, ValueError):
            continue
        until = certificate.not_valid_after_utc
        found.append(
            {"role": path.stem, "not_after": rfc3339(until), "days_left": (until - now).days}
        )
    return found


def _map(
    walk: Walk, drift: Sequence[Drift], certificates: Sequence[dict[str, Any]]
) -> dict[str, Any]:
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
        "certificates": list(certificates),
    }


def _words(walk: Walk, drift: Sequence[Drift], certificates: Sequence[dict[str, Any]]) -> str:
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
    if certificates:
        lines.append(say("app.status.certificates"))
    for each in certificates:
        lines.append(
            say(
                "app.status.certificate",
                role=each["role"],
                until=each["not_after"][:10],
                count=each["days_left"],
            )
        )
    lines.append(say("app.status.drift" if drift else "app.status.no-drift"))
    lines += [say(f"app.told.drift-{each.how}", **each.to_map()) for each in drift]
    return "\n".join(lines)
