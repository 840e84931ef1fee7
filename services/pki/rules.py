"""What TLS programs hold against one certificate.

Each rule was tried on the programs it speaks of: OpenSSL 3.0 and curl, Chromium 156; Apple's are
those that it publishes (support.apple.com/103769).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address

from services.pki.ending import ending
from services.pki.facts import CertificateFacts, KeyFacts, rfc3339
from services.pki.keys import CURVES, MIN_RSA_BITS
from services.pki.names import check_domain, matches, printable
from services.pki.verdict import Verdict, Verifier, error, warning
from services.problem import Problem

BROWSER, APPLE, CURL, LISTENER = (
    Verifier.BROWSER,
    Verifier.APPLE,
    Verifier.CURL,
    Verifier.LISTENER,
)


class Role(StrEnum):
    """What a certificate is for."""

    CA = "ca"
    SERVER = "server"
    CLIENT = "client"


JUDGES = {
    Role.CA: frozenset({BROWSER, APPLE, CURL, LISTENER}),
    Role.SERVER: frozenset({BROWSER, APPLE, CURL}),
    Role.CLIENT: frozenset({LISTENER}),
}
"""Who looks at a certificate in a role."""

_NOBODY = frozenset[Verifier]()
_BROWSER, _CURL = frozenset({BROWSER}), frozenset({CURL})

_PURPOSES = {Role.SERVER: "serverAuth", Role.CLIENT: "clientAuth"}

_APPLE_MAX = timedelta(days=825)
_APPLE_SINCE = datetime(2019, 7, 1, tzinfo=UTC)
_PUBLIC_MAX = timedelta(days=398)
_MAX_SERIAL_OCTETS = 20
_WEAK_HASHES = frozenset({"md2", "md4", "md5", "sha1"})
_WEAK_CURVE_BITS = 224


def roles(facts: CertificateFacts) -> frozenset[Role]:
    """What a certificate may be used for, by what it says of itself.

    One that says nothing (version 1, or no extended key usage) may be a client's, and also a
    server's if a domain or an address stands in it; one of version 1 that signed itself is a CA
    to OpenSSL as well.
    """
    said = facts.extensions
    if said.is_ca or "keyCertSign" in (said.key_usage or ()):
        return frozenset({Role.CA})
    found = set()
    purposes = said.extended_key_usage
    if purposes is None:
        found.add(Role.CLIENT)
        if said.dns_names or said.ip_addresses or _looks_like_host(facts.common_name):
            found.add(Role.SERVER)
    else:
        found |= {role for role, name in _PURPOSES.items() if {name, "any"} & set(purposes)}
    if facts.version == 1 and facts.self_signed:
        found.add(Role.CA)
    return frozenset(found)


def certificate_verdicts(facts: CertificateFacts, now: datetime) -> Iterator[Verdict]:
    """All that can be said of a certificate by itself."""
    parts = roles(facts)
    who = _NOBODY.union(*(JUDGES[role] for role in parts)) or JUDGES[Role.CA]
    yield from basic_verdicts(facts, now, who)
    if not parts:
        purposes = ", ".join(facts.extensions.extended_key_usage or ())
        yield error("no-tls-usage", who, purposes=purposes)
    if Role.SERVER in parts:
        yield from server_verdicts(facts)
    if Role.CLIENT in parts:
        yield from client_verdicts(facts)
    if Role.CA in parts:
        yield from _ca_verdicts(facts)
    elif facts.self_signed:
        yield error("self-signed", who, subject=facts.subject)
    yield from _blemishes(facts, now)


def basic_verdicts(
    facts: CertificateFacts, now: datetime, who: frozenset[Verifier]
) -> Iterator[Verdict]:
    """What holds of every certificate in a chain: `expired`, `not-yet-valid`, keys and hashes."""
    subject, said = facts.subject, facts.extensions
    if not said.readable or facts.key is None:
        yield error("damaged", who, subject=subject)
    if now > facts.not_after:
        yield error("expired", who, subject=subject, not_after=rfc3339(facts.not_after))
    if now < facts.not_before:
        yield error("not-yet-valid", who, subject=subject, not_before=rfc3339(facts.not_before))
    if facts.key is not None:
        yield from _key_verdicts(facts.key, who, subject)
    # Nobody checks a signature that a trusted certificate made over itself.
    if facts.signature_hash in _WEAK_HASHES and not facts.self_signed:
        yield error("weak-signature", who, subject=subject, hash=facts.signature_hash.upper())
    if said.critical_unknown:
        yield error("unknown-critical", who, subject=subject, oids=", ".join(said.critical_unknown))


def server_verdicts(facts: CertificateFacts) -> Iterator[Verdict]:
    """What clients hold against a server's certificate, whatever name they look for."""
    subject, said = facts.subject, facts.extensions
    if not said.dns_names and not said.ip_addresses:
        # curl and OpenSSL still look at the common name.
        refusers = JUDGES[Role.SERVER] - (_CURL if facts.common_name else _NOBODY)
        yield error("no-san", refusers, subject=subject, common_name=facts.common_name)
    for name in said.dns_names:
        with suppress(ValueError):
            yield error("address-as-domain", JUDGES[Role.SERVER], address=ip_address(name))
    purposes = said.extended_key_usage
    if purposes is None:
        yield error("no-extended-key-usage", {APPLE}, subject=subject)
    elif "serverAuth" not in purposes:
        # Browsers take "any" for it.
        refusers = JUDGES[Role.SERVER] - (_BROWSER if "any" in purposes else _NOBODY)
        yield _wrong_usage(facts, Role.SERVER, refusers)
    usage = said.key_usage
    if usage is not None and "digitalSignature" not in usage:
        encrypts = usage & {"keyEncipherment", "keyAgreement"}
        refusers = _BROWSER if encrypts else JUDGES[Role.SERVER]
        yield error("no-digital-signature", refusers, subject=subject)
    life = facts.not_after - facts.not_before
    if life > _APPLE_MAX and facts.not_before >= _APPLE_SINCE:
        yield error("longer-than-825-days", {APPLE}, subject=subject, days=life.days)
    elif life > _PUBLIC_MAX:
        yield warning("longer-than-398-days", subject=subject, days=life.days)
    if facts.key is not None and facts.key.curve == "secp521r1":
        yield error("unusual-curve", {BROWSER}, subject=subject, kind=facts.key.name)


def client_verdicts(facts: CertificateFacts) -> Iterator[Verdict]:
    """What the listener holds against a client's certificate."""
    said = facts.extensions
    if said.extended_key_usage is not None and "clientAuth" not in said.extended_key_usage:
        yield _wrong_usage(facts, Role.CLIENT, JUDGES[Role.CLIENT])
    if said.key_usage is not None and not said.key_usage & {"digitalSignature", "keyAgreement"}:
        yield error("no-digital-signature", JUDGES[Role.CLIENT], subject=facts.subject)


def issuer_verdicts(
    facts: CertificateFacts, role: Role, cas_below: int, is_anchor: bool
) -> Iterator[Verdict]:
    """What is held against a CA in the chain of a certificate in `role`.

    Parameters
    ----------
    cas_below
        How many CA certificates stand between this one and the end of the chain, those that only
        renew their own name not counted (RFC 5280 4.2.1.9).
    is_anchor
        Whether it is the trusted end of the chain: of that OpenSSL and browsers take it on trust
        that it is a CA, unless it says otherwise.
    """
    who, subject, said = JUDGES[role], facts.subject, facts.extensions
    if said.key_usage is not None and "keyCertSign" not in said.key_usage:
        yield error("issuer-without-cert-sign", who, subject=subject)
    elif not said.is_ca:
        refusers = who
        if is_anchor and not said.has_basic_constraints:
            # What a browser was told to trust it trusts; OpenSSL wants a hint that it is a CA.
            hint = said.key_usage is not None or (facts.version == 1 and facts.self_signed)
            refusers = _NOBODY if hint else who - _BROWSER
        if refusers:
            yield error("issuer-not-a-ca", refusers, subject=subject)
    if said.path_length is not None and cas_below > said.path_length:
        yield error("path-too-long", who, subject=subject, allowed=said.path_length)
    purposes = said.extended_key_usage
    if purposes is not None and _PURPOSES[role] not in purposes:
        refusers = who - (_BROWSER if "any" in purposes else _NOBODY)
        if refusers:
            yield error(
                "issuer-wrong-usage", refusers, subject=subject, purposes=", ".join(purposes)
            )


def name_verdicts(facts: CertificateFacts, name: str) -> Iterator[Verdict]:
    """Whether a server's certificate is for `name`, a domain or an address."""
    said = facts.extensions
    names = (*said.dns_names, *said.ip_addresses)
    if names:
        refusers = _NOBODY if _names(facts, name) else JUDGES[Role.SERVER]
    else:
        # `no-san` speaks for the others.
        refusers = _NOBODY if matches(facts.common_name, name) else _CURL
    if refusers:
        listed = printable(", ".join(names or (facts.common_name,)))
        yield error("name-mismatch", refusers, name=name, names=listed)


def _names(facts: CertificateFacts, name: str) -> bool:
    with suppress(ValueError):
        return str(ip_address(name)) in facts.extensions.ip_addresses
    return any(matches(pattern, name) for pattern in facts.extensions.dns_names)


def _key_verdicts(key: KeyFacts, who: frozenset[Verifier], subject: str) -> Iterator[Verdict]:
    match key.algorithm:
        case "RSA" if (key.bits or 0) < MIN_RSA_BITS:
            # Browsers draw the line at 1024 bits.
            refusers = who - (_BROWSER if (key.bits or 0) >= 1024 else _NOBODY)
            code = "weak-key"
        case "EC" if (key.bits or 0) < _WEAK_CURVE_BITS:
            refusers, code = who, "weak-key"
        case "EC" if key.curve not in CURVES:
            refusers, code = who, "unsupported-key"
        case "RSA" | "EC":
            return
        case "Ed25519" | "Ed448":
            # OpenSSL, and so curl, can; browsers and the vendor's cipher suites cannot.
            refusers, code = who - _CURL, "unsupported-key"
        case _:
            refusers, code = who, "unsupported-key"
    if refusers:
        yield error(code, refusers, subject=subject, kind=key.name)


def _ca_verdicts(facts: CertificateFacts) -> Iterator[Verdict]:
    said = facts.extensions
    if said.key_usage is not None and "keyCertSign" not in said.key_usage:
        yield error("issuer-without-cert-sign", JUDGES[Role.CA], subject=facts.subject)
    purposes = said.extended_key_usage
    if purposes is not None and not set(_PURPOSES.values()) <= set(purposes):
        yield warning("ca-restricted", subject=facts.subject, purposes=", ".join(purposes))


def _blemishes(facts: CertificateFacts, now: datetime) -> Iterator[Verdict]:
    """What is wrong, or will be soon, but is accepted today."""
    if ending(facts.not_after, now, facts.not_before) == "soon":
        days = (facts.not_after - now).days
        yield warning("expires-soon", subject=facts.subject, days=days)
    if facts.version == 1:
        yield warning("version-1", subject=facts.subject)
    elif lacks := _lacks(facts):
        yield warning("not-strict", subject=facts.subject, lacks=", ".join(lacks))
    serial = int(facts.serial, 16)
    # Several public roots have serial number 0, and nobody minds.
    zero = serial == 0 and not facts.self_signed
    if serial < 0 or zero or serial.bit_length() >= 8 * _MAX_SERIAL_OCTETS:
        yield warning("bad-serial", subject=facts.subject, serial=facts.serial)


def _lacks(facts: CertificateFacts) -> list[str]:
    """What RFC 5280 demands, and OpenSSL with `-x509_strict` and Python from 3.13 on check."""
    said = facts.extensions
    missing = []
    if said.authority_key_id is None and not facts.same_name:
        missing.append("authorityKeyIdentifier")
    if said.is_ca:
        if not said.critical_basic_constraints:
            missing.append("critical basicConstraints")
        if said.key_usage is None:
            missing.append("keyUsage")
        if said.subject_key_id is None:
            missing.append("subjectKeyIdentifier")
    return missing


def _wrong_usage(facts: CertificateFacts, role: Role, refusers: frozenset[Verifier]) -> Verdict:
    purposes = ", ".join(facts.extensions.extended_key_usage or ())
    return error(
        "wrong-usage",
        refusers,
        subject=facts.subject,
        wanted=_PURPOSES[role],
        purposes=purposes,
    )


def _looks_like_host(name: str) -> bool:
    with suppress(ValueError):
        ip_address(name)
        return True
    try:
        check_domain(name)
    except Problem:
        return False
    return True
