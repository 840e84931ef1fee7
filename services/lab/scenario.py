"""What the lab's cloud holds at the start; the rest is the account's own history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from services.lab.state.identifiers import derived

LARGEST_LAB = 200
"""Backends at most: what fits into the vSwitch's addresses, and the vendor's limit of a call."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the cloud's asynchronous jobs take, in seconds: a tenth of life's, or less."""

    balancer_s: float = 0.3
    server_group_s: float = 0.15
    servers_s: float = 0.15
    listener_s: float = 0.2
    stuck_s: float = 5.0
    """Added to a job that is started while the fault `job-stuck-a-while` is on."""
    spread_s: float = 2.0
    """How long a new certificate stays unknown to the balancer with `certificate-not-found-yet`."""
    slow_s: float = 1.5
    """By how much each call is late with `api-slow`."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone in which the balancer stands, with its vSwitch. The addresses are documentation's."""

    zone_id: str
    vswitch_id: str
    cidr: str
    private_address: str
    public_address: str
    local_addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """An ECS instance: a backend in the server group, or a client outside it."""

    name: str
    instance_id: str
    zone_id: str
    private_address: str
    public_address: str
    backend: bool


@dataclass(frozen=True, slots=True)
class Scenario:
    """The account on its first day. Identifiers are fixed: every default lab looks the same."""

    domain: str
    region: str
    cas_site: str
    vpc_id: str
    vpc_cidr: str
    zones: tuple[Zone, ...]
    hosts: tuple[Host, ...]
    security_group_id: str
    load_balancer_id: str
    load_balancer_name: str
    server_group_id: str
    server_group_name: str
    preserve_client_ip: bool = False
    repository_name: str = "lab-ca-repository"
    private_ca: bool = True
    unused_private_cas: tuple[Literal["ROOT", "SUB_ROOT"], ...] = ()
    """What else was bought of Private CA and has no CA certificate yet."""
    certificates_to_issue: int = 10
    """How many end certificates each private CA may issue (the quota bought with it)."""
    purchased_certificate: bool = True
    timing: Timing = field(default_factory=Timing)

    @property
    def dns_name(self) -> str:
        return f"{self.load_balancer_id}.{self.region}.nlb.aliyuncsslb.com"

    @property
    def backends(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.backend)


def default(backends: int = 2) -> Scenario:
    """Where the vendor's tutorial starts, with as many backends as wished for (1 to 200).

    ECS01 to ECSnn stand in the server group; the next number is the Linux client.
    """
    if not 1 <= backends <= LARGEST_LAB:
        raise ValueError(f"a lab has 1 to {LARGEST_LAB} backends, not {backends}")
    region = "cn-hangzhou"
    zones = tuple(
        Zone(
            zone_id=f"{region}-{letter}",
            vswitch_id=derived("vsw", letter),
            cidr=f"192.168.{third}.0/24",
            private_address=f"192.168.{third}.250",
            public_address=f"203.0.113.{third}",
            local_addresses=(f"192.168.{third}.251", f"192.168.{third}.252"),
        )
        for third, letter in ((1, "j"), (2, "k"))
    )
    hosts = tuple(
        Host(
            name=f"ECS{number:02}",
            instance_id=derived("i", f"ECS{number:02}"),
            zone_id=zones[number % 2 - 1].zone_id,
            private_address=f"192.168.{1 if number % 2 else 2}.{10 + number}",
            public_address=f"198.51.100.{number}",
            backend=number <= backends,
        )
        for number in range(1, backends + 2)
    )
    return Scenario(
        domain="www.example.com",
        region=region,
        cas_site="cn-hangzhou",
        vpc_id=derived("vpc", "lab"),
        vpc_cidr="192.168.0.0/16",
        zones=zones,
        hosts=hosts,
        security_group_id=derived("sg", "lab"),
        load_balancer_id=derived("nlb", "lab"),
        load_balancer_name="lab-balancer",
        server_group_id=derived("sgp", "lab"),
        server_group_name="lab-servers",
    )
