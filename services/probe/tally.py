"""What all requests of a run came to: counts that add up, and what can be read from them.

Everything here is arithmetic on cumulative counts. A snapshot never refers to a single request,
so memory stays the same from a hundred requests to a million.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypedDict, TypeVar

from services.probe.outcome import Outcome

_Key = TypeVar("_Key")
_Number = TypeVar("_Number", int, float)

NAMES_LIMIT = 1000
"""Backends counted by name; a page that differs each time must not fill the memory."""
OTHER = "other pages"
"""The name under which backends beyond `NAMES_LIMIT` are counted."""
ADDRESSES_LIMIT = 256
"""Addresses counted by themselves; a name that changes all the time must not fill the memory."""
OTHER_ADDRESSES = "other addresses"
_QUANTUM = 2**20
"""Seconds are added up in steps of 2^-20 s, a microsecond: exact as floats, in any order."""


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

    def to_map(self) -> dict[str, int]:
        """As JSON, whose keys are text."""
        return {str(bucket): count for bucket, count in self.counts.items()}

    @classmethod
    def from_map(cls, found: Mapping[str, int]) -> Histogram:
        return cls({int(bucket): count for bucket, count in found.items()})


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
    addresses: dict[str, dict[str, int]]
    connect: dict[str, int]
    tls_handshake: dict[str, int]
    first_byte: dict[str, int]
    backend_seconds: dict[str, float]
    failures_by_backend: dict[str, dict[str, int]]
    concurrency: int
    limited_to: int
    server_date_skew_s: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """The requests so far. Adding the tallies of two workers gives the tally of both.

    Every request is counted in exactly one outcome, at one address, and every one that is ok in
    one backend.
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
    addresses: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """For each address (`HOST:PORT`, an IPv6 host in brackets) its outcomes; in all `requests`."""
    connect: Histogram = field(default_factory=Histogram)
    """Of the requests that are ok: from the first packet to the TCP connection."""
    tls_handshake: Histogram = field(default_factory=Histogram)
    """Of those over TLS: from the TCP connection to the client's Finished. In TLS 1.3 the server
    looks at the client's certificate only after it: that time is in `first_byte`."""
    first_byte: Histogram = field(default_factory=Histogram)
    """Of the requests that are ok: from the request sent to the answer's first byte."""
    backend_seconds: Mapping[str, float] = field(default_factory=dict)
    """The latencies of each backend's ok answers, added up; by its count that is their mean."""
    failures_by_backend: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Answers that are not ok but say who gave them: for each backend its outcomes."""
    concurrency: int = 0
    """Connections at once, as it stands."""
    limited_to: int = 0
    """The most connections that this computer's limit on open files left room for, where that was
    fewer than wanted; else 0."""
    server_date_skew_s: float | None = None
    """How far the Date (RFC 9110 section 6.6.1) of ok answers is ahead of this computer's clock:
    the farthest seen. Dates are whole seconds, so less than one says nothing."""

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
            addresses=_sum_each(self.addresses, other.addresses),
            connect=self.connect + other.connect,
            tls_handshake=self.tls_handshake + other.tls_handshake,
            first_byte=self.first_byte + other.first_byte,
            backend_seconds=_sum(self.backend_seconds, other.backend_seconds),
            failures_by_backend=_sum_each(self.failures_by_backend, other.failures_by_backend),
            concurrency=self.concurrency + other.concurrency,
            limited_to=self.limited_to + other.limited_to,
            server_date_skew_s=_farther(self.server_date_skew_s, other.server_date_skew_s),
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
            "latency": self.latency.to_map(),
            "tls": dict(self.tls),
            "server_not_after": self.server_not_after,
            "started": self.started,
            "elapsed_s": self.elapsed_s,
            "unfinished": self.unfinished,
            "addresses": {name: dict(counts) for name, counts in self.addresses.items()},
            "connect": self.connect.to_map(),
            "tls_handshake": self.tls_handshake.to_map(),
            "first_byte": self.first_byte.to_map(),
            "backend_seconds": dict(self.backend_seconds),
            "failures_by_backend": {
                name: dict(counts) for name, counts in self.failures_by_backend.items()
            },
            "concurrency": self.concurrency,
            "limited_to": self.limited_to,
            "server_date_skew_s": self.server_date_skew_s,
        }

    @classmethod
    def from_map(cls, found: TallyMap) -> Tally:
        return cls(
            backends=found["backends"],
            outcomes=found["outcomes"],
            samples=found["samples"],
            latency=Histogram.from_map(found["latency"]),
            tls=found["tls"],
            server_not_after=found["server_not_after"],
            started=found["started"],
            elapsed_s=found["elapsed_s"],
            unfinished=found["unfinished"],
            addresses=found["addresses"],
            connect=Histogram.from_map(found["connect"]),
            tls_handshake=Histogram.from_map(found["tls_handshake"]),
            first_byte=Histogram.from_map(found["first_byte"]),
            backend_seconds=found["backend_seconds"],
            failures_by_backend=found["failures_by_backend"],
            concurrency=found["concurrency"],
            limited_to=found["limited_to"],
            server_date_skew_s=found["server_date_skew_s"],
        )


class Counting:
    """The one mutable tally: where a run counts its requests."""

    def __init__(self, started: float) -> None:
        """`started`: seconds since the epoch."""
        self._started = started
        self._backends: Counter[str] = Counter()
        self._quanta: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._samples: dict[str, str] = {}
        self._addresses: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._failures: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._latency: Counter[int] = Counter()
        self._connect: Counter[int] = Counter()
        self._handshake: Counter[int] = Counter()
        self._first_byte: Counter[int] = Counter()
        self._tls: Counter[str] = Counter()
        self._skew_s: float | None = None
        self.server_not_after = ""

    def answered(
        self,
        backend: str,
        latency_s: float,
        tls: str,
        address: str = "",
        *,
        connect_s: float | None = None,
        handshake_s: float | None = None,
        first_byte_s: float | None = None,
    ) -> None:
        """Count a request that is ok, and its phases as far as it had them."""
        backend = _bounded(backend, self._backends, NAMES_LIMIT, OTHER)
        self._at(address)[_OK] += 1
        self._outcomes[_OK] += 1
        self._backends[backend] += 1
        self._quanta[backend] += round(latency_s * _QUANTUM)
        bucket = Histogram.bucket
        self._latency[bucket(latency_s)] += 1
        if connect_s is not None:
            self._connect[bucket(connect_s)] += 1
        if handshake_s is not None:
            self._handshake[bucket(handshake_s)] += 1
        if first_byte_s is not None:
            self._first_byte[bucket(first_byte_s)] += 1
        if tls:
            self._tls[tls] += 1

    def failed(
        self, outcome: Outcome, evidence: str, address: str = "", backend: str | None = None
    ) -> None:
        """Count a request that ended in any other way; `backend` where the answer names it."""
        name = outcome.value
        self._at(address)[name] += 1
        self._outcomes[name] += 1
        self._samples.setdefault(name, evidence)
        if backend is not None:
            backend = _bounded(backend, self._failures, NAMES_LIMIT, OTHER)
            self._failures[backend][name] += 1

    def dated(self, skew_s: float) -> None:
        """Keep by how much an ok answer's Date was ahead of this computer's clock."""
        self._skew_s = _farther(self._skew_s, skew_s)

    def _at(self, address: str) -> Counter[str]:
        known = self._addresses
        return known[_bounded(address, known, ADDRESSES_LIMIT, OTHER_ADDRESSES)]

    def tally(
        self, elapsed_s: float, unfinished: int = 0, concurrency: int = 0, limited_to: int = 0
    ) -> Tally:
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
            addresses={name: dict(counts) for name, counts in self._addresses.items()},
            connect=Histogram(dict(self._connect)),
            tls_handshake=Histogram(dict(self._handshake)),
            first_byte=Histogram(dict(self._first_byte)),
            backend_seconds={name: n / _QUANTUM for name, n in self._quanta.items()},
            failures_by_backend={name: dict(counts) for name, counts in self._failures.items()},
            concurrency=concurrency,
            limited_to=limited_to,
            server_date_skew_s=self._skew_s,
        )


_OK = Outcome.OK.value
"""Looked up once: an enum's value is a call each time."""


def _bounded(name: str, known: Mapping[str, object], limit: int, other: str) -> str:
    """`name`, or `other` when it is new and `limit` are known already."""
    return name if name in known or len(known) < limit else other


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
    low, high = chance_counts(total, share, z)
    return low <= count <= high


def chance_counts(total: int, share: float, z: float = CHANCE_Z) -> tuple[float, float]:
    """The fewest and the most of `total` that may well be chance when `share` of them is expected.

    The score test, of which `share_interval` is the other way round: a count lies between these
    exactly when its interval holds the share. Many backends of one weight share the two bounds.
    """
    half = z * math.sqrt(total * share * (1 - share))
    return total * share - half, total * share + half


def _sum(one: Mapping[_Key, _Number], other: Mapping[_Key, _Number]) -> dict[_Key, _Number]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in (*one, *other)}


def _sum_each(
    one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    return {key: _sum(one.get(key, {}), other.get(key, {})) for key in (*one, *other)}


def _farther(one: float | None, other: float | None) -> float | None:
    """Of two clock skews the one farther from 0."""
    known = [skew for skew in (one, other) if skew is not None]
    return max(known, key=lambda skew: (abs(skew), skew), default=None)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
