"""Step 6: proof. Clients with the certificate are served by every backend, strangers by none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from services.hosts.scripts import curl_through, curled
from services.probe.diagnosis import Diagnosis
from services.probe.refusals import MUST_TRY
from services.probe.report import Report, verify
from services.probe.target import parse_endpoint
from services.problem import Exit, Problem
from services.session.model import Facts, Session
from services.steps.asks import always, whole
from services.steps.endpoint import (
    HEALTH_EVERY_S,
    begin,
    places,
    show,
    target,
    weights,
    with_health,
)
from services.steps.install import NOWHERE
from services.steps.known import known
from services.steps.live import Live
from services.steps.prepare import page
from services.steps.reach import host, names
from services.steps.step import Action, Ask, Check, Here, Proof
from services.steps.watch import watch

NAME = "verify"
ACTIONS: Sequence[type[Action]] = ()

HEALTH_WAIT_S = 60
"""A new listener's health is `Initial` for interval times threshold: 10 to 30 s (vendor)."""


def _check_connect(value: str, session: Session) -> str:
    for part in names(value):
        parse_endpoint(part.partition("=")[2] or part)
    return value.strip()


AUTO = "auto"
"""As many connections at once as the round-trip time is worth."""

_AT_ONCE = whole("verify.concurrency", 1, 256, always(AUTO))


def _check_concurrency(value: str, session: Session) -> str:
    return AUTO if value.strip().lower() == AUTO else _AT_ONCE.check(value, session)


ASKS: Sequence[Ask] = (
    whole("verify.requests", 1, 1_000_000, always("200")),
    replace(_AT_ONCE, kind="text", check=_check_concurrency),
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


def prove(here: Here) -> Proof:
    """Health, requests, refusals; and from the Linux client, where there is one."""
    at = target(here)
    live = _settled(here, begin(here, at))
    concurrency = here.answer("verify.concurrency", AUTO)
    report = verify(
        at,
        requests=int(here.answer("verify.requests", "200")),
        rate_per_s=here.course.pace.rate_per_s,
        concurrency=None if concurrency == AUTO else int(concurrency),
        workers=here.course.workers,
        stop=here.stop,
        on_snapshot=lambda tally: show(here, replace(live, tally=tally)),
        health=live.health_by_name(),
        weights=weights(here),
        known=known(here),
        places=places(here),
    )
    here.stop.check()
    tally = report.tally
    # Where nobody is served it would only take longer to see so from there as well.
    from_the_client = _from_the_client(here, at.name) if tally.ok else ()
    report = _with_the_client(here, report, from_the_client)
    checks = (
        Check(
            "verify.check.health",
            all(each.well(report.expected) for each in report.health) and bool(report.health),
            ", ".join(f"{each.server} {each.status}" for each in report.health) or "-",
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
            if each.refused is not None or each.name in MUST_TRY
        ),
        *from_the_client,
    )
    passed = report.verdict == "pass"
    show(here, _concluded(live, report, passed))
    return Proof(checks, {**report.to_map(), "session": here.session.id})


def _concluded(live: Live, report: Report, passed: bool) -> Live:
    return replace(
        live,
        tally=report.tally,
        refusals=report.refusals,
        diagnosis=report.diagnoses,
        judged=True,
        verdict="pass" if passed else "fail",
        certificate_until=report.tally.server_not_after,
    )


LIVE: Callable[[Here], Proof] | None = watch


def _settled(here: Here, live: Live) -> Live:
    """With the health once it is settled: normal everywhere, or still not so after a while."""
    deadline = time.monotonic() + HEALTH_WAIT_S
    pause = 0.1
    while True:
        live = with_health(here, live)
        show(here, live)
        if not any(each.status == "Initial" for each in live.health):
            return live
        if time.monotonic() > deadline:
            return live
        here.stop.sleep(pause)
        pause = min(pause * 1.5, HEALTH_EVERY_S)


def _from_the_client(here: Here, asked: str) -> tuple[Check, ...]:
    """The same request by curl on the Linux client, with the files that lie there. Raises Problem
    for a host that must not be trusted; one that cannot be reached has failed the check."""
    name = here.answer("install.host", NOWHERE)
    if name == NOWHERE:
        return ()
    where = host(here.session, name)
    script = curl_through(
        here.answer("install.directory"),
        asked,
        int(here.answer("listener.port", "443")),
        here.facts.get("balancer.dns_name", ""),
        own_ca=bool(here.facts.get("server.trust")),
    )
    facts = {"host": name}
    try:
        answer = curled(where, here.world.hosts.run(where, script, here.stop))
    except Problem as problem:
        if problem.exit is Exit.REFUSED:
            raise
        return (Check("verify.check.client", False, problem.words().what, facts),)
    expected = [page(each) for each in weights(here)]
    passed = answer.status == 200 and (not expected or answer.text.strip() in expected)
    evidence = answer.text.strip()[:120] or f"curl {answer.exit_status}: {answer.complaint}"
    return (Check("verify.check.client", passed, evidence, facts),)


def _with_the_client(here: Here, report: Report, checks: Sequence[Check]) -> Report:
    """The report with what failed on the client host, unless something else explains that."""
    failed = [check for check in checks if not check.passed]
    if report.verdict == "fail" or not failed:
        return report
    directory = here.answer("install.directory")
    found = [
        Diagnosis(
            "client-host", "error", "certain", each.evidence, {**each.facts, "directory": directory}
        )
        for each in failed
    ]
    return replace(report, diagnoses=(*found, *report.diagnoses))
