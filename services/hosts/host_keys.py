"""Host keys that are known, in OpenSSH's known_hosts format, and what that says of a key shown.

Read as `sshd(8)`, SSH_KNOWN_HOSTS FILE FORMAT describes it: plain and hashed names, `[name]:port`,
patterns with `*`, `?` and `!`, the marker `@revoked`. Lines for certificate authorities
(`@cert-authority`) say nothing about a plain key and are passed over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from services.problem import Problem

DEFAULT_PORT = 22


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public host key: its type as in known_hosts (`ssh-ed25519`), and its SSH wire form."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh-keygen -l` spells it."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def algorithm(self) -> str:
        """`ED25519`, `ECDSA` or `RSA`, as `ssh` says it and as sshd names its key files."""
        return self.type.removeprefix("ssh-").partition("-")[0].upper()


class Verdict(Enum):
    """What the known_hosts files say of a key that a host has shown."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what it rests on: the keys that were expected, and where they stand."""

    verdict: Verdict
    expected: tuple[HostKey, ...] = ()
    source: str = ""
    """`FILE:LINE` of the first entry that decided."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a known_hosts file that holds a key."""

    patterns: tuple[str, ...]
    key: HostKey
    revoked: bool = False
    source: str = ""

    def is_for(self, name: str) -> bool:
        """Whether the line speaks of `name`, which is in `lookup_name`'s form.

        A negated pattern that matches rules the whole line out (ssh, `match_hostname`).
        """
        matched = False
        for pattern in self.patterns:
            negated = pattern.startswith("!")
            if _matches(pattern.removeprefix("!"), name):
                if negated:
                    return False
                matched = True
        return matched


def lookup_name(address: str, port: int) -> str:
    """The name under which known_hosts files keep a host: lower case, `[name]:port` off port 22."""
    name = address.lower()
    return name if port == DEFAULT_PORT else f"[{name}]:{port}"


def parse(text: str, source: str = "") -> Iterator[Entry]:
    """The entries of a known_hosts file. What cannot be read as one is passed over, as ssh does."""
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in ("", "@revoked"):
            continue
        patterns, kind, encoded = words[:3]
        try:
            blob = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if _type_inside(blob) != kind:
            continue
        yield Entry(
            tuple(pattern for pattern in patterns.split(",") if pattern),
            HostKey(kind, blob),
            revoked=bool(marker),
            source=f"{source}:{number}",
        )


class KnownHosts:
    """The program's own known_hosts file, which it adds to, and others that it only reads.

    Thread-safe. The files are read afresh each time: another program may have changed them.
    """

    def __init__(self, file: Path, also: Sequence[Path] = ()) -> None:
        self.file = file
        self._also = tuple(also)
        self._writing = threading.Lock()

    def judge(self, address: str, port: int, key: HostKey) -> Judgement:
        """What is known of `key` at `address` and `port`.

        One entry with this very key is enough, whatever others say (ssh,
        `check_key_in_hostkeys`); a revoked one beats all. A key of a type that is not known
        there, where another type is, counts as changed: a known type is asked for first, so a
        host that answers with another no longer has it, or is not the host.

        Raises
        ------
        Problem
            `hosts.known-hosts-unreadable`: the program's own file cannot be read.
        """
        about = self._about(address, port)
        for entry in about:
            if entry.revoked and entry.key == key:
                return Judgement(Verdict.REVOKED, (key,), entry.source)
        trusted = [entry for entry in about if not entry.revoked]
        for entry in trusted:
            if entry.key == key:
                return Judgement(Verdict.KNOWN, (key,), entry.source)
        if port != DEFAULT_PORT:
            # As ssh does: a key recorded for the name alone is good on any port, but says nothing
            # against another server there.
            for entry in self._about(address, DEFAULT_PORT):
                if entry.key == key and not entry.revoked:
                    return Judgement(Verdict.KNOWN, (key,), entry.source)
        usable = [entry for entry in trusted if entry.key.type in USABLE_TYPES]
        if not usable:
            return Judgement(Verdict.UNKNOWN)
        expected = [e for e in usable if e.key.type == key.type] or usable
        keys = tuple(dict.fromkeys(entry.key for entry in expected))
        return Judgement(Verdict.CHANGED, keys, expected[0].source)

    def types(self, address: str, port: int) -> tuple[str, ...]:
        """The key types known for a host, to be asked for first."""
        entries = self._about(address, port) or self._about(address, DEFAULT_PORT)
        return tuple(dict.fromkeys(e.key.type for e in entries if not e.revoked))

    def remember(self, address: str, port: int, key: HostKey) -> None:
        """Append a key that a person has accepted to the program's own file (made 0600).

        Raises
        ------
        Problem
            `hosts.known-hosts-unwritable`.
        """
        encoded = base64.b64encode(key.blob).decode()
        line = f"{lookup_name(address, port)} {key.type} {encoded}\n"
        with self._writing:
            try:
                self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
                with open(os.open(self.file, flags, 0o600), "r+b") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(size - 1, 0))
                    if file.read(1) not in (b"", b"\n"):
                        line = "\n" + line
                    file.write(line.encode())
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise Problem(
                    "hosts.known-hosts-unwritable", str(error.strerror), path=self.file
                ) from error

    def _about(self, address: str, port: int) -> list[Entry]:
        name = lookup_name(address, port)
        found = []
        for path in (self.file, *self._also):
            entries = parse(self._read(path), str(path))
            found += [entry for entry in entries if entry.is_for(name)]
        return found

    def _read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            if path != self.file:
                return ""  # Not ours: what it would say is unknown, so a person is asked.
            raise Problem("hosts.known-hosts-unreadable", str(error.strerror), path=path) from error


USABLE_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
"""The key types that can be asked for, best first."""


def signature_algorithms(preferred_types: Sequence[str]) -> tuple[str, ...]:
    """Every host-key algorithm, those of `preferred_types` first, for the key exchange."""
    types = [t for t in USABLE_TYPES if t in preferred_types]
    types += [t for t in USABLE_TYPES if t not in preferred_types]
    return tuple(algorithm for t in types for algorithm in signatures_of(t))


def signatures_of(type: str) -> tuple[str, ...]:
    """The algorithms by which a key of `type` signs: RSA with SHA-2 only (RFC 8332)."""
    return ("rsa-sha2-512", "rsa-sha2-256") if type == "ssh-rsa" else (type,)


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two spellings of a SHA-256 fingerprint agree: with or without prefix and padding."""
    return _bare(one) == _bare(other)


def _bare(fingerprint: str) -> str:
    return fingerprint.strip().removeprefix("SHA256:").rstrip("=")


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|"):
        return _hash_matches(pattern, name)
    pattern = pattern.lower()
    if not set(pattern) & {"*", "?"}:
        return pattern == name
    # Not fnmatch: `[` is no wildcard here but the start of `[name]:port`.
    wild = {"*": ".*", "?": "."}
    expression = "".join(wild.get(c) or re.escape(c) for c in re.sub(r"\*+", "*", pattern))
    return re.fullmatch(expression, name, re.DOTALL) is not None


def _hash_matches(pattern: str, name: str) -> bool:
    """`|1|salt|HMAC-SHA1(salt, name)`, as `ssh-keygen -H` writes it."""
    parts = pattern.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[2:])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(errors="replace"), "sha1"), digest)


def _type_inside(blob: bytes) -> str:
    """The type that a key's wire form itself begins with (RFC 4253 6.6)."""
    length = int.from_bytes(blob[:4], "big")
    if len(blob) < 4 + length:
        return ""
    return blob[4 : 4 + length].decode("ascii", errors="replace")
