"""The engine against servers that misbehave: each ends in its own outcome, in bounded time."""

from __future__ import annotations

import errno
import gc
import os
import resource
import select
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from services.probe import engine
from services.probe.address import Address
from services.probe.engine import Engine, Exchange
from services.probe.outcome import Outcome
from services.probe.poller import SelectorPoller
from services.probe.target import Target, Timeouts, client_context
from tests.services.probe.certificates import Certificates
from tests.services.probe.faulty import (
    WHOLE,
    Behave,
    answers,
    drips,
    forever,
    over_tls,
    reset,
    says,
    serving,
    until_gone,
)
from tests.services.probe.nginx import Nginx, free_port

BRIEF = Timeouts(connect_s=0.3, handshake_s=0.3, first_byte_s=0.3, whole_s=0.6)
AMPLE = Timeouts(connect_s=10, handshake_s=10, first_byte_s=10, whole_s=20)


def target(certificates: Certificates, port: int, timeouts: Timeouts = AMPLE) -> Target:
    return Target(
        host="127.0.0.1",
        port=port,
        name="www.example.com",
        certificate_file=certificates.client.certificate_file,
        key_file=certificates.client.key_file,
        ca_file=certificates.ca.certificate_file,
        timeouts=timeouts,
    )


def requests(
    at: Target, count: int = 1, concurrency: int = 1, addresses: list[Address] | None = None
) -> list[Exchange]:
    """Make `count` requests; every one of them ends."""
    found: list[Exchange] = []
    context = client_context(at) if at.tls else None
    made = Engine(at, addresses or [Address(at.host, at.port)], context, found.append)
    assert made.run(requests=count, concurrency=concurrency) == 0
    assert len(found) == count
    return found


def one(behave: Behave, certificates: Certificates, timeouts: Timeouts = AMPLE) -> Exchange:
    with serving(behave) as server:
        return requests(target(certificates, server.port, timeouts))[0]


def closes(connection: socket.socket) -> None:
    connection.recv(65536)


def hears_and_resets(connection: socket.socket) -> None:
    connection.recv(65536)
    reset(connection)


@pytest.mark.parametrize(
    ("behave", "outcome", "evidence"),
    [
        (says(b"SSH-2.0-OpenSSH_9.6\r\n", hear_first=False), Outcome.NOT_TLS, "SSH-2.0"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Outcome.NOT_TLS, "HTTP/1.1 400"),
        (says(os.urandom(2000).replace(b"\x15", b"x").replace(b"\x16", b"x")), Outcome.NOT_TLS, ""),
        (says(b"\x16\x03\x03\x00\x05hello"), Outcome.HANDSHAKE_FAILED, "OpenSSL"),
        (says(b"\x15\x03\x03\x00\x02\x02\x46"), Outcome.TLS_VERSION, "protocol_version (70)"),
        (says(b"\x15\x03\x03\x00\x02\x02\x28"), Outcome.TLS_CIPHER, "handshake_failure (40)"),
        (says(b"\x15\x03\x03\x00\x02\x01\x00"), Outcome.HANDSHAKE_CLOSED, "closed"),
        (closes, Outcome.HANDSHAKE_CLOSED, "closed"),
        (hears_and_resets, Outcome.HANDSHAKE_RESET, "ECONNRESET"),
    ],
    ids=[
        "ssh",
        "http",
        "garbage",
        "garbage in a record",
        "version alert",
        "failure alert",
        "close_notify",
        "closes",
        "resets",
    ],
)
def test_handshake_that_fails(
    behave: Behave, outcome: Outcome, evidence: str, certs: Certificates
) -> None:
    found = one(behave, certs)
    assert found.outcome is outcome
    assert evidence in found.evidence
    assert found.answer is None


def reset_after_request(tls: ssl.SSLSocket) -> None:
    reset(tls)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (answers(WHOLE), Outcome.OK),
        (answers(WHOLE, announce=False), Outcome.OK),
        (answers(b"HTTP/1.1 200 OK\r\n\r\nhello"), Outcome.OK),
        (answers(b"HTTP/1.1 204 No Content\r\n\r\n"), Outcome.OK),
        (answers(b"HTTP/1.1 200 OK\r\n\r\nhello", announce=False), Outcome.ANSWER_CUT),
        (answers(WHOLE[:-1]), Outcome.ANSWER_CUT),
        (answers(WHOLE[:9]), Outcome.ANSWER_CUT),
        (answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Outcome.ANSWER_EMPTY),
        (answers(b"220 mail.example.com ESMTP\r\n"), Outcome.NOT_HTTP),
        (answers(b"HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n"), Outcome.REDIRECT),
        (answers(b"HTTP/1.1 404 Not Found\r\n\r\n"), Outcome.HTTP_4XX),
        (answers(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), Outcome.HTTP_5XX),
        (answers(b"HTTP/1.1 700 What\r\n\r\n"), Outcome.HTTP_OTHER),
        (answers(b""), Outcome.CLOSED_WITHOUT_ANSWER),
        (answers(b"", announce=False), Outcome.CLOSED_WITHOUT_ANSWER),
        (reset_after_request, Outcome.RESET_WITHOUT_ANSWER),
        (forever(b"HTTP/1.1 200 OK\r\n\r\n", bytes(16384)), Outcome.ANSWER_TOO_LARGE),
        (forever(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 500), Outcome.ANSWER_TOO_LARGE),
    ],
)
def test_answer_over_tls(
    answer: Callable[[ssl.SSLSocket], None], outcome: Outcome, certs: Certificates
) -> None:
    assert one(over_tls(certs, answer), certs).outcome is outcome


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (until_gone, Outcome.FIRST_BYTE_TIMEOUT),
        (drips(b"HTTP/1.1 200 OK\r\nX: ", 0.02), Outcome.WHOLE_TIMEOUT),
        (drips(b"HTTP/1.1 200 OK\r\n\r\n", 0.02), Outcome.WHOLE_TIMEOUT),
    ],
    ids=["silent", "dripping headers", "dripping body"],
)
def test_answer_that_takes_too_long(
    answer: Callable[[ssl.SSLSocket], None], outcome: Outcome, certs: Certificates
) -> None:
    began = time.monotonic()
    assert one(over_tls(certs, answer), certs, BRIEF).outcome is outcome
    assert time.monotonic() - began < 3


def test_dead_endpoint_is_waited_for_once(
    certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_IMPATIENT_S", 0.05)
    with serving(until_gone) as server:
        began = time.monotonic()
        at = target(certs, server.port, Timeouts(5, 0.5, 5, 20))
        found = requests(at, count=20, concurrency=2)
        assert time.monotonic() - began < 4
    assert {each.outcome for each in found} == {Outcome.HANDSHAKE_TIMEOUT}


def test_slow_answers_earn_patience(certs: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs is not waited for again and again; what is only slow is."""
    monkeypatch.setattr(engine, "_IMPATIENT_S", 0.05)
    turn = iter(range(100))

    def hangs_twice(tls: ssl.SSLSocket) -> None:
        if next(turn) in (1, 2):
            until_gone(tls)
        else:
            select.select([], [], [], 0.1)
            answers(WHOLE)(tls)

    with serving(over_tls(certs, hangs_twice)) as server:
        at = target(certs, server.port, Timeouts(5, 5, 1.5, 20))
        found = requests(at, count=5, concurrency=1)
    assert [each.outcome for each in found] == [
        Outcome.OK,
        *[Outcome.FIRST_BYTE_TIMEOUT] * 2,
        *[Outcome.OK] * 2,
    ]
    assert found[1].latency_s > 1.49 > found[2].latency_s


def test_silence_instead_of_a_handshake(certs: Certificates) -> None:
    assert one(until_gone, certs, BRIEF).outcome is Outcome.HANDSHAKE_TIMEOUT


def test_nobody_listens(certs: Certificates) -> None:
    found = requests(target(certs, free_port()), count=5, concurrency=2)
    assert {each.outcome for each in found} == {Outcome.CONNECT_REFUSED}


def test_packets_that_vanish(certs: Certificates) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        # A queue of one that nobody empties: Linux then drops further SYNs.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        select.select([], [first], [], 5)
        found = requests(target(certs, full.getsockname()[1], BRIEF))
    assert found[0].outcome is Outcome.CONNECT_TIMEOUT


def test_no_route(certs: Certificates) -> None:
    at = target(certs, 443)
    found = requests(at, 3, addresses=[Address("255.255.255.255", 443)])
    assert {each.outcome for each in found} == {Outcome.UNREACHABLE}


@pytest.mark.parametrize(
    ("behave", "outcome"),
    [
        (says(WHOLE), Outcome.OK),
        (says(b"\x15\x03\x01\x00\x02\x02\x0a"), Outcome.NOT_HTTP),
        (closes, Outcome.CLOSED_WITHOUT_ANSWER),
        (hears_and_resets, Outcome.RESET_WITHOUT_ANSWER),
    ],
    ids=["answers", "TLS alert", "closes", "resets"],
)
def test_plain_http(behave: Behave, outcome: Outcome, certs: Certificates) -> None:
    with serving(behave) as server:
        found = requests(replace(target(certs, server.port), tls=False))[0]
    assert found.outcome is outcome
    assert found.tls == ""
    assert found.alert == ("unexpected_message" if outcome is Outcome.NOT_HTTP else None)


def test_addresses_take_turns(certs: Certificates) -> None:
    behave = over_tls(certs, answers(WHOLE))
    with serving(behave, "127.0.0.1") as one, serving(behave, "127.0.0.2", one.port) as two:
        addresses = [Address("127.0.0.1", one.port), Address("127.0.0.2", two.port)]
        found = requests(target(certs, one.port), 6, 2, addresses)
        assert {each.outcome for each in found} == {Outcome.OK}
        assert (one.accepted, two.accepted) == (3, 3)


def test_ipv6_is_spoken(certs: Certificates) -> None:
    try:
        with serving(over_tls(certs, answers(WHOLE)), "::1") as server:
            at = replace(target(certs, server.port), host="::1")
            found = requests(at)[0]
    except OSError:
        pytest.skip("this computer has no IPv6")
    assert found.outcome is Outcome.OK
    assert at.endpoint == f"[::1]:{server.port}"


def test_nothing_piles_up(balancer: Nginx) -> None:
    at = balancer.target()
    gc.collect()
    gc.disable()
    try:
        outcomes = Counter[Outcome]()
        context = client_context(at)

        def run(count: int) -> int:
            made = Engine(
                at,
                [Address("127.0.0.1", at.port)],
                context,
                lambda exchange: outcomes.update([exchange.outcome]),
            )
            made.run(requests=count, concurrency=4)
            return len(gc.get_objects())

        first = run(20)
        assert abs(run(100) - first) < 50
    finally:
        gc.enable()


def test_one_dead_address_of_two_is_told_with_its_address(certs: Certificates) -> None:
    with serving(over_tls(certs, answers(WHOLE))) as server:
        addresses = [Address("127.0.0.1", server.port), Address("127.0.0.9", server.port)]
        found = requests(target(certs, server.port), 6, 2, addresses)
    assert Counter(each.outcome for each in found) == {
        Outcome.OK: 3,
        Outcome.CONNECT_REFUSED: 3,
    }
    failed = [each for each in found if each.outcome is not Outcome.OK]
    assert all("127.0.0.9" in each.evidence for each in failed)


def test_server_that_never_closes_costs_no_time_and_few_sockets(certs: Certificates) -> None:
    def stays(tls: ssl.SSLSocket) -> None:
        tls.sendall(WHOLE)
        until_gone(tls)

    with serving(over_tls(certs, stays)) as server:
        began = time.monotonic()
        found = requests(target(certs, server.port), count=40, concurrency=2)
        assert time.monotonic() - began < 5
    assert {each.outcome for each in found} == {Outcome.OK}
    # Two with a request, two that linger, and what the server has not seen closed yet.
    assert server.most_at_once <= 8


def test_connection_closed_on_both_sides_at_once_is_closed_once(
    certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(SelectorPoller[Any]):
        """Also reports what happens within the next moments, and that last."""

        def wait(self, timeout_s: float) -> list[tuple[Any, int]]:
            first = list(super().wait(timeout_s))
            select.select([], [], [], 0.02)
            known = [owner for owner, _ in first]
            return first + [each for each in super().wait(0) if each[0] not in known]

    def closes_when_the_next_is_answered(tls: ssl.SSLSocket) -> None:
        before = answered[-1:]
        answered.append(tls)
        tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # in the order of sending
        tls.sendall(WHOLE)
        for each in before:
            each.shutdown(socket.SHUT_RDWR)
        until_gone(tls)

    answered: list[ssl.SSLSocket] = []
    monkeypatch.setattr(engine, "DefaultPoller", Late)
    with serving(over_tls(certs, closes_when_the_next_is_answered)) as server:
        found = requests(target(certs, server.port), count=5)
    assert {each.outcome for each in found} == {Outcome.OK}


def test_no_connection_is_used_twice_and_no_session_resumed(certs: Certificates) -> None:
    resumed: list[bool | None] = []

    def note(tls: ssl.SSLSocket) -> None:
        resumed.append(tls.session_reused)
        answers(WHOLE)(tls)

    with serving(over_tls(certs, note)) as server:
        requests(target(certs, server.port), count=10, concurrency=2)
        assert server.accepted == 10
    assert resumed == [False] * 10


def test_stop_ends_requests_under_way_within_a_second(certs: Certificates) -> None:
    found: list[Exchange] = []
    with serving(until_gone) as server:
        at = target(certs, server.port)
        made = Engine(at, [Address("127.0.0.1", at.port)], client_context(at), found.append)
        began = time.monotonic()
        unfinished = made.run(
            concurrency=3, stop=lambda: server.accepted >= 3 and time.monotonic() - began > 0.1
        )
        assert time.monotonic() - began < 2
    assert (unfinished, found) == (3, [])


def test_duration_lets_the_last_requests_end(balancer: Nginx) -> None:
    found: list[Exchange] = []
    at = balancer.target()
    made = Engine(at, [Address("127.0.0.1", at.port)], client_context(at), found.append)
    assert made.run(duration_s=0.2, concurrency=4) == 0
    assert {each.outcome for each in found} == {Outcome.OK}


def test_rate_is_kept(balancer: Nginx) -> None:
    found: list[Exchange] = []
    at = balancer.target()
    made = Engine(at, [Address("127.0.0.1", at.port)], client_context(at), found.append)
    assert made.run(duration_s=0.5, rate_per_s=20, concurrency=4) == 0
    assert 2 <= len(found) <= 11
    assert {each.outcome for each in found} == {Outcome.OK}


@contextmanager
def files_left(count: int) -> Iterator[None]:
    """Let this process open `count` more files and no further one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_few_files_lower_the_concurrency(balancer: Nginx) -> None:
    at, found = balancer.target(), list[Exchange]()
    context = client_context(at)
    with files_left(4):
        made = Engine(at, [Address("127.0.0.1", at.port)], context, found.append)
        assert made.run(requests=30, concurrency=16) == 0
    assert Counter(each.outcome for each in found) == {Outcome.OK: 30}


def test_no_file_at_all_is_told(certs: Certificates) -> None:
    at, found = target(certs, free_port(), BRIEF), list[Exchange]()
    context = client_context(at)
    made = Engine(at, [Address("127.0.0.1", at.port)], context, found.append)
    with files_left(0):
        assert made.run(requests=3) == 0
    assert {each.outcome for each in found} == {Outcome.NO_SOCKET}


@pytest.mark.parametrize(
    ("behave", "outcome"),
    [
        (says(b"\x15\x03\x03\x00\x02\x02\x30"), Outcome.CLIENT_CERTIFICATE_UNKNOWN_CA),
        (closes, Outcome.HANDSHAKE_RESET),
    ],
    ids=["alert", "nothing"],
)
def test_alert_is_heard_after_a_failed_write(
    behave: Behave, outcome: Outcome, certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(socket.SocketType):
        """Delivers, waits for the other side's reaction, and then fails as a late write does."""

        def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]
            super().send(data, flags)
            select.select([self], [], [], 5)
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("services.probe.engine._Socket", Broken)
    assert one(behave, certs).outcome is outcome


def test_selectors_serve_where_there_is_no_epoll(
    balancer: Nginx, certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "DefaultPoller", SelectorPoller)
    found = requests(balancer.target(), count=20, concurrency=4)
    assert {each.outcome for each in found} == {Outcome.OK}
    assert one(hears_and_resets, certs).outcome is Outcome.HANDSHAKE_RESET
    assert one(until_gone, certs, BRIEF).outcome is Outcome.HANDSHAKE_TIMEOUT
    refused = requests(target(certs, free_port()))[0]
    assert refused.outcome is Outcome.CONNECT_REFUSED


def test_timeouts_follow_the_clock_that_is_given(certs: Certificates) -> None:
    hours = iter(range(0, 3600 * 1000, 3600))
    found: list[Exchange] = []
    with serving(until_gone) as server:
        at = target(certs, server.port)
        made = Engine(
            at,
            [Address("127.0.0.1", at.port)],
            client_context(at),
            found.append,
            clock=lambda: float(next(hours)),
        )
        began = time.monotonic()
        assert made.run(requests=1) == 0
        assert time.monotonic() - began < 5
    assert found[0].latency_s >= 3600
