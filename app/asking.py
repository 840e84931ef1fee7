"""A question that the walk's thread has for the person, and waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from textual.screen import Screen

from services.stop import Stop

T = TypeVar("T")


class Asked(Generic[T]):
    """One question. The thread waits in `wait`; the interface shows `dialog` and calls `answer`."""

    def __init__(self, dialog: Callable[[], Screen[T]], unless: T) -> None:
        """`unless` is what holds when the person gives no answer."""
        self.dialog = dialog
        self.unless = unless
        self.shown: Screen[T] | None = None
        self._answer = unless
        self._over = threading.Event()

    @property
    def over(self) -> bool:
        """Nobody waits for an answer any more."""
        return self._over.is_set()

    def answer(self, found: T | None) -> None:
        """The person answered, or closed the dialog (None). Called in the interface's thread."""
        if found is not None:
            self._answer = found
        self._over.set()

    def wait(self, stop: Stop) -> T:
        """The answer. Raises Stopped when the stop is set meanwhile."""
        try:
            with stop.closing(self._over.set):
                self._over.wait()
            stop.check()
        finally:
            self._over.set()
        return self._answer
