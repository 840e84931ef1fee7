"""What the steps need of an ECS host, in their words: run a script, place files, take them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.problem import Problem
from services.stop import Stop


@dataclass(frozen=True, slots=True)
class Host:
    """How to reach a host over SSH.

    With neither key file nor password the agent and the user's default keys are tried, as `ssh`
    does. A `fingerprint` (`SHA256:…`, OpenSSH's spelling) pins the host key: nothing else is
    accepted, and nobody is asked.
    """

    name: str
    address: str
    port: int = 22
    user: str = "root"
    private_key_file: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended. `exit_status` is the remote shell's, -1 when a signal ended that.

    The texts are the host's, without control characters and escape sequences; of more than 1 MiB
    the middle is left out.
    """

    exit_status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to place on a host: an absolute path, its bytes, its permission bits."""

    path: str
    content: bytes
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class HostKeyQuestion:
    """An unknown host key, for a person to compare with what `ssh-keygen -lf` says on the host.

    `algorithm` is `ED25519`, `ECDSA` or `RSA`, `fingerprint` is `SHA256:…`: OpenSSH's spelling.
    """

    host: Host
    algorithm: str
    fingerprint: str


Output = Callable[[str, str], None]
"""Called with a host's name and one line of its output, in the thread that reads that host.

The line is safe to show. Lines that are a script's answer to this program (`hosts.scripts`) are not
among them.
"""


class Hosts(Protocol):
    """Every method raises `Problem` (room `hosts`) or `Stopped`; several hosts go at once."""

    def run(
        self,
        host: Host,
        script: str,
        stop: Stop,
        output: Output | None = None,
        timeout_s: float = 300,
    ) -> Ran:
        """Run `script` in the host's `sh`. A non-zero exit is returned, not raised."""
        ...

    def run_all(
        self,
        scripts: Mapping[Host, str],
        stop: Stop,
        output: Output | None = None,
        timeout_s: float = 300,
    ) -> Mapping[Host, Ran | Problem]:
        """Run one script a host, all at once; one host's failure does not end the rest."""
        ...

    def put(self, host: Host, directory: str, files: Sequence[RemoteFile], stop: Stop) -> None:
        """Place `files` in `directory`, made 0700 if absent, each whole or not at all (SFTP)."""
        ...

    def read(self, host: Host, path: str, stop: Stop) -> bytes | None:
        """The bytes of a file on the host; None when there is none."""
        ...

    def close(self) -> None:
        """Drop every connection."""
        ...
