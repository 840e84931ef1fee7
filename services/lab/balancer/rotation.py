"""Weighted round robin: exact over a cycle, and smooth within it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from heapq import heapify, heapreplace
from typing import Generic, TypeVar

T = TypeVar("T")


class Rotation(Generic[T]):
    """An endless succession of members, in which each appears in proportion to its weight.

    Every member has a train of evenly spaced deadlines, the k-th at (k - 1/2) / weight, and the
    earliest one is next. So any stretch of sum(weights) turns from the start holds each member
    exactly `weight` times, heavy members do not come in a bunch, and a turn costs O(log n).
    Whole numbers throughout: fractions would drift.
    """

    def __init__(self, members: Sequence[tuple[T, int]]) -> None:
        weighted = [(member, weight) for member, weight in members if weight > 0]
        divisor = math.gcd(*(weight for _, weight in weighted))
        cycle = math.lcm(*(weight // divisor for _, weight in weighted))
        self._members = [member for member, _ in weighted]
        # Twice the spacing, so that the half in (k - 1/2) is a whole number too.
        self._heap = [
            (cycle * divisor // weight, index, 2 * cycle * divisor // weight)
            for index, (_, weight) in enumerate(weighted)
        ]
        heapify(self._heap)

    def next(self) -> T | None:
        """Whose turn it is; None when nobody has a weight."""
        if not self._heap:
            return None
        deadline, index, spacing = self._heap[0]
        heapreplace(self._heap, (deadline + spacing, index, spacing))
        return self._members[index]
