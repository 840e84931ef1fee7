"""The extensions of a certificate that TLS programs look at, as plain facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from services.pki.names import printable

if TYPE_CHECKING:
    from cryptography import x509

    E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Extensions:
    """What they say. A certificate of version 1 has none, and so all the defaults."""

    readable: bool = True
    """False if they are damaged: nobody accepts the certificate then."""
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()
    """E-mail addresses, URIs and the like, with their kind in front: `email:…`."""
    key_usage: frozenset[str] | None = None
    """RFC 5280 4.2.1.3's names, `digitalSignature` …; None if the extension is absent."""
    extended_key_usage: tuple[str, ...] | None = None
    """`serverAuth`, `clientAuth`, `any`, or an OID; None if the extension is absent."""
    is_ca: bool = False
    has_basic_constraints: bool = False
    critical_basic_constraints: bool = False
    path_length: int | None = None
    subject_key_id: str | None = None
    authority_key_id: str | None = None
    authority_serial: int | None = None
    name_constraints: bool = False
    critical_unknown: tuple[str, ...] = ()
    """OIDs of critical extensions that OpenSSL does not know, and so refuses."""


def read_extensions(certificate: x509.Certificate) -> Extensions:
    """Read the extensions of a certificate."""
    from cryptography import x509

    try:
        found = tuple(certificate.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return Extensions(readable=False)

    def value(kind: type[E]) -> E | None:
        return next((each.value for each in found if isinstance(each.value, kind)), None)

    names = value(x509.SubjectAlternativeName) or ()
    usage = value(x509.KeyUsage)
    purposes = value(x509.ExtendedKeyUsage)
    constraints = value(x509.BasicConstraints)
    own = value(x509.SubjectKeyIdentifier)
    issuer = value(x509.AuthorityKeyIdentifier)
    critical = {each.oid.dotted_string for each in found if each.critical}
    return Extensions(
        dns_names=tuple(general_name(each) for each in names if isinstance(each, x509.DNSName)),
        ip_addresses=tuple(
            general_name(each) for each in names if isinstance(each, x509.IPAddress)
        ),
        other_names=tuple(
            general_name(each)
            for each in names
            if not isinstance(each, x509.DNSName | x509.IPAddress)
        ),
        key_usage=None if usage is None else _usages(usage),
        extended_key_usage=None if purposes is None else tuple(map(_purpose, purposes)),
        is_ca=constraints is not None and constraints.ca,
        has_basic_constraints=constraints is not None,
        critical_basic_constraints=x509.BasicConstraints.oid.dotted_string in critical,
        path_length=None if constraints is None else constraints.path_length,
        subject_key_id=None if own is None else own.digest.hex(),
        authority_key_id=None
        if issuer is None or issuer.key_identifier is None
        else issuer.key_identifier.hex(),
        authority_serial=None if issuer is None else issuer.authority_cert_serial_number,
        name_constraints=value(x509.NameConstraints) is not None,
        critical_unknown=tuple(sorted(critical - _KNOWN)),
    )


def general_name(name: x509.GeneralName) -> str:
    """A name as people write it, with its kind in front unless it is a domain or an address."""
    from cryptography import x509

    match name:
        case x509.DNSName() | x509.IPAddress():
            return printable(str(name.value))
        case x509.RFC822Name():
            return printable(f"email:{name.value}")
        case x509.UniformResourceIdentifier():
            return printable(f"URI:{name.value}")
        case x509.DirectoryName():
            return printable(f"dirName:{name.value.rfc4514_string()}")
        case _:
            return type(name).__name__


_PURPOSES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "any",
}

_KNOWN = frozenset(
    {
        "1.3.6.1.5.5.7.1.7",  # IP address blocks
        "1.3.6.1.5.5.7.1.8",  # autonomous system numbers
        "1.3.6.1.5.5.7.1.14",  # proxy certificates
        "1.3.6.1.5.5.7.48.1.5",  # OCSP no check
        "2.5.29.15",  # key usage
        "2.5.29.17",  # subject alternative name
        "2.5.29.19",  # basic constraints
        "2.5.29.30",  # name constraints
        "2.5.29.31",  # CRL distribution points
        "2.5.29.32",  # certificate policies
        "2.5.29.33",  # policy mappings
        "2.5.29.35",  # authority key identifier
        "2.5.29.36",  # policy constraints
        "2.5.29.37",  # extended key usage
        "2.5.29.54",  # inhibit any policy
        "2.16.840.1.113730.1.1",  # Netscape certificate type
    }
)
"""Critical extensions that OpenSSL handles (X509_supported_extension in crypto/x509/v3_purp.c)."""


def _purpose(oid: x509.ObjectIdentifier) -> str:
    return _PURPOSES.get(oid.dotted_string, oid.dotted_string)


def _usages(usage: x509.KeyUsage) -> frozenset[str]:
    named = {
        "digitalSignature": usage.digital_signature,
        "nonRepudiation": usage.content_commitment,
        "keyEncipherment": usage.key_encipherment,
        "dataEncipherment": usage.data_encipherment,
        "keyAgreement": usage.key_agreement,
        "keyCertSign": usage.key_cert_sign,
        "cRLSign": usage.crl_sign,
    }
    return frozenset(name for name, given in named.items() if given)
