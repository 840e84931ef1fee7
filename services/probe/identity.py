"""What a certificate says of its holder, in the few words that a diagnosis needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from services.probe.target import Target

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate's holder, who vouches for it, until when (UTC), and for what.

    All texts are safe to print. The last fields have defaults because they come from extensions,
    which a certificate need not have, or of which nothing can be read.
    """

    subject: str
    issuer: str
    issuer_der: bytes
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...] = ()
    """The DNS names and addresses that it is for (subjectAltName)."""
    subject_der: bytes = b""
    serial: str = ""
    """Hexadecimal, as `openssl x509 -serial` shows it."""
    eku: tuple[str, ...] | None = None
    """What it may be used for (extendedKeyUsage): `serverAuth`, `clientAuth`, `any`, or an OID.
    None without the extension: then it is for anything (RFC 5280 section 4.2.1.12)."""
    is_ca: bool = False
    key: str = ""
    """Kind and size of its key: `RSA 2048`, `EC P-256`, `Ed25519`; empty if it is unknown."""
    key_bits: int | None = None
    """The size of an RSA, DSA or EC key."""
    signature_hash: str = ""
    """What its issuer signed: `sha256`; `none` where the signature has no hash of its own."""
    self_signed: bool = False
    """Its own key signed it; its own name alone as issuer does not count."""
    subject_key_id: str | None = None
    authority_key_id: str | None = None
    """Hexadecimal (RFC 5280 sections 4.2.1.1 and 4.2.1.2)."""
    issuer_urls: tuple[str, ...] = ()
    """Where its issuer's certificate can be fetched (section 4.2.2.1, caIssuers)."""

    def is_for(self, name: str) -> bool:
        """Whether it is for `name`: RFC 9525 section 6.3, a wildcard for one whole first label."""
        wanted = name.lower().rstrip(".")
        parent = wanted.partition(".")[2]
        return any(
            held == wanted or (held.startswith("*.") and "." in parent and held[2:] == parent)
            for held in map(str.lower, self.names)
        )

    def may(self, purpose: str) -> bool:
        """Whether its extendedKeyUsage lets it be used for `purpose`, `serverAuth` say.

        `any` does not count: browsers take it, OpenSSL does not (crypto/x509/v3_purp.c).
        """
        return self.eku is None or purpose in self.eku


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


def chain_identities(chain: Iterable[bytes]) -> tuple[Identity, ...]:
    """Those of a chain (DER) that are certificates at all, in its order."""
    return tuple(filter(None, map(server_identity, chain)))


def _identity(certificate: x509.Certificate) -> Identity | None:
    from services.pki.facts import certificate_facts, quiet

    try:
        with quiet():
            facts = certificate_facts(certificate)
    except ValueError:  # parsed late, and broken inside
        return None
    said, key = facts.extensions, facts.key
    return Identity(
        subject=facts.subject,
        issuer=facts.issuer,
        issuer_der=certificate.issuer.public_bytes(),
        not_before=facts.not_before,
        not_after=facts.not_after,
        names=said.dns_names + said.ip_addresses,
        subject_der=certificate.subject.public_bytes(),
        serial=facts.serial,
        eku=said.extended_key_usage,
        is_ca=said.is_ca,
        key=key.name if key else "",
        key_bits=key.bits if key else None,
        signature_hash=facts.signature_hash,
        self_signed=facts.self_signed,
        subject_key_id=said.subject_key_id,
        authority_key_id=said.authority_key_id,
        issuer_urls=_issuer_urls(certificate) if said.readable else (),
    )


def _issuer_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    from services.pki.names import printable

    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        printable(each.access_location.value)
        for each in access.value
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    )
