"""What the steps need of the cloud, in their words rather than an SDK's.

Identifiers are opaque texts. Every method may raise `Problem` (room `cloud`, with the vendor's
code and RequestId as evidence) or `Stopped`. A method that changes something takes the
ClientToken that the journal keeps, and returns when the change is in force, not when it is queued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from services.stop import Stop


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signs the requests (STS GetCallerIdentity)."""

    account_id: str
    arn: str
    identity_type: str


@dataclass(frozen=True, slots=True)
class Zone:
    zone_id: str
    vswitch_id: str
    public_address: str
    private_address: str
    local_addresses: tuple[str, ...] = ()
    """The addresses that backends see when client-IP preservation is off."""


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    id: str
    name: str
    dns_name: str
    status: str
    vpc_id: str
    address_type: str
    zones: tuple[Zone, ...] = ()
    cross_zone: bool = True


@dataclass(frozen=True, slots=True)
class ServerGroup:
    id: str
    name: str
    protocol: str
    status: str
    vpc_id: str
    preserve_client_ip: bool
    server_count: int
    scheduler: str = ""
    health_check: bool = True


@dataclass(frozen=True, slots=True)
class Server:
    """A member of a server group (a backend)."""

    id: str
    type: str
    port: int
    weight: int
    status: str = ""
    address: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """What a TCPSSL listener is made of."""

    port: int
    server_group_id: str
    certificate_id: str
    ca_certificate_id: str
    security_policy_id: str
    name: str = ""
    mutual: bool = True
    idle_timeout_s: int = 900


@dataclass(frozen=True, slots=True)
class Listener:
    id: str
    balancer_id: str
    protocol: str
    status: str
    settings: ListenerSettings
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """One backend's health as the listener sees it; `Normal`, or the API's status and reason."""

    server: Server
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    id: str
    tls_versions: tuple[str, ...]
    ciphers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A server certificate in Certificate Management Service (CAS)."""

    certificate_id: str
    """What a listener wants: CAS `CertIdentifier`, with the site's suffix."""
    cas_id: str
    """The number that CAS itself knows it by."""
    name: str
    common_name: str
    sans: tuple[str, ...]
    sha256: str
    """Fingerprint, upper-case hex."""
    not_after: str
    uploaded: bool
    expired: bool = False


@dataclass(frozen=True, slots=True)
class CaRepository:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CaCertificate:
    """A CA certificate that a listener may trust."""

    id: str
    common_name: str
    serial_number: str
    source: Literal["upload", "aliyun"]
    repository_id: str = ""


@dataclass(frozen=True, slots=True)
class PrivateCa:
    """A CA that the cloud's Private CA service holds."""

    id: str
    kind: Literal["root", "subordinate"]
    common_name: str
    algorithm: str
    status: str
    parent_id: str
    certificate_pem: str
    not_after_ms: int
    remaining: int | None = None
    """How many end certificates it may still issue; None when the list did not say."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """An end certificate that Private CA issued."""

    id: str
    custom_id: str
    serial_number: str
    certificate_pem: str
    chain_pem: str
    status: str = "ISSUE"


@dataclass(frozen=True, slots=True)
class Instance:
    """An ECS instance."""

    id: str
    name: str
    status: str
    private_address: str
    public_address: str
    security_group_ids: tuple[str, ...]
    vpc_id: str
    os_type: str = "linux"


@dataclass(frozen=True, slots=True)
class IngressRule:
    """A security-group rule for incoming traffic; `port_range` is `80/80` or `-1/-1`."""

    protocol: str
    port_range: str
    source_cidr: str
    policy: str = "accept"
    priority: int = 1
    id: str = ""


class Cloud(Protocol):
    """The one adapter (`alibaba.py`) serves the vendor's cloud and the lab alike."""

    region: str
    cas_site: str

    def caller(self) -> Caller: ...

    # Network Load Balancer
    def load_balancers(self) -> Sequence[LoadBalancer]: ...
    def load_balancer(self, balancer_id: str) -> LoadBalancer: ...
    def server_groups(self, vpc_id: str = "") -> Sequence[ServerGroup]: ...
    def server_group(self, group_id: str) -> ServerGroup: ...
    def create_server_group(
        self, name: str, vpc_id: str, token: str, stop: Stop, tags: Sequence[tuple[str, str]] = ()
    ) -> str:
        """A TCP group of ECS instances with client-IP preservation off; returns its id."""
        ...

    def set_client_ip_preservation(
        self, group_id: str, on: bool, token: str, stop: Stop
    ) -> None: ...
    def delete_server_group(self, group_id: str, token: str, stop: Stop) -> None:
        """Absent already is fine, here and in every other delete."""
        ...

    def servers(self, group_id: str) -> Sequence[Server]: ...
    def add_servers(
        self, group_id: str, servers: Sequence[Server], token: str, stop: Stop
    ) -> None: ...
    def remove_servers(
        self, group_id: str, servers: Sequence[Server], token: str, stop: Stop
    ) -> None: ...
    def listeners(self, balancer_id: str) -> Sequence[Listener]: ...
    def listener(self, listener_id: str) -> Listener | None: ...
    def create_listener(
        self,
        balancer_id: str,
        settings: ListenerSettings,
        token: str,
        stop: Stop,
        tags: Sequence[tuple[str, str]] = (),
    ) -> str:
        """A TCPSSL listener, Running when this returns its id."""
        ...

    def update_listener(
        self, listener_id: str, settings: ListenerSettings, token: str, stop: Stop
    ) -> None: ...
    def delete_listener(self, listener_id: str, token: str, stop: Stop) -> None: ...
    def health(self, listener_id: str) -> Sequence[ServerHealth]:
        """Every backend of the listener's group: those that the API calls abnormal, and the rest.

        The API lists only what is not normal, so an empty answer is joined with the members.
        """
        ...

    def security_policies(self) -> Sequence[SecurityPolicy]: ...

    # Certificate Management Service
    def server_certificates(self) -> Sequence[ServerCertificate]: ...
    def upload_server_certificate(
        self, name: str, chain_pem: str, key_pem: str, token: str, stop: Stop
    ) -> ServerCertificate: ...
    def delete_server_certificate(self, cas_id: str, token: str, stop: Stop) -> None: ...
    def ca_repositories(self) -> Sequence[CaRepository]: ...
    def create_ca_repository(self, name: str, token: str, stop: Stop) -> CaRepository: ...
    def ca_certificates(self) -> Sequence[CaCertificate]: ...
    def ca_certificate_pem(self, ca_id: str) -> str: ...
    def upload_ca_certificate(
        self, repository_id: str, name: str, certificate_pem: str, token: str, stop: Stop
    ) -> str: ...
    def delete_ca_certificate(self, ca_id: str, token: str, stop: Stop) -> None: ...

    # Private CA
    def private_cas(self) -> Sequence[PrivateCa]:
        """Empty when none was bought."""
        ...

    def private_ca(self, ca_id: str) -> PrivateCa: ...
    def issue_client_certificate(
        self, ca_id: str, csr_pem: str, days: int, custom_id: str, token: str, stop: Stop
    ) -> IssuedCertificate:
        """The key stays here: only the request (CSR) travels. Uses one of the CA's certificates."""
        ...

    def issue_server_certificate(
        self,
        ca_id: str,
        csr_pem: str,
        names: Sequence[str],
        days: int,
        custom_id: str,
        token: str,
        stop: Stop,
    ) -> IssuedCertificate: ...
    def issued_certificates(self) -> Sequence[IssuedCertificate]: ...
    def revoke_issued_certificate(self, certificate_id: str, stop: Stop) -> None:
        """Revoke and delete, the vendor's only undo; the quota does not come back."""
        ...

    # Elastic Compute Service
    def instances(self, instance_ids: Sequence[str] = ()) -> Sequence[Instance]:
        """The instances with these ids, or all of the region's."""
        ...

    def ingress_rules(self, security_group_id: str) -> Sequence[IngressRule]: ...
    def allow_ingress(
        self, security_group_id: str, rule: IngressRule, token: str, stop: Stop
    ) -> None: ...
    def revoke_ingress(
        self, security_group_id: str, rule: IngressRule, token: str, stop: Stop
    ) -> None: ...
