"""The account's file: read whole, or left alone."""

from __future__ import annotations

from pathlib import Path

import msgspec

from services import disk
from services.lab.state.account import Account
from services.problem import Problem

FORMAT = 1


class _File(msgspec.Struct, frozen=True):
    format: int
    account: Account


def load(path: Path) -> Account | None:
    """The account in `path`; None when there is no such file.

    Raises
    ------
    Problem
        `lab.state-broken` when it is no account of this version's; `disk.cannot-read`.
    """
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(disk.read(path), type=_File)
    except msgspec.MsgspecError as error:
        # The message names a place in the file, never what stands there.
        raise Problem("lab.state-broken", str(error), path=path) from None
    if found.format != FORMAT:
        raise Problem("lab.state-broken", f"format {found.format}", path=path)
    return found.account


def save(path: Path, account: Account) -> None:
    """Replace the file, readable by its owner alone. Raises as `disk.write` does."""
    disk.write(path, msgspec.json.encode(_File(FORMAT, account)))
