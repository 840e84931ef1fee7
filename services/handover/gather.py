"""From a session at rest to what a report says of it. Reaches for nothing but its own folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from services.events import rfc3339
from services.handover.certificates import certificates
from services.handover.content import (
    Content,
    Removal,
    Resource,
    Setting,
    StepState,
    Undo,
)
from services.handover.proof import verification
from services.handover.remaining import Situation, remaining
from services.redact import Redactor
from services.session.model import Adopted, Done
from services.session.store import history
from services.text import say
from services.walk import Walk


def gather(walk: Walk, now: datetime, program: str, redact: Redactor) -> Content:
    """What is known of the walk's session, without a secret in any text of it.

    Parameters
    ----------
    program
        The version of this program.
    redact
        Knows the secrets of this run; the session itself holds none.

    Raises
    ------
    Problem
        `handover.unreadable-result`, `session.journal-broken`.
    """
    session, pki = walk.session, walk.store.folder.pki
    steps = tuple(_steps(walk))
    proof = verification(session, tuple(step.name for step in steps))
    held = certificates(pki, session.facts, now)
    resources = tuple(_resources(walk))
    content = Content(
        program=program,
        generated=rfc3339(now),
        session=session.id,
        place=session.place,
        created=session.created,
        changed=session.changed,
        domain=session.answers.get("prepare.domain", proof.name if proof else ""),
        verification=proof,
        remaining=remaining(Situation(session, steps, held, proof, pki)),
        steps=steps,
        settings=tuple(_settings(walk)),
        resources=resources,
        certificates=held,
        undo=Undo(
            command=f"nlb-mtls cleanup {session.id}",
            removes=tuple(
                Removal(
                    kind=line.action.KIND,
                    id=line.resource,
                    title=line.action.title(),
                    undo=line.action.undo_words(),
                )
                for line in walk.removals()
            ),
            keeps=tuple(each for each in resources if each.origin == "adopted"),
        ),
    )
    return msgspec.convert(redact.within(msgspec.to_builtins(content)), Content)


def _steps(walk: Walk) -> Iterator[StepState]:
    for name, state in walk.states().items():
        proved = walk.session.proofs.get(name)
        yield StepState(
            name=name,
            title=say(f"{name}.title"),
            state=state,
            state_words=say(f"handover.state.{state}"),
            proved=proved.time if proved else None,
        )


def _settings(walk: Walk) -> Iterator[Setting]:
    """The answers to the steps' asks that hold; a secret is in no session."""
    session = walk.session
    for step in walk.steps:
        for ask in step.ASKS:
            value = session.answers.get(ask.name)
            if value and ask.kind != "secret" and ask.when(session):
                yield Setting(name=ask.name, step=step.NAME, label=ask.label, value=value)


def _resources(walk: Walk) -> Iterator[Resource]:
    times = dict(_times(walk))
    for deed, action in walk.deeds():
        yield Resource(
            kind=deed.kind,
            id=deed.resource,
            step=deed.step,
            title=action.title(),
            origin="made" if deed.made else "adopted",
            state=deed.state,
            time=times.get(deed.id),
        )


def _times(walk: Walk) -> Iterator[tuple[str, str]]:
    """When each action was done for the last time, by its id."""
    for entry in history(walk.store.folder, walk.session):
        match entry:
            case Done():
                yield entry.id, entry.time
            case Adopted():
                yield entry.deed.id, entry.time
