"""A host's file system: a folder of this computer, out of which no path leads.

Paths are resolved here, component by component, as chroot would: `..` stops at the root, and a
symbolic link's target counts from the host's root. What is opened in the end never follows a link.
Confinement holds against whatever a host's user does through the shell or SFTP; it is no defence
against another process of this computer that swaps folders in the same instant.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

_MOST_LINKS = 40
"""Linux's own limit on symbolic links in one path."""

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

_PERMISSIONS = 0o1777
"""No setuid, no setgid: such a file would carry the rights of the lab's own user."""

NULL_DEVICE = "/dev/null"


class HostFiles:
    """The files of one host. Paths are the host's, absolute or relative to `cwd`.

    Raises OSError as the host would, with the host's own path in it. Safe to use from any thread.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def canonical(self, path: str, cwd: str = "/") -> str:
        """The path without `.`, `..` and links; its last component need not exist."""
        parts, _ = self._walk(path, cwd, follow=True)
        return "/" + "/".join(parts)

    def real(self, path: str, cwd: str = "/", *, follow: bool = True) -> Path:
        """Where on this computer the file is; it need not exist. Not for showing to anyone."""
        return self._walk(path, cwd, follow=follow)[1]

    def open(self, path: str, flags: int, mode: int = 0o644, cwd: str = "/") -> int:
        """A file descriptor, as `os.open` gives. `/dev/null` is this computer's.

        A file that is made gets `mode` as it is: this process's umask is not the host's.
        """
        parts, real = self._walk(path, cwd, follow=True)
        if "/" + "/".join(parts) == NULL_DEVICE:
            return os.open(os.devnull, flags & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC))
        with _host_path(path):
            if real.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            flags |= _NO_FOLLOW
            if flags & os.O_CREAT:
                try:
                    # 0600 until the mode is set: there is no moment in which it is wider.
                    made = os.open(real, flags | os.O_EXCL, 0o600)
                except FileExistsError:
                    if flags & os.O_EXCL:
                        raise
                else:
                    os.chmod(real, mode & _PERMISSIONS)
                    return made
            return os.open(real, flags & ~os.O_CREAT)

    def read(self, path: str, cwd: str = "/") -> bytes:
        with os.fdopen(self.open(path, os.O_RDONLY, cwd=cwd), "rb") as file:
            return file.read()

    def write(self, path: str, content: bytes, mode: int = 0o644, cwd: str = "/") -> None:
        """Write a whole file; `mode` is for one that is made by this."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(self.open(path, flags, mode, cwd), "wb") as file:
            file.write(content)

    def stat(self, path: str, cwd: str = "/", *, follow: bool = True) -> os.stat_result:
        """As `os.stat`, but that everything belongs to root, as on a host whose user is root."""
        real = self.real(path, cwd, follow=follow)
        with _host_path(path):
            found = list(os.lstat(real))
        found[stat.ST_UID] = found[stat.ST_GID] = 0
        return os.stat_result(found)

    def exists(self, path: str, cwd: str = "/") -> bool:
        try:
            self.stat(path, cwd)
        except OSError:
            return False
        return True

    def is_dir(self, path: str, cwd: str = "/") -> bool:
        try:
            return stat.S_ISDIR(self.stat(path, cwd).st_mode)
        except OSError:
            return False

    def names(self, path: str, cwd: str = "/") -> list[str]:
        """The names in a folder, sorted."""
        real = self.real(path, cwd)
        with _host_path(path):
            return sorted(os.listdir(real))

    def mkdir(self, path: str, mode: int = 0o755, cwd: str = "/") -> None:
        real = self.real(path, cwd, follow=False)
        with _host_path(path):
            os.mkdir(real, 0o700)
            os.chmod(real, mode & _PERMISSIONS)

    def make_dirs(self, path: str, mode: int = 0o755, cwd: str = "/") -> None:
        """Make a folder and those above it; one that is there already is fine."""
        whole = PurePosixPath(cwd, path)
        for each in [*reversed(whole.parents), whole]:
            if not self.is_dir(str(each)):
                self.mkdir(str(each), mode)

    def rmdir(self, path: str, cwd: str = "/") -> None:
        real = self.real(path, cwd, follow=False)
        with _host_path(path):
            if real == self._root:
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            os.rmdir(real)

    def remove(self, path: str, cwd: str = "/") -> None:
        """Remove a file or a link, not a folder."""
        real = self.real(path, cwd, follow=False)
        with _host_path(path):
            if stat.S_ISDIR(os.lstat(real).st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            os.unlink(real)

    def rename(self, old: str, new: str, cwd: str = "/", *, replace: bool = True) -> None:
        source = self.real(old, cwd, follow=False)
        target = self.real(new, cwd, follow=False)
        with _host_path(old):
            if self._root in (source, target):
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            if not replace and os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            os.replace(source, target)

    def symlink(self, target: str, path: str, cwd: str = "/") -> None:
        """Make a link whose text is `target`, whatever that is: it counts from the host's root."""
        real = self.real(path, cwd, follow=False)
        with _host_path(path):
            os.symlink(target, real)

    def readlink(self, path: str, cwd: str = "/") -> str:
        real = self.real(path, cwd, follow=False)
        with _host_path(path):
            return os.readlink(real)

    def chmod(self, path: str, mode: int, cwd: str = "/") -> None:
        real = self.real(path, cwd)
        with _host_path(path):
            os.chmod(real, mode & _PERMISSIONS)

    def set_times(self, path: str, times: tuple[float, float] | None, cwd: str = "/") -> None:
        real = self.real(path, cwd)
        with _host_path(path):
            os.utime(real, times)

    def truncate(self, path: str, size: int, cwd: str = "/") -> None:
        with os.fdopen(self.open(path, os.O_WRONLY, cwd=cwd), "wb") as file:
            file.truncate(size)

    def _walk(self, path: str, cwd: str, *, follow: bool) -> tuple[list[str], Path]:
        if not path:
            raise _error(errno.ENOENT, path)
        if "\0" in path:
            raise _error(errno.EINVAL, path)
        waiting = [*reversed(path.split("/"))]
        done: list[str] = []
        if not path.startswith("/"):
            done = [part for part in cwd.split("/") if part]
        follow = follow or path.endswith("/")
        links = 0
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if done:
                    done.pop()
                continue
            if sys.platform == "win32" and any(sign in part for sign in '\\:*?"<>|'):
                raise _error(errno.ENOENT, path)
            here = self._root.joinpath(*done, part)
            last = not any(waiting)
            try:
                mode = os.lstat(here).st_mode
            except FileNotFoundError:
                if not last:
                    raise _error(errno.ENOENT, path) from None
                done.append(part)
                continue
            except OSError as error:
                raise _error(error.errno or errno.EIO, path) from None
            if stat.S_ISLNK(mode) and (follow or not last):
                links += 1
                if links > _MOST_LINKS:
                    raise _error(errno.ELOOP, path)
                target = os.readlink(here)
                if target.startswith("/"):
                    done = []
                waiting += reversed(target.split("/"))
            elif not last and not stat.S_ISDIR(mode):
                raise _error(errno.ENOTDIR, path)
            else:
                done.append(part)
        return done, self._root.joinpath(*done)


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


@contextmanager
def _host_path(path: str) -> Iterator[None]:
    """Have an error name the host's path, not this computer's."""
    try:
        yield
    except OSError as error:
        raise _error(error.errno or errno.EIO, path) from None
