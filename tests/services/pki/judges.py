"""Certificates as other programs judge them: OpenSSL, GnuTLS, NSS."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from services.problem import Problem
from tests.programs import program

if TYPE_CHECKING:
    from cryptography import x509

T = TypeVar("T")


def outcome(call: Callable[[], T]) -> T | Problem:
    """What a call returns, or the Problem that it raises."""
    try:
        return call()
    except Problem as problem:
        return problem


def openssl(*arguments: str | Path, give: bytes = b"") -> bytes:
    """What `openssl` prints; fails with its words if it fails."""
    ran = subprocess.run(
        [program("openssl"), *arguments], input=give, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


def pem(*certificates: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def verify(
    folder: Path,
    leaf: x509.Certificate,
    chain: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    *options: str,
) -> str:
    """What `openssl verify` says, in its own words; empty if it accepts the certificate.

    At security level 2, as TLS with Debian's, Ubuntu's and Python's settings judges.
    """
    for name, certificates in (("leaf", [leaf]), ("chain", chain), ("trusted", trusted)):
        (folder / name).write_bytes(pem(*certificates))
    command = [program("openssl"), "verify", "-auth_level", "2", "-no-CAfile", "-no-CApath"]
    command += ["-trusted", str(folder / "trusted"), *options]
    if chain:
        command += ["-untrusted", str(folder / "chain")]
    ran = subprocess.run(
        [*command, str(folder / "leaf")], capture_output=True, text=True, check=False
    )
    if ran.returncode == 0:
        return ""
    return ran.stderr.partition("lookup: ")[2].splitlines()[0]
