"""The lab's SSH keys: Ed25519, made once, kept in files that only their owner reads."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path


def key_file(path: Path) -> Path:
    """The private key at `path` in OpenSSH's format, made now if there is none."""
    if not path.exists():
        # cryptography: 0.1 s, and only a lab's first start makes keys.
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        content = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
        )
        # Whole or not at all: half a key would keep the lab from starting ever after.
        beside = path.with_name(path.name + ".new")
        beside.unlink(missing_ok=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        os.replace(beside, path)
    return path


def public_line(path: Path, comment: str) -> str:
    """The public half of the key at `path`, as a line of `authorized_keys`."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_ssh_private_key,
    )

    public = load_ssh_private_key(path.read_bytes(), None).public_key()
    return f"{public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()} {comment}"


def fingerprint(line: str) -> str:
    """The fingerprint of a public key, in OpenSSH's spelling: `SHA256:…`."""
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
