"""No secret survives, in whatever spelling it travels; what is no secret stays."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from services.redact import Redactor

KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    .decode()
)
BODY = KEY.splitlines()[1]


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"before {KEY} after",
        json.dumps({"Key": KEY}),
        "POST /?" + urlencode({"Name": "www", "Key": KEY, "Cert": "x"}),
        "POST /?" + urlencode({"Name": "www", "PrivateKey": KEY}, quote_via=quote),
        KEY[:120],
        KEY.replace("PRIVATE", "OPENSSH PRIVATE"),
        KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"),
    ],
)
def test_private_keys_vanish(text: str) -> None:
    redacted = Redactor()(text)
    assert BODY[:30] not in redacted
    assert quote_plus(BODY[:30]) not in redacted
    assert quote(BODY[:30], safe="") not in redacted


def test_what_stands_around_a_key_stays() -> None:
    assert Redactor()(f"before {KEY} after") == "before …\n after"


@pytest.mark.parametrize(
    "text",
    [
        "GET /?AccessKeySecret=canary-4711&x=1",
        'access_key_secret = "canary-4711"',
        "aliyun configure set --access-key-secret canary-4711",
        "password: canary-4711",
        '{"Password": "canary-4711"}',
        "Authorization: ACS3-HMAC-SHA256 canary-4711",
        "Authorization: Bearer canary-4711",
        "x-acs-security-token: canary-4711",
        "SecurityToken=canary-4711",
        "https://host/?Key=canary-4711&Name=www",
        "PrivateKey='canary-4711'",
        "Signature=canary-4711",
    ],
)
def test_secrets_are_known_by_their_names(text: str) -> None:
    assert "canary-4711" not in Redactor()(text)


@pytest.mark.parametrize(
    "text",
    [
        'aliyun cas UploadUserCertificate --Name www --Cert="$(cat server.crt)" '
        '--Key="$(cat server.key)"',
        "openssl pkcs12 -export -passout file:password.txt",
        "hosts.ECS01.private_key_file=/root/.ssh/id_ed25519",
        "Give it with --pkcs12-password-file FILE",
        "The password must be of ASCII signs",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor(["a-secret-of-mine"])(text) == text


@given(st.text(min_size=6, max_size=40), st.text(max_size=20))
def test_a_known_secret_vanishes_in_every_spelling(secret: str, around: str) -> None:
    redact = Redactor([secret])
    for spelling in (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    ):
        assert spelling not in redact(f"{around}|{spelling}|{around}").replace(around, "")


def test_data_keeps_its_shape() -> None:
    redact = Redactor(["a-secret-of-mine"])
    data = {"a": ["x a-secret-of-mine", 1, None, True], "b": {"a-secret-of-mine": "stays"}}
    assert redact.within(data) == {
        "a": ["x …", 1, None, True],
        "b": {"a-secret-of-mine": "stays"},
    }
