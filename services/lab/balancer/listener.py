"""What a balancer is told: its listeners and the servers behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Mutual = Literal["required", "optional", "off"]


@dataclass(frozen=True, slots=True)
class Target:
    """A server of a listener's server group, at its real loopback address.

    `server_id` is what `Balancer.health` answers by: unique within a listener. Weight 0 gets no
    traffic.
    """

    server_id: str
    host: str
    port: int
    weight: int = 100
    check: tuple[str, int] | None = None
    """Where its health is checked, if not where it serves."""
    admitted: bool = True
    """Whether its security groups let the balancer in. If not, they drop its packets in silence:
    a connection is never made, nor refused."""


@dataclass(frozen=True, slots=True)
class Verification:
    """How client certificates are judged; as it stands here, by RFC 5280 6.1 and as of now."""

    names_announced: bool = True
    """Whether the CertificateRequest names the CAs that are trusted (RFC 8446 4.2.4)."""
    forgiven: frozenset[int] = frozenset()
    """What is no reason to refuse, by OpenSSL's numbers (`X509_V_ERR_…`)."""
    at: datetime | None = None
    """The moment to judge as of; now if None."""
    crls_der: tuple[bytes, ...] = ()
    """Certificate revocation lists; with one, whoever is on it is refused."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCPSSL listener, in the cloud's words; `ciphers` are OpenSSL's names, TLS 1.3's included.

    `certificate_pem` is the leaf first, then its intermediates.
    """

    port: int
    certificate_pem: str
    key_pem: str = field(repr=False)
    ca_pem: str | None = None
    mutual: Mutual = "off"
    verification: Verification = Verification()
    tls_versions: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    ciphers: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    idle_timeout_s: float = 900
    health_check: bool = True
    proxy_protocol: bool = False
    """Whether a PROXY protocol v2 header goes before the client's bytes."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA whose key the lab holds (its private CA), and so can issue a spoilt certificate with."""

    certificate_pem: str
    key_pem: str = field(repr=False)
