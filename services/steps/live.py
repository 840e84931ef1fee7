"""How a verification that goes on stands: one snapshot, for the live screen and for `--json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.cloud.port import ServerHealth
from services.events import rfc3339
from services.probe.diagnosis import Diagnosis
from services.probe.observations import Health
from services.probe.refusals import Refusal
from services.probe.tally import Tally, chance_counts
from services.text import say

Fact = str | int | float
_NO_FACTS = ("time", "kind", "subject")
Verdict = Literal["", "pass", "fail"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that became otherwise while one was looking; words at `live.change.<kind>`.

    `subject` is whom it is about: a backend, a stranger, an address; empty for the endpoint as a
    whole. `facts` are for the words and for JSON; times in them are RFC 3339.
    """

    at: datetime
    kind: str
    subject: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def to_map(self) -> dict[str, Any]:
        """The change as JSON: its facts beside time, kind and subject."""
        return {**self.facts, "time": rfc3339(self.at), "kind": self.kind, "subject": self.subject}

    @classmethod
    def from_map(cls, found: Mapping[str, Any]) -> Change:
        """The change that `to_map` made `found` of."""
        facts = {name: value for name, value in found.items() if name not in _NO_FACTS}
        return cls(datetime.fromisoformat(found["time"]), found["kind"], found["subject"], facts)

    def words(self) -> str:
        """The change as one line for people; times of day are those of this computer's zone."""
        facts = self.facts
        shown: dict[str, object] = {**facts, "subject": self.subject}
        for name in ("since", "until"):
            if name in facts:
                shown[name] = _clock(datetime.fromisoformat(str(facts[name])), self.at)
        if "since" in facts:
            key = "at" if shown["since"] == shown["until"] else "from-to"
            shown["span"] = say(f"live.span.{key}", **shown)
        if "status" in facts:
            shown["words"] = _status(facts, "status", "reason")
        if "not_after" in facts:
            end = datetime.fromisoformat(str(facts["not_after"]))
            shown |= {"date": f"{end:%Y-%m-%d}", "count": (end - self.at).days}
        if "lost" in facts:
            shown["count"] = facts["lost"]
        if self.kind == "health":
            shown["before"] = _status(facts, "before", "before_reason")
        if self.kind.startswith("stranger-"):
            shown["stranger"] = stranger(self.subject)
        if "outcome" in facts:
            shown["outcome"] = str(facts["outcome"]).replace("-", " ")
        part = f".{facts['by']}" if self.kind == "backend-down" else ""
        return say(f"live.change.{self.kind}{part}", **shown)


def stranger(name: str) -> str:
    """Who knocked, for people."""
    return say(f"live.stranger.{name.replace('_', '-')}")


def _status(facts: Mapping[str, Fact], status: str, reason: str) -> str:
    return ", ".join(str(facts[name]) for name in (status, reason) if facts.get(name))


def _clock(moment: datetime, today: datetime) -> str:
    """The time of day, and the date where it is not today's."""
    here, now = moment.astimezone(), today.astimezone()
    return f"{here:%H:%M:%S}" if here.date() == now.date() else f"{here:%Y-%m-%d %H:%M:%S}"


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
    lately: Mapping[str, int] = field(default_factory=dict)
    """The answers of the last seconds by backend; empty where all of them are meant."""
    health: tuple[ServerHealth, ...] = ()
    health_at: datetime | None = None
    health_unknown: str = ""
    """Why the API could not be asked for it the last time; empty when it could."""
    refusals: tuple[Refusal, ...] = ()
    diagnosis: tuple[Diagnosis, ...] = ()
    judged: bool = False
    """Whether the causes are those of this snapshot, and not yet to be looked for."""
    verdict: Verdict = ""
    certificate_from: str = ""
    certificate_until: str = ""
    """The beginning and the end of the server certificate (RFC 3339), where they are known."""
    addresses: tuple[str, ...] = ()
    """What the endpoint's name resolves to, as `HOST:PORT`; empty before it was looked up."""
    pace: float | None = None
    """At most so many requests a second; None where nothing holds them back."""
    changes: tuple[Change, ...] = ()
    """What changed while one was looking, oldest first; the last ones where there were many."""

    def beyond_chance(self) -> frozenset[str]:
        """The backends whose share is farther from their weight's than chance goes."""
        counts, total = self.tally.backends, self.tally.ok
        if self.lately:
            counts, total = self.lately, sum(self.lately.values())
        # One pair of bounds a weight, not one a backend: there may be hundreds, ten times a second.
        bounds = {share: chance_counts(total, share) for share in set(self.expected.values())}
        return frozenset(
            name
            for name, share in self.expected.items()
            if not bounds[share][0] <= counts.get(name, 0) <= bounds[share][1]
        )

    def health_by_name(self) -> tuple[Health, ...]:
        return by_name(self.health, self.names)

    def to_map(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "endpoint": self.endpoint,
            "requests": tally.requests,
            "ok": tally.ok,
            "failed": tally.failed,
            "backends": dict(tally.backends),
            "addresses": {name: dict(counts) for name, counts in tally.addresses.items()},
            "verdict": self.verdict or None,
            "requests_per_second": round(tally.rates.now, 1),
            "health": [each.to_map() for each in self.health_by_name()],
            "health_time": rfc3339(self.health_at) if self.health_at else None,
        }


def by_name(health: Iterable[ServerHealth], names: Mapping[str, str]) -> tuple[Health, ...]:
    """Health as the rules want it, each server by its backend's name where that is known."""
    return tuple(
        Health(names.get(each.server.id, each.server.id), each.status, each.reason)
        for each in health
    )
