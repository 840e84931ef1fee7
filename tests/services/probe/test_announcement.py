"""What servers say of themselves, as OpenSSL and nginx do, and as nobody should."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from services.probe.address import Address
from services.probe.announcement import Announcement, announce, ca_name
from services.probe.identity import chain_identities, client_identity, server_identity
from services.probe.target import Target
from services.stop import Stop
from tests.services.probe.certificates import Certificates
from tests.services.probe.faulty import Behave, says, serving, until_gone
from tests.services.probe.nginx import Nginx, free_port
from tests.services.probe.test_engine import BRIEF, target
from tests.services.probe.test_judges import s_server

RECORD = b"\x16\x03\x03"


def hear(at: Target) -> Announcement | None:
    return announce(at, [Address("127.0.0.1", at.port)], Stop())


def subject(certificates: Certificates) -> bytes:
    return certificates.ca.certificate.subject.public_bytes()


@pytest.mark.parametrize(
    ("options", "versions", "group"),
    [
        (["-tls1_3", "-groups", "P-384"], ("TLSv1.3",), "secp384r1"),
        (["-tls1_2"], ("TLSv1.2",), "x25519"),
        (
            ["-cipher", "DEFAULT@SECLEVEL=0", "-no_tls1_3"],
            ("TLSv1", "TLSv1.1", "TLSv1.2"),
            "x25519",
        ),
        (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], ("TLSv1.1",), "x25519"),
    ],
)
def test_openssl_announces_its_ca_in_every_version(
    options: list[str], versions: tuple[str, ...], group: str, certs: Certificates
) -> None:
    with s_server(certs, *options) as port:
        found = hear(replace(target(certs, port), certificate_file=None, key_file=None))
    assert found is not None
    der = certs.server.certificate.public_bytes(serialization.Encoding.DER)
    assert found.chain[0] == der
    assert (found.certificate_asked, found.accepted_cas) == (True, (subject(certs),))
    assert (found.versions, found.group) == (versions, group)
    assert found.resumption is None, "it refuses us: there is nothing to resume"
    assert ca_name(found.accepted_cas[0]) == "Test CA"


def test_certificates_are_who_they_say_they_are(certs: Certificates) -> None:
    with s_server(certs) as port:
        at = target(certs, port)
        found = hear(at)
    assert found is not None
    server, *issuers = chain_identities(found.chain)
    client = client_identity(at)
    assert client is not None
    assert server.names == ("www.example.com", "127.0.0.1")
    assert client.issuer_der == found.accepted_cas[0]
    assert (server.key, server.key_bits, server.signature_hash) == ("EC P-256", 256, "sha256")
    assert (server.may("serverAuth"), server.may("clientAuth")) == (True, False)
    assert (client.may("serverAuth"), client.may("clientAuth")) == (False, True)
    assert (server.is_ca, server.self_signed) == (False, False)
    assert [(each.is_ca, each.self_signed, each.eku) for each in issuers] == [(True, True, None)]


@pytest.mark.parametrize(
    ("door", "asked", "versions", "alpn"),
    [
        ("mutual", True, ("TLSv1.2", "TLSv1.3"), ""),
        ("tls12", True, ("TLSv1.2",), ""),
        ("tls13", True, ("TLSv1.3",), ""),
        ("open", False, ("TLSv1.2", "TLSv1.3"), ""),
        ("lonely", True, ("TLSv1.2", "TLSv1.3"), ""),
        ("http_mutual", True, ("TLSv1.2", "TLSv1.3"), "http/1.1"),
    ],
)
def test_nginx_says_as_it_is_told(
    door: str, asked: bool, versions: tuple[str, ...], alpn: str, balancer: Nginx
) -> None:
    found = hear(balancer.target(getattr(balancer, door)))
    assert found is not None
    assert (found.certificate_asked, found.versions, found.alpn) == (asked, versions, alpn)
    assert found.resumption is True


def test_no_request_is_made(balancer: Nginx) -> None:
    before = balancer.logged("/announced")
    hear(balancer.target(path="/announced"))
    assert balancer.logged("/announced") == before


def context(certs: Certificates, *, tickets: bool) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certs.server.certificate_file, certs.server.key_file)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(certs.ca.certificate_file)
    if not tickets:
        made.options |= ssl.OP_NO_TICKET
        made.num_tickets = 0
    return made


@pytest.mark.parametrize("tickets", [True, False])
def test_resumption_is_tried_and_told(tickets: bool, certs: Certificates) -> None:
    made = context(certs, tickets=tickets)

    def behave(connection: socket.socket) -> None:
        with made.wrap_socket(connection, server_side=True) as tls:
            until_gone(tls)

    with serving(behave) as server:
        found = hear(target(certs, server.port))
    assert found is not None
    assert found.resumption is tickets


def test_server_that_announces_no_ca(certs: Certificates) -> None:
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking.load_cert_chain(certs.server.certificate_file, certs.server.key_file)
    asking.verify_mode = ssl.CERT_REQUIRED

    def behave(connection: socket.socket) -> None:
        with asking.wrap_socket(connection, server_side=True) as tls:
            until_gone(tls)

    with serving(behave) as server:
        found = hear(target(certs, server.port))
    assert found is not None
    assert (found.certificate_asked, found.accepted_cas) == (True, ())


def noise(connection: socket.socket) -> None:
    """Handshake records without end."""
    connection.recv(65536)
    while True:
        connection.sendall(RECORD + b"\x40\x00" + os.urandom(0x4000))


@pytest.mark.parametrize(
    "behave",
    [
        says(b"SSH-2.0-OpenSSH_9.2\r\n", hear_first=False),
        says(RECORD + b"\x00\x02\x02\x28"),
        says(RECORD + b"\x40\x00\x0b\x03\x00\x00" + bytes(0x4000)),
        says(b""),
        noise,
        until_gone,
    ],
    ids=["ssh", "cut", "zeros", "nothing", "noise", "silence"],
)
def test_whoever_says_nothing_is_no_error(behave: Behave, certs: Certificates) -> None:
    with serving(behave) as server:
        assert hear(target(certs, server.port, BRIEF)) is None


def test_version_that_is_met_with_silence_holds_nobody_up(certs: Certificates) -> None:
    made = context(certs, tickets=False)
    made.maximum_version = ssl.TLSVersion.TLSv1_2

    def behave(connection: socket.socket) -> None:
        hello = connection.recv(65536, socket.MSG_PEEK)
        if b"\x00\x2b\x00\x03\x02\x03\x04" in hello:  # supported_versions: TLS 1.3 alone
            until_gone(connection)
            return
        with made.wrap_socket(connection, server_side=True) as tls:
            until_gone(tls)

    with serving(behave) as server:
        patient = replace(BRIEF, connect_s=30, handshake_s=30, whole_s=90)
        began = time.monotonic()
        found = hear(target(certs, server.port, patient))
    assert found is not None
    assert found.versions == ("TLSv1.2",)
    assert time.monotonic() - began < 20


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
