"""Whether a security group lets a packet in: pure, by the vendor's rules of precedence."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from services.cloud.port import IngressRule


def admits(rules: Sequence[IngressRule], port: int, source: str) -> bool:
    """Whether TCP from `source` to `port` gets in.

    The rule with the smallest priority number decides; at the same priority a drop beats an
    accept; without a rule nothing gets in (vendor, ECS "Security group rules").
    """
    matching = [rule for rule in rules if _matches(rule, port, source)]
    if not matching:
        return False
    first = min(rule.priority for rule in matching)
    return all(rule.policy.lower() == "accept" for rule in matching if rule.priority == first)


def _matches(rule: IngressRule, port: int, source: str) -> bool:
    if rule.protocol.upper() not in ("TCP", "ALL"):
        return False
    low, _, high = rule.port_range.partition("/")
    if low != "-1" and not int(low) <= port <= int(high or low):
        return False
    try:
        network = ipaddress.ip_network(rule.source_cidr, strict=False)
    except ValueError:
        return False  # none, for another group or a prefix list: no address of the balancer's
    return ipaddress.ip_address(source) in network
