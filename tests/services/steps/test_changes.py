"""What a proof that goes on tells of: what changed, for how long, and at what cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cloud.port import Server, ServerHealth
from services.probe.refusals import Refusal
from services.probe.tally import Rates, Tally
from services.steps.changes import ENDS, QUIET, Memory, changes, verdict_change
from services.steps.live import Change, Live

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STEP = timedelta(seconds=0.5)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def server(name: str, status: str = "Normal", reason: str = "") -> ServerHealth:
    return ServerHealth(Server(f"i-{name}", "Ecs", 80, 100), status, reason)


CALM = Live(
    endpoint="127.0.0.1:443",
    name="www.example.com",
    started=NOON,
    names={"i-ECS01": "ECS01", "i-ECS02": "ECS02"},
    expected={"ECS01": 0.5, "ECS02": 0.5},
    health=(server("ECS01"), server("ECS02")),
    pace=20,
)


class Film:
    """Snapshots one after another, half a second apart, and what they changed."""

    def __init__(self, live: Live = CALM) -> None:
        self.memory = Memory()
        self.now = NOON
        self.live = live
        self.told: list[Change] = []

    def shot(self, **new: object) -> list[Change]:
        """The next snapshot, with these fields instead."""
        self.live = replace(self.live, **new)  # type: ignore[arg-type]
        self.memory, found = changes(self.memory, self.live, self.now)
        self.now += STEP
        self.told += found
        return list(found)

    def requests(self, *, failed: str = "", at: str = "127.0.0.1:443", **ok: int) -> list[Change]:
        """The next snapshot, with so many more answers by backend; or with a failed request."""
        tally = self.live.tally
        new = Tally(
            backends=ok,
            outcomes={"ok": sum(ok.values()), **({failed: 1} if failed else {})},
            samples={failed: "evidence"} if failed else {},
            addresses={at: {"ok": sum(ok.values()), **({failed: 1} if failed else {})}},
        )
        return self.shot(tally=tally + new)

    @property
    def words(self) -> list[str]:
        return [change.words() for change in self.told]


def test_a_healthy_run_tells_nothing() -> None:
    film = Film()
    for _ in range(100):
        film.requests(ECS01=5, ECS02=5)
    assert film.told == []
    assert film.memory.well


def test_a_backend_that_was_down_by_its_health_is_told_with_how_long_and_the_cost() -> None:
    film = Film()
    film.requests(ECS01=5, ECS02=5)
    film.requests(ECS01=5, failed="closed-without-answer")
    film.shot(health=(server("ECS01"), server("ECS02", "Unhealthy", "CONNECT_TIMEOUT")))
    assert not film.memory.well
    for _ in range(60):
        film.requests(ECS01=10)
    # Normal again, but not one answer yet: so it is not back.
    assert film.shot(health=CALM.health) == []
    film.requests(ECS01=5, ECS02=5)
    assert film.words == [
        "requests fail: closed without answer (evidence)",
        "ECS02 is down: Unhealthy, CONNECT_TIMEOUT",
        "requests are answered again; 1 lost at 12:00:00",
        "ECS02 down at 12:00:01, back at 12:00:32; 1 request lost",
    ]
    assert film.memory.well


def test_health_is_enough_where_answers_are_too_few_to_miss_any() -> None:
    film = Film()
    film.requests(ECS01=1, ECS02=1)
    film.shot(health=(server("ECS01"), server("ECS02", "Unhealthy", "CONNECT_TIMEOUT")))
    film.shot(health=(server("ECS01"), server("ECS02", "Initial")))
    assert [change.kind for change in film.told] == ["backend-down", "health"]
    film.shot(health=CALM.health)
    assert film.words[-1] == "ECS02 down at 12:00:00, back at 12:00:01; 0 requests lost"


def test_a_backend_falls_silent_though_its_health_is_normal() -> None:
    film = Film()
    film.requests(ECS01=10, ECS02=10)
    for _ in range(4):
        film.requests(ECS01=10)
    assert film.words == ["ECS02 gives no answers: none of the last 20"]
    film.requests(ECS02=1)
    assert film.words[-1] == "ECS02 down at 12:00:01, back at 12:00:02; 0 requests lost"


def test_a_backend_that_answers_errors_is_told_so() -> None:
    film = Film()
    film.requests(ECS01=10, ECS02=10)
    unfit = Tally(
        outcomes={"ok": 30, "http-5xx": 30},
        backends={"ECS01": 30},
        failures_by_backend={"ECS02": {"http-5xx": 30}},
    )
    film.shot(tally=film.live.tally + unfit)
    assert film.words == [
        "requests fail: http 5xx ()",
        "ECS02 gives no fit answer: none of the last 30",
    ]


def test_a_backend_without_a_known_weight_is_missed_only_once_its_share_is_known() -> None:
    film = Film(replace(CALM, expected={}, names={}, health=()))
    film.requests(page1=1, page2=19)
    film.requests(page3=4000)
    assert film.told == []
    film.requests(page2=1)
    film.requests(page3=40_000)
    assert [change.subject for change in film.told] == ["page2"]


def test_a_changed_reason_is_told_without_a_second_outage() -> None:
    film = Film()
    film.shot(health=(server("ECS01"), server("ECS02", "Unhealthy", "CONNECT_TIMEOUT")))
    film.shot(health=(server("ECS01"), server("ECS02", "Unhealthy", "CONNECT_FAILED")))
    assert film.words[1:] == [
        "ECS02 is Unhealthy, CONNECT_FAILED; before, Unhealthy, CONNECT_TIMEOUT"
    ]


def test_a_backend_that_leaves_the_group_is_not_told_as_back() -> None:
    film = Film()
    film.shot(health=(server("ECS01"), server("ECS02", "Unhealthy")))
    film.shot(health=(server("ECS01"),))
    film.shot(health=CALM.health)
    assert [change.kind for change in film.told] == [
        "backend-down",
        "backend-removed",
        "backend-added",
    ]
    assert film.memory.well


def test_the_health_of_the_beginning_is_no_change() -> None:
    film = Film(replace(CALM, health=(server("ECS01", "Initial"), server("ECS02", "Initial"))))
    film.shot()
    film.shot(health=CALM.health)
    assert film.told == []


def test_strangers_let_in_and_refused_again() -> None:
    film = Film()
    film.shot(refusals=(Refusal("no_certificate", True, "alert"),))
    film.shot(refusals=(Refusal("no_certificate", False, "HTTP 200"),))
    assert not film.memory.well
    film.shot(refusals=(Refusal("no_certificate", True, "alert"),))
    assert film.words == [
        "let in: a client without a certificate (HTTP 200)",
        "refused again: a client without a certificate; let in from 12:00:00 to 12:00:01",
    ]


def test_one_address_of_two_fails() -> None:
    film = Film()
    for _ in range(2):
        film.requests(ECS01=5, at="a:443")
        film.requests(ECS01=5, at="b:443")
    for _ in range(3):
        film.requests(at="b:443", failed="connect-refused")
        film.requests(ECS01=5, at="a:443")
    film.requests(ECS01=1, at="b:443")
    told = [each for each in film.told if each.subject == "b:443"]
    assert [each.words() for each in told] == [
        "b:443 serves nothing: connect refused",
        "b:443 serves again; 3 requests lost from 12:00:04 to 12:00:05",
    ]


def test_where_all_addresses_fail_the_requests_say_it() -> None:
    film = Film()
    film.requests(ECS01=5, at="a:443")
    film.requests(ECS01=5, at="b:443")
    tally = film.live.tally
    both = {"a:443": {"connect-refused": 9}, "b:443": {"connect-refused": 9}}
    film.shot(tally=tally + Tally(outcomes={"connect-refused": 18}, addresses=both))
    assert [change.kind for change in film.told] == ["requests-failing"]


def test_a_rate_that_collapses_and_recovers() -> None:
    film = Film()
    usual = [20.0] * 20
    for lately in ([], [2.0] * 6):
        rates = Rates(history=(*usual, *lately))
        for _ in range(30):
            film.shot(tally=replace(film.live.tally, rates=rates))
    assert film.words == ["only 2.0 requests a second, where 20.0 were usual"]
    assert film.memory.well  # slow is no failure
    film.shot(tally=replace(film.live.tally, rates=Rates(history=tuple(usual))))
    assert film.told[-1].kind == "rate-recovered"


def test_a_rate_that_the_person_lowered_has_not_collapsed() -> None:
    film = Film()
    film.shot()
    film.now += timedelta(minutes=1)
    film.shot(pace=2, tally=Tally(rates=Rates(history=(*[20.0] * 20, *[2.0] * 6))))
    film.shot()
    assert film.told == []


def test_names_certificates_and_verdicts() -> None:
    film = Film(replace(CALM, certificate_from="2026-01-01T00:00:00Z"))
    film.shot(addresses=("192.0.2.1:443",), certificate_until="2027-12-24T00:00:00Z")
    film.shot(addresses=("192.0.2.2:443",), certificate_until="2026-12-04T12:00:00Z")
    film.shot()
    film.now += timedelta(days=30)
    film.shot()
    assert film.words == [
        "the server certificate ends in 9 days (2026-12-04)",
        "www.example.com resolves to 192.0.2.2:443; before, to 192.0.2.1:443",
        "the server certificate ended on 2026-12-04",
    ]
    assert verdict_change("", "pass", NOON) == verdict_change("pass", "pass", NOON) == ()
    assert [each.words() for each in verdict_change("pass", "fail", NOON)] == ["verdict: fail"]


def test_what_began_on_another_day_says_which() -> None:
    change = Change(
        NOON,
        "backend-up",
        "ECS02",
        {"since": "2026-11-23T23:00:00Z", "until": "2026-11-24T12:00:00Z", "lost": 0},
    )
    assert "down at 2026-11-23 23:00:00, back at 12:00:00" in change.words()


# Whatever happens: properties.

steps = st.lists(
    st.tuples(
        st.integers(0, 6),  # answers of ECS01
        st.integers(0, 6),  # answers of ECS02
        st.sampled_from(["", "", "", "connect-refused", "http-5xx"]),
        st.sampled_from(["a:443", "b:443"]),
        st.sampled_from(["Normal", "Normal", "Unhealthy", "Initial", "Unused"]),
        st.sampled_from([True, True, False, None]),
        st.sampled_from([0.5, 0.5, 3.0, 60.0]),  # until the next one
    ),
    max_size=60,
)


def play(acts: Sequence[tuple[int, int, str, str, str, bool | None, float]]) -> Film:
    film = Film()
    for one, two, failed, address, status, refused, pause in acts:
        film.live = replace(
            film.live,
            health=(server("ECS01"), server("ECS02", status)),
            refusals=(Refusal("no_certificate", refused, "evidence"),),
        )
        film.requests(ECS01=one, ECS02=two, failed=failed, at=address)
        film.now += timedelta(seconds=pause)
    return film


@given(steps)
def test_beginnings_and_ends_take_turns(
    acts: list[tuple[int, int, str, str, str, bool, float]],
) -> None:
    film = play(acts)
    open_now = set()
    for change in film.told:
        for begins, ends in ENDS.items():
            if change.kind == begins:
                assert (begins, change.subject) not in open_now
                open_now.add((begins, change.subject))
            elif change.kind == ends:
                open_now.remove((begins, change.subject))
                assert str(change.facts["since"]) <= str(change.facts["until"])
        assert change.words()
    assert open_now == set(film.memory.open)


@given(steps)
def test_every_lost_request_is_in_exactly_one_failing_span(
    acts: list[tuple[int, int, str, str, str, bool, float]],
) -> None:
    film = play(acts)
    film.now += QUIET
    film.shot()
    lost = [change.facts["lost"] for change in film.told if change.kind == "requests-fine"]
    assert sum(map(int, lost)) == film.live.tally.failed


@given(steps)
def test_the_same_snapshot_again_tells_nothing_new(
    acts: list[tuple[int, int, str, str, str, bool, float]],
) -> None:
    film = play(acts)
    film.shot()
    film.now -= STEP
    assert film.shot() == []
