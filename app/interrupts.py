"""Signals: whatever runs is stopped, and the person gets the prompt back within a second."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Generic, TypeVar

from services.problem import Problem, Stopped
from services.stop import Stop

T = TypeVar("T")

_GRACE_S = 0.5
"""How long work may take to notice its Stop before it is left behind."""

_RESCUE_S = 1.0
"""The same where a result is worth waiting for: what was counted until then."""

_GLANCE_S = 0.2
"""How often a wait looks up: Windows delivers ctrl+c only between two waits."""


class Interrupted(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP came. `exit_code` is what shells expect: 128 and its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.exit_code = 128 + number


@contextmanager
def listening() -> Iterator[None]:
    """Have signals raise `Interrupted` in the main thread during the block."""

    def raise_it(number: int, frame: FrameType | None) -> None:
        # A second one ends the program at once, should the first one's cleaning up hang.
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        raise Interrupted(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:  # nohup
        numbers.append(hang_up)
    before = {number: signal.signal(number, raise_it) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def in_thread(work: Callable[[Stop], T], rescue: Callable[[T], None] | None = None) -> T:
    """Do `work` in a thread of its own, so that a signal is heard at once, and return its result.

    On a signal its Stop is set; work that does not notice in time is left behind, which is safe
    since the journal is written before and after whatever it does. Work that, stopped, has a result
    all the same hands it to `rescue` before `Interrupted` goes on. Raises what `work` raises.
    """
    job = _Job(work)
    thread = threading.Thread(target=job.run, name="walk", daemon=True)
    thread.start()
    try:
        while not job.over.wait(_GLANCE_S):
            pass
    except KeyboardInterrupt:
        # Closing what the work is blocked on may block as well.
        threading.Thread(target=job.stop.set, name="stop", daemon=True).start()
        if job.over.wait(_GRACE_S if rescue is None else _RESCUE_S) and rescue is not None:
            with suppress(Problem, Stopped):
                rescue(job.outcome())
        raise
    return job.outcome()


class _Job(Generic[T]):
    def __init__(self, work: Callable[[Stop], T]) -> None:
        self._work = work
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.stop = Stop()
        self.over = threading.Event()

    def run(self) -> None:
        try:
            self._result.append(self._work(self.stop))
        except BaseException as error:  # noqa: BLE001  # it is raised again in the thread that waits
            self._error = error
        finally:
            self.over.set()

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result[0]
