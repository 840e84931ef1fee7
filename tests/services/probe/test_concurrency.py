"""How many connections at once: raised where waiting is the limit, and only there."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.probe.concurrency import MOST, START, interval_s, next_concurrency

shares = st.floats(0, 1)


def settled(round_trip_s: float, server_rate: float, core_rate: float = math.inf) -> int:
    """Where it ends against a server that answers at most `server_rate` requests a second, on a
    computer whose core can make `core_rate`."""
    now = START
    for _ in range(30):
        rate = min(now / (3 * round_trip_s + 0.002), server_rate, core_rate)
        now = next_concurrency(
            now,
            most=MOST,
            rate_per_s=rate,
            round_trip_s=round_trip_s,
            core_share=min(rate / core_rate, 1),
            failing_share=0,
            all_in_use=True,
        )
    return now


def test_forty_milliseconds_are_filled_until_the_core_is_full() -> None:
    at_once = settled(0.040, server_rate=math.inf, core_rate=1000)
    assert at_once / (3 * 0.040 + 0.002) >= 0.9 * 1000
    assert settled(0.040, server_rate=math.inf) == MOST


def test_loopback_needs_no_more_than_the_start() -> None:
    assert settled(0.0001, server_rate=1000) == START


@pytest.mark.parametrize("rate", [100.0, 400.0, 900.0])
def test_server_at_its_limit_is_pressed_with_twice_what_it_takes(rate: float) -> None:
    needed = rate * 3 * 0.040
    assert needed <= settled(0.040, server_rate=rate) <= max(2 * needed + 1, START)


def test_slow_answers_are_no_reason_for_more() -> None:
    assert settled(0.001, server_rate=16 / 2.0) == START


@given(
    st.integers(1, MOST), st.integers(1, MOST), st.floats(0, 1e5), st.floats(0, 10),
    shares, shares, st.booleans(),
)  # fmt: skip
def test_bounds_hold(
    now: int, most: int, rate: float, trip: float, core: float, failing: float, all_in_use: bool
) -> None:
    after = next_concurrency(
        now,
        most=most,
        rate_per_s=rate,
        round_trip_s=trip,
        core_share=core,
        failing_share=failing,
        all_in_use=all_in_use,
    )
    assert 1 <= after <= max(most, now)
    assert after <= 2 * now
    if failing or core >= 0.9 or not all_in_use:
        assert after <= now
    if failing >= 0.25 and now >= 2 * START:
        assert after == now // 2


def test_decisions_wait_for_the_requests_of_the_last_one() -> None:
    assert interval_s(0) == 0.25
    assert interval_s(0.2) > 3 * 0.2
