"""PKCS#12 files: what browsers and operating systems import a client's certificate from."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from services.problem import Problem

if TYPE_CHECKING:
    from cryptography import x509

    from services.pki.keys import PrivateKey


class Profile(StrEnum):
    """How a file is protected, which decides who can open it."""

    MODERN = "modern"
    """AES-256-CBC, PBKDF2 with HMAC-SHA-256, SHA-256 MAC: OpenSSL 3's own, Firefox, Windows 10
    from version 1709 and Server 2019 on, macOS only in recent releases."""

    LEGACY = "legacy"
    """3DES and a SHA-1 MAC: every Windows and macOS, and still everything else."""


MIN_PASSWORD = 4

_ROUNDS = 2048
"""What OpenSSL uses, and what the library fixes for the MAC. An attacker tries passwords on the
cheapest part of the file, the MAC, so that more rounds elsewhere would only look safer: what
protects the key is a long password."""

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Lower case alone, without what looks alike (i, l, 1, o, 0): quick to type, also on a phone."""

_GROUPS, _GROUP = 4, 4


def bundle(
    name: str,
    key: PrivateKey,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    password: str,
    profile: Profile = Profile.MODERN,
) -> bytes:
    """A PKCS#12 file (DER) of a key, its certificate and the CAs above it.

    Parameters
    ----------
    name
        The friendly name that certificate stores show.

    Raises
    ------
    Problem
        `pki.bad-password`; `pki.key-mismatch` if the key is not the certificate's.
    """
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256
    from cryptography.hazmat.primitives.serialization import PrivateFormat
    from cryptography.hazmat.primitives.serialization.pkcs12 import (
        PBES,
        serialize_key_and_certificates,
    )

    check_password(password)
    if key.public_key() != certificate.public_key():
        raise Problem("pki.key-mismatch")
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(_ROUNDS)
    match profile:
        case Profile.MODERN:
            builder = builder.key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
            builder = builder.hmac_hash(SHA256())
        case Profile.LEGACY:
            builder = builder.key_cert_algorithm(PBES.PBESv1SHA1And3KeyTripleDESCBC)
            builder = builder.hmac_hash(SHA1())
    encryption = builder.build(password.encode("ascii"))
    return serialize_key_and_certificates(name.encode(), key, certificate, chain, encryption)


def check_password(password: str) -> None:
    """Refuse a password that some program could not take (`pki.bad-password`).

    Programs disagree on how other signs than ASCII are turned into bytes (OpenSSL
    passphrase-encoding(7)), and trim spaces at the ends.
    """
    if (
        len(password) < MIN_PASSWORD
        or not password.isascii()
        or not password.isprintable()
        or password != password.strip()
    ):
        # Not the password, nor anything that says much about it.
        raise Problem("pki.bad-password", limit=MIN_PASSWORD)


def new_password() -> str:
    """A random password of 79 bits, in groups of four: `k7mw-x2fd-9qhr-tb4n`."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)
