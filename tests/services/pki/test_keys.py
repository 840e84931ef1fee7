"""Keys, judged by OpenSSL and by what other programs write."""

from __future__ import annotations

import pytest

from services.pki import keys
from services.pki.keys import KeyKind
from services.problem import Problem
from tests.services.pki.judges import openssl

PASSWORD = "correct horse"


@pytest.mark.parametrize(
    ("kind", "text", "name"),
    [
        (KeyKind.EC_P256, b"NIST CURVE: P-256", "EC P-256"),
        (KeyKind.RSA_2048, b"Private-Key: (2048 bit, 2 primes)", "RSA 2048"),
        (KeyKind.RSA_4096, b"Private-Key: (4096 bit, 2 primes)", "RSA 4096"),
    ],
)
def test_openssl_reads_each_kind_and_so_do_we(kind: KeyKind, text: bytes, name: str) -> None:
    key = keys.new_key(kind)
    pem = keys.key_pem(key)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert text in openssl("pkey", "-text", "-noout", "-check", give=pem)
    assert keys.load_key(pem).public_key() == key.public_key()
    assert keys.key_name(key.public_key()) == name


def test_the_default_is_p256() -> None:
    assert keys.key_name(keys.new_key().public_key()) == "EC P-256"


@pytest.fixture(scope="module")
def rsa_pem() -> bytes:
    return openssl("genrsa", "2048")


@pytest.mark.parametrize(
    "form",
    [
        ("rsa", "-traditional"),
        ("rsa", "-traditional", "-aes128", "-passout", f"pass:{PASSWORD}"),
        ("pkcs8", "-topk8", "-nocrypt"),
        ("pkcs8", "-topk8", "-nocrypt", "-outform", "DER"),
        ("pkcs8", "-topk8", "-passout", f"pass:{PASSWORD}"),
        ("pkcs8", "-topk8", "-passout", f"pass:{PASSWORD}", "-outform", "DER"),
    ],
    ids=" ".join,
)
def test_every_form_that_openssl_writes_opens(rsa_pem: bytes, form: tuple[str, ...]) -> None:
    data = openssl(*form, give=rsa_pem)
    opened = keys.load_key(data, PASSWORD.encode())
    assert opened.public_key() == keys.load_key(rsa_pem).public_key()
    if "-passout" in form:
        for password, code in ((None, "pki.key-encrypted"), (b"another one", "pki.key-password")):
            with pytest.raises(Problem) as caught:
                keys.load_key(data, password)
            assert caught.value.code == code
            assert "another" not in str(caught.value.words())


def test_parameters_before_the_key_do_no_harm() -> None:
    pem = openssl("ecparam", "-name", "prime256v1", "-genkey")
    assert pem.startswith(b"-----BEGIN EC PARAMETERS-----")
    assert keys.key_name(keys.load_key(pem).public_key()) == "EC P-256"


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [
        (("ED25519",), "Ed25519"),
        (("ED448",), "Ed448"),
        (("X25519",), "X25519"),
        (("RSA", "-pkeyopt", "rsa_keygen_bits:1024"), "RSA 1024"),
        (("EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"), "EC secp256k1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_key_that_no_listener_takes_is_refused_by_name(
    algorithm: tuple[str, ...], name: str
) -> None:
    with pytest.raises(Problem, match=r"pki\.key-unsupported") as caught:
        keys.load_key(openssl("genpkey", "-algorithm", *algorithm))
    assert name in caught.value.words().what


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key",
        b"\x30\x03\x02\x01\x05",
        b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_key_is_a_problem(data: bytes) -> None:
    for password in (None, b"word"):
        with pytest.raises(Problem, match=r"pki\.key-unreadable"):
            keys.load_key(data, password)


def test_the_public_half_and_a_damaged_file_are_problems(rsa_pem: bytes) -> None:
    for data in (openssl("pkey", "-pubout", give=rsa_pem), rsa_pem[:-200]):
        with pytest.raises(Problem, match=r"pki\.key-unreadable"):
            keys.load_key(data)
