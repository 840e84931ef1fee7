"""Elastic Compute Service, API version 2014-05-26: the backends, and what may reach them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from itertools import count

from services.cloud.answer import Answer
from services.cloud.api import Api
from services.cloud.equivalent import Parameters, Value
from services.cloud.pages import by_token
from services.cloud.port import IngressRule, Instance, ScriptRun
from services.problem import Problem
from services.stop import Stop

_INSTANCES_AT_ONCE = 100
"""DescribeInstances takes no more ids, and gives no more a page."""

_GOING_ON = ("", "Pending", "Running", "Stopping")
"""`InvokeRecordStatus` of a script that has not ended."""


class AlibabaEcs:
    """`services.cloud.port.Ecs` over the vendor's API."""

    def __init__(self, api: Api, region: str) -> None:
        self._api = api
        self._region = region

    def instances(self, stop: Stop, instance_ids: Sequence[str] = ()) -> Sequence[Instance]:
        asked: dict[str, Value] = {"RegionId": self._region, "MaxResults": _INSTANCES_AT_ONCE}
        if not instance_ids:
            return self._instances(asked, stop)
        return [
            instance
            for start in range(0, len(instance_ids), _INSTANCES_AT_ONCE)
            for instance in self._instances(
                # A list that this API wants as the text of a JSON array.
                asked
                | {"InstanceIds": json.dumps([*instance_ids[start : start + _INSTANCES_AT_ONCE]])},
                stop,
            )
        ]

    def ingress_rules(self, security_group_id: str, stop: Stop) -> Sequence[IngressRule]:
        asked: Parameters = {
            "RegionId": self._region,
            "SecurityGroupId": security_group_id,
            "Direction": "ingress",
            "MaxResults": 1000,
        }
        return [
            _rule(found)
            for page in by_token(self._api, "ecs", "DescribeSecurityGroupAttribute", asked, stop)
            for found in page.item("Permissions").items("Permission")
            if found.text("Direction").lower() in {"", "ingress"}
        ]

    def allow_ingress(
        self, security_group_id: str, rule: IngressRule, token: str, stop: Stop
    ) -> None:
        asked = self._change(security_group_id, rule, token)
        self._api.call("ecs", "AuthorizeSecurityGroup", asked, stop)

    def revoke_ingress(
        self, security_group_id: str, rule: IngressRule, token: str, stop: Stop
    ) -> None:
        asked = self._change(security_group_id, rule, token)
        try:
            self._api.call("ecs", "RevokeSecurityGroup", asked, stop)
        except Problem as problem:
            if problem.code != "cloud.not-found":
                raise

    def run_script(
        self, instance_ids: Sequence[str], script: str, timeout_s: int, stop: Stop
    ) -> Mapping[str, ScriptRun]:
        began = self._api.call(
            "ecs",
            "RunCommand",
            {
                "RegionId": self._region,
                "Type": "RunShellScript",
                "CommandContent": script,
                "ContentEncoding": "PlainText",
                "Timeout": timeout_s,
                "InstanceId": [*instance_ids],
            },
            stop,
        )
        asked: Parameters = {
            "RegionId": self._region,
            "InvokeId": began.required("InvokeId"),
            "ContentEncoding": "PlainText",
        }
        deadline = time.monotonic() + timeout_s
        for looks in count(1):
            stop.sleep(self._api.pace.poll(looks))
            answer = self._api.call("ecs", "DescribeInvocationResults", asked, stop)
            found = answer.item("Invocation").item("InvocationResults").items("InvocationResult")
            ended = [each for each in found if each.text("InvokeRecordStatus") not in _GOING_ON]
            if len(ended) == len(instance_ids) or time.monotonic() > deadline:
                break
        return {
            each.required("InstanceId"): ScriptRun(each.number("ExitCode"), each.text("Output"))
            for each in ended
            if each.optional_number("ExitCode") is not None
        }

    def _instances(self, asked: dict[str, Value], stop: Stop) -> list[Instance]:
        return [
            _instance(found)
            for page in by_token(self._api, "ecs", "DescribeInstances", asked, stop)
            for found in page.item("Instances").items("Instance")
        ]

    def _change(self, security_group_id: str, rule: IngressRule, token: str) -> dict[str, Value]:
        return {
            "RegionId": self._region,
            "SecurityGroupId": security_group_id,
            "Permissions": [
                {
                    "IpProtocol": rule.protocol,
                    "PortRange": rule.port_range,
                    "SourceCidrIp": rule.source_cidr,
                    "Policy": rule.policy,
                    "Priority": str(rule.priority),
                }
            ],
            "ClientToken": token,
        }


def _instance(found: Answer) -> Instance:
    vpc = found.item("VpcAttributes")
    private = vpc.item("PrivateIpAddress").texts("IpAddress")
    public = found.item("PublicIpAddress").texts("IpAddress")
    elastic = found.item("EipAddress").text("IpAddress")
    return Instance(
        id=found.required("InstanceId"),
        name=found.text("InstanceName"),
        status=found.text("Status"),
        private_address=private[0] if private else "",
        public_address=elastic or (public[0] if public else ""),
        security_group_ids=found.item("SecurityGroupIds").texts("SecurityGroupId"),
        vpc_id=vpc.text("VpcId"),
        os_type=found.text("OSType") or "linux",
    )


def _rule(found: Answer) -> IngressRule:
    """Requests say `accept` and `tcp`, answers `Accept` and `TCP`: lower case is ours."""
    return IngressRule(
        protocol=found.text("IpProtocol").lower(),
        port_range=found.text("PortRange"),
        source_cidr=found.text("SourceCidrIp") or found.text("Ipv6SourceCidrIp"),
        policy=found.text("Policy").lower(),
        priority=found.number("Priority") or 1,
        id=found.text("SecurityGroupRuleId"),
    )
