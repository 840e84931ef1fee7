"""What the shell and its commands need of the host that they run on, and what a command is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.lab.hosts.filesystem import HostFiles
from services.lab.hosts.shell.streams import Sink, Source
from services.stop import Stop


class WebServer(Protocol):
    """The host's nginx, for commands: they run in threads, so every method may be called there."""

    @property
    def installed(self) -> bool: ...
    @property
    def running(self) -> bool: ...
    @property
    def enabled(self) -> bool: ...
    def install(self) -> None: ...
    def remove(self) -> None: ...
    def enable(self, on: bool, /) -> None: ...
    def complaint(self) -> str:
        """What `nginx -t` finds wrong with the configuration; empty when it is fine."""
        ...

    def start(self) -> bool:
        """Whether it runs now; it cannot when another process of this computer has its port."""
        ...

    def stop(self) -> None: ...


class Machine(Protocol):
    """A host, as its own commands see it."""

    @property
    def name(self) -> str: ...
    @property
    def files(self) -> HostFiles: ...
    @property
    def web(self) -> WebServer: ...
    @property
    def apt(self) -> bool:
        """Whether packages are installed with apt rather than yum."""
        ...

    def now(self) -> float:
        """What the host's clock says, in Unix seconds."""
        ...

    def resolve(self, host: str, port: int, /) -> tuple[str, int] | None:
        """The real address behind a name or address and port; None for an unknown name."""
        ...


class Launcher(Protocol):
    """The shell that started a process, for processes that start others. Both return a status."""

    def launch(
        self, arguments: Sequence[str], environment: Mapping[str, str], stop: Stop, /
    ) -> int:
        """Run another command in the process's place."""
        ...

    def run_script(
        self,
        text: str,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stop: Stop,
        options: Sequence[str] = (),
        /,
    ) -> int:
        """Run a script in a new shell, as `sh` does."""
        ...


@dataclass(frozen=True, slots=True)
class Process:
    """A command that runs: its place in the world, as the kernel would give it."""

    name: str
    machine: Machine
    cwd: str
    environment: Mapping[str, str]
    umask: int
    stdin: Source
    stdout: Sink
    stderr: Sink
    stop: Stop
    parent: Launcher

    @property
    def files(self) -> HostFiles:
        return self.machine.files

    def out(self, text: str) -> None:
        self.stdout.write(encoded(text))

    def err(self, text: str) -> None:
        self.stderr.write(encoded(text))

    def fail(self, text: str, status: int = 1) -> int:
        """Complain under the command's own name; returns the status to exit with."""
        self.err(f"{self.name}: {text}\n")
        return status

    def fail_on(self, error: OSError, status: int = 1) -> int:
        """The same, for what a file system call said."""
        where = f"{error.filename}: " if error.filename else ""
        return self.fail(f"{where}{error.strerror}", status)


Program = Callable[[Process, list[str]], int]
"""A command: its arguments without its own name, its exit status. May raise OSError, and
`getopt.GetoptError` for a wrong option; whoever runs it says so in the command's name."""


def encoded(text: str) -> bytes:
    """Text to bytes; what were not UTF-8 bytes when it came in are the same bytes again."""
    return text.encode("utf-8", "surrogateescape")


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
