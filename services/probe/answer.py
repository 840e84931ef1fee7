"""A tiny, strict reader of one HTTP/1.x answer: whole, cut short, too large, or not HTTP.

What matters here is completeness: an answer counts only when its own framing says that all of
it came (RFC 9112 section 6.3). The result depends on the bytes alone, never on how the network
cut them; nothing that a server sends makes it hold more than its limits.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from typing import NamedTuple

HEAD_LIMIT = 32 * 1024
"""Bytes of status lines, headers, chunk sizes and trailers together; nginx itself accepts 32 KiB
of request headers at most."""
BODY_LIMIT = 1024 * 1024
"""Bytes of body. A verification page is a line; a megabyte says that this is not one."""

_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
_LINE = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:" + _TEXT + rb"\r\n"
_HEAD = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: " + _TEXT + rb")?\r\n(?:" + _LINE + rb")*")
_FIELD = re.compile(_LINE)
_FOLD = re.compile(rb"\r\n[ \t]+")
_FRAMING = re.compile(rb"\n(content-length|transfer-encoding):([^\r]*)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;" + _TEXT + rb")?")
_CHUNK_LINE_LIMIT = 1024
_START = b"HTTP/1."
_HEARD = 80


class Answer(NamedTuple):
    """A whole answer; `head` is its status line and headers as they came."""

    status: int
    head: bytes
    body: bytes


def header(head: bytes, name: str) -> bytes | None:
    """The value of the first header called `name` (in any case) in an answer's head, or None."""
    found = re.search(
        rb"\n" + re.escape(name.encode("ascii")) + rb":[ \t]*([^\r]*?)[ \t]*\r", head, re.IGNORECASE
    )
    return found[1] if found else None


_DATE = re.compile(
    rb"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"


def date_s(head: bytes) -> float | None:
    """The Date of an answer in seconds since the epoch; None without one, or without sense.

    Only the form that RFC 9110 section 5.6.7 lets a server write: `Sun, 06 Nov 1994 08:49:37 GMT`.
    """
    value = header(head, "Date")
    found = _DATE.fullmatch(value) if value else None
    if not found or _MONTHS.find(found[2]) % 3:
        return None
    day, year, hour, minute, second = (int(found[group]) for group in (1, 3, 4, 5, 6))
    month = _MONTHS.find(found[2]) // 3 + 1
    if not (year >= 1970 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        return None
    return float(calendar.timegm((year, month, day, hour, minute, second)))


class NotHttp(Exception):
    """The bytes break HTTP's framing; the text says where."""


class TooLarge(Exception):
    """The answer is beyond `HEAD_LIMIT` or `BODY_LIMIT`; the text says which."""


class AnswerReader:
    """Reads the answer to one GET. Bytes after its end are ignored."""

    __slots__ = (
        "_body",
        "_buffer",
        "_framing",
        "_head",
        "_searched",
        "_step",
        "_wanted",
        "answer",
        "heard",
        "status",
    )

    def __init__(self) -> None:
        self.heard = b""
        """The first bytes that came, for evidence."""
        self.status = 0
        """The final status, 0 until the head has come."""
        self.answer: Answer | None = None
        """The answer, once it is whole."""
        # A function, not a bound method: that would be a reference cycle a request.
        self._step: Callable[[AnswerReader], bool] = AnswerReader._read_head
        """Reads one element off `_buffer`; False when it needs more bytes, or none any more."""
        self._buffer = bytearray()
        self._searched = 0
        """How far the buffer was searched for the end of what is being read."""
        self._head = b""
        self._framing = 0
        """How much of HEAD_LIMIT is used up."""
        self._wanted = 0
        self._body = bytearray()

    def feed(self, data: bytes) -> bool:
        """Take `data` and say whether the answer is whole. Raises NotHttp or TooLarge."""
        if len(self.heard) < _HEARD:
            self.heard += data[: _HEARD - len(self.heard)]
        if self.answer is None:
            self._buffer += data
            while self._step(self):
                pass
        return self.answer is not None

    def close(self, clean: bool) -> bool:
        """The other side has ended: say whether the answer is whole.

        Only a body without length may end so, and only if the end was announced (`clean`: TLS
        close_notify, or TCP's FIN without TLS); otherwise anyone on the path may have cut it.
        Raises NotHttp.
        """
        if clean and self._step is AnswerReader._read_until_close:
            self._end(bytes(self._buffer))
        if self._step is AnswerReader._read_head and b"\n\n" in self._buffer:
            raise NotHttp("lines end with LF instead of CR LF")
        return self.answer is not None

    def _read_head(self) -> bool:
        buffer = self._buffer
        if not buffer.startswith(_START) and buffer != _START[: len(buffer)]:
            raise NotHttp("does not begin with HTTP/1.")
        limit = HEAD_LIMIT - self._framing
        end = buffer.find(b"\r\n\r\n", self._searched, limit)
        if end < 0:
            if len(buffer) >= limit:
                raise TooLarge("head")
            self._searched = max(len(buffer) - 3, 0)
            return False
        head = bytes(buffer[: end + 2])
        del buffer[: end + 4]
        self._searched = 0
        self._framing += end + 4
        if b"\n " in head or b"\n\t" in head:
            # A header on several lines is as if it stood on one (RFC 9112 section 5.2).
            head = _FOLD.sub(b" ", head)
        found = _HEAD.fullmatch(head)
        if not found:
            raise NotHttp("malformed head")
        status = int(found[2])
        if status == 101:
            raise NotHttp("switches to a protocol that nobody asked for")
        if status >= 200:  # interim answers (RFC 9110 section 15.2) come before the final one
            self.status, self._head = status, head
            self._frame(version=found[1])
        return True

    def _frame(self, version: bytes) -> None:
        """How the body ends: RFC 9112 section 6.3."""
        codings, lengths = [], set()
        for name, value in _FRAMING.findall(self._head):
            if name[0] in b"tT":
                codings.append(value.strip(b" \t").lower())
            else:
                lengths.add(value.strip(b" \t"))
        if codings and (lengths or codings != [b"chunked"] or version == b"0"):
            raise NotHttp("contradictory framing")
        if len(lengths) > 1:
            raise NotHttp("contradictory Content-Length")
        if self.status in (204, 304):
            self._end(b"")
        elif codings:
            self._step = AnswerReader._read_chunk_size
        elif lengths:
            length = lengths.pop()
            if not length.isdigit() or len(length) > 19:
                raise NotHttp("malformed Content-Length")
            self._wanted = int(length)
            if self._wanted > BODY_LIMIT:
                raise TooLarge("body")
            self._step = AnswerReader._read_length
        else:
            self._step = AnswerReader._read_until_close

    def _read_length(self) -> bool:
        if len(self._buffer) >= self._wanted:
            self._end(bytes(self._buffer[: self._wanted]))
        return False

    def _read_until_close(self) -> bool:
        if len(self._buffer) > BODY_LIMIT:
            raise TooLarge("body")
        return False

    def _read_chunk_size(self) -> bool:
        line = self._line(_CHUNK_LINE_LIMIT)
        if line is None:
            return False
        found = _CHUNK_SIZE.fullmatch(line)
        if not found:
            raise NotHttp("malformed chunk size")
        self._wanted = int(found[1], 16)
        # Framing is bounded too: a megabyte in chunks of one byte would cost seconds.
        if len(self._body) + self._wanted > BODY_LIMIT or self._framing > HEAD_LIMIT:
            raise TooLarge("body")
        self._step = AnswerReader._read_chunk if self._wanted else AnswerReader._read_trailer
        return True

    def _read_chunk(self) -> bool:
        buffer, end = self._buffer, self._wanted
        if len(buffer) < end + 2:
            return False
        if buffer[end : end + 2] != b"\r\n":
            raise NotHttp("malformed chunk end")
        self._body += buffer[:end]
        del buffer[: end + 2]
        self._step = AnswerReader._read_chunk_size
        return True

    def _read_trailer(self) -> bool:
        line = self._line(max(HEAD_LIMIT - self._framing, 2))
        if line is None:
            return False
        if not line:
            self._end(bytes(self._body))
        elif not _FIELD.fullmatch(line + b"\r\n"):
            raise NotHttp("malformed trailer")
        return True

    def _line(self, limit: int) -> bytes | None:
        """Take a line of at most `limit` bytes off the buffer; None until all of it came."""
        buffer = self._buffer
        end = buffer.find(b"\r\n", self._searched, limit)
        if end < 0:
            if len(buffer) >= limit:
                raise TooLarge("head")
            self._searched = max(len(buffer) - 1, 0)
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        self._searched = 0
        self._framing += end + 2
        return line

    def _end(self, body: bytes) -> None:
        self.answer = Answer(self.status, self._head, body)
        self._step = AnswerReader._done

    def _done(self) -> bool:
        return False
