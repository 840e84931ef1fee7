"""All hosts of the lab together, and what is needed to reach them by SSH."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.lab.faults import Faults
from services.lab.hosts.host import LabHost, Resolve
from services.lab.hosts.image import System
from services.lab.hosts.keys import key_file, public_line


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A host that is to be."""

    name: str
    instance_id: str
    system: System = "alinux"
    backend: bool = True
    """Whether it is one of the servers behind the balancer."""


class HostPlane:
    """Starts and stops the hosts. Lives in the lab's event loop."""

    def __init__(
        self,
        folder: Path,
        specs: Sequence[HostSpec],
        *,
        faults: Faults,
        resolve: Resolve,
        password: str | None = None,
    ) -> None:
        """Make or take up the hosts in `folder`, each in one of its own; take their ports.

        One key pair (`private_key_file`) opens them all, and `password` if there is one. Raises
        `Problem` when there is no port.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._faults = faults
        self._loop: asyncio.AbstractEventLoop | None = None
        self._following: set[asyncio.Task[None]] = set()
        self.private_key_file = key_file(folder / "id_ed25519")
        authorized = public_line(self.private_key_file, "nlb-mtls-lab")
        # The faults about one backend strike the second, or the only one.
        faulty = [spec.name for spec in specs if spec.backend][:2][-1:]
        self.hosts: Mapping[str, LabHost] = {
            spec.name: LabHost(
                spec.name,
                spec.instance_id,
                folder / spec.name,
                faults=faults,
                resolve=resolve,
                authorized_key=authorized,
                password=password,
                system=spec.system,
                backend=spec.backend,
                faulty=spec.name in faulty,
            )
            for spec in specs
        }

    async def start(self) -> None:
        """Start them all, and follow the faults from now on."""
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*(host.start() for host in self.hosts.values()))
        self._faults.on_change(self._follow)

    async def reconcile(self) -> None:
        """Have what listens follow the faults; done by itself a moment after each change."""
        await asyncio.gather(*(host.reconcile() for host in self.hosts.values()))

    async def close(self) -> None:
        """Stop them all, their sessions first; takes a moment, not seconds."""
        self._loop = None
        await asyncio.gather(*self._following)
        await asyncio.gather(*(host.close() for host in self.hosts.values()))

    def host(self, instance_id: str) -> LabHost:
        """The host of an instance. Raises KeyError."""
        for host in self.hosts.values():
            if host.instance_id == instance_id:
                return host
        raise KeyError(instance_id)

    def is_faulty(self, instance_id: str) -> bool:
        """Whether the faults about one backend are about this one."""
        return any(host.faulty for host in self.hosts.values() if host.instance_id == instance_id)

    def write_ssh_config(self, path: Path) -> None:
        """Write a configuration for `ssh -F`, by which the hosts are known by their names.

        Their keys are pinned, by a `known_hosts` beside the hosts' folders.
        """
        known = self._folder / "known_hosts"
        keys = [
            f"[127.0.0.1]:{host.ssh_address[1]} {host.public_key}\n" for host in self.hosts.values()
        ]
        known.write_text("".join(keys), encoding="utf-8")
        blocks = [
            f"Host {host.name}\n  HostName 127.0.0.1\n  Port {host.ssh_address[1]}\n"
            for host in self.hosts.values()
        ]
        common = (
            "Host *\n"
            "  User root\n"
            f'  IdentityFile "{self.private_key_file}"\n'
            "  IdentitiesOnly yes\n"
            "  IdentityAgent none\n"
            f'  UserKnownHostsFile "{known}"\n'
            "  GlobalKnownHostsFile none\n"
            "  StrictHostKeyChecking yes\n"
        )
        path.write_text("\n".join([*blocks, common]), encoding="utf-8")

    def _follow(self) -> None:
        """A fault was switched, in whichever thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin_to_follow)

    def _begin_to_follow(self) -> None:
        if self._loop is not None:
            task = self._loop.create_task(self.reconcile())
            self._following.add(task)
            task.add_done_callback(self._following.discard)
