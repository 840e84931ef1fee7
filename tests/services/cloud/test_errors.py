"""Whatever goes wrong becomes a Problem with words, and nothing secret is in any of it."""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import tomllib
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from string import Formatter
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import services.cloud
from services.cloud import errors
from services.cloud.api import Call
from services.cloud.connect import connect
from services.cloud.credentials import AccessKey
from services.cloud.errors import Where
from services.cloud.foreign import clean
from services.problem import Exit, Problem
from services.stop import Stop
from tests.services.cloud.conftest import QUICK, SECRET, Ask, cloud_at
from tests.services.cloud.responder import (
    Handler,
    Reply,
    Request,
    answer,
    refusal,
    responding,
    tls_server,
)

KEY_BODY = base64.b64encode(bytes((i * 89 + 41) % 251 for i in range(120))).decode()
KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join(KEY_BODY[i : i + 64] for i in range(0, len(KEY_BODY), 64))
    + "\n-----END PRIVATE KEY-----\n"
)


@pytest.mark.parametrize(
    ("status", "vendor_code", "code"),
    [
        (404, "ResourceNotFound.loadBalancer", "cloud.not-found"),
        (404, "resourcenotfound.LISTENER", "cloud.not-found"),
        (404, "NotFound", "cloud.not-found"),
        (404, "InvalidInstanceId.NotFound", "cloud.not-found"),
        (404, "InvalidAccessKeyId.NotFound", "cloud.bad-key"),
        (404, "InvalidAccessKeyId.Inactive", "cloud.bad-key"),
        (404, "InvalidAction.NotFound", "cloud.refused"),
        (403, "Forbidden.NoPermission", "cloud.forbidden"),
        (403, "NoPermission", "cloud.forbidden"),
        (403, "SomethingNew", "cloud.forbidden"),
        (400, "SignatureDoesNotMatch", "cloud.bad-signature"),
        (400, "IncompleteSignature", "cloud.bad-signature"),
        (400, "InvalidTimeStamp.Expired", "cloud.clock-skew"),
        (400, "InvalidSecurityToken.Expired", "cloud.token-expired"),
        (400, "InvalidSecurityToken.Malformed", "cloud.bad-token"),
        (400, "Throttling.User", "cloud.throttled"),
        (503, "Throttling.Api", "cloud.throttled"),
        (400, "Rejected.Throttling", "cloud.throttled"),
        (429, "SlowDown", "cloud.throttled"),
        (400, "SystemBusy", "cloud.busy"),
        (400, "Conflict.Lock", "cloud.busy"),
        (400, "IncorrectStatus.serverGroup", "cloud.busy"),
        (400, "ResourceInConfiguring.loadbalancer", "cloud.busy"),
        (400, "OperationFailed.ResourceIsConfiguring", "cloud.busy"),
        (500, "InternalError", "cloud.unavailable"),
        (503, "ServiceUnavailable", "cloud.unavailable"),
        (500, "WhoKnows", "cloud.unavailable"),
        (400, "Conflict.Port", "cloud.conflict-port"),
        (400, "ResourceNotFound.Certificate", "cloud.certificate-not-found"),
        (404, "ResourceNotFound.CaCertificate", "cloud.ca-not-found"),
        (400, "IllegalParam.PreserveClientIpSwitch", "cloud.preserve-client-ip"),
        (400, "QuotaExceeded.QuotaInsufficient", "cloud.quota"),
        (400, "ResourceNotEnough.CaCertificateApiCount", "cloud.quota"),
        (400, "ResourceInUse.ServerGroup", "cloud.in-use"),
        (400, "Mismatch.VpcId", "cloud.wrong-vpc"),
        (400, "IdempotenceSignatureMismatch", "cloud.token-reused"),
        (400, "MissingParam.Certificate", "cloud.refused"),
        (400, "OperationDenied.DeletionProtectionEnabled", "cloud.refused"),
        (400, "OperationDenied.ServiceLinkedRoleNotExist", "cloud.refused"),
        (400, "InvalidSecurityGroupRule.RuleNotExist", "cloud.not-found"),
    ],
)
def test_vendor_codes_become_problems_with_the_code_and_request_id(
    status: int, vendor_code: str, code: str
) -> None:
    calls: list[Call] = []
    reply = refusal(status, vendor_code, "The thing is {so}.")
    with responding(lambda request: reply) as responder, pytest.raises(Problem) as raised:
        cloud_at(responder.url, calls, replace(QUICK, patience_s=0)).nlb.load_balancer(
            "nlb-1", Stop()
        )
    problem = raised.value
    assert problem.code == code
    assert problem.evidence.startswith(f"{vendor_code} (HTTP {status}, RequestId 0A1B-TEST)")
    assert ("The thing is {so}." in problem.evidence) is (code != "cloud.bad-signature")
    assert all((problem.words().what, problem.words().cause, problem.words().remedy))
    assert problem.__context__ is None
    assert problem.__cause__ is None
    assert calls[-1].outcome == vendor_code
    assert calls[-1].request_id == "0A1B-TEST"


def test_a_forbidden_call_names_the_permission_that_is_missing(ask: Ask) -> None:
    denied = {"AuthAction": "nlb:GetLoadBalancerAttribute", "NoPermissionType": "ImplicitDeny"}
    cloud, _, _ = ask(
        lambda request: (
            refusal(403, "Forbidden.NoPermission", AccessDeniedDetail=denied)
            if request.action == "GetLoadBalancerAttribute"
            else refusal(403, "NoPermission")
        )
    )
    with pytest.raises(Problem) as raised:
        cloud.nlb.load_balancer("nlb-1", Stop())
    assert "nlb:GetLoadBalancerAttribute" in raised.value.words().remedy
    with pytest.raises(Problem) as raised:
        cloud.cas.ca_repositories(Stop())
    assert "yundun-cert:ListCertWarehouse" in raised.value.words().remedy


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(502, b"<html><h1>502 Bad Gateway</h1></html>"), "cloud.bad-answer"),
        (Reply(200, b"<html>Please sign in</html>"), "cloud.bad-answer"),
        (Reply(302, b"<p>elsewhere</p>"), "cloud.bad-answer"),
        (Reply(302, b"", {"Location": "/"}), "cloud.bad-answer"),
        (Reply(200, b""), "cloud.bad-answer"),
        (Reply(500, b""), "cloud.bad-answer"),
        (Reply(400, b'"just a text"'), "cloud.bad-answer"),
        (Reply(400, b"null"), "cloud.bad-answer"),
        (Reply(200, b"null"), "cloud.bad-answer"),
        (Reply(200, b"[]"), "cloud.bad-answer"),
        (Reply(200, b"\xff\xfe\x00garbage"), "cloud.bad-answer"),
        (Reply(200, b'{"LoadBalancerId":'), "cloud.bad-answer"),
        (Reply(200, b'{"LoadBalancerId":{"a":1}}'), "cloud.bad-answer"),
        (Reply(200, b'{"LoadBalancerId":"nlb-1","ZoneMappings":"none"}'), "cloud.bad-answer"),
        (Reply(200, b'{"LoadBalancerId":"nlb-1","ZoneMappings":[7]}'), "cloud.bad-answer"),
        (Reply(200, b'{"LoadBalancerId":"nlb-1","CrossZoneEnabled":"maybe"}'), "cloud.bad-answer"),
        (Reply(200, b"{}"), "cloud.bad-answer"),
        (Reply(400, b'{"Code":["a"],"Message":{"b":1}}'), "cloud.refused"),
        (Reply(400, b"{}"), "cloud.refused"),
        (Reply(200, b'{"LoadBalancerId":"nlb-1"}', cut=0), "cloud.cut"),
        (Reply(200, b'{"LoadBalancerId":"nlb-1"}', cut=20), "cloud.bad-answer"),
        (Reply(200, b'{"LoadBalancerId":"nlb-1"}', cut=50), "cloud.cut"),
    ],
)
def test_what_is_no_answer_of_the_api_is_said_so(ask: Ask, reply: Reply, code: str) -> None:
    cloud, _, _ = ask(lambda request: reply)
    with pytest.raises(Problem) as raised:
        cloud.nlb.load_balancer("nlb-1", Stop())
    assert raised.value.code == code
    assert all((raised.value.words().what, raised.value.words().remedy, raised.value.evidence))


def test_values_of_another_type_are_read_where_the_meaning_is_plain(ask: Ask) -> None:
    cloud, _, _ = ask(
        lambda request: answer(
            ServerGroups=[
                {
                    "ServerGroupId": "sgp-1",
                    "ServerCount": "2",
                    "PreserveClientIpEnabled": "false",
                    "HealthCheck": None,
                    "Tags": None,
                }
            ],
            TotalCount="1",
        )
    )
    (group,) = cloud.nlb.server_groups(Stop())
    assert (group.server_count, group.preserve_client_ip, group.health_check) == (2, False, True)


def test_an_answer_that_the_sdk_cannot_model_is_still_read(ask: Ask) -> None:
    """The SDK's model fails on a text where it wants an object, and then holds nothing at all."""
    fields = {"ListenerId": "lsn-1@443", "ListenerPort": 443, "ProxyProtocolV2Config": "off"}
    cloud, _, _ = ask(lambda request: answer(**fields))
    listener = cloud.nlb.listener("lsn-1@443", Stop())
    assert listener is not None
    assert listener.settings.port == 443


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)
error_fields = st.sampled_from(["Code", "Message", "RequestId", "AccessDeniedDetail", "Detail"])


def test_any_json_at_any_status_is_an_answer_or_a_problem() -> None:
    reply = [Reply()]
    with responding(lambda request: reply[0]) as responder:
        cloud = cloud_at(responder.url)

        @given(
            status=st.integers(200, 599).filter(lambda status: status not in {204, 304}),
            body=json_values | st.dictionaries(error_fields, json_values),
        )
        @settings(max_examples=60)
        def holds(status: int, body: object) -> None:
            reply[0] = Reply(status, json.dumps(body).encode())
            problem = _problem(lambda: cloud.cas.server_certificate("5", Stop()))
            if problem is not None:
                assert all((problem.words().what, problem.words().cause, problem.words().remedy))
                assert problem.evidence.isprintable()
                assert len(problem.evidence) < 1000

        holds()


def _problem(ask: Callable[[], object]) -> Problem | None:
    try:
        ask()
    except Problem as problem:
        return problem
    return None


def _echoes(request: Request) -> list[str]:
    """The private key as a careless server or proxy would send it back."""
    key = request.parameters["Key"]
    return [
        key,
        request.target,
        quote(key),
        quote_plus(key),
        quote(quote(key)),
        json.dumps(key),
        key.replace("\n", " "),
        key.replace("\n", ""),
        key[40:],
        key[:-60],
        "".join(key.splitlines()[1:-1]),
        key.splitlines()[2],
        f"Key={quote_plus(key)}&Name=x",
        f"invalid value '{key.splitlines()[1][:30]}'",
        f"secret {SECRET} of Key",
    ]


CARELESS: list[tuple[str, Handler]] = [
    ("hang", lambda request: Reply(hang=True)),
    ("drip", lambda request: Reply(drip=True, body=b"x" * 500)),
    ("cut", lambda request: Reply(cut=0)),
    ("cut within", lambda request: Reply(body=b"x" * 100, cut=70)),
    ("request line too long", lambda request: Reply(400, request.target.encode())),
    ("html", lambda request: Reply(502, f"<p>cannot reach {request.target}</p>".encode())),
    ("not json", lambda request: Reply(200, f'{{"Key": "{request.target}'.encode())),
    (
        "redirect",
        lambda request: Reply(302, b"", {"Location": f"http://x.invalid{request.target}"}),
    ),
    ("list", lambda request: Reply(200, json.dumps(_echoes(request)).encode())),
    ("wrong type", lambda request: answer(CertId=[request.target], Key=_echoes(request))),
]


def _refusing(code: str, n: int) -> Handler:
    return lambda request: refusal(400, code, _echoes(request)[n])


CARELESS += [
    (f"{code} {n}", _refusing(code, n))
    for n in range(15)
    for code in ("IllegalParam.Key", "SignatureDoesNotMatch")
]


@pytest.mark.parametrize(("how", "handler"), CARELESS, ids=[how for how, _ in CARELESS])
def test_a_private_key_is_in_nothing_that_a_failure_leaves_behind(
    how: str,
    handler: Handler,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEBUG", "sdk")  # the SDK prints whole requests then
    caplog.set_level(logging.DEBUG)
    calls: list[Call] = []
    with responding(handler) as responder:
        pace = replace(QUICK, call_limit_s=0.3, backoff_s=0)
        keys = AccessKey("LTAI5tTestTestTest", SECRET)
        cloud = connect(
            "cn-hangzhou", api=responder.url, keys=keys, on_call=calls.append, pace=pace
        )
        with pytest.raises(Problem) as raised:
            cloud.cas.upload_server_certificate("www", "CERT", KEY, "token", Stop())
    problem = raised.value
    left = [*traceback.format_exception(problem), repr(problem), problem.evidence]
    left += [repr(problem.words()), repr(problem.facts), repr(calls), caplog.text]
    left += [*capfd.readouterr()]
    assert calls
    for text in left:
        assert not _leaks(text), text


def _leaks(text: str) -> bool:
    """Whether any eight signs of the key, or of the AccessKey's secret, stand in `text`."""
    bare = re.sub(r"\\n|\s", "", unquote(unquote(text)))
    return any(
        secret[at : at + 8] in bare
        for secret in (KEY_BODY, SECRET)
        for at in range(len(secret) - 7)
    )


@given(
    before=st.text(max_size=30),
    after=st.text(max_size=30),
    start=st.integers(0, len(KEY) - 10),
    length=st.integers(8, len(KEY)),
    encode=st.sampled_from([str, quote, quote_plus, json.dumps, repr]),
)
@settings(max_examples=300)
def test_no_piece_of_a_secret_survives_cleaning(
    before: str, after: str, start: int, length: int, encode: Callable[[str], str]
) -> None:
    cleaned = clean(before + encode(KEY[start : start + length]) + after, [KEY])
    assert not _leaks(cleaned)
    assert cleaned.isprintable()
    assert len(cleaned) <= 301


@given(st.text())
def test_cleaning_is_stable(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    "message",
    [
        "The specified resource of loadbalancer is not found.",
        "The status of loadbalancer [nlb-wb7r6dlwetvt5j0000] is incorrect.",
        "The VpcId is mismatched for vpc-bp1b49rqrybk45nio0000 and lsn-bp1bpn0kn908w4nbw0000@443.",
        "user not authorized to operate on the specified resource, or this API does not do RAM.",
    ],
)
def test_the_vendors_own_messages_are_shown_as_they_are(message: str) -> None:
    assert clean(message, [KEY]) == message


def test_every_code_that_is_raised_has_words_and_every_word_its_fact() -> None:
    room = Path(services.cloud.__path__[0])
    source = "".join(path.read_text() for path in room.glob("*.py"))
    raised = set(re.findall(r'"cloud\.([a-z-]+)"', source))
    raised |= {name for _, name, _ in errors._RULES}
    raised |= set(re.findall(r'failure\(\s*"([a-z-]+)"', source)) | {"forbidden", "refused"}
    catalogue = tomllib.loads((room.parent / "text" / "en" / "cloud.toml").read_text())["problem"]
    assert raised == set(catalogue)
    known = set(Where("nlb", "X", "r", "h").facts())
    special = {
        "bad-api-address": {"address"},
        "job-failed": {"subject", "product"},
        "not-in-time": {"subject", "product", "seconds"},
        "not-found": {"subject", "product", "region"},
    }
    for name, words in catalogue.items():
        facts = special.get(name, known | {"message", "vendor_code", "proxy"})
        for part in ("what", "cause", "remedy"):
            used = {field for _, field, _, _ in Formatter().parse(words[part]) if field}
            assert used <= facts, f"{name}.{part}"


def test_an_untrusted_certificate_is_a_problem_of_its_own(tmp_path: Path) -> None:
    with tls_server(tmp_path) as url, pytest.raises(Problem) as raised:
        cloud_at(url).sts.caller(Stop())
    assert raised.value.code == "cloud.tls"
    assert "self-signed certificate" in raised.value.evidence


def test_a_closed_port_and_a_proxy_that_refuses_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Problem) as raised:
        cloud_at(f"http://127.0.0.1:{port}").sts.caller(Stop())
    assert raised.value.code == "cloud.unreachable"
    assert f"127.0.0.1:{port}" in raised.value.words().what
    monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:{SECRET}@127.0.0.1:{port}")
    with pytest.raises(Problem) as raised:
        cloud_at("https://127.0.0.1:9").sts.caller(Stop())
    assert raised.value.code == "cloud.proxy"
    assert f"127.0.0.1:{port}" in raised.value.words().what
    assert SECRET not in repr(raised.value.words())


def test_a_key_with_signs_that_no_header_takes_is_a_bad_key(ask: Ask) -> None:
    _, responder, _ = ask(lambda request: answer(AccountId="1"))
    for key_id in ("LTAI\nX: y", "LTAI-ключ"):
        cloud = connect("cn-hangzhou", api=responder.url, keys=AccessKey(key_id, SECRET))
        with pytest.raises(Problem) as raised:
            cloud.sts.caller(Stop())
        assert raised.value.code == "cloud.bad-key"
    assert responder.seen == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:8099", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://h/v1", "x"],
)
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(Problem) as raised:
        connect("cn-hangzhou", api=address)
    assert raised.value.code == "cloud.bad-api-address"
    assert raised.value.exit is Exit.USAGE
    assert address in raised.value.words().what


def test_an_empty_region_is_said_so() -> None:
    with pytest.raises(Problem) as raised:
        connect("", keys=AccessKey("LTAI", SECRET)).nlb.load_balancers(Stop())
    assert raised.value.code == "cloud.no-region"
    assert raised.value.words().remedy
