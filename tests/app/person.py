"""A person at a terminal: the program on a pseudo-terminal, read and typed to."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.app.running import DEADLINE_S, ROOT, Program


class Person:
    """Reads what the program writes, and types. Nothing is waited for but text and the end."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self._process = process
        self._terminal = terminal
        self.shown = ""
        self._seen = 0

    def sees(self, text: str) -> str:
        """Wait until `text` appears after what was seen before; returns what came until then."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := self.shown.find(text, self._seen)) < 0:
            assert time.monotonic() < deadline, f"{text!r} did not come:\n{self.shown}"
            assert self._read(0.1) or self._process.poll() is None, (
                f"it ended before {text!r}:\n{self.shown}"
            )
        start, self._seen = self._seen, found + len(text)
        return self.shown[start:found]

    def sees_any(self, *texts: str) -> int:
        """Wait for the first of `texts` to appear; which one it was."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            places = [(self.shown.find(text, self._seen), each) for each, text in enumerate(texts)]
            found = min((place for place in places if place[0] >= 0), default=None)
            if found is not None:
                self._seen = found[0] + len(texts[found[1]])
                return found[1]
            assert time.monotonic() < deadline, f"none of {texts} came:\n{self.shown}"
            assert self._read(0.1) or self._process.poll() is None, (
                f"it ended before any of {texts}:\n{self.shown}"
            )

    def types(self, line: str) -> None:
        """Type a line and Enter."""
        os.write(self._terminal, line.encode() + b"\n")

    def presses(self, keys: bytes) -> None:
        """Press keys, as a terminal sends them."""
        os.write(self._terminal, keys)

    def sends(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        os.kill(self._process.pid, number)

    def presses_ctrl_c(self) -> None:
        os.write(self._terminal, b"\x03")

    def leaves(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.shown}"
            self._read(0.05)
        while self._read(0):
            pass
        return self._process.returncode

    def _read(self, patience_s: float) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], patience_s)
        if not ready:
            return False
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


@contextmanager
def at_terminal(program: Program, *words: str) -> Iterator[Person]:
    """The program with a terminal of its own as its streams and its controlling one."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        program.command(words),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=program.environment(),
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(theirs)
    try:
        yield Person(process, ours)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


DRAWING = re.compile(r"\x1b|\r(?!\n)|\x08")
"""Anything that moves a cursor or draws."""
