"""What a host's web server answers, judged by curl and by http.client."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.programs import program
from tests.services.lab.plane.conftest import Plane


@pytest.fixture(scope="module", autouse=True)
def _serving(plane: Plane) -> None:
    plane.serve_pages()


@contextmanager
def connection(plane: Plane, name: str = "ECS01") -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection(*plane.host(name).web_address, timeout=10)
    try:
        yield made
    finally:
        made.close()


def raw(plane: Plane, data: bytes, name: str = "ECS01") -> bytes:
    """Send bytes, and return all that comes until the server closes."""
    with socket.create_connection(plane.host(name).web_address, 10) as plain:
        plain.sendall(data)
        answer = b""
        while piece := plain.recv(65536):
            answer += piece
    return answer


def get(plane: Plane, path: str = "/", name: str = "ECS01") -> tuple[int, bytes]:
    with connection(plane, name) as made:
        made.request("GET", path)
        response = made.getresponse()
        return response.status, response.read()


def log(plane: Plane, name: str = "ECS01") -> list[str]:
    return plane.host(name).files.read("/var/log/nginx/access.log").decode().splitlines()


def test_curl_gets_the_hosts_own_page(plane: Plane) -> None:
    address, port = plane.host("ECS02").web_address
    ran = subprocess.run(
        [program("curl"), "-sSi", f"http://{address}:{port}/"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    head, _, body = ran.stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK\nServer: nginx/1.20.1\nDate: ")
    assert "\nContent-Type: text/html\nContent-Length: 29\nLast-Modified: " in head
    assert body == "Hello World ! This is ECS02.\n"


def test_connection_is_kept_for_many_requests(plane: Plane) -> None:
    with connection(plane) as made:
        for _ in range(3):
            made.request("GET", "/")
            response = made.getresponse()
            assert response.getheader("Connection") == "keep-alive"
            assert response.read() == b"Hello World ! This is ECS01.\n"
        made.request("HEAD", "/")
        response = made.getresponse()
        assert (response.getheader("Content-Length"), response.read()) == ("29", b"")


def test_requests_sent_together_are_answered_in_order(plane: Plane) -> None:
    one = b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n"
    requests = [one % (b"", b""), one % (b"no", b""), one % (b"", b"Connection: close\r\n")]
    answer = raw(plane, b"".join(requests))
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"404", b"200"]


def test_request_may_come_in_pieces(plane: Plane) -> None:
    with socket.create_connection(plane.host("ECS01").web_address, 10) as plain:
        for piece in (b"GE", b"T / HTTP/1.1\r\nHo", b"st: x\r\nConnection: close\r", b"\n\r\n"):
            plain.sendall(piece)
        assert plain.recv(65536).startswith(b"HTTP/1.1 200")


def test_old_version_is_closed_unless_it_asks(plane: Plane) -> None:
    assert b"Connection: close" in raw(plane, b"GET / HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
     b"GET / HTTP/1.1\r\n\r\n", b"GET / FOO\r\n\r\n", b"GET /../x HTTP/1.0\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_request_gets_a_400(plane: Plane, data: bytes) -> None:
    assert raw(plane, data).startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET /no", 404), ("POST /", 405), ("GET /sub", 301), ("GET /empty/", 403),
     ("GET /sub/", 200), ("GET /sub/?x=1", 200), ("GET /%69ndex.html", 200),
     ("GET /index.html/", 404), ("GET /a/../index.html", 200), ("GET /secret", 404)],
)  # fmt: skip
def test_statuses_are_nginxs(plane: Plane, request_line: str, status: int) -> None:
    plane.run(
        "ECS01",
        "cd /usr/share/nginx/html && mkdir -p sub empty && echo sub > sub/index.html; "
        "ln -sf /../../secret secret",
    )
    method, _, path = request_line.partition(" ")
    with connection(plane) as made:
        made.request(method, path)
        assert made.getresponse().status == status


def test_body_that_nobody_wants_is_passed_over(plane: Plane) -> None:
    with connection(plane) as made:
        made.request("POST", "/", b"x" * 100_000)
        response = made.getresponse()
        assert response.status == 405
        response.read()
        made.request("GET", "/")
        assert made.getresponse().status == 200


def test_page_changes_at_once(plane: Plane) -> None:
    index = "/usr/share/nginx/html/page.html"
    files = plane.host("ECS01").files
    for text in (b"one", b"two", b"three"):
        files.write(index, text)
        assert get(plane, "/page.html") == (200, text)
    files.write("/tmp/a", b"linked a")
    files.write("/tmp/b", b"linked b")
    files.remove(index)
    for target in ("/tmp/a", "/tmp/b"):
        files.symlink(target, index)
        assert get(plane, "/page.html")[1] == b"linked " + target[-1:].encode()
        files.remove(index)
    assert get(plane, "/page.html")[0] == 404


def test_log_has_a_line_a_request_before_the_answer_is_out(plane: Plane) -> None:
    before = len(log(plane))
    with ThreadPoolExecutor(8) as pool:
        assert {status for status, _ in pool.map(lambda _: get(plane), range(40))} == {200}
    lines = log(plane)
    assert len(lines) == before + 40
    with connection(plane) as made:
        made.request("GET", "/", headers={"User-Agent": "me", "Referer": "there"})
        made.getresponse().read()
    assert log(plane)[-1].endswith('"GET / HTTP/1.1" 200 29 "there" "me"')
    assert log(plane)[-1].startswith("127.0.0.1 - - [")


def test_port_is_refused_while_nothing_serves(plane: Plane) -> None:
    address = plane.host("ECS01").web_address
    plane.run("ECS01", "systemctl stop nginx")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 5)
    plane.run("ECS01", "systemctl start nginx")
    assert plane.host("ECS01").web_address == address
    assert get(plane)[0] == 200


def test_start_and_stop_at_once_end_in_one_state(plane: Plane) -> None:
    verbs = ["start", "stop", "restart"] * 4 + ["start"]
    threads = [
        threading.Thread(target=plane.run, args=("ECS01", f"systemctl {verb} nginx"))
        for verb in verbs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (
        plane.run("ECS01", "systemctl start nginx; systemctl is-active nginx").stdout == b"active\n"
    )
    assert get(plane)[0] == 200
