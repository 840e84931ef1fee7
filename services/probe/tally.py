"""What all requests of a run came to: counts that add up, and what can be read from them.

Everything here is arithmetic on cumulative counts. A snapshot never refers to a single request,
so memory stays the same from a hundred requests to a million.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypedDict, TypeVar

from services.probe.outcome import Outcome

_Key = TypeVar("_Key")

NAMES_LIMIT = 1000
"""Backends counted by name; a page that differs each time must not fill the memory."""
OTHER = "other pages"
"""The name under which backends beyond `NAMES_LIMIT` are counted."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Latencies in buckets that grow by 5 %: any percentile to within 2.5 %, at a fixed size."""

    FLOOR_S: ClassVar[float] = 1e-5
    GROWTH: ClassVar[float] = 1.05
    LAST: ClassVar[int] = 378
    """The bucket of 1000 s and more."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def bucket(cls, seconds: float) -> int:
        """The bucket that `seconds` falls into."""
        if seconds <= cls.FLOOR_S:
            return 0
        return min(int(math.log(seconds / cls.FLOOR_S) / _LOG_GROWTH), cls.LAST)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def percentile_s(self, share: float) -> float | None:
        """The latency that `share` (0 to 1) of the requests did not exceed; None without any."""
        wanted = max(math.ceil(share * self.total), 1)
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return self.FLOOR_S * math.exp(_LOG_GROWTH * (bucket + 0.5))
        return None

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(_sum(self.counts, other.counts))


_LOG_GROWTH = math.log(Histogram.GROWTH)


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests per second over time, for a sparkline: one point each `STEP_S`."""

    STEP_S: ClassVar[float] = 0.5
    KEPT: ClassVar[int] = 120

    history: tuple[float, ...] = ()
    """Oldest first, the last minute."""
    low: float = 0.0
    high: float = 0.0
    since_s: float = 0.0
    since_requests: int = 0
    """Where the point now being measured began."""

    @property
    def now(self) -> float:
        return self.history[-1] if self.history else 0.0

    def seen(self, elapsed_s: float, requests: int) -> Rates:
        """The rates after `requests` in all, `elapsed_s` after the start."""
        span = elapsed_s - self.since_s
        if span < self.STEP_S:
            return self
        return self._point((requests - self.since_requests) / span, elapsed_s, requests)

    def ended(self, elapsed_s: float, requests: int) -> Rates:
        """The same at the end: a run too short for a point of its own gets one."""
        rates = self.seen(elapsed_s, requests)
        if rates.history or elapsed_s <= 0:
            return rates
        return rates._point(requests / elapsed_s, elapsed_s, requests)

    def _point(self, rate: float, elapsed_s: float, requests: int) -> Rates:
        return Rates(
            history=(*self.history, rate)[-self.KEPT :],
            low=min(self.low, rate) if self.history else rate,
            high=max(self.high, rate),
            since_s=elapsed_s,
            since_requests=requests,
        )


class TallyMap(TypedDict):
    """A tally as JSON, between the worker process and us."""

    backends: dict[str, int]
    outcomes: dict[str, int]
    samples: dict[str, str]
    latency: dict[str, int]
    tls: dict[str, int]
    server_not_after: str
    started: float
    elapsed_s: float
    unfinished: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The requests so far. Adding the tallies of two workers gives the tally of both.

    Every request is counted in exactly one outcome, and every one that is ok in one backend.
    """

    backends: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    samples: Mapping[str, str] = field(default_factory=dict)
    """For each outcome but ok the evidence of its first request."""
    latency: Histogram = field(default_factory=Histogram)
    """Of the requests that are ok, from the first packet to the answer's last byte."""
    tls: Mapping[str, int] = field(default_factory=dict)
    """`TLSv1.3 TLS_AES_256_GCM_SHA384`, and how many answers came over it."""
    server_not_after: str = ""
    """Until when the server's certificate is valid, as seen in the handshake (RFC 3339)."""
    started: float = 0.0
    """Seconds since the epoch; 0 when nothing has begun."""
    elapsed_s: float = 0.0
    unfinished: int = 0
    """Begun, but given up because the run was stopped; counted nowhere else."""
    rates: Rates = field(default_factory=Rates)

    @property
    def requests(self) -> int:
        return sum(self.outcomes.values())

    @property
    def ok(self) -> int:
        return self.outcomes.get(Outcome.OK, 0)

    @property
    def failed(self) -> int:
        return self.requests - self.ok

    @property
    def tls_version(self) -> str | None:
        return self._negotiated()[0]

    @property
    def tls_cipher(self) -> str | None:
        return self._negotiated()[1]

    def _negotiated(self) -> tuple[str | None, str | None]:
        """What most answers came over."""
        if not self.tls:
            return None, None
        version, _, cipher = max(self.tls, key=lambda name: (self.tls[name], name)).partition(" ")
        return version, cipher

    @property
    def p50_ms(self) -> float | None:
        return _ms(self.latency.percentile_s(0.50))

    @property
    def p99_ms(self) -> float | None:
        return _ms(self.latency.percentile_s(0.99))

    @property
    def requests_per_second(self) -> float:
        """Over the whole run."""
        return self.requests / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def __add__(self, other: Tally) -> Tally:
        """Both together. Rates are not added: they are measured on the sum."""
        return Tally(
            backends=_sum(self.backends, other.backends),
            outcomes=_sum(self.outcomes, other.outcomes),
            samples={**other.samples, **self.samples},
            latency=self.latency + other.latency,
            tls=_sum(self.tls, other.tls),
            server_not_after=min(
                filter(None, (self.server_not_after, other.server_not_after)), default=""
            ),
            started=min(filter(None, (self.started, other.started)), default=0.0),
            elapsed_s=max(self.elapsed_s, other.elapsed_s),
            unfinished=self.unfinished + other.unfinished,
        )

    def after(self, earlier: Tally, *, ended: bool = False) -> Tally:
        """This tally with the rates that follow from `earlier`, the snapshot before it."""
        follow = earlier.rates.ended if ended else earlier.rates.seen
        return replace(self, rates=follow(self.elapsed_s, self.requests))

    def to_map(self) -> TallyMap:
        return {
            "backends": dict(self.backends),
            "outcomes": dict(self.outcomes),
            "samples": dict(self.samples),
            "latency": {str(bucket): count for bucket, count in self.latency.counts.items()},
            "tls": dict(self.tls),
            "server_not_after": self.server_not_after,
            "started": self.started,
            "elapsed_s": self.elapsed_s,
            "unfinished": self.unfinished,
        }

    @classmethod
    def from_map(cls, found: TallyMap) -> Tally:
        return cls(
            backends=found["backends"],
            outcomes=found["outcomes"],
            samples=found["samples"],
            latency=Histogram({int(bucket): n for bucket, n in found["latency"].items()}),
            tls=found["tls"],
            server_not_after=found["server_not_after"],
            started=found["started"],
            elapsed_s=found["elapsed_s"],
            unfinished=found["unfinished"],
        )


class Counting:
    """The one mutable tally: where a run counts its requests."""

    def __init__(self, started: float) -> None:
        """`started`: seconds since the epoch."""
        self._started = started
        self._backends: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._samples: dict[str, str] = {}
        self._latency: Counter[int] = Counter()
        self._tls: Counter[str] = Counter()
        self.server_not_after = ""

    def answered(self, backend: str, latency_s: float, tls: str) -> None:
        """Count a request that is ok."""
        if backend not in self._backends and len(self._backends) >= NAMES_LIMIT:
            backend = OTHER
        self._outcomes[Outcome.OK.value] += 1
        self._backends[backend] += 1
        self._latency[Histogram.bucket(latency_s)] += 1
        if tls:
            self._tls[tls] += 1

    def failed(self, outcome: Outcome, evidence: str) -> None:
        """Count a request that ended in any other way."""
        self._outcomes[outcome.value] += 1
        self._samples.setdefault(outcome.value, evidence)

    def tally(self, elapsed_s: float, unfinished: int = 0) -> Tally:
        """A snapshot, on its own from here on."""
        return Tally(
            backends=dict(self._backends),
            outcomes=dict(self._outcomes),
            samples=dict(self._samples),
            latency=Histogram(dict(self._latency)),
            tls=dict(self._tls),
            server_not_after=self.server_not_after,
            started=self._started,
            elapsed_s=elapsed_s,
            unfinished=unfinished,
        )


def expected_shares(weights: Mapping[str, int]) -> dict[str, float]:
    """The share of the requests that each backend should get; of weight 0 it gets none."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items() if weight} if total else {}


def share_interval(count: int, total: int, z: float) -> tuple[float, float]:
    """The true shares that `count` of `total` is compatible with: the Wilson score interval.

    `z` is the width in standard deviations. Wilson (1927) rather than the plain normal interval,
    which has no width at all when every response came from one backend.
    """
    if total == 0:
        return 0.0, 1.0
    share = count / total
    scale = 1 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # At the ends the interval reaches 0 and 1 exactly; rounding must not say otherwise.
    low = middle - half if count else 0.0
    high = middle + half if count < total else 1.0
    return low, high


CHANCE_Z = 4.0
"""Four standard deviations: chance alone goes beyond them once in 16,000 comparisons."""


def within_chance(count: int, total: int, share: float, z: float = CHANCE_Z) -> bool:
    """Whether `count` of `total` may well be chance when `share` of them is expected.

    7 of 10 is, where half is expected; 200 of 200 is not. A balancer that takes backends strictly
    in turn stays far inside, so this never accuses it.
    """
    low, high = share_interval(count, total, z)
    return low <= share <= high


def _sum(one: Mapping[_Key, int], other: Mapping[_Key, int]) -> dict[_Key, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in (*one, *other)}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
