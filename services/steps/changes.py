"""What became otherwise between two snapshots of a proof that goes on.

Two things are told. What holds for a while, such as a backend that is down, is an outage: told
when it begins, and again when it is over, with how long it took and how many requests it cost.
The rest, such as a name's addresses, is compared with the snapshot before. Nothing here does any
I/O or looks at a clock, and what is remembered does not grow with the time one has looked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Literal

from services.cloud.port import ServerHealth
from services.events import rfc3339
from services.pki.ending import Ending, ending
from services.probe.outcome import Outcome
from services.probe.tally import Rates
from services.steps.live import Change, Fact, Live

QUIET = timedelta(seconds=5)
"""Requests are fine again when none failed for so long: one in several fails now and then."""

SILENT_BY_CHANCE = 1e-6
"""A backend is silent when by chance it would stay out of the answers less often than this."""

ANSWERS_KNOWN = 20
"""From how many answers on a backend's share is known well enough to miss it."""

FAILED_IN_A_ROW = 3
"""How many requests without one answered in between make an address one that fails."""

COLLAPSED = 0.5
"""The part of the usual rate below which it has collapsed."""
RECOVERED = 0.8
"""And the part from which on it is as usual again."""
_LATELY = 6
"""So many of the rate's points, half a second each, are compared with those before."""
_USUALLY = 10
"""The fewest points that tell what is usual."""
_COUNTED = 20.0
"""What the usual rate must make in the meantime: fewer requests would prove nothing."""

_CALM = frozenset({"Normal", "Initial", "Unused", "Unavailable"})
"""The API's statuses in which nothing is wrong: also not known yet, of weight 0, not checked."""
_NOT_BACK = frozenset({"Initial", "Unused"})
"""Those which do not say that a backend which was down is back."""

Trouble = Literal[
    "backend-down",
    "requests-failing",
    "address-failing",
    "stranger-let-in",
    "health-unknown",
    "rate-collapsed",
]
"""What may hold for a while: the kind of the change with which it begins."""

ENDS: Mapping[Trouble, str] = {
    "backend-down": "backend-up",
    "requests-failing": "requests-fine",
    "address-failing": "address-fine",
    "stranger-let-in": "stranger-refused",
    "health-unknown": "health-known",
    "rate-collapsed": "rate-recovered",
}
"""The kind of the change with which each of them ends."""

GRAVE: frozenset[Trouble] = frozenset(
    {"backend-down", "requests-failing", "address-failing", "stranger-let-in"}
)
"""Those with which no proof holds."""

TURNS = GRAVE | {ENDS[trouble] for trouble in GRAVE}
"""The kinds of change after which what was counted before says nothing of how it stands."""

_Key = tuple[Trouble, str]
_Facts = Mapping[str, Fact]
_FAILING: _Key = ("requests-failing", "")
_RATE: _Key = ("rate-collapsed", "")


@dataclass(frozen=True, slots=True)
class Outage:
    """A trouble that holds since `since`; `failed` is how many requests had failed before it."""

    since: datetime
    failed: int
    facts: _Facts


@dataclass(frozen=True, slots=True)
class Memory:
    """What has to be known of all snapshots so far to tell what the next one changes."""

    live: Live | None = None
    open: Mapping[_Key, Outage] = field(default_factory=dict)
    failed_at: datetime | None = None
    """When a request failed last."""
    answered: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """Of each backend, as it stood when it answered last: its answers, all answers, and how often
    it had answered in an unfit way."""
    served: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of each address, as it stood when it served last: requests that were ok, and that failed."""
    paced_at: datetime | None = None
    """Since when requests go out at the present rate."""
    ending: Ending = ""

    @property
    def well(self) -> bool:
        """Whether nothing is so that no proof would hold with it."""
        return not any(trouble in GRAVE for trouble, _ in self.open)


def changes(memory: Memory, live: Live, now: datetime) -> tuple[Memory, tuple[Change, ...]]:
    """What `live`, taken at `now`, changes; and what to remember for the next one."""
    before = memory.live
    memory = replace(
        memory,
        failed_at=now if live.tally.failed > _failed(before) else memory.failed_at,
        answered=_answered(memory, live),
        served=_served(memory, live),
        paced_at=memory.paced_at if before and before.pace == live.pace else now,
    )
    found = list(_compared(memory, live, now))
    holding = dict(_holding(memory, live, now))
    still: dict[_Key, Outage] = {}
    for key, outage in memory.open.items():
        if key in holding:
            still[key] = outage
        elif _is_told(key, before, live):
            found.append(_over(key, outage, memory, live, now))
    for key, facts in holding.items():
        if key not in still:
            still[key] = Outage(now, _failed_before(key, still, before), facts)
            found.append(Change(now, key[0], key[1], facts))
    end = _ending(live, now)
    return replace(memory, live=live, open=still, ending=end), tuple(found)


def verdict_change(before: str, after: str, now: datetime) -> tuple[Change, ...]:
    """That a verdict is another one than before; the first one changes nothing."""
    if not before or before == after:
        return ()
    return (Change(now, "verdict", "", {"verdict": after, "before": before}),)


# what is remembered


def _failed(live: Live | None, address: str = "") -> int:
    """How many requests have failed, of all or at one address."""
    if live is None:
        return 0
    if not address:
        return live.tally.failed
    outcomes = live.tally.addresses.get(address, {})
    return sum(outcomes.values()) - outcomes.get(Outcome.OK, 0)


def _answered(memory: Memory, live: Live) -> Mapping[str, tuple[int, int, int]]:
    tally, known = live.tally, memory.answered
    if memory.live is not None and memory.live.tally.backends == tally.backends:
        return known
    ok, unfit = tally.ok, tally.failures_by_backend
    return {
        name: last
        if (last := known.get(name)) and last[0] == count
        else (count, ok, sum(unfit[name].values()) if name in unfit else 0)
        for name, count in tally.backends.items()
    }


def _served(memory: Memory, live: Live) -> Mapping[str, tuple[int, int]]:
    found = {}
    for address, outcomes in live.tally.addresses.items():
        ok = outcomes.get(Outcome.OK, 0)
        last = memory.served.get(address)
        found[address] = last if last and last[0] == ok else (ok, _failed(live, address))
        if last is None and not ok:
            found[address] = (0, 0)
    return found


# what holds for a while


def _holding(memory: Memory, live: Live, now: datetime) -> Iterator[tuple[_Key, _Facts]]:
    """Every trouble that there is now. The failing requests first: the rest may be their doing."""
    if memory.failed_at is not None and now - memory.failed_at < QUIET:
        yield _FAILING, _failure(memory.live, live)
    for name, facts in _down(memory, live).items():
        yield ("backend-down", name), facts
    yield from _failing_addresses(memory, live)
    for each in live.refusals:
        if each.refused is False:
            yield ("stranger-let-in", each.name), {"evidence": each.evidence}
    if live.health_unknown:
        yield ("health-unknown", ""), {"why": live.health_unknown}
    yield from _collapse(memory, live, now)


def _failure(before: Live | None, live: Live) -> _Facts:
    """The way in which most requests failed of late."""
    known = before.tally.outcomes if before else {}
    grown = {
        outcome: count - known.get(outcome, 0)
        for outcome, count in live.tally.outcomes.items()
        if outcome != Outcome.OK
    }
    most = max(grown, key=lambda outcome: (grown[outcome], outcome))
    return {"outcome": str(most), "evidence": live.tally.samples.get(most, "")}


def _down(memory: Memory, live: Live) -> Mapping[str, _Facts]:
    """Backends that are down as the API sees them, or that have fallen silent."""
    found: dict[str, _Facts] = {}
    listed = {live.names.get(each.server.id, each.server.id): each for each in live.health}
    for name, each in listed.items():
        was_down = ("backend-down", name) in memory.open
        if each.status not in _CALM or (was_down and each.status in _NOT_BACK):
            found[name] = {"by": "health", "status": each.status, "reason": each.reason}
    for name, last in memory.answered.items():
        if name in found or (listed and name in live.expected and name not in listed):
            continue
        missed = live.tally.ok - last[1]
        if missed and _is_silent(last, missed, live.expected.get(name)):
            unfit = sum(live.tally.failures_by_backend.get(name, {}).values()) > last[2]
            found[name] = {"by": "errors" if unfit else "answers", "missed": missed}
    return found


def _is_silent(last: tuple[int, int, int], missed: int, expected: float | None) -> bool:
    """Whether it is no chance that none of the last `missed` answers came from a backend."""
    answers, of, _ = last
    if expected is None:
        if answers < ANSWERS_KNOWN:
            return False
        # What was seen may have been luck, so only half of it is relied upon.
        expected = answers / of / 2
    return (1 - expected) ** missed < SILENT_BY_CHANCE


def _failing_addresses(memory: Memory, live: Live) -> Iterator[tuple[_Key, _Facts]]:
    """Addresses that serve nothing while others do. Where all fail, the requests say it."""
    if len(memory.served) < 2:
        return
    failing = [
        address
        for address, (_, failed) in memory.served.items()
        if _failed(live, address) - failed >= FAILED_IN_A_ROW
    ]
    for address in failing:
        if len(failing) < len(memory.served) or ("address-failing", address) in memory.open:
            outcomes = live.tally.addresses[address]
            most = max(
                (outcome for outcome in outcomes if outcome != Outcome.OK),
                key=lambda outcome: (outcomes[outcome], outcome),
            )
            yield ("address-failing", address), {"outcome": str(most)}


def _collapse(memory: Memory, live: Live, now: datetime) -> Iterator[tuple[_Key, _Facts]]:
    """A rate far below what was usual at the present pace."""
    steps = int((now - (memory.paced_at or now)).total_seconds() / Rates.STEP_S)
    points = live.tally.rates.history[-steps:] if steps else ()
    if len(points) < _LATELY + _USUALLY:
        return
    lately = sum(points[-_LATELY:]) / _LATELY
    outage = memory.open.get(_RATE)
    usual = float(outage.facts["usual"]) if outage else median(points[:-_LATELY])
    if usual * _LATELY * Rates.STEP_S < _COUNTED:
        return
    if lately < usual * (RECOVERED if outage else COLLAPSED):
        yield _RATE, {"usual": round(usual, 1), "rate": round(lately, 1)}


def _failed_before(key: _Key, still: Mapping[_Key, Outage], before: Live | None) -> int:
    """The failures that an outage which begins now did not cause.

    The balancer notices a dead backend only by its next health checks: whatever fails until then
    is that backend's doing already.
    """
    if key[0] == "address-failing":
        return max(_failed(before, key[1]) - FAILED_IN_A_ROW + 1, 0)
    failing = still.get(_FAILING)
    return failing.failed if failing else _failed(before)


def _is_told(key: _Key, before: Live | None, live: Live) -> bool:
    """Whether the end of a trouble is news: not of a backend that is no longer in the group, or of
    a rate that the person changed.
    """
    if key == _RATE:
        return before is not None and before.pace == live.pace
    if key[0] == "backend-down" and live.health and key[1] in live.expected:
        return any(live.names.get(each.server.id, each.server.id) == key[1] for each in live.health)
    return True


def _over(key: _Key, outage: Outage, memory: Memory, live: Live, now: datetime) -> Change:
    until = memory.failed_at if key == _FAILING and memory.failed_at else now
    lost = _failed(live, key[1] if key[0] == "address-failing" else "") - outage.failed
    facts: dict[str, Fact] = {
        "since": rfc3339(outage.since),
        "until": rfc3339(until),
        "lost": max(lost, 0),
    }
    return Change(now, ENDS[key[0]], key[1], {**outage.facts, **facts})


# what is compared with the snapshot before


def _compared(memory: Memory, live: Live, now: datetime) -> Iterator[Change]:
    before = memory.live
    end = _ending(live, now)
    if end and end != memory.ending:
        yield Change(now, f"certificate-{end}", "server", {"not_after": live.certificate_until})
    if before is None:
        return
    if before.addresses and live.addresses and set(before.addresses) != set(live.addresses):
        facts = {"before": ", ".join(before.addresses), "now": ", ".join(live.addresses)}
        yield Change(now, "names", live.name, facts)
    if before.health is not live.health and before.health and live.health:
        yield from _health(memory, before, live, now)


def _ending(live: Live, now: datetime) -> Ending:
    if not live.certificate_until:
        return ""
    end = datetime.fromisoformat(live.certificate_until)
    if not live.certificate_from:
        # How long it lives is heard a little later; what is soon for it depends on that.
        return "over" if ending(end, now) == "over" else ""
    return ending(end, now, datetime.fromisoformat(live.certificate_from))


def _health(memory: Memory, before: Live, live: Live, now: datetime) -> Iterator[Change]:
    """What the API says otherwise, but for what is told as a backend that is down or back."""
    was = {live.names.get(each.server.id, each.server.id): each for each in before.health}
    now_is = {live.names.get(each.server.id, each.server.id): each for each in live.health}
    for name in sorted(was.keys() - now_is.keys()):
        yield Change(now, "backend-removed", name)
    for name, each in now_is.items():
        last = was.get(name)
        if last is None:
            yield Change(now, "backend-added", name, {"status": each.status})
        elif _says_otherwise(last, each, down=("backend-down", name) in memory.open):
            facts = {
                "status": each.status,
                "reason": each.reason,
                "before": last.status,
                "before_reason": last.reason,
            }
            yield Change(now, "health", name, facts)


def _says_otherwise(last: ServerHealth, each: ServerHealth, *, down: bool) -> bool:
    """`down`: that it is, was told already, by its answers or an earlier status."""
    if (last.status, last.reason) == (each.status, each.reason) or last.status == "Initial":
        return False
    worse = last.status in _CALM and each.status not in _CALM
    better = last.status not in _CALM and each.status in _CALM - _NOT_BACK
    return not better and (not worse or down)
