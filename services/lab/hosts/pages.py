"""The pages of a lab host: what nginx answers from its document root, and no more.

Runs in the lab's event loop. Files are read there too: they are small, local and cached.
"""

from __future__ import annotations

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
from urllib.parse import unquote

from services.lab.hosts.filesystem import HostFiles
from services.lab.hosts.request_head import RequestHead
from services.lab.hosts.trouble import Trouble

SERVER = b"nginx/1.20.1"

DEFAULT_PAGE = b"""\
<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>
</body>
</html>
"""

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
    """Answers from a document root of a host, and writes its access log: one line a request."""

    def __init__(
        self,
        files: HostFiles,
        root: str,
        indexes: Sequence[str],
        log_path: str,
        now: Callable[[], float],
    ) -> None:
        """`now` is the host's clock, in Unix seconds."""
        self._files = files
        self._root = root
        self._indexes = indexes
        self._log_path = log_path
        self._now = now
        self._log: int | None = None
        self._pages: dict[bytes, _Page] = {}
        self._second = 0
        self._date = b""
        self._log_date = b""

    def open(self) -> None:
        """Open the log. A log that cannot be written is no reason not to serve."""
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._log = self._files.open(self._log_path, flags, 0o640)
        except OSError:
            self._log = None

    def close(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def answer(self, request: RequestHead, trouble: Trouble = "") -> bytes:
        """The whole response to a request, which is logged by this.

        Of the troubles those count that are about what is answered; another changes nothing.
        """
        status, headers, body = self._response(request, trouble)
        sent = b"" if request.method == b"HEAD" else body
        self.log(request, status, len(sent))
        return self._head(status, headers, keep_alive=request.keep_alive) + sent

    def announcement(self, length: int | None) -> bytes:
        """The head of a page of `length` bytes that somebody else sends; None: till the end."""
        length_is = b"" if length is None else b"Content-Length: %d\r\n" % length
        return self._head(200, b"Content-Type: text/html\r\n" + length_is, keep_alive=False)

    def page(self, request: RequestHead) -> bytes:
        """The body of what is answered to a request."""
        return self._found(request)[2]

    def log(self, request: RequestHead, status: int, sent: int) -> None:
        """Write a request's line; `sent` are the bytes of its body that went out."""
        if self._log is None:
            return
        self._tick()
        line = b'127.0.0.1 - - [%s] "%s" %d %d "%s" "%s"\n' % (
            self._log_date,
            request.line,
            status,
            sent,
            request.referer or b"-",
            request.agent or b"-",
        )
        os.write(self._log, line)

    def _response(self, request: RequestHead, trouble: Trouble) -> tuple[int, bytes, bytes]:
        if request.bad or not trouble:
            return self._found(request)
        match trouble:
            case "error":
                return self._error(500)
            case "redirects":
                host = request.host.partition(b":")[0] or b"localhost"
                return self._error(301, b"Location: https://%s%s\r\n" % (host, request.target))
            case "empty":
                return 200, b"Content-Type: text/html\r\nContent-Length: 0\r\n", b""
            case "another-page":
                if request.target.partition(b"?")[0] not in (b"/", b"/index.html"):
                    return self._error(404)
                length = b"Content-Length: %d\r\n" % len(DEFAULT_PAGE)
                return 200, b"Content-Type: text/html\r\n" + length, DEFAULT_PAGE
        return self._found(request)

    def _head(self, status: int, headers: bytes, *, keep_alive: bool) -> bytes:
        self._tick()
        return b"HTTP/1.1 %d %s\r\nServer: %s\r\nDate: %s\r\n%sConnection: %s\r\n\r\n" % (
            status,
            _REASONS[status],
            SERVER,
            self._date,
            headers,
            b"keep-alive" if keep_alive else b"close",
        )

    def _tick(self) -> None:
        now = int(self._now())
        if now != self._second:
            self._second = now
            self._date = formatdate(now, usegmt=True).encode()
            self._log_date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)).encode()

    def _found(self, request: RequestHead) -> tuple[int, bytes, bytes]:
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
