"""Everything that the simulated account holds, as immutable records.

A change is a new `Account` (`dataclasses.replace`), so a snapshot is consistent and free, a request
that fails leaves no trace, and a dry run is a change that nobody keeps. The records are what
`cloud.json` holds, too.

What takes time in the cloud has a `Change`: a passing status and when it ends. Nothing needs to run
for it to end, so states survive a restart and a test may hold the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

Tags = tuple[tuple[str, str], ...]
Json = dict[str, Any]
"""A JSON object; what the vendor's API takes and gives."""

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class AccessKey:
    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """A change under way: the status until it is through (Unix seconds), and whether it removes."""

    status: str
    until: float
    removes: bool = False


@dataclass(frozen=True, slots=True)
class VSwitch:
    id: str
    vpc_id: str
    zone_id: str
    cidr: str


@dataclass(frozen=True, slots=True)
class ZoneMapping:
    """Where a balancer stands in a zone."""

    zone_id: str
    vswitch_id: str
    private_address: str
    public_address: str = ""
    allocation_id: str = ""
    eni_id: str = ""
    local_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    id: str
    name: str
    dns_name: str
    address_type: str
    vpc_id: str
    zones: tuple[ZoneMapping, ...]
    created: float
    cross_zone: bool = True
    deletion_protection: bool = False
    deletion_protection_reason: str = ""
    modification_protection: str = "NonProtection"
    modification_protection_reason: str = ""
    security_group_ids: tuple[str, ...] = ()
    resource_group_id: str = ""
    tags: Tags = ()
    change: Change | None = None

    @property
    def status(self) -> str:
        return self.change.status if self.change else "Active"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A server group's health check; times in seconds. `port` 0 is the server's own port."""

    enabled: bool = True
    type: str = "TCP"
    port: int = 0
    timeout_s: int = 5
    interval_s: int = 5
    healthy_threshold: int = 2
    unhealthy_threshold: int = 2
    url: str = ""
    domain: str = ""
    method: str = ""
    codes: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A server in a server group."""

    server_id: str
    type: str
    port: int
    weight: int
    address: str
    zone_id: str = ""
    description: str = ""
    change: Change | None = None

    @property
    def status(self) -> str:
        return self.change.status if self.change else "Available"

    @property
    def place(self) -> tuple[str, int]:
        """What tells one member from another: the same server may serve on two ports."""
        return self.server_id, self.port


@dataclass(frozen=True, slots=True)
class ServerGroup:
    id: str
    name: str
    type: str
    protocol: str
    vpc_id: str
    preserve_client_ip: bool
    scheduler: str = "Wrr"
    address_ip_version: str = "ipv4"
    connection_drain: bool = False
    connection_drain_s: int = 0
    health_check: HealthCheck = field(default_factory=HealthCheck)
    members: tuple[Member, ...] = ()
    resource_group_id: str = ""
    tags: Tags = ()
    change: Change | None = None

    @property
    def status(self) -> str:
        return self.change.status if self.change else "Available"


@dataclass(frozen=True, slots=True)
class Listener:
    id: str
    load_balancer_id: str
    protocol: str
    port: int
    server_group_id: str
    settled: Literal["Running", "Stopped"] = "Running"
    certificate_ids: tuple[str, ...] = ()
    ca_enabled: bool = False
    ca_certificate_ids: tuple[str, ...] = ()
    security_policy_id: str = ""
    idle_timeout_s: int = 900
    description: str = ""
    proxy_protocol: bool = False
    proxy_protocol_v2: tuple[str, ...] = ()
    """The names of the `ProxyProtocolV2Config` members that are on."""
    alpn: bool = False
    alpn_policy: str = ""
    cps: int = 0
    mss: int = 0
    sec_sensor: bool = False
    tags: Tags = ()
    change: Change | None = None

    @property
    def status(self) -> str:
        return self.change.status if self.change else self.settled

    @property
    def listens(self) -> bool:
        """Whether its port is open: from the moment of its creation, so that it is when it runs."""
        if self.change and self.change.status in ("Stopping", "Deleting"):
            return False
        return self.settled == "Running"


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    done_at: float


@dataclass(frozen=True, slots=True)
class UserCertificate:
    """A server certificate in CAS: uploaded, or bought there."""

    id: int
    name: str
    resource_id: str
    certificate_pem: str
    """The leaf, then its intermediates."""
    key_pem: str = field(repr=False)
    uploaded: bool
    since: float
    order_id: int = 0
    resource_group_id: str = ""
    tags: Tags = ()


@dataclass(frozen=True, slots=True)
class Repository:
    """A certificate repository ("warehouse")."""

    id: int
    name: str
    type: str
    instance_id: str
    pca_instance_id: str = ""


@dataclass(frozen=True, slots=True)
class RepositoryCertificate:
    id: str
    repository_id: int
    name: str
    certificate_pem: str
    since: float
    is_ca: bool
    key_given: bool = False
    """Whether a private key came with it; the lab keeps none."""


@dataclass(frozen=True, slots=True)
class PcaInstance:
    """A private CA that was bought: it holds one CA certificate, once that is made."""

    id: str
    type: Literal["ROOT", "SUB_ROOT"]
    quota: int
    since: float
    ca_id: str = ""


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A CA certificate that Private CA holds, with its key."""

    id: str
    type: Literal["ROOT", "SUB_ROOT"]
    certificate_pem: str
    key_pem: str = field(repr=False)
    parent_id: str = ""
    status: Literal["ISSUE", "REVOKE"] = "ISSUE"
    issued: int = 0
    years: int = 0
    crl_days: int = 0
    longest_days: int = 0
    """The longest validity that it may give, `CertMaxTime`; 0 is no limit of its own."""
    resource_group_id: str = ""
    tags: Tags = ()


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A client or server certificate that Private CA issued."""

    id: str
    number: int
    type: Literal["CLIENT", "SERVER"]
    parent_id: str
    certificate_pem: str
    key_pem: str = field(default="", repr=False)
    """Empty when the request came as a CSR: the key never was here."""
    custom_id: str = ""
    alias: str = ""
    days: int = 0
    revoked_at: float = 0
    uploaded: bool = False
    resource_group_id: str = ""
    tags: Tags = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """An ECS instance."""

    id: str
    name: str
    zone_id: str
    vswitch_id: str
    vpc_id: str
    private_address: str
    public_address: str
    security_group_ids: tuple[str, ...]
    created: float
    eni_id: str = ""
    status: str = "Running"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a security group."""

    id: str
    direction: Literal["ingress", "egress"]
    protocol: str
    port_range: str
    source_cidr: str = ""
    source_group_id: str = ""
    policy: str = "Accept"
    priority: int = 1
    description: str = ""
    created: float = 0


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    id: str
    name: str
    vpc_id: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Invocation:
    """A Cloud Assistant command on one instance."""

    id: str
    command_id: str
    instance_id: str
    script: str
    timeout_s: float
    user: str
    started: float
    status: str = "Running"
    finished: float = 0
    exit_code: int = 0
    output: str = ""
    error_code: str = ""
    error_info: str = ""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a ClientToken was answered with, and for which parameters."""

    fingerprint: str
    reply: Json
    at: float


@dataclass(frozen=True, slots=True)
class Account:
    """The whole account, at one moment."""

    id: str
    user: str
    region: str
    cas_site: str
    domain: str
    access_key: AccessKey
    public_ca_pem: str
    """The root of the lab's "public" CA, which issued what was bought: clients shall trust it."""
    dns_suffix: str = "nlb.aliyuncsslb.com"
    vpc_cidrs: Mapping[str, str] = field(default_factory=dict)
    vswitches: Mapping[str, VSwitch] = field(default_factory=dict)
    load_balancers: Mapping[str, LoadBalancer] = field(default_factory=dict)
    server_groups: Mapping[str, ServerGroup] = field(default_factory=dict)
    listeners: Mapping[str, Listener] = field(default_factory=dict)
    jobs: Mapping[str, Job] = field(default_factory=dict)
    certificates: Mapping[int, UserCertificate] = field(default_factory=dict)
    repositories: Mapping[int, Repository] = field(default_factory=dict)
    repository_certificates: Mapping[str, RepositoryCertificate] = field(default_factory=dict)
    pca_instances: Mapping[str, PcaInstance] = field(default_factory=dict)
    authorities: Mapping[str, CertificateAuthority] = field(default_factory=dict)
    issued: Mapping[str, IssuedCertificate] = field(default_factory=dict)
    instances: Mapping[str, Instance] = field(default_factory=dict)
    security_groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    revoked: Mapping[str, tuple[Rule, ...]] | None = None
    """Rules by security group that are away while a fault is on; None while it is off."""
    invocations: Mapping[str, Invocation] = field(default_factory=dict)
    tokens: Mapping[str, Remembered] = field(default_factory=dict)
    next_number: int = 10_741_304
    """The next of the numbers that CAS and Private CA count with."""

    def settled(self, now: float) -> Account:
        """This account with every change through whose time has come (`now` in Unix seconds)."""
        if not any(
            thing.change
            for kind in (self.load_balancers, self.server_groups, self.listeners)
            for thing in kind.values()
        ):
            return self
        balancers = {one.id: one for one in _through(self.load_balancers.values(), now)}
        return replace(
            self,
            load_balancers=balancers,
            listeners={
                one.id: one
                for one in _through(self.listeners.values(), now)
                if one.load_balancer_id in balancers
            },
            server_groups={
                one.id: replace(one, members=tuple(_through(one.members, now)))
                for one in _through(self.server_groups.values(), now)
            },
        )

    def elsewhere(self) -> Account:
        """What this account shows in every region but its own: nothing that is regional."""
        return replace(
            self,
            vpc_cidrs={},
            vswitches={},
            load_balancers={},
            server_groups={},
            listeners={},
            instances={},
            security_groups={},
            invocations={},
        )

    def pruned(self, now: float) -> Account:
        """This account without the jobs, tokens and commands that the cloud forgets, too."""
        return replace(
            self,
            jobs={key: job for key, job in self.jobs.items() if now - job.done_at < _DAY_S},
            tokens={key: one for key, one in self.tokens.items() if now - one.at < _DAY_S},
            invocations={
                key: one
                for key, one in self.invocations.items()
                if not one.finished or now - one.finished < _DAY_S
            },
        )


_T = TypeVar("_T", LoadBalancer, ServerGroup, Listener, Member)


def _through(things: Iterable[_T], now: float) -> Iterator[_T]:
    for thing in things:
        if thing.change is None or thing.change.until > now:
            yield thing
        elif not thing.change.removes:
            yield replace(thing, change=None)
