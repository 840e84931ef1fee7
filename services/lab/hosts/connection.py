"""A client's connection to the web server of a lab host, and all that can go wrong on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from services.lab.hosts.pages import PageServer
from services.lab.hosts.request_head import RequestHead
from services.lab.hosts.trouble import Trouble

_MOST_HEAD = 32 << 10
"""nginx's default: four buffers of 8 KiB for a request's head."""

_SLOW_S = 1.0
_DRIP_S = 1.0
_FLOOD_S = 0.001
"""How long after a piece of a flood the next one comes: the lab has others to serve, too."""

_NEVER_DONE = 1 << 20
"""How many bytes an answer announces that comes a byte a second."""

_PIECE = b"Hello, and so on without an end.\n" * 2000
_GARBAGE = bytes(range(128, 256))
_CLIENT_HAS_GONE = 499
"""nginx's own status, in the log only, of a request that was not waited for."""


class Connection(asyncio.Protocol):
    """One client's connection. Runs in the lab's event loop."""

    def __init__(
        self,
        pages: PageServer,
        trouble: Callable[[], Trouble],
        everybody: set[Connection],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`trouble` is asked anew for every request; in `everybody` it stands while it lasts."""
        self._pages = pages
        self._trouble = trouble
        self._everybody = everybody
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._skip = 0
        """Bytes of a request's body still to come, which nobody wants."""
        self._owed: RequestHead | None = None
        """The request whose answer is not all sent yet, nor logged."""
        self._status = _CLIENT_HAS_GONE
        self._sent = 0
        self._timer: asyncio.TimerHandle | None = None
        self._full = False
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._everybody.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._everybody.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._owed is not None:
            self._pages.log(self._owed, self._status, self._sent)
            self._owed = None

    def eof_received(self) -> bool:
        # What is on its way still comes; after that the connection ends.
        self._ended = True
        return self._timer is not None

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def close(self) -> None:
        """End it; an answer that is still owed never comes."""
        if self._transport is None:
            return
        if self._owed is None:
            self._transport.close()
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._skip:
            taken = min(self._skip, len(data))
            self._skip -= taken
            data = data[taken:]
        self._buffer = self._buffer + data if self._buffer else data
        if self._owed is None:
            self._proceed()

    def _proceed(self) -> None:
        while self._transport is not None and self._buffer and self._owed is None:
            if self._buffer[0] in b"\r\n":
                self._buffer = self._buffer.lstrip(b"\r\n")
                continue
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                # A TLS greeting, a PROXY header: whatever is no method gets an answer at once.
                if len(self._buffer) > _MOST_HEAD or not self._buffer[:1].isalpha():
                    self._respond(RequestHead(b""))
                return
            request = RequestHead(self._buffer[:end])
            rest = self._buffer[end + 4 :]
            self._skip = max(0, request.length - len(rest))
            self._buffer = rest[request.length :]
            self._serve(request, self._trouble())

    def _serve(self, request: RequestHead, trouble: Trouble) -> None:
        match trouble:
            case "slow":
                self._owed = request
                self._timer = self._loop.call_later(_SLOW_S, self._respond_late)
            case "hangs":
                self._owed = request
            case "drips":
                self._begin(request, _NEVER_DONE)
                self._drip()
            case "floods":
                self._begin(request, None)
                self._flood()
            case "cut":
                page = self._pages.page(request)
                self._begin(request, 2 * len(page))
                self._send(page)
                self._leave()
            case "garbage":
                self._babble()
            case _:
                self._respond(request, trouble)

    def _babble(self) -> None:
        """Say what is no HTTP; whoever does that keeps no web server's log either."""
        if self._transport is not None:
            self._transport.write(_GARBAGE)
        self._leave()

    def _begin(self, request: RequestHead, length: int | None) -> None:
        """Announce a page of `length` bytes; whether they come is another matter."""
        self._owed, self._status = request, 200
        if self._transport is not None:
            self._transport.write(self._pages.announcement(length))

    def _send(self, piece: bytes) -> None:
        if self._transport is not None and not self._full:
            self._transport.write(piece)
            self._sent += len(piece)

    def _drip(self) -> None:
        # All bytes but the last.
        if self._sent < _NEVER_DONE - 1:
            self._send(b".")
        self._timer = self._loop.call_later(_DRIP_S, self._drip)

    def _flood(self) -> None:
        self._send(_PIECE)
        self._timer = self._loop.call_later(_FLOOD_S, self._flood)

    def _respond_late(self) -> None:
        request, self._owed, self._timer = self._owed, None, None
        if request is not None:
            self._respond(request)
        if self._ended:
            self._leave()
        else:
            self._proceed()

    def _respond(self, request: RequestHead, trouble: Trouble = "") -> None:
        if self._transport is None:
            return
        self._transport.write(self._pages.answer(request, trouble))
        if not request.keep_alive:
            self._leave()

    def _leave(self) -> None:
        """Close once all is sent; nothing more is read."""
        self._buffer = b""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
