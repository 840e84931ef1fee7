"""What the steps need of the cloud, in their words rather than an SDK's.

`Cloud` is a frozen bundle of five small ports, one for each of the vendor's products.

Identifiers are opaque texts. Every method may raise `Problem` (room `cloud`, with the vendor's
code and RequestId as evidence) or `Stopped`: each takes the `Stop` of its run, reads included,
since a read can hang as well as a write, and leaves within a second once that is set. A method that
changes something takes the ClientToken that the journal keeps, and returns when the change is in
force, not when it is queued. Whatever a delete finds absent already is fine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    tags: tuple[tuple[str, str], ...] = ()


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
    proxy_protocol: bool = False
    """A PROXY header goes before what clients send."""


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
    """What a listener wants: CAS `CertIdentifier`, with the site's suffix. In a list it is formed
    by the site's rule, for the list does not say; `Cas.server_certificate` gives the true one."""
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
    """The issuing CA's certificate and those above it; empty in a list, which does not say."""
    status: str = "ISSUE"
    parent_id: str = ""


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


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """How a script went that Cloud Assistant ran. Its two streams come as one text."""

    exit_status: int
    output: str


class Sts(Protocol):
    """Security Token Service."""

    def caller(self, stop: Stop) -> Caller:
        """Who signs the requests: needs no permission, so it is the first thing to ask."""
        ...


class Nlb(Protocol):
    """Network Load Balancer."""

    def load_balancers(self, stop: Stop) -> Sequence[LoadBalancer]: ...
    def load_balancer(self, balancer_id: str, stop: Stop) -> LoadBalancer: ...
    def server_groups(self, stop: Stop, vpc_id: str = "") -> Sequence[ServerGroup]: ...
    def server_group(self, group_id: str, stop: Stop) -> ServerGroup: ...
    def create_server_group(
        self, name: str, vpc_id: str, token: str, stop: Stop, tags: Sequence[tuple[str, str]] = ()
    ) -> str:
        """A TCP group of ECS instances with client-IP preservation off; returns its id."""
        ...

    def set_client_ip_preservation(
        self, group_id: str, on: bool, token: str, stop: Stop
    ) -> None: ...
    def delete_server_group(self, group_id: str, token: str, stop: Stop) -> None: ...
    def servers(self, group_id: str, stop: Stop) -> Sequence[Server]: ...
    def add_servers(
        self, group_id: str, servers: Sequence[Server], token: str, stop: Stop
    ) -> None: ...
    def remove_servers(
        self, group_id: str, servers: Sequence[Server], token: str, stop: Stop
    ) -> None: ...
    def listeners(self, balancer_id: str, stop: Stop) -> Sequence[Listener]: ...
    def listener(self, listener_id: str, stop: Stop) -> Listener | None: ...
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
    ) -> None:
        """Give a listener all of `settings` but its port, which the vendor never changes."""
        ...

    def delete_listener(self, listener_id: str, token: str, stop: Stop) -> None: ...
    def health(self, listener_id: str, stop: Stop) -> Sequence[ServerHealth]:
        """Every backend of the listener's group: those that the API calls abnormal, and the rest.

        The API lists only what is not normal, so an empty answer is joined with the members.
        """
        ...

    def security_policies(self, stop: Stop) -> Sequence[SecurityPolicy]: ...


class Cas(Protocol):
    """Certificate Management Service: server certificates, and repositories of CA certificates."""

    def server_certificates(self, stop: Stop) -> Sequence[ServerCertificate]: ...
    def server_certificate(self, cas_id: str, stop: Stop) -> ServerCertificate | None: ...
    def upload_server_certificate(
        self, name: str, chain_pem: str, key_pem: str, token: str, stop: Stop
    ) -> ServerCertificate: ...
    def delete_server_certificate(self, cas_id: str, token: str, stop: Stop) -> None: ...
    def ca_repositories(self, stop: Stop) -> Sequence[CaRepository]:
        """Those that take an uploaded CA certificate."""
        ...

    def create_ca_repository(self, name: str, token: str, stop: Stop) -> CaRepository: ...
    def ca_certificates(self, stop: Stop) -> Sequence[CaCertificate]: ...
    def ca_certificate_pem(self, ca_id: str, stop: Stop) -> str: ...
    def upload_ca_certificate(
        self, repository_id: str, name: str, certificate_pem: str, token: str, stop: Stop
    ) -> str: ...
    def delete_ca_certificate(self, ca_id: str, token: str, stop: Stop) -> None: ...


class Pca(Protocol):
    """Private CA: a bought CA whose key the vendor holds."""

    def private_cas(self, stop: Stop) -> Sequence[PrivateCa]:
        """Empty when none was bought."""
        ...

    def private_ca(self, ca_id: str, stop: Stop) -> PrivateCa: ...
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
    ) -> IssuedCertificate:
        """`names`: domains and addresses, the common name first."""
        ...

    def issued_certificates(self, stop: Stop) -> Sequence[IssuedCertificate]: ...
    def issued_certificate(self, certificate_id: str, stop: Stop) -> IssuedCertificate | None:
        """One of them with its chain."""
        ...

    def revoke_issued_certificate(self, certificate_id: str, stop: Stop) -> None:
        """Revoke and delete, the vendor's only undo; the quota does not come back."""
        ...


class Ecs(Protocol):
    """Elastic Compute Service."""

    def instances(self, stop: Stop, instance_ids: Sequence[str] = ()) -> Sequence[Instance]:
        """The instances with these ids, or all of the region's."""
        ...

    def ingress_rules(self, security_group_id: str, stop: Stop) -> Sequence[IngressRule]: ...
    def allow_ingress(
        self, security_group_id: str, rule: IngressRule, token: str, stop: Stop
    ) -> None: ...
    def revoke_ingress(
        self, security_group_id: str, rule: IngressRule, token: str, stop: Stop
    ) -> None: ...
    def run_script(
        self, instance_ids: Sequence[str], script: str, timeout_s: int, stop: Stop
    ) -> Mapping[str, ScriptRun]:
        """Run a shell script on instances by Cloud Assistant; those that have none, or that are
        not through in time, are absent from the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Cloud:
    """One account in one region. `services.cloud.connect` makes it, for cloud and lab alike."""

    region: str
    cas_site: str
    """Where CAS and Private CA are asked: a few central sites, not the balancer's region."""
    sts: Sts
    nlb: Nlb
    cas: Cas
    pca: Pca
    ecs: Ecs
    clock_ahead_s: Callable[[], float | None] = lambda: None
    """How far the cloud's clock was ahead of this computer's at its last answer, by that answer's
    Date (RFC 9110 section 6.6.1, whole seconds); None before the first."""
