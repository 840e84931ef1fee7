"""PKCS#12 files, opened by the programs that people import them with."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pki import issue, keys, pkcs12
from services.pki.issue import Subject
from services.pki.keys import KeyKind
from services.pki.pkcs12 import Profile
from services.problem import Problem
from tests.programs import program
from tests.services.pki.judges import openssl, outcome, pem

NOW = datetime.now(UTC)
CA_KEY = keys.new_key()
CA = issue.make_ca(Subject("Example CA"), CA_KEY, 3650, NOW)
KEY = keys.new_key()
CLIENT = issue.make_client("alice", KEY, CA, CA_KEY, 30, NOW)
PASSWORD = "Ab 1~\"'\\$%"


@pytest.fixture(scope="module", params=list(Profile))
def profile(request: pytest.FixtureRequest) -> Profile:
    return Profile(request.param)


@pytest.fixture(scope="module", params=[KeyKind.EC_P256, KeyKind.RSA_2048])
def file(
    request: pytest.FixtureRequest, profile: Profile, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bytes]:
    """A file, and the PEM of the key in it."""
    key = keys.new_key(request.param)
    client = issue.make_client("alice", key, CA, CA_KEY, 30, NOW)
    path = tmp_path_factory.mktemp("p12") / "client.p12"
    path.write_bytes(pkcs12.bundle("alice at home", key, client, [CA], PASSWORD, profile))
    (path.parent / "password").write_text(PASSWORD)
    return path, keys.key_pem(key)


def test_openssl_opens_it_and_finds_all(file: tuple[Path, bytes]) -> None:
    path, key = file
    opened = openssl("pkcs12", "-in", path, "-passin", f"pass:{PASSWORD}", "-noenc")
    assert key in opened
    assert pem(CA) in opened
    assert b"friendlyName: alice at home" in opened
    assert opened.count(b"BEGIN CERTIFICATE") == 2


def test_openssl_says_how_it_is_protected(file: tuple[Path, bytes], profile: Profile) -> None:
    ran = subprocess.run(
        [
            program("openssl"),
            "pkcs12",
            "-info",
            "-noout",
            "-in",
            file[0],
            "-passin",
            f"pass:{PASSWORD}",
        ],
        capture_output=True,
        check=True,
    )
    said = ran.stderr.decode()
    if profile is Profile.MODERN:
        assert "MAC: sha256, Iteration 2048" in said
        assert said.count("PBES2, PBKDF2, AES-256-CBC, Iteration 2048, PRF hmacWithSHA256") == 2
    else:
        assert "MAC: sha1, Iteration 2048" in said
        assert said.count("pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048") == 2


def test_nss_imports_it(file: tuple[Path, bytes], tmp_path: Path) -> None:
    """NSS is what Firefox, and Chromium on Linux, keep certificates in."""
    database = ["-d", f"sql:{tmp_path}"]
    subprocess.run([program("certutil"), *database, "-N", "--empty-password"], check=True)
    subprocess.run(
        [program("pk12util"), *database, "-i", file[0], "-w", file[0].parent / "password"],
        check=True,
        capture_output=True,
    )
    listed = subprocess.run(
        [program("certutil"), *database, "-L"], check=True, capture_output=True
    ).stdout.decode()
    assert "alice at home" in listed
    assert "u,u,u" in listed
    assert "Example CA" in listed


def test_gnutls_opens_it(file: tuple[Path, bytes]) -> None:
    ran = subprocess.run(
        [program("certtool"), "--p12-info", "--inder", "--infile", file[0], "--password", PASSWORD],
        check=True,
        capture_output=True,
    )
    assert ran.stdout.count(b"BEGIN CERTIFICATE") == 2
    assert ran.stdout.count(b"PRIVATE KEY-----") == 2


def test_another_password_does_not_open_it(file: tuple[Path, bytes]) -> None:
    ran = subprocess.run(
        [program("openssl"), "pkcs12", "-in", file[0], "-passin", "pass:other", "-noout"],
        capture_output=True,
        check=False,
    )
    assert ran.returncode != 0
    assert b"invalid password" in ran.stderr


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=4))
def test_ascii_passwords_are_taken(password: str) -> None:
    found = outcome(lambda: pkcs12.check_password(password))
    assert isinstance(found, Problem) is (password != password.strip())


@given(st.text())
def test_a_password_is_taken_or_refused_without_being_told(password: str) -> None:
    found = outcome(lambda: pkcs12.check_password("\u00e9" + password))
    assert isinstance(found, Problem)
    assert found.code == "pki.bad-password"
    assert found.facts == {"limit": "4"}
    assert found.evidence == ""


@pytest.mark.parametrize("password", ["", "abc", " abcd", "abcd ", "tab\tbed", "naïve", "密码密码"])
def test_a_password_that_not_all_programs_take_is_refused(password: str) -> None:
    with pytest.raises(Problem, match=r"pki\.bad-password"):
        pkcs12.bundle("alice", KEY, CLIENT, [CA], password)


def test_new_passwords_are_groups_of_four_and_differ() -> None:
    made = {pkcs12.new_password() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        pkcs12.check_password(password)
        assert [len(group) for group in password.split("-")] == [4, 4, 4, 4]
        assert not set(password) & set("il1o0")


def test_a_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(Problem, match=r"pki\.key-mismatch"):
        pkcs12.bundle("alice", CA_KEY, CLIENT, [CA], PASSWORD)
