"""How a PKCS#12 file (RFC 7292) is encrypted and sealed, as seen without its password."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from services.pki.ber import (
    CONTEXT_0,
    SEQUENCE,
    Element,
    Malformed,
    element,
)
from services.pki.pkcs12 import Profile

_DATA = "1.2.840.113549.1.7.1"
_ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_SHROUDED_KEY = "1.2.840.113549.1.12.10.1.2"
_PBES2 = "1.2.840.113549.1.5.13"
_PBMAC1 = "1.2.840.113549.1.5.14"

_NAMES = {
    "1.2.840.113549.1.12.1.1": "SHA1-RC4-128",
    "1.2.840.113549.1.12.1.2": "SHA1-RC4-40",
    "1.2.840.113549.1.12.1.3": "SHA1-3DES",
    "1.2.840.113549.1.12.1.4": "SHA1-2DES",
    "1.2.840.113549.1.12.1.5": "SHA1-RC2-128",
    "1.2.840.113549.1.12.1.6": "SHA1-RC2-40",
    "2.16.840.1.101.3.4.1.2": "AES-128-CBC",
    "2.16.840.1.101.3.4.1.22": "AES-192-CBC",
    "2.16.840.1.101.3.4.1.42": "AES-256-CBC",
    "1.2.840.113549.3.2": "RC2-CBC",
    "1.2.840.113549.3.7": "3DES-CBC",
    "1.2.840.113549.2.7": "HMAC-SHA1",
    "1.2.840.113549.2.9": "HMAC-SHA256",
    "1.2.840.113549.2.10": "HMAC-SHA384",
    "1.2.840.113549.2.11": "HMAC-SHA512",
    "1.2.840.113549.2.5": "MD5",
    "1.3.14.3.2.26": "SHA1",
    "2.16.840.1.101.3.4.2.1": "SHA256",
    "2.16.840.1.101.3.4.2.2": "SHA384",
    "2.16.840.1.101.3.4.2.3": "SHA512",
    _PBMAC1: "PBMAC1",
}

_NEEDS_LEGACY_PROVIDER = ("RC2", "RC4")


@dataclass(frozen=True, slots=True)
class Protection:
    """Algorithms by name, such as `PBKDF2-HMAC-SHA256 AES-256-CBC`; empty where there is none."""

    ciphers: tuple[str, ...]
    """What the bags of keys and certificates are encrypted with, each once, outermost first."""
    mac: str
    rounds: int
    """The smallest iteration count, which is what an attacker has to pay; 0 without encryption."""
    most_rounds: int
    """The largest, which is what opening it costs."""

    @property
    def profile(self) -> Profile | None:
        """The profile of this program that it has, if one."""
        if self.ciphers == ("PBKDF2-HMAC-SHA256 AES-256-CBC",) and self.mac == "SHA256":
            return Profile.MODERN
        if self.ciphers == ("SHA1-3DES",) and self.mac == "SHA1":
            return Profile.LEGACY
        return None

    @property
    def outdated(self) -> bool:
        """Whether OpenSSL 3 refuses it without `-legacy`."""
        return any(name in cipher for cipher in self.ciphers for name in _NEEDS_LEGACY_PROVIDER)


def protection(data: bytes) -> Protection | None:
    """How a PKCS#12 file is protected; None if `data` is no such file."""
    try:
        return _read(data)
    except (Malformed, IndexError, ValueError):
        # The last two: an element with fewer or more parts than its kind has.
        return None


@dataclass(slots=True)
class _Seen:
    ciphers: dict[str, None] = field(default_factory=dict)
    rounds: list[int] = field(default_factory=list)


def _read(data: bytes) -> Protection:
    version, safe, *mac = element(data).children()
    if version.integer() != 3:
        raise Malformed
    seen = _Seen()
    for content in element(_content(safe, _DATA).octets()).children():
        kind = content.children()[0].oid()
        if kind == _ENCRYPTED_DATA:
            _, encrypted, *_ = _content(content, _ENCRYPTED_DATA).children()
            _see(encrypted.children()[1], seen)
        elif kind == _DATA:
            for algorithm in _key_algorithms(_content(content, _DATA).octets()):
                _see(algorithm, seen)
    name = ""
    if mac:
        digest, _salt, *count = mac[0].children()
        algorithm = digest.children()[0]
        name = _name(algorithm)
        if algorithm.children()[0].oid() == _PBMAC1:
            _derivation_name(algorithm.children()[1].children()[0], seen)
        else:
            seen.rounds.append(count[0].integer() if count else 1)
    return Protection(
        tuple(seen.ciphers), name, min(seen.rounds, default=0), max(seen.rounds, default=0)
    )


def _content(info: Element, kind: str) -> Element:
    """What a ContentInfo of this kind holds."""
    oid, explicit = info.children()
    if info.tag != SEQUENCE or oid.oid() != kind or explicit.tag != CONTEXT_0:
        raise Malformed
    return explicit.children()[0]


def _key_algorithms(bags: bytes) -> Iterator[Element]:
    for bag in element(bags).children():
        oid, value, *_ = bag.children()
        if oid.oid() == _SHROUDED_KEY:
            yield value.children()[0].children()[0]


def _see(algorithm: Element, seen: _Seen) -> None:
    """Note an encryption algorithm (RFC 8018 for PBES2, RFC 7292 appendix C for the others)."""
    oid, parameters = algorithm.children()
    if oid.oid() == _PBES2:
        derivation, cipher = parameters.children()
        seen.ciphers[f"{_derivation_name(derivation, seen)} {_name(cipher)}"] = None
    else:
        seen.rounds.append(parameters.children()[1].integer())
        seen.ciphers[_name(algorithm)] = None


def _derivation_name(derivation: Element, seen: _Seen) -> str:
    """The name of a key derivation function, whose cost is noted."""
    oid, parameters = derivation.children()
    _salt, *rest = parameters.children()
    match oid.oid():
        case "1.2.840.113549.1.5.12":  # PBKDF2 (RFC 8018 A.2)
            seen.rounds.append(rest[0].integer())
            # The default, which DER leaves out, is HMAC with SHA-1.
            prf = next((_name(each) for each in rest if each.tag == SEQUENCE), "HMAC-SHA1")
            return f"PBKDF2-{prf}"
        case "1.3.6.1.4.1.11591.4.11":  # scrypt (RFC 7914 7.1)
            cost, block_size, parallel = (each.integer() for each in rest[:3])
            seen.rounds.append(cost * block_size * parallel)
            return "scrypt"
        case unknown:
            return unknown


def _name(algorithm: Element) -> str:
    oid = algorithm.children()[0].oid()
    return _NAMES.get(oid, oid)
