"""A lab host's SSH server. Imported by a running host only: paramiko costs 0.3 s.

Threads: the event loop accepts; each connection has paramiko's thread; each command a thread of
its own, and one more that waits for the client to leave, to stop the command then.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from services.lab.hosts.filesystem import HostFiles
from services.lab.hosts.session import run
from services.lab.hosts.sftp import HostSftp, Sftp
from services.lab.hosts.shell.interpreter import Shell
from services.lab.hosts.shell.machine import decoded
from services.lab.hosts.shell.pipeline import INTERRUPTED
from services.lab.hosts.shell.streams import Sink, Source
from services.lab.hosts.terminal import CrLf, LineEditor, interact
from services.problem import Stopped
from services.stop import Stop

USER = "root"

_LOG = "services.lab.hosts.ssh.paramiko"
"""paramiko reports every port scan as an error; nobody's terminal is the place for that."""

_GONE = (OSError, EOFError, paramiko.SSHException)
"""paramiko's words, in this place or that, for a client that has left."""

_PATIENCE_S = 2.0
"""How long `close` waits for what it has stopped."""

logging.getLogger(_LOG).addHandler(logging.NullHandler())
logging.getLogger(_LOG).propagate = False


class Host(Protocol):
    """What the SSH server asks of the host that it is part of; called in its threads."""

    @property
    def files(self) -> HostFiles: ...
    def host_key(self) -> Path:
        """The private key that a new connection shows."""
        ...

    def accepts_key(self, blob: str) -> bool:
        """Whether root may log in with this public key (base64, as in `authorized_keys`)."""
        ...

    def accepts_password(self, password: str) -> bool: ...
    def asks_for_password(self) -> bool: ...
    def shell(
        self, streams: tuple[Source, Sink, Sink], stop: Stop, environment: dict[str, str]
    ) -> Shell: ...


class SshServer:
    """Serves one host. `start` and `close` belong to the event loop."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._accepting: asyncio.Task[None] | None = None
        self._listening: socket.socket | None = None
        self._connections: set[_Connection] = set()

    @property
    def listening(self) -> bool:
        return self._listening is not None

    def start(self, listening: socket.socket) -> None:
        """Accept on a listening, non-blocking socket, which is closed by `stop`."""
        self._listening = listening
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listening))

    async def stop(self) -> None:
        """Stop listening, drop every connection, and wait for the threads to end."""
        if self._accepting is not None:
            self._accepting.cancel()
            with suppress(asyncio.CancelledError):
                await self._accepting
            self._accepting = None
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        connections, self._connections = self._connections, set()
        await asyncio.to_thread(_end, connections)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError:
                # Out of descriptors, or a client that left at once: the next one may do better.
                await asyncio.sleep(0.05)
                continue
            self._connections = {c for c in self._connections if c.transport.is_alive()}
            try:
                self._connections.add(_Connection(self._host, accepted))
            except (OSError, paramiko.SSHException):
                accepted.close()


def _end(connections: set[_Connection]) -> None:
    for connection in connections:
        connection.close()
    for connection in connections:
        connection.join(_PATIENCE_S)


class _Socket(socket.socket):
    """The connection's socket, which runs what is due when paramiko next waits for the client.

    paramiko sends its "yes" to a command's request after the handler has returned, in the same
    thread. A command begun in the handler could be over, its channel closed, before that "yes" is
    out; begun when the thread comes back for more, it cannot.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())
        self.due: deque[Callable[[], None]] = deque()

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        while self.due:
            self.due.popleft()()
        return super().recv(size, flags)


class _Connection:
    def __init__(self, host: Host, accepted: socket.socket) -> None:
        self._socket = _Socket(accepted)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = paramiko.Transport(self._socket)
        self.transport.set_log_channel(_LOG)
        self.transport.local_version = "SSH-2.0-OpenSSH_8.0"
        self.transport.add_server_key(
            paramiko.Ed25519Key.from_private_key_file(str(host.host_key()))
        )
        self.transport.set_subsystem_handler("sftp", Sftp, HostSftp, files=host.files)
        self._server = _Server(host, self._socket)
        self.transport.start_server(event=threading.Event(), server=self._server)

    def close(self) -> None:
        self._server.stop_all()
        with suppress(OSError):
            # Wakes paramiko's thread, which looks up ten times a second otherwise.
            self._socket.shutdown(socket.SHUT_RDWR)
        self.transport.close()

    def join(self, patience_s: float) -> None:
        self.transport.join(patience_s)
        self._server.join(patience_s)


@dataclass(frozen=True, slots=True)
class _Session:
    stop: Stop
    threads: tuple[threading.Thread, ...]


class _Server(paramiko.ServerInterface):
    """One connection's rights and sessions. Called in paramiko's thread."""

    def __init__(self, host: Host, wire: _Socket) -> None:
        self._host = host
        self._wire = wire
        self._environments: dict[int, dict[str, str]] = {}
        self._terminals: set[int] = set()
        self._sessions: list[_Session] = []

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password" if self._host.asks_for_password() else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        fine = username == USER and self._host.accepts_key(key.get_base64())
        return AUTH_SUCCESSFUL if fine else AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        fine = username == USER and self._host.accepts_password(password)
        return AUTH_SUCCESSFUL if fine else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_env_request(
        self, channel: paramiko.Channel, name: bytes, value: bytes
    ) -> bool:
        wanted = decoded(name)
        if wanted != "LANG" and not wanted.startswith("LC_"):
            return False
        self._environment(channel)[wanted] = decoded(value)
        return True

    def check_channel_pty_request(
        self,
        channel: paramiko.Channel,
        term: bytes,
        width: int,
        height: int,
        pixelwidth: int,
        pixelheight: int,
        modes: bytes,
    ) -> bool:
        self._environment(channel)["TERM"] = decoded(term)
        self._terminals.add(channel.get_id())
        return True

    def check_channel_window_change_request(
        self, channel: paramiko.Channel, width: int, height: int, pixelwidth: int, pixelheight: int
    ) -> bool:
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._begin(channel, decoded(command))
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        self._begin(channel, None)
        return True

    def stop_all(self) -> None:
        for session in self._sessions:
            session.stop.set()

    def join(self, patience_s: float) -> None:
        for session in self._sessions:
            for thread in session.threads:
                thread.join(patience_s)

    def _environment(self, channel: paramiko.Channel) -> dict[str, str]:
        return self._environments.setdefault(channel.get_id(), {})

    def _begin(self, channel: paramiko.Channel, script: str | None) -> None:
        """Have a command, or without one an interactive shell, run from when this is answered."""
        stop = Stop()
        environment = self._environment(channel)
        terminal = channel.get_id() in self._terminals

        def serve() -> None:
            status = 1
            try:
                status = _serve(self._host, channel, script, stop, environment, terminal=terminal)
            finally:
                with suppress(*_GONE):
                    channel.send_exit_status(status)
                with suppress(*_GONE):
                    channel.close()

        def watch() -> None:
            # Set when the channel is closed, by whichever side, or by the connection's loss.
            channel.recv_exit_status()
            stop.set()

        threads = tuple(
            threading.Thread(target=target, name=f"lab-{target.__name__}", daemon=True)
            for target in (serve, watch)
        )
        self._sessions = [s for s in self._sessions if any(t.is_alive() for t in s.threads)]
        self._sessions.append(_Session(stop, threads))

        def start() -> None:
            for thread in threads:
                thread.start()

        self._wire.due.append(start)


def _serve(
    host: Host,
    channel: paramiko.Channel,
    script: str | None,
    stop: Stop,
    environment: dict[str, str],
    *,
    terminal: bool,
) -> int:
    source, out = _Input(channel), _Output(channel.sendall)
    err = _Output(channel.sendall_stderr)
    if terminal:
        shown = CrLf(out)
        if script is not None:
            return run(host.shell((source, shown, shown), stop, environment), script)
        editor = LineEditor(source, shown)
        with suppress(Stopped, BrokenPipeError):
            return interact(host.shell((editor, shown, shown), stop, environment), editor)
        return INTERRUPTED
    shell = host.shell((source, out, err), stop, environment)
    # Without a terminal an interactive shell is one that reads its script from its input.
    return run(shell, "exec sh -s" if script is None else script)


class _Input:
    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def read(self, size: int, /) -> bytes:
        return self._channel.recv(size)


class _Output:
    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def write(self, data: bytes, /) -> None:
        try:
            self._send(data)
        except _GONE:
            raise BrokenPipeError from None
