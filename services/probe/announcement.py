"""What a server says before it knows who is there: its chain, and whom it wants to hear from.

Up to TLS 1.2 the server's first flight is in the clear (RFC 5246 section 7.3), and says what
Python's ssl module keeps to itself: whether a client certificate is asked for, the names of the
CAs that are accepted, and the chain, also one that is not to be trusted.
"""

from __future__ import annotations

import errno
import hashlib
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from services.probe.address import Address
from services.probe.poller import READ, WRITE, DefaultPoller
from services.probe.target import Target, client_context
from services.stop import Stop

_LIMIT = 256 * 1024
"""Bytes of a first flight; OpenSSL takes no chain beyond 100 KiB."""
_HANDSHAKE = 22
"""The record type, RFC 5246 section 6.2.1."""
_CERTIFICATE, _CERTIFICATE_REQUEST, _SERVER_HELLO_DONE = 11, 13, 14
"""Message types, RFC 5246 section 7.4."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A server's first flight in TLS 1.2."""

    chain: tuple[bytes, ...] = ()
    """Certificates in DER, the server's own first."""
    certificate_asked: bool = False
    accepted_cas: tuple[bytes, ...] = ()
    """Names (DER) of the CAs that the server announces; empty when it announces none."""
    versions: tuple[str, ...] = ()
    """The protocol versions that it speaks, oldest first, as `TLSv1`, `TLSv1.1`, `TLSv1.2`, …"""
    cipher: str = ""
    group: str = ""
    """The key exchange that it picked, as `x25519`."""
    alpn: str = ""
    """What it picked of `h2` and `http/1.1`; empty when it picks nothing."""
    resumption: bool | None = None
    """Whether a second connection resumed the first one's session; None when not measured."""


class Malformed(Exception):
    """Not a first flight of TLS 1.2; an alert, for one, from a server that speaks only 1.3."""


def announce(target: Target, addresses: Sequence[Address], stop: Stop) -> Announcement | None:
    """Say hello as a TLS 1.2 client and hear the answer out; nothing else is sent.

    None when there is nothing to be learnt: the server speaks TLS 1.3 only or no TLS, cannot be
    reached, or the run is stopped.
    """
    hello = _client_hello(target)
    for address in addresses:
        try:
            return _hear(address, hello, target.timeouts.handshake_s, stop)
        except (OSError, Malformed):
            continue
    return None


def _client_hello(target: Target) -> bytes:
    import ssl

    stranger = replace(target, certificate_file=None, key_file=None)
    context = client_context(stranger, verify=False)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=target.name).do_handshake()
    return outgoing.read()


def _hear(address: Address, hello: bytes, timeout_s: float, stop: Stop) -> Announcement | None:
    deadline = time.monotonic() + timeout_s
    reader, greeted = FlightReader(), False
    with (
        socket.socket(address.family, socket.SOCK_STREAM) as sock,
        closing(DefaultPoller[None]()) as poller,
    ):
        sock.setblocking(False)
        code = sock.connect_ex((address.host, address.port))
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            return None
        poller.watch(sock, WRITE, None)
        while not stop.is_set() and time.monotonic() < deadline:
            if not poller.wait(0.05):
                continue
            if not greeted:
                sock.sendall(hello)
                greeted = True
                poller.change(sock, READ)
            elif not (data := sock.recv(65536)):
                return None
            elif found := reader.feed(data):
                return found
    return None


class FlightReader:
    """Puts a first flight together from TLS records, however the network cut them."""

    def __init__(self) -> None:
        self._records = b""
        self._messages = b""
        self._taken = 0
        self._greeting = Announcement()

    def feed(self, data: bytes) -> Announcement | None:
        """Take `data`; the announcement, once it is complete. Raises Malformed."""
        self._taken += len(data)
        if self._taken > _LIMIT:
            raise Malformed("too long")
        self._records += data
        while len(self._records) >= 5:
            kind, length = self._records[0], int.from_bytes(self._records[3:5], "big")
            if kind != _HANDSHAKE or self._records[1] != 3:
                raise Malformed("no handshake")
            if len(self._records) < 5 + length:
                break
            self._messages += self._records[5 : 5 + length]
            self._records = self._records[5 + length :]
            if self._read_messages():
                return self._greeting
        return None

    def _read_messages(self) -> bool:
        while len(self._messages) >= 4:
            kind, length = self._messages[0], int.from_bytes(self._messages[1:4], "big")
            if len(self._messages) < 4 + length:
                return False
            body = self._messages[4 : 4 + length]
            self._messages = self._messages[4 + length :]
            if kind == _CERTIFICATE:
                chain, _ = _vector(body, 0, 3)
                self._greeting = replace(self._greeting, chain=tuple(_vectors(chain, 3)))
            elif kind == _CERTIFICATE_REQUEST:
                # certificate_types<1>, supported_signature_algorithms<2>, authorities<2>
                _, at = _vector(body, 0, 1)
                _, at = _vector(body, at, 2)
                names, _ = _vector(body, at, 2)
                self._greeting = replace(
                    self._greeting,
                    certificate_asked=True,
                    accepted_cas=tuple(_vectors(names, 2)),
                )
            elif kind == _SERVER_HELLO_DONE:
                return True
        return False


def _vector(data: bytes, at: int, width: int) -> tuple[bytes, int]:
    """A vector whose length has `width` bytes (RFC 5246 section 4.3), and where it ends."""
    start = at + width
    end = start + int.from_bytes(data[at:start], "big")
    if start > len(data) or end > len(data):
        raise Malformed("a vector is longer than its message")
    return data[start:end], end


def _vectors(data: bytes, width: int) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        found, at = _vector(data, at, width)
        yield found


_COMMON_NAME = re.compile(rb"\x06\x03\x55\x04\x03[\x0c\x13\x14\x16]([\x01-\x7f])", re.DOTALL)
"""The attribute CN (2.5.4.3), a text of any type, a short length."""


def ca_name(name: bytes) -> str:
    """A CA's name (DER) for evidence: its CN, or where it has none a digest."""
    if found := _COMMON_NAME.search(name):
        text = name[found.end() : found.end() + found[1][0]].decode("utf-8", "replace")
        return "".join(letter for letter in text if letter.isprintable())
    return f"a CA without CN ({hashlib.sha256(name).hexdigest()[:8]})"
