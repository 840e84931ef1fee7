"""Certificates and requests, made to RFC 5280 and to what browsers and the cloud accept.

Pure: keys and the time come in, certificates go out; nothing is read or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from services.pki.names import MAX_COMMON_NAME, check_client_name, check_name, printable
from services.problem import Problem

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    from services.pki.keys import PrivateKey, PublicKey

MAX_LEAF_DAYS = 398
"""What clients accept at most of any CA (CA/Browser Forum Baseline Requirements 6.3.2, Apple)."""

MAX_CA_DAYS = 7300
"""Twenty years: longer than any key here should be trusted."""

_CLOCK_SKEW = timedelta(hours=1)
"""How far a client's clock may be behind before it calls a new certificate "not yet valid"."""

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Subject:
    """A distinguished name, from the parts that private CAs ask for; empty parts are left out."""

    common_name: str
    organization: str = ""
    unit: str = ""
    locality: str = ""
    state: str = ""
    country: str = ""
    """Two letters (ISO 3166)."""

    def name(self) -> x509.Name:
        """The name, widest part first. Raises Problem `pki.bad-subject`."""
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        parts = (
            (NameOID.COUNTRY_NAME, "country", self.country.upper()),
            (NameOID.STATE_OR_PROVINCE_NAME, "state", self.state),
            (NameOID.LOCALITY_NAME, "locality", self.locality),
            (NameOID.ORGANIZATION_NAME, "organization", self.organization),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "unit", self.unit),
            (NameOID.COMMON_NAME, "common_name", self.common_name),
        )
        given = [(oid, part, value.strip()) for oid, part, value in parts if value.strip()]
        if not given:
            raise Problem("pki.bad-subject", part="common_name", value="", limit=MAX_COMMON_NAME)
        for _, part, value in given:
            if not _fits(part, value):
                limit = _SUBJECT_LIMITS[part]
                raise Problem("pki.bad-subject", part=part, value=printable(value, 80), limit=limit)
        return x509.Name([x509.NameAttribute(oid, value) for oid, _, value in given])


_SUBJECT_LIMITS = {
    "country": 2,
    "state": 128,
    "locality": 128,
    "organization": 64,
    "unit": 64,
    "common_name": MAX_COMMON_NAME,
}
"""RFC 5280 appendix A.1, `ub-…`; in bytes of UTF-8."""


def _fits(part: str, value: str) -> bool:
    if part == "country":
        return value.isascii() and value.isalpha() and len(value) == _SUBJECT_LIMITS[part]
    return value.isprintable() and len(value.encode()) <= _SUBJECT_LIMITS[part]


def make_ca(
    subject: Subject, key: PrivateKey, days: int, now: datetime, path_length: int = 0
) -> x509.Certificate:
    """A self-signed CA certificate.

    Parameters
    ----------
    path_length
        How many further CAs may stand between this one and a server's or client's certificate
        (RFC 5280 4.2.1.9).

    Raises
    ------
    Problem
        `pki.bad-subject`, `pki.bad-days`.
    """
    name = subject.name()
    life = _life(days, MAX_CA_DAYS, now)
    builder = _begin(name, name, key, life)
    return _sign(_as_ca(builder, path_length), key, key.public_key(), None)


def make_server(
    names: Sequence[str],
    key: PrivateKey | PublicKey,
    ca_cert: x509.Certificate,
    ca_key: PrivateKey,
    days: int,
    now: datetime,
) -> x509.Certificate:
    """A server's certificate for `names`: domains, wildcards, IP addresses.

    The first domain is also the common name, for people and consoles that show one; clients look
    at the subject alternative names only (RFC 9110 4.3.4).

    Parameters
    ----------
    key
        The server's key, or its public half alone, as a request (CSR) brings it.
    days
        From `now`, 1 to 398; the CA's own end cuts it short.

    Raises
    ------
    Problem
        `pki.bad-domain`, `pki.bad-days`; `pki.key-mismatch`, `pki.not-a-ca`, `pki.ca-expired`,
        `pki.ca-not-yet-valid` of the CA; `pki.same-subject` if the CA bears the same name.
    """
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID

    _check_issuer(ca_cert, ca_key)
    checked = list(dict.fromkeys(check_name(name) for name in names))
    if not checked:
        raise ValueError("a server's certificate needs a name")
    public = _public(key)
    subject = _own_subject(_server_subject(checked), ca_cert)
    builder = _begin(subject, ca_cert.subject, key, _life(days, MAX_LEAF_DAYS, now, ca_cert))
    # Without a subject the alternative names are all there is: critical (RFC 5280 4.2.1.6).
    builder = builder.add_extension(_alternative_names(checked), critical=not list(subject))
    builder = _as_leaf(
        builder,
        ExtendedKeyUsageOID.SERVER_AUTH,
        # Encipherment is for the suites without forward secrecy that old TLS 1.2 clients use.
        _key_usage(digital_signature=True, key_encipherment=isinstance(public, rsa.RSAPublicKey)),
    )
    return _sign(builder, ca_key, public, ca_cert)


def make_client(
    name: str,
    key: PrivateKey | PublicKey,
    ca_cert: x509.Certificate,
    ca_key: PrivateKey,
    days: int,
    now: datetime,
) -> x509.Certificate:
    """A client's certificate.

    The subject is the client's identity. An alternative name is added only where the name is of a
    kind that has one, an e-mail address: RFC 5280 4.1.2.6 wants that there and not in the subject
    alone. A domain gets none, so that nobody can take a client for the server of that name, and a
    plain name has no form to be written in. Listeners ask for none.

    Parameters and errors are those of `make_server`, with `pki.bad-client-name` for the name.
    """
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    _check_issuer(ca_cert, ca_key)
    name = check_client_name(name)
    subject = _own_subject(Subject(name).name(), ca_cert)
    builder = _begin(subject, ca_cert.subject, key, _life(days, MAX_LEAF_DAYS, now, ca_cert))
    if _is_email(name):
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.RFC822Name(name)]), critical=False
        )
    builder = _as_leaf(builder, ExtendedKeyUsageOID.CLIENT_AUTH, _key_usage(digital_signature=True))
    return _sign(builder, ca_key, _public(key), ca_cert)


def make_csr(subject: Subject, key: PrivateKey, names: Sequence[str] = ()) -> bytes:
    """A certificate request (PKCS#10, PEM) for a CA elsewhere: only the public key travels.

    Raises
    ------
    Problem
        `pki.bad-subject`, `pki.bad-domain`.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    builder = x509.CertificateSigningRequestBuilder().subject_name(subject.name())
    if names:
        checked = list(dict.fromkeys(check_name(name) for name in names))
        builder = builder.add_extension(_alternative_names(checked), critical=False)
    return builder.sign(key, _hash_for(key)).public_bytes(Encoding.PEM)


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey | PublicKey,
    life: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(_public(key))
        # 159 random bits: positive, within 20 octets (RFC 5280 4.1.2.2).
        .serial_number(x509.random_serial_number())
        .not_valid_before(life[0])
        .not_valid_after(life[1])
    )


def _as_ca(builder: x509.CertificateBuilder, path_length: int) -> x509.CertificateBuilder:
    from cryptography import x509

    return builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=path_length), critical=True
    ).add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)


def _as_leaf(
    builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier, usage: x509.KeyUsage
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )


def _sign(
    builder: x509.CertificateBuilder,
    ca_key: PrivateKey,
    public: PublicKey,
    ca_cert: x509.Certificate | None,
) -> x509.Certificate:
    """Add the identifiers that tie the chain together, and sign."""
    from cryptography import x509

    own = x509.SubjectKeyIdentifier.from_public_key(public)
    if ca_cert is None:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
    else:
        # The issuer's identifier is copied, not computed: another program may have made the CA,
        # and may number keys in its own way (RFC 5280 4.2.1.1).
        try:
            found = ca_cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)
        except x509.ExtensionNotFound:
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        builder.add_extension(own, critical=False)
        .add_extension(issuer, critical=False)
        .sign(ca_key, _hash_for(ca_key))
    )


def _life(
    days: int, limit: int, now: datetime, ca_cert: x509.Certificate | None = None
) -> tuple[datetime, datetime]:
    """From a little before `now` to `days` after it, within the limit and within the CA's life."""
    if now.tzinfo is None:
        raise ValueError("now must carry its time zone")
    if not 1 <= days <= limit:
        raise Problem("pki.bad-days", days=days, limit=limit)
    now = now.astimezone(UTC).replace(microsecond=0)
    begin = now - _CLOCK_SKEW
    # Both ends belong to the life (RFC 5280 4.1.2.5), hence the second.
    end = min(now + timedelta(days=days), begin + timedelta(days=limit) - _SECOND)
    if ca_cert is not None:
        ca_begin, ca_end = ca_cert.not_valid_before_utc, ca_cert.not_valid_after_utc
        if now > ca_end:
            raise Problem("pki.ca-expired", not_after=ca_end.isoformat(" "))
        if now < ca_begin:
            raise Problem("pki.ca-not-yet-valid", not_before=ca_begin.isoformat(" "))
        begin, end = max(begin, ca_begin), min(end, ca_end)
    return begin, end


def _check_issuer(ca_cert: x509.Certificate, ca_key: PrivateKey) -> None:
    from cryptography import x509

    if ca_cert.public_key() != ca_key.public_key():
        raise Problem("pki.key-mismatch")
    extensions = ca_cert.extensions
    try:
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        is_ca = signs = False
    if not (is_ca and signs):
        raise Problem("pki.not-a-ca", subject=printable(ca_cert.subject.rfc4514_string()))


def _own_subject(subject: x509.Name, ca_cert: x509.Certificate) -> x509.Name:
    """The subject, unless the CA has it already: a chain could then not be told from a loop."""
    if subject == ca_cert.subject:
        raise Problem("pki.same-subject", subject=printable(subject.rfc4514_string()))
    return subject


def _server_subject(names: Sequence[str | IPv4Address | IPv6Address]) -> x509.Name:
    from cryptography import x509

    domains_first = sorted(names, key=lambda name: not isinstance(name, str))
    for name in map(str, domains_first):
        if len(name) <= MAX_COMMON_NAME:
            return Subject(name).name()
    return x509.Name([])


def _alternative_names(
    names: Sequence[str | IPv4Address | IPv6Address],
) -> x509.SubjectAlternativeName:
    from cryptography import x509

    return x509.SubjectAlternativeName(
        [x509.DNSName(name) if isinstance(name, str) else x509.IPAddress(name) for name in names]
    )


def _is_email(name: str) -> bool:
    """Whether a name is an address that an rfc822Name can hold (RFC 5280 4.2.1.6: ASCII)."""
    local, at, domain = name.rpartition("@")
    if not (local and at and name.isascii()) or set(local) & set(' "(),:;<>@[\\]'):
        return False
    try:
        return check_name(domain) == domain.lower()
    except Problem:
        return False


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """A hash as strong as the key that signs (FIPS 186-5)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return hashes.SHA384() if key.key_size <= 384 else hashes.SHA512()
    return hashes.SHA256()


def _public(key: PrivateKey | PublicKey) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return key.public_key()
    return key
