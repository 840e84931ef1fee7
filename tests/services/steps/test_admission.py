"""Security groups, by the vendor's rules of precedence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cloud.port import IngressRule
from services.steps.admission import admits

SOURCE = "192.168.1.251"


@pytest.mark.parametrize(
    ("rules", "admitted"),
    [
        ([], False),
        ([IngressRule("TCP", "80/80", "192.168.0.0/16")], True),
        ([IngressRule("ALL", "-1/-1", "0.0.0.0/0")], True),
        ([IngressRule("UDP", "80/80", "0.0.0.0/0")], False),
        ([IngressRule("TCP", "443/443", "0.0.0.0/0")], False),
        ([IngressRule("TCP", "1/100", f"{SOURCE}/32")], True),
        ([IngressRule("TCP", "80/80", "10.0.0.0/8")], False),
        ([IngressRule("TCP", "80/80", "pl-prefixlist")], False),
        ([IngressRule("TCP", "80/80", "")], False),
        (
            [
                IngressRule("TCP", "80/80", "0.0.0.0/0", "Accept", 2),
                IngressRule("TCP", "80/80", "0.0.0.0/0", "Drop", 1),
            ],
            False,
        ),
        (
            [
                IngressRule("TCP", "80/80", "0.0.0.0/0", "Accept", 1),
                IngressRule("TCP", "80/80", "0.0.0.0/0", "Drop", 1),
            ],
            False,
        ),
    ],
)
def test_precedence(rules: list[IngressRule], admitted: bool) -> None:
    assert admits(rules, 80, SOURCE) is admitted


@given(st.permutations([(p, policy) for p in (1, 2, 3) for policy in ("accept", "drop")]))
def test_the_order_of_rules_never_matters(order: list[tuple[int, str]]) -> None:
    rules = [IngressRule("TCP", "80/80", "0.0.0.0/0", policy, p) for p, policy in order]
    assert admits(rules, 80, SOURCE) is False
    accepting = [IngressRule("TCP", "80/80", "0.0.0.0/0", "accept", 0), *rules]
    assert admits(accepting, 80, SOURCE) is True
