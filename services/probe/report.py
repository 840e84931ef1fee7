"""Step 6 as a whole: requests, strangers, health, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from services.probe.address import Unresolved, resolve
from services.probe.announcement import Announcement, announce
from services.probe.diagnosis import Diagnosis, diagnose
from services.probe.identity import client_identity, server_identity
from services.probe.observations import NORMAL, Health, Observations
from services.probe.outcome import ANSWERED, Outcome
from services.probe.refusals import MUST_TRY, UNREACHED, Refusal, try_strangers
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
    expected: tuple[str, ...] = ()
    """The backends that had to answer."""

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
                {"server": health.server, "status": health.status} for health in self.health
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
        }


_HOPELESS = UNREACHED | {Outcome.HANDSHAKE_TIMEOUT}
"""Where all requests end so, strangers prove nothing, and the wait for each would be long."""


def verify(
    target: Target,
    *,
    requests: int = 200,
    concurrency: int = 16,
    stop: Stop,
    on_snapshot: Callable[[Tally], None] = lambda tally: None,
    health: Sequence[Health] = (),
    weights: Mapping[str, int] | None = None,
) -> Report:
    """Find out whether mutual authentication works at `target`, and if not, why.

    `health` is what the balancer's API says; empty when there is no API to ask. `weights` are
    those of the server group; without them the target's backends count alike. When stopped, the
    report holds what was found until then, and does not pass. Raises Problem for files that no
    request can be made with.
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
        concurrency=concurrency,
        stop=stop,
        on_snapshot=on_snapshot,
        addresses=addresses,
    )
    refusals: tuple[Refusal, ...] = ()
    announcement = None
    if not _HOPELESS.issuperset(tally.outcomes) and not stop.is_set():
        served = not ANSWERED.isdisjoint(tally.outcomes)
        refusals = try_strangers(target, addresses, stop, served=served)
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
        expected=tuple(expected_shares(weights)),
    )


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 2)
