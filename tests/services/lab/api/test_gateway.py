"""What holds for every action: ClientTokens, dry runs, errors, and the API's own faults."""

from __future__ import annotations

import time
from typing import Any

import pytest

from services.lab.faults import FAULTS, Faults
from services.problem import Problem
from services.text import knows
from tests.services.lab.api.lab import Lab


@pytest.fixture(scope="session")
def m() -> Any:
    from alibabacloud_nlb20220430 import models

    return models


def group(lab: Lab, m: Any, **changes: Any) -> Any:
    settings = {
        "server_group_name": "second",
        "vpc_id": next(iter(lab.state.account.vpc_cidrs)),
    }
    return m.CreateServerGroupRequest(**(settings | changes))


def count(lab: Lab) -> int:
    return len(lab.state.account.server_groups)


def test_a_token_serves_once(lab: Lab, m: Any) -> None:
    request = group(lab, m, client_token="token-1")
    first = lab.ask(lab.nlb.create_server_group, request)
    again = lab.ask(lab.nlb.create_server_group, request)
    assert (again.server_group_id, again.job_id) == (first.server_group_id, first.job_id)
    assert again.request_id != first.request_id
    assert count(lab) == 2
    other = group(lab, m, client_token="token-1", server_group_name="third")
    assert lab.refused(lab.nlb.create_server_group, other) == (
        400,
        "IdempotenceSignatureMismatch",
    )


def test_a_token_of_a_refused_call_is_not_used_up(lab: Lab, m: Any) -> None:
    wrong = group(lab, m, client_token="token-1", vpc_id="vpc-other")
    assert lab.refused(lab.nlb.create_server_group, wrong) == (404, "ResourceNotFound.Vpc")
    lab.ask(lab.nlb.create_server_group, group(lab, m, client_token="token-1"))


@pytest.mark.parametrize("token", ["t" * 65, "tökén"])
def test_a_token_is_short_ascii(lab: Lab, m: Any, token: str) -> None:
    request = group(lab, m, client_token=token)
    assert lab.refused(lab.nlb.create_server_group, request) == (400, "IllegalParam.ClientToken")


def test_a_dry_run_changes_nothing_and_says_so_by_an_error(lab: Lab, m: Any) -> None:
    before = lab.state.account
    dry = group(lab, m, dry_run=True, client_token="token-1")
    assert lab.refused(lab.nlb.create_server_group, dry) == (400, "DryRunOperation")
    wrong = group(lab, m, dry_run=True, vpc_id="vpc-other")
    assert lab.refused(lab.nlb.create_server_group, wrong) == (404, "ResourceNotFound.Vpc")
    assert lab.state.account is before
    lab.ask(lab.nlb.create_server_group, group(lab, m, client_token="token-1"))


def test_an_error_tells_where_and_what_but_no_parameter(lab: Lab) -> None:
    from alibabacloud_cas20200407 import models as cas
    from alibabacloud_tea_openapi.exceptions import ClientException

    request = cas.UploadUserCertificateRequest(name="n", cert="CERT-TEXT", key="KEY-TEXT")
    with pytest.raises(ClientException) as refused:
        lab.cas.upload_user_certificate(request)
    reply = refused.value.data
    assert reply["HostId"] == "cas.cn-hangzhou.aliyuncs.com"
    assert reply["RequestId"] == reply["RequestId"].upper()
    assert reply["RequestId"] in reply["Recommend"]
    assert "TEXT" not in str(reply)


def test_a_full_disk_is_an_unavailable_service(
    lab: Lab, m: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise Problem("disk.full")

    monkeypatch.setattr("services.disk.write", full)
    assert lab.refused(lab.nlb.create_server_group, group(lab, m)) == (503, "ServiceUnavailable")
    monkeypatch.undo()
    lab.ask(lab.nlb.create_server_group, group(lab, m))
    assert count(lab) == 2


def regions(lab: Lab, m: Any) -> Any:
    return lab.nlb.describe_regions(m.DescribeRegionsRequest())


def test_every_third_call_is_throttled_in_three_ways(lab: Lab, m: Any) -> None:
    from alibabacloud_tea_openapi.exceptions import (
        ClientException,
        ServerException,
        ThrottlingException,
    )

    lab.faults.add("api-throttled")
    kinds = []
    for _ in range(3):
        regions(lab, m)
        regions(lab, m)
        with pytest.raises((ClientException, ServerException, ThrottlingException)) as refused:
            regions(lab, m)
        assert refused.value.code == "Throttling.User"
        kinds.append((type(refused.value), refused.value.status_code))
    assert kinds == [
        (ClientException, 400),
        (ServerException, 503),
        (ThrottlingException, 429),
    ]
    lab.faults.discard("api-throttled")
    for _ in range(3):
        regions(lab, m)


def test_every_third_reply_is_lost_after_the_work_is_done(lab: Lab, m: Any) -> None:
    from darabonba.exceptions import UnretryableException

    lab.faults.add("api-html-502")
    regions(lab, m)
    regions(lab, m)
    request = group(lab, m, client_token="token-1")
    with pytest.raises(UnretryableException):
        lab.nlb.create_server_group(request)
    assert count(lab) == 2
    lab.ask(lab.nlb.create_server_group, request)
    assert count(lab) == 2


def test_every_third_change_meets_another(lab: Lab, m: Any) -> None:
    lab.faults.add("api-busy")
    codes = []
    for _ in range(2):
        for _ in range(2):
            lab.ask(lab.nlb.create_server_group, group(lab, m))
        codes.append(lab.refused(lab.nlb.create_server_group, group(lab, m)))
    assert codes == [(400, "Conflict.Lock"), (400, "SystemBusy")]


def test_slow_calls(lab: Lab, m: Any) -> None:
    lab.state.timing = type(lab.state.timing)(slow_s=0.2)
    lab.faults.add("api-slow")
    start = time.monotonic()
    regions(lab, m)
    assert time.monotonic() - start >= 0.2


def listener(lab: Lab, m: Any, **changes: Any) -> Any:
    account = lab.state.account
    settings = {
        "load_balancer_id": next(iter(account.load_balancers)),
        "listener_protocol": "TCPSSL",
        "listener_port": 443,
        "server_group_id": next(iter(account.server_groups)),
        "certificate_ids": [f"{list(account.certificates)[-1]}-cn-hangzhou"],
    }
    return m.CreateListenerRequest(**(settings | changes))


def test_no_permission_says_which(lab: Lab, m: Any) -> None:
    from alibabacloud_tea_openapi.exceptions import ClientException

    lab.faults.add("no-permission")
    with pytest.raises(ClientException) as refused:
        lab.nlb.create_listener(listener(lab, m))
    assert (refused.value.status_code, refused.value.code) == (403, "Forbidden.NoPermission")
    detail = refused.value.access_denied_detail
    assert detail["AuthAction"] == "nlb:CreateListener"
    assert detail["NoPermissionType"] == "ImplicitDeny"
    regions(lab, m)


def test_a_full_balancer(lab: Lab, m: Any) -> None:
    lab.faults.add("quota-exceeded")
    assert lab.refused(lab.nlb.create_listener, listener(lab, m)) == (
        400,
        "QuotaExceeded.QuotaInsufficient",
    )


def test_a_stuck_job_goes_on_for_a_while(lab: Lab, m: Any) -> None:
    lab.faults.add("job-stuck-a-while")
    made = lab.ask(lab.nlb.create_listener, listener(lab, m))
    request = m.GetJobStatusRequest(job_id=made.job_id)
    lab.settle()
    assert lab.ask(lab.nlb.get_job_status, request).status == "Processing"
    lab.clock.skip(5)
    assert lab.ask(lab.nlb.get_job_status, request).status == "Succeeded"


def test_a_new_certificate_is_unknown_to_the_balancer_for_a_while(lab: Lab, m: Any) -> None:
    from alibabacloud_cas20200407 import models as cas

    from tests.services.lab.api.test_cas import Pair, upload

    lab.faults.add("certificate-not-found-yet")
    pair = Pair(lab.clock())
    lab.ask(lab.nlb.create_listener, listener(lab, m, listener_port=8443))
    lab.settle()
    lab.ask(lab.cas.upload_user_certificate, upload(cas, pair))
    ca = lab.ask(
        lab.cas.upload_pcacert,
        cas.UploadPCACertRequest(
            warehouse_id=next(iter(lab.state.account.repositories)), cert=pair.ca
        ),
    ).identifier
    request = listener(lab, m, ca_enabled=True, ca_certificate_ids=[ca])
    assert lab.refused(lab.nlb.create_listener, request) == (400, "ResourceNotFound.Certificate")
    bought = next(iter(lab.state.account.certificates))
    request.certificate_ids = [f"{bought}-cn-hangzhou"]
    assert lab.refused(lab.nlb.create_listener, request) == (
        404,
        "ResourceNotFound.CaCertificate",
    )
    lab.clock.skip(2)
    lab.ask(lab.nlb.create_listener, request)


def test_every_fault_has_its_sentence() -> None:
    assert [name for name, kind in FAULTS.items() if not knows(kind.key)] == []
    assert all(kind.name == name for name, kind in FAULTS.items())


def test_faults_are_a_set_of_known_names() -> None:
    faults = Faults(["api-slow"])
    heard: list[list[str]] = []
    faults.on_change(lambda: heard.append(list(faults)))
    faults.add("api-busy")
    faults.add("api-busy")
    faults.discard("api-slow")
    faults.discard("api-slow")
    assert heard == [["api-busy", "api-slow"], ["api-busy"]]
    assert (faults.on("api-busy"), "api-slow" in faults, len(faults)) == (True, False, 1)
    assert [faults.turn("api-busy") for _ in range(3)] == [1, 2, 3]
    assert faults.turn("api-slow") == 0
    for change in (faults.add, faults.discard):
        with pytest.raises(KeyError):
            change("no-such-fault")
