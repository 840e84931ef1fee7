"""The balancer, judged by curl and OpenSSL."""

from __future__ import annotations

import asyncio
import hashlib
import select
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lab.balancer import front
from services.lab.balancer.balancer import Balancer
from services.lab.balancer.listener import Listener, Target
from services.lab.faults import Faults
from services.problem import Problem
from tests.programs import program
from tests.services.lab.plane.certificates import NAME, Pair
from tests.services.lab.plane.conftest import Plane, until


@pytest.fixture(scope="module", autouse=True)
def _serving(plane: Plane) -> None:
    plane.serve_pages()


@pytest.fixture(autouse=True)
def _listening(plane: Plane) -> None:
    plane.apply(plane.listener())
    plane.until_normal()


def curl(
    plane: Plane, *options: str, client: Pair | None = None
) -> subprocess.CompletedProcess[str]:
    credentials: list[str] = []
    if client is not None:
        credentials = ["--cert", str(client.certificate_file), "--key", str(client.key_file)]
    return subprocess.run(
        [
            program("curl"), "-sS", "--max-time", "10",
            "--connect-to", f"{NAME}:443:127.0.0.1:{plane.port}",
            "--cacert", str(plane.pki.ca.certificate_file), *credentials, *options,
            f"https://{NAME}/",
        ],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


def s_client(plane: Plane, *options: str, text: str = "") -> str:
    client = plane.pki.client
    ran = subprocess.run(
        [
            program("openssl"), "s_client", "-connect", f"127.0.0.1:{plane.port}",
            "-servername", NAME, "-CAfile", str(plane.pki.ca.certificate_file),
            "-cert", str(client.certificate_file), "-key", str(client.key_file), *options,
        ],
        input=text, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return ran.stdout + ran.stderr


def context(plane: Plane, client: Pair | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(plane.pki.ca.certificate_file))
    if client is not None:
        made.load_cert_chain(client.certificate_file, client.key_file)
    return made


@contextmanager
def connected(plane: Plane) -> Iterator[ssl.SSLSocket]:
    """A client that is let in."""
    with (
        socket.create_connection(("127.0.0.1", plane.port), 10) as plain,
        context(plane, plane.pki.client).wrap_socket(plain, server_hostname=NAME) as secured,
    ):
        yield secured


def answers(plane: Plane, count: int) -> Counter[bytes]:
    """Which backend answered how often, a fresh connection each."""
    found = Counter[bytes]()
    for _ in range(count):
        with connected(plane) as secured:
            secured.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := secured.recv(4096):
                answer += piece
        found[answer.rstrip(b".\n")[-5:]] += 1
    return found


class Backend:
    """A TCP server of the test's own: records what comes, and answers as it is told."""

    def __init__(self, plane: Plane, answer: bytes = b"", *, after_eof: bool = True) -> None:
        self.received = bytearray()
        self.closed = threading.Event()
        self._plane = plane
        self._answer = answer
        self._after_eof = after_eof

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            if not self._after_eof:
                writer.write(self._answer)
            while piece := await reader.read(65536):
                self.received += piece
            if self._after_eof:
                writer.write(self._answer)
            await writer.drain()
        writer.close()
        if self.received:
            self.closed.set()

    async def _open(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    def __enter__(self) -> Target:
        self._server = self._plane.thread.call(self._open())
        host, port = self._server.sockets[0].getsockname()
        return Target("own", host, port)

    def __exit__(self, *_: object) -> None:
        self._plane.thread.loop.call_soon_threadsafe(self._server.close)


@contextmanager
def behind(plane: Plane, backend: Backend) -> Iterator[None]:
    with backend as target:
        plane.apply(plane.listener(targets=(target,)))
        plane.until_normal()
        yield
        plane.apply()


def test_client_of_the_ca_reaches_both_backends_in_turn(plane: Plane) -> None:
    pages = [curl(plane, client=plane.pki.client).stdout for _ in range(4)]
    assert (
        sorted(pages)
        == ["Hello World ! This is ECS01.\n"] * 2 + ["Hello World ! This is ECS02.\n"] * 2
    )


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_client_without_certificate_is_refused_by_tls(plane: Plane, version: str) -> None:
    ran = curl(plane, f"--tlsv{version}", "--tls-max", version)
    assert ran.stdout == ""
    assert ran.returncode in (35, 56)
    assert "alert" in ran.stderr


def test_stranger_is_refused_by_an_alert_that_says_so(plane: Plane) -> None:
    ran = curl(plane, client=plane.pki.stranger)
    assert (ran.returncode, ran.stdout) == (56, "")
    assert "unknown ca" in ran.stderr


def test_plain_http_is_closed_without_an_answer(plane: Plane) -> None:
    url = f"http://127.0.0.1:{plane.port}/"
    ran = subprocess.run(
        [program("curl"), "-sS", url], capture_output=True, text=True, check=False, timeout=20
    )
    assert (ran.returncode, ran.stdout) == (52, "")


def test_listener_announces_the_ca_that_it_trusts(plane: Plane) -> None:
    shown = s_client(plane)
    assert "Acceptable client certificate CA names\nCN = lab-ca\n" in shown
    assert "Verify return code: 0 (ok)" in shown


def test_443_has_its_port_before_there_is_a_listener(plane: Plane) -> None:
    before = plane.port
    plane.apply()
    assert plane.balancer.addresses == {443: ("127.0.0.1", before)}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", before), 5)
    plane.apply(plane.listener())
    assert plane.port == before


async def test_preferred_port_is_taken_again() -> None:
    first = Balancer(Faults())
    _, port = first.addresses[443]
    await first.close()
    second = Balancer(Faults(), preferred={443: port})
    assert second.addresses[443] == ("127.0.0.1", port)
    third = Balancer(Faults(), preferred={443: port})
    assert third.addresses[443][1] != port
    await second.close()
    await third.close()


def test_health_begins_initial_and_follows_the_backends(plane: Plane) -> None:
    plane.apply()
    plane.apply(plane.listener())
    assert plane.balancer.health(443) == {"ECS01": ("Initial", ""), "ECS02": ("Initial", "")}
    plane.until_normal()
    plane.run("ECS02", "systemctl stop nginx")
    until(lambda: dict(plane.balancer.health(443)) == {"ECS02": ("Unhealthy", "CONNECT_FAILED")})
    assert answers(plane, 4) == {b"ECS01": 4}
    plane.run("ECS02", "systemctl start nginx")
    plane.until_normal()


def test_health_of_a_listener_that_is_not_checked_is_unavailable(plane: Plane) -> None:
    plane.apply(plane.listener(health_check=False))
    assert set(plane.balancer.health(443).values()) == {("Unavailable", "")}
    assert sum(answers(plane, 2).values()) == 2


def test_weights_are_exact_and_zero_gets_nothing(plane: Plane) -> None:
    one, other = plane.targets()
    plane.apply(plane.listener(targets=(replace(one, weight=30), replace(other, weight=10))))
    plane.until_normal()
    assert answers(plane, 40) == {b"ECS01": 30, b"ECS02": 10}
    plane.apply(plane.listener(targets=(replace(one, weight=0), other)))
    assert answers(plane, 4) == {b"ECS02": 4}


def test_without_a_healthy_backend_a_client_is_let_in_and_closed(plane: Plane) -> None:
    plane.apply(plane.listener(targets=(Target("gone", "127.0.0.1", 1),)))
    until(lambda: plane.balancer.health(443) == {"gone": ("Unhealthy", "CONNECT_FAILED")})
    assert curl(plane, client=plane.pki.client).returncode == 52
    assert "alert" in curl(plane).stderr


def test_certificate_is_replaced_under_those_who_are_connected(plane: Plane) -> None:
    port = plane.port
    with connected(plane) as before:
        plane.apply(
            plane.listener(
                certificate_pem=plane.pki.other_server.certificate,
                key_pem=plane.pki.other_server.key,
            )
        )
        assert plane.port == port
        assert "CN = server-2" in s_client(plane)
        before.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert before.recv(4096).startswith(b"HTTP/1.1 200")


def test_ca_is_replaced(plane: Plane) -> None:
    plane.apply(plane.listener(ca_pem=plane.pki.stranger.certificate))
    assert curl(plane, client=plane.pki.client).returncode == 56
    assert curl(plane, client=plane.pki.stranger).stdout.startswith("Hello")


def test_removal_closes_those_who_are_connected(plane: Plane) -> None:
    with connected(plane) as secured:
        plane.apply()
        with suppress(ssl.SSLError, ConnectionError):
            assert secured.recv(1) == b""


def test_unusable_listener_is_a_problem_and_stops_no_other(plane: Plane) -> None:
    broken = plane.listener(key_pem=plane.pki.client.key)
    other = plane.listener(port=8443)
    with pytest.raises(Problem, match="listener-unusable") as raised:
        plane.apply(broken, other)
    assert "PRIVATE KEY" not in raised.value.evidence
    # The one that was there goes on as it was, and the other one came.
    assert curl(plane, client=plane.pki.client).returncode == 0
    assert sorted(plane.balancer.addresses) == [443, 8443]


def test_key_is_not_in_the_listeners_representation(plane: Plane) -> None:
    assert "PRIVATE KEY" not in repr(plane.listener())


def test_policy_decides_versions_and_ciphers(plane: Plane) -> None:
    plane.apply(
        plane.listener(tls_versions=("TLSv1.2",), ciphers=("ECDHE-ECDSA-AES256-GCM-SHA384",))
    )
    assert curl(plane, "--tlsv1.3", client=plane.pki.client).returncode == 35
    shown = s_client(plane)
    assert "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES256-GCM-SHA384" in shown
    plane.apply(plane.listener(ciphers=("TLS_AES_256_GCM_SHA384", "AES128-SHA")))
    assert "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384" in s_client(plane)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_no_session_is_resumed(plane: Plane, version: str) -> None:
    again = s_client(plane, version, "-reconnect")
    assert "New, TLSv1" in again
    assert "Reused" not in again


@pytest.mark.parametrize("mutual", ["optional", "off"])
def test_mutual_authentication_can_be_less_than_required(plane: Plane, mutual: str) -> None:
    plane.apply(plane.listener(mutual=mutual))
    assert curl(plane).stdout.startswith("Hello")
    refused = curl(plane, client=plane.pki.stranger).returncode
    assert refused == (56 if mutual == "optional" else 0)


def test_megabytes_pass_both_ways_past_a_slow_reader(plane: Plane) -> None:
    content = hashlib.shake_128(b"bulk").digest(6 << 20)
    backend = Backend(plane, content, after_eof=False)
    with behind(plane, backend), connected(plane) as secured:
        # In one thread: a TLS connection must not be read and written by two at once.
        secured.setblocking(False)
        sent, got, ended = 0, bytearray(), False
        slowly = threading.Event()
        while not ended and (sent < len(content) or len(got) < len(content)):
            if not secured.pending():
                ready = select.select([secured], [secured] if sent < len(content) else [], [], 10)
                assert any(ready), "nothing moves any more"
            with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if sent < len(content):
                    sent += secured.send(memoryview(content)[sent : sent + 65536])
            with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                piece = secured.recv(65536)
                got += piece
                ended = not piece
            if len(got) < 1 << 20:
                slowly.wait(0.002)
        assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()
        until(lambda: len(backend.received) == len(content))
    assert hashlib.sha256(backend.received).digest() == hashlib.sha256(content).digest()


def test_client_that_has_sent_its_all_still_gets_its_answer(plane: Plane) -> None:
    backend = Backend(plane, b"and here is the answer\n")
    with behind(plane, backend):
        # At the end of its input s_client sends close_notify; -ign_eof would keep it from that.
        plain = socket.create_connection(("127.0.0.1", plane.port), 10)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context(plane, plane.pki.client).wrap_bio(incoming, outgoing, server_hostname=NAME)
        answer = b""
        with plain:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(65536))
            tls.write(b"question")
            with suppress(ssl.SSLWantReadError):
                tls.unwrap()  # sends close_notify, then would wait for the peer's
            plain.sendall(outgoing.read())
            while piece := plain.recv(65536):
                incoming.write(piece)
        with suppress(ssl.SSLZeroReturnError, ssl.SSLWantReadError, ssl.SSLError):
            while piece := tls.read(65536):
                answer += piece
    assert bytes(backend.received) == b"question"
    assert answer == b"and here is the answer\n"


def test_backend_sees_that_the_client_has_gone(plane: Plane) -> None:
    backend = Backend(plane)
    with behind(plane, backend):
        with connected(plane) as secured:
            secured.sendall(b"hello")
            until(lambda: bytes(backend.received) == b"hello")
        assert backend.closed.wait(5)


def test_garbage_after_the_handshake_ends_the_connection_and_nothing_else(
    plane: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    backend = Backend(plane, b"x" * (1 << 20), after_eof=False)
    with behind(plane, backend), connected(plane) as secured:
        secured.sendall(b"hello")
        until(lambda: bytes(backend.received) == b"hello")
        socket.socket.sendall(secured, b"garbage" * 100)
        with suppress(ssl.SSLError, ConnectionError):
            while secured.recv(65536):
                pass
        assert backend.closed.wait(5)
    assert caplog.records == []


@given(st.binary(max_size=400))
@settings(max_examples=30)
def test_any_bytes_are_borne(plane: Plane, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", plane.port), 5) as plain:
        plain.sendall(data)
        plain.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while plain.recv(65536):
                pass
    assert not plane.balancer.health(443)


def test_proxy_header_names_the_client(plane: Plane) -> None:
    backend = Backend(plane)
    with backend as target:
        plane.apply(plane.listener(targets=(target,), proxy_protocol=True))
        plane.until_normal()
        with connected(plane) as secured:
            port = secured.getsockname()[1]
            secured.sendall(b"x")
            until(lambda: len(backend.received) == 29)
    assert backend.received[:16] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
    assert backend.received[16:24] == bytes([127, 0, 0, 1] * 2)
    assert int.from_bytes(backend.received[24:26], "big") == port
    assert backend.received[-1:] == b"x"


def test_idle_connection_is_dropped(plane: Plane) -> None:
    plane.apply(plane.listener(idle_timeout_s=0.2))
    with connected(plane) as secured, suppress(ssl.SSLError, ConnectionError):
        assert secured.recv(1) == b""


def test_client_that_never_shakes_hands_is_dropped(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "HANDSHAKE_TIMEOUT_S", 0.1)
    with socket.create_connection(("127.0.0.1", plane.port), 10) as plain:
        assert plain.recv(1) == b""


def test_listener_on_another_port_has_an_address_of_its_own(plane: Plane) -> None:
    plane.apply(plane.listener(), plane.listener(port=8443))
    addresses = plane.balancer.addresses
    assert addresses[8443] != addresses[443]
    plane.apply(plane.listener())
    assert sorted(plane.balancer.addresses) == [443]


def test_listener_without_targets_closes(plane: Plane) -> None:
    plane.apply(plane.listener(targets=()))
    assert curl(plane, client=plane.pki.client).returncode == 52


def test_listener_is_plain_data(plane: Plane) -> None:
    assert plane.listener() == plane.listener()
    assert isinstance(hash(plane.listener()), int)
    assert isinstance(plane.listener(), Listener)


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1", "-tls1_2"])
def test_weakest_policy_really_takes_old_clients(plane: Plane, version: str) -> None:
    versions = ("TLSv1.0", "TLSv1.1", "TLSv1.2")
    plane.apply(plane.listener(tls_versions=versions, ciphers=("ECDHE-ECDSA-AES128-SHA",)))
    shown = s_client(plane, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is ECDHE-ECDSA-AES128-SHA" in shown
