"""One listener at work: its doors, its TLS, its health checks, and the clients on their way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from services.lab.balancer import deviations
from services.lab.balancer.dead_ends import DeadEnd
from services.lab.balancer.door import Door
from services.lab.balancer.health import HealthWatch
from services.lab.balancer.listener import Authority, Listener, Target
from services.lab.balancer.relay import Passage
from services.lab.balancer.rotation import Rotation
from services.lab.balancer.termination import server_context
from services.lab.balancer.wire import Tls, Wire
from services.lab.faults import Faults
from services.lab.loopback import LoopbackPort
from services.problem import Problem

if TYPE_CHECKING:
    from OpenSSL import SSL

HANDSHAKE_TIMEOUT_S = 10.0
"""How long a client may take to be let in."""

_SWEEP_S = 0.25
"""How often deadlines are looked at: one timer a listener, rather than one a connection."""


class Front:
    """Serves one listener until it is closed. Runs in the lab's event loop."""

    def __init__(
        self,
        listener: Listener,
        ports: Sequence[LoopbackPort],
        faults: Faults,
        authorities: Callable[[], Iterable[Authority]],
    ) -> None:
        """Check what the listener is made of. Raises `Problem` when its TLS cannot be set up.

        `ports` are the addresses of the balancer's zones, in their order.
        """
        self._faults = faults
        self._authorities = authorities
        self._doors = [Door(port) for port in ports]
        self._sweeper: asyncio.Task[None] | None = None
        self._clients: set[Passage | DeadEnd] = set()
        self._empty = asyncio.Event()
        self._rotation: Rotation[Target] = Rotation(())
        self._health = HealthWatch(self._turn_anew)
        self._on: frozenset[str] = frozenset()
        self._listener = self._served = listener
        self._ordinary = self._context = server_context(listener)
        self._greet: Callable[[], asyncio.BaseProtocol] = self._passage
        self.follow()

    @property
    def proxy_protocol(self) -> bool:
        return self._served.proxy_protocol

    def abnormal(self) -> Mapping[str, tuple[str, str]]:
        return self._health.abnormal()

    async def open(self) -> None:
        """Listen. Raises `Problem` when the port is gone."""
        await self.settle()
        self._health.watch(self._listener.targets, enabled=self._listener.health_check)
        self._sweeper = asyncio.create_task(self._sweep())

    def become(self, listener: Listener) -> None:
        """Serve `listener` instead, on the same ports; who is connected stays so.

        Raises `Problem`, and changes nothing, when its TLS cannot be set up.
        """
        if listener == self._listener:
            return
        if not _same_tls(self._listener, listener):
            self._ordinary = server_context(listener)
        self._listener = listener
        self._deviate()
        self._health.watch(listener.targets, enabled=listener.health_check)

    def follow(self) -> None:
        """Meet clients as the faults that are on have it; `settle` does the rest."""
        on = deviations.ALL.intersection(self._faults)
        if on != self._on:
            self._on = on
            self._deviate()
            self._turn_anew()

    async def settle(self) -> None:
        """Open and shut the doors as the faults that are on have it.

        Raises `Problem` when another process took the port meanwhile.
        """
        state = deviations.first_on(deviations.DOORS, self._on)
        for zone, door in enumerate(self._doors):
            # What greets is asked anew for every client: it changes while the door is open.
            await door.be(state(zone) if state else "open", lambda: self._greet())

    async def close(self) -> None:
        """Stop listening and drop every client; the ports are held on."""
        for door in self._doors:
            await door.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper
        await self._health.close()
        for client in tuple(self._clients):
            client.abort()
        if self._clients:
            self._empty.clear()
            await self._empty.wait()

    # What a passage asks of its listener.

    def joined(self, client: Passage | DeadEnd) -> None:
        self._clients.add(client)

    def left(self, client: Passage | DeadEnd) -> None:
        self._clients.discard(client)
        if not self._clients:
            self._empty.set()

    def target(self) -> Target | None:
        return self._rotation.next()

    # How a client is met.

    def _passage(self) -> asyncio.BaseProtocol:
        return self._let_in(Tls(self._context))

    def _wired(self, wire: Callable[[SSL.Context], Wire]) -> asyncio.BaseProtocol:
        return self._let_in(wire(self._context))

    def _let_in(self, wire: Wire) -> Passage:
        passage = Passage(self, wire, asyncio.get_running_loop())
        passage.deadline = passage.active + HANDSHAKE_TIMEOUT_S
        return passage

    def _deviate(self) -> None:
        """Work out what is served, and how clients are met, under the faults that are on.

        A fault that cannot be had with this listener's certificates leaves them as they are.
        """
        self._served, self._context = self._listener, self._ordinary
        with suppress(Problem, ValueError, TypeError):
            served = deviations.deviating(self._listener, self._on, self._authorities())
            if not _same_tls(served, self._listener):
                self._context = server_context(served)
            self._served = served
        self._greet = self._greeting()

    def _greeting(self) -> Callable[[], asyncio.BaseProtocol]:
        on = self._on
        if (dead_end := deviations.first_on(deviations.DEAD_ENDS, on)) is not None:
            return partial(dead_end, self)
        greet: Callable[[], asyncio.BaseProtocol] = self._passage
        if (wire := deviations.first_on(deviations.WIRES, on)) is not None:
            greet = partial(self._wired, wire)
        if (rare := deviations.first_on(deviations.RARE_DEAD_ENDS, on)) is not None:
            every, dead_end = rare
            greet = _now_and_then(every, partial(dead_end, self), greet)
        return greet

    def _turn_anew(self) -> None:
        targets = self._health.eligible()
        weights: Sequence[int] = [target.weight for target in targets]
        if (share := deviations.first_on(deviations.SHARES, self._on)) is not None:
            weights = share(weights)
        self._rotation = Rotation(list(zip(targets, weights, strict=True)))

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(_SWEEP_S, self._listener.idle_timeout_s / 2))
            now = loop.time()
            silent_since = now - self._listener.idle_timeout_s
            for client in tuple(self._clients):
                if isinstance(client, Passage) and (
                    client.active < silent_since
                    or (client.deadline is not None and client.deadline < now)
                ):
                    client.abort()


def _now_and_then(
    every: int,
    other: Callable[[], asyncio.BaseProtocol],
    usual: Callable[[], asyncio.BaseProtocol],
) -> Callable[[], asyncio.BaseProtocol]:
    """`usual`, but `other` for every so manieth client."""
    turns = itertools.cycle([usual] * (every - 1) + [other])
    return lambda: next(turns)()


def _same_tls(one: Listener, other: Listener) -> bool:
    def tls(listener: Listener) -> tuple[object, ...]:
        return (
            listener.certificate_pem,
            listener.key_pem,
            listener.ca_pem,
            listener.mutual,
            listener.verification,
            listener.tls_versions,
            listener.ciphers,
        )

    return tls(one) == tls(other)
