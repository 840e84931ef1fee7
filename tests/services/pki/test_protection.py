"""How PKCS#12 files of many makers are protected."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pki import issue, keys, pkcs12
from services.pki.contents import contents
from services.pki.facts import quiet
from services.pki.issue import Subject
from services.pki.pkcs12 import Profile
from services.pki.protection import protection
from tests.programs import program
from tests.services.pki.judges import openssl, pem

CA_KEY, KEY = keys.new_key(), keys.new_key()
CA = issue.make_ca(Subject("CA"), CA_KEY, 90, datetime.now(UTC))
CLIENT = issue.make_client("alice", KEY, CA, CA_KEY, 30, datetime.now(UTC))
PASSWORD = "pass1234"
WHOLE = pkcs12.bundle("alice", KEY, CLIENT, [CA], PASSWORD)


@pytest.mark.parametrize("profile", list(Profile))
def test_our_own_profiles_are_known_again(profile: Profile) -> None:
    found = protection(pkcs12.bundle("alice", KEY, CLIENT, [CA], PASSWORD, profile))
    assert found is not None
    assert found.profile is profile
    assert found.rounds == 2048
    assert not found.outdated


@pytest.mark.parametrize(
    ("options", "ciphers", "mac"),
    [
        ((), ("PBKDF2-HMAC-SHA256 AES-256-CBC",), "SHA256"),
        (("-legacy",), ("SHA1-RC2-40", "SHA1-3DES"), "SHA1"),
        (
            ("-certpbe", "AES-128-CBC", "-keypbe", "AES-256-CBC", "-macalg", "sha512"),
            ("PBKDF2-HMAC-SHA256 AES-128-CBC", "PBKDF2-HMAC-SHA256 AES-256-CBC"),
            "SHA512",
        ),
        (("-certpbe", "NONE", "-keypbe", "NONE", "-nomac"), (), ""),
        (("-certpbe", "NONE", "-nomac"), ("PBKDF2-HMAC-SHA256 AES-256-CBC",), ""),
    ],
)
def test_what_openssl_writes(
    tmp_path: Path, options: tuple[str, ...], ciphers: tuple[str, ...], mac: str
) -> None:
    (tmp_path / "all").write_bytes(keys.key_pem(KEY) + pem(CLIENT, CA))
    data = openssl(
        "pkcs12", "-export", "-in", tmp_path / "all", "-passout", f"pass:{PASSWORD}", *options
    )
    found = protection(data)
    assert found is not None
    assert (found.ciphers, found.mac) == (ciphers, mac)
    assert found.outdated is ("-legacy" in options)


def test_what_nss_writes_in_pieces_of_unknown_length(tmp_path: Path) -> None:
    database = ["-d", f"sql:{tmp_path}"]
    subprocess.run([program("certutil"), *database, "-N", "--empty-password"], check=True)
    (tmp_path / "in").write_bytes(pkcs12.bundle("alice", KEY, CLIENT, [CA], PASSWORD))
    for arguments in (
        ("-i", str(tmp_path / "in")),
        ("-o", str(tmp_path / "out"), "-n", "alice"),
    ):
        subprocess.run(
            [program("pk12util"), *database, *arguments, "-W", PASSWORD],
            check=True,
            capture_output=True,
        )
    data = (tmp_path / "out").read_bytes()
    assert data.startswith(b"\x30\x80")
    found = protection(data)
    assert found is not None
    assert found.mac == "SHA256"
    assert found.ciphers[0] == "PBKDF2-HMAC-SHA256 AES-256-CBC"
    assert found.rounds >= 10_000


def test_what_gnutls_writes(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(keys.key_pem(KEY))
    (tmp_path / "certificate").write_bytes(pem(CLIENT))
    ran = subprocess.run(
        [
            program("certtool"),
            "--to-p12",
            "--outder",
            "--p12-name",
            "alice",
            "--password",
            PASSWORD,
            "--load-privkey",
            tmp_path / "key",
            "--load-certificate",
            tmp_path / "certificate",
            "--pkcs-cipher",
            "aes-256",
        ],
        check=True,
        capture_output=True,
    )
    found = protection(ran.stdout)
    assert found is not None
    assert found.mac == "SHA256"
    assert found.ciphers == ("PBKDF2-HMAC-SHA256 AES-256-CBC",)


def test_a_file_that_would_take_hours_to_open_is_left_closed() -> None:
    rounds = b"\x02\x02\x08\x00"
    assert WHOLE.endswith(rounds)
    # Two octets more in the last integer, and in the three lengths around it.
    data = bytearray(WHOLE[:-4] + b"\x02\x04\x7f\xff\xff\xff")
    data[2:4] = (int.from_bytes(data[2:4]) + 2).to_bytes(2)
    mac = data.rindex(b"\x30\x41\x30\x31")
    data[mac + 1] += 2
    (piece,) = contents(bytes(data), PASSWORD.encode())
    assert [verdict.code for verdict in piece.verdicts] == ["pkcs12-costly"]


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes([tag, 0x82]) + len(body).to_bytes(2) + body


def oid(body: str) -> bytes:
    return der(0x06, bytes.fromhex(body))


def algorithm(body: str, *parameters: bytes) -> bytes:
    return der(0x30, oid(body), *parameters)


DATA, ENCRYPTED_DATA = "2a864886f70d010701", "2a864886f70d010706"
PBES2, PBKDF2, PBMAC1 = "2a864886f70d01050d", "2a864886f70d01050c", "2a864886f70d01050e"
SCRYPT, AES_256, HMAC_SHA512 = "2b06010401da47040b", "60864801650304012a", "2a864886f70d020b"
SALT = der(0x04, b"saltsalt")


def file_with(derivation: bytes, mac: bytes = b"") -> bytes:
    """A PKCS#12 file of one empty bag, encrypted with AES by a key derived so."""
    encryption = algorithm(PBES2, der(0x30, derivation, algorithm(AES_256, SALT)))
    encrypted = der(0x30, der(0x02, b"\0"), der(0x30, oid(DATA), encryption))
    bags = der(0x30, der(0x30, oid(ENCRYPTED_DATA), der(0xA0, encrypted)))
    safe = der(0x30, oid(DATA), der(0xA0, der(0x04, bags)))
    return der(0x30, der(0x02, b"\3"), safe, mac)


@pytest.mark.parametrize(
    ("derivation", "cipher", "cost"),
    [
        (
            algorithm(
                SCRYPT, der(0x30, SALT, *(der(0x02, n) for n in (b"\x40\0", b"\x08", b"\1")))
            ),
            "scrypt AES-256-CBC",
            16384 * 8,
        ),
        (
            algorithm(PBKDF2, der(0x30, SALT, der(0x02, b"\x08\0"))),
            "PBKDF2-HMAC-SHA1 AES-256-CBC",
            2048,
        ),
        (algorithm("2a0304", der(0x30, SALT)), "1.2.3.4 AES-256-CBC", 0),
    ],
)
def test_other_derivations_of_keys_are_named(derivation: bytes, cipher: str, cost: int) -> None:
    found = protection(file_with(derivation))
    assert found is not None
    assert (found.ciphers, found.mac, found.rounds) == ((cipher,), "", cost)


def test_the_new_seal_of_rfc_9579_is_named_and_its_cost_counted() -> None:
    derivation = algorithm(PBKDF2, der(0x30, SALT, der(0x02, b"\x27\x10"), algorithm(HMAC_SHA512)))
    seal = algorithm(PBMAC1, der(0x30, derivation, algorithm(HMAC_SHA512)))
    mac = der(0x30, der(0x30, seal, der(0x04, bytes(32))), SALT, der(0x02, b"\1"))
    found = protection(file_with(derivation, mac))
    assert found is not None
    assert (found.mac, found.rounds, found.most_rounds) == ("PBMAC1", 10_000, 10_000)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_such_file_are_none(data: bytes) -> None:
    assert protection(data) is None
    assert protection(b"\x30\x80" + data) is None


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8))
def test_a_damaged_file_never_fails_worse_than_not_opening(place: int, change: bytes) -> None:
    damaged = WHOLE[:place] + change + WHOLE[place + len(change) :]
    with quiet():
        for piece in contents(damaged, PASSWORD.encode()):
            assert PASSWORD not in repr(piece)


def test_deep_nesting_ends_early() -> None:
    nested = b""
    for _ in range(5000):
        nested = b"\x24\x80" + nested + b"\0\0"
    head = b"\x30\x80\x02\x01\x03\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x80"
    assert protection(head + nested + b"\0\0" * 3) is None
    definite = b""
    for _ in range(2000):
        definite = b"\x24\x84" + len(definite).to_bytes(4) + definite
    assert protection(head + definite + b"\0\0" * 3) is None
