"""Certificates for the tests, made with `cryptography` alone: nothing of ours judges itself."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

DAY = datetime.timedelta(days=1)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, on disk and in hand."""

    certificate: x509.Certificate
    key: PrivateKey
    certificate_file: Path
    key_file: Path


def issue(
    folder: Path,
    label: str,
    common_name: str,
    issuer: Pair | None = None,
    *,
    names: Sequence[str] = (),
    usage: ObjectIdentifier | None = None,
    ca: bool = False,
    begins_days: float = -1,
    ends_days: float = 30,
    key: PrivateKey | None = None,
    identifiers: bool = False,
    organization: str = "example",
) -> Pair:
    """Make `label.crt` and `label.key`; without `issuer` self-signed."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins_days * DAY)
        .not_valid_after(now + ends_days * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    signing_key = issuer.key if issuer else key
    if identifiers:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
    certificate = builder.sign(signing_key, hashes.SHA256())
    certificate_file, key_file = folder / f"{label}.crt", folder / f"{label}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return Pair(certificate, key, certificate_file, key_file)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass(frozen=True)
class Certificates:
    """One CA, and everything about it that can be right or wrong."""

    folder: Path
    ca: Pair
    server: Pair
    client: Pair
    expired_client: Pair
    other_ca: Pair
    foreign_client: Pair


def make(folder: Path) -> Certificates:
    ca = issue(folder, "ca", "Test CA", ca=True)
    other_ca = issue(folder, "other-ca", "Another CA", ca=True)
    client = ExtendedKeyUsageOID.CLIENT_AUTH
    names = ["www.example.com", "127.0.0.1"]
    return Certificates(
        folder=folder,
        ca=ca,
        server=issue(
            folder,
            "server",
            "www.example.com",
            ca,
            names=names,
            usage=ExtendedKeyUsageOID.SERVER_AUTH,
        ),
        client=issue(folder, "client", "client", ca, usage=client),
        expired_client=issue(
            folder, "expired", "client", ca, usage=client, begins_days=-9, ends_days=-1
        ),
        other_ca=other_ca,
        foreign_client=issue(folder, "foreign", "client", other_ca, usage=client),
    )
