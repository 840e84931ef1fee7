"""Files on a host over SFTP: each placed whole or not at all, and never readable by others.

paramiko costs 0.3 s, so it is imported where it is used.
"""

from __future__ import annotations

import errno
import posixpath
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from services.hosts.port import RemoteFile

if TYPE_CHECKING:
    from paramiko import Channel, SFTPClient, SFTPFile

READ_LIMIT_BYTES = 8 << 20
"""What `read` takes at most: certificates and pages, not a device without an end."""


class TooLarge(Exception):
    """The file on the host is larger than `READ_LIMIT_BYTES`."""


class InTheWay(Exception):
    """Where the directory is to be there is something else. Its argument is the path."""


def unfinished(path: str) -> str:
    """Where a file is written before it takes its place.

    Always the same for the same file, so that what an interrupted transfer left behind is
    replaced by the next one and found by a clean-up.
    """
    directory, name = posixpath.split(path)
    return posixpath.join(directory, f".{name}.nlb-mtls-unfinished")


def place(sftp: SFTPClient, directory: str, files: Sequence[RemoteFile]) -> None:
    """Place `files`, each written beside its place, 0600 from the first byte, and then renamed.

    `directory` and its parents are made 0700 where absent; one that exists keeps its mode.

    Raises
    ------
    ValueError
        A file is not in `directory`, or `directory` is not absolute.
    InTheWay
    paramiko.SSHException, EOFError, OSError
        The connection or the host failed; files that are in place already stay.
    """
    if not directory.startswith("/"):
        raise ValueError(directory)
    directory = directory.rstrip("/") or "/"
    for file in files:
        if posixpath.dirname(file.path) != directory:
            raise ValueError(file.path)
    _make_directory(sftp, directory)
    for file in files:
        _place_one(sftp, file)


def read(sftp: SFTPClient, path: str) -> bytes | None:
    """The bytes of the file at `path`; None when there is none. Raises TooLarge."""
    try:
        with sftp.open(path, "rb") as file:
            content = file.read(READ_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) > READ_LIMIT_BYTES:
        raise TooLarge
    return content


def start(channel: Channel) -> SFTPClient:
    """The SFTP service of the host, on an open session channel."""
    from paramiko import SFTPClient

    channel.invoke_subsystem("sftp")
    return SFTPClient(channel)


def _make_directory(sftp: SFTPClient, directory: str) -> None:
    missing = []
    path = directory
    while True:
        try:
            mode = sftp.stat(path).st_mode
        except FileNotFoundError:
            if path == "/":
                raise
            missing.append(path)
            path = posixpath.dirname(path)
            continue
        if mode is not None and not stat.S_ISDIR(mode):
            raise InTheWay(path)
        break
    for path in reversed(missing):
        sftp.mkdir(path, 0o700)
        sftp.chmod(path, 0o700)  # the host's umask may have taken more away


def _place_one(sftp: SFTPClient, file: RemoteFile) -> None:
    beside = unfinished(file.path)
    with suppress(FileNotFoundError):
        sftp.remove(beside)
    writing = _create(sftp, beside)
    try:
        with writing:
            writing.write(file.content)
            writing.chmod(file.mode)
            _sync(sftp, writing)
        size = sftp.stat(beside).st_size
        if size is not None and size != len(file.content):
            raise OSError(errno.EIO, f"{size} B of {len(file.content)} B arrived")
        sftp.posix_rename(beside, file.path)
    except OSError:
        with suppress(OSError, EOFError):
            sftp.remove(beside)
        raise


def _create(sftp: SFTPClient, path: str) -> SFTPFile:
    """A new file that only its owner may read, even while it is still empty.

    `SFTPClient.open` cannot give a mode: the file would be for all to open until a chmod.
    """
    from paramiko import SFTPAttributes, SFTPError, SFTPFile
    from paramiko import sftp as protocol

    private = SFTPAttributes()
    private.st_mode = 0o600
    flags = protocol.SFTP_FLAG_WRITE | protocol.SFTP_FLAG_CREATE | protocol.SFTP_FLAG_EXCL
    kind, answer = sftp._request(  # type: ignore[attr-defined]
        protocol.CMD_OPEN, path, flags, private
    )
    if kind != protocol.CMD_HANDLE:
        raise SFTPError("Expected handle")
    return SFTPFile(sftp, answer.get_binary(), "wb")


def _sync(sftp: SFTPClient, file: SFTPFile) -> None:
    """Have the host write the file to its disk, if it offers to (OpenSSH does)."""
    from paramiko import sftp as protocol

    try:
        sftp._request(  # type: ignore[attr-defined]
            protocol.CMD_EXTENDED, "fsync@openssh.com", file.handle
        )
    except OSError as error:
        if "unsupported" not in str(error).lower():
            raise
