"""The rate of requests from the beginning on, in as many cells as there are."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

_FIRST_STEP_S = 0.5
_MOST = 512
"""Points that are kept. Beyond, two become one of twice the length: any time fits."""

_NONE = 1e-6
"""What is left of nothing when sums were taken apart again."""


class Timeline:
    """Points of equal length, each with how many requests were made in it, and how many failed."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._step_s = _FIRST_STEP_S
        self._points: list[tuple[float, float]] = []
        self._at_s = 0.0
        self._requests = 0.0
        self._failed = 0.0

    def add(self, at_s: float, requests: int, failed: int) -> None:
        """Take notice of cumulative counts, `at_s` seconds after the beginning."""
        if requests < self._requests or at_s < self._at_s:
            self.clear()
        whole = int((at_s - len(self._points) * self._step_s) / self._step_s)
        if whole <= 0:
            return
        # What came between two snapshots that lie farther apart is spread evenly.
        more = (requests - self._requests) / whole, (failed - self._failed) / whole
        self._points += [more] * whole
        self._at_s, self._requests, self._failed = at_s, requests, failed
        while len(self._points) > _MOST:
            if len(self._points) % 2:
                # Half a point: it is counted again with what comes next.
                made, lost = self._points[-1]
                self._requests -= made
                self._failed -= lost
            self._points = _merged(self._points, 2)
            self._step_s *= 2

    def shown(self, width: int) -> tuple[list[float], list[bool], float]:
        """At most `width` rates (a second), where requests failed, and how long each of them is."""
        by = max(ceil(len(self._points) / max(width, 1)), 1)
        length_s = by * self._step_s
        points = _merged(self._points, by)
        return (
            [made / length_s for made, _ in points],
            [lost > _NONE for _, lost in points],
            length_s,
        )


def marks(failed: list[bool], changed_s: Iterable[float], length_s: float) -> str:
    """A line below the rates: a cross where requests failed, else a mark where something changed.

    `changed_s` are the times of the changes, in seconds after the beginning.
    """
    signs = ["✗" if lost else " " for lost in failed]
    for at_s in changed_s:
        # What has just changed lies in the point that is still being measured.
        place = min(int(at_s / length_s), len(signs) - 1)
        if place >= 0 and signs[place] == " ":
            signs[place] = "▲"
    return "".join(signs)


def _merged(points: list[tuple[float, float]], by: int) -> list[tuple[float, float]]:
    """Whole groups of `by` points as one each; the rest waits until its group is whole."""
    last = len(points) - len(points) % by
    groups = (points[start : start + by] for start in range(0, last, by))
    return [(sum(p[0] for p in group), sum(p[1] for p in group)) for group in groups]
