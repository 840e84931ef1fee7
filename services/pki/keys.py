"""Private keys: made, written as PEM, and read back.

`cryptography` is imported inside the functions of this room: it costs 30 to 60 ms.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from services.problem import Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

MIN_RSA_BITS = 2048
"""Apple's clients and OpenSSL at its usual security level 2 refuse shorter RSA keys."""

CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""The curves that the listener's cipher suites and TLS clients share."""


class KeyKind(StrEnum):
    """The keys that this program makes."""

    EC_P256 = "ec-p256"
    RSA_2048 = "rsa-2048"
    RSA_4096 = "rsa-4096"


def new_key(kind: KeyKind = KeyKind.EC_P256) -> PrivateKey:
    """A fresh private key.

    P-256 takes 0.01 ms, RSA 2048 about 40 ms, RSA 4096 half a second and sometimes several: never
    make one in the interface's thread.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    match kind:
        case KeyKind.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.RSA_2048:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case KeyKind.RSA_4096:
            return rsa.generate_private_key(public_exponent=65537, key_size=4096)


def key_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS#8 PEM, the one form that the cloud and every TLS library read."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_key(data: bytes, password: bytes | None = None) -> PrivateKey:
    """The private key in a PEM (or DER) file, if it is one that a TLS listener can use.

    Raises
    ------
    Problem
        `pki.key-unreadable`, `pki.key-encrypted`, `pki.key-password` as `read_key` does;
        `pki.key-unsupported` for anything but RSA of 2048 bits or more, P-256, P-384 and P-521.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = read_key(data, password)
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= MIN_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key
    raise Problem("pki.key-unsupported", kind=key_name(key.public_key()))


def read_key(data: bytes, password: bytes | None = None) -> PrivateKeyTypes:
    """The private key in a PEM or DER file, of whatever kind. A needless password is ignored.

    Raises
    ------
    Problem
        `pki.key-unreadable`; `pki.key-encrypted` without a password; `pki.key-password` with a
        wrong one; `pki.key-unsupported` for a kind that the library does not know.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        load_der_private_key,
        load_pem_private_key,
    )

    load = load_pem_private_key if b"-----BEGIN " in data else load_der_private_key
    # The library's own texts are not passed on: none is needed, and none can then hold a secret.
    try:
        return load(data, None)
    except TypeError:
        # This says that the key is encrypted, and nothing else.
        if not password:
            raise Problem("pki.key-encrypted") from None
    except UnsupportedAlgorithm:
        raise Problem("pki.key-unsupported", kind="?") from None
    except ValueError:
        raise Problem("pki.key-unreadable") from None
    try:
        return load(data, password)
    except UnsupportedAlgorithm:
        raise Problem("pki.key-unsupported", kind="?") from None
    except ValueError:
        raise Problem("pki.key-password") from None


def key_name(key: PublicKeyTypes) -> str:
    """A key's kind as people write it: `RSA 2048`, `EC P-256`, `Ed25519`."""
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {_CURVE_NAMES.get(key.curve.name, key.curve.name)}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case ed448.Ed448PublicKey():
            return "Ed448"
        case _:
            return type(key).__name__.removesuffix("PublicKey")


_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
"""The names of NIST (FIPS 186) for the curves that SEC 2 calls otherwise."""
