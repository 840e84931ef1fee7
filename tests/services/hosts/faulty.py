"""An SSH server that does what sshd cannot be made to do: stall, hang up, refuse, fill its disk."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_PARTIALLY_SUCCESSFUL,
    AUTH_SUCCESSFUL,
    OPEN_SUCCEEDED,
)
from paramiko.packet import Packetizer

from services.hosts.port import Host

if TYPE_CHECKING:
    from paramiko import Channel, PKey, Transport

HOST_KEY = paramiko.ECDSAKey.generate()


class Behaviour(paramiko.ServerInterface):
    """Lets everybody in and runs nothing, unless told otherwise."""

    def __init__(
        self,
        *,
        password: str | None = None,
        second: str | None = None,
        log_in: Callable[[], int] = lambda: AUTH_SUCCESSFUL,
        script: Callable[[Channel, str], None] | None = None,
        files: type[paramiko.SFTPServerInterface] | None = None,
    ) -> None:
        self.password = password
        self.second = second
        """A password that is wanted after the key."""
        self.log_in = log_in
        self.script = script
        self.files = files
        self.scripts: list[str] = []
        self.transports: list[Transport] = []
        self._running: list[threading.Thread] = []

    def get_allowed_auths(self, username: str) -> str:
        return "publickey" if self.password is None and self.second is None else "password"

    def check_auth_publickey(self, username: str, key: PKey) -> int:
        if self.password is not None:
            return AUTH_FAILED
        granted = self.log_in()
        if granted == AUTH_SUCCESSFUL and self.second is not None:
            return AUTH_PARTIALLY_SUCCESSFUL
        return granted

    def check_auth_password(self, username: str, password: str) -> int:
        right = password in (self.password, self.second)
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: Channel, command: bytes) -> bool:
        self.scripts.append(command.decode())
        if self.script is None:
            return False
        running = threading.Thread(target=self._run, args=(self.script, channel, command.decode()))
        self._running.append(running)
        running.start()
        return True

    @staticmethod
    def _run(script: Callable[[Channel, str], None], channel: Channel, text: str) -> None:
        # The transport's thread reads the reply to this only after it has answered the exec.
        with suppress(OSError, EOFError, paramiko.SSHException):
            channel.get_transport().global_request("wait-for-exec")
            script(channel, text)

    def end(self) -> None:
        for transport in self.transports:
            transport.close()
            transport.join(5)
        for running in self._running:
            running.join(5)


class Untimed(Packetizer):
    def start_handshake(self, timeout: float) -> None:
        """No timer thread, which would outlive a test that hangs up."""


@contextmanager
def faulty(behaviour: Behaviour) -> Iterator[Host]:
    """The server, and how to reach it; any key logs in, the host key is pinned."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=_accept, args=(listening, behaviour))
        accepting.start()
        try:
            yield Host(
                "faulty",
                "127.0.0.1",
                listening.getsockname()[1],
                fingerprint=HOST_KEY.fingerprint,
            )
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            behaviour.end()


def _accept(listening: socket.socket, behaviour: Behaviour) -> None:
    with suppress(OSError):
        while True:
            connected, _ = listening.accept()
            transport = paramiko.Transport(connected, packetizer_class=Untimed)
            transport.add_server_key(HOST_KEY)
            if behaviour.files is not None:
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, behaviour.files)
            behaviour.transports.append(transport)
            transport.start_server(event=threading.Event(), server=behaviour)


@contextmanager
def talking(answer: bytes | None, hang_up: bool = True) -> Iterator[Host]:
    """A server that is not SSH: says `answer` to whoever has said something, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connected, _ = listening.accept()
                    with connected:
                        if answer is not None:
                            connected.recv(100)
                            connected.sendall(answer)
                        if not hang_up:
                            over.wait(30)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield Host("other", "127.0.0.1", listening.getsockname()[1])
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
            serving.join()
