"""A TCP connection to a host: the name looked up, the addresses tried, never longer than it may."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from services.hosts.facts import problem
from services.hosts.port import Host
from services.stop import Stop

_GLANCE_S = 0.1
"""How often a wait that cannot be interrupted looks whether it should end."""

_UNACKNOWLEDGED_MS = 60_000
"""How long sent bytes may stay without an acknowledgement before the connection counts as lost."""

_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that a name stands for."""

    family: socket.AddressFamily
    address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def dial(host: Host, stop: Stop, timeout_s: float) -> socket.socket:
    """A connected TCP socket to `host`, by the first of its addresses that answers.

    Raises
    ------
    Problem
        `hosts.name-not-resolving`, `hosts.port-closed`, `hosts.unreachable`, `hosts.timeout`.
    Stopped
    """
    deadline = time.monotonic() + timeout_s
    endpoints = _resolve(host, stop, deadline)
    failed: list[OSError] = []
    for number, endpoint in enumerate(endpoints):
        # A share each, so that one address that swallows packets does not cost the others.
        share = max(deadline - time.monotonic(), 0) / (len(endpoints) - number)
        try:
            return _connect(endpoint, stop, share)
        except OSError as error:
            failed.append(error)
    evidence = ", ".join(
        f"{endpoint.address[0]}: {error.strerror}"
        for endpoint, error in zip(endpoints, failed, strict=True)
    )
    codes = {error.errno for error in failed}
    if errno.ECONNREFUSED in codes:
        raise problem("port-closed", host, evidence) from failed[-1]
    if errno.ETIMEDOUT in codes:
        raise problem("timeout", host, evidence, seconds=f"{timeout_s:g}") from failed[-1]
    raise problem("unreachable", host, evidence) from failed[-1]


def _resolve(host: Host, stop: Stop, deadline: float) -> Sequence[Endpoint]:
    """Look the name up in a thread of its own: `getaddrinfo` can be neither stopped nor timed."""
    numeric = socket.AI_NUMERICHOST
    try:
        return _look_up(host, numeric)
    except (OSError, UnicodeError):
        pass
    answered = threading.Event()
    found: list[Sequence[Endpoint]] = []
    failed: list[Exception] = []

    def look_up() -> None:
        try:
            found.append(_look_up(host, 0))
        except (OSError, UnicodeError) as error:
            failed.append(error)
        answered.set()

    threading.Thread(target=look_up, name=f"ssh look-up {host.address}", daemon=True).start()
    while not answered.wait(_GLANCE_S):
        stop.check()
        if time.monotonic() > deadline:
            raise problem("name-not-resolving", host, os.strerror(errno.ETIMEDOUT))
    if failed:
        raise problem("name-not-resolving", host, failed[0]) from failed[0]
    return found[0]


def _look_up(host: Host, flags: int) -> Sequence[Endpoint]:
    infos = socket.getaddrinfo(host.address, host.port, type=socket.SOCK_STREAM, flags=flags)
    return tuple(dict.fromkeys(Endpoint(info[0], info[4]) for info in infos))


def _connect(endpoint: Endpoint, stop: Stop, timeout_s: float) -> socket.socket:
    """Raises OSError, with ETIMEDOUT when the time is up."""
    deadline = time.monotonic() + timeout_s
    connecting = socket.socket(endpoint.family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        code = connecting.connect_ex(endpoint.address)
        if code not in _UNDER_WAY:
            raise OSError(code, os.strerror(code))
        with selectors.DefaultSelector() as selector:
            selector.register(connecting, selectors.EVENT_WRITE)
            while not selector.select(_GLANCE_S):
                stop.check()
                if time.monotonic() > deadline:
                    raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        connecting.setblocking(True)
        _keep_alive(connecting)
    except BaseException:
        connecting.close()
        raise
    return connecting


def _keep_alive(connected: socket.socket) -> None:
    """Notice a peer that has vanished, rather than wait for it until a script's time is up."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; elsewhere the system's own limits hold
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
