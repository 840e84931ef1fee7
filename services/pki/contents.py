"""What lies in the bytes of a file: certificates, keys, requests, PKCS#12, in PEM or DER."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from services.pki.facts import (
    CertificateFacts,
    KeyFacts,
    RequestFacts,
    key_facts,
    request_facts,
)
from services.pki.keys import read_key
from services.pki.names import printable
from services.pki.path import Link, link
from services.pki.pkcs12 import Profile
from services.pki.protection import Protection, protection
from services.pki.verdict import Verdict, Verifier, error, info, warning
from services.problem import Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes


class Kind(StrEnum):
    CERTIFICATE = "certificate"
    PRIVATE_KEY = "private-key"
    REQUEST = "request"
    PKCS12 = "pkcs12"
    OTHER = "other"
    """Something of the same family that says nothing here, such as a public key or a CRL."""
    DAMAGED = "damaged"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class PrivateKeyFacts:
    """A private key, seen from outside."""

    key: KeyFacts | None
    """None if it could not be opened."""
    encrypted: bool

    def to_map(self) -> dict[str, object]:
        """For JSON."""
        return {"public_key": self.key and self.key.to_map(), "encrypted": self.encrypted}


@dataclass(frozen=True, slots=True)
class Pkcs12Facts:
    """A PKCS#12 file; what is in it follows as findings of their own."""

    protection: Protection
    opened: bool
    name: str = ""
    """The friendly name of the key's certificate."""

    def to_map(self) -> dict[str, object]:
        """For JSON."""
        profile = self.protection.profile
        return {
            "opened": self.opened,
            "name": self.name,
            "ciphers": list(self.protection.ciphers),
            "mac": self.protection.mac,
            "rounds": self.protection.rounds,
            "profile": None if profile is None else profile.value,
        }


@dataclass(frozen=True, slots=True)
class OtherFacts:
    """A PEM block that is named and left alone."""

    label: str

    def to_map(self) -> dict[str, object]:
        """For JSON."""
        return {"label": self.label}


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing in a file, with what is said of its form. Secrets are not kept."""

    kind: Kind
    holds: CertificateFacts | PrivateKeyFacts | RequestFacts | Pkcs12Facts | OtherFacts | None
    verdicts: tuple[Verdict, ...] = ()
    link: Link | None = None
    """The certificate, for those who look at chains."""
    public: PublicKeyTypes | None = None
    """The public half of a private key, for those who look for its certificate."""


def contents(data: bytes, password: bytes | None = None) -> tuple[Piece, ...]:
    """What is in a file, in its order; empty if there is nothing that is known here."""
    text, wide = _narrowed(data)
    if b"-----BEGIN " in text:
        pieces = tuple(_pem_pieces(text, password))
        if wide and pieces:
            flaw = error("pem-encoding", {Verifier.CURL, Verifier.CAS})
            return (_with(pieces[0], flaw), *pieces[1:])
        return pieces
    return tuple(_der_pieces(data, password))


_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _narrowed(data: bytes) -> tuple[bytes, bool]:
    """The bytes with one octet a letter, and whether they had two, as Windows PowerShell's have."""
    if not data.startswith(_UTF_16):
        return data, False
    return data.decode("utf-16", "replace").encode("ascii", "replace"), True


_BLOCK = re.compile(
    # Another BEGIN inside means that the first block was cut off.
    rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]*)-----((?:(?!-----BEGIN ).)*?)-----END \1-----",
    re.DOTALL,
)
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]*)-----")
_LINE_END = re.compile(rb"[ \t]*\r?(\n|\Z)")


def _pem_pieces(text: bytes, password: bytes | None) -> Iterator[Piece]:
    # A shell, an API or a one-line field may have turned line ends into backslash and n.
    spelt = b"\\n" in text
    if spelt:
        text = text.replace(b"\\n", b"\n")
    offset = 0
    for found in _BLOCK.finditer(text):
        yield from _unfinished(text[offset : found.start()])
        offset = found.end()
        flawed = spelt or not _stands_alone(text, found)
        for piece in _block_pieces(found, password):
            flaw = error("pem-line-breaks", {Verifier.CURL, Verifier.CAS})
            yield _with(piece, flaw) if flawed else piece
    yield from _unfinished(text[offset:])


def _unfinished(between: bytes) -> Iterator[Piece]:
    """A block that begins and does not end: the file was cut."""
    for found in _BEGIN.finditer(between):
        yield _damaged(found[1].decode("ascii"))


def _stands_alone(text: bytes, block: re.Match[bytes]) -> bool:
    """Whether begin and end have lines of their own, without which OpenSSL sees no block."""
    body_start, body_end = block.span(2)
    before = text[max(block.start() - 3, 0) : block.start()]
    return (before in (b"", codecs.BOM_UTF8) or before.endswith(b"\n")) and (
        _LINE_END.match(text, body_start) is not None
        and text[body_end - 1 : body_end] == b"\n"
        and _LINE_END.match(text, block.end()) is not None
    )


def _block_pieces(block: re.Match[bytes], password: bytes | None) -> Iterator[Piece]:
    label = block[1].decode("ascii")
    if label in ("EC PARAMETERS", "DH PARAMETERS"):
        return
    if label.endswith("PRIVATE KEY") and label != "OPENSSH PRIVATE KEY":
        yield _key_piece(_neat(label, block[2]), password) or _damaged(label)
        return
    reader = {
        "CERTIFICATE": _certificates,
        "X509 CERTIFICATE": _certificates,
        "PKCS7": _pkcs7,
        "CERTIFICATE REQUEST": _requests,
        "NEW CERTIFICATE REQUEST": _requests,
    }.get(label)
    if reader is None:
        yield Piece(Kind.OTHER, OtherFacts(label))
        return
    try:
        pieces = reader(base64.b64decode(b"".join(block[2].split()), validate=True))
    except (binascii.Error, ValueError):
        pieces = (_damaged(label),)
    yield from pieces


def _neat(label: str, body: bytes) -> bytes:
    """A block as every reader takes it. One with headers, as old encrypted keys have, stays."""
    marker = label.encode("ascii")
    if b":" not in body:
        letters = b"".join(body.split()).decode("ascii", "replace")
        body = b"\n" + "\n".join(textwrap.wrap(letters, 64)).encode("ascii", "replace") + b"\n"
    return b"-----BEGIN " + marker + b"-----" + body + b"-----END " + marker + b"-----\n"


def _der_pieces(data: bytes, password: bytes | None) -> Iterator[Piece]:
    if not data.startswith(b"\x30"):
        return
    for reader in (_certificates, _requests):
        try:
            yield from reader(data)
        except ValueError:
            continue
        return
    if (key := _key_piece(data, password)) is not None:
        yield key
    elif (found := protection(data)) is not None:
        yield from _pkcs12_pieces(data, found, password)
    else:
        try:
            yield from _pkcs7(data)
        except ValueError:
            return


def _certificates(der: bytes) -> tuple[Piece, ...]:
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from error
    return (_certificate_piece(link(certificate)),)


def _certificate_piece(found: Link) -> Piece:
    return Piece(Kind.CERTIFICATE, found.facts, link=found)


def _requests(der: bytes) -> tuple[Piece, ...]:
    from cryptography import x509

    facts = request_facts(x509.load_der_x509_csr(der))
    verdicts = () if facts.valid else (error("request-signature", {Verifier.CAS}),)
    return (Piece(Kind.REQUEST, facts, verdicts),)


def _pkcs7(der: bytes) -> tuple[Piece, ...]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates

    try:
        return tuple(_certificate_piece(link(each)) for each in load_der_pkcs7_certificates(der))
    except UnsupportedAlgorithm as other_content:
        raise ValueError("not a bag of certificates") from other_content


def _key_piece(data: bytes, password: bytes | None) -> Piece | None:
    """A private key; None if the bytes are none, or are damaged."""
    encrypted = False
    try:
        try:
            key = read_key(data)
        except Problem as problem:
            if problem.code != "pki.key-encrypted":
                raise
            encrypted = True
            key = read_key(data, password)
    except Problem as problem:
        verdict = _KEY_VERDICTS.get(problem.code)
        if verdict is None:
            return None
        return Piece(Kind.PRIVATE_KEY, PrivateKeyFacts(None, encrypted), (verdict,))
    verdicts = (info("key-encrypted"),) if encrypted else ()
    return _opened_key(key, encrypted, verdicts)


_KEY_VERDICTS = {
    "pki.key-encrypted": warning("password-needed"),
    "pki.key-password": error("wrong-password", ()),
    "pki.key-unsupported": error("key-unknown", {Verifier.CAS}),
}


def _opened_key(key: PrivateKeyTypes, encrypted: bool, verdicts: tuple[Verdict, ...] = ()) -> Piece:
    public = key.public_key()
    facts = PrivateKeyFacts(key_facts(public), encrypted)
    return Piece(Kind.PRIVATE_KEY, facts, verdicts, public=public)


_MAX_ROUNDS = 20_000_000
"""Some ten seconds of work; programs use 2,000 to 1,000,000. More is damage, or meant to stall."""


def _pkcs12_pieces(data: bytes, found: Protection, password: bytes | None) -> Iterator[Piece]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    if found.most_rounds > _MAX_ROUNDS:
        costly = error("pkcs12-costly", (), rounds=found.most_rounds)
        yield Piece(Kind.PKCS12, Pkcs12Facts(found, opened=False), (costly,))
        return
    opened = None
    flaw: Verdict | None = None
    # Without a password first: a file that opens so should be known for it.
    for attempt in (None, password) if password else (None,):
        try:
            opened = load_pkcs12(data, attempt)
            flaw = warning("pkcs12-no-password") if attempt is None else None
            break
        except UnsupportedAlgorithm:
            flaw = error("pkcs12-unknown", ())
        except ValueError:
            flaw = error("wrong-password", ()) if password else warning("password-needed")
    verdicts = (*((flaw,) if flaw else ()), *_protection_verdicts(found))
    if opened is None:
        yield Piece(Kind.PKCS12, Pkcs12Facts(found, opened=False), verdicts)
        return
    if opened.key is None:
        verdicts = (error("pkcs12-no-key", {Verifier.BROWSER, Verifier.APPLE}), *verdicts)
    certificates = [each for each in (opened.cert, *opened.additional_certs) if each]
    name = certificates[0].friendly_name if certificates else None
    shown = printable((name or b"").decode("utf-8", "replace"))
    yield Piece(Kind.PKCS12, Pkcs12Facts(found, opened=True, name=shown), verdicts)
    if opened.key is not None:
        yield _opened_key(opened.key, encrypted=bool(found.ciphers))
    for each in certificates:
        try:
            yield _certificate_piece(link(each.certificate))
        except ValueError:
            yield _damaged("CERTIFICATE")


def _protection_verdicts(found: Protection) -> Iterator[Verdict]:
    if found.profile is Profile.MODERN:
        yield info("pkcs12-modern")
    elif found.profile is Profile.LEGACY:
        yield info("pkcs12-legacy")
    if found.outdated:
        yield warning("pkcs12-outdated", ciphers=", ".join(found.ciphers))
    if not found.mac:
        yield warning("pkcs12-no-mac")


def _damaged(label: str) -> Piece:
    return Piece(Kind.DAMAGED, OtherFacts(label), (error("damaged-block", (), label=label),))


def _with(piece: Piece, verdict: Verdict) -> Piece:
    return Piece(piece.kind, piece.holds, (verdict, *piece.verdicts), piece.link, piece.public)
