"""Which sockets are ready: epoll where there is one, `selectors` elsewhere.

`selectors` alone would do, but its bookkeeping is a fortieth of the engine's whole time.
"""

from __future__ import annotations

import select
import selectors
import sys
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

READ, WRITE = 1, 4
"""Bits of an event, by epoll's own numbers. An error or a hang-up sets both."""
DOUBT = 8
"""Set besides when there is, or may be, an error: to be asked for with SO_ERROR."""

Owner = TypeVar("Owner")


class Poller(Protocol[Owner]):
    """Sockets by number, each with an owner that is named when the socket is ready."""

    def watch(self, number: int, events: int, owner: Owner) -> None: ...
    def change(self, number: int, events: int) -> None: ...
    def forget(self, number: int) -> None:
        """To be called just before the socket is closed."""
        ...

    def wait(self, timeout_s: float) -> Sequence[tuple[Owner, int]]: ...
    def close(self) -> None: ...


class SelectorPoller(Generic[Owner]):
    """Any system that Python runs on."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, number: int, events: int, owner: Owner) -> None:
        self._selector.register(number, _mask(events), owner)

    def change(self, number: int, events: int) -> None:
        self._selector.modify(number, _mask(events), self._selector.get_key(number).data)

    def forget(self, number: int) -> None:
        self._selector.unregister(number)

    def wait(self, timeout_s: float) -> Sequence[tuple[Owner, int]]:
        return [
            (
                key.data,
                (READ if events & selectors.EVENT_READ else 0)
                | (WRITE | DOUBT if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in self._selector.select(timeout_s)
        ]

    def close(self) -> None:
        self._selector.close()


def _mask(events: int) -> int:
    return (selectors.EVENT_READ if events & READ else 0) | (
        selectors.EVENT_WRITE if events & WRITE else 0
    )


if sys.platform == "linux":

    class EpollPoller(Generic[Owner]):
        """Linux."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._owners: dict[int, Owner] = {}
            self.change = self._epoll.modify

        def watch(self, number: int, events: int, owner: Owner) -> None:
            self._owners[number] = owner
            self._epoll.register(number, events)

        def forget(self, number: int) -> None:
            # Closing is enough: epoll then forgets it by itself (epoll(7), question 6). Only while
            # another thread is starting a process may a copy of it be open for a moment longer;
            # events of that one find no owner, or the next, who finds nothing to read.
            del self._owners[number]

        def wait(self, timeout_s: float) -> Sequence[tuple[Owner, int]]:
            owners = self._owners
            # Errors and hang-ups are reported as ready for both, as select and poll do.
            return [
                (owners[number], events if events < 8 else READ | WRITE | DOUBT)
                for number, events in self._epoll.poll(timeout_s)
                if number in owners
            ]

        def close(self) -> None:
            self._epoll.close()

    DefaultPoller = EpollPoller
else:
    DefaultPoller = SelectorPoller
