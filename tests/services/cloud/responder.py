"""An HTTP server on loopback that answers in ways which no well-behaved API would.

For what the lab cannot do: pages of garbage, values of the wrong type, half an answer, silence.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived, parameters of query and body together."""

    target: str
    action: str
    headers: Mapping[str, str]
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: whole, or `cut` after so many bytes, or never (`hang`), or in drips."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    hang: bool = False
    drip: bool = False


Handler = Callable[[Request], Reply]


def answer(status: int = 200, /, **fields: object) -> Reply:
    """A JSON answer; fields of an API error when the status says so."""
    return Reply(status, json.dumps({"RequestId": "0A1B-TEST", **fields}).encode())


def refusal(status: int, code: str, message: str = "No.", **fields: object) -> Reply:
    return answer(status, Code=code, Message=message, HostId="127.0.0.1", **fields)


class Responder:
    """`seen` holds the requests in the order in which they came."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.seen: list[Request] = []
        self.arrived = threading.Semaphore(0)
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def close(self) -> None:
        """End every connection, hanging ones too, and wait for the threads."""
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in [*self._open]:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(10)

    def actions(self) -> list[str]:
        return [request.action for request in self.seen]

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while (request := _read(stream)) is not None:
                    self.seen.append(request)
                    self.arrived.release()
                    if not self._reply(connection, self.handler(request)):
                        return
            except OSError:
                return
            finally:
                self._open.discard(connection)

    def _reply(self, connection: socket.socket, reply: Reply) -> bool:
        """Whether the connection lives on."""
        if reply.hang:
            self._closing.wait()
            return False
        head = f"HTTP/1.1 {reply.status} X\r\nContent-Length: {len(reply.body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        whole = head.encode() + b"\r\n" + reply.body
        if reply.drip:
            for byte in whole:
                connection.sendall(bytes([byte]))
                if self._closing.wait(0.02):
                    return False
            return True
        connection.sendall(whole[: reply.cut])
        return reply.cut is None


@contextmanager
def responding(handler: Handler) -> Iterator[Responder]:
    responder = Responder(handler)
    try:
        yield responder
    finally:
        responder.close()


@contextmanager
def tls_server(folder: Path) -> Iterator[str]:
    """The address of a server whose certificate nobody trusts; it never gets past that."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _read(stream: BinaryIO) -> Request | None:
    first = stream.readline().decode()
    if not first.strip():
        return None
    headers: dict[str, str] = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = stream.read(length).decode()
    target = first.split(" ")[1]
    pairs = parse_qsl(urlsplit(target).query, keep_blank_values=True)
    pairs += parse_qsl(body, keep_blank_values=True)
    return Request(target, headers.get("x-acs-action", ""), headers, dict(pairs))
