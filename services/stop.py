"""One cancellation for a whole run: an event, and the sockets that a thread may be blocked on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from services.problem import Stopped


class Stop:
    """Set once, from any thread; everything that waits wakes up and raises `Stopped`."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._closers: list[Callable[[], None]] = []

    def set(self) -> None:
        """Ask to stop, and close what is registered. Safe to call twice and from any thread."""
        with self._lock:
            self._event.set()
            closers, self._closers = self._closers, []
        for close in closers:
            # A closer runs while its owner is still using the thing: whatever it raises says
            # only that the thing is already gone.
            with suppress(Exception):
                close()

    def is_set(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Stopped` if the stop is set."""
        if self._event.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait, waking at once when the stop is set. Raises `Stopped` then."""
        if self._event.wait(seconds):
            raise Stopped

    @contextmanager
    def closing(self, close: Callable[[], None]) -> Iterator[None]:
        """Have `close` called if the stop is set during the block.

        An error inside the block after that is the closing's doing: it becomes `Stopped`.
        """
        with self._lock:
            self.check()
            self._closers.append(close)
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock, suppress(ValueError):
                self._closers.remove(close)
