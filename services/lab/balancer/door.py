"""One address at which a listener is reached, or not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from services.lab.loopback import LoopbackPort

State = Literal["open", "closed", "filtered"]
"""Whether a client is let in, refused by RST, or never hears anything."""

_PLUGS = 8
"""Connections that fill the queue of a listening socket with room for hardly any."""


class Door:
    """Opens and shuts a loopback port. Lives in the lab's event loop; its port is never let go."""

    def __init__(self, port: LoopbackPort) -> None:
        self._port = port
        self._state: State = "closed"
        self._server: asyncio.Server | None = None
        self._listening: socket.socket | None = None
        self._silent: list[socket.socket] = []

    async def be(self, state: State, greet: Callable[[], asyncio.BaseProtocol]) -> None:
        """Change to `state`, in which `greet` makes the protocol of a client that comes in.

        Raises `Problem` when another process took the port meanwhile; the door is closed then.
        """
        if state == self._state:
            return
        await self.close()
        if state == "open":
            loop = asyncio.get_running_loop()
            self._listening = self._port.listen()
            self._server = await loop.create_server(greet, sock=self._listening, backlog=1024)
        elif state == "filtered":
            self._fall_silent()
        self._state = state

    async def close(self) -> None:
        """Let nobody in any more; who is in stays."""
        if self._server is not None and self._listening is not None:
            # asyncio greets a client a turn of the loop after it was accepted, and drops it if the
            # server was closed in between. Windows' loop does both at once, and knows no readers.
            with suppress(NotImplementedError):
                asyncio.get_running_loop().remove_reader(self._listening)
            await asyncio.sleep(0)
            self._server.close()
            self._server = self._listening = None
        # The plugs go before what they plug, or a client could slip in.
        while self._silent:
            self._silent.pop().close()
        self._state = "closed"
        self._port.hold()

    def _fall_silent(self) -> None:
        """Listen with a full queue, which is how a program without privileges drops packets.

        Linux and the BSDs (macOS too) answer no SYN then. Windows answers with RST: there a
        filtered port cannot be told from a closed one.
        """
        self._silent.append(self._port.listen(backlog=1))
        for _ in range(_PLUGS):
            plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            plug.setblocking(False)
            self._silent.append(plug)
            # Some are let in and never accepted, the others wait in vain behind them.
            plug.connect_ex(self._port.address)
