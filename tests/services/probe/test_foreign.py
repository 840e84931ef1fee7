"""What is diagnosed first at endpoints by programs that this project did not write.

A case is a door, who knocks, and the code of the first diagnosis; "" where there must be none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from services.probe.refusals import STRANGERS, Pair
from services.probe.report import Known, Report, verify
from services.probe.target import Target
from services.stop import Stop
from tests.services.hosts import openssh
from tests.services.probe import foreign
from tests.services.probe.certificates import Certificates
from tests.services.probe.foreign import Material
from tests.services.probe.nginx import BACKENDS, free_port

EITHER = ("all-backends-down", "client-certificate-refused")
"""Closed without a word: a certificate refused, or no backend left. From outside nobody can tell,
and whichever comes first must not be called certain."""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, certs: Certificates) -> Material:
    return Material(tmp_path_factory.mktemp("foreign"), certs)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, material: Material) -> Iterator[dict[str, int]]:
    with foreign.nginx(tmp_path_factory.mktemp("nginx"), material) as doors:
        yield doors


@pytest.fixture(scope="module")
def haproxy(
    tmp_path_factory: pytest.TempPathFactory, material: Material, nginx: dict[str, int]
) -> Iterator[dict[str, int]]:
    with foreign.haproxy(tmp_path_factory.mktemp("haproxy"), material, nginx) as doors:
        yield doors


def verified(at: Target, material: Material, requests: int = 8) -> Report:
    """The report, with every key of the rightful CA and server at hand."""
    ca, server = material.certs.ca, material.certs.server
    known = Known(
        issuer=Pair(ca.certificate_file, ca.key_file),
        server=Pair(server.certificate_file, server.key_file),
    )
    return verify(at, requests=requests, concurrency=4, stop=Stop(), known=known)


def check(report: Report, first: str | tuple[str, ...]) -> None:
    codes = [each.code for each in report.diagnoses]
    said = [(each.code, each.confidence, each.evidence) for each in report.diagnoses]
    if not first:
        assert (report.verdict, said) == ("pass", [])
        assert {each.name for each in report.refusals if each.refused} == set(STRANGERS)
        return
    assert codes, "nothing was found wrong"
    if isinstance(first, tuple):
        assert codes[0] in first, said
        assert report.diagnoses[0].confidence != "certain", said
    else:
        assert codes[0] == first, said
    warns = report.diagnoses[0].severity == "warning"
    assert report.verdict == ("pass" if warns else "fail")


SERVERS = {
    "expired": "server-certificate-expired",
    "not-yet-valid": "server-certificate-not-yet-valid",
    "ends-soon": "certificate-ends-soon",
    "self-signed": "server-certificate-self-signed",
    "unknown-ca": "server-certificate-unknown-ca",
    "namesake-ca": "server-certificate-namesake-ca",
    "namesake-ca-by-key": "server-certificate-namesake-ca",
    "without-name": "server-certificate-without-name",
    "wrong-name": "server-certificate-wrong-name",
    "without-intermediate": "server-certificate-without-intermediate",
    "with-intermediate": "",
    "wrong-usage": "server-certificate-wrong-usage",
    "weak": "server-certificate-weak",
}


@pytest.mark.parametrize(("door", "first"), SERVERS.items())
def test_server_certificate_by_nginx(
    door: str, first: str, material: Material, nginx: dict[str, int]
) -> None:
    at = material.target(nginx[door], "rightful", BACKENDS)
    known = Known(
        issuer=Pair(material.certs.ca.certificate_file, material.certs.ca.key_file),
        server=Pair(material.certs.server.certificate_file, material.certs.server.key_file),
        # The intermediate exists; whether the server shows it is the question.
        certificates=(material.folder / "intermediate.crt").read_bytes(),
    )
    check(verify(at, requests=8, concurrency=4, stop=Stop(), known=known), first)


@pytest.mark.parametrize(
    ("door", "client", "path", "first"),
    [
        ("mutual", "rightful", "/", ""),
        ("old", "rightful", "/", "tls-version"),
        ("also-old", "rightful", "/", "old-tls-accepted"),
        ("cipher", "rightful", "/", "tls-cipher"),
        ("open", "rightful", "/", "mutual-authentication-not-enforced"),
        ("open", "none", "/", "mutual-authentication-not-enforced"),
        ("optional", "rightful", "/", "mutual-authentication-optional"),
        ("any-ca", "rightful", "/", "mutual-authentication-optional"),
        ("mutual", "none", "/", "client-certificate-missing"),
        ("mutual", "expired", "/", "client-certificate-expired"),
        ("mutual", "not-yet-valid", "/", "client-certificate-not-yet-valid"),
        ("mutual", "foreign", "/", "client-certificate-unknown-ca"),
        ("mutual", "wrong-usage", "/", "client-certificate-wrong-usage"),
        ("revoking", "rightful", "/", ""),
        ("revoking", "revoked", "/", EITHER),
        ("lonely", "rightful", "/", EITHER),
        ("half", "rightful", "/", "backend-down"),
        ("first", "rightful", "/", "backend-down"),
        ("proxy-header", "rightful", "/", "proxy-header"),
        ("mutual", "rightful", "/moved", "redirect"),
        ("mutual", "rightful", "/broken", "backend-error"),
        ("mutual", "rightful", "/empty", "answer-empty"),
        ("mutual", "rightful", "/other", "another-page"),
        ("mutual", "rightful", "/nothing-there", ""),
        ("http-mutual", "none", "/", "client-certificate-missing"),
        ("http-mutual", "expired", "/", "client-certificate-expired"),
        ("http-mutual", "foreign", "/", "client-certificate-unknown-ca"),
        ("http-mutual", "wrong-usage", "/", "client-certificate-wrong-usage"),
        ("http-revoking", "revoked", "/", "client-certificate-refused"),
        ("http-forbids", "rightful", "/", "refusal-untried"),
        ("http-lonely", "rightful", "/", "backend-error"),
        ("ECS01", "rightful", "/", "not-tls"),
    ],
)
def test_cause_by_nginx(
    door: str,
    client: str,
    path: str,
    first: str | tuple[str, ...],
    material: Material,
    nginx: dict[str, int],
) -> None:
    backends = ("ECS01",) if door.startswith("http-") else BACKENDS
    at = material.target(nginx[door], client, backends, path)
    check(verified(at, material, requests=32 if door in ("half", "first") else 8), first)


@pytest.mark.parametrize(
    ("door", "client", "first"),
    [
        ("mutual", "rightful", ""),
        ("http-mutual", "rightful", ""),
        ("tls13", "rightful", ""),
        ("revoking", "rightful", ""),
        ("mutual", "none", "client-certificate-missing"),
        ("mutual", "expired", "client-certificate-expired"),
        ("mutual", "foreign", "client-certificate-unknown-ca"),
        ("mutual", "namesake", "client-certificate-namesake-ca"),
        ("mutual", "wrong-usage", "client-certificate-wrong-usage"),
        ("revoking", "revoked", "client-certificate-revoked"),
        ("tls13", "none", "client-certificate-missing"),
        ("tls13", "foreign", "client-certificate-unknown-ca"),
        ("open", "rightful", "mutual-authentication-not-enforced"),
        ("optional", "rightful", "mutual-authentication-optional"),
        ("any-ca", "rightful", "any-ca-accepted"),
        ("expired-accepted", "rightful", "expired-certificate-accepted"),
        ("no-names", "rightful", "ca-names-not-announced"),
        ("lonely", "rightful", "all-backends-down"),
        ("http-lonely", "rightful", "backend-error"),
        ("proxy-header", "rightful", "proxy-header"),
        ("old", "rightful", "tls-version"),
        ("also-old", "rightful", "old-tls-accepted"),
        ("cipher", "rightful", "tls-cipher"),
        ("strict-sni", "rightful", "handshake-failed"),
        ("both", "rightful", "plain-http-served"),
        ("http", "rightful", "not-tls"),
    ],
)
def test_cause_by_haproxy(
    door: str, client: str, first: str, material: Material, haproxy: dict[str, int]
) -> None:
    check(verified(material.target(haproxy[door], client, BACKENDS), material), first)


STRICT = ("-Verify", "2", "-verify_return_error")
OLD = ("-cipher", "DEFAULT:@SECLEVEL=0")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize(
    ("client", "first"),
    [
        ("rightful", ""),
        ("none", "client-certificate-missing"),
        ("expired", "client-certificate-expired"),
        ("not-yet-valid", "client-certificate-not-yet-valid"),
        ("foreign", "client-certificate-unknown-ca"),
        ("namesake", "client-certificate-namesake-ca"),
        ("wrong-usage", "client-certificate-wrong-usage"),
    ],
)
def test_client_certificate_by_openssl(
    version: str, client: str, first: str, material: Material
) -> None:
    with foreign.s_server(material, *STRICT, version) as port:
        check(verified(material.target(port, client, ()), material), first)


@pytest.mark.parametrize(
    ("options", "client", "first"),
    [
        ((*STRICT, "-no_tls1_3"), "rightful", ""),
        ((*STRICT, "-tls1_1", *OLD), "rightful", "tls-version"),
        ((*STRICT, *OLD), "rightful", "old-tls-accepted"),
        (
            (*STRICT, "-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256", "-psk", "00"),
            "rightful",
            "tls-cipher",
        ),
        ((), "rightful", "mutual-authentication-not-enforced"),
        (
            ("-verify", "2", "-verify_return_error"),
            "rightful",
            "mutual-authentication-optional",
        ),
        (("-Verify", "2"), "rightful", "any-ca-accepted"),
    ],
)
def test_cause_by_openssl(
    options: tuple[str, ...], client: str, first: str, material: Material
) -> None:
    with foreign.s_server(material, *options) as port:
        check(verified(material.target(port, client, ()), material), first)


@pytest.mark.parametrize(
    ("client", "first"), [("rightful", ""), ("revoked", "client-certificate-revoked")]
)
def test_revocation_by_openssl(client: str, first: str, material: Material) -> None:
    revocation = ("-crl_check", "-CRL", str(material.revocations))
    with foreign.s_server(material, *STRICT, *revocation) as port:
        check(verified(material.target(port, client, ()), material), first)


def test_replaced_client_ca_by_openssl(material: Material) -> None:
    other = material.certs.other_ca.certificate_file
    with foreign.s_server(material, *STRICT, client_ca=other) as port:
        at = material.target(port, "rightful", ())
        check(verified(at, material), "client-certificate-unknown-ca")


NO_OLD = (
    *("--require-client-cert", "--verify-client-cert"),
    *("--priority", "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"),
)


@pytest.mark.parametrize(
    ("options", "client", "first"),
    [
        (NO_OLD, "none", "client-certificate-missing"),
        (NO_OLD, "expired", "client-certificate-expired"),
        (NO_OLD, "foreign", "client-certificate-unknown-ca"),
        # Its alert, access_denied, says no more.
        (NO_OLD, "namesake", "client-certificate-refused"),
        # gnutls-serv does not look at what a certificate is for.
        (NO_OLD, "rightful", "wrong-usage-accepted"),
        (("--require-client-cert",), "rightful", "any-ca-accepted"),
        (("--disable-client-cert",), "rightful", "mutual-authentication-not-enforced"),
        (
            ("--require-client-cert", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT"),
            "rightful",
            "tls-version",
        ),
    ],
)
def test_cause_by_gnutls(
    options: tuple[str, ...], client: str, first: str, material: Material
) -> None:
    with foreign.gnutls_serv(material, *options) as port:
        check(verified(material.target(port, client, ()), material), first)


def test_ssh_server_speaks_another_protocol(material: Material, tmp_path: Path) -> None:
    keys = {"ed25519": openssh.make_key(tmp_path / "host")}
    with ExitStack() as running:
        server = running.enter_context(
            openssh.serving(tmp_path / "sshd", keys, openssh.make_key(tmp_path / "client"))
        )
        at = material.target(server.port, "rightful", BACKENDS, host="127.0.0.1")
        check(verified(at, material, requests=2), "another-protocol")


def test_closed_port(material: Material) -> None:
    at = material.target(free_port(foreign.HOST), "rightful", BACKENDS)
    check(verified(at, material), "port-closed")


def test_key_that_is_not_the_certificates(material: Material, nginx: dict[str, int]) -> None:
    at = material.target(nginx["mutual"], "rightful", BACKENDS)
    mixed = replace(at, key_file=material.certs.foreign_client.key_file)
    check(verified(mixed, material), "client-key-mismatch")
