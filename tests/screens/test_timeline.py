"""The rate from the beginning on, however long ago that was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screens.timeline import Timeline, marks

snapshots = st.lists(
    st.tuples(st.floats(0.05, 40), st.integers(0, 500), st.integers(0, 3)), max_size=80
)


@given(snapshots)
def test_no_request_is_lost_from_the_curve(steps: list[tuple[float, int, int]]) -> None:
    timeline, at, requests, failed = Timeline(), 0.0, 0, 0
    for pause, more, lost in steps:
        at, requests, failed = at + pause, requests + more + lost, failed + lost
        timeline.add(at, requests, failed)
    # What is not in a whole point yet comes into the next ones.
    for _ in range(3):
        at += 2 * timeline.shown(1000)[2]
        timeline.add(at, requests, failed)
    rates, lossy, length_s = timeline.shown(1000)
    assert sum(rates) * length_s == pytest.approx(requests, abs=1e-3)
    assert any(lossy) is (failed > 0)


@given(snapshots, st.integers(1, 120))
def test_it_fits_into_any_width(steps: list[tuple[float, int, int]], width: int) -> None:
    timeline, at = Timeline(), 0.0
    for pause, more, _ in steps:
        at += pause
        timeline.add(at, more, 0)
    rates, lossy, _ = timeline.shown(width)
    assert len(rates) == len(lossy) <= width


def test_long_times_take_no_more_memory() -> None:
    timeline = Timeline()
    for second in range(200_000):
        timeline.add(second, 20 * second, 0)
    rates, _, length_s = timeline.shown(60)
    assert len(timeline._points) <= 512
    assert 50_000 < len(rates) * length_s <= 200_000
    assert set(map(round, rates)) == {20}


def test_a_new_count_begins_anew() -> None:
    timeline = Timeline()
    timeline.add(10, 500, 0)
    timeline.add(1, 20, 0)
    assert timeline.shown(60) == ([20.0, 20.0], [False, False], 0.5)


def test_lost_requests_are_marked_before_changes() -> None:
    assert marks([False, True, False, False], [0.2, 0.7, 99.0, -5.0], 0.5) == "▲✗ ▲"
    assert marks([], [0.0], 0.5) == ""
