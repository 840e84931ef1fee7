"""One client's passage through the balancer: let in, given a backend, relayed both ways.

Everything here runs in the lab's event loop. Both directions have flow control (who reads slowly
slows the other side down) and end separately: a client that has sent its all still gets its answer.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from ipaddress import ip_address
from typing import Protocol, cast

from services.lab.balancer.listener import Target
from services.lab.balancer.wire import Refused, Wire
from services.lab.loopback import reset_on_close

LINGER_S = 1.0
"""How long a refused client may take to read its alert before its connection is dropped."""

CONNECT_TIMEOUT_S = 5.0


class House(Protocol):
    """The listener that a passage leads through."""

    @property
    def proxy_protocol(self) -> bool: ...
    def joined(self, passage: Passage) -> None: ...
    def left(self, passage: Passage) -> None: ...
    def target(self) -> Target | None:
        """Whose turn it is; None when no target may get traffic."""
        ...


class Passage(asyncio.Protocol):
    """The client's side. `deadline` and `active` are loop times that the listener watches."""

    def __init__(self, house: House, wire: Wire, loop: asyncio.AbstractEventLoop) -> None:
        self._house = house
        self._wire = wire
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._backend: _Backend | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._admitted = False
        self._dismissed = False
        self.active = loop.time()
        self.deadline: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._house.joined(self)
        self._admit(b"")

    def data_received(self, data: bytes) -> None:
        self.active = self._loop.time()
        if self._dismissed:
            return
        if not self._admitted:
            self._admit(data)
            return
        wire, backend = self._wire, self._backend
        try:
            plain = wire.feed(data)
        except Refused:
            self._dismiss()
            return
        self._flush()
        if backend is not None:
            if plain:
                backend.send(plain)
            if wire.finished:
                backend.send_eof()

    def _admit(self, data: bytes) -> None:
        try:
            self._admitted = self._wire.admit(data)
        except Refused:
            self._dismiss()
            return
        self._flush()
        if self._admitted:
            self._find_backend()

    def eof_received(self) -> bool:
        """TCP's end of the client's bytes; true keeps the other direction open."""
        self._wire.finished = True
        if self._backend is None:
            return False
        self._backend.send_eof()
        return not self._backend.over

    def connection_lost(self, exc: Exception | None) -> None:
        self._house.left(self)
        self._transport = None
        if self._connecting is not None:
            self._connecting.cancel()
        if self._backend is not None:
            self._backend.client_lost()

    def pause_writing(self) -> None:
        if self._backend is not None:
            self._backend.pause()

    def resume_writing(self) -> None:
        if self._backend is not None:
            self._backend.resume()

    def abort(self) -> None:
        """Drop both sides at once."""
        if self._transport is not None:
            self._transport.abort()

    # What the backend's side calls.

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def deliver(self, data: bytes) -> None:
        if self._dismissed:
            return
        self.active = self._loop.time()
        self._wire.seal(data)
        self._flush()

    def backend_ended(self) -> None:
        """The backend has sent its all: tell the client, and close once it has ended too."""
        if self._transport is None:
            return
        with suppress(Refused):
            self._wire.finish()
        self._flush()
        if self._wire.finished:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()

    def backend_reset(self) -> None:
        """The backend broke off: pass the reset on."""
        if self._transport is not None:
            reset_on_close(self._transport.get_extra_info("socket"))
            self._transport.abort()

    def _flush(self) -> None:
        if (out := self._wire.take()) and self._transport is not None:
            self._transport.write(out)

    def _dismiss(self) -> None:
        """Send what is left (an alert), then FIN, and read on, lest TCP reset it all away."""
        self._dismissed = True
        if self._backend is not None:
            self._backend.client_lost()
        self.deadline = self._loop.time() + LINGER_S
        self._flush()
        if self._transport is not None:
            self._transport.write_eof()

    def _find_backend(self) -> None:
        self.deadline = None
        target = self._house.target()
        if target is None:
            with suppress(Refused):
                self._wire.finish()
            self._dismiss()
            return
        # The client's bytes wait in its socket until there is somebody to read them.
        self.pause()
        self._connecting = self._loop.create_task(self._connect(target))

    async def _connect(self, target: Target) -> None:
        backend = _Backend(self)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if not target.admitted:
                    await asyncio.Event().wait()
                await self._loop.create_connection(lambda: backend, target.host, target.port)
        except OSError:  # TimeoutError is one
            self.backend_reset()
            return
        finally:
            self._connecting = None
        transport = self._transport
        if transport is None:
            backend.client_lost()
            return
        self._backend = backend
        if self._house.proxy_protocol:
            peer = transport.get_extra_info("peername")
            here = transport.get_extra_info("sockname")
            backend.send(_proxy_header(peer, here))
        # The request that came along with the client's last handshake message.
        self.data_received(b"")
        self.resume()
        if self._wire.finished:
            backend.send_eof()


class _Backend(asyncio.Protocol):
    """The backend's side."""

    def __init__(self, client: Passage) -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._sent_eof = False
        self.over = False
        """Whether the backend has sent its all."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._client.deliver(data)

    def eof_received(self) -> bool:
        self.over = True
        self._client.backend_ended()
        return not self._sent_eof

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if exc is not None:
            self._client.backend_reset()

    def pause_writing(self) -> None:
        self._client.pause()

    def resume_writing(self) -> None:
        self._client.resume()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def send_eof(self) -> None:
        if self._transport is None or self._sent_eof:
            return
        self._sent_eof = True
        if self.over:
            self._transport.close()
        else:
            self._transport.write_eof()

    def client_lost(self) -> None:
        if self._transport is not None:
            if self._sent_eof and self.over:
                self._transport.close()
            else:
                self._transport.abort()


_PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def _proxy_header(peer: tuple[str, int], here: tuple[str, int]) -> bytes:
    """A PROXY protocol v2 header (HAProxy's specification, 2.2): PROXY, TCP over IPv4."""
    addresses = ip_address(peer[0]).packed + ip_address(here[0]).packed
    return (
        _PROXY_SIGNATURE
        + struct.pack("!BBH", 0x21, 0x11, len(addresses) + 4)
        + addresses
        + struct.pack("!HH", peer[1], here[1])
    )
