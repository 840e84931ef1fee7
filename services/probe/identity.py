"""What a certificate says of its holder, in the few words that a diagnosis needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from services.probe.target import Target

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate's holder, who vouches for it, and until when (UTC)."""

    subject: str
    issuer: str
    issuer_der: bytes
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...] = ()
    """The DNS names and addresses that it is for (subjectAltName)."""

    def is_for(self, name: str) -> bool:
        """Whether it is for `name`: RFC 9525 section 6.3, a wildcard for one whole first label."""
        wanted = name.lower().rstrip(".")
        parent = wanted.partition(".")[2]
        return any(
            held == wanted or (held.startswith("*.") and "." in parent and held[2:] == parent)
            for held in map(str.lower, self.names)
        )


def client_identity(target: Target) -> Identity | None:
    """Who the client says it is; None when it offers no certificate, or one that is no X.509."""
    certificate = client_certificate(target)
    return _identity(certificate) if certificate else None


def client_certificate(target: Target) -> x509.Certificate | None:
    """The certificate that is offered: the first one in its file."""
    from cryptography import x509  # 40 ms

    if target.certificate_file is None:
        return None
    try:
        return x509.load_pem_x509_certificate(target.certificate_file.read_bytes())
    except (OSError, ValueError, x509.InvalidVersion):  # the file has changed since it was checked
        return None


def server_identity(der: bytes) -> Identity | None:
    """Who the server says it is; None for bytes from the network that are no certificate."""
    from cryptography import x509

    try:
        return _identity(x509.load_der_x509_certificate(der))
    except (ValueError, x509.InvalidVersion):
        return None


def _identity(certificate: x509.Certificate) -> Identity | None:
    from cryptography import x509

    try:
        return Identity(
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            issuer_der=certificate.issuer.public_bytes(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            names=_names(certificate),
        )
    except (ValueError, x509.DuplicateExtension):  # parsed late, and broken inside
        return None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = found.get_values_for_type(x509.IPAddress)
    return (*found.get_values_for_type(x509.DNSName), *map(str, addresses))
