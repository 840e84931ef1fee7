"""ECS and STS through the vendor's SDK."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from services.lab import scenario
from services.lab.scenario import Scenario
from services.problem import Problem
from tests.services.lab.api.lab import WAIT_S, Lab

REGION = "cn-hangzhou"


@pytest.fixture(scope="session")
def m() -> Any:
    from alibabacloud_ecs20140526 import models

    return models


def test_the_caller_is_a_ram_user(lab: Lab) -> None:
    caller = lab.ask(lab.sts.get_caller_identity)
    assert caller.identity_type == "RAMUser"
    assert caller.arn == f"acs:ram::{caller.account_id}:user/nlb-mtls-lab"
    assert len(caller.account_id) == 16


def test_backends_and_client_are_instances(lab: Lab, m: Any) -> None:
    body = lab.ask(lab.ecs.describe_instances, m.DescribeInstancesRequest(region_id=REGION))
    found = body.instances.instance
    assert [one.instance_name for one in found] == ["ECS01", "ECS02", "ECS03"]
    first = found[0]
    assert first.vpc_attributes.private_ip_address.ip_address == ["192.168.1.11"]
    assert (first.status, first.ostype) == ("Running", "linux")
    assert body.total_count == 3


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"instance_name": "ECS*2"}, ["ECS02"]),
        ({"status": "Stopped"}, []),
        ({"zone_id": "cn-hangzhou-k"}, ["ECS02"]),
        ({"private_ip_addresses": '["192.168.1.13"]'}, ["ECS03"]),
        ({"region_id": "cn-beijing"}, []),
    ],
)
def test_instances_are_filtered(
    lab: Lab, m: Any, filters: dict[str, str], names: list[str]
) -> None:
    request = m.DescribeInstancesRequest(**({"region_id": REGION} | filters))
    found = lab.ask(lab.ecs.describe_instances, request).instances.instance
    assert [one.instance_name for one in found] == names


def test_instances_by_id_are_a_json_text(lab: Lab, m: Any) -> None:
    second = list(lab.state.account.instances)[1]
    request = m.DescribeInstancesRequest(
        region_id=REGION, instance_ids=json.dumps([second, "i-nobody"])
    )
    found = lab.ask(lab.ecs.describe_instances, request).instances.instance
    assert [one.instance_id for one in found] == [second]
    request.instance_ids = second
    assert lab.refused(lab.ecs.describe_instances, request) == (400, "InvalidParameter")
    request.region_id = None
    assert lab.refused(lab.ecs.describe_instances, request) == (400, "MissingRegionId")


def test_many_instances_come_by_pages(tmp_path: Path, m: Any) -> None:
    with Lab(tmp_path, scenario.default(backends=24)) as lab:
        by_token: list[str] = []
        token = None
        while token != "":
            request = m.DescribeInstancesRequest(region_id=REGION, max_results=1, next_token=token)
            body = lab.ask(lab.ecs.describe_instances, request)
            assert len(body.instances.instance) <= 10  # the least that MaxResults can be
            by_token += [one.instance_name for one in body.instances.instance]
            token = body.next_token
        by_number: list[str] = []
        for page in (1, 2, 3):
            request = m.DescribeInstancesRequest(region_id=REGION, page_number=page, page_size=10)
            body = lab.ask(lab.ecs.describe_instances, request)
            by_number += [one.instance_name for one in body.instances.instance]
        assert by_token == by_number == [f"ECS{number:02}" for number in range(1, 26)]


def rules(lab: Lab, m: Any, group: str) -> list[tuple[str, str, str, str]]:
    body = lab.ask(
        lab.ecs.describe_security_group_attribute,
        m.DescribeSecurityGroupAttributeRequest(
            region_id=REGION, security_group_id=group, direction="ingress"
        ),
    )
    return [
        (one.ip_protocol, one.port_range, one.source_cidr_ip, one.policy)
        for one in body.permissions.permission
    ]


def test_rules_are_added_once_and_removed(lab: Lab, m: Any) -> None:
    group = next(iter(lab.state.account.security_groups))
    web = ("TCP", "80/80", "192.168.0.0/16", "Accept")
    ssh = ("TCP", "22/22", "0.0.0.0/0", "Accept")
    assert rules(lab, m, group) == [web, ssh]
    settings = {
        "ip_protocol": "tcp",
        "port_range": "443/443",
        "source_cidr_ip": "192.168.1.7",
        "policy": "accept",
        "priority": "1",
    }
    permission = m.AuthorizeSecurityGroupRequestPermissions(**settings)
    add = m.AuthorizeSecurityGroupRequest(
        region_id=REGION, security_group_id=group, permissions=[permission]
    )
    lab.ask(lab.ecs.authorize_security_group, add)
    lab.ask(lab.ecs.authorize_security_group, add)
    tls = ("TCP", "443/443", "192.168.1.7", "Accept")
    assert rules(lab, m, group) == [web, ssh, tls]
    remove = m.RevokeSecurityGroupRequest(
        region_id=REGION,
        security_group_id=group,
        permissions=[m.RevokeSecurityGroupRequestPermissions(**settings)],
    )
    lab.ask(lab.ecs.revoke_security_group, remove)
    lab.ask(lab.ecs.revoke_security_group, remove)
    by_id = m.RevokeSecurityGroupRequest(
        region_id=REGION,
        security_group_id=group,
        security_group_rule_id=[lab.state.account.security_groups[group].rules[1].id],
    )
    lab.ask(lab.ecs.revoke_security_group, by_id)
    assert rules(lab, m, group) == [web]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ip_protocol": "SCTP"}, "InvalidParameter"),
        ({"port_range": "80"}, "InvalidParameter"),
        ({"port_range": "90/80"}, "InvalidParameter"),
        ({"port_range": "-1/-1"}, "InvalidParameter"),
        ({"source_cidr_ip": "somewhere"}, "InvalidParameter"),
        ({"source_cidr_ip": None}, "MissingSourceCidrIp"),
        ({"priority": "101"}, "InvalidParameter"),
    ],
)
def test_an_impossible_rule_is_refused(lab: Lab, m: Any, change: dict[str, Any], code: str) -> None:
    settings = {"ip_protocol": "tcp", "port_range": "80/80", "source_cidr_ip": "10.0.0.0/8"}
    request = m.AuthorizeSecurityGroupRequest(
        region_id=REGION,
        security_group_id=next(iter(lab.state.account.security_groups)),
        permissions=[m.AuthorizeSecurityGroupRequestPermissions(**(settings | change))],
    )
    assert lab.refused(lab.ecs.authorize_security_group, request) == (400, code)


def test_an_unknown_group_is_not_found(lab: Lab, m: Any) -> None:
    request = m.DescribeSecurityGroupAttributeRequest(
        region_id=REGION, security_group_id="sg-nobody"
    )
    assert lab.refused(lab.ecs.describe_security_group_attribute, request) == (
        404,
        "InvalidSecurityGroupId.NotFound",
    )


class Hosts:
    """What stands behind the instances in these tests; `ran` is set after each command."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.gate = threading.Event()
        self.answer: tuple[int, str] | Exception = (0, "")

    def run(self, instance_id: str, script: str) -> tuple[int, str]:
        self.asked.append((instance_id, script))
        assert self.gate.wait(WAIT_S)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def hosts(lab: Lab) -> Hosts:
    hosts = Hosts()
    lab.state.run_on_host = hosts.run
    return hosts


def command(lab: Lab, m: Any, **changes: Any) -> Any:
    settings = {
        "region_id": REGION,
        "type": "RunShellScript",
        "command_content": "echo hello",
        "instance_id": list(lab.state.account.instances)[:1],
    }
    return m.RunCommandRequest(**(settings | changes))


def results(lab: Lab, m: Any, invoke_id: str, encoding: str | None = None) -> list[Any]:
    request = m.DescribeInvocationResultsRequest(
        region_id=REGION, invoke_id=invoke_id, content_encoding=encoding
    )
    body = lab.ask(lab.ecs.describe_invocation_results, request)
    found: list[Any] = body.invocation.invocation_results.invocation_result
    return found


def ended(lab: Lab, m: Any, invoke_id: str, changed: threading.Semaphore) -> Any:
    """The one result, once it is final."""
    while True:
        (one,) = results(lab, m, invoke_id, "PlainText")
        if one.invocation_status != "Running":
            return one
        assert changed.acquire(timeout=WAIT_S)


@pytest.fixture
def changed(lab: Lab) -> threading.Semaphore:
    """Released at each change of the account."""
    semaphore = threading.Semaphore(0)
    lab.state.on_change(semaphore.release)
    return semaphore


def test_a_command_runs_on_the_host(
    lab: Lab, m: Any, hosts: Hosts, changed: threading.Semaphore
) -> None:
    hosts.answer = (0, "hello\n")
    made = lab.ask(lab.ecs.run_command, command(lab, m, working_dir="/tmp/a b"))
    (running,) = results(lab, m, made.invoke_id)
    assert (running.invocation_status, running.invoke_record_status) == ("Running", "Running")
    hosts.gate.set()
    one = ended(lab, m, made.invoke_id, changed)
    assert (one.invocation_status, one.exit_code, one.output) == ("Success", 0, "hello\n")
    (encoded,) = results(lab, m, made.invoke_id)
    assert base64.b64decode(encoded.output) == b"hello\n"
    assert hosts.asked == [
        (next(iter(lab.state.account.instances)), "cd '/tmp/a b' || exit 1\necho hello")
    ]


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        ((3, "no"), "Failed", "ExitCodeNonzero"),
        (OSError(111, "refused"), "Failed", "ExecutionException"),
        (Problem("lab.no-port"), "Failed", "ExecutionException"),
    ],
)
def test_a_command_fails(
    lab: Lab,
    m: Any,
    hosts: Hosts,
    changed: threading.Semaphore,
    answer: tuple[int, str] | Exception,
    status: str,
    error: str,
) -> None:
    hosts.answer = answer
    hosts.gate.set()
    content = base64.b64encode(b"exit 3").decode()
    request = command(lab, m, command_content=content, content_encoding="Base64")
    made = lab.ask(lab.ecs.run_command, request)
    one = ended(lab, m, made.invoke_id, changed)
    assert (one.invocation_status, one.error_code) == (status, error)
    assert hosts.asked[0][1] == "exit 3"


def test_a_command_that_takes_too_long_is_called_off(
    lab: Lab, m: Any, hosts: Hosts, changed: threading.Semaphore
) -> None:
    made = lab.ask(lab.ecs.run_command, command(lab, m, timeout=1))
    one = ended(lab, m, made.invoke_id, changed)
    hosts.gate.set()
    assert (one.invocation_status, one.invoke_record_status) == ("Timeout", "Failed")


def test_a_command_needs_an_instance_and_a_host(lab: Lab, m: Any) -> None:
    not_found = (404, "InvalidInstanceId.NotFound")
    assert lab.refused(lab.ecs.run_command, command(lab, m)) == not_found
    hosts = Hosts()
    lab.state.run_on_host = hosts.run
    assert lab.refused(lab.ecs.run_command, command(lab, m, instance_id=["i-nobody"])) == not_found
    assert lab.refused(lab.ecs.run_command, command(lab, m, type="RunBatScript")) == (
        400,
        "InvalidParameter",
    )
    assert hosts.asked == []


def test_a_command_that_a_restart_cut_off_has_failed(
    folder: Path, first_day: Scenario, m: Any
) -> None:
    hosts = Hosts()
    with Lab(folder, first_day) as lab:
        lab.state.run_on_host = hosts.run
        made = lab.ask(lab.ecs.run_command, command(lab, m)).invoke_id
        copy = (folder / "cloud.json").read_bytes()
        hosts.gate.set()
    (folder / "cloud.json").write_bytes(copy)
    with Lab(folder, first_day) as lab:
        (one,) = results(lab, m, made)
        assert (one.invocation_status, one.error_code) == ("Failed", "ExecutionInterrupted")
