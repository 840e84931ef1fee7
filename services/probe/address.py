"""The addresses that a name stands for."""

from __future__ import annotations

import queue
import socket
import threading
from dataclasses import dataclass
from ipaddress import ip_address

from services.stop import Stop


@dataclass(frozen=True, slots=True)
class Address:
    """A numeric IPv4 or IPv6 address, and a TCP port."""

    host: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Unresolved(Exception):
    """The name stands for no address; the text is the resolver's own."""


def resolve(host: str, port: int, stop: Stop) -> tuple[Address, ...]:
    """Every address of `host`, in the resolver's order. Raises Unresolved or Stopped.

    A balancer has one address a zone, and each is to be tried. Left out are addresses that this
    computer has no route to while it has one to others (IPv6 on a network without it), and, of a
    name such as localhost, the loopback addresses on which nobody listens.
    """
    # The C library's resolver cannot be interrupted; a person's ctrl+c must not wait for it.
    answers: queue.SimpleQueue[tuple[Address, ...] | Unresolved] = queue.SimpleQueue()
    threading.Thread(
        target=lambda: answers.put(_look_up(host, port)), name="resolve", daemon=True
    ).start()
    while True:
        stop.check()
        try:
            found = answers.get(timeout=0.05)
        except queue.Empty:
            continue
        if isinstance(found, Unresolved):
            raise found
        return _usable(found)


def _look_up(host: str, port: int) -> tuple[Address, ...] | Unresolved:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Unresolved(error.strerror or str(error))
    except UnicodeError as error:
        return Unresolved(str(error))
    addresses = (
        Address(str(sockaddr[0]), port)
        for family, _, _, _, sockaddr in found
        if family in (socket.AF_INET, socket.AF_INET6)
    )
    return tuple(dict.fromkeys(addresses)) or Unresolved("no address")


def _usable(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    if len(addresses) == 1:
        return addresses
    if all(ip_address(address.host.partition("%")[0]).is_loopback for address in addresses):
        chosen = filter(_listening, addresses)
    else:
        chosen = filter(_routed, addresses)
    return tuple(chosen) or addresses


def _routed(address: Address) -> bool:
    # Connecting a UDP socket sends nothing; it only asks the routing table.
    return _connects(address, socket.SOCK_DGRAM)


def _listening(address: Address) -> bool:
    return _connects(address, socket.SOCK_STREAM)


def _connects(address: Address, kind: socket.SocketKind) -> bool:
    try:
        with socket.socket(address.family, kind) as probe:
            probe.settimeout(0.5)
            probe.connect((address.host, address.port))
    except OSError:
        return False
    return True
