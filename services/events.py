"""What goes up while the walk runs: to the screens, to plain mode, and to `--json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from services.problem import Problem

Kind = Literal[
    "phase",  # a step entered a phase
    "preview",  # one line of a preview
    "started",  # an action began
    "output",  # one line that the running action printed
    "done",  # an action ended well; status says made, adopted or removed
    "check",  # one check of a proof
    "snapshot",  # a proof that goes on, ten times a second at most
    "change",  # what became otherwise while it goes on
    "problem",  # an action or a check could not be carried out
    "command",  # something was run: a line for the command log
]


class Shown(Protocol):
    """A thing that screens draw as it is, and that others get as JSON."""

    def to_map(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Event:
    """One piece of news. `data` holds what is particular to the kind, ready for JSON."""

    event: Kind
    step: str = ""
    phase: str = ""
    action: str = ""
    status: str = ""
    problem: Problem | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Shown | None = None
    """Of a snapshot or a change the thing itself. Its JSON form is made when somebody asks for it:
    hundreds of backends ten times a second would be much work for a screen that needs none."""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_map(self) -> dict[str, Any]:
        """The event as `--json` prints it; absent fields are left out."""
        found: dict[str, Any] = {"event": self.event, "time": rfc3339(self.time)}
        for name in ("step", "phase", "action", "status"):
            if value := getattr(self, name):
                found[name] = value
        if self.problem is not None:
            found["problem"] = problem_map(self.problem)
        shown = self.snapshot.to_map() if self.snapshot is not None else {}
        return {**self.data, **found, **shown}


Emit = Callable[[Event], None]


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def problem_map(problem: Problem) -> dict[str, str]:
    """A Problem as the JSON contract spells it."""
    words = problem.words()
    return {
        "code": words.code,
        "what": words.what,
        "cause": words.cause,
        "remedy": words.remedy,
        "evidence": words.evidence,
    }
