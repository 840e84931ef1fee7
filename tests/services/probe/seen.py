"""Observations for the rules' tests: a healthy endpoint, and what can be seen of it otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.pki.verdict import Verdict, Verifier, error
from services.probe.announcement import Announcement
from services.probe.identity import Identity
from services.probe.observations import (
    Direct,
    FilesCheck,
    Health,
    ListenerView,
    Member,
    Names,
    Observations,
)
from services.probe.outcome import Outcome
from services.probe.refusals import STRANGERS, Refusal, Stranger
from services.probe.tally import Counting, Tally

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OUR_CA, OTHER_CA = b"0\x12\x06\x03\x55\x04\x03\x0c\x06our-ca", b"\x06\x03\x55\x04\x03\x0c\x05other"
CLIENT = Identity(
    "CN=client",
    "CN=our-ca",
    OUR_CA,
    NOW - timedelta(1),
    NOW + timedelta(90),
    eku=("clientAuth",),
)
EXPIRED = replace(CLIENT, not_after=NOW - HOUR)
EARLY = replace(CLIENT, not_before=NOW + HOUR)
FOREIGN = replace(CLIENT, issuer="CN=other", issuer_der=OTHER_CA)
FOR_SERVERS = replace(CLIENT, eku=("serverAuth",))
SERVER = replace(
    CLIENT, subject="CN=www.example.com", names=("www.example.com",), eku=("serverAuth",)
)
ANNOUNCEMENT = Announcement(
    (b"der", b"intermediate"),
    certificate_asked=True,
    accepted_cas=(OUR_CA,),
    versions=("TLSv1.2", "TLSv1.3"),
)
ONLY_12 = replace(ANNOUNCEMENT, versions=("TLSv1.2",))
ASKS_NONE = replace(ANNOUNCEMENT, certificate_asked=False, accepted_cas=())
REFUSED = tuple(Refusal(name, True, "closed, 0 B from a backend") for name in STRANGERS)
FILES = FilesCheck(key_fits=True, client=(), client_ca_known=True, server=(), server_ca_known=True)
WELL = (Health("ECS01", "Normal"), Health("ECS02", "Normal"))
DOWN = (Health("ECS01", "Unhealthy", "CONNECT_FAILED"), Health("ECS02", "Unhealthy"))
MEMBERS = (Member("ECS01", 80, 100), Member("ECS02", 80, 100))
LISTENER = ListenerView(
    "lsn-1",
    status="Running",
    protocol="TCPSSL",
    ca_id="ca-1",
    wanted_ca_id="ca-1",
    members=MEMBERS,
)
SERVES = Direct(200, "HTTP 200, Hello World")
REFUSES = Direct(0, "curl: (7) Connection refused")
DNS = Names("www.example.com", ("203.0.113.7",), "nlb-1.example", ("203.0.113.7",))


def tally(
    backends: Mapping[str, int] | None = None,
    failed: Mapping[Outcome, int] | None = None,
    latency_s: float = 0.01,
    *,
    at: str = "203.0.113.7:443",
    evidence: str = "",
    whose: str | None = None,
) -> Tally:
    """So many answers of each backend, and so many failures of each kind."""
    counting = Counting(1)
    for name, count in (backends or {}).items():
        for _ in range(count):
            counting.answered(name, latency_s, "TLSv1.3 TLS_AES_256_GCM_SHA384", at)
    for outcome, count in (failed or {}).items():
        for _ in range(count):
            counting.failed(outcome, evidence or f"evidence of {outcome}", at, whose)
    return counting.tally(1)


def only(failed: Outcome, count: int = 200, evidence: str = "") -> Tally:
    """Every request ended so."""
    return tally(failed={failed: count}, evidence=evidence)


HEALTHY = Observations(
    endpoint="203.0.113.7:443",
    name="www.example.com",
    now=NOW,
    tally=tally({"ECS01": 100, "ECS02": 100}),
    weights={"ECS01": 100, "ECS02": 100},
    refusals=REFUSED,
    health=WELL,
    client=CLIENT,
    announcement=ANNOUNCEMENT,
    server=SERVER,
    files=FILES,
    dns=DNS,
)


def let_in(*names: Stranger) -> tuple[Refusal, ...]:
    """All strangers, these of them not refused."""
    return tuple(
        replace(each, refused=False, evidence="HTTP 200 and 29 B") if each.name in names else each
        for each in REFUSED
    )


def verdict(code: str) -> Verdict:
    return error(code, frozenset(Verifier), subject="CN=somebody", not_after="2026-11-23T00:00:00Z")
