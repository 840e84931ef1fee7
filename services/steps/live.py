"""How a verification that goes on stands: one snapshot, for the live screen and for `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.cloud.port import ServerHealth
from services.events import rfc3339
from services.probe.diagnosis import Diagnosis
from services.probe.refusals import Refusal
from services.probe.tally import Tally, within_chance


@dataclass(frozen=True, slots=True)
class Change:
    """Something that became otherwise while one was looking; words at `live.change.<kind>`.

    `subject` is whom it is about: a backend, a stranger, an address; empty for the endpoint as a
    whole. `facts` are texts for the words and for JSON; times are RFC 3339.
    """

    at: datetime
    kind: str
    subject: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def to_map(self) -> dict[str, Any]:
        """The change as JSON: its facts beside time, kind and subject."""
        return {**self.facts, "time": rfc3339(self.at), "kind": self.kind, "subject": self.subject}


@dataclass(frozen=True, slots=True)
class Live:
    """Everything that is known at one moment. Counts are cumulative."""

    endpoint: str
    name: str
    started: datetime
    names: Mapping[str, str] = field(default_factory=dict)
    """Server ids, and what the backends are called."""
    expected: Mapping[str, float] = field(default_factory=dict)
    """The share of the responses that each backend's weight promises."""
    tally: Tally = field(default_factory=Tally)
    health: tuple[ServerHealth, ...] = ()
    health_at: datetime | None = None
    refusals: tuple[Refusal, ...] = ()
    diagnosis: tuple[Diagnosis, ...] = ()
    verdict: Literal["", "pass", "fail"] = ""
    certificate_until: str = ""
    """The end of the server certificate (RFC 3339), where it is known."""
    addresses: tuple[str, ...] = ()
    """What the endpoint's name resolves to, as `HOST:PORT`; empty before it was looked up."""
    changes: tuple[Change, ...] = ()
    """What changed while one was looking, oldest first; the last ones where there were many."""

    def within_chance(self, backend: str) -> bool:
        """Whether a backend's share may differ from its weight's by chance alone."""
        count = self.tally.backends.get(backend, 0)
        return within_chance(count, self.tally.ok, self.expected.get(backend, 0.0))

    def to_map(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "endpoint": self.endpoint,
            "requests": tally.requests,
            "ok": tally.ok,
            "failed": tally.failed,
            "backends": dict(tally.backends),
            "requests_per_second": round(tally.rates.now, 1),
            "health": health_map(self.health, self.names),
            "health_time": rfc3339(self.health_at) if self.health_at else None,
        }


def health_map(health: Sequence[ServerHealth], names: Mapping[str, str]) -> list[dict[str, str]]:
    """Health as JSON has it, each server by its backend's name."""
    return [
        {
            "server": names.get(each.server.id, each.server.id),
            "status": each.status,
            **({"reason": each.reason} if each.reason else {}),
        }
        for each in health
    ]
