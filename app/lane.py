"""The walk's thread: it opens a walk, does one errand after another, and closes the walk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from screens.news import Ended, Errand
from services.problem import Problem, Stopped
from services.stop import Stop

if TYPE_CHECKING:
    from services.walk import Walk


@dataclass(frozen=True, slots=True)
class Opened:
    """The walk is there, or the Problem that kept it from opening."""

    lane: Lane
    walk: Walk | None = None
    problem: Problem | None = None


class Lane:
    """One thread for one walk: its lock and its processes belong to the thread that took them.

    `post` is called in the thread.
    """

    def __init__(
        self,
        open: Callable[[], AbstractContextManager[Walk]],
        post: Callable[[Opened | Ended], object],
        after: Lane | None = None,
    ) -> None:
        """`after` is closed already, but may still hold what `open` needs: it is waited for."""
        self._open = open
        self._post = post
        self._after = after
        self._errands: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closing = False
        self._stop = Stop()
        self._over = threading.Event()

    def give(self, errand: Errand) -> None:
        """Put an errand into the queue."""
        self._errands.put(errand)

    @property
    def stop(self) -> Stop:
        """The Stop of what is under way."""
        return self._stop

    @property
    def closed(self) -> bool:
        """Nobody wants this walk any more."""
        return self._closing

    def close(self) -> None:
        """Stop what is under way and end the thread. Safe to call twice and from any thread."""
        with self._lock:
            self._closing = True
            stop = self._stop
        stop.set()
        self._errands.put(None)

    def run(self) -> None:
        """The thread itself. What is neither Problem nor Stopped ends the program."""
        try:
            if self._after is not None:
                self._after._over.wait()
                self._after = None
            if not self._closing:
                self._walk()
        finally:
            self._over.set()

    def _walk(self) -> None:
        try:
            with self._open() as walk:
                self._post(Opened(self, walk))
                while (errand := self._errands.get()) is not None:
                    self._post(self._do(walk, errand))
        except Problem as problem:
            self._post(Opened(self, problem=problem))
        except Stopped:
            # Closed while it was still opening: nobody is waiting for it any more.
            return

    def _do(self, walk: Walk, errand: Errand) -> Ended:
        stop = errand.interrupt
        with self._lock:
            self._stop = stop
            closing = self._closing
        if closing:
            stop.set()
        try:
            return Ended(errand, errand.work(walk, stop))
        except Problem as problem:
            return Ended(errand, problem=problem)
        except Stopped:
            return Ended(errand, stopped=True)
