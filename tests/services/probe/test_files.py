"""What files say without a connection, on real certificates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.probe.files import check_files
from services.probe.target import Target
from tests.services.probe.certificates import Certificates, Pair, issue

NAME = "www.example.com"
NOW = datetime.now(UTC)


def target(certs: Certificates, client: Pair | None = None) -> Target:
    pair = client or certs.client
    return Target(
        "127.0.0.1",
        443,
        NAME,
        certificate_file=pair.certificate_file,
        key_file=pair.key_file,
        ca_file=certs.ca.certificate_file,
    )


def der(*pairs: Pair) -> tuple[bytes, ...]:
    return tuple(each.certificate.public_bytes(Encoding.DER) for each in pairs)


def test_good_files_have_nothing_against_them(certs: Certificates) -> None:
    ca = certs.ca.certificate_file.read_bytes()
    found = check_files(target(certs), NOW, chain=der(certs.server), key_fits=True, listener_ca=ca)
    assert (found.client, found.server) == ((), ())
    assert found.client_ca_known
    assert found.server_ca_known
    assert [each.part for each in found.terms] == ["server", "client", "ca"]
    assert found.client_issuers == (certs.ca.certificate.subject.public_bytes(),)


@pytest.mark.parametrize(
    ("who", "known", "codes"),
    [
        ("expired_client", True, ["expired"]),
        ("expired_client", False, ["expired"]),
        ("foreign_client", True, ["unknown-ca"]),
        ("foreign_client", False, []),
        ("server", True, ["wrong-usage"]),
        ("server", False, ["wrong-usage"]),
    ],
)
def test_what_speaks_against_a_client(
    who: str, known: bool, codes: list[str], certs: Certificates
) -> None:
    ca = certs.ca.certificate_file.read_bytes() if known else b""
    found = check_files(target(certs, getattr(certs, who)), NOW, listener_ca=ca)
    assert found.client is not None
    assert [each.code for each in found.client] == codes
    assert found.client_ca_known == known


def test_what_speaks_against_a_server(certs: Certificates, tmp_path: Path) -> None:
    server_auth = ExtendedKeyUsageOID.SERVER_AUTH
    namesake_ca = issue(tmp_path, "namesake", "Test CA", ca=True)
    middle = issue(tmp_path, "middle", "Middle CA", certs.ca, ca=True)
    below = issue(tmp_path, "below", NAME, middle, names=[NAME], usage=server_auth)
    cases = {
        "no-san": issue(tmp_path, "nameless", NAME, certs.ca, usage=server_auth),
        "name-mismatch": issue(tmp_path, "other", "x", certs.ca, names=["x.example"]),
        "wrong-usage": certs.client,
        "self-signed": issue(tmp_path, "self", NAME, names=[NAME], usage=server_auth),
        "same-name-ca": issue(tmp_path, "same", NAME, namesake_ca, names=[NAME]),
        "unknown-ca": below,
    }
    for code, shown in cases.items():
        found = check_files(target(certs), NOW, chain=der(shown)).server or ()
        assert code in [each.code for each in found], code
    known = middle.certificate_file.read_bytes()
    found = check_files(target(certs), NOW, chain=der(below), known=known).server or ()
    assert [each.code for each in found] == ["missing-intermediate"]
    assert check_files(target(certs), NOW, chain=der(below, middle)).server == ()


def test_what_cannot_be_read_is_not_known(certs: Certificates, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.crt"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    at = replace(target(certs), certificate_file=damaged, ca_file=tmp_path / "absent.crt")
    found = check_files(at, NOW + timedelta(1), chain=(b"no certificate",), listener_ca=b"nor this")
    assert (found.client, found.server, found.terms) == (None, None, ())
    assert not found.client_ca_known
    assert not found.server_ca_known
