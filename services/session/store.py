"""Sessions on disk: `HOME/sessions/ID/` with a snapshot, its journal, `pki/` and `reports/`.

The journal is the truth and is written first; `session.json` is its snapshot, so that a reader
need not fold the whole. After a kill at any moment the journal's whole lines are what happened.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from services import disk
from services.events import rfc3339
from services.problem import Exit, Problem
from services.session.model import AnyEntry, Created, Session

FORMAT = 1
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class _Line(msgspec.Struct, frozen=True):
    """A journal line: its number, which is the revision it makes, and the entry."""

    n: int
    entry: AnyEntry


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the parts of one session lie."""

    path: Path

    @property
    def snapshot(self) -> Path:
        return self.path / "session.json"

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def pki(self) -> Path:
        return self.path / "pki"

    @property
    def reports(self) -> Path:
        return self.path / "reports"


class Store:
    """A session that this process, and no other, may change."""

    def __init__(self, folder: Folder, session: Session) -> None:
        self.folder = folder
        self.session = session
        self._held_back: list[bytes] | None = None

    def record(self, entry: AnyEntry) -> Session:
        """Put `entry` on disk, then into the session. Raises Problem (room `disk`) if it cannot."""
        session = self.session.after(entry)
        line = msgspec.json.encode(_Line(session.revision, entry)) + b"\n"
        if self._held_back is None:
            self._write(line, session)
        else:
            self._held_back.append(line)
        self.session = session
        return session

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what is recorded during the block in one piece: a kill leaves all of it or none."""
        if self._held_back is not None:
            yield
            return
        self._held_back = []
        try:
            yield
        finally:
            lines, self._held_back = self._held_back, None
            if lines:
                self._write(b"".join(lines), self.session)

    def _write(self, lines: bytes, session: Session) -> None:
        disk.append(self.folder.journal, lines)
        disk.write(self.folder.snapshot, msgspec.json.format(msgspec.json.encode(session)) + b"\n")


class Sessions:
    """All sessions below one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._root = home / "sessions"

    @contextmanager
    def create(self, place: str, now: datetime | None = None) -> Iterator[Store]:
        """A new session, held until the block ends."""
        now = now or datetime.now(UTC)
        name = f"{now:%Y%m%d}-{secrets.token_hex(3)}"
        folder = Folder(self._root / name)
        for part in (self.home, self._root, folder.path, folder.pki, folder.reports):
            disk.make_folder(part)
        with _held(folder, name):
            store = Store(folder, Session())
            store.record(Created(time=rfc3339(now), session=name, place=place))
            yield store

    @contextmanager
    def open(self, id: str = "") -> Iterator[Store]:
        """The session `id` (the latest when empty), held until the block ends.

        Raises Problem: `session.not-found`, `session.none`, `session.in-use`, `session.broken`
        (the snapshot, moved aside and named), `session.journal-broken`, `session.newer`.
        """
        folder = self.folder(id or self.latest())
        with _held(folder, folder.path.name):
            yield Store(folder, _load(folder, mend=True))

    def read(self, id: str = "") -> Session:
        """The session as it stands, without holding it; another process may be at work on it."""
        return _load(self.folder(id or self.latest()), mend=False)

    def all(self) -> Sequence[Session | tuple[str, Problem]]:
        """Every session, latest first; one that cannot be read is its id and the Problem."""
        found: list[Session | tuple[str, Problem]] = []
        for path in self._paths():
            try:
                found.append(_load(Folder(path), mend=False))
            except Problem as problem:
                found.append((path.name, problem))
        return found

    def latest(self) -> str:
        """The id of the session that changed last. Raises Problem `session.none`."""
        for path in self._paths():
            return path.name
        raise Problem("session.none", folder=self._root)

    def folder(self, id: str) -> Folder:
        """Raises Problem `session.not-found`."""
        path = self._root / id
        if not _ID.fullmatch(id) or not path.is_dir():
            known = ", ".join(path.name for path in self._paths()[:5]) or "-"
            raise Problem("session.not-found", session=id, known=known, exit=Exit.USAGE)
        return Folder(path)

    def _paths(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        paths = [path for path in self._root.iterdir() if (path / "journal.jsonl").exists()]
        return sorted(paths, key=lambda path: (path / "journal.jsonl").stat().st_mtime_ns)[::-1]


def history(folder: Folder, session: Session) -> Iterator[AnyEntry]:
    """What happened in a session, oldest first, without lines that are damaged.

    Raises Problem `session.journal-broken` for a damaged line that `session` does not hold either.
    """
    for line in _journal(folder, session.revision, mend=False):
        yield line.entry


@contextmanager
def _held(folder: Folder, id: str) -> Iterator[None]:
    from filelock import FileLock, Timeout  # 20 ms

    lock = FileLock(folder.path / ".lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise Problem("session.in-use", session=id) from None
    try:
        yield
    finally:
        lock.release()


def _load(folder: Folder, *, mend: bool) -> Session:
    session = _snapshot(folder)
    for line in _journal(folder, session.revision, mend=mend):
        if line.n == session.revision + 1:
            session = session.after(line.entry)
    if not session.id:
        raise Problem("session.journal-broken", path=folder.journal)
    return session


def _snapshot(folder: Folder) -> Session:
    if not folder.snapshot.exists():
        return Session()
    data = disk.read(folder.snapshot)
    try:
        if msgspec.json.decode(data, type=_Format).format > FORMAT:
            raise Problem("session.newer", path=folder.snapshot)
        return msgspec.json.decode(data, type=Session)
    except msgspec.MsgspecError as error:
        aside = folder.path / f"session.json.broken-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        os.replace(folder.snapshot, aside)
        raise Problem(
            "session.broken", evidence=str(error), path=aside, session=folder.path.name
        ) from None


class _Format(msgspec.Struct, frozen=True):
    format: int = FORMAT


def _journal(folder: Folder, known: int, *, mend: bool) -> Iterator[_Line]:
    """The journal's lines. A last line cut short never happened: it is left out, or cut off."""
    data = disk.read(folder.journal)
    whole = data.rfind(b"\n") + 1
    if mend and whole < len(data):
        disk.write(folder.journal, data[:whole])
    for number, text in enumerate(data[:whole].splitlines(), start=1):
        try:
            yield msgspec.json.decode(text, type=_Line)
        except msgspec.MsgspecError as error:
            if number > known:
                raise Problem(
                    "session.journal-broken",
                    evidence=f"line {number}: {error}",
                    path=folder.journal,
                ) from None
