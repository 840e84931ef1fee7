"""One HTTP request over TCP or TLS, made for real, and curl's own numbers for what goes wrong."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from pathlib import Path

from services.lab.hosts.shell.streams import Sink
from services.stop import Stop

_PIECE = 1 << 16


class CurlError(Exception):
    """What curl would exit with, and say."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of whom. Files are real paths; None where the option was not given."""

    tls: bool
    host: str
    port: int
    target: str
    method: str
    headers: Mapping[str, str]
    body: bytes = b""
    insecure: bool = False
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    versions: tuple[ssl.TLSVersion | None, ssl.TLSVersion | None] = (None, None)


@dataclass(slots=True)
class Outcome:
    """What came of it; filled as far as it got."""

    status: int = 0
    reason: str = ""
    version: str = "1.1"
    headers: list[tuple[str, str]] = field(default_factory=list)
    size: int = 0
    cipher: str = ""
    remote: tuple[str, int] = ("", 0)

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def perform(
    request: Request,
    address: tuple[str, int],
    deadline: float | None,
    stop: Stop,
    outcome: Outcome,
    connected: Callable[[Outcome], None],
    begun: Callable[[Outcome], None],
    body: Sink,
) -> None:
    """Make the request to `address`; the body goes to `body` as it comes.

    `connected` is called when the connection stands, `begun` when the answer's head is there.
    `deadline` is a monotonic time. Raises `CurlError`, and `Stopped`.
    """
    timer = _Timer(deadline)
    context = _context(request) if request.tls else None
    with ExitStack() as stack:
        try:
            plain = stack.enter_context(socket.create_connection(address, timer.left()))
        except TimeoutError:
            raise timer.expired("Connection timed out") from None
        except OSError:
            raise CurlError(
                7,
                f"Failed to connect to {request.host} port {request.port}: Connection refused",
            ) from None
        connection = plain
        if context is not None:
            connection = stack.enter_context(
                context.wrap_socket(
                    plain, server_hostname=request.host, do_handshake_on_connect=False
                )
            )
        stack.enter_context(stop.closing(lambda: _shut(connection)))
        if isinstance(connection, ssl.SSLSocket):
            _shake_hands(connection, request, timer, outcome)
        outcome.remote = address
        connected(outcome)
        try:
            connection.settimeout(timer.left())
            connection.sendall(_head(request) + request.body)
            _answer(connection, request, outcome, timer, begun, body)
        except TimeoutError:
            raise timer.expired("Operation timed out", outcome.size) from None
        except ssl.SSLError as error:
            raise CurlError(56, f"OpenSSL SSL_read: {_said(error)}, errno 0") from None
        except RemoteDisconnected:
            raise CurlError(52, "Empty reply from server") from None
        except ConnectionError:
            raise CurlError(56, "Recv failure: Connection reset by peer") from None
        except HTTPException:
            raise CurlError(1, "Received HTTP/0.9 when not allowed") from None


class _Timer:
    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._begun = time.monotonic()

    def left(self) -> float | None:
        """Seconds until the deadline. Raises TimeoutError when it is over."""
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def expired(self, what: str, size: int = 0) -> CurlError:
        spent = int((time.monotonic() - self._begun) * 1000)
        detail = f" with {size} bytes received" if what.startswith("Operation") else ""
        return CurlError(28, f"{what} after {spent} milliseconds{detail}")


def _shut(connection: socket.socket) -> None:
    """Wake a thread that waits in this socket; closing it alone would not.

    The plain socket's own shutdown: that of a TLS socket takes its state away from that thread.
    """
    socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _context(request: Request) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    least, most = request.versions
    if least is not None:
        context.minimum_version = least
    if most is not None:
        context.maximum_version = most
    if request.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif request.authorities is not None:
        try:
            context.load_verify_locations(cafile=request.authorities)
        except (OSError, ssl.SSLError):
            raise CurlError(77, "error setting certificate verify locations") from None
    if request.certificate is not None:
        try:
            context.load_cert_chain(request.certificate, request.key, password="")
        except (OSError, ssl.SSLError):
            raise CurlError(
                58,
                "unable to set certificate and private key: no such file, wrong format, "
                "wrong pass phrase, or a key that does not belong to the certificate",
            ) from None
    return context


def _shake_hands(secured: ssl.SSLSocket, request: Request, timer: _Timer, outcome: Outcome) -> None:
    try:
        secured.settimeout(timer.left())
        secured.do_handshake()
    except ssl.SSLCertVerificationError as error:
        if "mismatch" in error.verify_message:
            text = (
                f"no alternative certificate subject name matches target host name '{request.host}'"
            )
            raise CurlError(60, f"SSL: {text}") from None
        raise CurlError(60, f"SSL certificate problem: {error.verify_message}") from None
    except TimeoutError:
        raise timer.expired("SSL connection timeout") from None
    except ssl.SSLError as error:
        raise CurlError(35, _said(error)) from None
    except OSError:
        raise CurlError(35, "OpenSSL SSL_connect: Connection reset by peer") from None
    cipher = secured.cipher()
    outcome.cipher = f"{secured.version()} / {cipher[0] if cipher else ''}"


def _said(error: ssl.SSLError) -> str:
    """OpenSSL's reason in its own spelling: `tlsv13 alert certificate required`."""
    if isinstance(error, ssl.SSLEOFError):
        return "unexpected eof while reading"
    reason = (error.reason or "unknown error").replace("_", " ").lower()
    return f"error:{error.library or 'SSL'} routines::{reason}"


def _head(request: Request) -> bytes:
    usual = 443 if request.tls else 80
    host = f"[{request.host}]" if ":" in request.host else request.host
    headers = {
        "Host": host if request.port == usual else f"{host}:{request.port}",
        **request.headers,
    }
    if request.body:
        headers["Content-Length"] = str(len(request.body))
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def _answer(
    connection: socket.socket,
    request: Request,
    outcome: Outcome,
    timer: _Timer,
    begun: Callable[[Outcome], None],
    body: Sink,
) -> None:
    response = HTTPResponse(connection, method=request.method)
    try:
        response.begin()
        outcome.status, outcome.reason = response.status, response.reason
        outcome.version = "1.0" if response.version == 10 else "1.1"
        outcome.headers = response.getheaders()
        begun(outcome)
        while True:
            connection.settimeout(timer.left())
            piece = response.read1(_PIECE)
            if not piece:
                break
            outcome.size += len(piece)
            body.write(piece)
        if response.length:
            raise CurlError(18, f"transfer closed with {response.length} bytes remaining to read")
    finally:
        response.close()
