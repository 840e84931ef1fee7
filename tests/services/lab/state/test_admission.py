"""What security groups let in, compared with the program's own reading of the same rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.cloud.port import IngressRule
from services.lab.state.account import (
    AccessKey,
    Account,
    Instance,
    Member,
    Rule,
    SecurityGroup,
    ServerGroup,
)
from services.lab.state.admission import admits, with_port_closed, with_rules_back
from services.steps import admission

SOURCES = ("192.168.1.251", "192.168.2.252", "10.0.0.1")

rules = st.builds(
    Rule,
    id=st.uuids().map(str),
    direction=st.just("ingress"),
    protocol=st.sampled_from(["TCP", "UDP", "ALL", "ICMP"]),
    port_range=st.sampled_from(["80/80", "1/65535", "22/22", "-1/-1", "79/81"]),
    source_cidr=st.sampled_from(
        ["0.0.0.0/0", "192.168.0.0/16", "192.168.1.251/32", "10.0.0.0/8", ""]
    ),
    policy=st.sampled_from(["Accept", "Drop"]),
    priority=st.integers(1, 3),
)
groups_of_rules = st.lists(st.lists(rules, max_size=4).map(tuple), min_size=1, max_size=3)


def instance(name: str, *groups: str) -> Instance:
    return Instance(
        id=name, name=name, zone_id="", vswitch_id="", vpc_id="", private_address="",
        public_address="", security_group_ids=groups, created=0,
    )  # fmt: skip


def account(*groups: tuple[Rule, ...]) -> Account:
    """i-1 serves, and has all of these groups; i-2 is a client in a group of its own."""
    named = {f"sg-{n}": SecurityGroup(f"sg-{n}", "", "", held) for n, held in enumerate(groups)}
    other = SecurityGroup("sg-other", "", "", (Rule("", "ingress", "TCP", "80/80", "0.0.0.0/0"),))
    server = Member("i-1", "Ecs", 80, 100, "")
    return Account(
        id="", user="", region="", cas_site="", domain="", access_key=AccessKey("", ""),
        public_ca_pem="",
        server_groups={"sgp": ServerGroup("sgp", "", "", "TCP", "", False, members=(server,))},
        instances={"i-1": instance("i-1", *named), "i-2": instance("i-2", "sg-other")},
        security_groups={**named, "sg-other": other},
    )  # fmt: skip


def told(rule: Rule) -> IngressRule:
    """The rule as the program gets it from the API."""
    return IngressRule(
        rule.protocol.lower(), rule.port_range, rule.source_cidr, rule.policy.lower(), rule.priority
    )


@given(groups_of_rules, st.sampled_from(SOURCES))
def test_balancer_obeys_the_rules_as_the_program_reads_them(
    groups: list[tuple[Rule, ...]], source: str
) -> None:
    together = [told(rule) for group in groups for rule in group]
    expected = admission.admits(together, 80, source)
    assert admits(account(*groups), "i-1", 80, [source]) == expected


@given(groups_of_rules)
def test_every_source_must_be_let_in(groups: list[tuple[Rule, ...]]) -> None:
    held = account(*groups)
    each = [admits(held, "i-1", 80, [source]) for source in SOURCES]
    assert admits(held, "i-1", 80, SOURCES) == all(each)


@given(groups_of_rules)
def test_revoking_closes_the_port_and_can_be_taken_back(groups: list[tuple[Rule, ...]]) -> None:
    before = account(*groups)
    closed = with_port_closed(before, 80)
    assert not any(admits(closed, "i-1", 80, [source]) for source in SOURCES)
    assert admits(closed, "i-2", 80, SOURCES)
    back = with_rules_back(closed)
    assert back.revoked is None
    for key, group in before.security_groups.items():
        assert sorted(back.security_groups[key].rules, key=repr) == sorted(group.rules, key=repr)


def test_an_address_has_no_security_group() -> None:
    assert admits(account(()), "192.168.7.7", 80, SOURCES)
