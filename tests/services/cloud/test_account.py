"""The adapters against the lab's API: real SDKs, real signatures, an account that remembers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from services.cloud.credentials import AccessKey
from services.cloud.pace import LAB
from services.cloud.port import Cloud, IngressRule, ListenerSettings, ServerCertificate
from services.lab.scenario import Timing, default
from services.pki.check import chain_of
from services.pki.issue import Subject, make_ca, make_csr, make_server
from services.pki.keys import KeyKind, key_pem, new_key
from services.problem import Problem
from services.stop import Stop
from tests.services.cloud.account import Account, serving_account

POLICY = "tls_cipher_policy_1_2_strict_with_1_3"


@dataclass(frozen=True, slots=True)
class Material:
    ca: str
    server: str
    server_key: str
    csr: str


@pytest.fixture(scope="module")
def material() -> Material:
    now = datetime.now(UTC)
    ca_key, server_key = new_key(), new_key()
    ca = make_ca(Subject("Test CA"), ca_key, 30, now)
    server = make_server(["www.example.com"], server_key, ca, ca_key, 20, now)
    csr = make_csr(Subject("client-1"), new_key(KeyKind.RSA_2048))
    return Material(
        ca.public_bytes(Encoding.PEM).decode(),
        server.public_bytes(Encoding.PEM).decode(),
        key_pem(server_key).decode(),
        csr.decode(),
    )


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    scenario = replace(default(), timing=Timing(spread_s=1, stuck_s=1))
    with serving_account(tmp_path_factory.mktemp("account"), scenario) as found:
        yield found


@pytest.fixture
def cloud(account: Account) -> Cloud:
    account.calls.clear()
    return account.connect()


def token() -> str:
    return str(uuid4())


def upload(cloud: Cloud, material: Material) -> tuple[ServerCertificate, str]:
    """A fresh server certificate entry, and a CA, as a listener needs them."""
    stop = Stop()
    found = cloud.cas.upload_server_certificate(
        f"www-{token()[:8]}", material.server, material.server_key, token(), stop
    )
    (repository, *_) = cloud.cas.ca_repositories(stop)
    ca = cloud.cas.upload_ca_certificate(repository.id, "ca", material.ca, token(), stop)
    return found, ca


def test_the_account_is_found_as_the_tutorial_starts(account: Account, cloud: Cloud) -> None:
    stop = Stop()
    assert cloud.sts.caller(stop).arn.endswith("/nlb-mtls-lab")
    (balancer,) = cloud.nlb.load_balancers(stop)
    full = cloud.nlb.load_balancer(balancer.id, stop)
    assert full.status == "Active"
    assert len(full.zones) == 2
    assert all(zone.local_addresses and zone.public_address for zone in full.zones)
    (group,) = cloud.nlb.server_groups(stop, vpc_id=balancer.vpc_id)
    assert (group.protocol, group.preserve_client_ip, group.server_count) == ("TCP", False, 2)
    assert cloud.nlb.server_group(group.id, stop) == group
    assert cloud.nlb.server_groups(stop, vpc_id="vpc-other") == []
    names = {instance.id: instance.name for instance in cloud.ecs.instances(stop)}
    assert [names[server.id] for server in cloud.nlb.servers(group.id, stop)] == ["ECS01", "ECS02"]
    assert POLICY in {policy.id for policy in cloud.nlb.security_policies(stop)}
    assert [ca.kind for ca in cloud.pca.private_cas(stop)] == ["root", "subordinate"]
    assert all(ca.certificate_pem for ca in cloud.pca.private_cas(stop))
    (bought,) = cloud.cas.server_certificates(stop)
    assert not bought.uploaded
    assert cloud.cas.server_certificate(bought.cas_id, stop) == bought


def test_a_listener_lives_from_upload_to_deletion(cloud: Cloud, material: Material) -> None:
    stop = Stop()
    certificate, ca = upload(cloud, material)
    assert certificate.certificate_id.endswith("-cn-hangzhou")
    assert certificate.uploaded
    assert ca in {one.id for one in cloud.cas.ca_certificates(stop)}
    assert cloud.cas.ca_certificate_pem(ca, stop) == material.ca
    (balancer,), (group,) = cloud.nlb.load_balancers(stop), cloud.nlb.server_groups(stop)
    wanted = ListenerSettings(443, group.id, certificate.certificate_id, ca, POLICY, "mtls")
    once = token()
    made = cloud.nlb.create_listener(balancer.id, wanted, once, stop, [("by", "test")])
    assert cloud.nlb.create_listener(balancer.id, wanted, once, stop, [("by", "test")]) == made
    found = cloud.nlb.listener(made, stop)
    assert found is not None
    assert (found.settings, found.status, found.tags) == (wanted, "Running", (("by", "test"),))
    assert cloud.nlb.listeners(balancer.id, stop) == [found]
    assert [one.status for one in cloud.nlb.health(made, stop)] == ["Initial", "Initial"]

    other = replace(wanted, security_policy_id="tls_cipher_policy_1_2", idle_timeout_s=60)
    cloud.nlb.update_listener(made, other, token(), stop)
    found = cloud.nlb.listener(made, stop)
    assert found is not None
    assert (found.settings, found.status) == (other, "Running")

    cloud.nlb.delete_listener(made, token(), stop)
    assert cloud.nlb.listener(made, stop) is None
    cloud.cas.delete_server_certificate(certificate.cas_id, token(), stop)
    cloud.cas.delete_ca_certificate(ca, token(), stop)
    assert cloud.cas.server_certificate(certificate.cas_id, stop) is None


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"certificate_id": "10741303"}, "cloud.certificate-not-found"),
        ({"ca_certificate_id": "0-cn-hangzhou"}, "cloud.ca-not-found"),
        ({"security_policy_id": "tls-none"}, "cloud.not-found"),
        ({"server_group_id": "sgp-none"}, "cloud.not-found"),
    ],
)
def test_a_listener_of_wrong_parts_names_the_part(
    cloud: Cloud, spoil: dict[str, str], code: str
) -> None:
    stop = Stop()
    (balancer,), (group,) = cloud.nlb.load_balancers(stop), cloud.nlb.server_groups(stop)
    (bought,) = (one for one in cloud.cas.server_certificates(stop) if not one.uploaded)
    ca = cloud.pca.private_cas(stop)[1].id
    right = ListenerSettings(8443, group.id, bought.certificate_id, ca, POLICY)
    with pytest.raises(Problem) as raised:
        cloud.nlb.create_listener(balancer.id, replace(right, **spoil), token(), stop)  # type: ignore[arg-type]
    assert raised.value.code == code
    assert next(iter(spoil.values())) in raised.value.words().what


def test_a_server_group_lives_from_creation_to_deletion(cloud: Cloud) -> None:
    stop = Stop()
    (group,) = cloud.nlb.server_groups(stop)
    made = cloud.nlb.create_server_group("web", group.vpc_id, token(), stop, [("by", "test")])
    found = cloud.nlb.server_group(made, stop)
    assert (found.status, found.preserve_client_ip) == ("Available", False)
    assert found.tags == (("by", "test"),)
    servers = cloud.nlb.servers(group.id, stop)
    cloud.nlb.add_servers(made, servers, token(), stop)
    assert {one.id for one in cloud.nlb.servers(made, stop)} == {one.id for one in servers}
    for on in (True, False):
        cloud.nlb.set_client_ip_preservation(made, on, token(), stop)
        assert cloud.nlb.server_group(made, stop).preserve_client_ip is on
    cloud.nlb.remove_servers(made, servers[:1], token(), stop)
    assert [one.id for one in cloud.nlb.servers(made, stop)] == [servers[1].id]
    cloud.nlb.delete_server_group(made, token(), stop)
    with pytest.raises(Problem) as raised:
        cloud.nlb.server_group(made, stop)
    assert raised.value.code == "cloud.not-found"


def test_a_group_that_keeps_client_addresses_is_refused_by_name(
    cloud: Cloud, material: Material
) -> None:
    stop = Stop()
    (balancer,), (group,) = cloud.nlb.load_balancers(stop), cloud.nlb.server_groups(stop)
    (bought,) = (one for one in cloud.cas.server_certificates(stop) if not one.uploaded)
    ca = cloud.pca.private_cas(stop)[1].id
    made = cloud.nlb.create_server_group("keeps", group.vpc_id, token(), stop)
    cloud.nlb.set_client_ip_preservation(made, True, token(), stop)
    wanted = ListenerSettings(9443, made, bought.certificate_id, ca, POLICY)
    with pytest.raises(Problem) as raised:
        cloud.nlb.create_listener(balancer.id, wanted, token(), stop)
    assert raised.value.code == "cloud.preserve-client-ip"
    cloud.nlb.delete_server_group(made, token(), stop)


def test_private_ca_issues_for_a_request_and_takes_it_back(
    cloud: Cloud, material: Material
) -> None:
    stop = Stop()
    root, sub = cloud.pca.private_cas(stop)
    before = cloud.pca.private_ca(sub.id, stop).remaining
    name = f"client-{token()[:8]}"
    issued = cloud.pca.issue_client_certificate(sub.id, material.csr, 20, name, token(), stop)
    chain = chain_of((issued.certificate_pem + issued.chain_pem).encode())
    assert len(chain) == 3
    assert issued.chain_pem == sub.certificate_pem + root.certificate_pem
    assert issued.parent_id == sub.id
    listed = {one.custom_id: one for one in cloud.pca.issued_certificates(stop)}
    assert listed[name].id == issued.id
    assert cloud.pca.issued_certificate(issued.id, stop) == issued
    assert before is not None
    assert cloud.pca.private_ca(sub.id, stop).remaining == before - 1
    cloud.pca.revoke_issued_certificate(issued.id, stop)
    assert cloud.pca.issued_certificate(issued.id, stop) is None


def test_a_rule_is_added_and_taken_away(cloud: Cloud) -> None:
    stop = Stop()
    (group,) = {group for one in cloud.ecs.instances(stop) for group in one.security_group_ids}
    before = cloud.ecs.ingress_rules(group, stop)
    rule = IngressRule("tcp", "80/80", "192.168.1.0/24")
    cloud.ecs.allow_ingress(group, rule, token(), stop)
    (new,) = {*cloud.ecs.ingress_rules(group, stop)} - {*before}
    assert replace(new, id="") == rule
    cloud.ecs.revoke_ingress(group, rule, token(), stop)
    cloud.ecs.revoke_ingress(group, rule, token(), stop)
    assert cloud.ecs.ingress_rules(group, stop) == before


@pytest.mark.parametrize("fault", ["api-busy", "api-throttled", "api-html-502"])
def test_passing_troubles_pass(
    account: Account, cloud: Cloud, material: Material, fault: str
) -> None:
    stop = Stop()
    with account.fault(fault):
        # The CA is one that is there: an upload of one takes no token, so it is not repeated.
        ca = cloud.pca.private_cas(stop)[1].id
        certificate = cloud.cas.upload_server_certificate(
            f"www-{token()[:8]}", material.server, material.server_key, token(), stop
        )
        (balancer,), (group,) = cloud.nlb.load_balancers(stop), cloud.nlb.server_groups(stop)
        wanted = ListenerSettings(7443, group.id, certificate.certificate_id, ca, POLICY)
        for _ in range(2 if fault == "api-busy" else 1):  # every third write is struck
            made = cloud.nlb.create_listener(balancer.id, wanted, token(), stop)
            cloud.nlb.delete_listener(made, token(), stop)
    assert any(call.retry_in_s is not None for call in account.calls)
    assert cloud.nlb.listeners(balancer.id, stop) == []


def test_a_certificate_that_arrives_late_is_waited_for(
    account: Account, material: Material
) -> None:
    cloud, stop = account.connect(), Stop()
    with account.fault("certificate-not-found-yet"):
        certificate, ca = upload(cloud, material)
        (balancer,), (group,) = cloud.nlb.load_balancers(stop), cloud.nlb.server_groups(stop)
        wanted = ListenerSettings(6443, group.id, certificate.certificate_id, ca, POLICY)
        stranger = account.connect()
        with pytest.raises(Problem) as raised:
            stranger.nlb.create_listener(balancer.id, wanted, token(), stop)
        assert raised.value.code == "cloud.certificate-not-found"
        made = cloud.nlb.create_listener(balancer.id, wanted, token(), stop)
    cloud.nlb.delete_listener(made, token(), stop)


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        ("no-permission", "cloud.forbidden", "nlb:CreateListener"),
        ("quota-exceeded", "cloud.quota", "50 of 50"),
    ],
)
def test_a_refusal_for_good_says_what_is_missing(
    account: Account, cloud: Cloud, fault: str, code: str, word: str
) -> None:
    stop = Stop()
    (balancer,), (group,) = cloud.nlb.load_balancers(stop), cloud.nlb.server_groups(stop)
    (bought,) = (one for one in cloud.cas.server_certificates(stop) if not one.uploaded)
    ca = cloud.pca.private_cas(stop)[1].id
    wanted = ListenerSettings(5443, group.id, bought.certificate_id, ca, POLICY)
    with account.fault(fault), pytest.raises(Problem) as raised:
        cloud.nlb.create_listener(balancer.id, wanted, token(), stop)
    assert raised.value.code == code
    words = raised.value.words()
    assert word in words.what + words.cause + words.remedy


def test_an_account_without_private_ca_has_none(account: Account, cloud: Cloud) -> None:
    with account.fault("no-private-ca"):
        assert cloud.pca.private_cas(Stop()) == []


def test_a_wrong_secret_and_an_unknown_key_are_told_apart(account: Account) -> None:
    with pytest.raises(Problem) as raised:
        account.connect(AccessKey(account.keys.id, "wrong")).sts.caller(Stop())
    assert raised.value.code == "cloud.bad-signature"
    with pytest.raises(Problem) as raised:
        account.connect(AccessKey("LTAI-unknown", account.keys.secret)).sts.caller(Stop())
    assert raised.value.code == "cloud.bad-key"


def test_a_clock_that_is_off_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("late")
    late = serving_account(directory, clock=lambda: time.time() + 1200)
    with late as account, pytest.raises(Problem) as raised:
        account.connect().sts.caller(Stop())
    assert raised.value.code == "cloud.clock-skew"


def test_a_job_that_takes_too_long_is_given_up_and_found_later(
    account: Account, cloud: Cloud
) -> None:
    stop = Stop()
    (group,) = cloud.nlb.server_groups(stop)
    impatient = account.connect(pace=replace(LAB, job_limit_s=0.1))
    with account.fault("job-stuck-a-while"), pytest.raises(Problem) as raised:
        impatient.nlb.create_server_group("slow", group.vpc_id, token(), stop)
    assert raised.value.code == "cloud.not-in-time"
    (slow,) = (one for one in cloud.nlb.server_groups(stop) if one.name == "slow")
    assert slow.id in raised.value.words().what


def test_a_proxy_of_the_environment_does_not_come_between(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert account.connect().sts.caller(Stop()).account_id
