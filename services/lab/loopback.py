"""Loopback ports that belong to somebody even while nobody listens on them."""

from __future__ import annotations

import socket
import struct
import sys

from services.problem import Problem

HOST = "127.0.0.1"

_ZONES = (HOST, "127.0.0.2")
"""An address for each of the balancer's zones. Linux and Windows have all of 127.0.0.0/8 on the
loopback interface; macOS has 127.0.0.1 alone unless somebody adds more."""

_ATTEMPTS = 20
"""How many ports are tried until one is free on all addresses."""

_LINGER_NOT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""`struct linger` with no time to linger: closing sends RST. Windows has shorts in it."""


class LoopbackPort:
    """A TCP port of a loopback address, taken at once and kept until `close`.

    While it is only held, a connection is refused, as on a host whose service is stopped.
    """

    def __init__(self, preferred: int | None = None, host: str = HOST) -> None:
        """Take `preferred` when it is free, else any. Raises `Problem` when there is none."""
        self._held: socket.socket | None = None
        try:
            self._held = _bound(host, preferred or 0)
        except OSError:
            try:
                self._held = _bound(host, 0)
            except OSError as error:
                raise Problem("lab.no-port", str(error)) from error
        self.host = host
        self.number: int = self._held.getsockname()[1]

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.number

    def listen(self, backlog: int = 1024) -> socket.socket:
        """The socket, listening and non-blocking; it is the caller's, who closes it, then `hold`s.

        Raises `Problem` when another process took the port meanwhile.
        """
        try:
            listening = self._held or _bound(self.host, self.number)
        except OSError as error:
            raise Problem("lab.port-taken", str(error), port=self.number) from error
        self._held = None
        try:
            _share(listening, True)
            listening.listen(backlog)
        except OSError as error:
            listening.close()
            raise Problem("lab.port-taken", str(error), port=self.number) from error
        return listening

    def hold(self) -> None:
        """Keep the port without listening, after the socket that `listen` gave was closed."""
        if self._held is None:
            try:
                self._held = _bound(self.host, self.number)
            except OSError as error:
                raise Problem("lab.port-taken", str(error), port=self.number) from error

    def close(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


def zone_ports(preferred: int | None = None) -> tuple[LoopbackPort, ...]:
    """The same port on an address for each zone; on the first alone where there is no other.

    Takes `preferred` when it is free on all of them. Raises `Problem` when there is no port.
    """
    for _ in range(_ATTEMPTS):
        first = LoopbackPort(preferred)
        ports = [first]
        for host in _ZONES[1:]:
            try:
                ports.append(LoopbackPort(first.number, host))
            except Problem:  # there is no such address
                continue
        if all(port.number == first.number for port in ports):
            return tuple(ports)
        preferred = None
        for port in ports:
            port.close()
    raise Problem("lab.no-port")


def reset_on_close(connection: socket.socket) -> None:
    """Make closing `connection` send RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        bound.setblocking(False)
        _share(bound, True)
        bound.bind((host, port))
        _share(bound, False)
    except OSError:
        bound.close()
        raise
    return bound


def _share(bound: socket.socket, shared: bool) -> None:
    """SO_REUSEADDR, without which a port cannot be taken while old connections linger on it.

    On Linux two sockets that have it may hold one port as long as neither listens; so it is on
    while the port is taken and when it begins to listen, and off while the port is only held. On
    Windows it would let anybody share the port at any time.
    """
    if sys.platform != "win32":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(shared))
