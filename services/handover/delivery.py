"""The files of a report into a folder: each whole, private, and over nobody else's."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services import disk
from services.handover.content import MARK
from services.problem import Exit, Problem

NAMES = ("report.html", "report.json", "live.svg", "nlb-mtls.prom")
"""Every file that a report may consist of."""

_HEAD = 4096
"""Bytes within which each file bears its mark."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A file that was written."""

    path: Path
    size: int
    """Bytes."""

    def to_map(self) -> dict[str, object]:
        return {"name": self.path.name, "path": str(self.path), "bytes": self.size}


def deliver(folder: Path, files: Mapping[str, bytes]) -> tuple[Delivered, ...]:
    """Put the files into `folder` (made 0700), each 0600 and in one step.

    An older report of ours is replaced, also the parts of it that the new one lacks. Nothing is
    written where one of the names is somebody else's.

    Raises
    ------
    Problem
        `handover.foreign-file`, and those of the room `disk`.
    """
    disk.make_folder(folder)
    for name in NAMES:
        if not _free(folder / name):
            raise Problem("handover.foreign-file", path=folder / name, exit=Exit.REFUSED)
    for name in NAMES:
        if name not in files:
            _remove(folder / name)
    for name, data in files.items():
        disk.write(folder / name, data)
    return tuple(Delivered(folder / name, len(data)) for name, data in files.items())


def _free(path: Path) -> bool:
    """Whether there is nothing, or a part of an older report. Links are followed by nobody."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return True
    except OSError as error:
        raise disk.cannot_read(path, error) from error
    return stat.S_ISREG(mode) and MARK.encode() in _head(path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise disk.cannot_read(path, error) from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk.cannot_write(path, error) from error
