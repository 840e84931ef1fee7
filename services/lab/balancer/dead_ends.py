"""What a client meets where no TLS server answers: connections that lead nowhere."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from services.lab.loopback import reset_on_close


class House(Protocol):
    """The listener, which drops whoever is still there when it ends."""

    def joined(self, client: DeadEnd) -> None: ...
    def left(self, client: DeadEnd) -> None: ...


class DeadEnd(asyncio.Protocol):
    """Takes what comes and never answers, for as long as the client stays: a stalled server."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._house.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._house.left(self)
        self._transport = None

    def abort(self) -> None:
        """Drop the client at once."""
        if self._transport is not None:
            self._transport.abort()


class Reset(DeadEnd):
    """Answers a client's first bytes with RST, or its silence after a moment.

    At once would be too soon: on one computer the client would still be connecting.
    """

    _MOMENT_S = 0.2

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        reset_on_close(transport.get_extra_info("socket"))
        self._timer = asyncio.get_running_loop().call_later(self._MOMENT_S, self.abort)

    def data_received(self, data: bytes) -> None:
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)


class Cut(DeadEnd):
    """Answers a client's first bytes with FIN, and reads on, lest TCP make a reset of it."""

    def data_received(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()


class SshServer(DeadEnd):
    """An SSH server where TLS is expected: speaks first (RFC 4253 4.2), as OpenSSH does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        cast(asyncio.Transport, transport).write(b"SSH-2.0-OpenSSH_9.6\r\n")

    def data_received(self, data: bytes) -> None:
        if self._transport is not None and not data.startswith(b"SSH-"):
            self._transport.write(b"Invalid SSH identification string.\r\n")
            self._transport.close()
