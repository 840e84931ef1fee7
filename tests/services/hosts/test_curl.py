"""The client's request by curl, made by the real one against TLS servers good and bad."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from services.hosts.port import Host, Ran
from services.hosts.scripts import Curled, curl_through, curled
from tests.programs import program
from tests.services.lab.plane.certificates import NAME, Pair, Pki, make_pki

HOST = Host("ECS03", "192.0.2.3")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@contextmanager
def serving(pki: Pki, *pieces: bytes, forever: bool = False) -> Iterator[int]:
    """A server that takes one client of the CA, and answers with the pieces; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.certificate_file, pki.server.key_file)
    context.load_verify_locations(pki.ca.certificate_file)
    context.verify_mode = ssl.CERT_REQUIRED

    def serve(listening: socket.socket) -> None:
        plain, _ = listening.accept()
        with ExitStack() as stack, suppress(OSError):
            stack.enter_context(plain)
            plain.settimeout(10)
            secured = stack.enter_context(context.wrap_socket(plain, server_side=True))
            secured.recv(65536)
            for piece in pieces:
                secured.sendall(piece)
            while forever:
                secured.sendall(b"x" * 65536)
            secured.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            thread.join(20)


def asked(folder: Path, pki: Pki, client: Pair, port: int, shell: str = "dash") -> Curled:
    for name, file in (
        ("client.crt", client.certificate_file),
        ("client.key", client.key_file),
        ("ca.crt", pki.ca.certificate_file),
    ):
        shutil.copy(file, folder / name)
    program("curl")
    script = curl_through(str(folder), NAME, port, "127.0.0.1")
    ran = subprocess.run(
        [program(shell), "-c", script], capture_output=True, text=True, check=False, timeout=30
    )
    return curled(HOST, Ran(ran.returncode, ran.stdout, ran.stderr))


def answer(body: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    announced = len(body) if length is None else length
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, announced, body)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_page(tmp_path: Path, pki: Pki, shell: str) -> None:
    with serving(pki, answer(b"Hello\n\nHTTP/1.1 500 is no status here\n")) as port:
        got = asked(tmp_path, pki, pki.client, port, shell)
    assert (got.status, got.exit_status, got.complaint) == (200, 0, "")
    assert got.text.strip() == "Hello\n\nHTTP/1.1 500 is no status here"


def test_error_and_empty_page(tmp_path: Path, pki: Pki) -> None:
    with serving(pki, answer(b"", b"502 Bad Gateway")) as port:
        got = asked(tmp_path, pki, pki.client, port)
    assert (got.status, got.text.strip()) == (502, "")


def test_answer_without_an_end_is_left_early(tmp_path: Path, pki: Pki) -> None:
    with serving(pki, b"HTTP/1.1 200 OK\r\n\r\n", forever=True) as port:
        got = asked(tmp_path, pki, pki.client, port)
    assert got.status == 200
    assert len(got.text) < 70_000


def test_answer_that_is_cut_short(tmp_path: Path, pki: Pki) -> None:
    with serving(pki, answer(b"Hell", length=10)) as port:
        got = asked(tmp_path, pki, pki.client, port)
    assert (got.status, got.exit_status) == (200, 18)


def test_certificate_of_another_ca(tmp_path: Path, pki: Pki) -> None:
    with serving(pki, answer(b"Hello")) as port:
        got = asked(tmp_path, pki, pki.stranger, port)
    assert (got.status, got.text.strip()) == (0, "")
    assert got.exit_status
    assert got.complaint
