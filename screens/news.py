"""What travels between the screens and the walk's thread: errands down, news up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from services.events import Event
from services.stop import Stop

if TYPE_CHECKING:
    from services.problem import Problem
    from services.walk import Walk

Work = Callable[["Walk", Stop], Any]


class Errand(Message):
    """Something for the walk's thread to do. It bubbles up to the app, which owns that thread.

    `kind` is what the screen calls it, `about` the ask's or step's name that it is for. `work`
    runs in that thread: it touches no widget. `interrupt` ends it, also while it still waits for
    its turn.
    """

    def __init__(self, kind: str, work: Work, about: str = "") -> None:
        super().__init__()
        self.kind = kind
        self.about = about
        self.work = work
        self.interrupt = Stop()


@dataclass(frozen=True, slots=True)
class Ended:
    """An errand is over: with its result, with a Problem, or because it was stopped."""

    errand: Errand
    result: Any = None
    problem: Problem | None = None
    stopped: bool = False


News = Event | Ended


class Latest:
    """Thins out news that come faster than they can be drawn: only the newest one counts.

    `put` is called in the walk's thread and says whether a delivery has to be arranged; `take`
    is called in the interface's.
    """

    PERIOD_S = 0.1
    """Ten times a second: more chokes slow links, and nobody reads faster."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: Event | None = None
        self._taken = float("-inf")

    def put(self, event: Event) -> bool:
        """Keep `event` as the newest. True when no delivery is under way yet."""
        with self._lock:
            idle = self._waiting is None
            self._waiting = event
            return idle

    def due_s(self) -> float:
        """Seconds until the next delivery may be made; 0 when it may be made now."""
        return max(self._taken + self.PERIOD_S - self._clock(), 0.0)

    def take(self) -> Event | None:
        """The newest event, once."""
        with self._lock:
            event, self._waiting = self._waiting, None
        self._taken = self._clock()
        return event
