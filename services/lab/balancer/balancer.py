"""The lab's load balancer: real listeners on loopback ports, reconciled with what is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from services.lab.balancer.listener import Authority, Listener
from services.lab.faults import Faults
from services.lab.loopback import LoopbackPort
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
            The faults, asked anew for every connection.
        preferred
            Loopback port by listener port, from the last run; taken where they are still free.
        authorities
            The CAs whose keys the lab holds, for the faults that need a wrong certificate.
        """
        self._faults = faults
        self._preferred = dict(preferred or {})
        self._authorities = authorities
        self._ports: dict[int, LoopbackPort] = {}
        self._fronts: dict[int, Front] = {}
        self._one = asyncio.Lock()
        self._port(RESERVED)

    @property
    def addresses(self) -> Mapping[int, tuple[str, int]]:
        """Where listeners really listen, by listener port; 443 is always among them.

        A port once given out stays the same while the balancer lives, listener or not.
        """
        shown = {RESERVED, *self._fronts}
        return {number: self._ports[number].address for number in sorted(shown)}

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
        async with self._one:
            wanted = {listener.port: listener for listener in listeners}
            for number in [number for number in self._fronts if number not in wanted]:
                await self._fronts.pop(number).close()
            for number, listener in wanted.items():
                try:
                    if (front := self._fronts.get(number)) is not None:
                        front.become(listener)
                    else:
                        front = Front(listener, self._port(number), self._faults, self._authorities)
                        await front.open()
                        self._fronts[number] = front
                except Problem as problem:
                    problems.append(problem)
        if problems:
            raise problems[0]

    async def close(self) -> None:
        """Stop everything and give the ports back."""
        await self.apply(())
        for port in self._ports.values():
            port.close()
        self._ports.clear()

    def _port(self, number: int) -> LoopbackPort:
        if number not in self._ports:
            self._ports[number] = LoopbackPort(self._preferred.get(number))
        return self._ports[number]
