"""One SSH connection: the handshake, the host's key, the log-in, and an end to every wait.

paramiko waits without a limit in many places. So nothing here trusts its time-outs: a block that
talks to a host runs inside `bounded`, which cuts the socket when the stop is set or the time is
up, and says which of the two it was.

paramiko costs 0.3 s, so it is imported where it is used.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from services.hosts.dial import dial
from services.hosts.facts import problem
from services.hosts.host_keys import HostKey, signature_algorithms
from services.hosts.port import Host
from services.problem import Problem
from services.stop import Stop

if TYPE_CHECKING:
    from paramiko import Channel, Transport
    from paramiko.packet import Packetizer

_KEEP_ALIVE_S = 15
_GREETING_BYTES = 200
_END_S = 5
"""How long the transport's thread may take to end once its socket is shut down."""
_SETTLE_S = 0.2
"""How long it may take to tell the end of the connection from the end of a channel."""

# What paramiko logs would otherwise reach the terminal by logging's handler of last resort.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a host may take for each thing, in seconds."""

    connect_s: float = 10
    handshake_s: float = 15
    login_s: float = 30
    channel_s: float = 15
    transfer_s: float = 120


class Connection:
    """An SSH connection, to be trusted by its `key`, logged in, and used. Thread-safe."""

    def __init__(self, host: Host, transport: Transport, line: socket.socket, key: HostKey) -> None:
        self.host = host
        self.transport = transport
        self.key = key
        self._line = line

    @property
    def alive(self) -> bool:
        return self.transport.is_active()

    def cut(self) -> None:
        """End it at once, whatever thread is waiting on it: each wait there ends with an error."""
        _shut_down(self._line)

    def close(self) -> None:
        """End it, and wait until its thread is gone and its socket closed."""
        _end(self.transport, self._line)

    @contextmanager
    def bounded(
        self,
        stop: Stop,
        seconds: float,
        late: Problem,
        broken: Callable[[str], Problem] | None = None,
    ) -> Iterator[None]:
        """Run the block, for no longer than `seconds` and until `stop` is set.

        Raises
        ------
        Stopped
        Problem
            `late` when the time was up; `hosts.connection-lost` when the connection ended;
            what `broken` makes of the evidence when something failed on a connection that stands.
        """
        with _bounded(self.cut, stop, seconds, lambda: late):
            try:
                yield
            except wire_errors() as error:
                # A dying transport closes its channels first, and says that it is dead after.
                self.transport.join(timeout=_SETTLE_S)
                if broken is None or not self.alive:
                    raise problem("connection-lost", self.host, _said(error)) from error
                raise broken(_said(error)) from error

    def open(self, stop: Stop, seconds: float) -> Channel:
        """A new session channel.

        Raises Problem `hosts.session-refused`, `hosts.connection-lost`, or Stopped.
        """
        late = problem("connection-lost", self.host)
        with self.bounded(stop, seconds, late, partial(problem, "session-refused", self.host)):
            return self.transport.open_session()


def connect(host: Host, key_types: Sequence[str], stop: Stop, timeouts: Timeouts) -> Connection:
    """Connect and shake hands, asking for a host key of `key_types` before any other type.

    The host's key has proved that the host holds it, but nobody has yet said that it is the
    right one: that is for the caller to settle before anything else is sent.

    Raises
    ------
    Problem
        What `dial` raises; `hosts.not-ssh`, `hosts.hung-up`, `hosts.no-common-algorithm`,
        `hosts.handshake-failed`, `hosts.handshake-timeout`.
    Stopped
    """
    line = _Listened(fileno=dial(host, stop, timeouts.connect_s).detach())
    limit = timeouts.handshake_s

    def late() -> Problem:
        return problem("handshake-timeout", host, line.greeting, seconds=f"{limit:g}")

    transport = _new_transport(line)
    transport.name = f"ssh to {host.name}"
    try:
        transport.get_security_options().key_types = signature_algorithms(key_types)
        with _bounded(lambda: _shut_down(line), stop, limit, late):
            agreed = threading.Event()
            transport.start_client(event=agreed)
            agreed.wait()
            if not transport.is_active():
                raise _handshake_problem(host, transport, line)
            key = transport.get_remote_server_key()
        transport.set_keepalive(_KEEP_ALIVE_S)
    except wire_errors() as error:
        _end(transport, line)
        raise problem("handshake-failed", host, _said(error)) from error
    except BaseException:
        _end(transport, line)
        raise
    return Connection(host, transport, line, HostKey(key.get_name(), key.asbytes()))


@contextmanager
def closing(channel: Channel) -> Iterator[None]:
    """Close `channel` after the block; on a connection that is gone there is nothing to close."""
    try:
        yield
    finally:
        with suppress(*wire_errors()):
            channel.close()


@cache
def wire_errors() -> tuple[type[Exception], ...]:
    """What paramiko raises when a host, or the way to it, fails."""
    from paramiko import SFTPError, SSHException

    return (SSHException, SFTPError, EOFError, OSError)


@contextmanager
def _bounded(
    cut: Callable[[], None], stop: Stop, seconds: float, late: Callable[[], Problem]
) -> Iterator[None]:
    up = threading.Event()

    def expire() -> None:
        up.set()
        cut()

    timer = threading.Timer(seconds, expire)
    timer.daemon, timer.name = True, "ssh limit"
    with stop.closing(cut):
        timer.start()
        try:
            yield
        except Problem:
            stop.check()
            if up.is_set():
                raise late() from None
            raise
        finally:
            timer.cancel()
            timer.join()


def _handshake_problem(host: Host, transport: Transport, line: _Listened) -> Problem:
    from paramiko.ssh_exception import IncompatiblePeer

    error = transport.get_exception()
    if not line.heard:
        return problem("hung-up", host)
    if not transport.remote_version:
        return problem("not-ssh", host, line.greeting)
    if isinstance(error, IncompatiblePeer):
        return problem("no-common-algorithm", host, _said(error))
    return problem("handshake-failed", host, _said(error))


def _said(error: BaseException | None) -> str:
    """What an error says, or its kind where it says nothing (EOFError does not)."""
    return str(error) or type(error).__name__


def _shut_down(line: socket.socket) -> None:
    # Not close(): that would wake no thread that is waiting on the socket, and its number could
    # be another socket's a moment later. The transport's thread closes it when it ends.
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _end(transport: Transport, line: socket.socket) -> None:
    _shut_down(line)
    if transport.is_alive():
        transport.join(timeout=_END_S)
    transport.close()
    line.close()


class _Listened(socket.socket):
    """A socket that keeps the first bytes it receives, to tell what answers if it is not SSH."""

    heard = b""

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        if len(self.heard) < _GREETING_BYTES:
            self.heard += data[: _GREETING_BYTES - len(self.heard)]
        return data

    @property
    def greeting(self) -> str:
        return self.heard.decode("utf-8", errors="replace")


def _new_transport(line: socket.socket) -> Transport:
    transport = _transport_class()(line, packetizer_class=_packetizer_class())
    # `bounded` cuts the line long before: there is one limit, and it knows what it is for.
    transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = 3600
    return transport


@cache
def _transport_class() -> type[Transport]:
    from paramiko import SSHException, Transport

    class BoundedTransport(Transport):
        """A Transport whose failures are all of the kinds that `wire_errors` names.

        What a hostile or broken host sends can raise anything at all in paramiko's parsing; it is
        caught in the transport's thread, and raised again for whoever waits.
        """

        def get_exception(self) -> Exception | None:
            error = super().get_exception()
            if error is None or isinstance(error, (SSHException, EOFError, OSError)):
                return error
            return SSHException(f"{type(error).__name__}: {error}")

    return BoundedTransport


@cache
def _packetizer_class() -> type[Packetizer]:
    from paramiko.packet import Packetizer

    class UntimedPacketizer(Packetizer):
        """A Packetizer without the handshake's timer: a thread that outlives a failure by 15 s."""

        def start_handshake(self, timeout: float) -> None:
            pass

    return UntimedPacketizer
