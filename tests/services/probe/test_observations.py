"""Observations answer the questions that the rules ask of them."""

from __future__ import annotations

from dataclasses import replace

from services.probe.observations import Direct, Health
from services.probe.outcome import Outcome
from tests.services.probe.seen import HEALTHY, WELL, let_in, tally


def test_counts_and_samples_are_those_of_the_tally() -> None:
    failed = {Outcome.HTTP_5XX: 3, Outcome.REDIRECT: 2}
    seen = replace(HEALTHY, tally=tally({"ECS01": 5}, failed))
    assert seen.count(Outcome.HTTP_5XX, Outcome.REDIRECT, Outcome.NOT_TLS) == 5
    assert seen.sample(Outcome.NOT_TLS, Outcome.REDIRECT) == "evidence of redirect"
    assert seen.sample(Outcome.NOT_TLS) == ""
    assert seen.missing() == ("ECS02",)


def test_who_is_expected_must_be_normal() -> None:
    spare = Health("ECS03", "Unused")
    seen = replace(HEALTHY, weights={**HEALTHY.weights, "ECS03": 0}, health=(*WELL, spare))
    assert seen.abnormal() == ()
    assert replace(seen, weights={"ECS03": 100}).abnormal() == (spare,)
    assert Health("ECS01", "Unhealthy").well({}) is False


def test_what_was_not_tried_is_not_known() -> None:
    seen = replace(HEALTHY, refusals=let_in("expired")[:4])
    assert seen.refused("no_certificate") is True
    assert replace(seen, refusals=let_in("expired")).refused("expired") is False
    assert seen.refused("tls_1_0") is None


def test_only_success_is_well() -> None:
    assert Direct(204).well
    assert not Direct(500).well
    assert not Direct(0, "curl: (7) Connection refused").well
