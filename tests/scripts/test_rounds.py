"""The benchmark's arithmetic; what it measures is never asserted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks.finding import Goal, at_least, at_most, exactly
from scripts.benchmarks.lab_run import durations
from scripts.benchmarks.rounds import in_turn, percentile, ratio
from scripts.benchmarks.scaling import most_faster


def test_ways_run_in_turn_forward_and_backward_and_the_first_round_is_dropped() -> None:
    ran: list[str] = []

    def way(name: str) -> int:
        ran.append(name)
        return len(ran)

    results = in_turn({"a": lambda: way("a"), "b": lambda: way("b")}, 2)
    assert ran == ["b", "a", "a", "b", "b", "a"]
    assert results == {"a": [3, 6], "b": [4, 5]}


def test_ratio_is_taken_round_by_round() -> None:
    # The second round was ten times as slow for both.
    finding = ratio("ours / theirs", [2.0, 20.0, 3.0], [1.0, 10.0, 1.0], at_most(2))
    assert (finding.value, finding.low, finding.high) == (2.0, 2.0, 3.0)
    assert finding.met


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_percentile_is_a_value_that_the_share_does_not_exceed(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


@pytest.mark.parametrize(
    ("goal", "met", "missed"),
    [(at_most(1.1), 1.1, 1.11), (at_least(12), 12.0, 11.9), (exactly(1), 1.0, 0.999)],
)
def test_goals_include_their_bound(goal: Goal, met: float, missed: float) -> None:
    assert goal.met_by(met)
    assert not goal.met_by(missed)


def test_a_step_lasts_until_the_next_one_begins() -> None:
    events = [
        {"event": "phase", "time": "1970-01-01T00:00:12.000Z"},
        {"event": "phase", "time": "1970-01-01T00:00:13.000Z", "step": "prepare"},
        {"event": "done", "time": "1970-01-01T00:00:14.000Z", "step": "prepare"},
        {"event": "phase", "time": "1970-01-01T00:00:15.500Z", "step": "ca"},
        {"event": "result", "time": "1970-01-01T00:00:16.000Z"},
    ]
    assert durations(events, 10.0) == {"start": 3.0, "prepare": 2.5, "ca": 0.5}


def test_two_workers_share_two_cores_with_their_target() -> None:
    assert most_faster(2, 0.25) == pytest.approx(1.6)
    assert most_faster(3, 0.25) == 2.0
    assert most_faster(2, 1.0) == 1.0
