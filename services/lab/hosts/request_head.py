"""A request's head as the lab's web server reads it."""

from __future__ import annotations


class RequestHead:
    """A request's head, as far as it matters to a server of static pages.

    Of no bytes at all it is the head of what is no request: `bad`.
    """

    __slots__ = (
        "agent", "bad", "host", "keep_alive", "length", "line", "method", "referer", "target",
    )  # fmt: skip

    def __init__(self, head: bytes) -> None:
        self.agent = self.referer = self.host = b""
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
                    self.host = value.strip()
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
