"""An interactive shell over SSH, for clients that have a terminal.

The client's terminal is raw, so that whatever appears on it is sent from here: the echo of what
is typed, and CR with every LF. Ctrl+c reaches a command that reads nothing because a thread of its
own listens to the keys.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from services.lab.hosts.shell.interpreter import Shell
from services.lab.hosts.shell.leaving import Exit, Fatal, LoopControl, Return
from services.lab.hosts.shell.lexer import ShellSyntaxError
from services.lab.hosts.shell.machine import decoded, encoded
from services.lab.hosts.shell.parser import parse
from services.lab.hosts.shell.pipeline import INTERRUPTED
from services.lab.hosts.shell.streams import Sink, Source, pieces
from services.problem import Stopped
from services.stop import Stop

_CTRL_C, _CTRL_D, _CTRL_U, _ESCAPE = b"\x03", b"\x04", b"\x15", b"\x1b"


class CrLf:
    """A sink for a raw terminal."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: bytes, /) -> None:
        self._sink.write(data.replace(b"\n", b"\r\n"))


class LineEditor:
    """Lines typed on a raw terminal: echo, backspace, ctrl+u, ctrl+c, ctrl+d.

    It is a `Source` too: what a command reads of it is whole lines, as from a terminal.
    """

    def __init__(self, keys: Source, echo: Sink) -> None:
        self._keys = keys
        self._echo = echo
        self._typed: SimpleQueue[bytes] = SimpleQueue()
        self._ended = False
        self._unread = b""
        self._interrupt: Callable[[], None] | None = None
        self._interrupted = threading.Event()
        """A ctrl+c has been typed that no line has met yet."""

    def listen(self) -> None:
        """Take in keys until there are no more; in a thread of its own."""
        for piece in pieces(self._keys):
            for code in piece:
                key = bytes([code])
                interrupt = None
                if key == _CTRL_C:
                    self._interrupted.set()
                    interrupt = self._interrupt
                self._typed.put(key)
                if interrupt is not None:
                    interrupt()
        self._typed.put(b"")

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Have `interrupt` called, in the keys' thread or this one, when ctrl+c is typed."""
        self._interrupt = interrupt
        # One that came just before would be missed otherwise.
        if self._interrupted.is_set():
            interrupt()
        try:
            yield
        finally:
            self._interrupt = None

    def line(self, prompt: str) -> str | None:
        """The next line without its end; empty after ctrl+c, None at the end of the input."""
        self._echo.write(encoded(prompt))
        typed = bytearray()
        while key := self._key():
            match key:
                case b"\r" | b"\n":
                    self._echo.write(b"\n")
                    return decoded(bytes(typed))
                case b"\x7f" | b"\x08":
                    if typed:
                        self._rub_out(typed)
                case _ if key == _CTRL_U:
                    while typed:
                        self._rub_out(typed)
                case _ if key == _CTRL_C:
                    self._interrupted.clear()
                    self._echo.write(b"^C\n")
                    return ""
                case _ if key == _CTRL_D:
                    if not typed:
                        return None
                case _ if key == _ESCAPE:
                    self._skip_escape()
                case _ if key >= b" ":
                    typed += key
                    self._echo.write(key)
        return None

    def read(self, size: int, /) -> bytes:
        if not self._unread:
            line = self.line("")
            self._unread = b"" if line is None else encoded(line + "\n")
        piece, self._unread = self._unread[:size], self._unread[size:]
        return piece

    def _key(self) -> bytes:
        if not self._ended:
            key = self._typed.get()
            self._ended = not key
            return key
        return b""

    def _rub_out(self, typed: bytearray) -> None:
        # A character of several bytes goes at once: all its continuation bytes, then its first.
        while len(typed) > 1 and typed[-1] & 0xC0 == 0x80:
            typed.pop()
        typed.pop()
        self._echo.write(b"\b \b")

    def _skip_escape(self) -> None:
        """Arrow keys and their like (`ESC [ … letter`) move nothing here."""
        if self._key() in (b"[", b"O"):
            while (key := self._key()) and not key.isalpha() and key != b"~":
                pass


def interact(shell: Shell, editor: LineEditor) -> int:
    """Read commands and run them until the input ends or `exit`; returns the shell's status.

    Raises `Stopped`, and BrokenPipeError, when the client has left.
    """
    threading.Thread(target=editor.listen, name="lab-keys", daemon=True).start()
    session = shell.stop
    while (script := _script(shell, editor)) is not None:
        # Each command has a stop of its own: ctrl+c ends the command, not the session.
        shell.stop = Stop()
        try:
            with session.closing(shell.stop.set), editor.interrupting(shell.stop.set):
                shell.evaluate(script)
        except Fatal as mistake:
            # What ends a script is a mere complaint to somebody who types.
            shell.status = mistake.status
        except Exit as left:
            return left.status
        except Stopped:
            session.check()
            shell.status = INTERRUPTED
        except (Return, LoopControl, RecursionError):
            shell.status = 1
    return shell.status


def _script(shell: Shell, editor: LineEditor) -> str | None:
    """As many lines as make something whole; None at the end of the input."""
    folder = "~" if shell.cwd == "/root" else shell.cwd.rpartition("/")[2] or "/"
    text = editor.line(f"[root@{shell.machine.name} {folder}]# ")
    while text and _unfinished(text):
        following = editor.line("> ")
        if not following:
            return following
        text = f"{text}\n{following}"
    return text


def _unfinished(text: str) -> bool:
    try:
        parse(text)
    except ShellSyntaxError as error:
        return "unexpected EOF" in str(error) or "unexpected end of file" in str(error)
    except RecursionError:
        return False
    return False
