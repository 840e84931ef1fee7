"""The balancer's faults, judged by clients that this project did not write."""

from __future__ import annotations

import itertools
import re
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.lab.balancer import deviations
from services.lab.balancer.listener import Authority
from services.lab.balancer.spoilt import SPOILERS, spoilt_pair
from services.lab.faults import FAULTS
from tests.programs import program
from tests.services.lab.plane.certificates import NAME, Pair
from tests.services.lab.plane.conftest import Plane, until

SERVED, REFUSED, HANDSHAKE, UNTRUSTED, SILENT, UNREACHABLE = 0, 56, 35, 60, 28, 7
"""How curl ends."""


@pytest.fixture(scope="module", autouse=True)
def _serving(plane: Plane) -> None:
    plane.serve_pages()
    plane.apply(plane.listener())


@pytest.fixture(autouse=True)
def _all_is_well(plane: Plane) -> Iterator[None]:
    plane.until_normal()
    yield
    plane.authorities.clear()


@contextmanager
def fault(plane: Plane, *names: str) -> Iterator[None]:
    for name in names:
        plane.faults.add(name)
    plane.thread.call(plane.balancer.reconcile())
    yield
    for name in names:
        plane.faults.discard(name)
    plane.thread.call(plane.balancer.reconcile())


def curl(
    plane: Plane, *options: str, client: Pair | None = None, host: str = "127.0.0.1"
) -> tuple[int, str, str]:
    """How curl ended, the page that it got, and its complaint."""
    shown: list[str] = []
    if client is not None:
        shown = ["--cert", str(client.certificate_file), "--key", str(client.key_file)]
    ran = subprocess.run(
        [
            program("curl"), "-sS", "--max-time", "5",
            "--connect-to", f"{NAME}:443:{host}:{plane.port}",
            "--cacert", str(plane.pki.ca.certificate_file), *shown, *options, f"https://{NAME}/",
        ],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return ran.returncode, ran.stdout, ran.stderr


def s_client(plane: Plane, *options: str, client: Pair | None = None, text: str = "") -> str:
    """What `openssl s_client` says, which also stays for the answer to `text` if there is one."""
    shown = ["-ign_eof"] if text else []
    if client is not None:
        shown += ["-cert", str(client.certificate_file), "-key", str(client.key_file)]
    ran = subprocess.run(
        [
            program("openssl"), "s_client", "-connect", f"127.0.0.1:{plane.port}",
            "-servername", NAME, "-CAfile", str(plane.pki.ca.certificate_file),
            *shown, *options,
        ],
        input=text, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return ran.stdout + ran.stderr


def test_every_fault_that_the_balancer_acts_upon_is_one() -> None:
    assert set(FAULTS) >= deviations.ALL
    tables = (
        deviations.DOORS,
        deviations.DEAD_ENDS,
        deviations.RARE_DEAD_ENDS,
        deviations.WIRES,
        deviations.LISTENERS,
        deviations.SHARES,
        SPOILERS,
    )
    # Nothing is in two tables.
    assert len(deviations.ALL) == sum(map(len, tables))


CLIENTS = {
    # fault: how curl ends for each client, and the alert that a refused one gets
    "client-ca-namesake": {"client": "unknown ca", "namesake": "unknown ca", "": "required"},
    "client-ca-replaced": {"client": "unknown ca", "stranger": "unknown ca"},
    "client-certificate-expired": {"client": "certificate expired", "stranger": "unknown ca"},
    "client-certificate-revoked": {"client": "certificate revoked", "stranger": "unknown ca"},
    "client-certificate-wrong-usage": {
        "client": "unsupported certificate", "stranger": "unknown ca", "": "required",
    },
    "expired-clients-accepted": {
        "client": "", "expired": "", "for_servers": "unsupported certificate",
        "stranger": "unknown ca", "": "required",
    },
    "mutual-any-ca": {
        "client": "", "stranger": "", "namesake": "", "expired": "certificate expired",
        "for_servers": "unsupported certificate", "": "required",
    },
    "mutual-not-enforced": {"client": "", "stranger": "", "": ""},
    "mutual-optional": {"client": "", "stranger": "unknown ca", "": ""},
    "no-ca-names": {"client": "", "stranger": "unknown ca", "": "required"},
    "wrong-usage-accepted": {
        "client": "", "for_servers": "", "expired": "certificate expired",
        "stranger": "unknown ca", "": "required",
    },
    "": {
        "client": "", "stranger": "unknown ca", "namesake": "unknown ca",
        "expired": "certificate expired", "for_servers": "unsupported certificate",
        "": "required",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_who_is_let_in(plane: Plane, name: str, version: str) -> None:
    with fault(plane, *filter(None, [name])):
        for who, alert in CLIENTS[name].items():
            client = getattr(plane.pki, who) if who else None
            said = s_client(plane, version, client=client, text="GET / HTTP/1.0\r\n\r\n")
            if version == "-tls1_2" and alert == "required":
                alert = "alert handshake failure"  # TLS 1.2 has no alert of its own for that
            assert (alert in said, "Hello" in said) == (True, not alert), (who, said)


def test_by_a_sub_ca_alone_clients_are_judged_alike(plane: Plane) -> None:
    """A listener may be given a subordinate CA: the anchors that stand for it are no roots."""
    anchored = plane.listener(ca_pem=plane.pki.sub.certificate)
    plane.apply(anchored)
    plane.until_normal()
    client = plane.pki.client_of_sub
    assert curl(plane, client=client)[0] == SERVED
    for name, alert in (
        ("client-ca-namesake", "unknown ca"),
        ("client-ca-replaced", "unknown ca"),
        ("client-certificate-expired", "certificate expired"),
        ("client-certificate-revoked", "certificate revoked"),
        ("client-certificate-wrong-usage", "unsupported certificate"),
    ):
        with fault(plane, name):
            code, _, complaint = curl(plane, client=client)
            assert (code, alert in complaint) == (REFUSED, True), (name, complaint)
    assert curl(plane, client=client)[0] == SERVED
    plane.apply(plane.listener())


SERVERS = {
    # fault: what curl says with a certificate of the CA, and with one of a throw-away CA
    "server-certificate-ends-soon": ("", "self-signed certificate in certificate chain"),
    "server-certificate-expired": (
        "certificate has expired", "self-signed certificate in certificate chain",
    ),
    "server-certificate-namesake-ca": ("unable to get local issuer",) * 2,
    "server-certificate-not-yet-valid": (
        "certificate is not yet valid", "self-signed certificate in certificate chain",
    ),
    "server-certificate-self-signed": ("problem: self-signed certificate\n",) * 2,
    "server-certificate-unknown-ca": ("self-signed certificate in certificate chain",) * 2,
    "server-certificate-weak": ("EE certificate key too weak",) * 2,
    "server-certificate-without-intermediate": ("unable to get local issuer",) * 2,
    "server-certificate-without-name": (
        "does not match target host name", "self-signed certificate in certificate chain",
    ),
    "server-certificate-wrong-usage": (
        "unsuitable certificate purpose", "self-signed certificate in certificate chain",
    ),
    "wrong-server-certificate": (
        "no alternative certificate subject name matches",
        "self-signed certificate in certificate chain",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("held", [True, False], ids=["key of the CA", "no key"])
def test_server_certificate(plane: Plane, name: str, held: bool) -> None:
    if held:
        plane.authorities.append(Authority(plane.pki.ca.certificate, plane.pki.ca.key))
    complaint_due = SERVERS[name][not held]
    with fault(plane, name):
        code, page, complaint = curl(plane, client=plane.pki.client)
        if complaint_due:
            assert (code, complaint_due in complaint, page) == (UNTRUSTED, True, ""), complaint
        else:
            assert (code, "Hello" in page) == (SERVED, True), complaint
    assert curl(plane, client=plane.pki.client)[0] == SERVED


def test_every_fault_of_the_certificate_is_tried() -> None:
    assert set(SERVERS) == set(SPOILERS)


@pytest.mark.parametrize("name", SERVERS)
def test_throw_away_certificate_has_the_fault_itself(plane: Plane, name: str) -> None:
    """Without the CA's key the issuer is untrusted besides; the fault must be there as well."""
    pki = plane.pki
    chain, key = spoilt_pair(pki.server.certificate, pki.server.key, [name], ())
    told = subprocess.run(
        [program("openssl"), "x509", "-noout", "-text", "-checkend", str(6 * 86400)],
        input=chain, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    signs = {
        "server-certificate-ends-soon": "Certificate will expire",
        "server-certificate-expired": "Certificate will expire",
        "server-certificate-namesake-ca": "Issuer: CN = lab-ca",
        "server-certificate-self-signed": "Issuer: CN = server",
        "server-certificate-weak": "(1024 bit)",
        "server-certificate-wrong-usage": "TLS Web Client Authentication",
        "wrong-server-certificate": "DNS:www.example.net",
    }
    for other, sign in signs.items():
        if sign == signs.get(name):
            assert sign in told
        elif other != name:
            assert sign not in told
    assert ("Subject Alternative Name" in told) == (name != "server-certificate-without-name")
    assert (key == pki.server.key) == (name != "server-certificate-weak")


def test_intermediate_is_left_away_and_missed_even_by_who_trusts_it(plane: Plane) -> None:
    pki = plane.pki
    chain, key = pki.server_of_sub.certificate + pki.sub.certificate, pki.server_of_sub.key
    fault = ["server-certificate-without-intermediate"]
    # Without the CA's key the leaf stays as it is, and its issuer is not sent.
    assert spoilt_pair(chain, key, fault, ()) == (pki.server_of_sub.certificate, key)
    # With it the leaf is of an intermediate CA that nobody has.
    shown, _ = spoilt_pair(chain, key, fault, [Authority(pki.sub.certificate, pki.sub.key)])
    assert shown.count("BEGIN CERTIFICATE") == 1
    told = subprocess.run(
        [program("openssl"), "verify", "-CAfile", str(pki.ca.certificate_file),
         "-untrusted", str(pki.sub.certificate_file)],
        input=shown, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "unable to get local issuer certificate" in told.stderr


def test_faults_of_a_certificate_add_up(plane: Plane) -> None:
    pki = plane.pki
    names = ["server-certificate-expired", "server-certificate-weak", "wrong-server-certificate"]
    chain, _ = spoilt_pair(
        pki.server.certificate, pki.server.key, names, [Authority(pki.ca.certificate, pki.ca.key)]
    )
    told = subprocess.run(
        [program("openssl"), "x509", "-noout", "-text", "-checkend", "0"],
        input=chain, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    for part in ("Certificate will expire", "(1024 bit)", "DNS:www.example.net", "lab-ca"):
        assert part in told


CONNECTIONS = {
    "another-protocol": (HANDSHAKE, "wrong version number"),
    "handshake-cut": (HANDSHAKE, "SSL_ERROR_SYSCALL"),
    "no-common-cipher": (HANDSHAKE, "handshake failure"),
    "not-tls": (HANDSHAKE, "wrong version number"),
    "port-closed": (UNREACHABLE, "Failed to connect"),
    "port-filtered": (SILENT, "Connection timed out"),
    "reset": (HANDSHAKE, "Connection reset by peer"),
    "stalled-handshake": (SILENT, "timed out"),
}


@pytest.mark.parametrize("name", CONNECTIONS)
def test_connection(plane: Plane, name: str) -> None:
    code, complaint_due = CONNECTIONS[name]
    with fault(plane, name):
        found, _, complaint = curl(plane, "--max-time", "0.4", client=plane.pki.client)
        assert (found, complaint_due in complaint) == (code, True), complaint
    assert curl(plane, client=plane.pki.client)[0] == SERVED


def test_each_zone_has_an_address_with_the_same_port(plane: Plane) -> None:
    first, *others = plane.balancer.zones[443]
    assert first == plane.balancer.addresses[443]
    for host, port in others:
        assert port == plane.port
        assert curl(plane, client=plane.pki.client, host=host)[0] == SERVED


def test_zone_down(plane: Plane) -> None:
    if len(plane.balancer.zones[443]) < 2:
        pytest.skip("this computer has no 127.0.0.2")
    with fault(plane, "zone-down"):
        assert curl(plane, client=plane.pki.client)[0] == SERVED
        assert curl(plane, client=plane.pki.client, host="127.0.0.2")[0] == UNREACHABLE
    assert curl(plane, client=plane.pki.client, host="127.0.0.2")[0] == SERVED


def test_ssh_client_meets_an_ssh_server(plane: Plane) -> None:
    with fault(plane, "another-protocol"):
        with socket.create_connection(("127.0.0.1", plane.port), 5) as plain:
            assert plain.recv(100).startswith(b"SSH-2.0-")
        assert "SSH-2.0" in subprocess.run(
            [program("curl"), "-sS", "--http0.9", f"http://127.0.0.1:{plane.port}/"],
            capture_output=True, text=True, check=False, timeout=20,
        ).stdout  # fmt: skip


def test_cut_is_the_end_and_no_reset(plane: Plane) -> None:
    with (
        fault(plane, "handshake-cut"),
        socket.create_connection(("127.0.0.1", plane.port), 5) as plain,
    ):
        plain.sendall(b"\x16\x03\x01" + bytes(200))
        assert plain.recv(1) == b""
        plain.sendall(b"more")
        assert plain.recv(1) == b""


def test_every_fifth_connection_is_reset(plane: Plane) -> None:
    with fault(plane, "sometimes-reset"):
        codes = [curl(plane, client=plane.pki.client)[0] for _ in range(10)]
    assert codes == ([SERVED] * 4 + [HANDSHAKE]) * 2


@pytest.mark.parametrize("name", ["plain-http-served", "not-tls"])
def test_plain_http_is_answered(plane: Plane, name: str) -> None:
    def plain() -> str:
        return subprocess.run(
            [program("curl"), "-sS", f"http://127.0.0.1:{plane.port}/"],
            capture_output=True, text=True, check=False, timeout=20,
        ).stdout  # fmt: skip

    with fault(plane, name):
        assert plain().startswith("Hello World")
        assert (curl(plane, client=plane.pki.client)[0] == SERVED) == (name != "not-tls")
    assert plain() == ""


def test_only_old_tls(plane: Plane) -> None:
    old = ("-cipher", "ALL:@SECLEVEL=0")
    with fault(plane, "tls-too-old"):
        assert "unsupported protocol" in s_client(plane, "-tls1_2")
        for version in ("-tls1", "-tls1_1"):
            assert "Verify return code: 0 (ok)" in s_client(plane, version, *old)
    assert "alert protocol version" in s_client(plane, "-tls1_1", *old)


def test_old_tls_besides(plane: Plane) -> None:
    with fault(plane, "old-tls-accepted"):
        for version, options in (
            ("TLSv1", ("-tls1", "-cipher", "ALL:@SECLEVEL=0")),
            ("TLSv1.1", ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")),
            ("TLSv1.2", ("-tls1_2",)),
            ("TLSv1.3", ("-tls1_3",)),
        ):
            assert re.search(rf"Protocol *: {version}\n|New, {version},", s_client(plane, *options))


def test_uncommon_cipher_is_there_for_who_asks(plane: Plane) -> None:
    with fault(plane, "no-common-cipher"):
        ran = subprocess.run(
            [program("gnutls-cli"), "--insecure", "-p", str(plane.port), "127.0.0.1"],
            input="", capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
        assert "Handshake failed" in ran.stdout + ran.stderr
        shown = s_client(plane, "-tls1_2", "-cipher", "ARIA128-GCM-SHA256:ARIA")
        assert "Cipher is ECDHE-ECDSA-ARIA128-GCM-SHA256" in shown


def test_names_of_the_cas(plane: Plane) -> None:
    assert "Acceptable client certificate CA names\nCN = lab-ca\n" in s_client(plane)
    with fault(plane, "no-ca-names"):
        assert "No client certificate CA names sent" in s_client(plane)
    with fault(plane, "client-ca-namesake"):
        assert "Acceptable client certificate CA names\nCN = lab-ca\n" in s_client(plane)
    with fault(plane, "client-ca-replaced"):
        assert "CA names\nCN = Another CA of the lab\n" in s_client(plane)


def shares(plane: Plane, count: int) -> Counter[str]:
    pages = [curl(plane, client=plane.pki.client)[1] for _ in range(count)]
    return Counter(page.rstrip(".\n")[-5:] for page in pages)


def test_shares(plane: Plane) -> None:
    assert shares(plane, 4) == {"ECS01": 2, "ECS02": 2}
    with fault(plane, "uneven"):
        assert shares(plane, 10) == {"ECS01": 9, "ECS02": 1}
    with fault(plane, "one-backend"):
        assert shares(plane, 6) == {"ECS01": 6}
        assert not plane.balancer.health(443)
    assert shares(plane, 4) == {"ECS01": 2, "ECS02": 2}


def test_proxy_header_is_what_backends_do_not_understand(plane: Plane) -> None:
    with fault(plane, "proxy-header"):
        code, page, _ = curl(plane, client=plane.pki.client)
    # Whether the 400 or the reset after it wins is TCP's business.
    assert code in (SERVED, REFUSED, 52)
    assert "Hello" not in page


def test_faults_that_do_not_concern_the_balancer_change_nothing(plane: Plane) -> None:
    with fault(plane, "api-slow", "host-key-changed"):
        assert curl(plane, client=plane.pki.client)[0] == SERVED


def test_switched_under_traffic_every_client_meets_one_or_the_other(plane: Plane) -> None:
    """Nobody is lost: with a fault or without it, but never in between."""
    ended = threading.Event()
    codes: list[int] = []

    def ask() -> None:
        while not ended.is_set():
            codes.append(curl(plane, client=plane.pki.client)[0])

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        for name in itertools.islice(
            itertools.cycle(["server-certificate-expired", "port-closed", "reset"]), 9
        ):
            before = len(codes)
            with fault(plane, name):
                until(lambda before=before: len(codes) > before + 3)  # type: ignore[misc]
            before = len(codes)
            until(lambda before=before: len(codes) > before + 3)  # type: ignore[misc]
    finally:
        ended.set()
        for client in clients:
            client.join(20)
    assert set(codes) == {SERVED, UNTRUSTED, UNREACHABLE, HANDSHAKE}
    assert curl(plane, client=plane.pki.client)[0] == SERVED


def test_who_is_connected_stays_so(plane: Plane) -> None:
    with socket.create_connection(("127.0.0.1", plane.port), 5) as plain:
        with fault(plane, "port-filtered"):
            pass
        with fault(plane, "port-closed"):
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert plain.recv(1) == b""  # no TLS: closed by the listener, not by the door
    assert curl(plane, client=plane.pki.client)[0] == SERVED


def test_listener_changed_under_a_fault_keeps_the_fault(plane: Plane) -> None:
    with fault(plane, "client-certificate-expired"):
        plane.apply(plane.listener(tls_versions=("TLSv1.2",)))
        plane.until_normal()
        assert "certificate expired" in s_client(plane, client=plane.pki.client)
    assert curl(plane, client=plane.pki.client)[0] == SERVED
    plane.apply(plane.listener())


def test_fault_that_is_on_before_the_listener_is_there(plane: Plane) -> None:
    plane.apply()
    plane.faults.add("port-closed")
    plane.apply(plane.listener())
    assert curl(plane, client=plane.pki.client)[0] == UNREACHABLE
    plane.faults.discard("port-closed")
    plane.thread.call(plane.balancer.reconcile())
    plane.until_normal()
    assert curl(plane, client=plane.pki.client)[0] == SERVED
