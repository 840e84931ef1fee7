"""Strangers at the doors of nginx and OpenSSL, each of whom really knocks."""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.probe.address import Address
from services.probe.engine import Exchange
from services.probe.outcome import Outcome
from services.probe.refusals import MUST_TRY, STRANGERS, Pair, Refusal, judge, try_strangers
from services.probe.target import Target
from services.stop import Stop
from tests.services.probe import certificates
from tests.services.probe.certificates import Certificates
from tests.services.probe.faulty import (
    WHOLE,
    Behave,
    answers,
    over_tls,
    says,
    serving,
    until_gone,
)
from tests.services.probe.nginx import Nginx, free_port
from tests.services.probe.test_engine import BRIEF, target
from tests.services.probe.test_judges import s_server

HERE = "127.0.0.1"
OLD = ["-cipher", "DEFAULT@SECLEVEL=0"]


def pair(made: certificates.Pair) -> Pair:
    return Pair(made.certificate_file, made.key_file)


def knock(
    at: Target,
    certs: Certificates,
    *,
    served: bool = True,
    weak_versions_allowed: bool = False,
) -> dict[str, Refusal]:
    """All strangers, with every key at hand."""
    found = try_strangers(
        at,
        [Address(HERE, at.port)],
        Stop(),
        served=served,
        issuer=pair(certs.ca),
        server=pair(certs.server),
        weak_versions_allowed=weak_versions_allowed,
    )
    assert tuple(each.name for each in found) == STRANGERS
    return {each.name: each for each in found}


@pytest.mark.parametrize("version", ["-no_tls1_2", "-no_tls1_3"])
def test_openssl_refuses_each_for_its_own_reason(version: str, certs: Certificates) -> None:
    with s_server(certs, version) as port:
        found = knock(target(certs, port), certs, served=False)
    missing = "certificate_required" if version == "-no_tls1_2" else "handshake_failure"
    certified = [name for name in STRANGERS if name not in ("plain_http", "tls_1_0", "tls_1_1")]
    assert {name: found[name].alert for name in certified} == {
        "no_certificate": missing,
        "unknown_ca": "unknown_ca",
        "impostor_ca": "decrypt_error",
        "expired": "certificate_expired",
        "wrong_usage": "unsupported_certificate",
        "server_certificate": "unsupported_certificate",
    }
    assert all(found[name].refused for name in certified)


ALL = set(STRANGERS)
WITHOUT_CERTIFICATE = {"plain_http", "tls_1_0", "tls_1_1"}


@pytest.mark.parametrize(
    ("door", "refused"),
    [
        ("mutual", ALL),
        ("tls12", ALL),
        ("tls13", ALL),
        ("open", WITHOUT_CERTIFICATE),
        ("http_mutual", ALL),
    ],
)
def test_nginx_refuses_as_it_is_told(
    door: str,
    refused: set[str],
    balancer: Nginx,
    certs: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = knock(balancer.target(getattr(balancer, door)), certs)
    assert {name for name, each in found.items() if each.refused} == refused
    assert {name for name, each in found.items() if each.refused is False} == ALL - refused
    assert all(each.evidence for each in found.values())
    assert list(tmp_path.iterdir()) == [], "the strangers' keys are gone"


def test_keys_are_gone_before_the_first_knock(
    certs: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left: list[str] = []

    def behave(connection: socket.socket) -> None:
        left.extend(os.listdir(tmp_path))

    with serving(behave) as server:
        knock(target(certs, server.port), certs)
    assert left == []


@contextmanager
def tolerant(certs: Certificates, ca: Path) -> Iterator[int]:
    """Demands a certificate of one of the CAs in `ca`, in every version, for any purpose."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.server.certificate_file, certs.server.key_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(WHOLE)

    with serving(behave) as server:
        yield server.port


def test_server_certificate_that_may_be_a_clients_is_no_fault(
    certs: Certificates, tmp_path: Path
) -> None:
    both = certificates.issue(tmp_path, "both", "www.example.com", certs.ca)
    with tolerant(certs, certs.ca.certificate_file) as port:
        at = target(certs, port)
        found = try_strangers(at, [Address(HERE, port)], Stop(), served=True, server=pair(both))
    by_name = {each.name: each for each in found}
    assert by_name["server_certificate"].refused is None
    assert "extendedKeyUsage" in by_name["server_certificate"].evidence
    assert {name: by_name[name].refused for name in MUST_TRY} == dict.fromkeys(MUST_TRY, True)


def test_old_versions_are_let_in_only_where_allowed(certs: Certificates) -> None:
    with s_server(certs, *OLD) as port:
        strict = knock(target(certs, port), certs)
        lenient = knock(target(certs, port), certs, weak_versions_allowed=True)
    for name in ("tls_1_0", "tls_1_1"):
        assert strict[name].refused is False
        assert lenient[name].refused is None
        assert lenient[name].untried == ""
        assert "policy allows" in lenient[name].evidence


def test_without_keys_those_that_need_them_stay_untried(balancer: Nginx) -> None:
    at = balancer.target()
    found = try_strangers(at, [Address(HERE, at.port)], Stop(), served=True)
    untried = {each.name: each.untried for each in found if each.untried}
    assert untried == {
        "expired": "the CA's key is not here",
        "wrong_usage": "the CA's key is not here",
        "server_certificate": "the server's key is not here",
    }
    assert {each.refused for each in found if each.untried} == {None}
    bare = replace(at, certificate_file=None, key_file=None)
    found = try_strangers(bare, [Address(HERE, at.port)], Stop(), served=False)
    assert {each.name for each in found if each.untried} - set(untried) == {"impostor_ca"}


@pytest.mark.parametrize("wrong", ["other", "mixed", "encrypted", "absent", "garbage"])
def test_key_of_a_ca_that_does_not_fit_is_not_used(
    wrong: str, balancer: Nginx, certs: Certificates, tmp_path: Path
) -> None:
    secret = b"hunter2"
    issuer = pair(certs.other_ca if wrong == "other" else certs.ca)
    if wrong == "mixed":
        issuer = Pair(certs.ca.certificate_file, certs.other_ca.key_file)
    elif wrong == "encrypted":
        file = tmp_path / "ca.key"
        file.write_bytes(
            certs.ca.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(secret),
            )
        )
        issuer = Pair(certs.ca.certificate_file, file)
    elif wrong == "absent":
        issuer = Pair(certs.ca.certificate_file, tmp_path / "absent")
    elif wrong == "garbage":
        (tmp_path / "garbage").write_text("-----BEGIN PRIVATE KEY-----\nhunter2\n")
        issuer = Pair(certs.ca.certificate_file, tmp_path / "garbage")
    at = balancer.target()
    found = try_strangers(at, [Address(HERE, at.port)], Stop(), served=True, issuer=issuer)
    untried = {each.name: each.untried for each in found if each.untried}
    assert set(untried) == {"expired", "wrong_usage", "server_certificate"}
    assert not any("hunter2" in repr(each) for each in found)


def test_strangers_differ_from_the_rightful_client_in_one_thing(certs: Certificates) -> None:
    """Seen by a server that takes every certificate, and remembers it."""
    from OpenSSL import SSL

    shown: list[x509.Certificate] = []
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_file(certs.server.certificate_file)
    context.use_privatekey_file(certs.server.key_file)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)

    def behave(connection: socket.socket) -> None:
        connection.setblocking(True)
        tls = SSL.Connection(context, connection)
        tls.set_accept_state()
        try:
            tls.do_handshake()
        except SSL.Error:
            return
        if (peer := tls.get_peer_certificate(as_cryptography=True)) is not None:
            shown.append(peer)
        tls.recv(65536)
        tls.sendall(WHOLE)

    with serving(behave) as server:
        found = knock(target(certs, server.port), certs)
    let_in = {name for name, each in found.items() if each.refused is False}
    assert let_in >= {"unknown_ca", "impostor_ca", "expired", "wrong_usage", "server_certificate"}
    rightful = certs.client.certificate
    like_it = [each for each in shown if each.subject == rightful.subject and each != rightful]
    assert len(like_it) == 4
    assert sum(each.issuer == rightful.issuer for each in like_it) == 3
    usages = [each.extensions.get_extension_for_class(x509.ExtendedKeyUsage) for each in like_it]
    assert sum(list(each.value) == [ExtendedKeyUsageOID.SERVER_AUTH] for each in usages) == 1
    ours = [each for each in like_it if each.issuer == rightful.issuer]
    first_end = min(each.not_valid_after_utc for each in ours)
    assert first_end < max(each.not_valid_before_utc for each in ours), "one has ended"


def test_silence_proves_no_refusal_when_nobody_is_served(
    balancer: Nginx, certs: Certificates
) -> None:
    found = knock(balancer.target(balancer.lonely), certs, served=False)
    by_version = {"tls_1_0", "tls_1_1"}
    assert {name for name, each in found.items() if each.refused is None} == ALL - by_version
    assert all(found[name].alert == "protocol_version" for name in by_version)


def test_plain_http_on_a_plain_port_is_no_refusal(balancer: Nginx) -> None:
    at = balancer.target(balancer.backend["ECS01"])
    found = try_strangers(at, [Address(HERE, at.port)], Stop(), served=True)
    assert [each.refused for each in found[:3]] == [None, None, False]


MOVED = "HTTP/1.1 301 Moved\r\nLocation: {}://www.example.com/\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(("scheme", "refused"), [("https", True), ("http", False)])
def test_plain_http_that_is_sent_to_https_is_refused(
    scheme: str, refused: bool, certs: Certificates
) -> None:
    with serving(says(MOVED.format(scheme).encode())) as server:
        found = knock(target(certs, server.port, BRIEF), certs)
    assert found["plain_http"].refused is refused


def test_refusal_in_words_of_unknown_origin_proves_nothing(certs: Certificates) -> None:
    forbidden = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    with serving(over_tls(certs, answers(forbidden), mutual=False)) as server:
        found = knock(target(certs, server.port), certs)
    assert found["no_certificate"].refused is None
    assert "cannot be told" in found["no_certificate"].evidence


def test_bytes_before_an_alert_are_bytes_from_a_backend() -> None:
    at = Address(HERE, 443)
    cut = Exchange(Outcome.ANSWER_CUT, "alert internal_error (80)", at, 0.0, alert="internal_error")
    assert judge("no_certificate", cut, served=True).refused is False


def test_unreachable_endpoint_proves_nothing(balancer: Nginx, certs: Certificates) -> None:
    found = knock(balancer.target(free_port()), certs)
    assert {each.refused for each in found.values()} == {None}


def test_dead_address_hides_nothing(balancer: Nginx) -> None:
    at = balancer.target()
    addresses = [Address("127.0.0.9", free_port()), Address(HERE, at.port)]
    found = try_strangers(at, addresses, Stop(), served=True)
    assert {each.name: each.refused for each in found if not each.untried} == {
        name: True
        for name in STRANGERS
        if name not in ("expired", "wrong_usage", "server_certificate")
    }


def test_one_address_that_lets_strangers_in_is_found(balancer: Nginx) -> None:
    at = balancer.target()
    addresses = [Address(HERE, at.port), Address(HERE, balancer.open)]
    found = try_strangers(at, addresses, Stop(), served=True)
    assert found[0].refused is False
    assert str(addresses[1]) in found[0].evidence


def test_stopped_strangers_knock_no_more(balancer: Nginx) -> None:
    at, stop = balancer.target(), Stop()
    stop.set()
    assert try_strangers(at, [Address(HERE, at.port)], stop, served=True) == ()


@pytest.mark.parametrize("behave", [until_gone, says(b"")], ids=["silence", "silent"])
def test_stop_ends_the_wait_of_all(behave: Behave, certs: Certificates) -> None:
    stop, heard = Stop(), threading.Event()

    def tell(connection: socket.socket) -> None:
        heard.set()
        behave(connection)

    def end() -> None:
        heard.wait(10)
        stop.set()

    with serving(tell) as server:
        ending = threading.Thread(target=end)
        ending.start()
        at = target(certs, server.port)
        found = try_strangers(at, [Address(HERE, server.port)], stop, served=True)
        ending.join()
    assert all(each.untried for each in found)
