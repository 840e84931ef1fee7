"""Certificates, keys and requests as plain facts: no library objects, and never a key's secret."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.pki.extensions import Extensions, general_name, read_extensions
from services.pki.keys import key_name
from services.pki.names import printable

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key's public side. `name` is what people write: `RSA 2048`, `EC P-256`, `Ed25519`."""

    name: str
    algorithm: str
    bits: int | None = None
    curve: str | None = None
    """As SEC 2 and OpenSSL spell it: `secp256r1`."""

    def to_map(self) -> dict[str, object]:
        return {
            "name": self.name,
            "algorithm": self.algorithm,
            "bits": self.bits,
            "curve": self.curve,
        }


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says. All texts are safe to print."""

    subject: str
    issuer: str
    """Both as RFC 4514 text, the most specific part first."""
    common_name: str
    serial: str
    """Hexadecimal; a sign is kept."""
    version: int
    not_before: datetime
    not_after: datetime
    key: KeyFacts | None
    """None if it is damaged or of a kind that the library does not know."""
    signature_hash: str
    """`sha256`; `none` where the signature has none of its own (Ed25519); `unknown`."""
    extensions: Extensions
    same_name: bool
    """Whether subject and issuer are the same."""
    self_signed: bool
    """Whether its own key signed it."""
    sha256: str
    sha1: str
    """Fingerprints, upper-case hexadecimal."""

    def days_left(self, now: datetime) -> int:
        """Whole days until it ends; negative when it has ended."""
        return (self.not_after - now).days

    def to_map(self, now: datetime) -> dict[str, object]:
        """For JSON."""
        said = self.extensions
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "serial": self.serial,
            "version": self.version,
            "not_before": rfc3339(self.not_before),
            "not_after": rfc3339(self.not_after),
            "days_left": self.days_left(now),
            "names": [*said.dns_names, *said.ip_addresses, *said.other_names],
            "public_key": self.key and self.key.to_map(),
            "signature_hash": self.signature_hash,
            "key_usage": None if said.key_usage is None else sorted(said.key_usage),
            "extended_key_usage": said.extended_key_usage and list(said.extended_key_usage),
            "ca": said.is_ca,
            "path_length": said.path_length,
            "self_signed": self.self_signed,
            "sha256": self.sha256,
            "sha1": self.sha1,
        }


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a certificate request (CSR) asks for."""

    subject: str
    key: KeyFacts | None
    names: tuple[str, ...]
    valid: bool
    """Whether the request is signed by the key that it carries."""

    def to_map(self) -> dict[str, object]:
        """For JSON."""
        return {
            "subject": self.subject,
            "names": list(self.names),
            "public_key": self.key and self.key.to_map(),
            "signature_valid": self.valid,
        }


def certificate_facts(certificate: x509.Certificate) -> CertificateFacts:
    """Read a certificate. Raises ValueError if its names are damaged."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256
    from cryptography.x509.oid import NameOID

    try:
        key = key_facts(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    try:
        digest = certificate.signature_hash_algorithm
        signature_hash = "none" if digest is None else digest.name
    except UnsupportedAlgorithm:
        signature_hash = "unknown"
    same_name = certificate.subject == certificate.issuer
    common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return CertificateFacts(
        subject=name_text(certificate.subject),
        issuer=name_text(certificate.issuer),
        common_name=printable(str(common_names[-1].value)) if common_names else "",
        serial=_hexadecimal(certificate.serial_number),
        version=certificate.version.value + 1,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key=key,
        signature_hash=signature_hash,
        extensions=read_extensions(certificate),
        same_name=same_name,
        self_signed=same_name and signed_by(certificate, certificate),
        sha256=certificate.fingerprint(SHA256()).hex().upper(),
        sha1=certificate.fingerprint(SHA1()).hex().upper(),
    )


def request_facts(request: x509.CertificateSigningRequest) -> RequestFacts:
    """Read a request. Raises ValueError if its names are damaged."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    key, valid, names = None, False, tuple[str, ...]()
    try:
        key = key_facts(request.public_key())
        valid = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        pass
    for extension in request.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = tuple(map(general_name, extension.value))
    return RequestFacts(name_text(request.subject), key, names, valid)


def name_text(name: x509.Name) -> str:
    """A distinguished name as RFC 4514 text, safe to print."""
    from cryptography.x509.oid import NameOID

    return printable(name.rfc4514_string({NameOID.EMAIL_ADDRESS: "emailAddress"}))


def key_facts(key: PublicKeyTypes) -> KeyFacts:
    """A key's public side as facts."""
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    name = key_name(key)
    algorithm = name.partition(" ")[0]
    if isinstance(key, ec.EllipticCurvePublicKey):
        return KeyFacts(name, algorithm, key.key_size, key.curve.name)
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        return KeyFacts(name, algorithm, key.key_size)
    return KeyFacts(name, algorithm)


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` bears the name of the certificate's issuer, and its key signed.

    Where the library does not compute the signature (SHA-1, MD5), the key identifiers decide: such
    a certificate is refused for what it is, and its place in the chain should still be known.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, UnsupportedAlgorithm):
        wanted = read_extensions(certificate).authority_key_id
        return wanted in (None, read_extensions(issuer).subject_key_id)
    except (TypeError, InvalidSignature):
        return False
    return True


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the library's warnings about odd certificates: here such things are verdicts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def rfc3339(moment: datetime) -> str:
    """A time in UTC, as JSON carries it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _hexadecimal(serial: int) -> str:
    digits = f"{abs(serial):X}"
    return ("-" if serial < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)
