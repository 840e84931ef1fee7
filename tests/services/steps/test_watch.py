"""A proof that goes on, against real TLS servers that change while one looks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.cloud.port import Server, ServerHealth
from services.probe.observations import Health
from services.probe.report import Inside, Known, Report
from services.probe.target import Target
from services.problem import Problem
from services.steps.course import PACES, Course, Pace
from services.steps.live import Change, Live
from services.steps.watch import Watched, Watching, follow
from services.stop import Stop
from tests.services.probe.certificates import Certificates
from tests.services.probe.conftest import certs
from tests.services.probe.faulty import WHOLE, answers, over_tls, reset, serving
from tests.services.probe.test_engine import target

__all__ = ["certs"]

DEADLINE_S = 30


class Endpoint:
    """A server whose behaviour is switched while it runs."""

    def __init__(self, certificates: Certificates) -> None:
        self.strict = over_tls(certificates, answers(WHOLE))
        self.open = over_tls(certificates, answers(WHOLE), mutual=False)
        self.behave: Callable[[socket.socket], None] = self.strict

    def __call__(self, connection: socket.socket) -> None:
        self.behave(connection)


class Onlooker:
    """Hears snapshots and changes, and acts as soon as something has been seen."""

    def __init__(self, at: Target) -> None:
        self.stop = Stop()
        self.shown: list[Live] = []
        self.told: list[Change] = []
        self._then: list[tuple[Callable[[Live], bool], Callable[[], None]]] = []
        self.watched = Watched(
            target=at,
            live=Live(at.endpoint, at.name, datetime.now(UTC)),
            stop=self.stop,
            show=self._show,
            tell=self.told.append,
        )

    def once(self, seen: Callable[[Live], bool], act: Callable[[], None]) -> None:
        """Do `act` as soon as a snapshot is `seen`; after all that were to be done before it."""
        self._then.append((seen, act))

    def _show(self, live: Live) -> None:
        self.shown.append(live)
        if self._then and self._then[0][0](live):
            self._then.pop(0)[1]()

    def watch(self, course: Course | None = None, **changed: object) -> Watching:
        """Until it is stopped; a watch that hangs is stopped by a timer."""
        last_resort = threading.Timer(DEADLINE_S, self.stop.set)
        last_resort.start()
        try:
            watched = replace(self.watched, **changed)  # type: ignore[arg-type]
            seen = follow(watched, course or Course(pace=Pace(50)))
        finally:
            last_resort.cancel()
        assert not self._then, f"it never came to this: {self.kinds}"
        return seen

    @property
    def kinds(self) -> list[str]:
        return [change.kind for change in self.told]


@pytest.fixture
def endpoint(certs: Certificates) -> Endpoint:
    return Endpoint(certs)


@contextmanager
def watching(endpoint: Endpoint, certs: Certificates) -> Iterator[Onlooker]:
    with serving(endpoint) as server:
        yield Onlooker(target(certs, server.port))


def test_a_course_ends_by_itself_with_the_result_over_all_of_it(
    endpoint: Endpoint, certs: Certificates
) -> None:
    with watching(endpoint, certs) as onlooker:
        seen = onlooker.watch(Course(duration_s=1.5, pace=Pace(40)))
    assert onlooker.told == []
    assert seen.passed
    tally = seen.report.tally
    assert 40 <= tally.requests == tally.ok <= 62
    assert seen.to_map()["changes"] == []
    assert seen.to_map()["verdict"] == "pass"
    refused = {each.name for each in seen.report.refusals if each.refused}
    assert {"no_certificate", "unknown_ca", "plain_http"} <= refused


def test_requests_may_end_it_first(endpoint: Endpoint, certs: Certificates) -> None:
    with watching(endpoint, certs) as onlooker:
        seen = onlooker.watch(Course(requests=7, duration_s=600, pace=Pace(100)))
    assert seen.report.tally.requests == 7


def test_lost_requests_are_told_and_make_it_fail_though_it_ends_well(
    endpoint: Endpoint, certs: Certificates
) -> None:
    def breaks() -> None:
        endpoint.behave = reset

    def mends() -> None:
        endpoint.behave = endpoint.strict

    with watching(endpoint, certs) as onlooker:
        onlooker.once(lambda live: live.tally.ok > 5, breaks)
        onlooker.once(lambda live: live.tally.failed >= 3, mends)
        onlooker.once(lambda live: "requests-fine" in onlooker.kinds, onlooker.stop.set)
        seen = onlooker.watch()
    (failing,) = (each for each in onlooker.told if each.kind == "requests-failing")
    (fine,) = (each for each in onlooker.told if each.kind == "requests-fine")
    assert failing.facts["outcome"] == "handshake-reset"
    assert fine.facts["lost"] == seen.report.tally.failed >= 3
    assert not seen.passed
    assert seen.report.tally.unfinished == 0
    assert [Change.from_map(each) for each in seen.to_map()["changes"]] == [
        replace(each, at=each.at.replace(microsecond=each.at.microsecond // 1000 * 1000))
        for each in onlooker.told
    ]


def test_a_stranger_let_in_for_a_while_makes_it_fail(
    endpoint: Endpoint, certs: Certificates
) -> None:
    def opens() -> None:
        endpoint.behave = endpoint.open

    def locks() -> None:
        endpoint.behave = endpoint.strict

    with watching(endpoint, certs) as onlooker:
        onlooker.once(lambda live: live.verdict == "pass", opens)
        onlooker.once(lambda live: live.verdict == "fail", locks)
        onlooker.once(lambda live: live.verdict == "pass", onlooker.stop.set)
        seen = onlooker.watch()
    assert {"stranger-let-in", "stranger-refused"} <= set(onlooker.kinds)
    assert onlooker.shown[-1].verdict == "pass"
    assert not seen.passed
    assert any(live.diagnosis for live in onlooker.shown), "the cause while it was so"


def test_health_is_asked_for_and_told(endpoint: Endpoint, certs: Certificates) -> None:
    server = Server("i-1", "Ecs", 80, 100)
    well = ServerHealth(server, "Normal")
    answered = iter([well, None, ServerHealth(server, "Unhealthy", "CONNECT_TIMEOUT")])

    def health() -> list[ServerHealth]:
        found = next(answered, well)
        if found is None:
            raise Problem("cloud.busy")
        return [found]

    with watching(endpoint, certs) as onlooker:
        onlooker.once(lambda live: "backend-up" in onlooker.kinds, onlooker.stop.set)
        seen = onlooker.watch(health=health)
    kinds = [kind for kind in onlooker.kinds if kind != "verdict"]
    assert kinds == ["health-unknown", "health-known", "backend-down", "backend-up"]
    assert seen.passed


def test_what_was_wrong_inside_is_forgotten_once_it_is_mended(
    endpoint: Endpoint, certs: Certificates
) -> None:
    def breaks() -> None:
        endpoint.behave = reset

    def mends() -> None:
        endpoint.behave = endpoint.strict

    def wrong(live: Live) -> bool:
        return any(each.severity == "error" for each in live.diagnosis)

    looked = threading.Event()

    def look_inside(report: Report) -> Inside:
        looked.set()
        return Inside(health=[Health("ECS01", "Unhealthy", "CONNECT_FAILED")])

    known = Known(look_inside=look_inside)
    with watching(endpoint, certs) as onlooker:
        onlooker.once(lambda live: live.tally.ok > 5, breaks)
        onlooker.once(lambda live: looked.is_set() and wrong(live), mends)
        onlooker.once(
            lambda live: "requests-fine" in onlooker.kinds and not wrong(live),
            onlooker.stop.set,
        )
        onlooker.watch(known=lambda: known)


def test_a_new_pace_holds_at_once_and_loses_no_count(
    endpoint: Endpoint, certs: Certificates
) -> None:
    course = Course(pace=Pace(20))
    with watching(endpoint, certs) as onlooker:
        onlooker.once(lambda live: live.tally.ok >= 10, course.pace.faster)
        onlooker.once(lambda live: live.pace == 50 and live.tally.ok >= 40, course.pace.slower)
        onlooker.once(lambda live: live.pace == 20 and live.tally.ok >= 50, onlooker.stop.set)
        seen = onlooker.watch(course)
    counts = [live.tally.requests for live in onlooker.shown]
    assert counts == sorted(counts)
    assert seen.report.tally.ok == seen.report.tally.requests == counts[-1]
    elapsed = [live.tally.elapsed_s for live in onlooker.shown]
    assert elapsed == sorted(elapsed)


def test_a_name_without_an_address_is_tried_again(endpoint: Endpoint, certs: Certificates) -> None:
    with watching(endpoint, certs) as onlooker:
        nowhere = replace(onlooker.watched.target, host="nowhere.invalid")
        onlooker.once(lambda live: live.tally.failed >= 2, onlooker.stop.set)
        seen = onlooker.watch(target=nowhere)
    assert set(seen.report.tally.outcomes) == {"name-not-resolving"}
    assert onlooker.shown[-1].verdict == "fail"


def test_faster_and_slower_stay_within_bounds() -> None:
    pace = Pace()
    pace.slower()
    assert pace.rate_per_s == 500
    for _ in PACES:
        pace.slower()
    assert pace.rate_per_s == 1
    for _ in PACES:
        pace.faster()
    assert pace.rate_per_s == 1000
    between = Pace(30)
    between.slower()
    assert between.rate_per_s == 20
    between = Pace(30)
    between.faster()
    assert between.rate_per_s == 50
