"""Endpoints that mean harm: no request hangs, no memory fills, and a stop works at any time."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from services.probe.outcome import Outcome
from services.probe.runner import run
from services.probe.target import Timeouts
from services.stop import Stop
from tests.services.probe.certificates import Certificates, issue
from tests.services.probe.faulty import (
    Behave,
    answers,
    forever,
    over_tls,
    says,
    serving,
    until_gone,
)
from tests.services.probe.hostile import (
    bytes_one_by_one,
    empty_records,
    handshake_without_end,
    instead_of_an_answer,
    key_updates,
    tickets,
)
from tests.services.probe.nginx import eventually
from tests.services.probe.test_engine import hears_and_resets, requests, target

INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Make = Callable[[Certificates], Behave]

HOSTILE: dict[str, tuple[Make, set[Outcome]]] = {
    "handshake messages without end": (
        lambda certs: handshake_without_end,
        {Outcome.HANDSHAKE_FAILED},
    ),
    "empty records without end": (lambda certs: empty_records, {Outcome.HANDSHAKE_FAILED}),
    "a handshake byte by byte": (bytes_one_by_one, {Outcome.HANDSHAKE_TIMEOUT}),
    "tickets without end": (
        lambda certs: instead_of_an_answer(certs, tickets),
        {Outcome.ANSWER_TOO_LARGE, Outcome.FIRST_BYTE_TIMEOUT},
    ),
    "key updates without end": (
        lambda certs: instead_of_an_answer(certs, key_updates),
        {Outcome.ANSWER_TOO_LARGE, Outcome.FIRST_BYTE_TIMEOUT},
    ),
    "interim answers without end": (
        lambda certs: over_tls(certs, forever(b"", INTERIM * 100)),
        {Outcome.ANSWER_TOO_LARGE},
    ),
    "trailers without end": (
        lambda certs: over_tls(certs, forever(CHUNKED + b"0\r\n", b"X: y\r\n" * 100)),
        {Outcome.ANSWER_TOO_LARGE},
    ),
    "a chunk extension without end": (
        lambda certs: over_tls(certs, forever(CHUNKED + b"1;", b"x" * 1000)),
        {Outcome.ANSWER_TOO_LARGE, Outcome.NOT_HTTP},
    ),
    "tiny chunks without end": (
        lambda certs: over_tls(certs, forever(CHUNKED, b"1\r\nx\r\n" * 100)),
        {Outcome.ANSWER_TOO_LARGE},
    ),
    "resets": (lambda certs: hears_and_resets, {Outcome.HANDSHAKE_RESET}),
    "garbage": (lambda certs: says(bytes(range(256)) * 100), {Outcome.NOT_TLS}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_server_costs_bounded_time_and_memory(name: str, certs: Certificates) -> None:
    make, expected = HOSTILE[name]
    with serving(make(certs)) as server:
        at = target(certs, server.port, Timeouts(5, 1.5, 5, 8))
        tracemalloc.start()
        try:
            began = time.monotonic()
            found = requests(at, count=3, concurrency=3)
            assert time.monotonic() - began < 10
            assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
        finally:
            tracemalloc.stop()
    assert {each.outcome for each in found} <= expected
    assert all(len(each.evidence) < 500 for each in found)


@pytest.mark.parametrize("name", [*HOSTILE, "silence"])
def test_hostile_server_is_left_within_a_second(name: str, certs: Certificates) -> None:
    make, _ = HOSTILE.get(name, (lambda certs: until_gone, set()))
    stop = Stop()
    with serving(make(certs)) as server:

        def stop_when_busy() -> None:
            eventually(lambda: server.accepted >= 8, "connections")
            stopped.append(time.monotonic())
            stop.set()

        stopped: list[float] = []
        threading.Thread(target=stop_when_busy).start()
        tally = run(target(certs, server.port), concurrency=8, stop=stop)
        assert time.monotonic() - stopped[0] < 2  # a second, on a busy computer
    assert tally.requests == sum(sum(each.values()) for each in tally.addresses.values())


def served_with(certs: Certificates, folder: Path, names: int, filler: int) -> Certificates:
    """The server's certificate with so many names more, and `filler` certificates after it."""
    listed = ["www.example.com", *(f"host-{number}.example.com" for number in range(names))]
    pair = issue(folder, "large", "www.example.com", certs.ca, names=listed)
    with pair.certificate_file.open("ab") as chain:
        chain.write(certs.ca.certificate_file.read_bytes() * filler)
    return replace(certs, server=pair)


@pytest.mark.parametrize(
    ("names", "filler", "outcome"),
    [
        (1000, 0, Outcome.OK),
        (0, 50, Outcome.OK),
        # OpenSSL takes 100 KiB of certificates (SSL_CTX_set_max_cert_list).
        (10_000, 0, Outcome.HANDSHAKE_FAILED),
        (0, 2500, Outcome.HANDSHAKE_FAILED),
    ],
    ids=["1,000 names", "50 certificates", "10,000 names", "a chain of a megabyte"],
)
def test_huge_certificate(
    names: int, filler: int, outcome: Outcome, certs: Certificates, tmp_path: Path
) -> None:
    large = served_with(certs, tmp_path, names, filler)
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    with serving(over_tls(large, answers(page))) as server:
        began = time.monotonic()
        found = requests(target(certs, server.port), count=3)
        assert time.monotonic() - began < 10
    assert {each.outcome for each in found} == {outcome}, found[0].evidence
