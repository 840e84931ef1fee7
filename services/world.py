"""The world outside, as a frozen bundle of ports. Real and lab worlds differ only in wiring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from services.cloud.port import Cloud
from services.hosts.port import Hosts

Place = Literal["cloud", "lab"]

Locate = Callable[[str, int], Sequence[tuple[str, int]]]
"""Where a name's port is really to be dialled: addresses and ports, in the order to try."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that the services reach for beyond this process.

    `place` is for showing ("lab"), never for deciding. `connect` takes an NLB region and a CAS
    site (empty for the region's usual one) and returns the same adapter for the same pair.
    """

    place: Place
    connect: Callable[[str, str], Cloud]
    hosts: Hosts
    locate: Locate
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
