"""The last seconds of a tally: what it counts now, not what it ever counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.probe.tally import Tally

SPAN = timedelta(seconds=10)
"""How far back it reaches at least."""
ENOUGH = 200
"""And at least so many requests: shares of fewer say little."""
_EVERY = timedelta(seconds=1)
_KEPT = 300
"""Five minutes, should requests be that few."""


@dataclass(slots=True)
class Recent:
    """Keeps a tally a second, and no more of them than it takes. For one writer and one reader."""

    _past: deque[tuple[datetime, Tally]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _now: Tally = field(default_factory=Tally)

    def add(self, at: datetime, tally: Tally) -> None:
        """Take notice of a cumulative tally."""
        self._now = tally
        if not self._past:
            self._past.append((at, Tally()))
        if at - self._past[-1][0] < _EVERY:
            return
        self._past.append((at, tally))
        while (
            len(self._past) > 1
            and at - self._past[1][0] >= SPAN
            and tally.requests - self._past[1][1].requests >= ENOUGH
        ):
            self._past.popleft()

    def restart(self, at: datetime, tally: Tally) -> None:
        """Forget what was before `tally`: things are otherwise since."""
        self._past.clear()
        self._past.append((at, tally))

    @property
    def tally(self) -> Tally:
        """What was counted lately."""
        past = list(self._past)
        return _since(past[0][1], self._now) if past else self._now


def _since(past: Tally, now: Tally) -> Tally:
    """What `now` counts more than `past`. Times and latencies stay those of the whole."""
    outcomes = _less(past.outcomes, now.outcomes)
    return replace(
        now,
        backends=_less(past.backends, now.backends),
        outcomes=outcomes,
        samples={name: text for name, text in now.samples.items() if name in outcomes},
        tls=_less(past.tls, now.tls),
        addresses=_less_each(past.addresses, now.addresses),
        failures_by_backend=_less_each(past.failures_by_backend, now.failures_by_backend),
        unfinished=0,
    )


def _less(past: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {name: more for name, count in now.items() if (more := count - past.get(name, 0))}


def _less_each(
    past: Mapping[str, Mapping[str, int]], now: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    found = {name: _less(past.get(name, {}), counts) for name, counts in now.items()}
    return {name: counts for name, counts in found.items() if counts}
