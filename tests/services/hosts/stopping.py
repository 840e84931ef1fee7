"""How soon a stop is heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from services.problem import Stopped
from services.stop import Stop


def stops_within_a_second(act: Callable[[Stop], object], ready: threading.Event) -> None:
    """`act` must end with Stopped less than a second after the stop, set once it is `ready`."""
    stop, ended = Stop(), threading.Event()
    times: list[float] = []

    def run() -> None:
        with pytest.raises(Stopped):
            act(stop)
        times.append(time.monotonic())
        ended.set()

    running = threading.Thread(target=run)
    running.start()
    assert ready.wait(10)
    before = time.monotonic()
    stop.set()
    running.join(10)
    assert times
    assert times[0] - before < 1
