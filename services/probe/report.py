"""Step 6 as a whole: requests, strangers, health, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from services.probe.address import Unresolved, resolve
from services.probe.announcement import Announcement, announce, ca_name
from services.probe.diagnosis import Diagnosis, diagnose
from services.probe.identity import chain_identities, client_identity, server_identity
from services.probe.observations import NORMAL, Health, Observations
from services.probe.outcome import ANSWERED, Outcome
from services.probe.refusals import MUST_TRY, UNREACHED, Pair, Refusal, try_strangers
from services.probe.runner import run, unresolved
from services.probe.tally import Tally, expected_shares
from services.probe.target import Target
from services.problem import Stopped
from services.stop import Stop


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

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """Pass: every request ok, every stranger refused, every expected backend seen, every
        known health normal, and no error found. Whatever was not tried is not proven."""
        proven = (
            self.tally.requests > 0
            and self.tally.failed == 0
            and self.tally.unfinished == 0
            and {found.name for found in self.refusals if found.refused} >= set(MUST_TRY)
            and all(name in self.tally.backends for name in self.expected)
            and all(health.status == NORMAL for health in self.health)
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
            "health": [
                {
                    "server": health.server,
                    "status": health.status,
                    **({"reason": health.reason} if health.reason else {}),
                }
                for health in self.health
            ],
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
            "server_not_after": tally.server_not_after or None,
            "concurrency": tally.concurrency,
            "limited_to": tally.limited_to,
        }


_HOPELESS = UNREACHED | {Outcome.HANDSHAKE_TIMEOUT}
"""Where all requests end so, strangers prove nothing, and the wait for each would be long."""


def verify(
    target: Target,
    *,
    requests: int = 200,
    rate_per_s: float | None = None,
    concurrency: int = 16,
    stop: Stop,
    on_snapshot: Callable[[Tally], None] = lambda tally: None,
    health: Sequence[Health] = (),
    weights: Mapping[str, int] | None = None,
    issuer: Pair | None = None,
) -> Report:
    """Find out whether mutual authentication works at `target`, and if not, why.

    At most `rate_per_s` requests are begun a second. `health` is what the balancer's API says;
    empty when there is no API to ask. `weights` are those of the server group; without them the
    target's backends count alike. `issuer` is the CA of the clients, where its key is at hand:
    more strangers can be tried with it. When stopped, the report holds what was found until then,
    and does not pass. Raises Problem for files that no request can be made with.
    """
    target.check()
    try:
        addresses = resolve(target.host, target.port, stop)
    except Unresolved as error:
        return conclude(target, unresolved(target, error), health=health, weights=weights)
    except Stopped:
        return conclude(target, Tally(), health=health, weights=weights)
    tally = run(
        target,
        requests=requests,
        rate_per_s=rate_per_s,
        concurrency=concurrency,
        stop=stop,
        on_snapshot=on_snapshot,
        addresses=addresses,
    )
    refusals: tuple[Refusal, ...] = ()
    announcement = None
    if not _HOPELESS.issuperset(tally.outcomes) and not stop.is_set():
        served = not ANSWERED.isdisjoint(tally.outcomes)
        refusals = try_strangers(target, addresses, stop, served=served, issuer=issuer)
        announcement = announce(target, addresses, stop)
    return conclude(
        target, tally, refusals=refusals, announcement=announcement, health=health, weights=weights
    )


def conclude(
    target: Target,
    tally: Tally,
    *,
    refusals: Sequence[Refusal] = (),
    announcement: Announcement | None = None,
    health: Sequence[Health] = (),
    weights: Mapping[str, int] | None = None,
) -> Report:
    """The report on what was observed, with its diagnoses; connects to nothing."""
    weights = dict.fromkeys(target.backends, 1) if weights is None else weights
    observations = Observations(
        endpoint=target.endpoint,
        name=target.name,
        now=datetime.now(UTC),
        tally=tally,
        weights=weights,
        refusals=tuple(refusals),
        health=tuple(health),
        client=client_identity(target),
        announcement=announcement,
        server=server_identity(announcement.chain[0])
        if announcement and announcement.chain
        else None,
    )
    return Report(
        target=target,
        tally=tally,
        refusals=observations.refusals,
        health=observations.health,
        diagnoses=diagnose(observations),
        expected=expected_shares(weights),
        announcement=announcement,
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


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else _rounded(seconds * 1000)


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 2)
