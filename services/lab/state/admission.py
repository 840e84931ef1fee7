"""What security groups let in, and what becomes of them when somebody revokes a rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from services.lab.state.account import Account, Rule


def admits(account: Account, instance_id: str, port: int, sources: Iterable[str]) -> bool:
    """Whether TCP from each of `sources` (addresses) gets in to an instance's port.

    Of the rules of all its groups that match, those of the smallest priority number decide; there
    a drop beats an accept; without a rule nothing gets in (vendor, "Security group rules"). What
    is no instance, an address for example, has no security group that could keep anybody out.
    """
    instance = account.instances.get(instance_id)
    if instance is None:
        return True
    rules = [
        rule
        for group_id in instance.security_group_ids
        if (group := account.security_groups.get(group_id)) is not None
        for rule in group.rules
        if _is_about(rule, port)
    ]
    return all(_accepted(rules, IPv4Address(source)) for source in sources)


def _accepted(rules: Iterable[Rule], source: IPv4Address) -> bool:
    # The members of a rule's source group are instances; the balancer is none.
    matching = [
        rule for rule in rules if rule.source_cidr and source in IPv4Network(rule.source_cidr)
    ]
    first = min((rule.priority for rule in matching), default=0)
    deciding = [rule for rule in matching if rule.priority == first]
    return bool(deciding) and not any(rule.policy.lower() == "drop" for rule in deciding)


def _is_about(rule: Rule, port: int) -> bool:
    if rule.direction != "ingress" or rule.protocol.upper() not in ("TCP", "ALL"):
        return False
    first, _, last = rule.port_range.partition("/")
    return first == "-1" or int(first) <= port <= int(last)


def with_port_closed(account: Account, port: int) -> Account:
    """As if somebody had revoked every rule that lets anybody in to the servers' `port`.

    They are kept in `account.revoked`; rules that are added later count as always.
    """
    servers = {
        member.server_id for group in account.server_groups.values() for member in group.members
    }
    closed = {
        group_id
        for one in account.instances.values()
        if one.id in servers
        for group_id in one.security_group_ids
    }
    revoked: dict[str, tuple[Rule, ...]] = {}
    groups = dict(account.security_groups)
    for group_id in closed & groups.keys():
        group = groups[group_id]
        gone = [r for r in group.rules if _is_about(r, port) and r.policy.lower() == "accept"]
        if gone:
            revoked[group_id] = tuple(gone)
            kept = tuple(rule for rule in group.rules if rule not in gone)
            groups[group_id] = replace(group, rules=kept)
    return replace(account, security_groups=groups, revoked=revoked)


def with_rules_back(account: Account) -> Account:
    """With the rules again that `with_port_closed` took away."""
    revoked: Mapping[str, tuple[Rule, ...]] = account.revoked or {}
    groups = {
        key: replace(group, rules=(*revoked.get(key, ()), *group.rules))
        for key, group in account.security_groups.items()
    }
    return replace(account, security_groups=groups, revoked=None)
