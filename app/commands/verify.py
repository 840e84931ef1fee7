"""`verify`: the last step alone, on a session, or on any endpoint at all; once, or for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import findings, headless, interrupts
from app.commands.walking import asking
from app.console import Console
from app.narration import Narrator
from app.options import Options
from app.terminal import manner
from app.wiring import Wiring
from services.events import Emit, Event, Shown
from services.problem import Exit, Problem
from services.steps.course import GENTLE, Course, Pace
from services.steps.step import Proof, Step
from services.stop import Stop
from services.text import say
from services.walk import Walk

if TYPE_CHECKING:
    from services.probe.refusals import Pair
    from services.probe.tally import Tally
    from services.probe.target import Target

_ALONE = (
    "name",
    "cert",
    "key",
    "ca",
    "client_ca_cert",
    "client_ca_key",
    "path",
    "backend_pattern",
    "backend_header",
    "timeout",
)
"""Options that say how to reach an endpoint, and mean nothing for a session."""

_FILE_LIMIT = 1024 * 1024

REQUESTS = 200
"""How many requests prove an endpoint, when nobody says."""


def run(options: Options, console: Console, home: Path) -> Exit:
    """Exit 1 if what was verified is not fine. Raises Problem, Interrupted."""
    _check(options)
    course = Course(
        requests=options.requests,
        duration_s=options.duration,
        concurrency=options.concurrency,
        workers=options.workers,
        pace=Pace(options.rate),
    )
    if options.connect is not None:
        return _endpoint(options, options.connect, course, console)
    return _session(options, course, console, home)


def _check(options: Options) -> None:
    """Raise Problem `app.usage` for options that do not go together."""
    if options.connect is not None and options.session:
        raise _usage(say("app.usage.both"))
    given = [name for name in _ALONE if getattr(options, name) is not None]
    if options.connect is None and given:
        raise _usage(say("app.usage.needs-connect", option=_spelt(given[0])))
    for one, other in (("client_ca_cert", "client_ca_key"), ("client_ca_key", "client_ca_cert")):
        if one in given and other not in given:
            raise _usage(
                say("app.usage.needs-both", option=_spelt(one), other=_spelt(other)),
            )


# a session


def _session(options: Options, course: Course, console: Console, home: Path) -> Exit:
    wiring = Wiring(home, redact=console.redact)
    session = wiring.read(options.session).id
    there = manner(plain=True, unattended=options.json)
    latest: Shown | None = None
    narrator = Narrator(wiring.steps, console.say)
    hear = headless.hear(console, narrator)

    def heard(event: Event) -> None:
        nonlocal latest
        if event.event == "snapshot":
            latest = event.snapshot
        hear(event)

    with (
        interrupts.listening(),
        narrator,
        wiring.resume(
            session,
            heard,
            lambda name, secret: None,
            asking(there, console),
        ) as walk,
        _for_once(walk, options),
    ):
        last = walk.steps[-1]

        def prove(stop: Stop) -> Proof:
            walk.settle(last, stop)
            walk.look(last, stop)
            if course.duration_s is None:
                return walk.prove(last, stop, course)
            _say_watching(console, course)
            return walk.watch(last, stop, course)

        def tell(proof: Proof) -> None:
            nonlocal latest
            latest = None
            if not console.json:
                _say_findings(console, proof.result, checked=course.duration_s is None)
            headless.conclude(walk, console, proof.result, proof.passed)

        try:
            proof = interrupts.in_thread(prove, tell)
        except interrupts.Interrupted:
            if latest is not None:
                _say_so_far(console, latest.to_map(), session)
            raise
        tell(proof)
    return Exit.FINE if proof.passed else Exit.NOT_FINE


@contextmanager
def _for_once(walk: Walk, options: Options) -> Iterator[None]:
    """What this command line asks for, as answers that do not outlive it."""
    before = {}
    last: Step = walk.steps[-1]
    for name in ("requests", "concurrency"):
        value = getattr(options, name)
        if value is not None:
            answer = f"{last.NAME}.{name}"
            before[answer] = walk.session.answers.get(answer)
            walk.answer(answer, str(value))
    try:
        yield
    finally:
        for answer, value in before.items():
            walk.answer(answer, value)


# any endpoint


def _endpoint(options: Options, connect: str, course: Course, console: Console) -> Exit:
    target = _target(options, connect)
    with interrupts.listening(), Narrator((), console.say) as narrator:
        emit = headless.hear(console, narrator)

        def verify(stop: Stop) -> Mapping[str, Any]:
            if course.duration_s is None:
                return _once(options, target, course, stop, emit)
            _say_watching(console, course)
            return _for_a_while(options, target, course, stop, emit)

        def tell(found: Mapping[str, Any]) -> None:
            if console.json:
                console.result(found)
                return
            _say_findings(console, found)
            for each in found["diagnosis"]:
                console.say(headless.diagnosis_words(each))
            console.say(say("app.told.verdict", verdict=found["verdict"]))

        found = interrupts.in_thread(verify, tell)
        tell(found)
    return Exit.FINE if found["verdict"] == "pass" else Exit.NOT_FINE


def _target(options: Options, connect: str) -> Target:
    from services.probe.target import Target, Timeouts, parse_endpoint

    host, port = parse_endpoint(connect)
    times = Timeouts()
    if options.timeout is not None:
        whole = float(options.timeout)
        times = Timeouts(min(times.connect_s, whole), min(times.handshake_s, whole), whole, whole)
    return Target(
        host=host,
        port=port,
        name=options.name or host,
        certificate_file=_path(options.cert),
        key_file=_path(options.key),
        ca_file=_path(options.ca),
        path=options.path or "/",
        timeouts=times,
        backend_pattern=options.backend_pattern,
        backend_header=options.backend_header,
    )


def _issuer(options: Options) -> Pair | None:
    """The CA of the clients, checked: a wrong file is told now and not by strangers untried."""
    from services.pki.check import match
    from services.probe.refusals import Pair

    if options.client_ca_cert is None or options.client_ca_key is None:
        return None
    pair = Pair(Path(options.client_ca_cert), Path(options.client_ca_key))
    match(_read(pair.certificate_file), _read(pair.key_file))
    return pair


def _read(file: Path) -> bytes:
    from services import disk

    return disk.read(file, _FILE_LIMIT)


def _once(
    options: Options, target: Target, course: Course, stop: Stop, emit: Emit
) -> Mapping[str, Any]:
    from services.probe.report import Known, verify
    from services.steps.live import Live

    started = datetime.now(UTC)

    def snapshot(tally: Tally) -> None:
        live = Live(endpoint=target.endpoint, name=target.name, started=started, tally=tally)
        emit(Event("snapshot", snapshot=live))

    report = verify(
        target,
        requests=course.requests or REQUESTS,
        rate_per_s=course.pace.rate_per_s,
        concurrency=course.concurrency,
        workers=course.workers,
        stop=stop,
        on_snapshot=snapshot,
        known=Known(issuer=_issuer(options)),
    )
    return report.to_map()


def _for_a_while(
    options: Options, target: Target, course: Course, stop: Stop, emit: Emit
) -> Mapping[str, Any]:
    """The same for as long as `course` says, and what changed meanwhile."""
    from services.probe.report import Known
    from services.steps.live import Live
    from services.steps.watch import Watched, follow

    known = Known(issuer=_issuer(options))
    emit(Event("phase", phase="watch"))
    return follow(
        Watched(
            target=target,
            live=Live(endpoint=target.endpoint, name=target.name, started=datetime.now(UTC)),
            stop=stop,
            show=lambda live: emit(Event("snapshot", snapshot=live)),
            tell=lambda change: emit(Event("change", snapshot=change)),
            known=lambda: known,
        ),
        course,
    ).to_map()


# words


def _say_watching(console: Console, course: Course) -> None:
    rate = course.pace.rate_per_s or GENTLE
    minutes, seconds = divmod(int(course.duration_s or 0), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (seconds, "s"))
    lasts = " ".join(f"{number} {unit}" for number, unit in parts if number)
    console.say(say("app.verify.watching", span=lasts, rate=f"{rate:.0f}"))


def _say_so_far(console: Console, found: Mapping[str, Any], session: str) -> None:
    """What a proof had counted when it was broken off; it proves nothing."""
    if console.json:
        console.result({**found, "verdict": "fail", "session": session, "interrupted": True})
        return
    backends = ", ".join(f"{name} {count}" for name, count in sorted(found["backends"].items()))
    counts = {name: found[name] for name in ("requests", "ok", "failed")}
    words = say("app.told.snapshot", **counts, backends=backends or "-")
    console.say(say("app.verify.so-far", words=words))


def _say_findings(console: Console, found: Mapping[str, Any], *, checked: bool = False) -> None:
    if "endpoint" in found:
        console.say("")
        for line in findings.lines(found, checked=checked):
            console.say(line)
        console.say("")


def _path(text: str | None) -> Path | None:
    return Path(text) if text is not None else None


def _spelt(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _usage(message: str) -> Problem:
    return Problem("app.usage", exit=Exit.USAGE, message=message, command="nlb-mtls verify")
