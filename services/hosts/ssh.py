"""The one implementation of `Hosts`: SSH, for real hosts and the lab's alike.

One connection a host, made when it is first needed and kept. What a host has to do is sent as one
joined script, since each command of its own would cost two round trips; several hosts go at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from services.hosts import files as placing
from services.hosts.authentication import AskSecret, Identities, no_secret
from services.hosts.command import run_script
from services.hosts.connection import Timeouts, closing
from services.hosts.facts import problem
from services.hosts.host_keys import KnownHosts
from services.hosts.host_trust import AskHostKey, Trust
from services.hosts.pool import ConnectionPool
from services.hosts.port import Host, Output, Ran, RemoteFile
from services.hosts.scripts.answer import PREFIX
from services.hosts.scripts.disk import free_bytes, look_at_disk
from services.problem import Problem
from services.stop import Stop

if TYPE_CHECKING:
    from paramiko import SFTPClient

_DISK_LOOK_S = 10


class SshHosts:
    """`Hosts` over SSH. Thread-safe.

    Parameters
    ----------
    ask_host_key
        Whether to trust a key that nobody knows; see `AskHostKey`. A run with nobody to ask
        passes `refuse_host_key`.
    known_hosts
        The keys that are known, and where an accepted one is added.
    ask_secret
        The user's password or the passphrase of a key file; see `AskSecret`.
    width
        How many hosts `run_all` talks to at once.
    """

    def __init__(
        self,
        ask_host_key: AskHostKey,
        known_hosts: KnownHosts,
        ask_secret: AskSecret = no_secret,
        *,
        width: int = 20,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._width = width
        self._timeouts = timeouts or Timeouts()
        self._pool = ConnectionPool(
            Trust(known_hosts, ask_host_key), Identities(ask_secret), self._timeouts
        )

    def run(
        self,
        host: Host,
        script: str,
        stop: Stop,
        output: Output | None = None,
        timeout_s: float = 300,
    ) -> Ran:
        """Run `script` by the user's shell on the host, as `Hosts.run` says.

        `output` gets what is meant for people: not the lines of an answer (`scripts.answer`).

        A stop, or the end of the time, ends the waiting and the connection, not the script: a
        package manager killed half-way leaves a host worse than one that is let finish.

        Raises
        ------
        Problem
            `hosts.command-timeout`, `hosts.session-refused`, `hosts.connection-lost`, and
            whatever connecting raises.
        Stopped
        """
        connection, channel = self._pool.open(host, stop)
        late = problem("command-timeout", host, seconds=f"{timeout_s:g}")
        line = None if output is None else _for_people(output, host)
        with connection.bounded(stop, timeout_s, late, partial(problem, "session-refused", host)):
            return run_script(channel, script, line)

    def run_all(
        self,
        scripts: Mapping[Host, str],
        stop: Stop,
        output: Output | None = None,
        timeout_s: float = 300,
    ) -> Mapping[Host, Ran | Problem]:
        """Run one script a host, as `Hosts.run_all` says; the result is in the order of `scripts`.

        Raises
        ------
        Stopped
            After every host's part has ended, which a stop makes at once.
        """

        def run_one(host: Host) -> Ran | Problem:
            try:
                return self.run(host, scripts[host], stop, output, timeout_s)
            except Problem as failed:
                return failed

        if not scripts:
            return {}
        with ThreadPoolExecutor(min(self._width, len(scripts)), "ssh") as pool:
            running = {host: pool.submit(run_one, host) for host in scripts}
        return {host: future.result() for host, future in running.items()}

    def put(self, host: Host, directory: str, files: Sequence[RemoteFile], stop: Stop) -> None:
        """Place `files`, as `Hosts.put` says; a directory that exists keeps its mode.

        Raises
        ------
        Problem
            `hosts.permission-denied`, `hosts.not-a-directory`, `hosts.disk-full`,
            `hosts.transfer-failed`, `hosts.transfer-timeout`, `hosts.no-sftp`,
            `hosts.connection-lost`, and whatever connecting raises.
        Stopped
        """
        try:
            with self._sftp(host, stop, directory) as sftp:
                placing.place(sftp, directory, files)
        except placing.InTheWay as found:
            raise problem("not-a-directory", host, path=found) from None
        except Problem as failed:
            # SFTP has no word for a full disk: sshd says "Failure".
            if failed.code == "hosts.transfer-failed" and self._is_full(
                host, directory, max((len(file.content) for file in files), default=0), stop
            ):
                raise problem("disk-full", host, failed.evidence, path=directory) from failed
            raise

    def read(self, host: Host, path: str, stop: Stop) -> bytes | None:
        """The bytes of a file on the host; None when there is none.

        Raises
        ------
        Problem
            As `put`, and `hosts.file-too-large`.
        Stopped
        """
        try:
            with self._sftp(host, stop, path) as sftp:
                return placing.read(sftp, path)
        except placing.TooLarge:
            limit = placing.READ_LIMIT_BYTES
            raise problem("file-too-large", host, path=path, limit=limit) from None

    def close(self) -> None:
        """Drop every connection; what still runs on one ends with `hosts.connection-lost`."""
        self._pool.close()

    @contextmanager
    def _sftp(self, host: Host, stop: Stop, path: str) -> Iterator[SFTPClient]:
        connection, channel = self._pool.open(host, stop)
        seconds = self._timeouts.transfer_s
        late = problem("transfer-timeout", host, path=path, seconds=f"{seconds:g}")
        refused = partial(problem, "no-sftp", host)
        failed = partial(problem, "transfer-failed", host, path=path)
        with connection.bounded(stop, seconds, late, failed), closing(channel):
            with connection.bounded(stop, seconds, late, refused):
                sftp = placing.start(channel)
            try:
                yield sftp
            except PermissionError as error:
                raise problem("permission-denied", host, error, path=path) from error

    def _is_full(self, host: Host, directory: str, needed_bytes: int, stop: Stop) -> bool:
        try:
            free = free_bytes(self.run(host, look_at_disk(directory), stop, timeout_s=_DISK_LOOK_S))
        except Problem:
            return False
        return free is not None and free < needed_bytes


def _for_people(output: Output, host: Host) -> Callable[[str], None]:
    def line(text: str) -> None:
        if not text.startswith(PREFIX):
            output(host.name, text)

    return line
