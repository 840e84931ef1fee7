"""The endpoint of a session's listener: where clients connect, who must answer, how it stands."""

from __future__ import annotations

from dataclasses import replace

from services.pki.names import asked_for
from services.probe.tally import expected_shares
from services.probe.target import Target, parse_endpoint
from services.steps.live import Live
from services.steps.reach import names
from services.steps.step import Here

HEALTH_EVERY_S = 2.5
"""The vendor publishes no limit for NLB's calls, so health is not asked more often."""


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
        backends=tuple(expected_shares(weights(here))),
    )


def _connect(answer: str, port: int) -> tuple[str, int] | None:
    """`HOST:PORT` for any listener, or `443=HOST:PORT` for that one."""
    for part in names(answer):
        listener, _, endpoint = part.rpartition("=")
        if listener in ("", str(port)):
            return parse_endpoint(endpoint)
    return None


def weights(here: Here) -> dict[str, int]:
    """Backends by name. Without pages that name them, responses cannot be told apart by name."""
    if here.answer("prepare.pages") != "yes":
        return {}
    facts = here.facts
    return {name: int(facts.get(f"weight.{name}", "0")) for name in names(facts["backends"])}


def begin(here: Here, at: Target) -> Live:
    facts = here.facts
    return Live(
        endpoint=at.endpoint,
        name=at.name,
        started=here.world.now(),
        names={
            facts.get(f"backend.{name}.instance_id", name): name
            for name in names(facts.get("backends", ""))
        },
        expected=expected_shares(weights(here)),
    )


def with_health(here: Here, live: Live) -> Live:
    health = here.cloud.nlb.health(here.facts.get("listener.id", ""), here.stop)
    return replace(live, health=tuple(health), health_at=here.world.now())


def show(here: Here, live: Live) -> None:
    here.snapshot(live)
