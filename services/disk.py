"""Every file that the program writes goes through here: whole or not at all, and private.

A file is written beside its place, made durable, and renamed over it. Whoever reads sees the old
bytes or the new ones, also after `kill -9` or a power cut, and never with permissions wider than
the ones asked for. What is left of a write that was killed is a `.NAME.….tmp` beside the file.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from services.problem import Problem

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""No space left on the device; the user's quota is used up."""


def read(path: Path, limit: int | None = None) -> bytes:
    """The bytes of a file.

    Parameters
    ----------
    limit
        The most bytes that make sense; None for no limit. Devices and pipes are cut there too.

    Raises
    ------
    Problem
        `disk.cannot-read`, `disk.too-large`.
    """
    try:
        with path.open("rb") as file:
            data = file.read() if limit is None else file.read(limit + 1)
    except OSError as error:
        raise cannot_read(path, error) from error
    if limit is not None and len(data) > limit:
        raise Problem("disk.too-large", path=path, limit=limit)
    return data


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` at `path`, replacing what is there in one step; on disk when this returns.

    The folder must exist. A symbolic link at `path` is replaced, not followed.

    Parameters
    ----------
    mode
        Permission bits, whatever the umask says. The file has 0600 until all bytes are in it.

    Raises
    ------
    Problem
        `disk.full`, `disk.cannot-write`; what was at `path` is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        _write_new(temporary, data, mode)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        # After the rename there is nothing of this name; before it, nothing may stay.
        with suppress(OSError):
            temporary.unlink()


def append(path: Path, data: bytes) -> None:
    """Put `data` behind what is in the file at `path` (0600 if new); on disk when this returns.

    Raises
    ------
    Problem
        `disk.full`, `disk.cannot-write`; a part of `data` may then be in the file.
    """
    try:
        new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _BINARY, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
            os.fsync(descriptor)
        if new:
            _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def make_folder(path: Path) -> None:
    """Make a folder that only its owner may enter (0700), and the missing ones above it.

    A folder that exists already keeps its permissions: it may be the person's own.

    Raises
    ------
    Problem
        `disk.full`, `disk.cannot-write`.
    """
    try:
        missing = [path, *path.parents]
        while missing and missing[-1].exists():
            missing.pop()
        for folder in reversed(missing):
            # Another process may make the same folder at the same time.
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                _sync_folder(folder.parent)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_read(path: Path, error: OSError) -> Problem:
    """What an OSError means to the person who wanted `path` read."""
    return Problem("disk.cannot-read", error.strerror or str(error), path=path)


def cannot_write(path: Path, error: OSError) -> Problem:
    """What an OSError means to the person who wanted `path` written."""
    code = "disk.full" if error.errno in _FULL else "disk.cannot-write"
    return Problem(code, error.strerror or str(error), path=path, folder=path.parent)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        _set_mode(file.fileno(), mode)
        os.fsync(file.fileno())


if sys.platform == "win32":
    _BINARY = os.O_BINARY

    def _set_mode(_descriptor: int, _mode: int) -> None:
        """A file inherits the access list of its folder, which in a user's profile is private."""

    def _sync_folder(_folder: Path) -> None:
        """NTFS keeps renames in its own journal; a folder cannot be opened to flush it."""

else:
    _BINARY = 0

    _NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EACCES})
    """Network file systems that cannot, and folders that may be written but not read."""

    def _set_mode(descriptor: int, mode: int) -> None:
        os.fchmod(descriptor, mode)

    def _sync_folder(folder: Path) -> None:
        """Make a rename or a new name in `folder` durable."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise
