"""The last verification, read back from the session that keeps its result.

What is read is the object that ends `verify --json`. An older program kept less of it, so
everything beyond the contract may be absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from services.handover.content import (
    Announced,
    Cause,
    Dns,
    Health,
    Share,
    Stranger,
    Verification,
)
from services.probe.tally import CHANCE_Z, share_interval, within_chance
from services.problem import Problem
from services.session.model import Session
from services.text import knows, say


class _Tls(msgspec.Struct, frozen=True):
    version: str | None = None
    cipher: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    name: str
    refused: bool | None = None
    evidence: str = ""
    alert: str | None = None
    untried: str = ""


class _Result(msgspec.Struct, frozen=True):
    verdict: Literal["pass", "fail"]
    endpoint: str = ""
    name: str = ""
    requests: int = 0
    ok: int = 0
    failed: int = 0
    backends: dict[str, int] = {}
    tls: _Tls = _Tls()
    refused: dict[str, bool | None] = {}
    latency_ms: dict[str, float | None] = {}
    requests_per_second: float | None = None
    health: tuple[Health, ...] = ()
    diagnosis: tuple[Cause, ...] = ()
    # beyond the contract
    expected: dict[str, float] = {}
    outcomes: dict[str, int] = {}
    samples: dict[str, str] = {}
    addresses: dict[str, dict[str, int]] = {}
    phases_ms: dict[str, dict[str, float | None]] = {}
    backend_ms: dict[str, float | None] = {}
    failures_by_backend: dict[str, dict[str, int]] = {}
    refusals: tuple[_Refusal, ...] = ()
    announced: Announced | None = None
    dns: Dns | None = None
    server_not_after: str | None = None
    concurrency: int = 0
    limited_to: int = 0


def verification(session: Session, steps: tuple[str, ...]) -> Verification | None:
    """How the last of `steps` that proves an endpoint found it; None if none ever did.

    Raises Problem `handover.unreadable-result`.
    """
    for name in reversed(steps):
        proved = session.proofs.get(name)
        if proved is not None and "endpoint" in proved.result:
            return _verification(proved.result, proved.time, session)
    return None


def _verification(kept: Mapping[str, Any], time: str, session: Session) -> Verification:
    try:
        result = msgspec.convert(kept, _Result)
    except msgspec.ValidationError as error:
        raise Problem("handover.unreadable-result", str(error), session=session.id) from None
    return Verification(
        time=time,
        verdict=result.verdict,
        endpoint=result.endpoint,
        name=result.name,
        requests=result.requests,
        ok=result.ok,
        failed=result.failed,
        requests_per_second=result.requests_per_second,
        tls_version=result.tls.version,
        tls_cipher=result.tls.cipher,
        latency_ms=result.latency_ms,
        phases_ms=result.phases_ms,
        outcomes=result.outcomes or {"ok": result.ok},
        samples=result.samples,
        backends=tuple(_shares(result)),
        addresses=result.addresses,
        strangers=tuple(_strangers(result)),
        health=result.health,
        diagnosis=result.diagnosis,
        announced=result.announced,
        dns=result.dns,
        server_not_after=result.server_not_after,
        concurrency=result.concurrency,
        limited_to=result.limited_to,
    )


def _shares(result: _Result) -> Iterator[Share]:
    """Every backend that answered or had to."""
    expected = result.expected
    for name in sorted({*result.backends, *result.failures_by_backend, *expected}):
        count = result.backends.get(name, 0)
        low, high = share_interval(count, result.ok, CHANCE_Z)
        promised = expected.get(name, 0.0) if expected else None
        yield Share(
            backend=name,
            count=count,
            share=count / result.ok if result.ok else 0.0,
            low=low,
            high=high,
            expected=promised,
            within_chance=None if promised is None else within_chance(count, result.ok, promised),
            mean_ms=result.backend_ms.get(name),
            failures=result.failures_by_backend.get(name, {}),
        )


def _strangers(result: _Result) -> Iterator[Stranger]:
    known = {each.name: each for each in result.refusals}
    for name in {**result.refused, **known}:
        each = known.get(name) or _Refusal(name, result.refused[name])
        key = f"handover.stranger.{name.replace('_', '-')}"
        yield Stranger(
            name=name,
            title=say(key) if knows(key) else name.replace("_", " "),
            refused=each.refused,
            evidence=each.evidence,
            alert=each.alert,
            untried=each.untried,
        )
