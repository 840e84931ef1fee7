"""An interactive shell over SSH: a line editor just good enough, where the client has a terminal.

The client's terminal is raw, so that whatever appears on it is sent from here: the echo of what
is typed, and CR with every LF.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from services.lab.hosts.shell.interpreter import Shell
from services.lab.hosts.shell.leaving import Exit, Fatal, LoopControl, Return
from services.lab.hosts.shell.lexer import ShellSyntaxError
from services.lab.hosts.shell.machine import decoded, encoded
from services.lab.hosts.shell.parser import parse
from services.lab.hosts.shell.pipeline import BROKEN_PIPE
from services.lab.hosts.shell.streams import Sink, Source
from services.problem import Stopped


class CrLf:
    """A sink for a raw terminal."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: bytes, /) -> None:
        self._sink.write(data.replace(b"\n", b"\r\n"))


class LineEditor:
    """Lines typed on a raw terminal: echo, backspace, ctrl+u, ctrl+c, ctrl+d."""

    def __init__(self, source: Source, echo: Sink) -> None:
        self._source = source
        self._echo = echo
        self._left = b""

    def line(self, prompt: str) -> str | None:
        """The next line without its end; None at the end of the input."""
        self._echo.write(encoded(prompt))
        typed = bytearray()
        while byte := self._byte():
            match byte:
                case b"\r" | b"\n":
                    self._echo.write(b"\n")
                    return decoded(bytes(typed))
                case b"\x7f" | b"\x08":
                    if typed:
                        self._rub_out(typed)
                case b"\x15":
                    while typed:
                        self._rub_out(typed)
                case b"\x03":
                    self._echo.write(b"^C\n")
                    return ""
                case b"\x04":
                    if not typed:
                        self._echo.write(b"\n")
                        return None
                case b"\x1b":
                    self._skip_escape()
                case _ if byte >= b" ":
                    typed += byte
                    self._echo.write(byte)
        return None

    def _byte(self) -> bytes:
        if not self._left:
            self._left = self._source.read(1024)
        byte, self._left = self._left[:1], self._left[1:]
        return byte

    def _rub_out(self, typed: bytearray) -> None:
        # A character of several bytes goes at once: all its continuation bytes, then its first.
        while len(typed) > 1 and typed[-1] & 0xC0 == 0x80:
            typed.pop()
        typed.pop()
        self._echo.write(b"\b \b")

    def _skip_escape(self) -> None:
        """Arrow keys and their like (`ESC [ … letter`) move nothing here."""
        if self._byte() in (b"[", b"O"):
            while (byte := self._byte()) and not byte.isalpha() and byte != b"~":
                pass


def interact(shell: Shell, line: Callable[[str], str | None]) -> int:
    """Read commands and run them until the input ends or `exit`; returns the shell's status."""
    name = shell.machine.name
    text = ""
    while True:
        if text:
            typed = line("> ")
        else:
            folder = "~" if shell.cwd == "/root" else shell.cwd.rpartition("/")[2] or "/"
            typed = line(f"[root@{name} {folder}]# ")
        if typed is None:
            return shell.status
        text = f"{text}\n{typed}" if text else typed
        if _unfinished(text):
            continue
        script, text = text, ""
        try:
            shell.evaluate(script)
        except Fatal as mistake:
            # What ends a script is a mere complaint to somebody who types.
            shell.status = mistake.status
        except Exit as left:
            return left.status
        except (Return, LoopControl, RecursionError):
            shell.status = 1
        except BrokenPipeError:
            with suppress(Stopped):
                shell.stop.check()
            return BROKEN_PIPE


def _unfinished(text: str) -> bool:
    try:
        parse(text)
    except ShellSyntaxError as error:
        return "unexpected EOF" in str(error) or "unexpected end of file" in str(error)
    except RecursionError:
        return False
    return False
