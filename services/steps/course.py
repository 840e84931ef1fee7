"""How fast, how often and for how long a proof asks: what its person chose for this one time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

PACES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""The rates that faster and slower lead to, in requests a second."""

GENTLE = 20
"""The rate of a proof that goes on, when nobody chose one: it is for looking at, not for load."""


@dataclass(slots=True)
class Pace:
    """A rate that may be changed while requests go out. Any thread may set and read it."""

    rate_per_s: float | None = None
    """At most so many requests a second; None where nothing holds them back."""

    def faster(self) -> None:
        """The next rate above, up to the last of `PACES`."""
        place = bisect_right(PACES, self._now)
        self.rate_per_s = PACES[min(place, len(PACES) - 1)]

    def slower(self) -> None:
        """The next rate below, down to the first of `PACES`."""
        self.rate_per_s = PACES[max(bisect_left(PACES, self._now) - 1, 0)]

    @property
    def _now(self) -> float:
        return PACES[-1] if self.rate_per_s is None else self.rate_per_s


@dataclass(frozen=True, slots=True)
class Course:
    """What ends a proof, and what bounds it on the way. None is for the proof to decide."""

    requests: int | None = None
    duration_s: float | None = None
    """A proof that goes on ends with whichever of the two comes first; without both, when it is
    stopped."""
    concurrency: int | None = None
    """Connections at once; None adapts to the round-trip time."""
    workers: int = 1
    """Processes that make the requests."""
    pace: Pace = field(default_factory=Pace)
