"""Server certificates that are wrong, each in one way, for the faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from services.lab.balancer.listener import Authority

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

OTHER_NAME = "www.example.net"
"""Whom the wrong certificate is for."""

THROW_AWAY_CA = "Throw-away CA of the lab"
HIDDEN_CA = "Hidden intermediate CA of the lab"

ENDS_SOON_DAYS = 5

_LIFETIME = timedelta(days=90)
"""How long a certificate with a wrong date is valid at the least, as others are."""

_WEAK_BITS = 1024
"""What browsers and OpenSSL's default security level 2 (112 bits) have long refused."""

Signer = Literal["issuer", "itself", "stranger", "namesake", "hidden"]
"""Who signs: the CA that signed before; nobody else; a CA that nobody knows; one that has the
issuer's name but not its key; an intermediate CA whose certificate is not sent along."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the certificate is to say, where that is not what the listener's own certificate says.

    An extension that is None is left out.
    """

    now: datetime
    begin: datetime
    end: datetime
    common_name: str | None = None
    extensions: Mapping[x509.ObjectIdentifier, x509.ExtensionType | None] = field(
        default_factory=dict
    )
    signer: Signer = "issuer"
    weak: bool = False
    """Whether the key is a new one, too short."""

    def extended(self, oid: x509.ObjectIdentifier, value: x509.ExtensionType | None) -> Draft:
        return replace(self, extensions={**self.extensions, oid: value})


def _ends_soon(draft: Draft) -> Draft:
    """Not one that was issued for so few days, but one that nobody has renewed."""
    end = draft.now + timedelta(days=ENDS_SOON_DAYS)
    return replace(draft, end=end, begin=min(draft.begin, end - _LIFETIME))


def _expired(draft: Draft) -> Draft:
    end = draft.now - timedelta(days=1)
    return replace(draft, end=end, begin=min(draft.begin, end - _LIFETIME))


def _not_yet_valid(draft: Draft) -> Draft:
    begin = draft.now + timedelta(days=1)
    return replace(draft, begin=begin, end=max(draft.end, begin + _LIFETIME))


def _for_another_name(draft: Draft) -> Draft:
    from cryptography import x509

    san = x509.SubjectAlternativeName([x509.DNSName(OTHER_NAME)])
    return replace(draft, common_name=OTHER_NAME).extended(san.oid, san)


def _for_no_name(draft: Draft) -> Draft:
    from cryptography import x509

    return draft.extended(x509.SubjectAlternativeName.oid, None)


def _for_clients(draft: Draft) -> Draft:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return draft.extended(usage.oid, usage)


SPOILERS: Mapping[str, Callable[[Draft], Draft]] = {
    "server-certificate-ends-soon": _ends_soon,
    "server-certificate-expired": _expired,
    "server-certificate-namesake-ca": lambda draft: replace(draft, signer="namesake"),
    "server-certificate-not-yet-valid": _not_yet_valid,
    "server-certificate-self-signed": lambda draft: replace(draft, signer="itself"),
    "server-certificate-unknown-ca": lambda draft: replace(draft, signer="stranger"),
    "server-certificate-weak": lambda draft: replace(draft, weak=True),
    "server-certificate-without-intermediate": lambda draft: replace(draft, signer="hidden"),
    "server-certificate-without-name": _for_no_name,
    "server-certificate-wrong-usage": _for_clients,
    "wrong-server-certificate": _for_another_name,
}
"""The faults of the server certificate, and what each changes in it."""


def spoilt_pair(
    chain_pem: str, key_pem: str, faults: Sequence[str], authorities: Iterable[Authority]
) -> tuple[str, str]:
    """Chain and key as the faults (of `SPOILERS`) have them; only a weak key is another one.

    The leaf is issued by the same CA when the lab holds its key, so that the fault is all that is
    wrong with it. Otherwise by a throw-away CA, which the clients do not know, and which is sent
    along: no key, no signature. Raises ValueError or TypeError for what is no chain or key.
    """
    from cryptography import x509

    leaf, *others = x509.load_pem_x509_certificates(chain_pem.encode())
    original = Draft(datetime.now(UTC), leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    draft = original
    for fault in faults:
        draft = SPOILERS[fault](draft)
    issuer_key = _issuer_key(leaf, key_pem, authorities)
    only_hidden = draft == replace(original, signer="hidden")
    if only_hidden and issuer_key is None and any(map(_is_intermediate, others)):
        # The issuer is left away, and that is all. Of the private CA, clients may trust the
        # issuing CA itself, so that they would not miss it.
        return _pem(leaf), key_pem
    if draft.weak:
        key_pem = _weak_key()
    name, key, sent = _signing(draft.signer, leaf, others, key_pem, issuer_key)
    return "".join(map(_pem, [_drawn_up(draft, leaf, key_pem, name, key), *sent])), key_pem


def _signing(
    signer: Signer,
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    key_pem: str,
    issuer_key: CertificateIssuerPrivateKeyTypes | None,
) -> tuple[x509.Name | None, CertificateIssuerPrivateKeyTypes, Sequence[x509.Certificate]]:
    """The issuer's name (None: the subject's own), its key, and what is sent after the leaf."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if signer == "itself":
        return None, load_pem_private_key(key_pem.encode(), None), ()  # type: ignore[return-value]
    if signer == "issuer" and issuer_key is not None:
        return leaf.issuer, issuer_key, others
    new_key = ec.generate_private_key(ec.SECP256R1())
    if signer == "namesake":
        return leaf.issuer, new_key, others
    if signer == "hidden":
        return _named(HIDDEN_CA), new_key, ()
    return _named(THROW_AWAY_CA), new_key, (_authority(_named(THROW_AWAY_CA), new_key),)


def _drawn_up(
    draft: Draft,
    leaf: x509.Certificate,
    key_pem: str,
    issuer: x509.Name | None,
    key: CertificateIssuerPrivateKeyTypes,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    public = load_pem_private_key(key_pem.encode(), None).public_key()
    subject = _named(draft.common_name) if draft.common_name else leaf.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(draft.begin)
        .not_valid_after(draft.end)
    )
    described = {
        x509.AuthorityKeyIdentifier.oid: x509.AuthorityKeyIdentifier.from_issuer_public_key(
            key.public_key()
        ),
        x509.SubjectKeyIdentifier.oid: x509.SubjectKeyIdentifier.from_public_key(public),  # type: ignore[arg-type]
        **draft.extensions,
    }
    for extension in leaf.extensions:
        value = described.pop(extension.oid, extension.value)
        if value is not None:
            builder = builder.add_extension(value, extension.critical)
    for value in described.values():
        if value is not None:
            builder = builder.add_extension(value, critical=False)
    return _signed(builder, key)


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


def _is_intermediate(certificate: x509.Certificate) -> bool:
    return certificate.issuer != certificate.subject


def _weak_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=_WEAK_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _named(common_name: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _authority(name: x509.Name, key: CertificateIssuerPrivateKeyTypes) -> x509.Certificate:
    """A root CA's certificate, valid from a year ago for ten years."""
    from cryptography import x509

    now = datetime.now(UTC)
    public = key.public_key()
    return _signed(
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=365))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False),
        key,
    )


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
