"""Servers that misbehave on purpose, each connection in a thread of its own."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.services.probe.certificates import Certificates

Behave = Callable[[socket.socket], None]

PAGE = b"Hello World ! This is ECS01.\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 29\r\nConnection: close\r\n\r\n" + PAGE


@dataclass
class Server:
    port: int
    accepted: int = 0
    most_at_once: int = 0
    _open: set[socket.socket] = field(default_factory=set)


@contextmanager
def serving(behave: Behave, host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """Run `behave` with each connection; what it leaves open is closed after it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=128)
    server = Server(listener.getsockname()[1])
    lock, threads = threading.Lock(), list[threading.Thread]()

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            behave(connection)
        with lock:
            server._open.discard(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with lock:
                server.accepted += 1
                server._open.add(connection)
                server.most_at_once = max(server.most_at_once, len(server._open))
            threads.append(threading.Thread(target=handle, args=(connection,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        with lock:
            for connection in server._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def until_gone(connection: socket.socket) -> None:
    """Listen, and say nothing."""
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    """End with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def says(data: bytes, *, hear_first: bool = True) -> Behave:
    """Say `data` on the bare connection, then nothing more."""

    def behave(connection: socket.socket) -> None:
        if hear_first:
            connection.recv(65536)
        connection.sendall(data)
        until_gone(connection)

    return behave


def over_tls(
    certificates: Certificates, answer: Callable[[ssl.SSLSocket], None], *, mutual: bool = True
) -> Behave:
    """Shake hands as the right server, hear the request, and then do `answer`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate_file, certificates.server.key_file)
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates.ca.certificate_file)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            heard = b""
            while b"\r\n\r\n" not in heard:
                if not (more := tls.recv(65536)):
                    return
                heard += more
            answer(tls)

    return behave


def answers(data: bytes, *, announce: bool = True) -> Callable[[ssl.SSLSocket], None]:
    """Send `data` and close, with close_notify or without."""

    def answer(tls: ssl.SSLSocket) -> None:
        tls.sendall(data)
        if announce:
            tls.unwrap()

    return answer


def forever(head: bytes, piece: bytes) -> Callable[[ssl.SSLSocket], None]:
    """Send `head`, and then `piece` for as long as anyone listens."""

    def answer(tls: ssl.SSLSocket) -> None:
        tls.sendall(head)
        while True:
            tls.sendall(piece)

    return answer


def drips(head: bytes, every_s: float) -> Callable[[ssl.SSLSocket], None]:
    """Send `head`, and then a byte each `every_s`."""

    def answer(tls: ssl.SSLSocket) -> None:
        tls.sendall(head)
        gone = threading.Event()
        while not gone.wait(every_s):
            tls.sendall(b"x")

    return answer
