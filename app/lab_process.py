"""The lab in a process of its own: started, waited for, asked, and never left behind."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from services import disk
from services.problem import Exit, Problem

_SERVE = ("-m", "app.cli", "lab", "serve")

_READY_S = 30
"""How long a lab may take to say that it is ready; it takes about one."""

_GONE_S = 5
"""How long the lab of a killed process may take to notice that it is alone."""

_GLANCE_S = 0.05

_LEAVE_S = 0.4
"""How long it may take to leave when asked: ctrl+c has a second for everything."""

_ASK_S = 2
"""How long the API may take to say whether it is a lab. It is on this computer, or not a lab."""


@dataclass(frozen=True, slots=True)
class LabSettings:
    """What a new lab is to be like. One that exists already keeps what it was."""

    backends: int = 2
    faults: Sequence[str] = ()

    def check(self) -> None:
        """Raise Problem `lab.unknown-fault` for a fault that is none, before anything is begun."""
        from services.lab.faults import FAULTS

        for name in self.faults:
            if name not in FAULTS:
                known = ", ".join(sorted(FAULTS))
                raise Problem("lab.unknown-fault", fault=name, known=known, exit=Exit.USAGE)

    def words(self) -> list[str]:
        faults = [word for name in self.faults for word in ("--fault", name)]
        return ["--backends", str(self.backends), *faults]


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab that runs, as its ready line describes it."""

    api: str
    key_id: str
    key_secret: str = field(repr=False)
    answers: Path
    zones: Mapping[str, Sequence[str]]
    """A listener's port, and where the balancer really listens for it: `HOST:PORT` by zone."""
    names: Mapping[str, Sequence[str]]
    """What the lab's DNS knows: names, and the addresses that each stands for."""

    @classmethod
    def described(cls, line: Mapping[str, Any]) -> Lab:
        return cls(
            api=line["api"],
            key_id=line["access_key_id"],
            key_secret=line["access_key_secret"],
            answers=Path(line["answers"]),
            zones=dict(line["zones"]),
            names=dict(line["names"]),
        )


@contextmanager
def started(
    folder: Path, home: Path, words: Sequence[str], *, share: bool = False
) -> Iterator[Lab]:
    """A lab on `folder`, which runs until the block ends, however it ends.

    One that runs there already is used if `share`; else it is the one of a process that was killed,
    on its way out, and is waited for.

    Raises
    ------
    Problem
        `app.lab-failed`, with the lab's own words as evidence.
    """
    disk.make_folder(folder)
    note = folder / "running.json"
    left = _noted(note)
    if left is not None and share:
        yield left
        return
    deadline = time.monotonic() + _GONE_S
    while left is not None and time.monotonic() < deadline:
        time.sleep(_GLANCE_S)
        left = running(left.api)
    # -P: whatever folder the person is in must not shadow this program's packages. A group of its
    # own, POSIX's way and Windows': ctrl+c is for this process, which stops the lab last. The pipe
    # on its stdin closes with this process, however that ends.
    process = subprocess.Popen(
        [sys.executable, "-P", *_SERVE, "--home", str(home), "--dir", str(folder), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    talk = _Tail(process.stderr)
    try:
        line = _ready(process, talk)
        disk.write(note, json.dumps(line).encode())
        yield Lab.described(line)
    finally:
        _end(process)
        talk.join()
        note.unlink(missing_ok=True)


def running(api: str) -> Lab | None:
    """The lab at `api`, or None where something else, or nothing, answers there."""
    import http.client
    from urllib.parse import urlsplit

    where = urlsplit(api)
    if where.scheme != "http" or where.hostname is None:
        return None
    # By hand, since urllib would go through the proxy that the environment names.
    connection = http.client.HTTPConnection(where.hostname, where.port or 80, timeout=_ASK_S)
    try:
        connection.request("GET", "/_lab")
        answer = connection.getresponse()
        if answer.status != 200:
            return None
        return Lab.described(json.loads(answer.read(1_000_000)))
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def _noted(note: Path) -> Lab | None:
    """The lab that is noted as running, if it really does."""
    try:
        api = json.loads(note.read_bytes())["api"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return running(api)


def _ready(process: subprocess.Popen[str], talk: _Tail) -> Mapping[str, Any]:
    first: queue.SimpleQueue[str] = queue.SimpleQueue()
    stdout = process.stdout
    assert stdout is not None

    def read() -> None:
        with suppress(OSError, ValueError):
            first.put(stdout.readline())

    threading.Thread(target=read, name="lab-ready", daemon=True).start()
    try:
        line = first.get(timeout=_READY_S)
        found = json.loads(line)
    except (queue.Empty, ValueError):
        raise Problem("app.lab-failed", evidence=talk.text()) from None
    if not isinstance(found, dict) or "api" not in found:
        raise Problem("app.lab-failed", evidence=talk.text() or line.strip())
    return found


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.terminate()
    try:
        process.wait(_LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(OSError):
        process.stdin.close()
    process.stdout.close()


class _Tail:
    """The last of what a process says on stderr, read so that it never blocks on saying it."""

    _KEPT = 4000

    def __init__(self, stream: IO[str] | None) -> None:
        assert stream is not None
        self._stream = stream
        self._text = ""
        self._thread = threading.Thread(target=self._read, name="lab-talk", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                self._text = (self._text + line)[-self._KEPT :]

    def join(self) -> None:
        """Wait until the process has said its last."""
        self._thread.join(1)

    def text(self) -> str:
        self.join()
        return self._text.strip()
