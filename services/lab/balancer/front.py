"""One listener at work: its port, its TLS, its health checks, and the clients on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from services.lab.balancer.health import HealthWatch
from services.lab.balancer.listener import Authority, Listener, Mutual, Target
from services.lab.balancer.relay import Passage, Reset, Stalled
from services.lab.balancer.rotation import Rotation
from services.lab.balancer.spoilt import spoilt_certificate
from services.lab.balancer.termination import server_context
from services.lab.balancer.wire import Plain, Tls
from services.lab.faults import Faults
from services.lab.loopback import LoopbackPort
from services.problem import Problem

if TYPE_CHECKING:
    from OpenSSL import SSL

HANDSHAKE_TIMEOUT_S = 10.0
"""How long a client may take to be let in."""

_SWEEP_S = 0.25
"""How often deadlines are looked at: one timer a listener, rather than one a connection."""

_CERTIFICATE_FAULTS = ("server-certificate-expired", "wrong-server-certificate")
_MUTUAL_FAULTS: Mapping[str, Mutual] = {
    "mutual-not-enforced": "off",
    "mutual-optional": "optional",
}


class Front:
    """Serves one listener until it is closed. Runs in the lab's event loop."""

    def __init__(
        self,
        listener: Listener,
        port: LoopbackPort,
        faults: Faults,
        authorities: Callable[[], Iterable[Authority]],
    ) -> None:
        """Check what the listener is made of. Raises `Problem` when its TLS cannot be set up."""
        self._faults = faults
        self._authorities = authorities
        self._port = port
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._clients: set[Passage | Stalled] = set()
        self._empty = asyncio.Event()
        self._uneven = False
        self._rotation: Rotation[Target] = Rotation(())
        self._health = HealthWatch(self._turn_anew)
        self._contexts: dict[tuple[str, Mutual], SSL.Context] = {}
        self._listener = listener
        self._context("", listener.mutual)

    @property
    def proxy_protocol(self) -> bool:
        return self._listener.proxy_protocol

    def abnormal(self) -> Mapping[str, tuple[str, str]]:
        return self._health.abnormal()

    async def open(self) -> None:
        """Listen. Raises `Problem` when the port is gone."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._greet, sock=self._port.listen(), backlog=1024)
        self._health.watch(self._listener.targets, enabled=self._listener.health_check)
        self._sweeper = asyncio.create_task(self._sweep())

    def become(self, listener: Listener) -> None:
        """Serve `listener` instead, on the same port; who is connected stays so.

        Raises `Problem`, and changes nothing, when its TLS cannot be set up.
        """
        before, contexts = self._listener, self._contexts
        if listener == before:
            return
        self._listener = listener
        if not _same_tls(before, listener):
            self._contexts = {}
            try:
                self._context("", listener.mutual)
            except Problem:
                self._listener, self._contexts = before, contexts
                raise
        self._health.watch(listener.targets, enabled=listener.health_check)

    async def close(self) -> None:
        """Stop listening and drop every client; the port is held on."""
        if self._server is not None:
            self._server.close()
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
        self._port.hold()

    # What a passage asks of its listener.

    def joined(self, passage: Passage | Stalled) -> None:
        self._clients.add(passage)

    def left(self, passage: Passage | Stalled) -> None:
        self._clients.discard(passage)
        if not self._clients:
            self._empty.set()

    def target(self) -> Target | None:
        if self._faults.on("uneven") != self._uneven:
            self._turn_anew()
        return self._rotation.next()

    def _context(self, fault: str, mutual: Mutual) -> SSL.Context:
        found = self._contexts.get((fault, mutual))
        if found is None:
            listener = self._listener
            if fault:
                listener = replace(
                    listener,
                    certificate_pem=spoilt_certificate(
                        listener.certificate_pem, listener.key_pem, fault, self._authorities()
                    ),
                )
            found = self._contexts[fault, mutual] = server_context(listener, mutual)
        return found

    def _greet(self) -> asyncio.BaseProtocol:
        """The protocol for a client that has just connected, by the faults that are on."""
        on = self._faults.on
        if on("reset"):
            return Reset()
        if on("stalled-handshake"):
            return Stalled(self.joined, self.left)
        loop = asyncio.get_running_loop()
        if on("not-tls"):
            return Passage(self, Plain(), loop)
        mutual = self._listener.mutual
        if mutual != "off":
            mutual = next((how for name, how in _MUTUAL_FAULTS.items() if on(name)), mutual)
        fault = next((name for name in _CERTIFICATE_FAULTS if on(name)), "")
        passage = Passage(self, Tls(self._context(fault, mutual)), loop)
        passage.deadline = passage.active + HANDSHAKE_TIMEOUT_S
        return passage

    def _turn_anew(self) -> None:
        self._uneven = self._faults.on("uneven")
        targets = self._health.eligible()
        weights = [target.weight for target in targets]
        if self._uneven and sum(1 for weight in weights if weight) > 1:
            # The first of them gets nine of ten, whatever the weights say.
            first = next(index for index, weight in enumerate(weights) if weight)
            rest = sum(weights) - weights[first]
            weights[first] = 9 * rest
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


def _same_tls(one: Listener, other: Listener) -> bool:
    def tls(listener: Listener) -> tuple[object, ...]:
        return (
            listener.certificate_pem,
            listener.key_pem,
            listener.ca_pem,
            listener.mutual,
            listener.tls_versions,
            listener.ciphers,
        )

    return tls(one) == tls(other)
