"""TCP health checks of one listener's targets, as NLB makes them, only faster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from services.lab.balancer.listener import Target
from services.lab.loopback import reset_on_close

Status = Literal["Initial", "Normal", "Unhealthy", "Unavailable"]

THRESHOLD = 2
"""Successes in a row that make a target healthy, failures that make it unhealthy: NLB's default."""

INTERVAL_S = 0.15
"""NLB's default is 5 s; a lesson does not wait for that."""

CHECKS_PER_S = 100
"""How many checks one listener makes at most; with many targets the interval grows instead."""

CONNECT_TIMEOUT_S = 2.0


@dataclass(slots=True)
class _State:
    status: Status
    reason: str = ""
    streak: int = 0
    """Results in a row that speak against `status`; as a first status, for one side."""
    last_good: bool = False


class HealthWatch:
    """Checks a listener's targets until it is closed. Runs in the lab's event loop.

    `changed` is called when the set of targets that may get traffic has changed.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._states: dict[Target, _State] = {}
        self._tasks: dict[Target, asyncio.Task[None]] = {}
        self._enabled = True

    def watch(self, targets: Sequence[Target], *, enabled: bool) -> None:
        """Check these from now on; one that was checked before keeps its status.

        A changed weight is no reason to check anew. With `enabled` off every target is
        `Unavailable`, the API's word for "not checked", and gets traffic.
        """
        known = {_place(target): state for target, state in self._states.items()}
        reuse = enabled and self._enabled
        self._enabled = enabled
        first: Status = "Initial" if enabled else "Unavailable"
        self._states = {
            target: (known.get(_place(target)) if reuse else None) or _State(first)
            for target in targets
        }
        for target in [t for t in self._tasks if not enabled or t not in self._states]:
            self._tasks.pop(target).cancel()
        if enabled:
            for target in targets:
                if target not in self._tasks:
                    self._tasks[target] = asyncio.create_task(self._check_on(target))
        self._changed()

    def eligible(self) -> list[Target]:
        """The targets that may get traffic, in the listener's order."""
        return [t for t, state in self._states.items() if state.status in ("Normal", "Unavailable")]

    def abnormal(self) -> Mapping[str, tuple[str, str]]:
        """Status and ReasonCode by server id, of the targets that are not `Normal`."""
        return {
            target.server_id: (state.status, state.reason)
            for target, state in self._states.items()
            if state.status != "Normal"
        }

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _check_on(self, target: Target) -> None:
        while True:
            reason = await _failure(target)
            if (state := self._states.get(target)) is not None:
                self._count(state, reason)
            await asyncio.sleep(max(INTERVAL_S, len(self._states) / CHECKS_PER_S))

    def _count(self, state: _State, reason: str) -> None:
        good = not reason
        state.streak = state.streak + 1 if good == state.last_good else 1
        state.last_good = good
        verdict: Status = "Normal" if good else "Unhealthy"
        if state.streak >= THRESHOLD and state.status != verdict:
            state.status, state.reason = verdict, reason
            self._changed()
        elif not good and state.status == "Unhealthy":
            state.reason = reason


def _place(target: Target) -> tuple[str, str, int]:
    return target.server_id, target.host, target.port


async def _failure(target: Target) -> str:
    """The API's ReasonCode for why a connection cannot be made; empty when it can."""
    host, port = target.check or (target.host, target.port)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if not target.admitted:
                await asyncio.Event().wait()
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return "CONNECT_TIMEOUT"
    except OSError:
        return "CONNECT_FAILED"
    # Reset, not closed: thousands of checks leave no connection in TIME_WAIT behind.
    reset_on_close(writer.get_extra_info("socket"))
    writer.transport.abort()
    return ""
