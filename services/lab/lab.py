"""The lab as a whole: cloud, balancer, hosts, and what joins them. Runs in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from services import disk
from services.lab import scenario as scenarios
from services.lab.answers import USER, answers
from services.lab.api.server import make_application, serving
from services.lab.balancer.balancer import RESERVED, Balancer
from services.lab.balancer.listener import Authority, Listener, Target
from services.lab.faults import Faults
from services.lab.hosts.plane import HostPlane, HostSpec
from services.lab.names import ELSEWHERE, names
from services.lab.scenario import Scenario
from services.lab.state.account import Account
from services.lab.state.admission import admits, with_port_closed, with_rules_back
from services.lab.state.cloud import CloudState, ListenerView
from services.problem import Problem

_CLOSED = ("127.0.0.1", 1)
"""An address where nobody listens: a port of the simulated network that is closed."""

_WEB = 80
"""The only port that the hosts serve to others, but for SSH."""

_LEAVING_S = 6
"""How long a lab whose parent was killed may still be on its way out."""

_PUBLIC_CA = "public-ca.crt"
"""The CA of the purchased certificate; what this computer trusts does not know it."""


class Lab:
    """What runs, and how it is described to whoever uses it."""

    def __init__(self, directory: Path, scenario: Scenario, faults: Faults) -> None:
        """Take up what `directory` holds, or begin there. Raises `Problem` (rooms lab, disk)."""
        self._directory = directory
        self._scenario = scenario
        self.faults = faults
        self.state = CloudState(directory, scenario)
        self.hosts = HostPlane(
            directory / "hosts",
            [
                HostSpec(each.name, each.instance_id, backend=each.backend)
                for each in scenario.hosts
            ],
            faults=faults,
            resolve=self._resolve,
        )
        self.balancer = Balancer(faults, preferred=_ports(directory), authorities=self._authorities)
        self.state.health = self._health
        self.state.run_on_host = self._run_on_host
        self.state.on_change(self._changed)
        self._stale = asyncio.Event()
        self._api = ""

    @asynccontextmanager
    async def running(self, port: int) -> AsyncIterator[None]:
        """Serve everything during the block, the API on `port` (0: the last one, else any).

        Raises Problem `lab.api-port-taken`, and those of the balancer and the hosts.
        """
        await self.hosts.start()
        await self._obey_faults()
        following = asyncio.create_task(self._follow())
        application = make_application(
            self.state, self.faults, self.describe, switched=self._obey_faults
        )
        try:
            async with _api(application, port, _ports(self._directory).get(0)) as found:
                self._api = f"http://127.0.0.1:{found}"
                self._keep_ports(found)
                self.hosts.write_ssh_config(self._directory / "ssh_config")
                written = answers(
                    self._scenario,
                    self.hosts.hosts.values(),
                    self.hosts.private_key_file,
                    self._directory / _PUBLIC_CA,
                    self.balancer.zones[RESERVED],
                )
                public_ca = self.state.account.public_ca_pem
                disk.write(self._directory / _PUBLIC_CA, public_ca.encode())
                disk.write(self._directory / "answers.toml", written.encode())
                yield
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            await self.balancer.close()
            await self.hosts.close()

    def describe(self) -> Mapping[str, Any]:
        """The ready line, and what `GET /_lab` answers: the lab as it stands now."""
        account = self.state.account
        return {
            "api": self._api,
            "access_key_id": account.access_key.id,
            "access_key_secret": account.access_key.secret,
            "region": self._scenario.region,
            "load_balancer": {
                "id": self._scenario.load_balancer_id,
                "dns_name": self._scenario.dns_name,
            },
            "server_group": {"id": self._scenario.server_group_id},
            "hosts": [
                {
                    "name": host.name,
                    "instance_id": host.instance_id,
                    "address": host.ssh_address[0],
                    "port": host.ssh_address[1],
                    "user": USER,
                    "private_key_file": str(self.hosts.private_key_file),
                    "fingerprint": host.fingerprint,
                }
                for host in self.hosts.hosts.values()
            ],
            "connect": {
                str(port): f"{address[0]}:{address[1]}"
                for port, address in self.balancer.addresses.items()
            },
            "zones": {
                str(port): [f"{host}:{number}" for host, number in zones]
                for port, zones in self.balancer.zones.items()
            },
            "names": self._names(),
            "faults": list(self.faults),
            "answers": str(self._directory / "answers.toml"),
            "ssh_config": str(self._directory / "ssh_config"),
        }

    # between the rooms

    async def _obey_faults(self) -> None:
        """Have cloud, hosts and balancer be as the faults say, and be so when this returns."""
        closed = self.faults.on("security-group-closed")

        def change(account: Account, now: float) -> tuple[None, Account]:
            if closed == (account.revoked is not None):
                return None, account
            return None, with_port_closed(account, _WEB) if closed else with_rules_back(account)

        await self.state.transact(change)
        await self.hosts.reconcile()
        await self._balance()
        await self.balancer.reconcile()

    def _names(self) -> Mapping[str, Sequence[str]]:
        return names(self._scenario, self.state.listeners(), self.faults)

    def _changed(self) -> None:
        self._stale.set()

    async def _follow(self) -> None:
        """Have the balancer do what the account says, whenever that changes."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            await self._balance()

    async def _balance(self) -> None:
        # A listener that cannot be served shows by its health and by its silence, as in life;
        # the API has refused what it can tell.
        with contextlib.suppress(Problem):
            await self.balancer.apply(
                [self._listener(view) for view in self.state.listeners() if self._real(view)]
            )
        if self._api:
            self._keep_ports(int(self._api.rpartition(":")[2]))

    def _real(self, view: ListenerView) -> bool:
        """Whether a listener really listens: TCPSSL ones do, of the balancer that the lab has."""
        ours = view.load_balancer_id == self._scenario.load_balancer_id
        return view.running and ours and view.protocol == "TCPSSL"

    def _listener(self, view: ListenerView) -> Listener:
        account = self.state.account
        zones = account.load_balancers[view.load_balancer_id].zones
        sources = [address for zone in zones for address in zone.local_addresses]
        return Listener(
            port=view.port,
            certificate_pem=view.certificate_pem,
            key_pem=view.key_pem,
            ca_pem=view.ca_pem,
            mutual="required" if view.mutual else "off",
            tls_versions=view.security_policy.tls_versions,
            ciphers=view.security_policy.ciphers,
            targets=tuple(
                Target(
                    server_id,
                    *self._backend(server_id, port),
                    weight,
                    check=self._checked(server_id, view.health_check.port or port),
                    admitted=admits(account, server_id, port, sources),
                )
                for server_id, port, weight in view.backends
            ),
            idle_timeout_s=view.idle_timeout_s,
            health_check=view.health_check.enabled,
            proxy_protocol=view.proxy_protocol,
        )

    def _backend(self, server_id: str, port: int) -> tuple[str, int]:
        try:
            return self.hosts.host(server_id).web_address if port == _WEB else _CLOSED
        except KeyError:
            return _CLOSED

    def _checked(self, server_id: str, port: int) -> tuple[str, int]:
        """Where a server's health is checked."""
        if self.faults.on("health-check-fails") and self.hosts.is_faulty(server_id):
            return _CLOSED
        return self._backend(server_id, port)

    def _health(self, listener_id: str) -> Mapping[str, tuple[str, str]]:
        for view in self.state.listeners():
            if view.id == listener_id:
                try:
                    return self.balancer.health(view.port)
                except KeyError:
                    return {server_id: ("Initial", "") for server_id, _, _ in view.backends}
        return {}

    def _run_on_host(self, instance_id: str, script: str) -> tuple[int, str]:
        ran = self.hosts.host(instance_id).run_script(script)
        return ran.status, (ran.stdout + ran.stderr).decode("utf-8", "replace")

    def _authorities(self) -> Iterable[Authority]:
        for authority in self.state.account.authorities.values():
            yield Authority(authority.certificate_pem, authority.key_pem)

    def _resolve(self, host: str, port: int) -> tuple[str, int] | None:
        """The simulated network's names and addresses, as its own hosts see them."""
        scenario = self._scenario
        name = host.lower().rstrip(".")
        name = next(iter(self._names().get(name, ())), name)
        balancer = set()
        for zone in scenario.zones:
            balancer |= {zone.public_address, zone.private_address}
        if name in balancer:
            return self.balancer.addresses.get(port, _CLOSED)
        for each in scenario.hosts:
            if name in (each.name.lower(), each.private_address, each.public_address):
                there = self.hosts.hosts[each.name]
                return {_WEB: there.web_address, 22: there.ssh_address}.get(port, _CLOSED)
        return _CLOSED if name == ELSEWHERE else None

    def _keep_ports(self, api: int) -> None:
        """Note the loopback ports (the API's under 0), so that the next start takes the same."""
        ports = {port: address[1] for port, address in self.balancer.addresses.items()}
        written = json.dumps({"0": api, **ports}).encode()
        path = self._directory / "ports.json"
        if not path.exists() or path.read_bytes() != written:
            disk.write(path, written)


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep other labs off `directory`. Raises Problem `lab.in-use`."""
    from filelock import FileLock, Timeout  # 20 ms

    disk.make_folder(directory)
    lock = FileLock(directory / ".lock", timeout=_LEAVING_S, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise Problem("lab.in-use", directory=directory) from None
    try:
        yield
    finally:
        lock.release()


def open_lab(directory: Path, backends: int, faults: Sequence[str]) -> Lab:
    """The lab of `directory`; one that is there already keeps its number of backends.

    Must be called in the event loop that will run it. Raises Problem `lab.backends`,
    `lab.unknown-fault`, and those of the disk.
    """
    from services.lab.faults import FAULTS

    for name in faults:
        if name not in FAULTS:
            raise Problem("lab.unknown-fault", fault=name, known=", ".join(sorted(FAULTS)))
    if not 1 <= backends <= scenarios.LARGEST_LAB:
        raise Problem("lab.backends", backends=backends, most=scenarios.LARGEST_LAB)
    known = directory / "scenario.json"
    if known.exists():
        backends = json.loads(disk.read(known))["backends"]
    else:
        disk.write(known, json.dumps({"backends": backends}).encode())
    return Lab(directory, scenarios.default(backends), Faults(faults))


@asynccontextmanager
async def _api(application: Any, wanted: int, last: int | None) -> AsyncIterator[int]:
    """Serve on the wanted port; without one on the last one's, if it is free, else on any."""
    if not wanted and last:
        try:
            async with serving(application, last) as found:
                yield found
                return
        except OSError:
            pass
    try:
        async with serving(application, wanted) as found:
            yield found
    except OSError as error:
        raise Problem("lab.api-port-taken", error.strerror or "", port=wanted) from None


def _ports(directory: Path) -> dict[int, int]:
    try:
        found = json.loads((directory / "ports.json").read_bytes())
        return {int(listener): int(port) for listener, port in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}
