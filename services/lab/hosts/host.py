"""One ECS host of the lab: its folder, its SSH server, its web server, its shell."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from services.lab.clock import shown_time
from services.lab.faults import Faults
from services.lab.hosts import session
from services.lab.hosts.filesystem import HostFiles
from services.lab.hosts.image import System, furnish
from services.lab.hosts.keys import fingerprint, key_file, public_line
from services.lab.hosts.nginx import Nginx
from services.lab.hosts.shell.programs.table import programs
from services.lab.hosts.shell.streams import Collected, Sink, Source, Text
from services.lab.hosts.trouble import TROUBLES, Trouble
from services.lab.loopback import LoopbackPort
from services.stop import Stop

if TYPE_CHECKING:
    from services.lab.hosts.shell.interpreter import Shell
    from services.lab.hosts.ssh import SshServer

_AUTHORIZED_KEYS = "/root/.ssh/authorized_keys"
_LOCAL = frozenset(["localhost", "127.0.0.1", "::1", "0.0.0.0"])

Resolve = Callable[[str, int], tuple[str, int] | None]
"""The real loopback address behind a host or address and port of the simulated network. None when
the name is unknown; an address where nobody listens for what exists and is closed."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended, and all that it said."""

    status: int
    stdout: bytes
    stderr: bytes


class LabHost:
    """A host, at work between `start` and `close`, which belong to the lab's event loop.

    Its ports are its own from the first moment to `close`. Its folder holds its file system
    (`root`), its host keys (0600) and its ports; a host started on the same folder goes on where
    it was, its web server running if it ran.
    """

    def __init__(
        self,
        name: str,
        instance_id: str,
        folder: Path,
        *,
        faults: Faults,
        resolve: Resolve,
        authorized_key: str,
        password: str | None = None,
        system: System = "alinux",
        backend: bool = True,
        faulty: bool = False,
    ) -> None:
        """Make the folder if it is new, and take the ports. Raises `Problem` when there are none.

        `authorized_key` is a line of `authorized_keys`. `backend` says whether the fault that is
        about all backends is about this host, `faulty` whether those about one of them are.
        """
        self.name = name
        self.instance_id = instance_id
        self.apt = system == "debian"
        self._folder = folder
        self._faults = faults
        self._resolve = resolve
        self._password = password
        self._backend = backend
        self.faulty = faulty
        self._programs = programs(apt=self.apt)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = folder / "root"
        new = not root.exists()
        root.mkdir(mode=0o755, exist_ok=True)
        self.files = HostFiles(root)
        if new:
            furnish(self.files, name, system, self._programs)
        self._authorize(authorized_key)
        self._ports = self._take_ports()
        self._web: Nginx | None = None
        self._ssh: SshServer | None = None
        self._one = asyncio.Lock()

    @property
    def ssh_address(self) -> tuple[str, int]:
        return self._ports["ssh"].address

    @property
    def web_address(self) -> tuple[str, int]:
        """Where the host's port 80 really is; refused while no web server runs."""
        return self._ports["web"].address

    @property
    def fingerprint(self) -> str:
        """Of the host key, in OpenSSH's spelling; of the true one, whatever fault is on."""
        return fingerprint(self.public_key)

    @property
    def public_key(self) -> str:
        """The true host key's public half, as a line of OpenSSH's."""
        return public_line(key_file(self._folder / "ssh_host_ed25519_key"), self.name)

    @property
    def web(self) -> Nginx:
        if self._web is None:
            raise RuntimeError("the host has not been started")
        return self._web

    async def start(self) -> None:
        """Serve SSH, and the web if it did before. Raises `Problem` when a port is gone."""
        # paramiko: 0.3 s.
        from services.lab.hosts.ssh import SshServer

        self._ssh = SshServer(self)
        self._web = Nginx(
            self.files,
            self._ports["web"],
            asyncio.get_running_loop(),
            apt=self.apt,
            down=self._down,
            trouble=self._trouble,
            now=self.now,
        )
        await self.reconcile()

    async def reconcile(self) -> None:
        """Follow the faults that start or stop what listens."""
        async with self._one:
            if self._web is None or self._ssh is None:
                return
            await self._web.reconcile()
            if self._faults.on("ssh-down"):
                await self._ssh.stop()
                self._ports["ssh"].hold()
            elif not self._ssh.listening:
                self._ssh.start(self._ports["ssh"].listen())

    async def close(self) -> None:
        """End every session and server, and give the ports back. What runs is remembered."""
        async with self._one:
            if self._ssh is not None:
                await self._ssh.stop()
                self._ssh = None
            if self._web is not None:
                await self._web.close()
                self._web = None
        for port in self._ports.values():
            port.close()

    def run_script(self, script: str, *, stdin: bytes = b"", stop: Stop | None = None) -> Ran:
        """Run a script as root, without SSH, as Cloud Assistant does.

        Blocks, and may need the event loop meanwhile (to start the web server): call it in another
        thread (`asyncio.to_thread`). When `stop` is set the script ends, with status 130.
        """
        out, err = Collected(), Collected()
        shell = self.shell((Text(stdin), out, err), stop or Stop(), {})
        status = session.run(shell, script)
        return Ran(status, out.content(), err.content())

    # What the SSH server asks

    def host_key(self) -> Path:
        changed = ".changed" if self._faults.on("host-key-changed") else ""
        return key_file(self._folder / f"ssh_host_ed25519_key{changed}")

    def accepts_key(self, blob: str) -> bool:
        if self._faults.on("ssh-refuses-key"):
            return False
        try:
            lines = self.files.read(_AUTHORIZED_KEYS).decode("utf-8", "replace").splitlines()
        except OSError:
            return False
        return any(blob in line.split() for line in lines if not line.startswith("#"))

    def asks_for_password(self) -> bool:
        return self._password is not None

    def accepts_password(self, password: str) -> bool:
        return self._password is not None and hmac.compare_digest(
            password.encode(), self._password.encode()
        )

    def shell(
        self, streams: tuple[Source, Sink, Sink], stop: Stop, environment: dict[str, str]
    ) -> Shell:
        return session.login_shell(self, self._programs, streams, stop, environment)

    # What the commands ask

    def resolve(self, host: str, port: int, /) -> tuple[str, int] | None:
        if host.lower() in _LOCAL or host == self.name:
            # Nothing but the web server listens here; any other port is as closed as it is then.
            return self.web_address if port == 80 else ("127.0.0.1", 1)
        return self._resolve(host, port)

    def now(self) -> float:
        """What the host takes for the time, in Unix seconds."""
        return shown_time(self._faults)

    def _down(self) -> bool:
        one = self.faulty and self._faults.on("backend-down")
        return one or (self._backend and self._faults.on("all-backends-down"))

    def _trouble(self) -> Trouble:
        if not self.faulty or not self._faults:
            return ""
        return next((name for name in TROUBLES if self._faults.on(f"backend-{name}")), "")

    def _authorize(self, line: str) -> None:
        """Let the lab's key in, beside those that somebody has added."""
        self.files.make_dirs("/root/.ssh", 0o700)
        before = b""
        if self.files.exists(_AUTHORIZED_KEYS):
            before = self.files.read(_AUTHORIZED_KEYS)
        if line.encode() not in before.splitlines():
            self.files.write(_AUTHORIZED_KEYS, before + line.encode() + b"\n", 0o600)

    def _take_ports(self) -> dict[str, LoopbackPort]:
        path = self._folder / "ports.json"
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = {}
        ports = {name: LoopbackPort(before.get(name)) for name in ("ssh", "web")}
        path.write_text(json.dumps({name: port.number for name, port in ports.items()}))
        return ports
