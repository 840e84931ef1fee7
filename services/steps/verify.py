"""Step 6: proof. Clients with the certificate are served by every backend, strangers by none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from services.cloud.port import ServerHealth
from services.hosts.scripts import curl_through, curled
from services.pki.names import asked_for
from services.probe.address import Unresolved, resolve
from services.probe.diagnosis import NORMAL, Health
from services.probe.refusals import try_strangers
from services.probe.report import Report, verify
from services.probe.runner import run
from services.probe.tally import Tally, expected_shares
from services.probe.target import Target, parse_endpoint
from services.problem import Problem, Stopped
from services.session.model import Facts, Session
from services.steps.asks import always, whole
from services.steps.install import NOWHERE
from services.steps.live import Live
from services.steps.prepare import page
from services.steps.reach import host, names
from services.steps.step import Action, Ask, Check, Here, Proof

NAME = "verify"
ACTIONS: Sequence[type[Action]] = ()

HEALTH_WAIT_S = 60
"""A new listener's health is `Initial` for interval times threshold: 10 to 30 s (vendor)."""

HEALTH_EVERY_S = 2.5
"""The vendor publishes no limit for NLB's calls, so health is not asked more often."""

WATCH_RATE_PER_S = 20
"""What goes on after the proof is for looking at, not for load."""


def _check_connect(value: str, session: Session) -> str:
    for part in names(value):
        parse_endpoint(part.partition("=")[2] or part)
    return value.strip()


ASKS: Sequence[Ask] = (
    whole("verify.requests", 1, 1_000_000, always("200")),
    whole("verify.concurrency", 1, 256, always("16")),
    Ask("verify.connect", check=_check_connect, required=False),
)


def look(here: Here) -> Facts:
    """What the group's members weigh now: how often each is expected to answer."""
    servers = here.cloud.nlb.servers(here.facts.get("server_group.id", ""), here.stop)
    weights = {each.id: str(each.weight) for each in servers}
    return {
        f"weight.{name}": weights.get(here.facts.get(f"backend.{name}.instance_id", ""), "0")
        for name in names(here.facts.get("backends", ""))
    }


def plan(session: Session) -> Sequence[Action]:
    """Nothing is made here."""
    return []


def target(here: Here) -> Target:
    """The endpoint as a client sees it: the balancer's address, the domain's name."""
    facts = here.facts
    port = int(here.answer("listener.port", "443"))
    where = _connect(here.answer("verify.connect"), port)
    if where is None:
        where = here.world.locate(facts.get("balancer.dns_name", ""), port)[0]
    trust = facts.get("server.trust", "")
    return Target(
        host=where[0],
        port=where[1],
        name=asked_for(here.answer("prepare.domain")),
        certificate_file=here.pki / "client.crt",
        key_file=here.pki / "client.key",
        ca_file=here.pki / trust if trust else None,
        backends=tuple(expected_shares(_weights(here))),
    )


def _connect(answer: str, port: int) -> tuple[str, int] | None:
    """`HOST:PORT` for any listener, or `443=HOST:PORT` for that one."""
    for part in names(answer):
        listener, _, endpoint = part.rpartition("=")
        if listener in ("", str(port)):
            return parse_endpoint(endpoint)
    return None


def _weights(here: Here) -> dict[str, int]:
    """Backends by name. Without pages that name them, responses cannot be told apart by name."""
    if here.answer("prepare.pages") != "yes":
        return {}
    facts = here.facts
    return {name: int(facts.get(f"weight.{name}", "0")) for name in names(facts["backends"])}


def prove(here: Here) -> Proof:
    """Health, requests, refusals; and from the Linux client, where there is one."""
    at = target(here)
    live = _settled(here, _begin(here, at))
    report = verify(
        at,
        requests=int(here.answer("verify.requests", "200")),
        concurrency=int(here.answer("verify.concurrency", "16")),
        stop=here.stop,
        on_snapshot=lambda tally: _show(here, replace(live, tally=tally)),
        health=_by_name(live),
        weights=_weights(here),
    )
    here.stop.check()
    tally = report.tally
    checks = (
        Check(
            "verify.check.health",
            all(each.status == NORMAL for each in live.health) and bool(live.health),
            ", ".join(f"{each.server} {each.status}" for each in _by_name(live)) or "-",
        ),
        Check(
            "verify.check.requests",
            tally.failed == 0 and tally.requests > 0,
            f"{tally.ok} of {tally.requests}, {tally.tls_version or '-'}",
        ),
        Check(
            "verify.check.backends",
            all(name in tally.backends for name in report.expected) and bool(tally.backends),
            ", ".join(f"{name} {count}" for name, count in sorted(tally.backends.items())) or "-",
        ),
        *(
            Check(f"verify.check.{each.name}", each.refused is True, each.evidence)
            for each in report.refusals
        ),
        *_from_the_client(here, at.name),
    )
    passed = report.verdict == "pass" and all(check.passed for check in checks)
    verdict = "pass" if passed else "fail"
    _show(here, _concluded(live, report, passed))
    result = {**report.to_map(), "verdict": verdict, "session": here.session.id}
    return Proof(checks, result)


def _concluded(live: Live, report: Report, passed: bool) -> Live:
    return replace(
        live,
        tally=report.tally,
        refusals=report.refusals,
        diagnosis=report.diagnoses,
        verdict="pass" if passed else "fail",
        certificate_until=report.tally.server_not_after,
    )


def watch(here: Here) -> None:
    """Go on requesting, gently, and asking for health, until stopped (raises Stopped).

    Strangers knock again, too: the lock must hold as long as one looks.
    """
    at = target(here)
    known = here.session.proofs.get(NAME)
    passed = known is not None and known.passed
    around = _begin(here, at)
    failing = _Failing()
    served = passed

    def look_around() -> None:
        nonlocal around
        with suppress(Stopped):
            while True:
                try:
                    around = _with_health(here, around)
                    addresses = resolve(at.host, at.port, here.stop)
                    strangers = try_strangers(at, addresses, here.stop, served=served)
                    around = replace(around, refusals=strangers)
                except Unresolved as error:
                    here.output(str(error))
                except Problem as problem:
                    # What is shown goes stale and says its age; the next answer mends that.
                    here.output(problem.words().what)
                here.stop.sleep(HEALTH_EVERY_S)

    def show(tally: Tally) -> None:
        nonlocal served
        served = served or tally.ok > 0
        well = (
            passed
            and not failing.after(tally)
            and all(each.status == NORMAL for each in around.health)
            and not any(each.refused is False for each in around.refusals)
        )
        live = replace(around, tally=tally, verdict="pass" if well else "fail")
        _show(here, replace(live, certificate_until=tally.server_not_after))

    looking = threading.Thread(target=look_around, name="watch", daemon=True)
    looking.start()
    run(at, rate_per_s=WATCH_RATE_PER_S, concurrency=4, stop=here.stop, on_snapshot=show)
    looking.join(1)
    here.stop.check()


LIVE: Callable[[Here], None] | None = watch


class _Failing:
    """Whether requests fail now: the tally is cumulative, and never forgets."""

    WINDOW_S = 5.0

    def __init__(self) -> None:
        self._failed = 0
        self._until = 0.0

    def after(self, tally: Tally) -> bool:
        if tally.failed > self._failed:
            self._failed, self._until = tally.failed, tally.elapsed_s + self.WINDOW_S
        return tally.elapsed_s < self._until


def _begin(here: Here, at: Target) -> Live:
    facts = here.facts
    return Live(
        endpoint=at.endpoint,
        name=at.name,
        started=here.world.now(),
        names={
            facts.get(f"backend.{name}.instance_id", name): name
            for name in names(facts.get("backends", ""))
        },
        expected=expected_shares(_weights(here)),
    )


def _settled(here: Here, live: Live) -> Live:
    """With the health once it is settled: normal everywhere, or still not so after a while."""
    deadline = time.monotonic() + HEALTH_WAIT_S
    pause = 0.1
    while True:
        live = _with_health(here, live)
        _show(here, live)
        if not any(each.status == "Initial" for each in live.health):
            return live
        if time.monotonic() > deadline:
            return live
        here.stop.sleep(pause)
        pause = min(pause * 1.5, HEALTH_EVERY_S)


def _with_health(here: Here, live: Live) -> Live:
    health = here.cloud.nlb.health(here.facts.get("listener.id", ""), here.stop)
    return replace(live, health=tuple(health), health_at=here.world.now())


def _show(here: Here, live: Live) -> None:
    here.snapshot(live, live.to_map())


def _by_name(live: Live) -> list[Health]:
    def health(each: ServerHealth) -> Health:
        name = live.names.get(each.server.id, each.server.id)
        return Health(name, each.status, each.reason)

    return [health(each) for each in live.health]


def _from_the_client(here: Here, asked: str) -> list[Check]:
    """The same request by curl on the Linux client, with the files that lie there."""
    name = here.answer("install.host", NOWHERE)
    if name == NOWHERE:
        return []
    where = host(here.session, name)
    script = curl_through(
        here.answer("install.directory"),
        asked,
        int(here.answer("listener.port", "443")),
        here.facts.get("balancer.dns_name", ""),
        own_ca=bool(here.facts.get("server.trust")),
    )
    answer = curled(where, here.world.hosts.run(where, script, here.stop))
    expected = [page(each) for each in _weights(here)]
    passed = answer.status == 200 and (not expected or answer.text.strip() in expected)
    evidence = answer.text.strip()[:120] or f"curl {answer.exit_status}: {answer.complaint}"
    return [Check("verify.check.client", passed, evidence, {"host": name})]
