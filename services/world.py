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

Lookup = Callable[[str], Sequence[str]]
"""The addresses that a name stands for in the world's DNS; empty when it stands for none. Raises
OSError when that cannot be found out. May take as long as the resolver does."""


def system_lookup(name: str) -> Sequence[str]:
    """The real `Lookup`: the resolver of this computer, its hosts file included."""
    import socket

    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_SUCH_NAME:
            return ()
        raise
    except UnicodeError:  # no name that DNS could hold
        return ()
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


_NO_SUCH_NAME = {-2, -5, 8, 7, 11001, 11004}
"""EAI_NONAME and EAI_NODATA of glibc, of BSD and macOS, and of Windows (WSAHOST_NOT_FOUND,
WSANO_DATA); the socket module lacks the second where it is obsolete."""


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
    lookup: Lookup = system_lookup
