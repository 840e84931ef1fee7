"""How the vendor's answers are read, product by product, where the lab has no reason to go."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.cloud.connect import connect
from services.cloud.port import IngressRule, ListenerSettings, ScriptRun, Server
from services.cloud.sites import CAS_SITES, usual_cas_site
from services.problem import Problem
from services.stop import Stop
from tests.services.cloud.conftest import Ask
from tests.services.cloud.responder import Reply, Request, answer, refusal

LEAF = "-----BEGIN CERTIFICATE-----\nTEVBRg==\n-----END CERTIFICATE-----\n"
SUB = "-----BEGIN CERTIFICATE-----\nU1VC\n-----END CERTIFICATE-----\n"
ROOT = "-----BEGIN CERTIFICATE-----\nUk9PVA==\n-----END CERTIFICATE-----\n"


def by_action(**replies: Reply) -> Callable[[Request], Reply]:
    return lambda request: replies[request.action]


def test_health_names_every_backend_and_why_it_is_not_normal(ask: Ask) -> None:
    infos = {
        "ServerGroupId": "sgp-1",
        "HeathCheckEnabled": True,
        "NonNormalServers": [
            {
                "ServerId": "i-2",
                "Port": 80,
                "Status": "Unhealthy",
                "Reason": {"ReasonCode": "CONNECT_TIMEOUT"},
            },
            {"ServerId": "i-3", "Port": "80", "Status": "Initial"},
        ],
    }
    members = [
        {
            "ServerId": f"i-{n}",
            "ServerType": "Ecs",
            "Port": 80,
            "Weight": 100,
            "Status": "Available",
        }
        for n in (1, 2, 3)
    ]
    members += [
        {"ServerId": "i-4", "ServerType": "Ecs", "Port": 80, "Weight": 0, "Status": "Available"},
        {"ServerId": "i-5", "ServerType": "Ecs", "Port": 80, "Weight": 1, "Status": "Adding"},
    ]
    cloud, _, _ = ask(
        by_action(
            GetListenerHealthStatus=answer(ListenerHealthStatus=[{"ServerGroupInfos": [infos]}]),
            ListServerGroupServers=answer(Servers=members),
        )
    )
    health = cloud.nlb.health("lsn-1@443", Stop())
    assert [(one.server.id, one.status, one.reason) for one in health] == [
        ("i-1", "Normal", ""),
        ("i-2", "Unhealthy", "CONNECT_TIMEOUT"),
        ("i-3", "Initial", ""),
        ("i-4", "Unused", ""),
        ("i-5", "Adding", ""),
    ]


def test_health_without_any_entry_still_names_the_members(ask: Ask) -> None:
    member = {"ServerId": "i-1", "ServerType": "Ecs", "Port": 80, "Status": "Available"}
    cloud, _, _ = ask(
        by_action(
            GetListenerHealthStatus=answer(ListenerHealthStatus=None),
            GetListenerAttribute=answer(ListenerId="lsn-1@443", ServerGroupId="sgp-1"),
            ListServerGroupServers=answer(Servers=[member]),
        )
    )
    (one,) = cloud.nlb.health("lsn-1@443", Stop())
    assert (one.server.weight, one.status) == (100, "Normal")


def test_tags_are_read_in_both_of_their_spellings(ask: Ask) -> None:
    cloud, _, _ = ask(
        by_action(
            ListListeners=answer(
                Listeners=[{"ListenerId": "l", "Tags": [{"Key": "k", "Value": "v"}]}]
            ),
            GetListenerAttribute=answer(ListenerId="l", Tags=[{"TagKey": "k", "TagValue": "v"}]),
        )
    )
    (listed,) = cloud.nlb.listeners("nlb-1", Stop())
    found = cloud.nlb.listener("l", Stop())
    assert found is not None
    assert listed.tags == found.tags == (("k", "v"),)


def test_an_update_sends_only_what_differs(ask: Ask) -> None:
    there = answer(
        ListenerId="l",
        ListenerStatus="Running",
        ListenerPort=443,
        ServerGroupId="sgp-1",
        CertificateIds=["5-cn-hangzhou"],
        CaCertificateIds=["ca-1"],
        CaEnabled=True,
        SecurityPolicyId="tls_cipher_policy_1_2",
        IdleTimeout=900,
    )
    cloud, responder, _ = ask(
        by_action(
            GetListenerAttribute=there,
            UpdateListenerAttribute=answer(JobId="job"),
            GetJobStatus=answer(Status="Succeeded"),
        )
    )
    same = ListenerSettings(443, "sgp-1", "5-cn-hangzhou", "ca-1", "tls_cipher_policy_1_2")
    cloud.nlb.update_listener("l", same, "token", Stop())
    assert responder.actions() == ["GetListenerAttribute"]
    cloud.nlb.update_listener("l", replace(same, mutual=False), "token", Stop())
    asked = next(one for one in responder.seen if one.action == "UpdateListenerAttribute")
    assert asked.parameters == {
        "RegionId": "cn-hangzhou",
        "ListenerId": "l",
        "CaEnabled": "False",
        "ClientToken": "token",
    }


def test_documented_policies_stand_in_for_a_forbidden_list(ask: Ask) -> None:
    cloud, _, _ = ask(lambda request: refusal(403, "Forbidden.NoPermission"))
    policies = {policy.id: policy for policy in cloud.nlb.security_policies(Stop())}
    strict = policies["tls_cipher_policy_1_2_strict_with_1_3"]
    assert strict.tls_versions == ("TLSv1.2", "TLSv1.3")
    assert "TLS_AES_128_GCM_SHA256" in strict.ciphers
    assert "DES-CBC3-SHA" not in strict.ciphers
    assert "DES-CBC3-SHA" in policies["tls_cipher_policy_1_0"].ciphers


def test_many_servers_are_added_in_batches_each_with_a_token(ask: Ask) -> None:
    there: list[dict[str, object]] = []

    def handler(request: Request) -> Reply:
        if request.action == "AddServersToServerGroup":
            ids = [v for k, v in request.parameters.items() if k.endswith(".ServerId")]
            there.extend({"ServerId": i, "Port": 80, "Status": "Available"} for i in ids)
            return answer(JobId="job")
        if request.action == "GetJobStatus":
            return answer(Status="Succeeded")
        return answer(Servers=there)

    cloud, responder, _ = ask(handler)
    servers = [Server(f"i-{n}", "Ecs", 80, 100) for n in range(201)]
    cloud.nlb.add_servers("sgp-1", servers, "token", Stop())
    adds = [one.parameters for one in responder.seen if one.action == "AddServersToServerGroup"]
    assert [one["ClientToken"] for one in adds] == ["token", "token-1"]
    assert len(there) == 201


@pytest.mark.parametrize(
    "reply",
    [
        answer(TotalCount=0),
        answer(TotalCount="0"),
        answer(),
        refusal(404, "NotFound"),
        refusal(400, "CaInstanceNotFound"),
        refusal(400, "InsufficientQuota.Ca"),
    ],
)
def test_no_private_ca_bought_is_an_empty_list(ask: Ask, reply: Reply) -> None:
    cloud, responder, _ = ask(lambda request: reply)
    assert cloud.pca.private_cas(Stop()) == []
    assert responder.actions() == ["DescribeCACertificateCount"]


def test_a_private_ca_that_may_not_be_seen_is_not_an_empty_list(ask: Ask) -> None:
    cloud, _, _ = ask(lambda request: refusal(403, "NoPermission"))
    with pytest.raises(Problem) as raised:
        cloud.pca.private_cas(Stop())
    assert raised.value.code == "cloud.forbidden"


def test_a_private_ca_is_read_with_its_certificate_in_lines(ask: Ask) -> None:
    certificate = {
        "Identifier": "1ee47e24-c51b-67cc-aa6b-1f7561cf9d9a",
        "CertificateType": "SUB_ROOT",
        "CommonName": "Sub",
        "Algorithm": "RSA",
        "FullAlgorithm": "RSA_2048",
        "Status": "ISSUE",
        "X509Certificate": SUB.replace("\n", "\\n"),
        "AfterDate": 1924992000000,
        "CertRemainingCount": "9",
        "ParentIdentifier": "root-1",
    }
    cloud, _, _ = ask(by_action(DescribeCACertificate=answer(Certificate=certificate)))
    ca = cloud.pca.private_ca("1ee47e24-c51b-67cc-aa6b-1f7561cf9d9a", Stop())
    assert (ca.kind, ca.algorithm, ca.remaining, ca.parent_id) == (
        "subordinate",
        "RSA_2048",
        9,
        "root-1",
    )
    assert ca.certificate_pem == SUB


ISSUED = {"Identifier": "c-1", "CustomIdentifier": "mine", "SerialNumber": "0A", "Status": "ISSUE"}
DETAIL = answer(
    Certificate={**ISSUED, "X509Certificate": LEAF.strip(), "CertChain": LEAF + "\r\n" + SUB + ROOT}
)


def test_an_issued_certificate_comes_with_the_chain_above_it(ask: Ask) -> None:
    cloud, responder, calls = ask(
        by_action(
            CreateServerCertificateWithCsr=answer(Identifier="c-1"),
            DescribeClientCertificate=DETAIL,
        )
    )
    names = ("www.example.com", "nlb.example.com", "192.0.2.1")
    issued = cloud.pca.issue_server_certificate("sub-1", "CSR", names, 30, "mine", "t", Stop())
    assert (issued.certificate_pem, issued.chain_pem) == (LEAF, SUB + ROOT)
    asked = responder.seen[0].parameters
    assert (asked["CommonName"], asked["Domain"]) == (names[0], "nlb.example.com,192.0.2.1")
    assert (asked["Csr"], asked["Days"], asked["CustomIdentifier"]) == ("CSR", "30", "mine")
    assert "'CSR'" not in repr(calls)


@pytest.mark.parametrize(("made", "sure"), [(True, True), (False, False)])
def test_issuing_that_may_have_happened_is_looked_for_and_never_repeated(
    ask: Ask, made: bool, sure: bool
) -> None:
    listed = [{"Identifier": "c-0", "CustomIdentifier": "other"}, *([ISSUED] if made else [])]
    cloud, responder, _ = ask(
        by_action(
            CreateClientCertificateWithCsr=Reply(cut=0),
            ListClientCertificate=answer(CertificateList=listed, TotalCount=len(listed)),
            DescribeClientCertificate=DETAIL,
        )
    )

    def issue() -> str:
        return cloud.pca.issue_client_certificate("sub-1", "CSR", 30, "mine", "t", Stop()).id

    if sure:
        assert issue() == "c-1"
    else:
        with pytest.raises(Problem) as raised:
            issue()
        assert raised.value.code == "cloud.cut"
    assert responder.actions().count("CreateClientCertificateWithCsr") == 1


def test_revoking_twice_only_finishes_what_is_left(ask: Ask) -> None:
    revoked = answer(Certificate={**ISSUED, "Status": "REVOKE"})
    cloud, responder, _ = ask(
        by_action(DescribeClientCertificate=revoked, DeleteClientCertificate=answer())
    )
    cloud.pca.revoke_issued_certificate("c-1", Stop())
    assert responder.actions() == ["DescribeClientCertificate", "DeleteClientCertificate"]


def test_server_certificates_ask_for_certificates_and_not_for_orders(ask: Ask) -> None:
    item = {
        "CertificateId": 10741304,
        "Name": "www",
        "CommonName": "www.example.com",
        "Sans": "www.example.com, example.com",
        "Sha2": "abcd",
        "EndDate": "2027-01-01",
        "Upload": True,
    }
    cloud, responder, _ = ask(lambda request: answer(CertificateOrderList=[item], TotalCount=1))
    (found,) = cloud.cas.server_certificates(Stop())
    assert responder.seen[0].parameters["OrderType"] == "CERT"
    assert (found.certificate_id, found.cas_id) == ("10741304-cn-hangzhou", "10741304")
    assert (found.sans, found.sha256) == (("www.example.com", "example.com"), "ABCD")


def test_a_certificates_detail_never_asks_for_its_key(ask: Ask) -> None:
    cloud, responder, _ = ask(lambda request: answer(Id=5, Common="x", BuyInAliyun=True))
    found = cloud.cas.server_certificate("5", Stop())
    assert responder.seen[0].parameters == {"CertId": "5", "CertFilter": "True"}
    assert found is not None
    assert (found.certificate_id, found.uploaded) == ("5-cn-hangzhou", False)


def test_a_new_repository_is_found_by_its_name(ask: Ask) -> None:
    listed = [{"WhId": 7, "Name": "old"}, {"WhId": 8, "Name": "new"}]
    cloud, responder, _ = ask(
        by_action(
            CreateWarehouse=answer(),
            ListCertWarehouse=answer(CertWarehouseList=listed, TotalCount=2),
        )
    )
    assert cloud.cas.create_ca_repository("new", "t", Stop()).id == "8"
    assert responder.seen[1].parameters["Type"] == "uploadCA"


@pytest.mark.parametrize("arrived", [True, False])
def test_a_ca_upload_whose_answer_was_lost_is_looked_for(ask: Ask, arrived: bool) -> None:
    listed = [{"Identifier": f"ca-{n}", "WhId": 7, "SourceType": "upload"} for n in (1, 2)]
    contents = {"ca-1": ROOT, "ca-2": SUB.strip().replace("\n", "\\n") if arrived else LEAF}

    def handler(request: Request) -> Reply:
        if request.action == "UploadPCACert":
            return Reply(502, b"<html>lost</html>")
        if request.action == "ListCert":
            return answer(CertList=listed, TotalCount=2)
        return answer(Content=contents[request.parameters["CertIdentifier"]])

    cloud, responder, _ = ask(handler)
    if arrived:
        assert cloud.cas.upload_ca_certificate("7", "ca", SUB, "t", Stop()) == "ca-2"
    else:
        with pytest.raises(Problem) as raised:
            cloud.cas.upload_ca_certificate("7", "ca", SUB, "t", Stop())
        assert raised.value.code == "cloud.bad-answer"
    assert responder.actions().count("UploadPCACert") == 1


def test_a_repository_whose_answer_was_lost_is_looked_for(ask: Ask) -> None:
    listed = [{"WhId": 8, "Name": "new"}]
    cloud, responder, _ = ask(
        by_action(
            CreateWarehouse=Reply(cut=0),
            ListCertWarehouse=answer(CertWarehouseList=listed, TotalCount=1),
        )
    )
    assert cloud.cas.create_ca_repository("new", "t", Stop()).id == "8"
    with pytest.raises(Problem) as raised:
        cloud.cas.create_ca_repository("other", "t", Stop())
    assert raised.value.code == "cloud.cut"
    assert responder.actions().count("CreateWarehouse") == 2


def test_a_revocation_whose_answer_was_lost_is_finished(ask: Ask) -> None:
    states = iter(["ISSUE", "REVOKE"])

    def handler(request: Request) -> Reply:
        if request.action == "CreateRevokeClientCertificate":
            return Reply(cut=0)
        if request.action == "DescribeClientCertificate":
            return answer(Certificate={**ISSUED, "Status": next(states)})
        return answer()

    cloud, responder, _ = ask(handler)
    cloud.pca.revoke_issued_certificate("c-1", Stop())
    assert responder.actions()[-1] == "DeleteClientCertificate"
    assert responder.actions().count("CreateRevokeClientCertificate") == 1


def test_ca_certificates_of_both_sources_are_listed(ask: Ask) -> None:
    listed = [
        {
            "Identifier": "1ed6",
            "CommonName": "A",
            "SerialNo": "01",
            "SourceType": "upload",
            "WhId": 7,
        },
        {"Identifier": "1efd", "CommonName": "B", "SerialNo": "02", "SourceType": "aliyun"},
    ]
    cloud, responder, _ = ask(lambda request: answer(CertList=listed, TotalCount=2))
    own, bought = cloud.cas.ca_certificates(Stop())
    assert (own.source, own.repository_id, bought.source) == ("upload", "7", "aliyun")
    assert responder.seen[0].parameters["CertType"] == "CA"


def test_instances_are_asked_for_by_a_json_text_of_at_most_a_hundred(ask: Ask) -> None:
    def handler(request: Request) -> Reply:
        ids = json.loads(request.parameters["InstanceIds"])
        found = [
            {
                "InstanceId": one,
                "OSType": "linux",
                "VpcAttributes": {
                    "VpcId": "vpc-1",
                    "PrivateIpAddress": {"IpAddress": ["10.0.0.1"]},
                },
                "PublicIpAddress": {"IpAddress": ["192.0.2.1"]},
                "EipAddress": {"IpAddress": "192.0.2.9" if one == "i-0" else ""},
                "SecurityGroupIds": {"SecurityGroupId": ["sg-1"]},
            }
            for one in ids
        ]
        return answer(Instances={"Instance": found})

    cloud, responder, _ = ask(handler)
    found = cloud.ecs.instances(Stop(), [f"i-{n}" for n in range(101)])
    assert len(found) == 101
    assert len(responder.seen) == 2
    assert (found[0].public_address, found[1].public_address) == ("192.0.2.9", "192.0.2.1")
    assert (found[0].private_address, found[0].security_group_ids) == ("10.0.0.1", ("sg-1",))


def test_ingress_rules_read_and_write_in_one_spelling(ask: Ask) -> None:
    permission = {
        "Direction": "ingress",
        "IpProtocol": "TCP",
        "PortRange": "80/80",
        "SourceCidrIp": "10.0.0.0/8",
        "Policy": "Accept",
        "Priority": "1",
        "SecurityGroupRuleId": "sgr-1",
    }
    other = {**permission, "Direction": "egress"}
    cloud, responder, _ = ask(
        by_action(
            DescribeSecurityGroupAttribute=answer(Permissions={"Permission": [permission, other]}),
            AuthorizeSecurityGroup=answer(),
        )
    )
    (rule,) = cloud.ecs.ingress_rules("sg-1", Stop())
    assert rule == IngressRule("tcp", "80/80", "10.0.0.0/8", "accept", 1, "sgr-1")
    cloud.ecs.allow_ingress("sg-1", rule, "token", Stop())
    asked = responder.seen[-1].parameters
    assert asked["Permissions.1.PortRange"] == "80/80"
    assert asked["ClientToken"] == "token"


def test_a_script_is_waited_for_and_read_by_instance(ask: Ask) -> None:
    ended = {"InstanceId": "i-1", "InvokeRecordStatus": "Finished", "ExitCode": 7, "Output": "o"}
    absent = {"InstanceId": "i-2", "InvokeRecordStatus": "Failed", "Output": ""}
    looks: list[Request] = []

    def reply(request: Request) -> Reply:
        if request.action == "RunCommand":
            return answer(InvokeId="t-1", CommandId="c-1")
        looks.append(request)
        running = {**ended, "InvokeRecordStatus": "Running"}
        found = [running if len(looks) == 1 else ended, absent]
        return answer(Invocation={"InvocationResults": {"InvocationResult": found}})

    cloud, responder, _ = ask(reply)
    ran = cloud.ecs.run_script(["i-1", "i-2"], "exit 7", 5, Stop())
    assert ran == {"i-1": ScriptRun(7, "o")}
    assert len(looks) == 2
    asked = responder.seen[0].parameters
    assert (asked["CommandContent"], asked["InstanceId.2"], asked["Timeout"]) == (
        "exit 7",
        "i-2",
        "5",
    )
    assert looks[0].parameters["InvokeId"] == "t-1"


@pytest.mark.parametrize(("date", "known"), [("{}", True), ("yesterday", False)])
def test_the_clouds_clock_is_compared_by_its_answers(ask: Ask, date: str, known: bool) -> None:
    an_hour_ahead = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    headers = {"Date": date.format(an_hour_ahead)}
    whole = answer(AccountId="1", Arn="acs:ram::1:root", IdentityType="Account")
    cloud, _, _ = ask(lambda request: replace(whole, headers=headers))
    assert cloud.clock_ahead_s() is None
    cloud.sts.caller(Stop())
    ahead_s = cloud.clock_ahead_s()
    assert (ahead_s is not None) == known
    assert ahead_s is None or 3590 < ahead_s < 3610


def test_the_certificate_site_follows_the_region_unless_chosen() -> None:
    assert usual_cas_site("cn-beijing") == "cn-hangzhou"
    assert usual_cas_site("eu-central-1") == "ap-southeast-1"
    assert connect("cn-shanghai").cas_site == "cn-hangzhou"
    assert connect("eu-central-1", cas_site="eu-central-1").cas_site in CAS_SITES
