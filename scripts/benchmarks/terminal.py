"""A program on a real pseudo-terminal of 80 × 24: when a text appears there, and keys for it."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from scripts.benchmarks.child import ROOT

PATIENCE_S = 60
"""Generous: this only ends a benchmark that would never end."""

_END_S = 10
_KEPT = 65536


class Terminal:
    """The person's side. Everything is measured when its bytes arrive here."""

    def __init__(self, process: subprocess.Popen[bytes], ours: int, began: float) -> None:
        self.pid = process.pid
        self.began = began
        """When the program was started (`time.perf_counter`)."""
        self._process = process
        self._ours = ours
        self._unread = b""

    def sees(self, wanted: str | re.Pattern[bytes]) -> float:
        """Wait until this is written, after what was waited for before; the moment it was read."""
        moment = self.saw(wanted, PATIENCE_S)
        if moment is None:
            raise TimeoutError(f"{wanted!r} did not appear, but:\n{self._last_words()}")
        return moment

    def saw(self, wanted: str | re.Pattern[bytes], within_s: float) -> float | None:
        """The same, but None when it does not come in this time."""
        pattern = re.compile(re.escape(wanted.encode())) if isinstance(wanted, str) else wanted
        return time.perf_counter() if self._find(pattern, within_s) else None

    def reads(self, wanted: re.Pattern[bytes]) -> re.Match[bytes]:
        """Wait as `sees` does, for what was written rather than when."""
        found = self._find(wanted, PATIENCE_S)
        if found is None:
            raise TimeoutError(f"{wanted!r} did not appear, but:\n{self._last_words()}")
        return found

    def _find(self, pattern: re.Pattern[bytes], within_s: float) -> re.Match[bytes] | None:
        deadline = time.monotonic() + within_s
        while not (found := pattern.search(self._unread)):
            rest = deadline - time.monotonic()
            if rest <= 0:
                return None
            self._read(rest)
        self._unread = self._unread[found.end() :]
        return found

    def forget(self, seconds: float) -> None:
        """Read what is written in this time, and drop all of it."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            self._read(rest)
        self._unread = b""

    def presses(self, keys: str) -> float:
        """Type; the moment before."""
        moment = time.perf_counter()
        os.write(self._ours, keys.encode())
        return moment

    def _read(self, patience_s: float) -> None:
        """Read once, if something is written in time. Raises EOFError if the program has ended."""
        if not select.select([self._ours], [], [], patience_s)[0]:
            return
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            data = b""
        if not data:
            raise EOFError(f"the program has ended, and said:\n{self._last_words()}")
        self._unread = self._unread[-_KEPT:] + data

    def _last_words(self) -> str:
        return self._unread[-2000:].decode(errors="replace")

    def ends(self) -> None:
        """Ask the program to end, and see to it. It may write until then."""
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _END_S
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(EOFError):
                self._read(0.02)
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@contextmanager
def on_terminal(command: Sequence[str], env: Mapping[str, str]) -> Iterator[Terminal]:
    """Start a program with a terminal of its own, and end it with the block."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=env,
        cwd=ROOT,
        preexec_fn=partial(os.login_tty, theirs),
    )
    os.close(theirs)
    terminal = Terminal(process, ours, began)
    try:
        yield terminal
    finally:
        terminal.ends()
