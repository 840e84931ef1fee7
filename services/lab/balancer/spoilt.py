"""Server certificates that are wrong in one way, for the faults."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.lab.balancer.listener import Authority

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

OTHER_NAME = "www.example.net"
"""Whom the wrong certificate is for."""

THROW_AWAY_CA = "Throw-away CA of the lab"


def spoilt_certificate(
    chain_pem: str, key_pem: str, fault: str, authorities: Iterable[Authority]
) -> str:
    """The chain's leaf anew for the same key, expired yesterday or for another name.

    It is issued by the same CA when the lab holds its key, so that the fault is all that is wrong
    with it. Otherwise by a throw-away CA, which the clients do not know: no key, no signature.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    leaf, *intermediates = x509.load_pem_x509_certificates(chain_pem.encode())
    signer: CertificateIssuerPrivateKeyTypes | None = _issuer_key(leaf, key_pem, authorities)
    issuer = leaf.issuer
    replaced: dict[x509.ObjectIdentifier, x509.ExtensionType] = {}
    if signer is None:
        signer = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, THROW_AWAY_CA)])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        replaced[identifier.oid] = identifier
    now = datetime.now(UTC)
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    subject = leaf.subject
    if fault == "server-certificate-expired":
        end = now - timedelta(days=1)
        begin = min(begin, end - timedelta(days=30))
    else:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, OTHER_NAME)])
        san = x509.SubjectAlternativeName([x509.DNSName(OTHER_NAME)])
        replaced[san.oid] = san
    public = load_pem_private_key(key_pem.encode(), None).public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for extension in leaf.extensions:
        value = replaced.pop(extension.oid, extension.value)
        builder = builder.add_extension(value, extension.critical)
    for value in replaced.values():
        builder = builder.add_extension(value, critical=False)
    return "".join(_pem(one) for one in (_signed(builder, signer), *intermediates))


def _issuer_key(
    leaf: x509.Certificate, key_pem: str, authorities: Iterable[Authority]
) -> CertificateIssuerPrivateKeyTypes | None:
    """The key that signed `leaf`, where the lab has it: a CA's, or its own (self-signed)."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    candidates = [(leaf, key_pem)]
    for authority in authorities:
        certificate = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
        candidates.append((certificate, authority.key_pem))
    for certificate, pem in candidates:
        try:
            leaf.verify_directly_issued_by(certificate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return load_pem_private_key(pem.encode(), None)  # type: ignore[return-value]
    return None


def _signed(
    builder: x509.CertificateBuilder, key: CertificateIssuerPrivateKeyTypes
) -> x509.Certificate:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

    edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(key, None if edwards else hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()
