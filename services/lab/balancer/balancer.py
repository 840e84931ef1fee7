"""The lab's load balancer: real listeners on loopback ports, reconciled with what is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from services.lab.balancer.listener import Authority, Listener
from services.lab.faults import Faults
from services.lab.loopback import LoopbackPort, zone_ports
from services.problem import Problem

if TYPE_CHECKING:
    from services.lab.balancer.front import Front

RESERVED = 443
"""The listener port whose loopback port is known before there is a listener."""


class Balancer:
    """Listens for every listener that it is told of, and for nothing else.

    Lives in the lab's event loop; of its methods only the constructor may be called elsewhere.
    """

    def __init__(
        self,
        faults: Faults,
        *,
        preferred: Mapping[int, int] | None = None,
        authorities: Callable[[], Iterable[Authority]] = tuple,
    ) -> None:
        """Reserve 443's loopback port.

        Parameters
        ----------
        faults
            The faults, followed from the first listener on.
        preferred
            Loopback port by listener port, from the last run; taken where they are still free.
        authorities
            The CAs whose keys the lab holds, for the faults that need a wrong certificate.
        """
        self._faults = faults
        self._preferred = dict(preferred or {})
        self._authorities = authorities
        self._ports: dict[int, Sequence[LoopbackPort]] = {}
        self._fronts: dict[int, Front] = {}
        self._one = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._following: set[asyncio.Task[None]] = set()
        self._zones(RESERVED)
        faults.on_change(self._switched)

    @property
    def addresses(self) -> Mapping[int, tuple[str, int]]:
        """Where listeners really listen, by listener port: the address of the first zone.

        443 is always among them. A port once given out stays the same while the balancer lives,
        listener or not.
        """
        return {number: zones[0] for number, zones in self.zones.items()}

    @property
    def zones(self) -> Mapping[int, Sequence[tuple[str, int]]]:
        """The same with an address for each zone, where this computer has more than one."""
        shown = {RESERVED, *self._fronts}
        return {
            number: tuple(port.address for port in self._ports[number]) for number in sorted(shown)
        }

    def health(self, listener_port: int) -> Mapping[str, tuple[str, str]]:
        """Status and ReasonCode by server id, of the servers that are not normal.

        The statuses are NLB's: `Initial`, `Unhealthy`, and `Unavailable` where the health check
        is off. Raises KeyError when there is no such listener.
        """
        return self._fronts[listener_port].abnormal()

    async def apply(self, listeners: Sequence[Listener]) -> None:
        """Listen for exactly these: start, change in place, or stop.

        A change keeps the port and who is connected. Removal drops who is connected. Raises
        `Problem` for a listener whose certificate, key, CA or policy cannot be used: the others
        are applied all the same, and a changed one goes on as it was.
        """
        # OpenSSL and cryptography: 0.2 s, and only a lab that has a listener needs them.
        from services.lab.balancer.front import Front

        problems: list[Problem] = []
        self._loop = asyncio.get_running_loop()
        async with self._one:
            wanted = {listener.port: listener for listener in listeners}
            for number in [number for number in self._fronts if number not in wanted]:
                await self._fronts.pop(number).close()
            for number, listener in wanted.items():
                try:
                    if (front := self._fronts.get(number)) is not None:
                        front.become(listener)
                    else:
                        front = Front(
                            listener, self._zones(number), self._faults, self._authorities
                        )
                        await front.open()
                        self._fronts[number] = front
                except Problem as problem:
                    problems.append(problem)
        if problems:
            raise problems[0]

    async def reconcile(self) -> None:
        """Have every listener follow the faults; done by itself a moment after each change."""
        async with self._one:
            for front in self._fronts.values():
                front.follow()
                # A door whose port another process has taken stays shut.
                with suppress(Problem):
                    await front.settle()

    async def close(self) -> None:
        """Stop everything and give the ports back."""
        await self.apply(())
        self._loop = None
        await asyncio.gather(*self._following)
        for ports in self._ports.values():
            for port in ports:
                port.close()
        self._ports.clear()

    def _zones(self, number: int) -> Sequence[LoopbackPort]:
        if number not in self._ports:
            self._ports[number] = zone_ports(self._preferred.get(number))
        return self._ports[number]

    def _switched(self) -> None:
        """A fault was switched, in whichever thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin_to_follow)

    def _begin_to_follow(self) -> None:
        if self._loop is not None:
            for front in self._fronts.values():
                front.follow()
            task = self._loop.create_task(self.reconcile())
            self._following.add(task)
            task.add_done_callback(self._following.discard)
