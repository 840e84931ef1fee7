"""Which sockets are ready: epoll where there is one, `selectors` elsewhere.

`selectors` alone would do, but its bookkeeping is a fortieth of the engine's whole time.
"""

from __future__ import annotations

import select
import selectors
import socket
import sys
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

READ, WRITE = 1, 4
"""Bits of an event, by epoll's own numbers. An error or a hang-up sets both or more."""

Owner = TypeVar("Owner")


class Poller(Protocol[Owner]):
    """Sockets, each with an owner that is named when the socket is ready."""

    def watch(self, sock: socket.socket, events: int, owner: Owner) -> None: ...
    def change(self, sock: socket.socket, events: int) -> None: ...
    def forget(self, sock: socket.socket) -> None:
        """To be called before the socket is closed."""
        ...

    def wait(self, timeout_s: float) -> Sequence[tuple[Owner, int]]: ...
    def close(self) -> None: ...


class SelectorPoller(Generic[Owner]):
    """Any system that Python runs on."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, sock: socket.socket, events: int, owner: Owner) -> None:
        self._selector.register(sock, _mask(events), owner)

    def change(self, sock: socket.socket, events: int) -> None:
        self._selector.modify(sock, _mask(events), self._selector.get_key(sock).data)

    def forget(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)

    def wait(self, timeout_s: float) -> Sequence[tuple[Owner, int]]:
        return [
            (
                key.data,
                (READ if events & selectors.EVENT_READ else 0)
                | (WRITE if events & selectors.EVENT_WRITE else 0),
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

        def watch(self, sock: socket.socket, events: int, owner: Owner) -> None:
            number = sock.fileno()
            self._epoll.register(number, events)
            self._owners[number] = owner

        def change(self, sock: socket.socket, events: int) -> None:
            self._epoll.modify(sock.fileno(), events)

        def forget(self, sock: socket.socket) -> None:
            # Closing alone would do, unless another thread is starting a process just then.
            self._epoll.unregister(sock.fileno())
            del self._owners[sock.fileno()]

        def wait(self, timeout_s: float) -> Sequence[tuple[Owner, int]]:
            owners = self._owners
            # Errors and hang-ups are reported as ready for both, as select and poll do.
            return [
                (owners[number], events if events < 8 else events | READ | WRITE)
                for number, events in self._epoll.poll(timeout_s)
            ]

        def close(self) -> None:
            self._epoll.close()

    DefaultPoller = EpollPoller
else:
    DefaultPoller = SelectorPoller
