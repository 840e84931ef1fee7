"""The lab's API alone, without balancer and hosts: an account to try the adapters on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time

from services.cloud.api import Call
from services.cloud.connect import connect
from services.cloud.credentials import AccessKey
from services.cloud.pace import LAB, Pace
from services.cloud.port import Cloud
from services.lab.api.server import make_application, serving
from services.lab.faults import Faults
from services.lab.scenario import Scenario, default
from services.lab.state.cloud import CloudState


@dataclass(frozen=True, slots=True)
class Account:
    """A running API; `fault` and `repair` switch in the loop that serves it."""

    url: str
    keys: AccessKey
    scenario: Scenario
    calls: list[Call]
    _faults: Faults
    _loop: asyncio.AbstractEventLoop

    def connect(self, keys: AccessKey | None = None, pace: Pace = LAB) -> Cloud:
        return connect(
            self.scenario.region,
            api=self.url,
            keys=keys or self.keys,
            on_call=self.calls.append,
            pace=pace,
        )

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        self._switch(self._faults.add, name)
        try:
            yield
        finally:
            self._switch(self._faults.discard, name)

    def _switch(self, how: Callable[[str], None], name: str) -> None:
        async def change() -> None:
            how(name)

        asyncio.run_coroutine_threadsafe(change(), self._loop).result(10)


@contextmanager
def serving_account(
    directory: Path, scenario: Scenario | None = None, clock: Callable[[], float] = time
) -> Iterator[Account]:
    """Serve the lab's API from a thread of its own during the block."""
    scenario = scenario or default()
    state, faults = CloudState(directory, scenario, clock), Faults()
    ready = threading.Event()
    serves: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        async with serving(make_application(state, faults, dict)) as port:
            end = asyncio.Event()
            serves.append((port, asyncio.get_running_loop(), end))
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    port, loop, end = serves[0]
    key = state.account.access_key
    keys = AccessKey(key.id, key.secret)
    try:
        yield Account(f"http://127.0.0.1:{port}", keys, scenario, [], faults, loop)
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
