"""Events in people's words, line by line: appended, never redrawn, with a sign of life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType

from services.events import Event
from services.steps.live import Change
from services.steps.step import Step
from services.text import knows, say
from services.walk import Line

_HEARTBEAT_S = 30
"""How often something that takes long says that it still works."""

_SNAPSHOT_S = 5
"""How often a proof that goes on says how it stands, when nothing but its counts changed."""


class Narrator(AbstractContextManager["Narrator"]):
    """Tells events through `tell`, a line each. Called in any thread; leave it to end its own."""

    def __init__(self, steps: Sequence[Step], tell: Callable[[str], None]) -> None:
        self._names = [step.NAME for step in steps]
        self._tell = tell
        self._working = threading.Event()
        self._shown_at = 0.0
        self._watching = False
        self._shown: object = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._working.set()

    def hear(self, event: Event) -> None:
        """Tell one event, if it is one that a person waits for."""
        match event.event:
            case "phase":
                self._phase(event)
            case "started":
                removing = event.status == "removing"
                key = "app.told.removing" if removing else "app.told.making"
                text = say(key, title=event.data.get("title", event.action))
                self._stamped(text)
                self._beat(text)
            case "output":
                self._tell(say("app.told.output", line=event.data.get("line", "")))
            case "done":
                self._working.set()
                self._done(event)
            case "problem":
                self._working.set()
            case "check":
                self._check(event)
            case "snapshot" if not self._watching:
                self._snapshot(event)
            case "change" if isinstance(event.snapshot, Change):
                self._tell(f"[{_clock(event.snapshot.at)}] {event.snapshot.words()}")

    def heading(self, step: str, phase: str) -> str:
        """Where the walk is: the step by number and title, and the phase."""
        return say(
            "app.told.heading",
            number=self._names.index(step),
            last=len(self._names) - 1,
            title=say(f"{step}.title"),
            phase=say(f"app.phase.{phase}"),
        )

    def _phase(self, event: Event) -> None:
        # Of what goes on for long only the changes are told.
        self._watching = event.phase == "watch"
        if event.phase in ("look", "prove"):
            self._tell(self.heading(event.step, event.phase))

    def _done(self, event: Event) -> None:
        resource = str(event.data.get("resource", ""))
        key = f"app.told.{event.status}"
        key = key if knows(key) else "app.told.made"
        self._stamped(say(f"{key}.named" if resource else f"{key}.plain", resource=resource))

    def _check(self, event: Event) -> None:
        key = "app.told.check-pass" if event.status == "pass" else "app.told.check-fail"
        text = say(key, title=event.data.get("title", ""))
        evidence = event.data.get("evidence", "")
        self._tell(say("app.told.evidence", text=text, evidence=evidence) if evidence else text)

    def _snapshot(self, event: Event) -> None:
        """A line every few seconds, and at once when more than the counts has changed."""
        data = event.to_map()
        steady = data.get("health"), data.get("failed")
        now = time.monotonic()
        if steady == self._shown and now - self._shown_at < _SNAPSHOT_S:
            return
        if not data.get("requests"):
            return
        self._shown, self._shown_at = steady, now
        backends = data.get("backends", {})
        shares = ", ".join(f"{name} {count}" for name, count in sorted(backends.items()))
        self._stamped(
            say(
                "app.told.snapshot",
                requests=data["requests"],
                ok=data.get("ok", 0),
                failed=data.get("failed", 0),
                backends=shares or "-",
            )
        )

    def _stamped(self, text: str) -> None:
        self._tell(f"[{_clock(datetime.now(UTC))}] {text}")

    def _beat(self, text: str) -> None:
        self._working.set()
        self._working = over = threading.Event()

        def beat() -> None:
            for count in range(1, 1_000_000):
                if over.wait(_HEARTBEAT_S):
                    return
                seconds = count * _HEARTBEAT_S
                self._stamped(say("app.told.still-working", text=text, seconds=seconds))

        threading.Thread(target=beat, name="heartbeat", daemon=True).start()


def _clock(at: datetime) -> str:
    return f"{at.astimezone():%H:%M:%S}"


def preview_lines(lines: Sequence[Line]) -> list[str]:
    """A preview as numbered sentences: what, on what, cost, undo."""
    return [
        say(
            "app.told.preview" if line.sign == "+" else f"app.told.preview-{_SIGNS[line.sign]}",
            number=number,
            title=line.action.title(),
            resource=line.resource,
            cost=line.action.cost(),
            undo=line.action.undo_words(),
        )
        for number, line in enumerate(lines, start=1)
    ]


_SIGNS = {"=": "adopt", "-": "remove", "✓": "done"}
