"""A CA, its certificates, and a stranger's, for the tests of the data plane."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

NAME = "www.example.com"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as texts and as files."""

    certificate: str
    key: str
    certificate_file: Path
    key_file: Path


@dataclass(frozen=True)
class Pki:
    ca: Pair
    server: Pair
    other_server: Pair
    client: Pair
    stranger: Pair
    expired: Pair
    """A client's of the CA, that ended yesterday."""
    for_servers: Pair
    """One of the CA for servers only."""
    namesake: Pair
    """A client's of a CA that has the CA's name and another key."""
    sub: Pair
    """A CA below the CA."""
    client_of_sub: Pair
    server_of_sub: Pair


def make_pki(folder: Path) -> Pki:
    ca = _pair(folder, "lab-ca", None)
    other_folder = folder / "other"
    other_folder.mkdir()
    sub = _pair(folder, "sub-ca", ca, is_ca=True)
    return Pki(
        ca=ca,
        server=_pair(folder, "server", ca, [NAME]),
        other_server=_pair(folder, "server-2", ca, [NAME, "b.example.com"]),
        client=_pair(folder, "client", ca),
        stranger=_pair(folder, "stranger", None),
        expired=_pair(folder, "expired", ca, ends=timedelta(days=-1)),
        for_servers=_pair(folder, "for-servers", ca, usage=ExtendedKeyUsageOID.SERVER_AUTH),
        namesake=_pair(folder, "namesake", _pair(other_folder, "lab-ca", None)),
        sub=sub,
        client_of_sub=_pair(folder, "client-of-sub", sub),
        server_of_sub=_pair(folder, "server-of-sub", sub, [NAME]),
    )


def _pair(
    folder: Path,
    name: str,
    issuer: Pair | None,
    names: Sequence[str] = (),
    *,
    ends: timedelta = timedelta(days=30),
    usage: x509.ObjectIdentifier | None = None,
    is_ca: bool = False,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signer, issuer_name = key, subject
    if issuer is not None:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        loaded = load_pem_private_key(issuer.key.encode(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
        issuer_name = x509.load_pem_x509_certificate(issuer.certificate.encode()).subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + ends) - timedelta(hours=1))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(issuer is None or is_ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(san, critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    certificate = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    certificate_file.write_text(certificate)
    with open(os.open(key_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(pem)
    return Pair(certificate, pem, certificate_file, key_file)
