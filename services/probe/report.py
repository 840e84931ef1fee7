"""Step 6 as a whole: requests, strangers, health, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from services.events import rfc3339
from services.probe.address import Address, Unresolved, resolve
from services.probe.announcement import Announcement, announce, ca_name
from services.probe.diagnosis import Diagnosis, diagnose
from services.probe.files import check_files
from services.probe.identity import chain_identities, client_identity, server_identity
from services.probe.observations import (
    Direct,
    Health,
    ListenerView,
    Names,
    Observations,
)
from services.probe.outcome import ANSWERED, Outcome
from services.probe.refusals import (
    MUST_TRY,
    UNREACHED,
    Pair,
    Refusal,
    try_strangers,
)
from services.probe.runner import run, unresolved
from services.probe.tally import Tally, expected_shares
from services.probe.target import Target
from services.problem import Problem, Stopped
from services.stop import Stop


@dataclass(frozen=True, slots=True)
class Inside:
    """What only somebody with access to the cloud and the backends can see; asked when needed."""

    listener: ListenerView | None = None
    health: Sequence[Health] | None = None
    """As it is now: it takes a balancer a while to notice what requests have met already."""
    direct: Mapping[str, Direct] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an endpoint besides what can be seen from outside. All of it may be
    missing, as for an endpoint that is no session's."""

    dns: Names | None = None
    clock: Mapping[str, float] = field(default_factory=dict)
    """How far other clocks are ahead of this computer's (seconds), by whose they are."""
    listener_ca: bytes = b""
    """The CA certificates (PEM) that the listener trusts for clients."""
    certificates: bytes = b""
    """Others that exist (PEM), such as an intermediate CA's."""
    issuer: Pair | None = None
    """The pair of the CA that issued the client's certificate, where its key is at hand."""
    server: Pair | None = None
    """The server's own pair, where it is at hand."""
    weak_versions_allowed: bool = False
    """The listener is meant to speak TLS 1.0 and 1.1."""
    look_inside: Callable[[Report], Inside] | None = None
    """Asked at most once, and only when something is wrong, with what was found so far. May
    raise Stopped."""


NOTHING_KNOWN = Known()


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified, and what came of it."""

    target: Target
    tally: Tally
    refusals: tuple[Refusal, ...] = ()
    health: tuple[Health, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    expected: Mapping[str, float] = field(default_factory=dict)
    """The backends that had to answer, and the share that their weights promise."""
    announcement: Announcement | None = None
    dns: Names | None = None

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """Pass: every request ok, no stranger let in, those refused that can always be tried,
        every expected backend seen, every known health normal, and no error found. Whatever was
        not tried is not proven."""
        proven = (
            self.tally.requests > 0
            and self.tally.failed == 0
            and self.tally.unfinished == 0
            and {found.name for found in self.refusals if found.refused} >= set(MUST_TRY)
            and not any(found.refused is False for found in self.refusals)
            and all(name in self.tally.backends for name in self.expected)
            and all(health.well(self.expected) for health in self.health)
            and not any(found.severity == "error" for found in self.diagnoses)
        )
        return "pass" if proven else "fail"

    def to_map(self) -> dict[str, object]:
        """The result object of `verify --json`, which other programs rely on.

        What was not measured is null.
        """
        tally = self.tally
        refused = {found.name: found.refused for found in self.refusals}
        return {
            "event": "result",
            "verdict": self.verdict,
            "endpoint": self.target.endpoint,
            "name": self.target.name,
            "requests": tally.requests,
            "ok": tally.ok,
            "failed": tally.failed,
            "backends": {name: tally.backends[name] for name in sorted(tally.backends)},
            "tls": {"version": tally.tls_version, "cipher": tally.tls_cipher},
            "refused": {name: refused.get(name) for name in MUST_TRY},
            "latency_ms": {"p50": _rounded(tally.p50_ms), "p99": _rounded(tally.p99_ms)},
            "requests_per_second": round(tally.requests_per_second, 1),
            "health": [health.to_map() for health in self.health],
            "diagnosis": [
                {
                    "code": found.code,
                    "severity": found.severity,
                    "confidence": found.confidence,
                    "cause": found.cause(),
                    "remedy": found.remedy(),
                    "evidence": found.evidence,
                }
                for found in self.diagnoses
            ],
            **self._besides(),
        }

    def _besides(self) -> dict[str, object]:
        """What the result holds beyond the contract."""
        tally = self.tally
        phases = {
            "connect": tally.connect,
            "tls_handshake": tally.tls_handshake,
            "first_byte": tally.first_byte,
        }
        return {
            "expected": {name: round(share, 4) for name, share in sorted(self.expected.items())},
            "outcomes": dict(tally.outcomes),
            "samples": dict(tally.samples),
            "addresses": {name: dict(counts) for name, counts in sorted(tally.addresses.items())},
            "phases_ms": {
                name: {
                    "p50": _milliseconds(histogram.percentile_s(0.50)),
                    "p99": _milliseconds(histogram.percentile_s(0.99)),
                }
                for name, histogram in phases.items()
            },
            "backend_ms": {
                name: _milliseconds(seconds / tally.backends[name])
                for name, seconds in sorted(tally.backend_seconds.items())
                if tally.backends.get(name)
            },
            "failures_by_backend": {
                name: dict(counts) for name, counts in tally.failures_by_backend.items()
            },
            "refusals": [
                {
                    "name": found.name,
                    "refused": found.refused,
                    "evidence": found.evidence,
                    "alert": found.alert,
                    "untried": found.untried,
                }
                for found in self.refusals
            ],
            "announced": _announced(self.announcement),
            "dns": self.dns
            and {
                "name": self.dns.name,
                "addresses": list(self.dns.addresses),
                "leads_to_balancer": self.dns.leads_there,
            },
            "server_not_before": _beginning(self.announcement),
            "server_not_after": tally.server_not_after or None,
            "concurrency": tally.concurrency,
            "limited_to": tally.limited_to,
        }


_HOPELESS = UNREACHED | {Outcome.HANDSHAKE_TIMEOUT}
"""Where all requests end so, strangers prove nothing, and the wait for each would be long."""
_TIMED_OUT = (
    Outcome.CONNECT_TIMEOUT,
    Outcome.HANDSHAKE_TIMEOUT,
    Outcome.FIRST_BYTE_TIMEOUT,
    Outcome.WHOLE_TIMEOUT,
)
_ENOUGH_TIMEOUTS = 16
"""So many, and a tenth of all requests: more of them take minutes, and tell nothing new."""
_OF_BACKENDS = frozenset({"slow", "uneven"})
"""Warnings that may be the beginning of more: what is inside tells."""
_UNUSABLE = frozenset({"probe.key-mismatch", "probe.certificate-weak"})
"""Problems of files that can be read, but not used: a diagnosis names them."""


def verify(
    target: Target,
    *,
    requests: int | None = 200,
    duration_s: float | None = None,
    rate_per_s: float | None = None,
    concurrency: int | None = None,
    workers: int = 1,
    stop: Stop,
    on_snapshot: Callable[[Tally], None] = lambda tally: None,
    health: Sequence[Health] = (),
    weights: Mapping[str, int] | None = None,
    known: Known = NOTHING_KNOWN,
    places: Sequence[tuple[str, int]] = (),
) -> Report:
    """Find out whether mutual authentication works at `target`, and if not, why.

    `health` is what the balancer's API says; empty when there is no API to ask. `weights` are
    those of the server group; without them the target's backends count alike. `places` are hosts
    and ports where the endpoint is, if that is not only the target's own.

    At most `rate_per_s` requests are begun a second. A run in which requests time out ends before
    all are made. When stopped, the report holds what was found until then, and does not pass.
    Raises Problem for files that cannot be read.
    """
    try:
        target.check()
    except Problem as problem:
        if problem.code not in _UNUSABLE:
            raise
        return conclude(
            target,
            Tally(),
            health=health,
            weights=weights,
            known=known,
            key_fits=problem.code != "probe.key-mismatch",
        )
    tally, announcement = Tally(), None
    refusals: tuple[Refusal, ...] = ()
    try:
        addresses = _addresses(places or [(target.host, target.port)], stop)
        with stop.closing((patience := _Patience(on_snapshot)).over.set):
            tally = run(
                target,
                requests=requests,
                duration_s=duration_s,
                rate_per_s=rate_per_s,
                concurrency=concurrency,
                workers=workers,
                stop=patience.over,
                on_snapshot=patience.seen,
                addresses=addresses,
            )
        stop.check()
        if not _HOPELESS.issuperset(tally.outcomes):
            refusals = _knock(target, addresses, tally, known, stop)
            announcement = announce(target, addresses, stop)
    except Unresolved as error:
        tally = unresolved(target, error)
    except Stopped:
        pass

    def concluded(inside: Inside | None = None) -> Report:
        return conclude(
            target,
            tally,
            refusals=refusals,
            announcement=announcement,
            health=health,
            weights=weights,
            known=known,
            inside=inside,
        )

    report = concluded()
    wrong = any(each.severity == "error" or each.code in _OF_BACKENDS for each in report.diagnoses)
    if not wrong or known.look_inside is None or stop.is_set():
        return report
    try:
        return concluded(known.look_inside(report))
    except Stopped:
        return report


def _addresses(places: Sequence[tuple[str, int]], stop: Stop) -> tuple[Address, ...]:
    """The addresses of all these hosts. Raises Unresolved, Stopped."""
    found = (address for host, port in places for address in resolve(host, port, stop))
    return tuple(dict.fromkeys(found))


class _Patience:
    """Ends the requests, and nothing else, once enough of them have timed out."""

    def __init__(self, on_snapshot: Callable[[Tally], None]) -> None:
        self.over = Stop()
        self._on_snapshot = on_snapshot

    def seen(self, tally: Tally) -> None:
        self._on_snapshot(tally)
        timed_out = sum(tally.outcomes.get(each.value, 0) for each in _TIMED_OUT)
        if timed_out >= max(_ENOUGH_TIMEOUTS, tally.requests / 10):
            self.over.set()


def _knock(
    target: Target, addresses: Sequence[Address], tally: Tally, known: Known, stop: Stop
) -> tuple[Refusal, ...]:
    return try_strangers(
        target,
        addresses,
        stop,
        served=not ANSWERED.isdisjoint(tally.outcomes),
        issuer=known.issuer,
        server=known.server,
        weak_versions_allowed=known.weak_versions_allowed,
    )


def conclude(
    target: Target,
    tally: Tally,
    *,
    refusals: Sequence[Refusal] = (),
    announcement: Announcement | None = None,
    health: Sequence[Health] = (),
    weights: Mapping[str, int] | None = None,
    known: Known = NOTHING_KNOWN,
    key_fits: bool = True,
    inside: Inside | None = None,
) -> Report:
    """The report on what was observed, with its diagnoses; connects to nothing.

    `key_fits`: the client's key is that of its certificate, as it must be where requests were
    made. `inside`: what `known.look_inside` has found.
    """
    inside = inside or Inside()
    weights = dict.fromkeys(target.backends, 1) if weights is None else weights
    chain = announcement.chain if announcement is not None else ()
    now = datetime.now(UTC)
    skew_s = tally.server_date_skew_s
    observations = Observations(
        endpoint=target.endpoint,
        name=target.name,
        now=now,
        tally=tally,
        weights=weights,
        refusals=tuple(refusals),
        health=tuple(health if inside.health is None else inside.health),
        client=client_identity(target),
        announcement=announcement,
        server=server_identity(chain[0]) if chain else None,
        files=check_files(
            target,
            now,
            chain=chain,
            key_fits=key_fits if target.certificate_file is not None else None,
            listener_ca=known.listener_ca,
            known=known.certificates,
        ),
        dns=known.dns,
        listener=inside.listener,
        direct=inside.direct,
        clock={**known.clock, **({} if skew_s is None else {"backends": skew_s})},
    )
    return Report(
        target=target,
        tally=tally,
        refusals=observations.refusals,
        health=observations.health,
        diagnoses=diagnose(observations),
        expected=expected_shares(weights),
        announcement=announcement,
        dns=known.dns,
    )


def _announced(said: Announcement | None) -> dict[str, object] | None:
    if said is None:
        return None
    return {
        "versions": list(said.versions),
        "cipher": said.cipher,
        "group": said.group,
        "alpn": said.alpn,
        "resumption": said.resumption,
        "certificate_asked": said.certificate_asked,
        "accepted_cas": [ca_name(der) for der in said.accepted_cas],
        "chain": [each.subject for each in chain_identities(said.chain)],
    }


def _beginning(said: Announcement | None) -> str | None:
    """From when on the server's own certificate is valid."""
    server = server_identity(said.chain[0]) if said is not None and said.chain else None
    return rfc3339(server.not_before) if server is not None else None


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else _rounded(seconds * 1000)


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 2)
