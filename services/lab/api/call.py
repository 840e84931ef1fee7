"""What an action is given and gives: the account in, the reply and the changed account out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from services.lab.api.errors import ApiError, invalid
from services.lab.api.parameters import Parameters
from services.lab.faults import Faults
from services.lab.scenario import Timing
from services.lab.state.account import (
    Account,
    CertificateAuthority,
    IssuedCertificate,
    Json,
    PcaInstance,
)
from services.lab.state.cloud import Health


@dataclass(frozen=True, slots=True)
class Call:
    """One call, checked and read. `now` is Unix seconds."""

    account: Account
    parameters: Parameters
    now: float
    timing: Timing
    faults: Faults
    health: Health
    runs_commands: bool = False
    """Whether there are hosts behind the instances, which can run a command."""

    def through_at(self, seconds: float) -> float:
        """When something is through that takes so many seconds and begins now."""
        stuck = self.timing.stuck_s if self.faults.on("job-stuck-a-while") else 0.0
        return self.now + seconds + stuck

    @property
    def authorities(self) -> Mapping[str, CertificateAuthority]:
        """The private CAs, unless the fault says that none was bought."""
        return {} if self.faults.on("no-private-ca") else self.account.authorities

    @property
    def issued(self) -> Mapping[str, IssuedCertificate]:
        """What the private CAs issued."""
        return {} if self.faults.on("no-private-ca") else self.account.issued

    @property
    def pca_instances(self) -> Mapping[str, PcaInstance]:
        return {} if self.faults.on("no-private-ca") else self.account.pca_instances


Read = Callable[[Call], Json]
"""An action that changes nothing. Raises `ApiError`."""

Write = Callable[[Call], tuple[Json, Account]]
"""An action that changes the account. Raises `ApiError`, and then nothing has changed."""


@dataclass(frozen=True, slots=True)
class Product:
    """One of the vendor's products: how it is addressed, and its actions by name."""

    code: str
    """What its host names and its RAM actions begin with."""
    version: str
    host: str
    """What it calls itself in errors; `{region}` and `{site}` are filled in."""
    reads: Mapping[str, Read]
    writes: Mapping[str, Write]
    methods: Collection[str] = ("GET", "POST")
    illegal: Callable[[str], ApiError] = invalid
    regional: bool = False
    """Whether its resources are in one region, and `RegionId` asks for that region's."""
    dry_runs: bool = False
    ram: str = ""
    """The prefix of its RAM actions where that is not its code."""
