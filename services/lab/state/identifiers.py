"""Identifiers in the vendor's formats: random for what is made, fixed for what was there before."""

from __future__ import annotations

import hashlib
import secrets
import string
import uuid

_ALPHABET = string.digits + string.ascii_lowercase
_LENGTH = 18


def fresh(prefix: str) -> str:
    """A new resource id, such as `sgp-` and 18 lower-case letters and digits."""
    return f"{prefix}-" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def derived(prefix: str, name: str) -> str:
    """The same kind of id, always the same for a name."""
    number = int.from_bytes(hashlib.sha256(f"{prefix}/{name}".encode()).digest(), "big")
    signs = []
    for _ in range(_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        signs.append(_ALPHABET[rest])
    return f"{prefix}-" + "".join(signs)


def fresh_job() -> str:
    """A job's id: a UUID in lower case."""
    return str(uuid.uuid4())


def fresh_request() -> str:
    """A request's id: a UUID in upper case."""
    return str(uuid.uuid4()).upper()


def fresh_certificate() -> str:
    """A Private CA or repository certificate's id: a UUID whose third group begins with 6."""
    text = str(uuid.uuid4())
    return text[:14] + "6" + text[15:]
