"""The last verification as a snapshot, so that the live screen can be drawn from it once more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.cloud.port import Server, ServerHealth
from services.handover.content import Cause, Content, Verification
from services.probe.diagnosis import Diagnosis
from services.probe.refusals import STRANGERS, Refusal
from services.probe.tally import Histogram, Rates, Tally
from services.steps.live import Live


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled(Diagnosis):
    """A diagnosis in the words in which it was made."""

    told: str
    advice: str

    def cause(self) -> str:
        return self.told

    def remedy(self) -> str:
        return self.advice


def snapshot(content: Content) -> Live | None:
    """How the endpoint stood when the verification ended; None if there was none."""
    found = content.verification
    if found is None:
        return None
    ended = datetime.fromisoformat(found.time)
    server = next((each for each in content.certificates if each.role == "server"), None)
    return Live(
        endpoint=found.endpoint,
        name=found.name,
        started=ended,
        names={each.server: each.server for each in found.health},
        expected={each.backend: each.expected for each in found.backends if each.expected},
        tally=_tally(found),
        health=tuple(
            ServerHealth(Server(each.server, "Ecs", 0, 0), each.status, each.reason)
            for each in found.health
        ),
        health_at=ended,
        refusals=tuple(_refusals(found)),
        diagnosis=tuple(_diagnosis(each) for each in found.diagnosis),
        verdict=found.verdict,
        certificate_until=found.server_not_after or (server.not_after if server else ""),
    )


def _refusals(found: Verification) -> Iterator[Refusal]:
    """A stranger that only another version knows has no words on this one's screen."""
    told = {each.name: each for each in found.strangers}
    for name in STRANGERS:
        if each := told.get(name):
            yield Refusal(name, each.refused, each.evidence, each.alert, each.untried)


def _tally(found: Verification) -> Tally:
    rate = found.requests_per_second or 0.0
    negotiated = f"{found.tls_version} {found.tls_cipher or ''}".strip()
    return Tally(
        backends={each.backend: each.count for each in found.backends if each.count},
        outcomes=found.outcomes,
        samples=found.samples,
        addresses=found.addresses,
        latency=_histogram(found.latency_ms),
        connect=_histogram(found.phases_ms.get("connect", {})),
        tls_handshake=_histogram(found.phases_ms.get("tls_handshake", {})),
        first_byte=_histogram(found.phases_ms.get("first_byte", {})),
        tls={negotiated: found.ok} if found.tls_version else {},
        concurrency=found.concurrency,
        limited_to=found.limited_to,
        elapsed_s=found.requests / rate if rate else 0.0,
        rates=Rates((rate,), rate, rate),
    )


def _histogram(percentiles_ms: Mapping[str, float | None]) -> Histogram:
    """The plainest one with these percentiles: of the hundred, so many are that quick."""
    counts: dict[int, int] = {}
    so_far = 0
    for name in ("p50", "p90", "p95", "p99"):
        value = percentiles_ms.get(name)
        if value is not None:
            bucket = Histogram.bucket(value / 1000)
            counts[bucket] = counts.get(bucket, 0) + int(name[1:]) - so_far
            so_far = int(name[1:])
    return Histogram(counts)


def _diagnosis(cause: Cause) -> Recalled:
    return Recalled(
        code=cause.code,
        severity=cause.severity,
        confidence=cause.confidence,
        evidence=cause.evidence,
        facts={},
        told=cause.cause,
        advice=cause.remedy,
    )
