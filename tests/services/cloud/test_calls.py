"""A call is repeated where that is right, ends when the person stops, and is told to the log."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from services.cloud.api import Call
from services.cloud.connect import connect
from services.cloud.credentials import AccessKey
from services.cloud.equivalent import FileRef, aliyun
from services.cloud.port import IngressRule, ListenerSettings, Server
from services.cloud.sdk import load
from services.problem import Problem, Stopped
from services.stop import Stop
from tests.services.cloud.conftest import QUICK, SECRET, Ask, cloud_at
from tests.services.cloud.responder import Reply, Request, answer, refusal, responding

SETTINGS = ListenerSettings(443, "sgp-1", "5-cn-hangzhou", "ca-1", "tls_cipher_policy_1_2")


class Script:
    """Answers each action with the next of its replies, and with the last of them for ever."""

    def __init__(self, **replies: Reply | list[Reply]) -> None:
        self._replies = {
            action: [*reply] if isinstance(reply, list) else [reply]
            for action, reply in replies.items()
        }

    def __call__(self, request: Request) -> Reply:
        replies = self._replies[request.action]
        return replies.pop(0) if len(replies) > 1 else replies[0]


RUNNING = answer(ListenerId="lsn-1@443", ListenerStatus="Running", ListenerPort=443)
DONE = answer(Status="Succeeded")
MADE = answer(ListenerId="lsn-1@443", JobId="job-1")


@pytest.mark.parametrize(
    "busy",
    [
        refusal(400, "Throttling.User"),
        refusal(503, "Throttling.User"),
        Reply(429, b'{"Code":"Slow"}', {"x-acs-retry-after": "2"}),
        refusal(400, "SystemBusy"),
        refusal(400, "Conflict.Lock"),
        refusal(400, "IncorrectStatus.loadbalancer"),
        refusal(500, "InternalError"),
        Reply(502, b"<html>Bad Gateway</html>"),
        Reply(cut=0),
    ],
)
def test_a_write_is_repeated_with_the_same_token(ask: Ask, busy: Reply) -> None:
    cloud, responder, calls = ask(
        Script(CreateListener=[busy, busy, MADE], GetJobStatus=DONE, GetListenerAttribute=RUNNING)
    )
    assert cloud.nlb.create_listener("nlb-1", SETTINGS, "token-1", Stop()) == "lsn-1@443"
    writes = [one for one in responder.seen if one.action == "CreateListener"]
    assert [one.parameters["ClientToken"] for one in writes] == ["token-1"] * 3
    assert len({one.headers["x-acs-signature-nonce"] for one in writes}) == 3
    tries = [call for call in calls if call.action == "CreateListener"]
    assert [call.attempt for call in tries] == [1, 2, 3]
    assert tries[0].retry_in_s is not None
    assert tries[-1].retry_in_s is None
    assert [call.outcome for call in tries][-1] == "OK"


@pytest.mark.parametrize("unsure", [Reply(cut=0), refusal(500, "InternalError"), Reply(502, b"x")])
def test_a_write_without_token_that_may_have_happened_is_not_repeated(
    ask: Ask, unsure: Reply
) -> None:
    cloud, responder, _ = ask(Script(UploadPCACert=unsure, ListCert=answer()))
    with pytest.raises(Problem):
        cloud.cas.upload_ca_certificate("1", "ca", "PEM", "token", Stop())
    assert responder.actions() == ["UploadPCACert", "ListCert"]


def test_a_write_without_token_that_was_turned_away_is_repeated(ask: Ask) -> None:
    cloud, responder, _ = ask(
        Script(UploadPCACert=[refusal(400, "Throttling.User"), answer(Identifier="ca-1")])
    )
    assert cloud.cas.upload_ca_certificate("1", "ca", "PEM", "token", Stop()) == "ca-1"
    assert len(responder.seen) == 2


def test_patience_ends_and_the_problem_says_how_often_it_was_tried(ask: Ask) -> None:
    cloud, responder, _ = ask(lambda request: refusal(400, "Conflict.Lock", "Locked."))
    with pytest.raises(Problem) as raised:
        cloud.nlb.delete_listener("lsn-1@443", "token", Stop())
    assert raised.value.code == "cloud.busy"
    assert f"(asked {len(responder.seen)} times" in raised.value.evidence
    assert len(responder.seen) > 3


@pytest.mark.parametrize(
    "code", ["Forbidden.NoPermission", "SignatureDoesNotMatch", "Conflict.Port"]
)
def test_what_time_does_not_heal_is_asked_once(ask: Ask, code: str) -> None:
    cloud, responder, _ = ask(lambda request: refusal(400, code))
    with pytest.raises(Problem):
        cloud.nlb.create_listener("nlb-1", SETTINGS, "token", Stop())
    assert len(responder.seen) == 1


def test_a_certificate_unknown_to_the_balancer_is_waited_for_only_after_an_upload(ask: Ask) -> None:
    absent = refusal(400, "ResourceNotFound.Certificate")
    cloud, responder, _ = ask(
        Script(
            CreateListener=[absent, absent, refusal(404, "ResourceNotFound.CaCertificate"), MADE],
            GetJobStatus=DONE,
            GetListenerAttribute=RUNNING,
            UploadUserCertificate=answer(CertId=5),
            GetUserCertificateDetail=[
                refusal(404, "NotFound"),
                answer(Id=5, CertIdentifier="5-cn-hangzhou", Sha2="ab"),
            ],
            UploadPCACert=answer(Identifier="ca-1"),
        )
    )
    with pytest.raises(Problem) as raised:
        cloud.nlb.create_listener("nlb-1", SETTINGS, "token", Stop())
    assert raised.value.code == "cloud.certificate-not-found"
    assert "5-cn-hangzhou" in raised.value.words().what
    assert len(responder.seen) == 1
    made = cloud.cas.upload_server_certificate("www", "CERT", "KEY", "token", Stop())
    assert (made.certificate_id, made.sha256) == ("5-cn-hangzhou", "AB")
    cloud.cas.upload_ca_certificate("1", "ca", "PEM", "token", Stop())
    assert cloud.nlb.create_listener("nlb-1", SETTINGS, "token", Stop()) == "lsn-1@443"
    assert responder.actions().count("CreateListener") == 4


def test_stop_ends_a_hanging_call_at_once() -> None:
    calls: list[Call] = []
    with responding(lambda request: Reply(hang=True)) as responder:
        cloud = connect(
            "cn-hangzhou", api=responder.url, keys=AccessKey("LTAI", SECRET), on_call=calls.append
        )
        stop, ended = Stop(), threading.Event()

        def ask() -> None:
            with pytest.raises(Stopped):
                cloud.nlb.load_balancers(stop)
            ended.set()

        thread = threading.Thread(target=ask)
        thread.start()
        assert responder.arrived.acquire(timeout=10)
        stop.set()
        assert ended.wait(1)
        thread.join()
    assert [call.outcome for call in calls] == ["Stopped"]


@pytest.mark.parametrize("waiting_for", ["backoff", "job"])
def test_stop_ends_a_wait_at_once(waiting_for: str) -> None:
    replies = Script(
        DeleteListener=refusal(400, "SystemBusy") if waiting_for == "backoff" else MADE,
        GetJobStatus=answer(Status="Processing"),
    )
    stop, ended = Stop(), threading.Event()
    with responding(replies) as responder:
        slow = replace(QUICK, throttled_s=60, backoff_s=600, backoff_cap_s=600, patience_s=9999)
        slow = replace(slow, first_poll_s=0.01, poll_s=60, job_limit_s=9999)
        cloud = connect("cn-hangzhou", api=responder.url, keys=AccessKey("a", "b"), pace=slow)

        def ask() -> None:
            with pytest.raises(Stopped):
                cloud.nlb.delete_listener("lsn-1@443", "token", stop)
            ended.set()

        thread = threading.Thread(target=ask)
        thread.start()
        assert responder.arrived.acquire(timeout=10)
        stop.set()
        assert ended.wait(1)
        thread.join()


def test_nothing_is_asked_once_the_stop_is_set(ask: Ask) -> None:
    cloud, responder, _ = ask(lambda request: answer(AccountId="1"))
    stop = Stop()
    stop.set()
    with pytest.raises(Stopped):
        cloud.sts.caller(stop)
    assert responder.seen == []


def test_a_failed_job_is_a_problem(ask: Ask) -> None:
    cloud, _, _ = ask(
        Script(
            CreateListener=MADE, GetJobStatus=[answer(Status="processing"), answer(Status="FAILED")]
        )
    )
    with pytest.raises(Problem) as raised:
        cloud.nlb.create_listener("nlb-1", SETTINGS, "token", Stop())
    assert raised.value.code == "cloud.job-failed"
    assert "lsn-1@443" in raised.value.words().what


def test_the_resource_decides_where_the_job_may_not_be_asked_for(ask: Ask) -> None:
    cloud, responder, _ = ask(
        Script(
            CreateListener=MADE,
            GetJobStatus=refusal(403, "Forbidden.NoPermission"),
            GetListenerAttribute=[
                answer(ListenerId="lsn-1@443", ListenerStatus="Provisioning"),
                RUNNING,
            ],
        )
    )
    assert cloud.nlb.create_listener("nlb-1", SETTINGS, "token", Stop()) == "lsn-1@443"
    assert responder.actions() == [
        "CreateListener",
        "GetJobStatus",
        "GetListenerAttribute",
        "GetListenerAttribute",
    ]


def test_a_job_without_end_is_given_up_with_what_was_seen_last(ask: Ask) -> None:
    cloud, _, _ = ask(
        Script(
            CreateListener=MADE,
            GetJobStatus=[answer(Status="whatever"), DONE],
            GetListenerAttribute=answer(ListenerId="lsn-1@443", ListenerStatus="Provisioning"),
        )
    )
    with pytest.raises(Problem) as raised:
        cloud.nlb.create_listener("nlb-1", SETTINGS, "token", Stop())
    assert raised.value.code == "cloud.not-in-time"
    assert "Provisioning" in raised.value.evidence
    assert raised.value.words().remedy


def test_what_is_absent_already_counts_as_deleted(ask: Ask) -> None:
    cloud, responder, _ = ask(lambda request: refusal(404, "ResourceNotFound.any"))
    stop = Stop()
    cloud.nlb.delete_listener("lsn-1@443", "t", stop)
    cloud.nlb.delete_server_group("sgp-1", "t", stop)
    cloud.nlb.remove_servers("sgp-1", [Server("i-1", "Ecs", 80, 100)], "t", stop)
    cloud.cas.delete_server_certificate("5", "t", stop)
    cloud.cas.delete_ca_certificate("ca-1", "t", stop)
    cloud.pca.revoke_issued_certificate("c-1", stop)
    cloud.ecs.revoke_ingress("sg-1", IngressRule("tcp", "80/80", "10.0.0.0/8"), "t", stop)
    assert cloud.nlb.listener("lsn-1@443", stop) is None
    assert cloud.cas.server_certificate("5", stop) is None
    assert cloud.pca.issued_certificate("c-1", stop) is None
    assert len(responder.seen) == 10


def test_a_group_in_use_is_deleted_as_soon_as_it_is_free(ask: Ask) -> None:
    used = refusal(400, "ResourceInUse.ServerGroup")
    cloud, _, _ = ask(
        Script(
            DeleteServerGroup=[used, used, answer(JobId="job-1")],
            GetJobStatus=DONE,
            ListServerGroups=answer(ServerGroups=[]),
        )
    )
    cloud.nlb.delete_server_group("sgp-1", "t", Stop())
    cloud, _, _ = ask(Script(DeleteServerGroup=used))
    with pytest.raises(Problem) as raised:
        cloud.nlb.delete_server_group("sgp-1", "t", Stop())
    assert raised.value.code == "cloud.in-use"


def test_the_log_hears_of_reads_and_writes_and_can_spell_them(ask: Ask) -> None:
    cloud, _, calls = ask(
        Script(
            UploadUserCertificate=answer(CertId=5),
            GetUserCertificateDetail=answer(Id=5, CertIdentifier="5-cn-hangzhou"),
        )
    )
    cloud.cas.upload_server_certificate("www", "-----BEGIN C", "-----BEGIN K", "token", Stop())
    upload, detail = calls
    assert (upload.product, upload.action, upload.reads) == ("cas", "UploadUserCertificate", False)
    assert (detail.action, detail.reads, detail.outcome) == ("GetUserCertificateDetail", True, "OK")
    assert upload.duration_s > 0
    assert upload.parameters["Key"] == FileRef("server.key")
    assert "BEGIN" not in repr(calls)
    command = aliyun(upload.product, upload.action, upload.parameters, upload.region)
    assert '--Key="$(cat server.key)"' in command


def test_a_proxy_of_the_environment_is_not_used_for_this_computer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with responding(lambda request: answer(AccountId="1")) as responder:
        assert cloud_at(responder.url).sts.caller(Stop()).account_id == "1"
        assert responder.seen[0].target == f"{responder.url}/"
        assert responder.seen[0].headers["host"] == responder.url.removeprefix("http://")


def test_one_cloud_serves_many_threads(ask: Ask) -> None:
    cloud, _, _ = ask(
        lambda request: answer(
            ServerGroups=[{"ServerGroupId": request.parameters.get("ServerGroupIds.1", "")}]
        )
    )
    found: dict[str, str] = {}

    def look(group_id: str) -> None:
        found[group_id] = cloud.nlb.server_group(group_id, Stop()).id

    threads = [threading.Thread(target=look, args=(f"sgp-{n}",)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {f"sgp-{n}": f"sgp-{n}" for n in range(12)}


def test_loading_an_sdk_silences_its_loggers() -> None:
    load("ecs")
    assert "alibabacloud_ecs20140526.client" in sys.modules
    for name in ("darabonba-core", "credentials", "urllib3"):
        logger = logging.getLogger(name)
        assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]
        assert not logger.isEnabledFor(logging.ERROR)


def test_connecting_imports_no_sdk() -> None:
    code = (
        "import sys; from services.cloud.connect import connect; connect('cn-hangzhou');"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " {'Tea', 'darabonba', 'requests', 'cryptography', 'aiohttp'} or 'alibabacloud' in m])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
