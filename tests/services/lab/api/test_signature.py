"""Who is let in: judged by the vendor's SDK, and by openssl and curl in a shell."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lab.api.errors import ApiError
from services.lab.api.signature import Received, Signatures
from services.lab.state.account import AccessKey
from tests.programs import program
from tests.services.lab.api.lab import WAIT_S, Lab

VERSION = "2022-04-30"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Request:
    """A request as a careful client would send it, for a test to spoil."""

    action: str = "ListLoadBalancers"
    version: str = VERSION
    query: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    changes: dict[str, str] = field(default_factory=dict)
    """Headers to sign that differ."""
    after: dict[str, str] = field(default_factory=dict)
    """Headers to change once it is signed; an empty one is left out."""
    body_after: bytes | None = None
    secret: str = ""


def send(lab: Lab, request: Request) -> tuple[int, dict[str, Any]]:
    """Sign by the SDK's own arithmetic, send, and read the answer."""
    from alibabacloud_tea_openapi.utils import Utils

    body = urlencode(request.form).encode()
    key = lab.state.account.access_key
    headers = {
        "host": f"127.0.0.1:{lab.port}",
        "x-acs-action": request.action,
        "x-acs-version": request.version,
        "x-acs-date": datetime.fromtimestamp(lab.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
    }
    if body:
        headers["content-type"] = FORM
    headers |= request.changes
    signed = SimpleNamespace(
        pathname="/", query=request.query, headers=headers, method=request.method
    )
    headers["Authorization"] = Utils.get_authorization(
        signed,
        "ACS3-HMAC-SHA256",
        headers["x-acs-content-sha256"],
        key.id,
        request.secret or key.secret,
    )
    headers = {name: value for name, value in (headers | request.after).items() if value}
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=WAIT_S)
    try:
        path = "/?" + urlencode(request.query) if request.query else "/"
        sent = body if request.body_after is None else request.body_after
        connection.request(request.method, path, sent, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def code(lab: Lab, request: Request) -> tuple[int, str]:
    status, body = send(lab, request)
    return status, body.get("Code", "")


def test_parameters_count_wherever_they_are(lab: Lab) -> None:
    zone = {"RegionId": "cn-hangzhou"}
    for request in (
        Request("DescribeZones", query=zone),
        Request("DescribeZones", form=zone),
        Request("DescribeCACertificateCount", "2020-06-30", method="GET"),
    ):
        assert code(lab, request) == (200, "")


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (Request(secret="another"), (400, "SignatureDoesNotMatch")),
        (Request(after={"x-acs-action": "DeleteLoadBalancer"}), (400, "SignatureDoesNotMatch")),
        (Request(form={"A": "1"}, body_after=b"A=2"), (400, "SignatureDoesNotMatch")),
        (Request(after={"Authorization": ""}), (400, "MissingParameter")),
        (Request(after={"Authorization": "Bearer x"}), (400, "IncompleteSignature")),
        (
            Request(after={"Authorization": "ACS3-HMAC-SHA256 Credential=nobody,Signature=1"}),
            (404, "InvalidAccessKeyId.NotFound"),
        ),
        (Request(after={"x-acs-date": ""}), (400, "MissingParameter")),
        (Request(after={"x-acs-signature-nonce": ""}), (400, "MissingParameter")),
        (
            Request(changes={"x-acs-date": "2020-01-01T00:00:00Z"}),
            (400, "InvalidTimeStamp.Expired"),
        ),
        (Request(changes={"x-acs-date": "yesterday"}), (400, "InvalidTimeStamp.Format")),
        (
            Request(changes={"x-acs-security-token": "sts"}),
            (400, "InvalidSecurityToken.Malformed"),
        ),
        (
            Request(form={"A": "1"}, changes={"content-type": "text/plain"}),
            (415, "UnsupportedContentType"),
        ),
        (Request("ListNothing"), (404, "InvalidAction.NotFound")),
        (Request(version="2000-01-01"), (404, "InvalidVersion")),
        (Request(method="GET"), (405, "UnsupportedHTTPMethod")),
    ],
)
def test_who_is_not_let_in(lab: Lab, request_: Request, refusal: tuple[int, str]) -> None:
    assert code(lab, request_) == refusal


def test_headers_that_matter_must_be_signed(lab: Lab) -> None:
    key = lab.state.account.access_key
    authorization = f"ACS3-HMAC-SHA256 Credential={key.id},SignedHeaders=host,Signature=0"
    assert code(lab, Request(after={"Authorization": authorization})) == (
        400,
        "IncompleteSignature",
    )


def test_a_nonce_serves_once(lab: Lab) -> None:
    request = Request(changes={"x-acs-signature-nonce": "once"})
    assert code(lab, request) == (200, "")
    assert code(lab, request) == (400, "SignatureNonceUsed")
    spoilt = replace(request, changes={"x-acs-signature-nonce": "twice"}, secret="another")
    assert code(lab, spoilt) == (400, "SignatureDoesNotMatch")
    assert code(lab, replace(spoilt, secret="")) == (200, "")


def test_a_clock_that_is_a_little_off_is_fine(lab: Lab) -> None:
    for seconds, refusal in ((800, (200, "")), (1000, (400, "InvalidTimeStamp.Expired"))):
        at = datetime.fromtimestamp(lab.clock() - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert code(lab, Request(changes={"x-acs-date": at})) == refusal


def test_the_older_signature_of_the_vendors_cli(lab: Lab) -> None:
    """`signature_algorithm="v2"` is the RPC scheme: HMAC-SHA1 over all parameters."""
    from alibabacloud_cas20200407 import models as cas
    from alibabacloud_cas20200407.client import Client as Cas
    from alibabacloud_nlb20220430 import models as nlb
    from alibabacloud_nlb20220430.client import Client as Nlb

    old = lab.config(signature_algorithm="v2")
    request = nlb.CreateServerGroupRequest(
        server_group_name="old~*way", vpc_id=next(iter(lab.state.account.vpc_cidrs))
    )
    assert lab.refused(Nlb(old).create_server_group, request) == (
        400,
        "IllegalParam.ServerGroupName",
    )
    request.server_group_name = "old-way"
    lab.ask(Nlb(old).create_server_group, request)
    listed = lab.ask(Cas(old).list_cert_warehouse, cas.ListCertWarehouseRequest(name="a b+c/é"))
    assert listed.total_count == 0
    wrong = lab.config(signature_algorithm="v2", access_key_secret="another")
    assert lab.refused(Nlb(wrong).create_server_group, request) == (
        400,
        "SignatureDoesNotMatch",
    )
    nobody = lab.config(signature_algorithm="v2", access_key_id="nobody")
    assert lab.refused(Nlb(nobody).create_server_group, request) == (
        404,
        "InvalidAccessKeyId.NotFound",
    )


async def test_the_async_client_spells_the_query_otherwise(lab: Lab) -> None:
    from alibabacloud_cas20200407 import models

    request = models.ListUserCertificateOrderRequest(keyword="*~'()中 +%:/")
    response = await lab.cas.list_user_certificate_order_async(request)
    assert response.body.total_count == 0


SHELL_CLIENT = r"""
set -eu
sha256() { openssl dgst -sha256 -hex | sed 's/^.*= //'; }
nonce=$(openssl rand -hex 16)
date=$(date -u +%Y-%m-%dT%H:%M:%SZ)
digest=$(printf '' | sha256)
signed='host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version'
canonical=$(printf 'POST\n/\nRegionId=cn-hangzhou\n%s\n%s\n%s\n%s\n%s\n%s\n\n%s\n%s' \
  "host:127.0.0.1:$PORT" "x-acs-action:DescribeZones" "x-acs-content-sha256:$digest" \
  "x-acs-date:$date" "x-acs-signature-nonce:$nonce" "x-acs-version:2022-04-30" \
  "$signed" "$digest")
hashed=$(printf '%s' "$canonical" | sha256)
signature=$(printf 'ACS3-HMAC-SHA256\n%s' "$hashed" | openssl dgst -sha256 -hmac "$SECRET" -hex |
  sed 's/^.*= //')
curl -sS --noproxy '*' -X POST "http://127.0.0.1:$PORT/?RegionId=cn-hangzhou" \
  -H "x-acs-action: DescribeZones" -H "x-acs-version: 2022-04-30" -H "x-acs-date: $date" \
  -H "x-acs-signature-nonce: $nonce" -H "x-acs-content-sha256: $digest" \
  -H "Authorization: ACS3-HMAC-SHA256 Credential=$ID,SignedHeaders=$signed,Signature=$signature"
"""


def test_a_shell_with_openssl_and_curl_is_a_client_too(lab: Lab) -> None:
    program("openssl"), program("curl")
    key = lab.state.account.access_key
    ran = subprocess.run(
        ["sh", "-c", SHELL_CLIENT],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin",
            "PORT": str(lab.port),
            "ID": key.id,
            "SECRET": key.secret,
        },
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert ran.returncode == 0, ran.stderr
    zones = json.loads(ran.stdout)["Zones"]
    assert [zone["ZoneId"] for zone in zones] == ["cn-hangzhou-j", "cn-hangzhou-k"]


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=6))
def test_however_the_query_is_spelt_its_signature_is_the_same(query: dict[str, str]) -> None:
    from alibabacloud_tea_openapi.utils import Utils

    key = AccessKey("id", "secret")
    plain = {f"k{index}": value for index, value in enumerate(query.values())}
    headers = {
        "host": "127.0.0.1",
        "x-acs-action": "A",
        "x-acs-date": "1970-01-01T00:00:00Z",
        "x-acs-signature-nonce": "n",
        "x-acs-version": "V",
    }
    empty = hashlib.sha256(b"").hexdigest()
    signed = SimpleNamespace(pathname="/", query=plain, headers=headers, method="POST")
    headers["authorization"] = Utils.get_authorization(
        signed, "ACS3-HMAC-SHA256", empty, key.id, key.secret
    )
    for spelt in (urlencode(plain), urlencode(plain, quote_via=quote, safe="*~'():/")):
        received = Received("POST", "/", spelt, {k: (v,) for k, v in headers.items()}, b"")
        operation = Signatures(key, lambda: 0.0).verify(received)
        assert operation.parameters == plain


@given(
    st.dictionaries(st.sampled_from(["authorization", "x-acs-date", "content-type"]), st.text()),
    st.text(max_size=30),
    st.binary(max_size=30),
)
def test_whatever_comes_is_refused_in_the_vendors_words(
    headers: dict[str, str], query: str, body: bytes
) -> None:
    received = Received("POST", "/", query, {k: (v,) for k, v in headers.items()}, body)
    with pytest.raises(ApiError):
        Signatures(AccessKey("id", "secret"), lambda: 0.0).verify(received)
