"""`verify`: the last step alone, on a session, or on any endpoint at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import headless, interrupts
from app.commands.walking import asking
from app.console import Console
from app.narration import Narrator
from app.options import Options
from app.terminal import manner
from app.wiring import Wiring
from services.events import Event
from services.problem import Exit, Problem
from services.steps.step import Step
from services.stop import Stop
from services.text import say
from services.walk import Walk

if TYPE_CHECKING:
    from services.probe.tally import Tally

_ALONE = ("name", "cert", "key", "ca")
"""Options that say how to reach an endpoint, and mean nothing for a session."""


def run(options: Options, console: Console, home: Path) -> Exit:
    """Exit 1 if what was verified is not fine. Raises Problem, Interrupted."""
    if options.connect is not None:
        if options.session:
            raise _usage(say("app.usage.both"))
        return _endpoint(options, options.connect, console)
    without = [f"--{name}" for name in _ALONE if getattr(options, name) is not None]
    if without:
        raise _usage(say("app.usage.needs-connect", option=without[0]))
    return _session(options, console, home)


def _session(options: Options, console: Console, home: Path) -> Exit:
    wiring = Wiring(home, redact=console.redact)
    session = wiring.read(options.session).id
    there = manner(plain=True, unattended=options.json)
    with (
        interrupts.listening(),
        Narrator(wiring.steps, console.say) as narrator,
        wiring.resume(
            session,
            headless.hear(console, narrator),
            lambda name, secret: None,
            asking(there, console),
        ) as walk,
    ):
        last = walk.steps[-1]

        def prove(stop: Stop) -> Exit:
            walk.settle(last, stop)
            walk.look(last, stop)
            proof = walk.prove(last, stop)
            headless.conclude(walk, console, proof.result, proof.passed)
            return Exit.FINE if proof.passed else Exit.NOT_FINE

        with _for_once(walk, last, options):
            return interrupts.in_thread(prove)


@contextmanager
def _for_once(walk: Walk, step: Step, options: Options) -> Iterator[None]:
    """What this command line asks for, as answers that do not outlive it."""
    before = {}
    for name in ("requests", "concurrency"):
        value = getattr(options, name)
        if value is not None:
            answer = f"{step.NAME}.{name}"
            before[answer] = walk.session.answers.get(answer)
            walk.answer(answer, str(value))
    try:
        yield
    finally:
        for answer, value in before.items():
            walk.answer(answer, value)


def _endpoint(options: Options, connect: str, console: Console) -> Exit:
    from services.probe.report import verify
    from services.probe.target import Target, parse_endpoint

    host, port = parse_endpoint(connect)
    target = Target(
        host=host,
        port=port,
        name=options.name or host,
        certificate_file=_path(options.cert),
        key_file=_path(options.key),
        ca_file=_path(options.ca),
    )
    with interrupts.listening(), Narrator((), console.say) as narrator:
        emit = headless.hear(console, narrator)

        def snapshot(tally: Tally) -> None:
            emit(Event("snapshot", data=_counts(tally)))

        report = interrupts.in_thread(
            lambda stop: verify(
                target,
                requests=options.requests or 200,
                concurrency=options.concurrency or 16,
                stop=stop,
                on_snapshot=snapshot,
            )
        )
    found = report.to_map()
    if console.json:
        console.result(found)
    else:
        for line in _words(found):
            console.say(line)
    return Exit.FINE if report.verdict == "pass" else Exit.NOT_FINE


def _words(found: Mapping[str, Any]) -> list[str]:
    """The result in sentences."""
    backends = ", ".join(f"{name} {count}" for name, count in found["backends"].items())
    lines = [
        say(
            "app.verify.requests",
            endpoint=found["endpoint"],
            name=found["name"],
            requests=found["requests"],
            ok=found["ok"],
            failed=found["failed"],
            backends=backends or "-",
            rate=found["requests_per_second"],
        )
    ]
    for name, refused in found["refused"].items():
        key = {True: "refused", False: "let-in", None: "untold"}[refused]
        stranger = say(f"app.verify.stranger-{name.replace('_', '-')}")
        lines.append(say(f"app.verify.{key}", stranger=stranger))
    lines += [headless.diagnosis_words(each) for each in found["diagnosis"]]
    return [*lines, say("app.told.verdict", verdict=found["verdict"])]


def _counts(tally: Tally) -> dict[str, Any]:
    return {
        "requests": tally.requests,
        "ok": tally.ok,
        "failed": tally.failed,
        "backends": dict(tally.backends),
        "requests_per_second": round(tally.requests_per_second, 1),
    }


def _path(text: str | None) -> Path | None:
    return Path(text) if text is not None else None


def _usage(message: str) -> Problem:
    return Problem("app.usage", exit=Exit.USAGE, message=message, command="nlb-mtls verify")
