"""What a rule is: a look at all observations that finds something, or nothing. No rule does I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.probe.observations import Observations
from services.probe.outcome import Outcome

Severity = Literal["error", "warning"]
Confidence = Literal["certain", "likely", "possible"]
CONFIDENCES: tuple[Confidence, ...] = ("certain", "likely", "possible")
"""The surest first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found."""

    confidence: Confidence
    evidence: str
    """What was seen. Never translated."""
    outcomes: tuple[Outcome, ...] = ()
    """The ends of requests that it explains."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the words of its code are filled with."""
    notes: tuple[str, ...] = ()
    """Sentences to be added to the cause, by their names in the catalogue (`probe.note.…`)."""
    backends: frozenset[str] = frozenset()
    """Whom it is about, where it is about some backends only."""
    severity: Severity | None = None
    """Where it is not the rule's own."""
    explains: bool = True
    """Whether what the rule may explain follows from it, as it was found."""


Look = Callable[[Observations], Finding | None]


def ended(*outcomes: Outcome, confidence: Confidence = "certain") -> Look:
    """Fires when any request ended so."""

    def look(seen: Observations) -> Finding | None:
        if not seen.count(*outcomes):
            return None
        return Finding(confidence, seen.sample(*outcomes), outcomes)

    return look
