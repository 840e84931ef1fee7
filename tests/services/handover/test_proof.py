"""A verification's result, as `verify --json` ends with it, read back from the session."""

from __future__ import annotations

from typing import Any

import pytest

from services.handover.content import Verification
from services.handover.proof import verification
from services.problem import Problem
from services.session.model import Proof, Proved, Session

CONTRACT: dict[str, Any] = {
    "event": "result",
    "verdict": "pass",
    "endpoint": "127.0.0.1:38987",
    "name": "www.example.com",
    "requests": 200,
    "ok": 200,
    "failed": 0,
    "backends": {"ECS01": 150, "ECS02": 50},
    "tls": {"version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256"},
    "refused": {"no_certificate": True, "unknown_ca": None, "plain_http": False},
    "latency_ms": {"p50": 14.02, "p99": None},
    "requests_per_second": 1071.8,
    "health": [{"server": "ECS01", "status": "Abnormal", "reason": "CONNECT_TIMEOUT"}],
    "diagnosis": [
        {
            "code": "uneven",
            "severity": "warning",
            "confidence": "certain",
            "cause": "Uneven.",
            "remedy": "Look.",
            "evidence": "150 of 200",
        }
    ],
    "session": "20261124-198e6a",
}
"""The object of the contract, and nothing beyond it."""

EXPECTED = {"expected": {"ECS01": 0.5, "ECS02": 0.5}}


def read(result: dict[str, Any]) -> Verification | None:
    proved = Proved(passed=True, time="2026-11-24T12:00:00.000Z", result=result)
    session = Session(
        id="20261124-c0ffee",
        proofs={"first": Proved(passed=True, time=""), "last": proved},
    )
    return verification(session, ("first", "last", "never"))


def test_the_contract_is_enough() -> None:
    found = read({**CONTRACT, **EXPECTED})
    assert found is not None
    assert (found.verdict, found.requests, found.tls_version) == ("pass", 200, "TLSv1.3")
    assert found.time == "2026-11-24T12:00:00.000Z"
    assert found.outcomes == {"ok": 200}
    assert found.latency_ms == {"p50": 14.02, "p99": None}
    first, second = found.backends
    assert (first.backend, first.count, first.share, first.expected) == ("ECS01", 150, 0.75, 0.5)
    assert first.low < 0.75 < first.high
    assert first.within_chance is False
    assert second.within_chance is False
    assert [(each.name, each.refused) for each in found.strangers] == [
        ("no_certificate", True),
        ("unknown_ca", None),
        ("plain_http", False),
    ]
    assert found.strangers[0].title == "a client without a certificate"
    assert found.health[0].reason == "CONNECT_TIMEOUT"
    assert found.diagnosis[0].cause == "Uneven."
    assert found.announced is None


def test_a_backend_that_gave_no_answer_is_told_too() -> None:
    found = read({**CONTRACT, **EXPECTED, "backends": {"ECS01": 200}})
    assert found is not None
    assert [(each.backend, each.count) for each in found.backends] == [("ECS01", 200), ("ECS02", 0)]


def test_where_nothing_is_expected_nothing_is_judged() -> None:
    found = read({**CONTRACT, "backends": {"page 5e1c": 120, "page a0ff": 80}})
    assert found is not None
    assert [(each.expected, each.within_chance) for each in found.backends] == [(None, None)] * 2


def test_what_newer_programs_keep_is_read() -> None:
    beyond = {
        "outcomes": {"ok": 190, "http-5xx": 10},
        "refusals": [
            {"name": "no_certificate", "refused": True, "evidence": "alert", "alert": "x"},
            {"name": "expired", "refused": None, "untried": "no key", "something": "new"},
        ],
        "something": {"else": 1},
    }
    found = read({**CONTRACT, **beyond})
    assert found is not None
    assert found.outcomes == {"ok": 190, "http-5xx": 10}
    by_name = {each.name: each for each in found.strangers}
    assert by_name["no_certificate"].evidence == "alert"
    assert by_name["plain_http"].refused is False
    assert by_name["expired"].untried == "no key"


def test_what_was_accepted_without_a_pass_is_told_as_it_was_found() -> None:
    session = Session(id="s")
    failed = Proof(time="1", step="last", passed=False, result={**CONTRACT, "verdict": "fail"})
    accepted = Proof(time="2", step="last", passed=False, accepted=True)
    found = verification(session.after(failed).after(accepted), ("last",))
    assert found is not None
    assert found.verdict == "fail"


def test_nothing_that_ever_happened_is_no_verification() -> None:
    assert read({}) is None
    assert read({"verdict": "pass"}) is None


@pytest.mark.parametrize(
    "wrong", [{"verdict": "perhaps"}, {"requests": "many"}, {"backends": ["ECS01"]}]
)
def test_another_form_is_told_with_a_remedy(wrong: dict[str, Any]) -> None:
    with pytest.raises(Problem) as caught:
        read({**CONTRACT, **wrong})
    assert caught.value.code == "handover.unreadable-result"
    assert "20261124-c0ffee" in caught.value.words().remedy
