"""What a benchmark says: a number, its goal, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


class Skipped(Exception):
    """This benchmark cannot run on this computer; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a number is to keep."""

    sign: Literal["<=", ">=", "="]
    bound: float

    def met_by(self, value: float) -> bool:
        match self.sign:
            case "<=":
                return value <= self.bound
            case ">=":
                return value >= self.bound
            case "=":
                return value == self.bound

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:.3g}"


def at_most(bound: float) -> Goal:
    return Goal("<=", bound)


def at_least(bound: float) -> Goal:
    return Goal(">=", bound)


def exactly(bound: float) -> Goal:
    return Goal("=", bound)


@dataclass(frozen=True, slots=True)
class Finding:
    """One measured number: a ratio, unless `unit` says otherwise.

    `low` and `high` are the rounds' extremes; where they lie far apart the computer was busy with
    other things, and the number says little.
    """

    what: str
    value: float
    low: float
    high: float
    goal: Goal | None = None
    """None for what is told but not judged."""
    unit: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.met_by(self.value)

    def to_map(self) -> dict[str, Any]:
        """The finding as `--json` prints it."""
        return {
            "what": self.what,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "unit": self.unit or "ratio",
            "goal": None if self.goal is None else str(self.goal),
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Omitted:
    """A number that could not be had on this computer, while others of its benchmark could."""

    what: str
    reason: str

    def to_map(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"what": self.what, "skipped": self.reason}
