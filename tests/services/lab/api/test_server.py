"""The HTTP server itself: `/_lab`, long URLs, and what it keeps to itself."""

from __future__ import annotations

import http.client
import json
import logging
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.services.lab.api.lab import WAIT_S, Lab


def fetch(
    lab: Lab, method: str, path: str, body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=WAIT_S)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_the_labs_own_page_needs_no_signature(lab: Lab) -> None:
    status, headers, body = fetch(lab, "GET", "/_lab")
    assert status == 200
    assert headers["Content-Type"] == "application/json;charset=utf-8"
    assert json.loads(body) == {"faults": []}


def test_faults_are_switched_while_it_runs(lab: Lab) -> None:
    for method, on in (("PUT", ["api-slow"]), ("PUT", ["api-slow"]), ("DELETE", [])):
        status, _, body = fetch(lab, method, "/_lab/faults/api-slow")
        assert (status, json.loads(body)["faults"]) == (200, on)
        assert list(lab.faults) == on
    for method in ("PUT", "DELETE"):
        status, _, body = fetch(lab, method, "/_lab/faults/no-such-fault")
        assert status == 404
        assert "api-slow" in json.loads(body)["faults"]


def test_an_unsigned_call_is_an_error_in_json(lab: Lab) -> None:
    status, headers, body = fetch(lab, "POST", "/")
    assert (status, json.loads(body)["Code"]) == (400, "MissingParameter")
    assert re.fullmatch(r"[0-9A-F-]{36}", headers["x-acs-request-id"])


def test_a_long_chain_fits_into_a_url(lab: Lab) -> None:
    from alibabacloud_cas20200407 import models

    request = models.UploadUserCertificateRequest(
        name="long", cert="-----BEGIN CERTIFICATE-----\n" * 3000, key="k"
    )
    assert lab.refused(lab.cas.upload_user_certificate, request) == (
        400,
        "CertificateFormatError",
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/?Key=TOP-SECRET", None),
        ("/TOP-SECRET?Key=TOP-SECRET", None),
        ("/", b"Key=TOP-SECRET\xff"),
        ("/?Key=TOP-SECRET", b"x" * (5 << 20)),
    ],
)
def test_nothing_of_a_request_is_logged_or_echoed(
    lab: Lab, path: str, body: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        _, _, answer = fetch(lab, "POST", path, body)
    assert b"TOP-SECRET" not in answer
    assert "TOP-SECRET" not in caplog.text


def test_a_defect_is_logged_without_the_values_in_it(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: str) -> Any:
        raise LookupError("TOP-SECRET")

    from alibabacloud_nlb20220430 import models as m

    account = lab.state.account
    bought = next(iter(account.certificates))
    made = lab.ask(
        lab.nlb.create_listener,
        m.CreateListenerRequest(
            load_balancer_id=next(iter(account.load_balancers)),
            listener_protocol="TCPSSL",
            listener_port=443,
            server_group_id=next(iter(account.server_groups)),
            certificate_ids=[f"{bought}-cn-hangzhou"],
        ),
    )
    lab.state.health = broken
    request = m.GetListenerHealthStatusRequest(listener_id=made.listener_id)
    with pytest.raises(Exception, match="json"):
        lab.nlb.get_listener_health_status(request)
    assert "LookupError" in caplog.text
    assert "TOP-SECRET" not in caplog.text


def test_importing_the_cloud_is_cheap() -> None:
    heavy = ("aiohttp", "cryptography", "paramiko", "Tea", "textual")
    code = (
        "import sys, services.lab.api.server, services.lab.state.cloud\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
