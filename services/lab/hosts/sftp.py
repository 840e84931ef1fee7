"""SFTP over a host's own files. Imported by a running host only: paramiko costs 0.3 s."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from paramiko import SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface
from paramiko.sftp import SFTP_OK, SFTP_OP_UNSUPPORTED

from services.lab.hosts.filesystem import HostFiles

if TYPE_CHECKING:
    from typing_extensions import Buffer

_HOME = "/root"

T = TypeVar("T")


class Sftp(SFTPServer):
    """The subsystem; ends with an exit status, without which `scp` calls it a failure."""

    def finish_subsystem(self) -> None:
        channel: Any = self.sock
        # A client that has left wants no status.
        with suppress(OSError, EOFError):
            channel.send_exit_status(0)
        super().finish_subsystem()
        with suppress(OSError, EOFError):
            channel.close()


class HostSftp(SFTPServerInterface):
    """What paramiko's SFTP server asks of the file system. Called in a session's own thread.

    Relative paths count from root's home. Errors are returned as SFTP's codes.
    """

    def __init__(self, server: Any, *args: Any, files: HostFiles, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        self._files = files

    def canonicalize(self, path: str) -> str:
        try:
            return self._files.canonical(path or ".", _HOME)
        except OSError:
            return os.path.join(_HOME, path)

    def list_folder(self, path: str) -> list[SFTPAttributes] | int:
        def listed() -> list[SFTPAttributes]:
            folder = self._files.canonical(path, _HOME)
            return [
                _attributes(self._files.stat(f"{folder}/{name}", follow=False), name)
                for name in self._files.names(folder)
            ]

        return _tried(listed)

    def stat(self, path: str) -> SFTPAttributes | int:
        return _tried(lambda: _attributes(self._files.stat(path, _HOME)))

    def lstat(self, path: str) -> SFTPAttributes | int:
        return _tried(lambda: _attributes(self._files.stat(path, _HOME, follow=False)))

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> SFTPHandle | int:
        mode = 0o644 if attr.st_mode is None else stat.S_IMODE(attr.st_mode)

        def opened() -> SFTPHandle:
            number = self._files.open(path, flags, mode, _HOME)
            return _Handle(self._files, self._files.canonical(path, _HOME), number, flags)

        return _tried(opened)

    def remove(self, path: str) -> int:
        return _done(lambda: self._files.remove(path, _HOME))

    def rename(self, oldpath: str, newpath: str) -> int:
        return _done(lambda: self._files.rename(oldpath, newpath, _HOME, replace=False))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return _done(lambda: self._files.rename(oldpath, newpath, _HOME))

    def mkdir(self, path: str, attr: SFTPAttributes) -> int:
        mode = 0o755 if attr.st_mode is None else stat.S_IMODE(attr.st_mode)
        return _done(lambda: self._files.mkdir(path, mode, _HOME))

    def rmdir(self, path: str) -> int:
        return _done(lambda: self._files.rmdir(path, _HOME))

    def chattr(self, path: str, attr: SFTPAttributes) -> int:
        return _done(lambda: _change(self._files, path, attr))

    def readlink(self, path: str) -> str | int:
        return _tried(lambda: self._files.readlink(path, _HOME))

    def symlink(self, target_path: str, path: str) -> int:
        return _done(lambda: self._files.symlink(target_path, path, _HOME))


class _Handle(SFTPHandle):
    """An open file."""

    def __init__(self, files: HostFiles, path: str, number: int, flags: int) -> None:
        super().__init__(flags)
        self._files = files
        self._path = path
        self._number = number
        self._appends = bool(flags & os.O_APPEND)

    def close(self) -> None:
        os.close(self._number)

    def read(self, offset: int, length: int) -> bytes | int:
        def piece() -> bytes:
            os.lseek(self._number, offset, os.SEEK_SET)
            return os.read(self._number, length)

        return _tried(piece)

    def write(self, offset: int, data: Buffer) -> int:
        def written() -> None:
            if not self._appends:
                os.lseek(self._number, offset, os.SEEK_SET)
            view = memoryview(data)
            while view:
                view = view[os.write(self._number, view) :]

        return _done(written)

    def stat(self) -> SFTPAttributes | int:
        return _tried(lambda: _attributes(os.fstat(self._number)))

    def chattr(self, attr: SFTPAttributes) -> int:
        return _done(lambda: _change(self._files, self._path, attr))


def _attributes(found: os.stat_result, name: str = "") -> SFTPAttributes:
    attributes = SFTPAttributes.from_stat(found, name)
    attributes.st_uid = attributes.st_gid = 0
    return attributes


def _change(files: HostFiles, path: str, attr: SFTPAttributes) -> None:
    """Set what is given; an owner is taken note of and stays root."""
    if attr.st_size is not None:
        files.truncate(path, attr.st_size, _HOME)
    if attr.st_mode is not None:
        files.chmod(path, stat.S_IMODE(attr.st_mode), _HOME)
    if attr.st_atime is not None and attr.st_mtime is not None:
        files.set_times(path, (attr.st_atime, attr.st_mtime), _HOME)


def _tried(action: Callable[[], T]) -> T | int:
    try:
        return action()
    except OSError as error:
        if error.errno is None:
            return SFTP_OP_UNSUPPORTED
        return int(SFTPServer.convert_errno(error.errno))


def _done(action: Callable[[], None]) -> int:
    found = _tried(action)
    return SFTP_OK if found is None else found
