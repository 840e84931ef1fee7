"""Whether to trust the key that a host shows: a pin decides alone, then known_hosts, then a person.

Nothing waves a changed key through: not a person, not an option.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from services.hosts.connection import Connection
from services.hosts.facts import problem
from services.hosts.host_keys import (
    USABLE_TYPES,
    HostKey,
    KnownHosts,
    Verdict,
    same_fingerprint,
)
from services.hosts.port import Host, HostKeyQuestion
from services.problem import Exit, Problem
from services.stop import Stop

AskHostKey = Callable[[HostKeyQuestion], bool]
"""Whether a person vouches for an unknown key. Called in the thread that connects, one call at a
time. Must return, with False, when the run is stopped meanwhile."""

Connect = Callable[[Sequence[str]], Connection]
"""Connect anew, asking for a host key of these types first."""


def refuse_host_key(question: HostKeyQuestion) -> bool:
    """For a run with nobody to ask: only a pinned or known key is trusted."""
    return False


class Trust:
    """The policy for host keys. Thread-safe."""

    def __init__(self, known_hosts: KnownHosts, ask: AskHostKey) -> None:
        self._known_hosts = known_hosts
        self._ask = ask
        self._asking = threading.Lock()

    def connect(self, host: Host, connect: Connect, stop: Stop) -> Connection:
        """A connection to the host whose key is trusted.

        Raises
        ------
        Problem
            `hosts.key-changed`, `hosts.key-revoked`, `hosts.key-unknown`, all with exit 4;
            `hosts.known-hosts-unreadable`, `hosts.known-hosts-unwritable`; what `connect` raises.
        Stopped
        """
        if host.fingerprint is not None:
            return self._pinned(host, host.fingerprint, connect)
        known = self._known_hosts.types(host.address, host.port)
        connection = connect(known)
        verdict = self._settled(host, connection)
        if verdict is Verdict.KNOWN:
            return connection
        # Nobody knows how long a person will compare: the host must not be kept waiting (sshd
        # hangs up after LoginGraceTime).
        key = connection.key
        connection.close()
        self._have_accepted(host, key, stop)
        connection = connect((key.type,))
        if self._settled(host, connection) is Verdict.KNOWN:
            return connection
        connection.close()
        raise _unknown(host, connection.key, self._known_hosts)

    def _settled(self, host: Host, connection: Connection) -> Verdict:
        """KNOWN or UNKNOWN; every other verdict closes the connection and is raised."""
        try:
            judgement = self._known_hosts.judge(host.address, host.port, connection.key)
            if judgement.verdict is Verdict.CHANGED:
                expected = ", ".join(known.fingerprint for known in judgement.expected)
                raise _changed(host, expected, judgement.source, connection.key)
            if judgement.verdict is Verdict.REVOKED:
                raise problem(
                    "key-revoked",
                    host,
                    exit=Exit.REFUSED,
                    fingerprint=connection.key.fingerprint,
                    algorithm=connection.key.algorithm,
                    source=judgement.source,
                )
        except BaseException:
            connection.close()
            raise
        return judgement.verdict

    def _have_accepted(self, host: Host, key: HostKey, stop: Stop) -> None:
        with self._asking:
            stop.check()
            judgement = self._known_hosts.judge(host.address, host.port, key)
            if judgement.verdict is Verdict.KNOWN:
                return  # accepted a moment ago, for the same server under another name or user
            accepted = self._ask(HostKeyQuestion(host, key.algorithm, key.fingerprint))
            stop.check()
            if not accepted:
                raise _unknown(host, key, self._known_hosts)
            self._known_hosts.remember(host.address, host.port, key)

    def _pinned(self, host: Host, fingerprint: str, connect: Connect) -> Connection:
        """A pin does not say the key's type, and a host has several: ask for each in turn."""
        shown: list[HostKey] = []
        left = list(USABLE_TYPES)
        while left:
            connection = connect(left)
            key = connection.key
            if same_fingerprint(key.fingerprint, fingerprint):
                return connection
            connection.close()
            shown.append(key)
            if key.type not in left:
                break  # it has no key of the types that are left
            del left[: left.index(key.type) + 1]
        raise _changed(host, fingerprint.strip(), "--host-key", shown[0])


def _changed(host: Host, expected: str, source: str, key: HostKey) -> Problem:
    return problem(
        "key-changed",
        host,
        exit=Exit.REFUSED,
        expected=expected,
        actual=key.fingerprint,
        algorithm=key.algorithm,
        file=_key_file(key),
        source=source,
    )


def _unknown(host: Host, key: HostKey, known_hosts: KnownHosts) -> Problem:
    return problem(
        "key-unknown",
        host,
        exit=Exit.REFUSED,
        fingerprint=key.fingerprint,
        algorithm=key.algorithm,
        file=_key_file(key),
        path=known_hosts.file,
    )


def _key_file(key: HostKey) -> str:
    """Where a host keeps the public key, for `ssh-keygen -lf` there."""
    return f"/etc/ssh/ssh_host_{key.algorithm.lower()}_key.pub"
