"""The simulated cloud's state: the account, kept on disk, and what the data plane sees of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from services import disk
from services.lab.scenario import Scenario
from services.lab.state import file
from services.lab.state.account import Account, HealthCheck, Listener
from services.lab.state.founding import found
from services.lab.state.policies import DEFAULT, POLICIES, SecurityPolicy

_T = TypeVar("_T")

FILE_NAME = "cloud.json"


@dataclass(frozen=True, slots=True)
class ListenerView:
    """A listener as the balancer needs it: resolved to PEM, and to servers."""

    id: str
    load_balancer_id: str
    port: int
    running: bool
    """Whether its port is to be open: from its creation on, already while it is Provisioning."""
    protocol: str
    certificate_pem: str
    """The server certificate, then its intermediates; empty for a listener without TLS."""
    key_pem: str = field(repr=False)
    ca_pem: str | None
    """The CA certificate that clients' certificates must come from; None when none is set."""
    mutual: bool
    security_policy: SecurityPolicy
    backends: tuple[tuple[str, int, int], ...]
    """Server id, port, weight (0 to 100)."""
    idle_timeout_s: int
    proxy_protocol: bool = False
    scheduler: str = "Wrr"
    health_check: HealthCheck = field(default_factory=HealthCheck)


Health = Callable[[str], Mapping[str, tuple[str, str]]]
"""Listener id to the servers that are not normal: server id to the API's status and ReasonCode."""

RunOnHost = Callable[[str, str], tuple[int, str]]
"""Runs a script on the host of an instance id, in a thread; gives exit status and output.

May raise OSError or `Problem`: the command then counts as not run.
"""


class CloudState:
    """One account. Snapshots are read from any thread; changes go through `transact`."""

    def __init__(
        self,
        directory: Path,
        scenario: Scenario,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the account kept in `directory`, or found the one that `scenario` describes.

        An account that is there already wins over the scenario but for its timing. `clock` tells
        Unix seconds. Raises `Problem` when the file is broken or cannot be written.
        """
        disk.make_folder(directory)
        self.timing = scenario.timing
        self.now = clock
        self.health: Health = self._unchecked
        self.run_on_host: RunOnHost | None = None
        self._path = directory / FILE_NAME
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        known = file.load(self._path)
        if known is None:
            known = found(scenario, clock())
            file.save(self._path, known)
        self._account = known

    @property
    def account(self) -> Account:
        """The account at this moment."""
        return self._account.settled(self.now())

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after each change, in the event loop that made it."""
        self._callbacks.append(callback)

    async def transact(self, change: Callable[[Account, float], tuple[_T, Account]]) -> _T:
        """Replace the account by what `change` makes of it, on disk first; returns its result.

        `change` gets the account and the time, runs in a thread (it may make keys), one at a time,
        and leaves all as it was when it raises.
        """
        before = self._account
        result = await asyncio.to_thread(self._apply, change)
        if self._account is not before:
            for callback in self._callbacks:
                callback()
        return result

    def listeners(self) -> tuple[ListenerView, ...]:
        """Every listener, in the order of creation."""
        account = self.account
        return tuple(_view(account, listener) for listener in account.listeners.values())

    def _apply(self, change: Callable[[Account, float], tuple[_T, Account]]) -> _T:
        with self._lock:
            now = self.now()
            before = self._account.settled(now)
            result, after = change(before, now)
            if after is not before:
                after = after.pruned(now)
                file.save(self._path, after)
                self._account = after
            return result

    def _unchecked(self, listener_id: str) -> Mapping[str, tuple[str, str]]:
        """What is known of the servers while no balancer checks them: nothing yet."""
        account = self.account
        if (listener := account.listeners.get(listener_id)) is None:
            return {}
        members = account.server_groups[listener.server_group_id].members
        return {member.server_id: ("Initial", "") for member in members}


def _view(account: Account, listener: Listener) -> ListenerView:
    certificate = next(
        (
            known
            for known in account.certificates.values()
            if certificate_identifier(account, known.id) in listener.certificate_ids
        ),
        None,
    )
    ca_pem = None
    for identifier in listener.ca_certificate_ids:
        if (authority := account.authorities.get(identifier)) is not None:
            ca_pem = authority.certificate_pem
        elif (uploaded := account.repository_certificates.get(identifier)) is not None:
            ca_pem = uploaded.certificate_pem
    group = account.server_groups[listener.server_group_id]
    return ListenerView(
        id=listener.id,
        load_balancer_id=listener.load_balancer_id,
        port=listener.port,
        running=listener.listens,
        protocol=listener.protocol,
        certificate_pem=certificate.certificate_pem if certificate else "",
        key_pem=certificate.key_pem if certificate else "",
        ca_pem=ca_pem,
        mutual=listener.ca_enabled,
        security_policy=POLICIES[listener.security_policy_id or DEFAULT],
        backends=tuple(
            (member.server_id, member.port, member.weight)
            for member in group.members
            if member.status != "Removing"
        ),
        idle_timeout_s=listener.idle_timeout_s,
        proxy_protocol=listener.proxy_protocol,
        scheduler=group.scheduler,
        health_check=group.health_check,
    )


def certificate_identifier(account: Account, number: int) -> str:
    """A server certificate's id as the balancer wants it: with the CAS site, never without."""
    return f"{number}-{account.cas_site}"
