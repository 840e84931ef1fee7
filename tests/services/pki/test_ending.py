"""When the end of a certificate is near enough to be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pki.ending import NOTICE, Ending, ending, ends

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lives", "left", "told"),
    [
        (365, 31, ""),
        (365, 29, "soon"),
        (365, 0, "soon"),
        (365, -1, "over"),
        (90, 29, "soon"),
        (47, 29, ""),
        (47, 15, "soon"),
        (6, 3, ""),
        (6, 1, "soon"),
    ],
)
def test_a_month_or_the_last_third_of_a_short_life(lives: int, left: int, told: Ending) -> None:
    end = NOON + timedelta(days=left)
    assert ending(end, NOON, end - timedelta(days=lives)) == told


def test_without_its_beginning_a_month_counts() -> None:
    assert ending(NOON + NOTICE, NOON) == ""
    assert ending(NOON + NOTICE - timedelta(seconds=1), NOON) == "soon"


@given(
    st.timedeltas(timedelta(seconds=1), timedelta(days=4000)),
    st.lists(st.floats(0, 1.5), min_size=2),
)
def test_it_only_ever_gets_worse(lives: timedelta, moments: list[float]) -> None:
    told = [ending(NOON + lives, NOON + lives * part, NOON) for part in sorted(moments)]
    assert told == sorted(told, key=("", "soon", "over").index)


def test_ends_are_read_from_facts_by_role() -> None:
    facts = {
        "ca.not_after": "2036-11-21T09:47:54Z",
        "client.not_after": "2026-12-04T12:00:00Z",
        "server.not_before": "2026-11-20T12:00:00Z",
        "server.not_after": "2026-12-04T12:00:00",
        "other.not_after": "soon",
        "server.certificate": "server.crt",
    }
    found = {end.role: (end.ending, end.days_left) for end in ends(facts, NOON)}
    assert found == {"ca": ("", 3649), "client": ("soon", 10), "server": ("", 10)}
