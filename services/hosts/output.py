"""A script's output: cut into lines while it runs, bounded in memory, and safe to show.

What a host sends is untrusted: escape sequences could rewrite the screen, set a clipboard or
hide text, bidirectional controls could reorder it.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable

KEPT_CHARACTERS = 1 << 20
"""How much of one stream `Transcript.text` holds; more loses its middle, not its end."""

LINE_CHARACTERS = 4096
"""A longer line is handed on in pieces, so that one without an end does not pile up."""

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor (ECMA-48 5.4)
    r"|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC: title, clipboard, links
    r"|[PX^_][^\x1b\n]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|[ -/]*[0-~])"  # the two-character rest
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """`text` without escape sequences, control, format and surrogate characters.

    Newlines and tabs stay; carriage returns become newlines, as a progress bar means them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


class Transcript:
    """One stream of a running script. Not for use from several threads."""

    def __init__(self, line: Callable[[str], None] | None = None) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = line
        self._pending = ""
        self._head: list[str] = []
        self._head_room = KEPT_CHARACTERS // 2
        self._tail: deque[str] = deque()
        self._tail_length = 0
        self._left_out = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes; call `line` for each line that they complete."""
        self._take(self._decoder.decode(data))

    def finish(self) -> str:
        """Hand on what is left without a newline, and return the text that was kept."""
        self._take(self._decoder.decode(b"", final=True))
        if self._pending:
            self._emit(self._pending.removesuffix("\r"))
            self._pending = ""
        head, tail = "".join(self._head), "".join(self._tail)
        gap = f"\n[… {self._left_out} …]\n" if self._left_out else ""
        return printable(head + gap + tail)

    def _take(self, text: str) -> None:
        if not text:
            return
        self._keep(text)
        if self._line is None:
            return
        text = self._pending + text
        # A carriage return at the very end may be the first half of a line end.
        held = "\r" if text.endswith("\r") else ""
        text = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        for line in lines:
            self._emit(line)
        while len(rest) > LINE_CHARACTERS:
            self._emit(rest[:LINE_CHARACTERS])
            rest = rest[LINE_CHARACTERS:]
        self._pending = rest + held

    def _emit(self, line: str) -> None:
        if self._line is None:
            return
        line = printable(line)
        for start in range(0, max(len(line), 1), LINE_CHARACTERS):
            self._line(line[start : start + LINE_CHARACTERS])

    def _keep(self, text: str) -> None:
        if self._head_room > 0:
            self._head.append(text[: self._head_room])
            text, self._head_room = text[self._head_room :], self._head_room - len(text)
        if not text:
            return
        self._tail.append(text)
        self._tail_length += len(text)
        over = self._tail_length - KEPT_CHARACTERS // 2
        while over > 0:
            oldest = self._tail.popleft()
            if len(oldest) > over:
                self._tail.appendleft(oldest[over:])
            dropped = min(len(oldest), over)
            self._left_out += dropped
            self._tail_length -= dropped
            over -= dropped
