"""A client's connection as bytes in and bytes out: TLS, or nothing at all.

Imported by a running balancer only, since pyOpenSSL costs 0.1 s.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from OpenSSL import SSL

_RECORD = 16384
"""TLS's largest record, hence the most that one read gives (RFC 8446 5.1)."""

_HANDSHAKE = 22
"""The first byte of a TLS connection: the ClientHello's content type (RFC 8446 5.1)."""

_PIECE = 1 << 16
"""How much of the pending output is taken at once."""


class Refused(Exception):
    """The client failed the handshake or broke the protocol; an alert may be waiting in `take`."""


class Wire(Protocol):
    """What lies between a client's socket and its plain bytes. Never touches the socket."""

    finished: bool
    """Whether the client has said that it sends no more."""

    def admit(self, data: bytes) -> bool:
        """Take in bytes until the client is let in, which is when this is true. Raises `Refused`.

        What came with the client's last handshake message waits for `feed`.
        """
        ...

    def feed(self, data: bytes) -> bytes:
        """Take in bytes from the socket, give the plain ones. Raises `Refused`."""
        ...

    def seal(self, data: bytes) -> None:
        """Turn plain bytes into bytes for the socket, which `take` gives."""
        ...

    def finish(self) -> None:
        """Say that no more is sent."""
        ...

    def take(self) -> bytes:
        """Whatever is to be written to the socket now."""
        ...


class Plain:
    """No TLS: the listener that somebody created with the wrong protocol."""

    def __init__(self) -> None:
        self._arrived = b""
        self._out = b""
        self.finished = False

    def admit(self, data: bytes) -> bool:
        self._arrived = data
        return True

    def feed(self, data: bytes) -> bytes:
        arrived, self._arrived = self._arrived, b""
        return arrived + data

    def seal(self, data: bytes) -> None:
        self._out += data

    def finish(self) -> None:
        """TCP's own end says it all."""

    def take(self) -> bytes:
        out, self._out = self._out, b""
        return out


class Tls:
    """The server's side of a TLS connection, over memory."""

    def __init__(self, context: SSL.Context) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self.finished = False

    def admit(self, data: bytes) -> bool:
        if data:
            self._tls.bio_write(data)
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise Refused(str(error)) from None
        return True

    def feed(self, data: bytes) -> bytes:
        tls, chunks = self._tls, []
        if data:
            tls.bio_write(data)
        try:
            while True:
                chunks.append(tls.recv(_RECORD))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.finished = True
        except SSL.Error as error:
            raise Refused(str(error)) from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def seal(self, data: bytes) -> None:
        self._tls.sendall(data)

    def finish(self) -> None:
        try:
            self._tls.shutdown()
        except SSL.Error as error:
            raise Refused(str(error)) from None

    def take(self) -> bytes:
        chunks: list[bytes] = []
        with suppress(SSL.WantReadError):
            while not chunks or len(chunks[-1]) == _PIECE:
                chunks.append(self._tls.bio_read(_PIECE))
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Either:
    """TLS for a client that begins with it, and no TLS for any other, on one port."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context
        self._wire: Wire = Plain()
        self._chosen = False

    @property
    def finished(self) -> bool:
        return self._wire.finished

    @finished.setter
    def finished(self, finished: bool) -> None:
        self._wire.finished = finished

    def admit(self, data: bytes) -> bool:
        if not data:
            return False
        if not self._chosen:
            self._chosen = True
            if data[0] == _HANDSHAKE:
                self._wire = Tls(self._context)
        return self._wire.admit(data)

    def feed(self, data: bytes) -> bytes:
        return self._wire.feed(data)

    def seal(self, data: bytes) -> None:
        self._wire.seal(data)

    def finish(self) -> None:
        self._wire.finish()

    def take(self) -> bytes:
        return self._wire.take()
