"""Do these belong together, and will they be accepted? Questions about certificates at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from services.pki.facts import quiet, signed_by
from services.pki.keys import load_key
from services.pki.path import Link, link, path_verdicts
from services.pki.rules import Role
from services.pki.verdict import Verdict
from services.problem import Problem

if TYPE_CHECKING:
    from cryptography import x509


def match(certificate_pem: bytes, key_pem: bytes, password: bytes | None = None) -> None:
    """Raise Problem `pki.key-mismatch` unless the key is that of the (leaf) certificate.

    Also raises what `chain_of` and `keys.load_key` raise.
    """
    if chain_of(certificate_pem)[0].public_key() != load_key(key_pem, password).public_key():
        raise Problem("pki.key-mismatch")


def certificates_of(data: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates in a PEM file, in its order; a DER certificate is taken too.

    Raises
    ------
    Problem
        `pki.certificate-unreadable` if there is none, or one is damaged.
    """
    from cryptography import x509

    with quiet():
        try:
            if b"-----BEGIN " in data:
                return tuple(x509.load_pem_x509_certificates(data))
            return (x509.load_der_x509_certificate(data),)
        except (ValueError, x509.InvalidVersion) as error:  # the latter is no ValueError
            raise Problem("pki.certificate-unreadable", str(error)) from error


def chain_of(data: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates in a PEM file, leaf first, each issued by the next.

    The leaf is the one that issued no other; if there are several such, the first in the file.
    What is not in its chain is left out. Raises what `certificates_of` raises.
    """
    with quiet():
        found = certificates_of(data)
        ordered = [_leaf(found)]
        while above := _issuer(ordered[-1], found, ordered):
            ordered.append(above)
        return tuple(ordered)


def fingerprint_sha256(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, upper-case hexadecimal, as the vendor's console shows it."""
    from cryptography.hazmat.primitives.hashes import SHA256

    return certificate.fingerprint(SHA256()).hex().upper()


def verify_client(
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    ca_pem: bytes,
    now: datetime,
    known: Sequence[x509.Certificate] = (),
) -> tuple[Verdict, ...]:
    """Why a listener that trusts `ca_pem` refuses a client; empty if it accepts it.

    Offline, and by OpenSSL's rules: the vendor does not publish the listener's. Revocation is not
    looked at. Every certificate in `ca_pem` is trusted, an intermediate CA's too.

    Parameters
    ----------
    chain
        What the client sends besides its certificate.
    known
        Other certificates that exist, such as an intermediate CA's from the session: where one of
        them is what the client should have sent, the reason is `missing-intermediate`.

    Raises
    ------
    Problem
        `pki.certificate-unreadable`.
    """
    return _verify((certificate, *chain), ca_pem, Role.CLIENT, now, None, known)


def verify_server(
    chain: Sequence[x509.Certificate],
    ca_pem: bytes,
    name: str,
    now: datetime,
    known: Sequence[x509.Certificate] = (),
) -> tuple[Verdict, ...]:
    """Why clients that trust `ca_pem` refuse a server; empty if all of them accept it.

    `Verdict.refused_by` tells the clients apart: `curl` stands for every program on OpenSSL.

    Parameters
    ----------
    chain
        What the server sends, its own certificate first.
    name
        The domain (as `names.check_domain` returns it) or address that clients look for.

    Raises
    ------
    Problem
        `pki.certificate-unreadable`.
    """
    return _verify(chain, ca_pem, Role.SERVER, now, name, known)


def _verify(
    chain: Sequence[x509.Certificate],
    ca_pem: bytes,
    role: Role,
    now: datetime,
    name: str | None,
    known: Sequence[x509.Certificate],
) -> tuple[Verdict, ...]:
    with quiet():
        leaf, *others = _links(chain)
        anchors = _links(certificates_of(ca_pem))
        return path_verdicts(leaf, others, anchors, role, now, name, _links(known))


def _links(certificates: Sequence[x509.Certificate]) -> list[Link]:
    try:
        return [link(each) for each in certificates]
    except ValueError as error:
        raise Problem("pki.certificate-unreadable", str(error)) from error


def _leaf(found: Sequence[x509.Certificate]) -> x509.Certificate:
    def issued_another(each: x509.Certificate) -> bool:
        return any(other != each and signed_by(other, each) for other in found)

    return next((each for each in found if not issued_another(each)), found[0])


def _issuer(
    below: x509.Certificate,
    found: Sequence[x509.Certificate],
    used: Sequence[x509.Certificate],
) -> x509.Certificate | None:
    above: Iterator[x509.Certificate] = (
        each for each in found if each not in used and signed_by(below, each)
    )
    return next(above, None)
