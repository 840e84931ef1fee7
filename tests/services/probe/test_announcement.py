"""The first flight of TLS 1.2, as OpenSSL sends it, and as nobody should."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from services.probe.address import Address
from services.probe.announcement import Announcement, FlightReader, Malformed, announce, ca_name
from services.probe.identity import client_identity, server_identity
from services.stop import Stop
from tests.services.probe.certificates import Certificates
from tests.services.probe.faulty import Behave, says, serving, until_gone
from tests.services.probe.nginx import Nginx, free_port
from tests.services.probe.test_engine import BRIEF, target
from tests.services.probe.test_judges import s_server

RECORD = b"\x16\x03\x03"


def vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width, "big") + content


def flight(
    chain: list[bytes], authorities: list[bytes] | None, *, cut: int, kinds: bytes = b"\x01\x40"
) -> bytes:
    """A first flight in records of `cut` bytes; without `authorities` no certificate is asked."""
    messages = [
        b"\x02" + vector(3, b"\x03\x03" + bytes(36)),
        b"\x0b" + vector(3, vector(3, b"".join(vector(3, each) for each in chain))),
        b"\x0c" + vector(3, b"key exchange"),
    ]
    if authorities is not None:
        names = vector(2, b"".join(vector(2, each) for each in authorities))
        messages.append(b"\x0d" + vector(3, vector(1, kinds) + vector(2, b"\x04\x03") + names))
    messages.append(b"\x0e" + vector(3, b""))
    stream = b"".join(messages)
    return b"".join(RECORD + vector(2, stream[at : at + cut]) for at in range(0, len(stream), cut))


def read(pieces: list[bytes]) -> Announcement | str | None:
    reader = FlightReader()
    found = None
    try:
        for piece in pieces:
            found = found or reader.feed(piece)
    except Malformed as error:
        return str(error)
    return found


blobs = st.binary(min_size=1, max_size=60)


@given(
    chain=st.lists(blobs, max_size=4),
    authorities=st.none() | st.lists(blobs, max_size=3),
    cut=st.integers(1, 300),
    split=st.integers(1, 50),
)
def test_flight_is_read_however_it_is_cut(
    chain: list[bytes], authorities: list[bytes] | None, cut: int, split: int
) -> None:
    stream = flight(chain, authorities, cut=cut)
    expected = Announcement(tuple(chain), authorities is not None, tuple(authorities or ()))
    assert read([stream]) == expected
    assert read([stream[at : at + split] for at in range(0, len(stream), split)]) == expected


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", RECORD + b"\x00\x20\x0b\x00\x00\x1c", RECORD + b"\x00\x20\x0d\x00\x00"]),
)
def test_noise_is_nothing_or_malformed(noise: bytes, start: bytes) -> None:
    found = read([start + noise])
    assert found is None or isinstance(found, str | Announcement)


def test_endless_flight_is_given_up() -> None:
    record = RECORD + vector(2, b"\x16" + vector(3, b"x" * 1000))
    assert read([record] * 1000) == "too long"


def subject(certificates: Certificates) -> bytes:
    return certificates.ca.certificate.subject.public_bytes()


def test_openssl_announces_its_ca(certs: Certificates) -> None:
    with s_server(certs, "-tls1_2") as port:
        found = announce(target(certs, port), [Address("127.0.0.1", port)], Stop())
    assert found is not None
    der = certs.server.certificate.public_bytes(serialization.Encoding.DER)
    assert found.chain[0] == der
    assert (found.certificate_asked, found.accepted_cas) == (True, (subject(certs),))
    assert ca_name(found.accepted_cas[0]) == "Test CA"
    server, client = server_identity(found.chain[0]), client_identity(target(certs, port))
    assert server is not None
    assert client is not None
    assert server.names == ("www.example.com", "127.0.0.1")
    assert client.issuer_der == found.accepted_cas[0]


@pytest.mark.parametrize(
    ("door", "asked"), [("mutual", True), ("open", False), ("lonely", True), ("tls13", None)]
)
def test_nginx_asks_as_it_is_told(door: str, asked: bool | None, balancer: Nginx) -> None:
    at = balancer.target(getattr(balancer, door))
    found = announce(at, [Address("127.0.0.1", at.port)], Stop())
    assert (found.certificate_asked if found else None) == asked


def test_server_that_announces_no_ca(certs: Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.server.certificate_file, certs.server.key_file)
    context.verify_mode = ssl.CERT_REQUIRED

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True):
            pass

    with serving(behave) as server:
        at = target(certs, server.port)
        found = announce(at, [Address("127.0.0.1", server.port)], Stop())
    assert found is not None
    assert (found.certificate_asked, found.accepted_cas) == (True, ())


@pytest.mark.parametrize(
    "behave",
    [until_gone, says(b"SSH-2.0-x\r\n", hear_first=False), says(b"\x15\x03\x03\0\2\2\x46")],
)
def test_no_greeting_is_no_error(behave: Behave, certs: Certificates) -> None:
    with serving(behave) as server:
        at = target(certs, server.port, BRIEF)
        assert announce(at, [Address("127.0.0.1", server.port)], Stop()) is None


def test_dead_address_is_passed_over(balancer: Nginx) -> None:
    at = balancer.target()
    addresses = [Address("127.0.0.1", free_port()), Address("127.0.0.1", at.port)]
    assert announce(at, addresses, Stop()) is not None


def test_stop_ends_the_wait(certs: Certificates) -> None:
    stop = Stop()
    with serving(until_gone) as server:
        threading.Thread(target=stop.set).start()
        at = target(certs, server.port)
        assert announce(at, [Address("127.0.0.1", server.port)], stop) is None


@pytest.mark.parametrize(
    ("der", "name"),
    [
        (b"\x06\x03\x55\x04\x03\x0c\x03a\x1bb", "ab"),
        (b"\x06\x03\x55\x04\x03\x0c\x7fshort", "short"),
        (b"", "a CA without CN (e3b0c442)"),
    ],
)
def test_name_for_evidence_is_printable(der: bytes, name: str) -> None:
    assert ca_name(der) == name


@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_are_nobody(noise: bytes) -> None:
    assert server_identity(noise) is None
