"""Certificates as they should not be: what `services.pki.issue` refuses to make, made for tests."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.pki import keys
from services.pki.facts import quiet
from tests.services.pki.judges import openssl, pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)

Extension = tuple[x509.ExtensionType, bool]


def usage(*names: str) -> Extension:
    fields = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in names for name in fields}), True


def purposes(*oids: x509.ObjectIdentifier) -> Extension:
    return x509.ExtendedKeyUsage(oids), False


def san(*names: str) -> Extension:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False


def constraints(ca: bool, path_length: int | None = None) -> Extension:
    return x509.BasicConstraints(ca, path_length), True


SIGNS = usage("key_cert_sign", "crl_sign")
CA = (constraints(True), SIGNS)
FOR_SERVER = purposes(ExtendedKeyUsageOID.SERVER_AUTH)
FOR_CLIENT = purposes(ExtendedKeyUsageOID.CLIENT_AUTH)
FOR_ANY = purposes(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
SERVER = (san("www.example.com"), FOR_SERVER, usage("digital_signature"))
CLIENT = (FOR_CLIENT, usage("digital_signature"))


@dataclass(frozen=True)
class Holder:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes = field(repr=False)

    def issue(self, name: str, *extensions: Extension, **options: object) -> Holder:
        return forge(name, *extensions, issuer=self, **options)  # type: ignore[arg-type]


def forge(
    name: str,
    *extensions: Extension,
    issuer: Holder | None = None,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    begin: datetime = NOW - DAY,
    life: timedelta = 90 * DAY,
    issuer_name: x509.Name | None = None,
    identifiers: bool = True,
    authority: Sequence[Extension] = (),
    subject_id: bytes | None = None,
) -> Holder:
    """A certificate with exactly these extensions, and by default the key identifiers."""
    key = key or keys.new_key()
    signer = issuer.key if issuer else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name or (issuer.certificate.subject if issuer else subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + life)
    )
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    if subject_id is not None:
        own = x509.SubjectKeyIdentifier(subject_id)
    named = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    added = (*extensions, (own, False), (named, False)) if identifiers else extensions
    for value, critical in (*added, *authority):
        builder = builder.add_extension(value, critical)
    digest = (
        None
        if isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        else hashes.SHA256()
    )
    return Holder(builder.sign(signer, digest), key)


def by_openssl(
    issuer: Holder, name: str, *options: str, extensions: str = "", serial: str = "7"
) -> Holder:
    """What `openssl x509 -req` makes of a request: version 1, unless there are extensions."""
    key = keys.new_key()
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "key").write_bytes(keys.key_pem(key))
        (folder / "ca").write_bytes(pem(issuer.certificate))
        (folder / "ca-key").write_bytes(keys.key_pem(issuer.key))
        request = openssl("req", "-new", "-key", folder / "key", "-subj", f"/CN={name}")
        if extensions:
            (folder / "ext").write_text(extensions)
            options = (*options, "-extfile", str(folder / "ext"))
        made_pem = openssl(
            "x509", "-req", "-CA", folder / "ca", "-CAkey", folder / "ca-key",
            "-set_serial", serial, *options, give=request,
        )  # fmt: skip
    with quiet():
        return Holder(x509.load_pem_x509_certificate(made_pem), key)
