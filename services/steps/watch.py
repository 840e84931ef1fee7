"""The proof that goes on: gentle requests, health and strangers, until one has seen enough."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from services.cloud.port import ServerHealth
from services.events import rfc3339
from services.probe.address import Address, resolve
from services.probe.announcement import Announcement, announce
from services.probe.diagnosis import Diagnosis
from services.probe.identity import server_identity
from services.probe.outcome import Outcome
from services.probe.refusals import MUST_TRY, try_strangers
from services.probe.report import NOTHING_KNOWN, Inside, Known, Report, conclude
from services.probe.runner import run
from services.probe.tally import Tally
from services.probe.target import Target
from services.problem import Problem, Stopped
from services.steps.changes import (
    FAILED_IN_A_ROW,
    SILENT_BY_CHANCE,
    TURNS,
    Memory,
    changes,
    verdict_change,
)
from services.steps.course import GENTLE, Course
from services.steps.endpoint import HEALTH_EVERY_S, begin, places, show, target, weights
from services.steps.known import known
from services.steps.live import Change, Live, Verdict
from services.steps.recent import Recent
from services.steps.step import Check, Here, Proof
from services.stop import Stop

STRANGERS_EVERY_S = 5.0
"""Strangers knock again, too: the lock must hold as long as one looks."""

KNOWN_EVERY_S = 30.0
"""Names and clocks change seldom."""

INITIAL = "Initial"
"""The API's status of a backend that is not checked yet."""

CHANGES_KEPT = 1000
"""The last changes that are kept; a backend that comes and goes for weeks must not fill memory."""

AGAIN_S = 1.0
"""How soon a run is begun again that ended before its time, for want of an address."""

ENOUGH_TO_TELL = 20
"""The fewest requests that are judged: of fewer, too much may be chance."""

AT_FIRST_S = 0.2
"""How soon one looks again before there is anything to look at."""

_JOIN_S = 0.3
"""How long the thread beside may take to notice the end."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched, and who is told."""

    target: Target
    live: Live
    """How it stands at the beginning: what is called what, and what is expected."""
    stop: Stop
    show: Callable[[Live], None]
    tell: Callable[[Change], None]
    """Of each change, right before the snapshot that holds it is shown."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    health: Callable[[], Sequence[ServerHealth]] | None = None
    """Asks the balancer's API. Raises Problem, Stopped. None where there is none to ask."""
    weights: Mapping[str, int] | None = None
    places: Sequence[tuple[str, int]] = ()
    """Hosts and ports where the endpoint is, if that is not only the target's own."""
    known: Callable[[], Known] = lambda: NOTHING_KNOWN
    """What is known of it besides; asked now and then. Raises Problem, Stopped."""


@dataclass(frozen=True, slots=True)
class Watching:
    """How all of a watch went."""

    report: Report
    live: Live

    @property
    def passed(self) -> bool:
        """Every request was answered, nobody was let in at any time, and it ends well."""
        held = not any(change.kind == "stranger-let-in" for change in self.live.changes)
        return held and self.report.verdict == "pass"

    def to_map(self) -> dict[str, Any]:
        """The report as JSON, and what changed meanwhile."""
        return {
            **self.report.to_map(),
            "verdict": "pass" if self.passed else "fail",
            "changes": [change.to_map() for change in self.live.changes],
        }


def watch(here: Here) -> Proof:
    """Go on requesting, gently, and asking for health, until stopped or `Here.course` is over."""
    at = target(here)
    proved = here.session.proofs.get("verify")
    verdict: Verdict = "" if proved is None else "pass" if proved.passed else "fail"
    listener = here.facts.get("listener.id", "")
    seen = follow(
        Watched(
            target=at,
            live=replace(begin(here, at), verdict=verdict),
            stop=here.stop,
            show=lambda live: show(here, live),
            tell=here.change,
            now=here.world.now,
            health=lambda: here.cloud.nlb.health(listener, here.stop),
            weights=weights(here),
            places=places(here),
            known=lambda: known(here),
        ),
        here.course,
    )
    result = {**seen.to_map(), "session": here.session.id}
    return Proof((Check("live.check", seen.passed),), result)


def follow(at: Watched, course: Course) -> Watching:
    """Watch until `at.stop` is set or `course` is over, and return how all of it went.

    Snapshots are shown and changes told in this thread. Raises Problem for files that no request
    can be made with.
    """
    at.target.check()
    if course.pace.rate_per_s is None:
        course.pace.rate_per_s = GENTLE
    watching = _Watch(at, course)
    looking = threading.Thread(target=watching.look_around, name="watch", daemon=True)
    looking.start()
    try:
        watching.request()
    finally:
        watching.over.set()
    looking.join(_JOIN_S)
    return watching.conclude()


@dataclass(slots=True)
class _Watch:
    """One watch: the requests in its caller's thread, everything else in a thread beside it."""

    at: Watched
    course: Course
    over: Stop = field(default_factory=Stop)
    """Set when the requests are through: nothing is looked at any more."""
    total: Tally = field(default_factory=Tally)
    _around: Live = field(init=False)
    """What the thread beside found, as a whole: replaced, never changed."""
    _addresses: tuple[Address, ...] = ()
    _announcement: Announcement | None = None
    _unheard: bool = True
    """Whether the endpoint may announce something else than what was heard."""
    _known: Known = NOTHING_KNOWN
    _inside: Inside | None = None
    _looked_inside: bool = False
    _memory: Memory = field(default_factory=Memory)
    _changes: deque[Change] = field(default_factory=lambda: deque(maxlen=CHANGES_KEPT))
    _recent: Recent = field(default_factory=Recent)
    _shown: Live = field(init=False)

    def __post_init__(self) -> None:
        self._around = self._shown = self.at.live

    # the requests

    def request(self) -> None:
        """Make the requests, run after run: a new pace begins another one."""
        course, began = self.course, time.monotonic()
        while not self.at.stop.is_set():
            left_s = course.duration_s and course.duration_s - (time.monotonic() - began)
            left = course.requests and course.requests - self.total.requests
            if (left is not None and left <= 0) or (left_s is not None and left_s <= 0):
                return
            if not self._run(left, left_s):
                with suppress(Stopped):
                    self.at.stop.sleep(min(AGAIN_S, left_s or AGAIN_S))

    def _run(self, requests: int | None, duration_s: float | None) -> bool:
        """One run. False if there was no address to begin it with."""
        before, pace, segment = self.total, self.course.pace.rate_per_s, Stop()

        def snapshot(tally: Tally) -> None:
            self.total = _followed(before, tally).after(self.total)
            self._show(pace)
            if self.course.pace.rate_per_s != pace:
                segment.set()

        with suppress(Stopped), self.at.stop.closing(segment.set):
            tally = run(
                self.at.target,
                requests=requests,
                duration_s=duration_s,
                rate_per_s=pace,
                concurrency=self.course.concurrency,
                workers=self.course.workers,
                stop=segment,
                on_snapshot=snapshot,
                addresses=self._addresses,
                lookup=self._look_up,
            )
            snapshot(tally)
            return Outcome.NAME_NOT_RESOLVING not in tally.outcomes
        return True

    def _look_up(self) -> Sequence[Address]:
        at = self.at.target
        everywhere = (
            resolve(host, port, self.at.stop)
            for host, port in self.at.places or [(at.host, at.port)]
        )
        self._addresses = tuple(dict.fromkeys(chain.from_iterable(everywhere)))
        return self._addresses

    def _show(self, pace: float | None) -> None:
        now = self.at.now()
        live = replace(
            self._around,
            tally=self.total,
            pace=pace,
            addresses=tuple(map(str, self._addresses)),
            certificate_until=self.total.server_not_after,
        )
        self._memory, found = changes(self._memory, live, now)
        verdict = self._verdict(live)
        found += verdict_change(self._shown.verdict, verdict, now)
        if any(change.kind in TURNS for change in found):
            self._recent.restart(now, self._shown.tally)
            self._unheard = True
            self._looked_inside, self._inside = False, None
        self._recent.add(now, self.total)
        told = self._shown.changes
        if found:
            self._changes.extend(found)
            told = tuple(self._changes)
            for change in found:
                self.at.tell(change)
        self._shown = replace(live, verdict=verdict, changes=told)
        self.at.show(self._shown)

    def _verdict(self, live: Live) -> Verdict:
        """How it stands now; as before where that cannot be told yet."""
        missing = (
            share
            for name, share in live.expected.items()
            if name not in live.tally.backends and (1 - share) ** live.tally.ok < SILENT_BY_CHANCE
        )
        ill = [each for each in live.health_by_name() if not each.well(live.expected)]
        if not self._memory.well or any(each.status != INITIAL for each in ill) or any(missing):
            return "fail"
        tried = {each.name for each in live.refusals if each.refused}
        if live.tally.ok and not ill and tried >= set(MUST_TRY):
            return "pass"
        return self._shown.verdict

    # everything else

    def look_around(self) -> None:
        """Look at health, strangers and causes again and again, in a thread."""
        knocked_at = known_at = float("-inf")
        with suppress(Stopped), self.at.stop.closing(self.over.set):
            while True:
                self._look_at_health()
                if time.monotonic() - known_at >= KNOWN_EVERY_S:
                    known_at = time.monotonic()
                    with suppress(Problem):
                        self._known = self.at.known()
                tally = self._recent.tally
                let_in = any(each.refused is False for each in self._around.refusals)
                pause_s = HEALTH_EVERY_S if let_in else STRANGERS_EVERY_S
                if tally.ok and time.monotonic() - knocked_at >= pause_s:
                    knocked_at = time.monotonic()
                    self._knock()
                if self._unheard and tally.requests:
                    self._listen()
                nothing_works = tally.failed >= FAILED_IN_A_ROW and not tally.ok
                if tally.requests >= ENOUGH_TO_TELL or nothing_works:
                    self._around = replace(
                        self._around,
                        diagnosis=self._causes(tally),
                        judged=True,
                        lately=tally.backends,
                    )
                self.over.sleep(HEALTH_EVERY_S if self.total.ok else AT_FIRST_S)

    def _look_at_health(self) -> None:
        if self.at.health is None:
            return
        try:
            health = tuple(self.at.health())
        except Problem as problem:
            # What is shown goes stale and says its age; the next answer mends that.
            self._around = replace(self._around, health_unknown=problem.words().what)
            return
        self._around = replace(
            self._around, health=health, health_at=self.at.now(), health_unknown=""
        )

    def _causes(self, tally: Tally) -> tuple[Diagnosis, ...]:
        """What is wrong now, or may be. Each time that something begins to be wrong one looks
        inside, which takes long, and so in a thread of its own."""
        report = self._report(tally)
        if not any(each.severity == "error" for each in report.diagnoses):
            self._looked_inside, self._inside = False, None
        elif not self._looked_inside:
            self._looked_inside = True
            threading.Thread(target=self._look_inside, args=(report,), daemon=True).start()
        return report.diagnoses

    def _look_inside(self, report: Report) -> None:
        if self._known.look_inside is None:
            return
        with suppress(Stopped, Problem):
            inside = self._known.look_inside(report)
            if self._looked_inside:  # still wrong
                # Health is asked for again and again anyway, and this one would soon be old.
                self._inside = replace(inside, health=None)

    def _knock(self) -> None:
        """Be a stranger, while there is somebody who is served: else nothing is proven by it."""
        refusals = try_strangers(
            self.at.target,
            self._addresses,
            self.over,
            served=True,
            issuer=self._known.issuer,
            server=self._known.server,
            weak_versions_allowed=self._known.weak_versions_allowed,
        )
        if not self.over.is_set():
            self._around = replace(self._around, refusals=refusals)

    def _listen(self) -> None:
        """Hear what the endpoint announces: at first, and again when something has turned."""
        self._unheard = False
        said = announce(self.at.target, self._addresses, self.over)
        if said is None:
            return
        self._announcement = said
        if said.chain and (server := server_identity(said.chain[0])) is not None:
            since = rfc3339(server.not_before)
            self._around = replace(self._around, certificate_from=since)

    # the end

    def conclude(self) -> Watching:
        """How all of it went, with what was found last."""
        if self._addresses and not self.at.stop.is_set():
            # The watch may have been too short for the thread beside.
            self.over = Stop()
            with suppress(Stopped), self.at.stop.closing(self.over.set):
                if not self._around.refusals and self._recent.tally.ok:
                    self._knock()
                if self._announcement is None:
                    self._listen()
        # What a new pace or a person's stop cut off proves nothing against the endpoint.
        report = self._report(replace(self.total, unfinished=0))
        return Watching(report, self._shown)

    def _report(self, tally: Tally) -> Report:
        return conclude(
            self.at.target,
            tally,
            refusals=self._around.refusals,
            announcement=self._announcement,
            health=self._around.health_by_name(),
            weights=self.at.weights,
            known=self._known,
            inside=self._inside,
        )


def _followed(before: Tally, now: Tally) -> Tally:
    """Two runs one after the other as one; what is no count is that of the present one."""
    return replace(
        before + now,
        elapsed_s=before.elapsed_s + now.elapsed_s,
        server_not_after=now.server_not_after or before.server_not_after,
        concurrency=now.concurrency,
        limited_to=now.limited_to,
    )
