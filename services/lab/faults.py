"""What can be made to go wrong in the lab, by name, while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSet
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A fault's name, as the command line takes it, and where its sentence is in the catalogue."""

    name: str

    @property
    def key(self) -> str:
        return f"lab.fault.{self.name}"


FAULTS: Mapping[str, FaultKind] = MappingProxyType(
    {
        name: FaultKind(name)
        for name in (
            "all-backends-down",
            "another-protocol",
            "api-busy",
            "api-html-502",
            "api-slow",
            "api-throttled",
            "backend-another-page",
            "backend-cut",
            "backend-down",
            "backend-drips",
            "backend-empty",
            "backend-error",
            "backend-floods",
            "backend-garbage",
            "backend-hangs",
            "backend-redirects",
            "backend-slow",
            "certificate-not-found-yet",
            "client-ca-namesake",
            "client-ca-replaced",
            "client-certificate-expired",
            "client-certificate-revoked",
            "client-certificate-wrong-usage",
            "clock-skew",
            "expired-clients-accepted",
            "handshake-cut",
            "health-check-fails",
            "host-key-changed",
            "job-stuck-a-while",
            "mutual-any-ca",
            "mutual-not-enforced",
            "mutual-optional",
            "name-not-resolving",
            "name-points-elsewhere",
            "no-ca-names",
            "no-common-cipher",
            "no-permission",
            "no-private-ca",
            "not-tls",
            "old-tls-accepted",
            "one-backend",
            "plain-http-served",
            "port-closed",
            "port-filtered",
            "proxy-header",
            "quota-exceeded",
            "reset",
            "security-group-closed",
            "server-certificate-ends-soon",
            "server-certificate-expired",
            "server-certificate-namesake-ca",
            "server-certificate-not-yet-valid",
            "server-certificate-self-signed",
            "server-certificate-unknown-ca",
            "server-certificate-weak",
            "server-certificate-without-intermediate",
            "server-certificate-without-name",
            "server-certificate-wrong-usage",
            "sometimes-reset",
            "ssh-down",
            "ssh-refuses-key",
            "stalled-handshake",
            "tls-too-old",
            "uneven",
            "wrong-server-certificate",
            "wrong-usage-accepted",
            "zone-down",
        )
    }
)
"""Every fault there is, in the order of the alphabet; the catalogue has a sentence for each."""


class Faults(MutableSet[str]):
    """The faults that are on.

    Asked from any thread (`on` is a mere lookup); changed in one, which is also where the callbacks
    of `on_change` run. A name that is not in `FAULTS` is a KeyError.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._on: set[str] = set()
        self._turns: Counter[str] = Counter()
        self._callbacks: list[Callable[[], None]] = []
        for name in names:
            self.add(name)

    def __contains__(self, name: object) -> bool:
        return name in self._on

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._on))

    def __len__(self) -> int:
        return len(self._on)

    def on(self, name: str, /) -> bool:
        return name in self._on

    def add(self, value: str) -> None:
        name = FAULTS[value].name
        if name not in self._on:
            self._on.add(name)
            self._turns[name] = 0
            self._announce()

    def discard(self, value: str) -> None:
        name = FAULTS[value].name
        if name in self._on:
            self._on.remove(name)
            self._announce()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after each switch."""
        self._callbacks.append(callback)

    def turn(self, name: str) -> int:
        """The how-manieth time, from 1, that this fault is asked whether it strikes.

        It makes "every third call" the same in every run. 0 while the fault is off.
        """
        if name not in self._on:
            return 0
        self._turns[name] += 1
        return self._turns[name]

    def _announce(self) -> None:
        for callback in self._callbacks:
            callback()
