"""The certificates of the simulated cloud: issued for real, read for real.

`cryptography` is imported inside the functions: it costs 0.1 s.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

ALGORITHMS = ("RSA_1024", "RSA_2048", "RSA_4096", "ECC_256", "ECC_384", "ECC_512")
"""What Private CA offers, but for SM2, which this computer's OpenSSL cannot use in TLS."""

_MARKER = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----\s*")
"""A PEM boundary (RFC 7468), alone on its line."""

Usage = Literal["CLIENT", "SERVER"]


@dataclass(frozen=True, slots=True)
class Subject:
    common_name: str
    organization: str = ""
    organization_unit: str = ""
    country: str = ""
    state: str = ""
    locality: str = ""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA that can sign."""

    certificate_pem: str
    key_pem: str


@dataclass(frozen=True, slots=True)
class Described:
    """What the API tells of a certificate."""

    subject: Subject
    subject_dn: str
    issuer: str
    """The issuer's common name, or its organization."""
    serial_number: str
    """Hexadecimal, 32 digits or more, lower case."""
    not_before: datetime
    not_after: datetime
    sans: tuple[tuple[int, str], ...]
    """GeneralName's number (RFC 5280 4.2.1.6) and text: 1 mail, 2 DNS, 6 URI, 7 address."""
    md5: str
    sha1: str
    sha256: str
    algorithm: str
    key_size: int
    signature_algorithm: str
    is_ca: bool

    @property
    def dns_names(self) -> tuple[str, ...]:
        return tuple(value for kind, value in self.sans if kind == 2)

    @property
    def not_before_ms(self) -> int:
        return int(self.not_before.timestamp() * 1000)

    @property
    def not_after_ms(self) -> int:
        return int(self.not_after.timestamp() * 1000)

    @property
    def full_algorithm(self) -> str:
        return f"{self.algorithm}_{self.key_size}"


class Unusable(Exception):
    """A certificate, key, request or name that cannot be used; says which, never what is in it."""


def new_key(algorithm: str) -> str:
    """A new private key of one of `ALGORITHMS`, as unencrypted PKCS#8 PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    family, _, size = algorithm.partition("_")
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if family == "RSA":
        key = rsa.generate_private_key(public_exponent=65537, key_size=int(size))
    else:
        # The vendor writes ECC_512 for the curve of 521 bits.
        curves = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "512": ec.SECP521R1()}
        key = ec.generate_private_key(curves[size])
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def encrypted_key(key_pem: str, password: str) -> str:
    """The key as encrypted PKCS#8 PEM, as DescribeCertificatePrivateKey gives it."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(key_pem.encode(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    ).decode()


def issue_ca(
    subject: Subject,
    key_pem: str,
    issuer: Issuer | None,
    not_before: datetime,
    not_after: datetime,
    path_length: int | None,
) -> str:
    """A CA certificate (RFC 5280 4.2.1.9): of `issuer`, or of itself when that is None."""
    from cryptography import x509

    key = _private_key(key_pem)
    builder = _builder(subject, key.public_key(), issuer, not_before, not_after)
    builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=True)
    builder = builder.add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
    return _signed(builder, issuer.key_pem if issuer else key_pem)


def issue_leaf(
    subject: Subject,
    public_key_pem: str,
    issuer: Issuer,
    not_before: datetime,
    not_after: datetime,
    usage: Usage,
    sans: Sequence[tuple[int, str]],
) -> str:
    """An end certificate for a TLS client or server. Raises `Unusable` for a SAN that is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID

    public = _public_key(public_key_pem)
    # TLS 1.2's suites without forward secrecy encrypt the secret to the certificate's RSA key.
    uses = ["digital_signature"] + ["key_encipherment"] * isinstance(public, rsa.RSAPublicKey)
    purposes = {
        "CLIENT": ExtendedKeyUsageOID.CLIENT_AUTH,
        "SERVER": ExtendedKeyUsageOID.SERVER_AUTH,
    }
    builder = (
        _builder(subject, public, issuer, not_before, not_after)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_key_usage(*uses), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purposes[usage]]), critical=False)
    )
    if sans:
        names = [_general_name(kind, value) for kind, value in sans]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _signed(builder, issuer.key_pem)


def public_key_of(key_pem: str) -> str:
    """The public half of a private key, as PEM."""
    return _public_pem(_private_key(key_pem).public_key())


def read_request(csr_pem: str) -> tuple[Subject, str]:
    """Subject and public key (PEM) of a CSR. Raises `Unusable("csr")` for one that is broken.

    The names that it asks for are left out: Private CA takes them as parameters of the call.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        if not request.is_signature_valid:
            raise Unusable("csr")
        return _subject(request.subject), _public_pem(request.public_key())
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        raise Unusable("csr") from None


def check_pair(chain_pem: str, key_pem: str) -> None:
    """Raise `Unusable("certificate" | "key" | "pair")` unless key and first certificate match."""
    from cryptography.exceptions import UnsupportedAlgorithm

    leaf = _chain(chain_pem)[0]
    describe(chain_pem)
    try:
        key = _private_key(key_pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unusable("key") from None
    if _public_pem(leaf.public_key()) != _public_pem(key.public_key()):
        raise Unusable("pair")


def joined(*pems: str) -> str:
    """PEM texts one after another, each beginning on its own line."""
    return "".join(pem.rstrip("\n") + "\n" for pem in pems)


def split(chain_pem: str) -> tuple[str, ...]:
    """The certificates of a chain, one PEM text each. Raises `Unusable("certificate")`."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return tuple(one.public_bytes(Encoding.PEM).decode() for one in _chain(chain_pem))


@lru_cache(maxsize=1024)
def describe(pem: str) -> Described:
    """Read the first certificate in `pem`. Raises `Unusable("certificate")`."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return _described(_chain(pem)[0])
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        raise Unusable("certificate") from None


def _described(certificate: x509.Certificate) -> Described:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = certificate.public_key()
    try:
        sans = _sans(
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        )
    except x509.ExtensionNotFound:
        sans = ()
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    digest = certificate.signature_hash_algorithm
    issuer = _subject(certificate.issuer)
    return Described(
        subject=_subject(certificate.subject),
        subject_dn=certificate.subject.rfc4514_string(),
        issuer=issuer.common_name or issuer.organization,
        serial_number=f"{certificate.serial_number:032x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sans=sans,
        md5=certificate.fingerprint(hashes.MD5()).hex().upper(),
        sha1=certificate.fingerprint(hashes.SHA1()).hex().upper(),
        sha256=certificate.fingerprint(hashes.SHA256()).hex().upper(),
        algorithm="RSA" if isinstance(key, rsa.RSAPublicKey) else "ECC",
        key_size=key.key_size
        if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
        else 0,
        signature_algorithm=(digest.name if digest else "none").upper()
        + (
            "WITHRSA" if "RSA" in certificate.signature_algorithm_oid._name.upper() else "WITHECDSA"
        ),
        is_ca=is_ca,
    )


def moment(seconds: float) -> datetime:
    """Unix seconds as a certificate's time: UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)


def years_after(start: datetime, years: int) -> datetime:
    """So many years of 365 days after `start`."""
    return start + timedelta(days=365 * years)


def _chain(pem: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        _check_lines(pem)
        return x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, x509.InvalidVersion):
        raise Unusable("certificate") from None


def _check_lines(pem: str) -> None:
    """Refuse PEM whose line breaks got lost, with a ValueError.

    `cryptography` reads it all the same; the vendor's service and OpenSSL do not.
    """
    if not all(_MARKER.fullmatch(line) for line in pem.splitlines() if "-----" in line):
        raise ValueError("PEM without line breaks")


def _private_key(key_pem: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    _check_lines(key_pem)
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("neither RSA nor EC")
    return key


def _public_key(pem: str) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise Unusable("csr")
    return key


def _public_pem(key: CertificatePublicKeyTypes) -> str:
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def _builder(
    subject: Subject,
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    issuer: Issuer | None,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    from cryptography import x509

    above = _chain(issuer.certificate_pem)[0] if issuer else None
    name = _name(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(above.subject if above else name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if above is not None:
        identifier = above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        builder = builder.add_extension(authority, critical=False)
    return builder


def _signed(builder: x509.CertificateBuilder, key_pem: str) -> str:
    from cryptography.hazmat.primitives import hashes, serialization

    certificate = builder.sign(_private_key(key_pem), hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_usage(*on: str) -> x509.KeyUsage:
    from cryptography import x509

    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{use: use in on for use in every})


def _name(subject: Subject) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        return x509.Name(
            [
                x509.NameAttribute(oid, value)
                for oid, value in (
                    (NameOID.COUNTRY_NAME, subject.country),
                    (NameOID.STATE_OR_PROVINCE_NAME, subject.state),
                    (NameOID.LOCALITY_NAME, subject.locality),
                    (NameOID.ORGANIZATION_NAME, subject.organization),
                    (NameOID.ORGANIZATIONAL_UNIT_NAME, subject.organization_unit),
                    (NameOID.COMMON_NAME, subject.common_name),
                )
                if value
            ]
        )
    except ValueError:
        raise Unusable("subject") from None


def _subject(name: x509.Name) -> Subject:
    from cryptography.x509.oid import NameOID

    def first(oid: x509.ObjectIdentifier) -> str:
        found = name.get_attributes_for_oid(oid)
        return str(found[0].value) if found else ""

    return Subject(
        common_name=first(NameOID.COMMON_NAME),
        organization=first(NameOID.ORGANIZATION_NAME),
        organization_unit=first(NameOID.ORGANIZATIONAL_UNIT_NAME),
        country=first(NameOID.COUNTRY_NAME),
        state=first(NameOID.STATE_OR_PROVINCE_NAME),
        locality=first(NameOID.LOCALITY_NAME),
    )


def _sans(names: x509.SubjectAlternativeName) -> tuple[tuple[int, str], ...]:
    from cryptography import x509

    found: list[tuple[int, str]] = []
    for name in names:
        if isinstance(name, x509.RFC822Name):
            found.append((1, name.value))
        elif isinstance(name, x509.DNSName):
            found.append((2, name.value))
        elif isinstance(name, x509.UniformResourceIdentifier):
            found.append((6, name.value))
        elif isinstance(name, x509.IPAddress):
            found.append((7, str(name.value)))
    return tuple(found)


def _general_name(kind: int, value: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        match kind:
            case 1:
                return x509.RFC822Name(value)
            case 2:
                return x509.DNSName(value)
            case 6:
                return x509.UniformResourceIdentifier(value)
            case 7:
                return x509.IPAddress(ipaddress.ip_address(value))
            case _:
                raise Unusable("san")
    except ValueError:
        raise Unusable("san") from None
