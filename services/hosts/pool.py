"""One connection a host: made when it is first needed, trusted, logged in, kept, and replaced."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.hosts.authentication import Identities
from services.hosts.connection import Connection, Timeouts, connect
from services.hosts.facts import problem
from services.hosts.host_trust import Trust
from services.hosts.port import Host
from services.problem import Problem
from services.stop import Stop

if TYPE_CHECKING:
    from paramiko import Channel


@dataclass(slots=True)
class _Slot:
    """A host's place for its connection; the lock is held while one is made."""

    making: threading.Lock = field(default_factory=threading.Lock)
    connection: Connection | None = None
    dropped: bool = False


class ConnectionPool:
    """The connections to all hosts. Thread-safe."""

    def __init__(self, trust: Trust, identities: Identities, timeouts: Timeouts) -> None:
        self._trust = trust
        self._identities = identities
        self._timeouts = timeouts
        self._slots: dict[Host, _Slot] = {}
        self._slots_lock = threading.Lock()

    def open(self, host: Host, stop: Stop) -> tuple[Connection, Channel]:
        """A session channel on the host's connection, which is made anew if it has died.

        Raises Stopped, or whatever Problem connecting and logging in raise.
        """
        stop.check()
        connection, kept = self._connection(host, stop)
        try:
            return connection, connection.open(stop, self._timeouts.channel_s)
        except Problem as failed:
            if not kept or failed.code != "hosts.connection-lost":
                raise
        # Nothing was asked of the host yet: it only had hung up since the last time.
        connection, _ = self._connection(host, stop)
        return connection, connection.open(stop, self._timeouts.channel_s)

    def _connection(self, host: Host, stop: Stop) -> tuple[Connection, bool]:
        """The host's connection, and whether it was there already."""
        with self._slots_lock:
            slot = self._slots.setdefault(host, _Slot())
        with slot.making:
            if slot.connection is not None:
                if slot.connection.alive:
                    return slot.connection, True
                slot.connection.close()
                slot.connection = None
            connection = self._connect(host, stop)
            with self._slots_lock:
                slot.connection = connection
                dropped = slot.dropped
            if dropped:
                connection.close()
                raise problem("connection-lost", host)
            return connection, False

    def _connect(self, host: Host, stop: Stop) -> Connection:
        timeouts = self._timeouts
        log_in = self._identities.log_in_to(host)
        connection = self._trust.connect(
            host, lambda types: connect(host, types, stop, timeouts), stop
        )
        late = problem("login-timeout", host, seconds=f"{timeouts.login_s:g}")
        try:
            with connection.bounded(stop, timeouts.login_s, late):
                log_in(connection.transport, stop)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Drop every connection, one that is just being made as well."""
        with self._slots_lock:
            slots = list(self._slots.values())
            self._slots.clear()
            for slot in slots:
                slot.dropped = True
        # Not under `making`: a thread that holds it may be waiting for a person.
        for slot in slots:
            if slot.connection is not None:
                slot.connection.close()
