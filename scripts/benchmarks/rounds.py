"""Runs what is compared in turn, and makes one number of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import median
from typing import TypeVar

from scripts.benchmarks.finding import Finding, Goal

T = TypeVar("T")
Name = TypeVar("Name", bound=Hashable)


def in_turn(ways: Mapping[Name, Callable[[], T]], rounds: int) -> dict[Name, list[T]]:
    """What each way returned in each round; a first round, which fills the caches, is dropped.

    Every other round goes backward, so that a computer that grows busier, or warmer, favours none.
    """
    results: dict[Name, list[T]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        order = list(ways) if number % 2 else list(reversed(list(ways)))
        for name in order:
            result = ways[name]()
            if number:
                results[name].append(result)
    return results


def ratio(
    what: str, ours: Sequence[float], theirs: Sequence[float], goal: Goal | None = None
) -> Finding:
    """The median of the rounds' ratios, not the ratio of two medians: what slows a whole round
    slows both sides of it.
    """
    return summary(what, [one / other for one, other in zip(ours, theirs, strict=True)], goal)


def summary(
    what: str, values: Sequence[float], goal: Goal | None = None, unit: str = ""
) -> Finding:
    """The median of the rounds, with their extremes."""
    return Finding(what, median(values), min(values), max(values), goal, unit)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` (0 to 1) of all do not exceed (nearest rank)."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
