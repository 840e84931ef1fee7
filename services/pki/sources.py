"""The files that a person wants inspected, read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services import disk
from services.problem import Problem

_MAX_SIZE = 1 << 20
"""Far more than any file of certificates."""

_MAX_FILES = 1000

_PEM, _WIDE_PEM, _DER = b"-----BEGIN ", "-----BEGIN ".encode("utf-16-le"), b"\x30"


@dataclass(frozen=True, slots=True)
class Source:
    """A file's bytes. They may be a key: they are not shown."""

    name: str
    data: bytes
    named: bool = True
    """Whether the person named it, rather than the folder that it lies in."""
    open_to_others: bool = False
    """Whether other users of the computer may read it."""

    def __repr__(self) -> str:
        return f"Source({self.name!r})"


def gather(paths: Sequence[Path]) -> tuple[Source, ...]:
    """Read files, and all files in and below folders, in the order of their names.

    In folders, what is large, may not be read, or cannot hold anything of interest is passed
    over, and links to folders are not followed.

    Raises
    ------
    Problem
        `disk.cannot-read`, `disk.too-large` for a file that was named; `pki.too-many-files`;
        `pki.nothing-found` if there is nothing at all.
    """
    found: list[Source] = []
    for path in paths:
        if path.is_dir():
            for source in _below(path):
                found.append(source)
                if len(found) > _MAX_FILES:
                    raise Problem("pki.too-many-files", folder=path, limit=_MAX_FILES)
        else:
            found.append(_read(path, named=True))
    if not found:
        raise Problem("pki.nothing-found", path=", ".join(map(str, paths)))
    return tuple(found)


def _below(folder: Path) -> Iterator[Source]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            # A pipe or a device would block, or never end.
            if not path.is_file():
                continue
            try:
                source = _read(path, named=False)
            except Problem:
                continue
            if _PEM in source.data or _WIDE_PEM in source.data or source.data.startswith(_DER):
                yield source


def _read(path: Path, *, named: bool) -> Source:
    data = disk.read(path, limit=_MAX_SIZE)
    return Source(str(path), data, named, _open_to_others(path))


def _open_to_others(path: Path) -> bool:
    if os.name != "posix":
        # Windows keeps access lists; the bits that Python shows there say nothing.
        return False
    try:
        mode = path.stat().st_mode
    except OSError as problem:
        raise disk.cannot_read(path, problem) from problem
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IRWXG | stat.S_IRWXO))
