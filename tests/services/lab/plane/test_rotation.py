from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.lab.balancer.rotation import Rotation

weights = st.lists(st.integers(0, 100), min_size=1, max_size=8).filter(any)


@given(weights, st.integers(1, 3))
def test_every_cycle_holds_each_member_exactly_by_its_weight(
    given_: list[int], cycles: int
) -> None:
    rotation = Rotation(list(enumerate(given_)))
    for _ in range(cycles):
        turns = Counter(rotation.next() for _ in range(sum(given_)))
        assert turns == Counter({i: weight for i, weight in enumerate(given_) if weight})


@given(weights)
def test_no_member_is_ever_far_from_its_share(given_: list[int]) -> None:
    rotation = Rotation(list(enumerate(given_)))
    total, seen = sum(given_), Counter[int | None]()
    for turn in range(1, total + 1):
        seen[rotation.next()] += 1
        for index, weight in enumerate(given_):
            assert abs(seen[index] - turn * weight / total) <= len(given_)


def test_equal_weights_take_turns_in_order() -> None:
    rotation = Rotation([("a", 100), ("b", 100), ("c", 100)])
    assert [rotation.next() for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_heavy_member_does_not_come_in_a_bunch() -> None:
    rotation = Rotation([("a", 5), ("b", 1), ("c", 1)])
    assert "".join(str(rotation.next()) for _ in range(7)) == "aaabcaa"


def test_nobody_with_a_weight_means_nobody_is_next() -> None:
    assert Rotation([("a", 0)]).next() is None
    assert Rotation[str]([]).next() is None
