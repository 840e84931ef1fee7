"""Who we are to a host: a key file, else a password, else the agent and the user's default keys.

paramiko and cryptography cost 0.3 s, so they are imported where they are used.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from services.hosts.agent import agent_keys
from services.hosts.facts import problem
from services.hosts.port import Host
from services.problem import Exit, Problem
from services.stop import Stop

if TYPE_CHECKING:
    from paramiko import PKey, Transport

SecretKind = Literal["password", "passphrase"]

AskSecret = Callable[[Host, SecretKind], str | None]
"""The user's password on a host, or the passphrase of the host's key file; None if there is none.

Called in the thread that connects, one call at a time. May ask a person; what it returns is not
kept but for the decrypted key.
"""

LogIn = Callable[["Transport", Stop], None]
"""Authenticate on a transport whose host key is trusted.

Raises Problem `hosts.auth-failed`, or what paramiko raises when the connection breaks.
"""

_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def no_secret(host: Host, kind: SecretKind) -> str | None:
    """For a run with nobody to ask."""
    return None


class Identities:
    """The user's keys, each read and decrypted once. Thread-safe."""

    def __init__(self, ask_secret: AskSecret) -> None:
        self._ask_secret = ask_secret
        self._one = threading.RLock()
        self._keys: dict[tuple[str, int, int], PKey] = {}

    def log_in_to(self, host: Host) -> LogIn:
        """What logs in to `host`, with every secret that it takes at hand.

        Raises
        ------
        Problem
            `hosts.key-file-unreadable`, `hosts.passphrase-needed` (exit 3),
            `hosts.passphrase-wrong`.
        """
        if host.private_key_file is not None:
            path = Path(host.private_key_file).expanduser()
            key = self.key(path, host)
            return lambda transport, stop: self._with_keys(transport, host, [(str(path), key)])
        password = self._secret(host, "password")
        if password is not None:
            return lambda transport, stop: self._with_password(transport, host, password)
        return lambda transport, stop: self._with_usual(transport, host, stop)

    def key(self, path: Path, host: Host) -> PKey:
        """The private key in the file at `path`, of any type and form that OpenSSH reads."""
        with self._one:
            try:
                status = path.stat()
                known = (str(path), status.st_mtime_ns, status.st_size)
                if known not in self._keys:
                    data = path.read_bytes()
                    self._keys[known] = self._decrypt(data, path, host)
                return self._keys[known]
            except OSError as error:
                raise problem("key-file-unreadable", host, error.strerror, path=path) from error

    def _decrypt(self, data: bytes, path: Path, host: Host) -> PKey:
        try:
            return load_key(data)
        except KeyIsEncrypted:
            passphrase = self._secret(host, "passphrase")
        except ValueError as error:
            raise problem("key-file-unreadable", host, error, path=path) from None
        if passphrase is None:
            raise problem("passphrase-needed", host, path=path, exit=Exit.ANSWER_MISSING)
        try:
            return load_key(data, passphrase)
        except ValueError:
            raise problem("passphrase-wrong", host, path=path) from None

    def _secret(self, host: Host, kind: SecretKind) -> str | None:
        with self._one:
            return self._ask_secret(host, kind)

    def _with_usual(self, transport: Transport, host: Host, stop: Stop) -> None:
        with agent_keys(stop) as held:
            keys = ((f"ssh-agent {key.fingerprint}", key) for key in held)
            self._with_keys(transport, host, chain(keys, _default_keys()))

    def _with_keys(
        self, transport: Transport, host: Host, keys: Iterable[tuple[str, PKey]]
    ) -> None:
        from paramiko import AgentKey, AuthenticationException, BadAuthenticationType, SSHException

        tried: list[str] = []
        for name, key in keys:
            tried.append(name)
            try:
                wanted_besides = transport.auth_publickey(host.user, key)
            except BadAuthenticationType as error:
                raise _refused(host, tried, error.allowed_types) from error
            except AuthenticationException:
                if transport.is_active():
                    continue
                break  # sshd hangs up after MaxAuthTries keys
            except (SSHException, EOFError, OSError) as error:
                if not isinstance(key, AgentKey):
                    raise
                tried.append(str(error))  # the agent would not sign, and paramiko then gives up
                break
            if wanted_besides:
                password = self._secret(host, "password")
                if password is None:
                    raise _refused(host, tried, wanted_besides)
                self._with_password(transport, host, password)
            return
        raise _refused(host, tried)

    def _with_password(self, transport: Transport, host: Host, password: str) -> None:
        from paramiko import AuthenticationException, BadAuthenticationType

        try:
            wanted_besides = transport.auth_password(host.user, password)
        except BadAuthenticationType as error:
            raise _refused(host, ["password"], error.allowed_types) from error
        except AuthenticationException:
            raise _refused(host, ["password"]) from None
        if wanted_besides:
            raise _refused(host, ["password"], wanted_besides)


def _default_keys() -> Iterator[tuple[str, PKey]]:
    """The usual key files that need no passphrase; others are what an agent is for."""
    for name in _DEFAULT_KEYS:
        path = Path("~/.ssh").expanduser() / name
        try:
            key = load_key(path.read_bytes())
        except (OSError, ValueError, KeyIsEncrypted):
            continue
        yield str(path), key


class KeyIsEncrypted(Exception):
    """A private key that a passphrase protects, and none was given."""


def load_key(data: bytes, passphrase: str | None = None) -> PKey:
    """A private key from its file's bytes: OpenSSH's own form, PKCS#1, PKCS#8 or SEC 1, in PEM.

    Raises
    ------
    KeyIsEncrypted
        It needs a passphrase, and `passphrase` is None.
    ValueError
        It is no such file, of a kind that SSH does not use, or the passphrase is wrong.
    """
    import paramiko
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    secret = None if passphrase is None else passphrase.encode()
    try:
        if b"OPENSSH PRIVATE KEY" in data:
            key: object = serialization.load_ssh_private_key(data, secret)
        else:
            key = serialization.load_pem_private_key(data, secret)
    except TypeError:
        raise KeyIsEncrypted from None
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
    key_class: type[PKey]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        key_class = paramiko.Ed25519Key
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        key_class = paramiko.ECDSAKey
    elif isinstance(key, rsa.RSAPrivateKey):
        key_class = paramiko.RSAKey
    else:
        raise ValueError(f"{type(key).__name__} is no key for SSH")
    # Each of paramiko's classes reads few forms: hand it OpenSSH's, in memory.
    plain = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return key_class.from_private_key(io.StringIO(plain.decode()))


def _refused(host: Host, tried: Sequence[str], wanted: Sequence[str] = ()) -> Problem:
    evidence = "; ".join(
        [
            "tried: " + (", ".join(tried) or "nothing: no agent, no default key"),
            *(["the host wants: " + ", ".join(wanted)] if wanted else []),
        ]
    )
    return problem("auth-failed", host, evidence)
