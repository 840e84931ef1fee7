"""The walk without a person: every answer is known before anything is made, or nothing is made."""

from __future__ import annotations

import _thread
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from app import interrupts
from app.console import Console
from app.narration import Narrator, preview_lines
from services.events import Event
from services.problem import Exit, Problem
from services.steps.step import Proof, Step
from services.stop import Stop
from services.text import say
from services.walk import SETTLED, Walk

WATCHED_S = 1.0
"""How often a proof that goes on for long shows a snapshot to a program."""


def hear(console: Console, narrator: Narrator) -> Callable[[Event], None]:
    """What a walk's events do in a run without screens.

    When whoever reads them is gone, the walk is stopped as by SIGTERM: this is called in the walk's
    thread, where an error would end an action half-way instead.
    """
    watching, shown_at = False, 0.0
    run_before: set[str] = set()

    def emit(event: Event) -> None:
        nonlocal watching, shown_at
        if event.event == "phase":
            watching = event.phase == "watch"
            run_before.clear()
        elif event.event == "snapshot" and watching and console.json:
            if time.monotonic() - shown_at < WATCHED_S:
                return
            shown_at = time.monotonic()
        elif event.event == "command" and watching:
            # The same looks, every few seconds.
            command = str(event.data.get("command", ""))
            if command in run_before:
                return
            run_before.add(command)
        try:
            if console.json:
                console.event(event)
            else:
                narrator.hear(event)
        except BrokenPipeError:
            _thread.interrupt_main(signal.SIGTERM)

    return emit


def go(walk: Walk, console: Console, *, resumed: bool = False) -> Exit:
    """Take every step that is not done, prove each, and end with the last one's result.

    Raises
    ------
    Problem
        `core.answer-missing` (exit 3) before anything is made, `app.proof-failed`, and whatever
        kept a step from being done.
    Interrupted
    """
    return interrupts.in_thread(lambda stop: _go(walk, console, resumed, stop))


def _go(walk: Walk, console: Console, resumed: bool, stop: Stop) -> Exit:
    if resumed:
        compare(walk, console, stop)
    _settle_all(walk, stop)
    result: Mapping[str, Any] = {}
    passed = True
    for step in walk.steps:
        last = step is walk.steps[-1]
        if resumed and not last and walk.state(step) in SETTLED:
            continue
        proof = _take(walk, step, console, stop)
        result = proof.result or result
        passed = proof.passed
        if not passed and not last:
            raise Problem(
                "app.proof-failed",
                evidence="; ".join(
                    f"{check.title()}: {check.evidence or '-'}"
                    for check in proof.checks
                    if not check.passed
                ),
                title=say(f"{step.NAME}.title"),
            )
    conclude(walk, console, result, passed)
    return Exit.FINE if passed else Exit.NOT_FINE


def conclude(walk: Walk, console: Console, result: Mapping[str, Any], passed: bool) -> None:
    """The last words: the verdict, and where everything lies."""
    verdict = "pass" if passed else "fail"
    session = walk.session.id
    if console.json:
        console.result({"verdict": verdict, **result, "session": session})
        return
    for found in result.get("diagnosis", ()):
        console.say(diagnosis_words(found))
    console.say(say("app.told.verdict", verdict=verdict))
    console.say(say("app.told.kept", session=session, folder=walk.store.folder.path))


def diagnosis_words(found: Mapping[str, str]) -> str:
    """One diagnosis of a result, as a sentence with how sure it is."""
    return say(
        "app.told.diagnosis",
        severity=say(f"app.severity.{found['severity']}"),
        confidence=say(f"app.confidence.{found['confidence']}"),
        cause=found["cause"],
        remedy=found["remedy"],
        evidence=found["evidence"] or "-",
    ).rstrip()


def _take(walk: Walk, step: Step, console: Console, stop: Stop) -> Proof:
    walk.settle(step, stop)
    walk.look(step, stop)
    preview = walk.preview(step, stop)
    if console.json:
        for line in preview.lines:
            action = line.action.id
            walk.emit(
                Event("preview", step=step.NAME, phase="preview", action=action, data=line.to_map())
            )
    else:
        for text in preview_lines(preview.lines):
            console.say(text)
    walk.act(step, stop)
    return walk.prove(step, stop)


def compare(walk: Walk, console: Console, stop: Stop) -> None:
    """Look at the world again, and tell what is no longer as it was done."""
    drift = walk.inspect(stop)
    found = [each.to_map() for each in drift]
    walk.emit(Event("phase", phase="inspect", data={"session": walk.session.id, "drift": found}))
    if not console.json:
        console.say(say("app.told.resumed", session=walk.session.id))
        for each in found:
            console.say(say(f"app.told.drift-{each['drift']}", **each))


def _settle_all(walk: Walk, stop: Stop) -> None:
    """Resolve every ask of every step, as far as that can be told now; nothing is made before.

    What a person has to answer comes first: a world that cannot be asked is told only if nothing
    else is missing.
    """
    missing: list[str] = []
    failure: Problem | None = None
    for step in walk.steps:
        try:
            missing += walk.unsettled(step, stop)
        except Problem as problem:
            missing += unanswerable(walk, step)
            failure = failure or problem
    if missing:
        raise answers_missing(missing)
    if failure is not None:
        raise failure


def unanswerable(walk: Walk, step: Step) -> list[str]:
    """The asks of a step that have no answer, no default, and no choice that the world offers."""
    return [
        field.ask.name
        for field in walk.fields(step)
        if field.ask.required and not field.value and not field.given and not field.ask.choices
    ]


def answers_missing(names: list[str]) -> Problem:
    """Raised before anything is made: what has to be answered, all of it at once."""
    names = list(dict.fromkeys(names))
    return Problem(
        "core.answer-missing", names=", ".join(names), first=names[0], exit=Exit.ANSWER_MISSING
    )
