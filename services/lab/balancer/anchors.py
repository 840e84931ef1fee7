"""What a listener trusts instead of the CA that it was given, for the faults.

A trust anchor is a name and a public key (RFC 5280 6.1.1 d): nobody checks its own signature. So
the CA's certificate can be had anew, saying something else, without the CA's private key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.lab.balancer.listener import Listener

if TYPE_CHECKING:
    from cryptography import x509

OTHER_CA = "Another CA of the lab"
ISSUER = "Root of the lab's revoked CA"

_LONG = timedelta(days=365 * 100)
"""Longer than any client certificate is valid."""


def another_ca(listener: Listener) -> Listener:
    """Trust a CA of another name and key."""
    name = _name(OTHER_CA)
    return _trusting(listener, lambda authority: _anew(authority, subject=name, same_key=False))


def namesake(listener: Listener) -> Listener:
    """Trust a CA of the same name with another key, as after a CA was made a second time."""
    return _trusting(listener, lambda authority: _anew(authority, same_key=False))


def for_servers_only(listener: Listener) -> Listener:
    """Trust the CA for servers alone: its certificate's extended key usage says so."""
    return _trusting(listener, lambda authority: _anew(authority, for_servers_only=True))


def long_after(listener: Listener) -> Listener:
    """Judge as of a day when every client certificate has expired, but the CA's has not."""
    lasting = _trusting(listener, lambda authority: _anew(authority, lasts=2 * _LONG))
    at = datetime.now(UTC) + _LONG
    return replace(lasting, verification=replace(listener.verification, at=at))


def revoking(listener: Listener) -> Listener:
    """Take the CA's own certificate for revoked, and so every certificate that it issued.

    Which certificate a client will show is not known beforehand; whose it will be is. OpenSSL
    looks for no self-signed certificate on a list, so the anchor has an issuer of its own. The
    list is signed by a throw-away key: that its signature does not hold is forgiven.
    """
    from cryptography.hazmat.primitives.serialization import Encoding
    from OpenSSL.SSL import X509VerificationCodes as Codes

    issued = _trusting(listener, lambda authority: _anew(authority, issuer=_name(ISSUER)))
    if issued.ca_pem is None:
        return listener
    excused = {
        Codes.ERR_CRL_SIGNATURE_FAILURE,
        Codes.ERR_KEYUSAGE_NO_CRL_SIGN,
        # Of the certificates below the CA's there is no list.
        Codes.ERR_UNABLE_TO_GET_CRL,
    }
    revoked = replace(
        listener.verification,
        forgiven=listener.verification.forgiven | excused,
        crls_der=(_revoked(_certificates(issued.ca_pem)).public_bytes(Encoding.DER),),
    )
    return replace(issued, verification=revoked)


def _trusting(listener: Listener, anew: Callable[[x509.Certificate], x509.Certificate]) -> Listener:
    from cryptography.hazmat.primitives.serialization import Encoding

    if listener.ca_pem is None:
        return listener
    trusted = [
        anew(authority).public_bytes(Encoding.PEM).decode()
        for authority in _certificates(listener.ca_pem)
    ]
    return replace(listener, ca_pem="".join(trusted))


def _certificates(pem: str) -> Sequence[x509.Certificate]:
    from cryptography import x509

    return x509.load_pem_x509_certificates(pem.encode())


def _anew(
    authority: x509.Certificate,
    *,
    subject: x509.Name | None = None,
    issuer: x509.Name | None = None,
    same_key: bool = True,
    for_servers_only: bool = False,
    lasts: timedelta | None = None,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    signer = ec.generate_private_key(ec.SECP256R1())
    end = authority.not_valid_after_utc
    name = subject or authority.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        # By default self-issued, whether it was or not: an anchor's issuer does not matter.
        .issuer_name(issuer or name)
        .public_key(authority.public_key() if same_key else signer.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(authority.not_valid_before_utc)
        .not_valid_after(end if lasts is None else datetime.now(UTC) + lasts)
    )
    replaced: dict[x509.ObjectIdentifier, x509.ExtensionType | None] = {
        x509.AuthorityKeyIdentifier.oid: None
    }
    if not same_key:
        identifier = x509.SubjectKeyIdentifier.from_public_key(signer.public_key())
        replaced[identifier.oid] = identifier
    if for_servers_only:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        replaced[usage.oid] = usage
    for extension in authority.extensions:
        if (value := replaced.pop(extension.oid, extension.value)) is not None:
            builder = builder.add_extension(value, extension.critical)
    for value in replaced.values():
        if value is not None:
            builder = builder.add_extension(value, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _revoked(authorities: Sequence[x509.Certificate]) -> x509.CertificateRevocationList:
    """Their issuer's revocation list, with them on it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name(ISSUER))
        .last_update(now - timedelta(days=1))
        .next_update(now + _LONG)
    )
    for authority in authorities:
        entry = x509.RevokedCertificateBuilder(
            serial_number=authority.serial_number, revocation_date=now - timedelta(days=1)
        )
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
