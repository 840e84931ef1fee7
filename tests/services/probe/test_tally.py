"""The tally is arithmetic: sums that always agree, percentiles and shares that can be checked."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.probe.outcome import Outcome
from services.probe.tally import (
    ADDRESSES_LIMIT,
    NAMES_LIMIT,
    OTHER,
    OTHER_ADDRESSES,
    Counting,
    Histogram,
    Rates,
    Tally,
    chance_counts,
    expected_shares,
    share_interval,
    within_chance,
)

names = st.sampled_from(["ECS01", "ECS02", "page 0badcafe"])
addresses = st.sampled_from(["192.0.2.1:443", "[2001:db8::1]:443"])
latencies = st.floats(1e-6, 900)
phases = st.none() | st.floats(0, 900)


@dataclass(frozen=True)
class Answered:
    address: str
    backend: str
    latency_s: float
    connect_s: float | None
    handshake_s: float | None
    first_byte_s: float | None
    skew_s: float | None


@dataclass(frozen=True)
class Failed:
    address: str
    outcome: Outcome
    backend: str | None


Event = Answered | Failed
events = st.lists(
    st.one_of(
        st.builds(
            Answered,
            address=addresses,
            backend=names,
            latency_s=latencies,
            connect_s=phases,
            handshake_s=phases,
            first_byte_s=phases,
            skew_s=st.none() | st.floats(-1e6, 1e6),
        ),
        st.builds(
            Failed,
            address=addresses,
            outcome=st.sampled_from([each for each in Outcome if each is not Outcome.OK]),
            backend=st.none() | names,
        ),
    ),
    max_size=40,
)


def count(happened: list[Event], started: float = 1.0) -> Tally:
    counting = Counting(started)
    for event in happened:
        if isinstance(event, Failed):
            counting.failed(event.outcome, f"why {event}", event.address, event.backend)
            continue
        counting.answered(
            event.backend,
            event.latency_s,
            "TLSv1.3 TLS_AES_256_GCM_SHA384",
            event.address,
            connect_s=event.connect_s,
            handshake_s=event.handshake_s,
            first_byte_s=event.first_byte_s,
        )
        if event.skew_s is not None:
            counting.dated(event.skew_s)
    return counting.tally(elapsed_s=2.0)


@given(events)
def test_every_request_is_counted_once(happened: list[Event]) -> None:
    tally = count(happened)
    answered = [event for event in happened if isinstance(event, Answered)]
    assert tally.requests == len(happened)
    assert tally.ok == len(answered) == sum(tally.backends.values()) == tally.latency.total
    assert tally.ok == sum(tally.tls.values())
    assert tally.failed == sum(n for name, n in tally.outcomes.items() if name != "ok")
    assert set(tally.samples) == set(tally.outcomes) - {"ok"}
    assert tally.connect.total == sum(event.connect_s is not None for event in answered)
    assert tally.tls_handshake.total == sum(event.handshake_s is not None for event in answered)
    assert tally.first_byte.total == sum(event.first_byte_s is not None for event in answered)


@given(events)
def test_addresses_add_up_to_all_requests(happened: list[Event]) -> None:
    tally = count(happened)
    total: Counter[str] = Counter()
    for address, outcomes in tally.addresses.items():
        assert sum(outcomes.values()) == sum(event.address == address for event in happened)
        total.update(outcomes)
    assert total == tally.outcomes


@given(events)
def test_backends_keep_their_seconds_and_failures(happened: list[Event]) -> None:
    tally = count(happened)
    assert tally.backend_seconds.keys() == tally.backends.keys()
    for backend, seconds in tally.backend_seconds.items():
        exact = [e.latency_s for e in happened if isinstance(e, Answered) and e.backend == backend]
        assert seconds == pytest.approx(sum(exact), abs=1e-6 * len(exact))
    named = Counter(
        (event.backend, event.outcome.value)
        for event in happened
        if isinstance(event, Failed) and event.backend
    )
    assert named == {
        (backend, outcome): n
        for backend, outcomes in tally.failures_by_backend.items()
        for outcome, n in outcomes.items()
    }


@given(events)
def test_clock_skew_is_the_farthest(happened: list[Event]) -> None:
    seen = [e.skew_s for e in happened if isinstance(e, Answered) and e.skew_s is not None]
    found = count(happened).server_date_skew_s
    assert (found in seen and abs(found) == max(map(abs, seen))) if seen else found is None


@given(events, events, events)
def test_adding_is_counting_together(
    one: list[Event], two: list[Event], three: list[Event]
) -> None:
    a, b, c = count(one), count(two, started=0.5), count(three)
    together = count(one + two + three, started=0.5)
    assert (a + b) + c == a + (b + c) == together
    assert replace(a + b, samples={}) == replace(b + a, samples={})
    assert a + Tally() == Tally() + a == a


def test_workers_connections_are_added() -> None:
    both = Counting(0).tally(1, concurrency=5, limited_to=5) + Counting(0).tally(1, concurrency=7)
    assert (both.concurrency, both.limited_to) == (12, 5)


@given(events, st.integers(0, 256), st.integers(0, 256))
def test_wire_form_loses_nothing(happened: list[Event], concurrency: int, limited: int) -> None:
    tally = replace(count(happened), concurrency=concurrency, limited_to=limited)
    assert Tally.from_map(json.loads(json.dumps(tally.to_map()))) == tally


@given(st.lists(latencies, min_size=1), st.floats(0, 1))
def test_percentile_is_within_its_bucket(found: list[float], share: float) -> None:
    counting = Counting(0)
    for latency in found:
        counting.answered("ECS01", latency, "")
    tally = counting.tally(1)
    exact = sorted(found)[max(math.ceil(share * len(found)), 1) - 1]
    near = tally.latency.percentile_s(share)
    assert near is not None
    if exact >= 1e-5:
        assert near == pytest.approx(exact, rel=0.026)
    else:
        assert near < 1.1e-5


def test_no_request_has_no_percentile() -> None:
    assert Tally().p50_ms is None
    assert Tally().p99_ms is None
    assert Tally().requests_per_second == 0
    assert Tally().tls_version is None


def test_histogram_never_grows_beyond_its_last_bucket() -> None:
    assert Histogram.bucket(1e9) == Histogram.LAST
    assert Histogram.bucket(0) == 0


def test_most_common_tls_is_shown() -> None:
    counting = Counting(0)
    for tls in ("TLSv1.2 A", "TLSv1.3 B", "TLSv1.3 B"):
        counting.answered("ECS01", 0.01, tls)
    tally = counting.tally(1)
    assert (tally.tls_version, tally.tls_cipher) == ("TLSv1.3", "B")


def test_pages_that_always_differ_do_not_fill_the_memory() -> None:
    counting = Counting(0)
    for number in range(NAMES_LIMIT + 50):
        counting.answered(f"page {number}", 0.01, "")
    tally = counting.tally(1)
    assert len(tally.backends) == NAMES_LIMIT + 1
    assert tally.backends[OTHER] == 50
    assert sum(tally.backends.values()) == tally.ok == NAMES_LIMIT + 50


def test_addresses_that_always_differ_do_not_fill_the_memory() -> None:
    counting = Counting(0)
    for number in range(ADDRESSES_LIMIT + 50):
        counting.failed(Outcome.CONNECT_REFUSED, "", f"192.0.2.1:{number}", f"ECS{number}")
    tally = counting.tally(1)
    assert len(tally.addresses) == ADDRESSES_LIMIT + 1
    assert tally.addresses[OTHER_ADDRESSES] == {"connect-refused": 50}


@given(st.lists(st.tuples(st.floats(0.05, 2), st.integers(0, 500)), max_size=60))
def test_rates_follow_the_counts(steps: list[tuple[float, int]]) -> None:
    rates, elapsed, requests = Rates(), 0.0, 0
    for passed, more in steps:
        elapsed, requests = elapsed + passed, requests + more
        rates = rates.seen(elapsed, requests)
    rates = rates.ended(elapsed, requests)
    if not steps:
        assert rates == Rates()
        return
    assert 1 <= len(rates.history) <= Rates.KEPT
    assert rates.low <= min(rates.history)
    assert max(rates.history) <= rates.high
    assert rates.now == rates.history[-1]
    assert rates.since_requests <= requests


def test_short_run_has_one_rate() -> None:
    rates = Rates().seen(0.1, 100).ended(0.2, 200)
    assert rates.history == (1000.0,)
    assert (rates.low, rates.now, rates.high) == (1000.0, 1000.0, 1000.0)


def test_shares_follow_weights_and_leave_out_weight_0() -> None:
    assert expected_shares({"a": 100, "b": 50, "c": 50, "d": 0}) == {"a": 0.5, "b": 0.25, "c": 0.25}
    assert expected_shares({}) == {}
    assert expected_shares({"a": 0}) == {}


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    # Wilson intervals at 95 % as R's binom::binom.wilson gives them.
    [(7, 10, 0.3967781, 0.8922087), (0, 20, 0.0, 0.1611252), (50, 100, 0.4038315, 0.5961685)],
)
def test_interval_is_wilsons(hits: int, total: int, low: float, high: float) -> None:
    assert share_interval(hits, total, 1.959964) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0.1, 6))
def test_interval_holds_what_was_seen(hits: int, misses: int, z: float) -> None:
    total = hits + misses
    low, high = share_interval(hits, total, z)
    assert 0 <= low <= high <= 1
    if total:
        assert low - 1e-9 <= hits / total <= high + 1e-9


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.01, 0.99), st.floats(0.5, 6))
def test_counts_by_chance_are_the_interval_the_other_way_round(
    hits: int, misses: int, share: float, z: float
) -> None:
    total = hits + misses
    fewest, most = chance_counts(total, share, z)
    low, high = share_interval(hits, total, z)
    near = any(math.isclose(hits, bound, abs_tol=1e-6) for bound in (fewest, most))
    assert near or (fewest <= hits <= most) == (low <= share <= high)


def test_seven_of_ten_may_be_chance_and_all_of_200_may_not() -> None:
    assert within_chance(7, 10, 0.5)
    assert within_chance(100, 200, 0.5)
    assert not within_chance(200, 200, 0.5)
    assert not within_chance(0, 200, 0.5)
