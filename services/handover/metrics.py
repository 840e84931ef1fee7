"""A report as Prometheus metrics, for the node exporter's textfile collector.

Every line bears the session and the domain, so that the files of several set-ups can lie in one
folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

from services.handover.content import MARK, Content, Verification
from services.handover.exposition import Family, Sample, exposition
from services.probe.observations import NORMAL
from services.text import say

PREFIX = "nlb_mtls_"


def prometheus(content: Content) -> bytes:
    """`nlb-mtls.prom`."""
    return exposition(_families(content), comment=f"{MARK} {content.program} {content.session}")


def _families(content: Content) -> Iterator[Family]:
    ours = {"session": content.session, "domain": content.domain}
    if content.verification is not None:
        yield from _verified(content.verification, ours)
    yield from _certificates(content, ours)
    yield _family(
        "exported_timestamp_seconds", "exported", [Sample(_epoch(content.generated), ours)]
    )


def _verified(found: Verification, ours: Mapping[str, str]) -> Iterator[Family]:
    passed = Sample(found.verdict == "pass", ours)
    yield _family("verification_pass", "verification-pass", [passed])
    yield _family("verified_timestamp_seconds", "verified", [Sample(_epoch(found.time), ours)])
    yield _family(
        "requests_total",
        "requests",
        [Sample(count, {**ours, "outcome": name}) for name, count in found.outcomes.items()],
        "counter",
    )
    yield _family(
        "backend_responses_total",
        "backend-responses",
        [Sample(each.count, {**ours, "backend": each.backend}) for each in found.backends],
        "counter",
    )
    yield _family(
        "backend_expected_ratio",
        "backend-expected",
        [
            Sample(each.expected, {**ours, "backend": each.backend})
            for each in found.backends
            if each.expected is not None
        ],
    )
    latency = list(_quantiles(found.latency_ms, ours))
    if latency:
        latency.append(Sample(found.ok, ours, "_count"))
    yield _family("latency_seconds", "latency", latency, "summary")
    yield _family(
        "phase_latency_seconds",
        "phase-latency",
        [
            sample
            for phase, percentiles in found.phases_ms.items()
            for sample in _quantiles(percentiles, {**ours, "phase": phase})
        ],
        "summary",
    )
    yield _family(
        "stranger_refused",
        "stranger-refused",
        [
            Sample(each.refused, {**ours, "stranger": each.name})
            for each in found.strangers
            if each.refused is not None
        ],
    )
    yield _family(
        "health_normal",
        "health",
        [Sample(each.status == NORMAL, {**ours, "server": each.server}) for each in found.health],
    )


def _certificates(content: Content, ours: Mapping[str, str]) -> Iterator[Family]:
    held = [({**ours, "role": each.role}, each) for each in content.certificates]
    ends = [Sample(_epoch(each.not_after), labels) for labels, each in held]
    left = [Sample(each.days_left, labels) for labels, each in held]
    yield _family("certificate_not_after_timestamp_seconds", "not-after", ends)
    yield _family("certificate_days_left", "days-left", left)


def _quantiles(
    percentiles_ms: Mapping[str, float | None], labels: Mapping[str, str]
) -> Iterator[Sample]:
    """`p50` of milliseconds as the quantile 0.5 of seconds."""
    for name, value in percentiles_ms.items():
        digits = name.removeprefix("p")
        if value is not None and digits.isdigit():
            yield Sample(round(value / 1000, 9), {**labels, "quantile": str(float(f"0.{digits}"))})


def _family(
    name: str,
    words: str,
    samples: list[Sample],
    kind: Literal["counter", "gauge", "summary"] = "gauge",
) -> Family:
    return Family(f"{PREFIX}{name}", kind, say(f"handover.metric.{words}"), tuple(samples))


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
