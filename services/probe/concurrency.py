"""How many connections at once are worth having, from what the last moments showed."""

from __future__ import annotations

MOST = 256
"""Beyond this more connections at once add nothing, even at 40 ms round trip."""
START = 16
"""Fills a core on a local network: 8 connections give 93 % of the most that can be had."""
LEAST_INTERVAL_S = 0.25
_ROUND_TRIPS = 3
"""Of one request on a fresh connection over TLS 1.3: TCP, TLS, and the answer."""
_HEADROOM = 2
"""Twice what is needed now, or the rate could never show that more is possible."""
_FULL = 0.9
"""The share of a core from which on it is the limit, and not the waiting."""
_FAILING = 0.25
"""The share of failing requests from which on less is tried; but not less than `START`, or one
dead address of two would make every run a long wait."""


def interval_s(round_trip_s: float) -> float:
    """How long to watch before the next decision: requests begun since the last one must end."""
    return max(LEAST_INTERVAL_S, _HEADROOM * _ROUND_TRIPS * round_trip_s)


def next_concurrency(
    now: int,
    *,
    most: int,
    rate_per_s: float,
    round_trip_s: float,
    core_share: float,
    failing_share: float,
    all_in_use: bool,
) -> int:
    """The connections at once to go on with, after an interval with `now` of them.

    By Little's law `rate_per_s` requests that each wait three times `round_trip_s` keep their
    product in flight. Raised towards twice that, to at most the double at once: as long as only
    waiting limits the rate, this doubles until `most`; a server that is at its limit gives no
    higher rate, and so is not pressed harder, and one that is merely slow to think is not either.
    Never raised while the core is full (`core_share`, 0 to 1), while not `all_in_use`, or while
    any request fails as requests do under load; where a quarter of them does, it is halved.
    """
    if failing_share >= _FAILING:
        return min(now, max(now // 2, START))
    if failing_share or core_share >= _FULL or not all_in_use:
        return now
    worth = round(_HEADROOM * rate_per_s * _ROUND_TRIPS * round_trip_s)
    return max(now, min(worth, 2 * now, most))
