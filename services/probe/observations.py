"""All that is known of an endpoint when it is judged: independent observations, no conclusions.

Each can also be "not known": empty, or None. Nothing here does any I/O, and nothing here knows
what an observation means; that is what the rules are for (`services.probe.diagnosis`).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.pki.verdict import Verdict
from services.probe.announcement import Announcement
from services.probe.identity import Identity
from services.probe.outcome import Outcome
from services.probe.refusals import Refusal
from services.probe.tally import Tally, expected_shares

NORMAL = "Normal"
"""The one good health status, in the vendor's word."""


@dataclass(frozen=True, slots=True)
class Health:
    """A backend's health as the balancer's API reports it; `server` as the tally names it."""

    server: str
    status: str
    reason: str = ""

    def well(self, expected: Container[str]) -> bool:
        """Normal; or a member that gets no traffic, and of which none is expected."""
        return self.status == NORMAL or (self.status == _UNUSED and self.server not in expected)

    def to_map(self) -> dict[str, str]:
        """Health as JSON has it."""
        reason = {"reason": self.reason} if self.reason else {}
        return {"server": self.server, "status": self.status, **reason}


_UNUSED = "Unused"
"""The status of a member whose weight is 0."""

Part = Literal["server", "client", "ca"]


@dataclass(frozen=True, slots=True)
class Term:
    """From when to when a certificate is valid, and whose it is."""

    part: Part
    subject: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class FilesCheck:
    """What the files at hand say, without a connection."""

    key_fits: bool | None = None
    """Whether the client's key belongs to its certificate."""
    client: tuple[Verdict, ...] | None = None
    """What speaks against the client's certificate: all of it where the listener's CA is at hand
    (`client_ca_known`), else what can be told of the certificate alone."""
    client_ca_known: bool = False
    client_issuers: tuple[bytes, ...] = ()
    """Names (DER) of the issuers of all certificates in the client's file: a server may accept
    any of them (RFC 8446 section 4.2.4)."""
    server: tuple[Verdict, ...] | None = None
    """What OpenSSL holds against the chain that the server shows: all of it where there is a trust
    file (`server_ca_known`), else what can be told of the certificate alone."""
    server_ca_known: bool = False
    trusted: tuple[Identity, ...] = ()
    """The certificates in the trust file."""
    terms: tuple[Term, ...] = ()
    """When each certificate at hand ends."""


@dataclass(frozen=True, slots=True)
class Names:
    """What DNS says of the name that clients use."""

    name: str
    addresses: tuple[str, ...] = ()
    """Empty: it does not resolve."""
    balancer: str = ""
    """The balancer's own name."""
    balancer_addresses: tuple[str, ...] = ()
    """Where that points, in any order; empty when it is not known."""
    relied_on: bool = False
    """Whether the requests went by `name`, and not to an address that was given otherwise."""

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The name's addresses that are not the balancer's; none where those are not known."""
        theirs = self.balancer_addresses
        return tuple(each for each in self.addresses if theirs and each not in theirs)

    @property
    def leads_there(self) -> bool:
        """Whether the name stands for addresses of the balancer, and no others."""
        return bool(self.addresses and self.balancer_addresses) and not self.elsewhere


@dataclass(frozen=True, slots=True)
class Member:
    """A backend in the listener's server group, `name` as the tally has it."""

    name: str
    port: int
    weight: int
    closed_to: tuple[str, ...] = ()
    """Addresses of the balancer that the backend's security groups keep out."""
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListenerView:
    """The listener's settings as the API has them, and what this session set."""

    id: str
    exists: bool = True
    status: str = ""
    protocol: str = ""
    mutual: bool = True
    proxy_protocol: bool = False
    idle_timeout_s: int | None = None
    policy: str = ""
    certificate_id: str = ""
    wanted_certificate_id: str = ""
    ca_id: str = ""
    wanted_ca_id: str = ""
    members: tuple[Member, ...] | None = None


@dataclass(frozen=True, slots=True)
class Direct:
    """What a backend answered when it was asked on itself, past the balancer."""

    status: int = 0
    """The HTTP status; 0 when no answer came."""
    evidence: str = ""

    @property
    def well(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Observations:
    """All that is known about an endpoint."""

    endpoint: str
    name: str
    now: datetime
    """By this computer's clock."""
    tally: Tally
    weights: Mapping[str, int] = field(default_factory=dict)
    """The backends that must answer, and their weights."""
    refusals: tuple[Refusal, ...] = ()
    health: tuple[Health, ...] = ()
    client: Identity | None = None
    """The certificate that was offered."""
    announcement: Announcement | None = None
    server: Identity | None = None
    """The certificate that the server shows, trusted or not."""
    files: FilesCheck = field(default_factory=FilesCheck)
    dns: Names | None = None
    listener: ListenerView | None = None
    direct: Mapping[str, Direct] = field(default_factory=dict)
    """By backend; only those that could be asked."""
    clock: Mapping[str, float] = field(default_factory=dict)
    """How far other clocks are ahead of this computer's, in seconds, by whose they are."""

    def count(self, *outcomes: Outcome) -> int:
        """How many requests ended in one of `outcomes`."""
        return sum(self.tally.outcomes.get(outcome.value, 0) for outcome in outcomes)

    def sample(self, *outcomes: Outcome) -> str:
        """The evidence of the first of those that there is."""
        found = (self.tally.samples.get(outcome.value) for outcome in outcomes)
        return next(filter(None, found), "")

    def missing(self) -> tuple[str, ...]:
        """The expected backends that gave no answer, though others did."""
        expected = expected_shares(self.weights)
        return tuple(name for name in expected if name not in self.tally.backends)

    def abnormal(self) -> tuple[Health, ...]:
        expected = expected_shares(self.weights)
        return tuple(health for health in self.health if not health.well(expected))

    def refused(self, name: str) -> bool | None:
        """Whether that stranger was refused; None when it is not known."""
        return next((found.refused for found in self.refusals if found.name == name), None)
