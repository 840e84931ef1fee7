"""What cannot work is told before the first request, and in words."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from services.probe.target import Target, parse_endpoint
from services.problem import Exit, Problem
from tests.programs import program
from tests.services.probe.certificates import Certificates
from tests.services.probe.test_engine import target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("www.example.com:443", ("www.example.com", 443)),
        ("203.0.113.7:8443", ("203.0.113.7", 8443)),
        ("[2001:db8::7]:443", ("2001:db8::7", 443)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        (" localhost:65535 ", ("localhost", 65535)),
    ],
)
def test_endpoint_is_split(text: str, expected: tuple[str, int]) -> None:
    assert parse_endpoint(text) == expected
    host, port = expected
    assert parse_endpoint(Target(host, port, "x").endpoint) == expected


@pytest.mark.parametrize(
    "text",
    ["", "host", "host:", ":443", "host:0", "host:65536", "2001:db8::7:443", "a b:1", "[]:1"],
)
def test_what_is_no_endpoint_is_wrong_usage(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_endpoint(text)
    assert (caught.value.code, caught.value.exit) == ("probe.endpoint", Exit.USAGE)
    assert caught.value.words().remedy


@given(st.text(max_size=30))
def test_any_text_is_an_endpoint_or_a_problem(text: str) -> None:
    try:
        host, port = parse_endpoint(text)
    except Problem:
        return
    assert host
    assert 0 < port < 65536


Change = Callable[[Target, Path, Certificates], Target]


def written(folder: Path, content: bytes | str) -> Path:
    file = folder / "file.pem"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def encrypted(folder: Path, certificates: Certificates) -> Path:
    return written(
        folder,
        certificates.client.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        ),
    )


def der(folder: Path, certificates: Certificates) -> Path:
    return written(folder, certificates.client.certificate.public_bytes(serialization.Encoding.DER))


BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda at, tmp, c: replace(at, port=0), "probe.endpoint"),
        (lambda at, tmp, c: replace(at, host=""), "probe.endpoint"),
        (lambda at, tmp, c: replace(at, name=""), "probe.name"),
        (lambda at, tmp, c: replace(at, name="a..b"), "probe.name"),
        (lambda at, tmp, c: replace(at, name=".b"), "probe.name"),
        (lambda at, tmp, c: replace(at, name="x" * 64 + ".example"), "probe.name"),
        (lambda at, tmp, c: replace(at, name="a\r\nHost: b"), "probe.name"),
        (lambda at, tmp, c: replace(at, path="x"), "probe.path"),
        (lambda at, tmp, c: replace(at, path="/ HTTP/1.1\r\nX: y"), "probe.path"),
        (lambda at, tmp, c: replace(at, certificate_file=tmp / "no"), "probe.file-unreadable"),
        (lambda at, tmp, c: replace(at, key_file=tmp), "probe.file-unreadable"),
        (lambda at, tmp, c: replace(at, ca_file=tmp / "no"), "probe.file-unreadable"),
        (lambda at, tmp, c: replace(at, certificate_file=at.key_file), "probe.not-a-certificate"),
        (lambda at, tmp, c: replace(at, certificate_file=der(tmp, c)), "probe.not-a-certificate"),
        (lambda at, tmp, c: replace(at, ca_file=written(tmp, "")), "probe.not-a-certificate"),
        (lambda at, tmp, c: replace(at, key_file=at.certificate_file), "probe.not-a-key"),
        (lambda at, tmp, c: replace(at, key_file=encrypted(tmp, c)), "probe.key-encrypted"),
        (lambda at, tmp, c: replace(at, certificate_file=None), "probe.key-alone"),
        (lambda at, tmp, c: replace(at, key_file=c.ca.key_file), "probe.key-mismatch"),
        (
            lambda at, tmp, c: replace(at, certificate_file=written(tmp, BROKEN)),
            "probe.file-damaged",
        ),
        (lambda at, tmp, c: replace(at, ca_file=written(tmp, BROKEN)), "probe.file-damaged"),
    ],
)
def test_what_cannot_work_is_a_problem(
    change: Change, code: str, certs: Certificates, tmp_path: Path
) -> None:
    with pytest.raises(Problem) as caught:
        change(target(certs, 443), tmp_path, certs).check()
    assert caught.value.code == code
    words = caught.value.words()
    assert all((words.what, words.cause, words.remedy))
    assert "{" not in words.what + words.cause + words.remedy
    assert "secret" not in words.evidence


def test_key_with_passphrase_in_openssls_old_form_is_told_without_asking(
    certs: Certificates, tmp_path: Path
) -> None:
    key = tmp_path / "old.key"
    command = [
        *(program("openssl"), "ec", "-aes256", "-passout", "pass:secret"),
        *("-in", str(certs.client.key_file), "-out", str(key)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(Problem) as caught:
        replace(target(certs, 443), key_file=key).check()
    assert caught.value.code == "probe.key-encrypted"


def test_weak_key_is_told(tmp_path: Path, certs: Certificates) -> None:
    key, certificate = tmp_path / "weak.key", tmp_path / "weak.crt"
    command = [
        *(program("openssl"), "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=x"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(Problem) as caught:
        replace(target(certs, 443), certificate_file=certificate, key_file=key).check()
    assert caught.value.code == "probe.certificate-weak"
    assert caught.value.words().remedy


def test_certificate_and_key_may_share_a_file(certs: Certificates, tmp_path: Path) -> None:
    both = written(
        tmp_path,
        certs.client.certificate_file.read_bytes() + certs.client.key_file.read_bytes(),
    )
    replace(target(certs, 443), certificate_file=both, key_file=None).check()


def test_good_files_pass(certs: Certificates) -> None:
    target(certs, 443).check()
    replace(target(certs, 443), ca_file=None, name="bücher.example").check()


def test_request_names_the_host_as_dns_does(certs: Certificates) -> None:
    asked = replace(target(certs, 443), name="bücher.example", path="/x?y=ü").request()
    assert b"Host: xn--bcher-kva.example\r\n" in asked
    assert asked.startswith(b"GET /x?y=%C3%BC HTTP/1.1\r\n")
    assert b"Host: [::1]\r\n" in replace(target(certs, 443), name="::1").request()
