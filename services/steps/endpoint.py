"""The endpoint of a session's listener: where clients connect, who must answer, how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.pki.names import asked_for
from services.probe.tally import expected_shares
from services.probe.target import Target, parse_endpoint
from services.steps.live import Live
from services.steps.reach import names
from services.steps.step import Here

HEALTH_EVERY_S = 2.5
"""The vendor publishes no limit for NLB's calls, so health is not asked more often."""


def places(here: Here) -> Sequence[tuple[str, int]]:
    """Where the endpoint is: what was answered, else where the balancer's own name leads to. It
    has an address in each of its zones."""
    port = int(here.answer("listener.port", "443"))
    answered = _connect(here.answer("verify.connect"), port)
    return answered or here.world.locate(here.facts.get("balancer.dns_name", ""), port)


def target(here: Here) -> Target:
    """The endpoint as a client sees it: the balancer's first address, the domain's name."""
    host, port = places(here)[0]
    trust = here.facts.get("server.trust", "")
    return Target(
        host=host,
        port=port,
        name=asked_for(here.answer("prepare.domain")),
        certificate_file=here.pki / "client.crt",
        key_file=here.pki / "client.key",
        ca_file=here.pki / trust if trust else None,
        backends=tuple(expected_shares(weights(here))),
    )


def _connect(answer: str, port: int) -> Sequence[tuple[str, int]]:
    """Each `HOST:PORT` that is for any listener, or for that one: `443=HOST:PORT`."""
    found = []
    for part in names(answer):
        listener, _, endpoint = part.rpartition("=")
        if listener in ("", str(port)):
            found.append(parse_endpoint(endpoint))
    return found


def weights(here: Here) -> dict[str, int]:
    """Backends by name. Without pages that name them, responses cannot be told apart by name."""
    if here.answer("prepare.pages") != "yes":
        return {}
    facts = here.facts
    return {name: int(facts.get(f"weight.{name}", "0")) for name in names(facts["backends"])}


def called(here: Here) -> dict[str, str]:
    """What backends are called, by instance."""
    facts = here.facts
    return {
        facts.get(f"backend.{name}.instance_id", name): name
        for name in names(facts.get("backends", ""))
    }


def begin(here: Here, at: Target) -> Live:
    return Live(
        endpoint=at.endpoint,
        name=at.name,
        started=here.world.now(),
        names=called(here),
        expected=expected_shares(weights(here)),
    )


def with_health(here: Here, live: Live) -> Live:
    health = here.cloud.nlb.health(here.facts.get("listener.id", ""), here.stop)
    return replace(live, health=tuple(health), health_at=here.world.now())


def show(here: Here, live: Live) -> None:
    here.snapshot(live)
