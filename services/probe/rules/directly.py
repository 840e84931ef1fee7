"""What the balancer's API and the backends themselves say of the backends."""

from __future__ import annotations

from services.probe.observations import Observations
from services.probe.tally import expected_shares


def all_abnormal(seen: Observations) -> bool:
    return bool(seen.health) and len(seen.abnormal()) == len(seen.health)


def none_answers(seen: Observations) -> bool:
    """Every backend was asked by itself, and none answered well."""
    expected = set(expected_shares(seen.weights)) or {each.server for each in seen.health}
    asked = seen.direct.keys() >= expected if expected else bool(seen.direct)
    return bool(seen.direct) and asked and not some_answer(seen)


def some_answer(seen: Observations) -> bool:
    return any(each.well for each in seen.direct.values())
