"""A real OpenSSH server on a loopback port: one sshd process a connection, as inetd would do it.

So no port is guessed and nothing waits for a start: the socket listens from the beginning, and a
test can see, count and end the connections.
"""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from services.hosts.port import Host
from tests.programs import program

KEY_TYPES = ("ed25519", "ecdsa", "rsa")


@dataclass(slots=True)
class OpenSsh:
    """A running server. `keys` are its host keys' files, by type."""

    port: int
    folder: Path
    keys: dict[str, Path]
    client_key: Path
    sessions: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def host(self, name: str = "ECS01", **changes: object) -> Host:
        settings: dict[str, object] = {
            "address": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "private_key_file": str(self.client_key),
        }
        return Host(name, **(settings | changes))  # type: ignore[arg-type]

    def pinned(self, name: str = "ECS01", **changes: object) -> Host:
        return self.host(name, fingerprint=fingerprint(self.keys["ed25519"]), **changes)

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text()


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "", *more: str) -> Path:
    """A new key pair, by ssh-keygen."""
    size = ["-b", "2048"] if kind == "rsa" else []
    command = [program("ssh-keygen"), "-q", "-t", kind, *size, "-N", passphrase, "-C", "test"]
    subprocess.run([*command, *more, "-f", str(path)], check=True)
    return path


def fingerprint(key: Path) -> str:
    """What `ssh-keygen -lf` says of a key."""
    command = [program("ssh-keygen"), "-lf", str(key)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def public_line(key: Path) -> str:
    """`type base64` of a key's public half."""
    return " ".join(key.with_name(key.name + ".pub").read_text().split()[:2])


@contextmanager
def serving(
    folder: Path, keys: dict[str, Path], client_key: Path, *lines: str
) -> Iterator[OpenSsh]:
    """An sshd with these host keys that lets the current user in with `client_key`."""
    sshd = program("sshd")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # compiled into sshd
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "authorized_keys").write_text(public_line(client_key) + "\n")
    config = folder / "sshd_config"
    settings = [
        *(f"HostKey {key}" for key in keys.values()),
        f"AuthorizedKeysFile {folder}/authorized_keys",
        *lines,
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "PermitRootLogin yes",
        "Subsystem sftp internal-sftp",
        "SetEnv SHLVL=9",  # a bash that is not the first reads no ~/.bashrc of whoever tests
    ]
    config.write_text("\n".join(settings) + "\n")
    config.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = OpenSsh(listening.getsockname()[1], folder, keys, client_key)
        command = [sshd, "-i", "-f", str(config), "-E", str(folder / "sshd.log")]
        accepting = threading.Thread(target=_accept, args=(listening, server, command))
        accepting.start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for session in server.sessions:
                session.terminate()
                session.wait()


def _accept(listening: socket.socket, server: OpenSsh, command: list[str]) -> None:
    with suppress(OSError):
        while True:
            connected, _ = listening.accept()
            with connected:
                ends = connected.fileno()
                session = subprocess.Popen(
                    command, stdin=ends, stdout=ends, stderr=subprocess.DEVNULL
                )
                server.sessions.append(session)
