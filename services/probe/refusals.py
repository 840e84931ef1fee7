"""The negative tests: strangers at the door, none of whom may get a byte from a backend.

That a rightful client is served proves half of mutual authentication; that nobody else is proves
the rest. The server's own certificate is not verified here: the question is what it hands out,
and the answer must not depend on another fault.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from services.probe.address import Address
from services.probe.identity import client_certificate
from services.probe.outcome import ANSWERED, BALANCER_STATUSES, Outcome, alert_text
from services.probe.target import Target, client_context
from services.stop import Stop

if TYPE_CHECKING:
    from cryptography import x509

    from services.probe.engine import Exchange

Stranger = Literal[
    "no_certificate",
    "unknown_ca",
    "plain_http",
    "impostor_ca",
    "expired",
    "wrong_usage",
    "server_certificate",
    "tls_1_0",
    "tls_1_1",
]
MUST_TRY: tuple[Stranger, ...] = ("no_certificate", "unknown_ca", "plain_http")
"""Those that need nothing but the endpoint: without their refusal nothing is proven."""
STRANGERS: tuple[Stranger, ...] = (
    *MUST_TRY,
    "impostor_ca",
    "expired",
    "wrong_usage",
    "server_certificate",
    "tls_1_0",
    "tls_1_1",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as files (PEM)."""

    certificate_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class Refusal:
    """How one stranger fared. Evidence is never translated."""

    name: Stranger
    refused: bool | None
    """None when it proves nothing: untried, not reached, or nobody at all is served there."""
    evidence: str
    alert: str | None = None
    """The TLS alert with which it was refused, if one was sent."""
    untried: str = ""
    """Why it did not knock; empty when it did."""


def try_strangers(
    target: Target,
    addresses: Sequence[Address],
    stop: Stop,
    *,
    served: bool,
    issuer: Pair | None = None,
    server: Pair | None = None,
    weak_versions_allowed: bool = False,
) -> tuple[Refusal, ...]:
    """Knock once as each of `STRANGERS`. `served`: the rightful client gets answers.

    Stopped, it returns those that were tried.
    """
    refusals: list[Refusal] = []
    bare = replace(target, certificate_file=None, key_file=None, tls=True)
    with _unknown_pair(target) as (certificate, key):
        visitors = (bare, replace(bare, certificate_file=certificate, key_file=key))
        for name, visitor in zip(MUST_TRY, (*visitors, replace(bare, tls=False)), strict=True):
            exchange = _knock(visitor, addresses, stop)
            if exchange is None:
                break
            refusals.append(judge(name, exchange, served=served))
    return tuple(refusals)


def judge(name: Stranger, exchange: Exchange, *, served: bool) -> Refusal:
    """Whether `exchange` was a refusal: not one byte of a backend's, and someone else is served.

    A balancer that speaks HTTP may refuse in words (400, 495 to 497): those are its own bytes.
    A silent end is a refusal only if the rightful client is served: otherwise there may simply
    be no backend behind it.
    """
    alert, outcome = exchange.alert, exchange.outcome
    if outcome in UNREACHED:
        return Refusal(name, None, f"not reached: {exchange.evidence}")
    if alert is not None:
        evidence = f"{alert_text(alert)}, 0 B from a backend"
        about_certificates = outcome in _ABOUT_THE_CERTIFICATE
        return Refusal(name, True if about_certificates or served else None, evidence, alert)
    if exchange.status in BALANCER_STATUSES:
        return Refusal(name, True, f"HTTP {exchange.status} from the balancer itself")
    if outcome in ANSWERED:
        return Refusal(name, False, _given(exchange))
    how = _SILENT.get(outcome, outcome.value)
    if not served:
        return Refusal(name, None, f"{how}, but the rightful client is not served either")
    return Refusal(name, True, f"{how}, 0 B from a backend")


UNREACHED: frozenset[str] = frozenset(
    {
        Outcome.CONNECT_REFUSED,
        Outcome.CONNECT_TIMEOUT,
        Outcome.UNREACHABLE,
        Outcome.NO_SOCKET,
        Outcome.NOT_TLS,
    }
)
"""The ends of a request that never got as far as TLS."""
_ABOUT_THE_CERTIFICATE = frozenset(
    {
        Outcome.CLIENT_CERTIFICATE_MISSING,
        Outcome.CLIENT_CERTIFICATE_REFUSED,
        Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA,
    }
)
_SILENT = {
    Outcome.HANDSHAKE_CLOSED: "closed",
    Outcome.CLOSED_WITHOUT_ANSWER: "closed",
    Outcome.HANDSHAKE_RESET: "reset",
    Outcome.RESET_WITHOUT_ANSWER: "reset",
    Outcome.HANDSHAKE_TIMEOUT: "silence",
    Outcome.FIRST_BYTE_TIMEOUT: "silence",
}


def _given(exchange: Exchange) -> str:
    if exchange.answer is None:
        return f"bytes from a backend: {exchange.outcome.value}, {exchange.evidence}"
    size = len(exchange.answer.body)
    return f"HTTP {exchange.status} and {size} B from a backend, {exchange.address}"


def _knock(visitor: Target, addresses: Sequence[Address], stop: Stop) -> Exchange | None:
    """One request, at the first address that can be reached; None when stopped."""
    from services.probe.engine import Engine

    heard: list[Exchange] = []
    context = client_context(visitor, verify=False) if visitor.tls else None
    for address in addresses:
        Engine(visitor, [address], context, heard.append).run(requests=1, stop=stop.is_set)
        if stop.is_set():
            return None
        if heard[-1].outcome not in UNREACHED:
            break
    return heard[-1]


@contextmanager
def _unknown_pair(target: Target) -> Iterator[tuple[Path, Path]]:
    """The files of a certificate of a CA that nobody knows, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="nlb-mtls-") as folder:
        certificate, key = Path(folder, "stranger.crt"), Path(folder, "stranger.key")
        texts = _make_stranger(target)
        for file, text in zip((certificate, key), texts, strict=True):
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
                f.write(text)
        yield certificate, key


def _make_stranger(target: Target) -> tuple[bytes, bytes]:
    """A certificate that looks like the rightful client's but for its CA, and its key, as PEM."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509  # 40 ms
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_subject(target) or named("client"))
        .issuer_name(named("A CA that nobody knows"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _subject(target: Target) -> x509.Name | None:
    found = client_certificate(target)
    try:
        return found.subject if found else None
    except ValueError:  # parsed late, and broken inside
        return None
