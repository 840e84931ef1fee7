"""The HTTP server of a lab host: what nginx does with static pages, and no more.

Runs in the lab's event loop. Files are read there too: they are small, local and cached.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
import posixpath
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import Literal, cast
from urllib.parse import unquote

from services.lab.hosts.filesystem import HostFiles

SERVER = b"nginx/1.20.1"

Trouble = Literal["", "error", "slow", "hang"]

_SLOW_S = 1.0
_MOST_HEAD = 32 << 10
"""nginx's default: four buffers of 8 KiB for a request's head."""

_MOST_CACHED = 1 << 20
_METHODS = (b"GET", b"HEAD")
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus} | {
    302: b"Moved Temporarily",
    405: b"Not Allowed",
}


@dataclass(frozen=True, slots=True)
class _Page:
    """A file ready to be sent; `real` and `signature` tell whether it still is what lies there."""

    real: Path
    signature: tuple[int, int, int]
    headers: bytes
    body: bytes


class PageServer:
    """Serves a document root of a host, and writes its access log: one line a request."""

    def __init__(
        self,
        files: HostFiles,
        root: str,
        indexes: Sequence[str],
        log_path: str,
        trouble: Callable[[], Trouble],
    ) -> None:
        self._files = files
        self._root = root
        self._indexes = indexes
        self._log_path = log_path
        self._trouble = trouble
        self._log: int | None = None
        self._pages: dict[bytes, _Page] = {}
        self._second = 0
        self._date = b""
        self._log_date = b""
        self.connections: set[_Connection] = set()

    def open(self) -> None:
        """Open the log. A log that cannot be written is no reason not to serve."""
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._log = self._files.open(self._log_path, flags, 0o640)
        except OSError:
            self._log = None

    def close(self) -> None:
        """Drop whoever is connected, and close the log."""
        for connection in tuple(self.connections):
            connection.close()
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def connection(self) -> asyncio.BaseProtocol:
        """A protocol for one client."""
        return _Connection(self, asyncio.get_running_loop())

    def trouble(self) -> Trouble:
        return self._trouble()

    def answer(self, request: _Request, *, error: bool) -> bytes:
        """The whole response to a request, which is logged by this."""
        self._tick()
        status, headers, body = self._found(request) if not error else self._error(500)
        kept = b"keep-alive" if request.keep_alive else b"close"
        if self._log is not None:
            line = b'127.0.0.1 - - [%s] "%s" %d %d "%s" "%s"\n' % (
                self._log_date,
                request.line,
                status,
                0 if request.method == b"HEAD" else len(body),
                request.referer or b"-",
                request.agent or b"-",
            )
            os.write(self._log, line)
        head = b"HTTP/1.1 %d %s\r\nServer: %s\r\nDate: %s\r\n%sConnection: %s\r\n\r\n" % (
            status,
            _REASONS[status],
            SERVER,
            self._date,
            headers,
            kept,
        )
        return head if request.method == b"HEAD" else head + body

    def _tick(self) -> None:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._date = formatdate(now, usegmt=True).encode()
            self._log_date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)).encode()

    def _found(self, request: _Request) -> tuple[int, bytes, bytes]:
        if request.bad:
            return self._error(400)
        if request.method not in _METHODS:
            return self._error(405)
        page = self._pages.get(request.target)
        if page is not None and _signature(page.real) == page.signature:
            return 200, page.headers, page.body
        self._pages.pop(request.target, None)
        path = unquote(request.target.split(b"?", 1)[0].decode("latin-1"), errors="surrogateescape")
        if not path.startswith("/") or "\0" in path or _climbs(path):
            return self._error(400)
        # As nginx does, and unlike the file system: the folders passed through need not exist.
        slash = "/" if path.endswith(("/", "/.", "/..")) and path != "/" else ""
        place = f"{self._root}/{posixpath.normpath(path).lstrip('/')}{slash}"
        if self._files.is_dir(place):
            if not path.endswith("/"):
                return self._error(301, b"Location: %s/\r\n" % request.target.split(b"?", 1)[0])
            names = [place + name for name in self._indexes]
            place = next((name for name in names if self._files.exists(name)), "")
            if not place:
                return self._error(403)
        return self._page(request.target, place)

    def _page(self, target: bytes, place: str) -> tuple[int, bytes, bytes]:
        try:
            found = self._files.stat(place)
            if not stat.S_ISREG(found.st_mode) or place.endswith("/"):
                return self._error(404)
            body = self._files.read(place)
            real = self._files.real(place)
        except FileNotFoundError:
            return self._error(404)
        except OSError:
            return self._error(403)
        kind = mimetypes.guess_type(place)[0] or "application/octet-stream"
        headers = (
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            f"Last-Modified: {formatdate(found.st_mtime, usegmt=True)}\r\n"
            f'ETag: "{int(found.st_mtime):x}-{len(body):x}"\r\nAccept-Ranges: bytes\r\n'
        ).encode()
        # A page that a link leads to is looked up anew each time: the link may change.
        direct = real == self._files.real(place, follow=False) and _is_plain(place)
        signature = _signature(real)
        if direct and signature is not None and len(body) <= _MOST_CACHED:
            if len(self._pages) >= 64:
                self._pages.clear()
            if signature[1] == len(body):
                self._pages[target] = _Page(real, signature, headers, body)
        return 200, headers, body

    def _error(self, status: int, extra: bytes = b"") -> tuple[int, bytes, bytes]:
        title = b"%d %s" % (status, _REASONS[status])
        body = (
            b"<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n"
            b"<hr><center>%s</center>\r\n</body>\r\n</html>\r\n" % (title, title, SERVER)
        )
        return (
            status,
            b"Content-Type: text/html\r\nContent-Length: %d\r\n%s" % (len(body), extra),
            body,
        )


def _signature(real: Path) -> tuple[int, int, int] | None:
    try:
        found = os.lstat(real)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _climbs(path: str) -> bool:
    """Whether the path leaves the document root."""
    depth = 0
    for part in path.split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return True
    return False


def _is_plain(place: str) -> bool:
    return "/." not in place and "//" not in place


class _Request:
    """A request's head, as far as it matters here."""

    __slots__ = ("agent", "bad", "keep_alive", "length", "line", "method", "referer", "target")

    def __init__(self, head: bytes) -> None:
        self.agent = self.referer = b""
        self.length = 0
        lines = head.split(b"\r\n")
        self.line = lines[0]
        parts = self.line.split(b" ")
        self.method = parts[0]
        self.target = parts[1] if len(parts) > 1 else b""
        version = parts[2] if len(parts) == 3 else b""
        self.bad = version not in (b"HTTP/1.1", b"HTTP/1.0")
        self.keep_alive = version == b"HTTP/1.1"
        has_host = False
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            match name.lower():
                case b"host":
                    has_host = True
                case b"connection":
                    lowered = value.lower()
                    if b"close" in lowered:
                        self.keep_alive = False
                    elif b"keep-alive" in lowered:
                        self.keep_alive = True
                case b"user-agent":
                    self.agent = value.strip()
                case b"referer":
                    self.referer = value.strip()
                case b"content-length":
                    stripped = value.strip()
                    self.bad = self.bad or not stripped.isdigit()
                    self.length = int(stripped) if stripped.isdigit() else 0
                case b"transfer-encoding":
                    # Nothing here takes a body; after one of unknown length the connection ends.
                    self.keep_alive = False
        if version == b"HTTP/1.1" and not has_host:
            self.bad = True
        if self.bad:
            self.keep_alive = False


class _Connection(asyncio.Protocol):
    def __init__(self, server: PageServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._skip = 0
        """Bytes of a request's body still to come, which nobody wants."""
        self._waiting: asyncio.TimerHandle | None = None
        self._held = False
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)
        if self._waiting is not None:
            self._waiting.cancel()

    def eof_received(self) -> bool:
        # What is owed is still answered; after that the connection ends.
        self._ended = True
        return self._held

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._skip:
            taken = min(self._skip, len(data))
            self._skip -= taken
            data = data[taken:]
        self._buffer = self._buffer + data if self._buffer else data
        if not self._held:
            self._proceed()

    def _proceed(self) -> None:
        while self._transport is not None and self._buffer:
            if self._buffer[0] in b"\r\n":
                self._buffer = self._buffer.lstrip(b"\r\n")
                continue
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                # A TLS greeting, a PROXY header: whatever is no method gets an answer at once.
                if len(self._buffer) > _MOST_HEAD or not self._buffer[:1].isalpha():
                    self._respond(_Request(b""))
                return
            request = _Request(self._buffer[:end])
            rest = self._buffer[end + 4 :]
            self._skip = max(0, request.length - len(rest))
            self._buffer = rest[request.length :]
            match self._server.trouble():
                case "slow":
                    self._held = True
                    self._waiting = self._loop.call_later(_SLOW_S, self._respond_late, request)
                    return
                case "hang":
                    self._held = True
                    return
                case trouble:
                    self._respond(request, error=trouble == "error")

    def _respond_late(self, request: _Request) -> None:
        self._held, self._waiting = False, None
        self._respond(request)
        if self._ended:
            self.close()
        else:
            self._proceed()

    def _respond(self, request: _Request, *, error: bool = False) -> None:
        if self._transport is None:
            return
        self._transport.write(self._server.answer(request, error=error))
        if not request.keep_alive:
            self._buffer = b""
            self._transport.close()
            self._transport = None
