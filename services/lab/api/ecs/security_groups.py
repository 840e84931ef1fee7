"""Security groups: their rules told, added, removed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import replace

from services.lab.api.call import Call
from services.lab.api.errors import ApiError, missing
from services.lab.api.moments import iso
from services.lab.api.paging import token, token_position
from services.lab.api.parameters import Parameters
from services.lab.state.account import Account, Json, Rule, SecurityGroup
from services.lab.state.identifiers import fresh

_PROTOCOLS = ("TCP", "UDP", "ICMP", "ICMPv6", "GRE", "ALL")
_MOST_RULES = 100
_PORTS = re.compile(r"(-?[0-9]{1,5})/(-?[0-9]{1,5})", re.ASCII)


def describe_security_group_attribute(call: Call) -> Json:
    asked, group = call.parameters, _group_of(call)
    direction = asked.text("Direction", among=("ingress", "egress", "all"))
    found = [rule for rule in group.rules if direction in ("", "all", rule.direction)]
    size = max(10, asked.number("MaxResults", 500, 1, 1000))
    start = token_position(asked, len(found))
    return {
        "Description": "",
        "InnerAccessPolicy": "Accept",
        "NextToken": token(start + size) if start + size < len(found) else "",
        "Permissions": {"Permission": [_shown(rule) for rule in found[start : start + size]]},
        "RegionId": call.account.region,
        "SecurityGroupId": group.id,
        "SecurityGroupName": group.name,
        "VpcId": group.vpc_id,
    }


def authorize_security_group(call: Call) -> tuple[Json, Account]:
    group = _group_of(call)
    known = {_essence(rule) for rule in group.rules}
    added = []
    for rule in _rules(call):
        if _essence(rule) not in known:  # one that is there already is accepted, and not doubled
            known.add(_essence(rule))
            added.append(replace(rule, id=fresh("sgr"), created=call.now))
    return {}, _with(call, group, (*group.rules, *added)) if added else call.account


def revoke_security_group(call: Call) -> tuple[Json, Account]:
    group = _group_of(call)
    identifiers = call.parameters.texts("SecurityGroupRuleId", _MOST_RULES)
    # A rule that is not there counts as removed.
    gone = set() if identifiers else {_essence(rule) for rule in _rules(call)}
    kept = [
        rule for rule in group.rules if rule.id not in identifiers and _essence(rule) not in gone
    ]
    return {}, _with(call, group, kept) if len(kept) < len(group.rules) else call.account


def _group_of(call: Call) -> SecurityGroup:
    call.parameters.needed("RegionId")
    found = call.account.security_groups.get(call.parameters.needed("SecurityGroupId"))
    if found is None:
        raise ApiError(
            "InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId does not exist.", 404
        )
    return found


def _rules(call: Call) -> list[Rule]:
    """The rules that a call names: in `Permissions`, or as parameters of its own (deprecated)."""
    permissions = call.parameters.structures("Permissions", _MOST_RULES)
    if permissions:
        return [_rule(one) for one in permissions]
    if "IpProtocol" not in call.parameters:
        raise missing("Permissions")
    return [_rule(call.parameters)]


def _rule(asked: Parameters) -> Rule:
    protocol = asked.needed("IpProtocol", among=_PROTOCOLS)
    port_range = asked.needed("PortRange")
    ports = _PORTS.fullmatch(port_range)
    if ports is None or not _is_range(protocol, int(ports[1]), int(ports[2])):
        raise asked.illegal("PortRange")
    cidr, group_id = asked.text("SourceCidrIp"), asked.text("SourceGroupId")
    if bool(cidr) == bool(group_id):
        raise missing("SourceCidrIp") if not cidr else asked.illegal("SourceCidrIp")
    if cidr:
        try:
            cidr = str(ipaddress.IPv4Network(cidr, strict=False))
        except ValueError:
            raise asked.illegal("SourceCidrIp") from None
    asked.text("NicType", among=("intranet", "internet"))
    return Rule(
        id="",
        direction="ingress",
        protocol=protocol,
        port_range=port_range,
        source_cidr=cidr,
        source_group_id=group_id,
        policy=asked.text("Policy", "Accept", among=("Accept", "Drop")),
        priority=asked.number("Priority", 1, 1, 100),
        description=asked.text("Description"),
    )


def _is_range(protocol: str, first: int, last: int) -> bool:
    if protocol in ("TCP", "UDP"):
        return 1 <= first <= last <= 65535
    return first == last == -1


def _essence(rule: Rule) -> tuple[object, ...]:
    """What makes two rules the same rule."""
    return (
        rule.direction,
        rule.protocol,
        rule.port_range,
        rule.source_cidr,
        rule.source_group_id,
        rule.policy,
        rule.priority,
    )


def _with(call: Call, group: SecurityGroup, rules: Iterable[Rule]) -> Account:
    changed = replace(group, rules=tuple(rules))
    groups = {**call.account.security_groups, group.id: changed}
    return replace(call.account, security_groups=groups)


def _shown(rule: Rule) -> Json:
    # Networks of one address are told without "/32".
    source = rule.source_cidr.removesuffix("/32")
    return {
        "CreateTime": iso(rule.created),
        "Description": rule.description,
        "Direction": rule.direction,
        "IpProtocol": rule.protocol,
        "NicType": "intranet",
        "Policy": rule.policy,
        "PortRange": rule.port_range,
        "Priority": str(rule.priority),
        "SecurityGroupRuleId": rule.id,
        "SourceCidrIp": source,
        "SourceGroupId": rule.source_group_id,
    }
