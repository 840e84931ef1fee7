"""Keys that were meant for the screen before: held down, or typed a moment too early."""

from __future__ import annotations

import time
from collections.abc import Callable


class Guard:
    """Lets a decision pass only once nothing was pressed for `QUIET_S` after the screen opened."""

    QUIET_S = 0.3
    """A key held down repeats some thirty times a second; nobody reads a question faster."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_since = clock()

    def open(self) -> None:
        """The screen opened."""
        self._quiet_since = self._clock()

    @property
    def quiet(self) -> bool:
        """Whether it has been quiet for long enough."""
        return self._clock() - self._quiet_since >= self.QUIET_S

    def passed(self) -> bool:
        """Whether a key pressed now counts. One that does not starts the wait anew."""
        passed = self.quiet
        self._quiet_since = float("-inf") if passed else self._clock()
        return passed
