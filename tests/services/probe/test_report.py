"""Step 6 from end to end, against nginx: the verdict, and the object that other programs read."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.probe.observations import Direct, Health
from services.probe.refusals import MUST_TRY, STRANGERS
from services.probe.report import Inside, Known, Report, conclude, verify
from services.probe.tally import Tally
from services.problem import Problem
from services.stop import Stop
from tests.services.probe.certificates import Certificates, issue
from tests.services.probe.faulty import over_tls, serving, until_gone
from tests.services.probe.nginx import Nginx, free_port
from tests.services.probe.test_engine import BRIEF, target
from tests.services.probe.test_judges import dressed

NORMAL = (Health("ECS01", "Normal"), Health("ECS02", "Normal"))


def test_all_is_well(balancer: Nginx) -> None:
    at, seen = balancer.target(), list[Tally]()
    report = verify(at, requests=40, stop=Stop(), health=NORMAL, on_snapshot=seen.append)
    found = report.to_map()
    assert json.loads(json.dumps(found)) == found
    latency, rate = found["latency_ms"], found["requests_per_second"]
    assert isinstance(latency, dict)
    assert 0 < latency["p50"] <= latency["p99"]
    assert isinstance(rate, float)
    assert rate > 0
    contract = {
        "event": "result",
        "verdict": "pass",
        "endpoint": f"127.0.0.1:{at.port}",
        "name": "www.example.com",
        "requests": 40,
        "ok": 40,
        "failed": 0,
        "backends": {"ECS01": 20, "ECS02": 20},
        "tls": {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"},
        "refused": {"no_certificate": True, "unknown_ca": True, "plain_http": True},
        "latency_ms": latency,
        "requests_per_second": rate,
        "health": [
            {"server": "ECS01", "status": "Normal"},
            {"server": "ECS02", "status": "Normal"},
        ],
        "diagnosis": [],
    }
    assert dict(islice(found.items(), len(contract))) == contract
    assert list(found)[: len(contract)] == list(contract)
    assert found["addresses"] == {f"127.0.0.1:{at.port}": {"ok": 40}}
    assert found["outcomes"] == {"ok": 40}
    refusals = found["refusals"]
    assert isinstance(refusals, list)
    assert [each["name"] for each in refusals] == list(STRANGERS)
    assert seen[-1] == report.tally


def first_code(report: Report) -> str:
    (first, *_) = report.diagnoses
    return first.code


@pytest.mark.parametrize(
    ("door", "client", "code"),
    [
        ("open", "rightful", "mutual-authentication-not-enforced"),
        ("mutual", "none", "client-certificate-missing"),
        ("mutual", "expired", "client-certificate-expired"),
        ("mutual", "foreign", "client-certificate-unknown-ca"),
        ("tls13", "expired", "client-certificate-expired"),
        ("http_mutual", "none", "client-certificate-missing"),
        ("http_mutual", "foreign", "client-certificate-unknown-ca"),
        ("lonely", "rightful", "all-backends-down"),
    ],
)
def test_cause_is_named(
    door: str, client: str, code: str, balancer: Nginx, certs: Certificates
) -> None:
    at = dressed(balancer.target(getattr(balancer, door)), client, certs)
    report = verify(at, requests=4, stop=Stop())
    assert report.verdict == "fail"
    assert first_code(report) == code


def test_health_settles_what_silence_leaves_open(balancer: Nginx) -> None:
    at = balancer.target(balancer.lonely)
    down = tuple(replace(each, status="Unhealthy", reason="CONNECT_FAILED") for each in NORMAL)
    report = verify(at, requests=4, stop=Stop(), health=down)
    assert [each.code for each in report.diagnoses] == ["all-backends-down"]
    assert {each.refused for each in report.refusals if each.name in MUST_TRY} == {None}


@pytest.mark.parametrize(
    ("path", "code"),
    [("/moved", "redirect"), ("/broken", "backend-error"), ("/empty", "answer-empty")],
)
def test_bad_answers_are_told_from_refusals(path: str, code: str, balancer: Nginx) -> None:
    report = verify(balancer.target(path=path), requests=4, stop=Stop())
    assert first_code(report) == code
    assert {each.refused for each in report.refusals if each.name in MUST_TRY} == {True}


def test_closed_port_keeps_nobody_waiting(balancer: Nginx) -> None:
    report = verify(balancer.target(free_port()), requests=4, stop=Stop())
    found = report.to_map()
    assert first_code(report) == "port-closed"
    assert found["refused"] == {"no_certificate": None, "unknown_ca": None, "plain_http": None}
    assert found["tls"] == {"version": None, "cipher": None}
    assert found["latency_ms"] == {"p50": None, "p99": None}


def test_stalled_endpoint_keeps_strangers_from_waiting(certs: Certificates) -> None:
    with serving(until_gone) as server:
        report = verify(target(certs, server.port, BRIEF), requests=2, stop=Stop())
        assert server.accepted == 2
    assert (first_code(report), report.refusals) == ("stalled", ())


def test_unknown_name_is_a_diagnosis_not_an_error(balancer: Nginx) -> None:
    report = verify(replace(balancer.target(), host="no..such.host"), stop=Stop())
    assert (report.verdict, first_code(report)) == ("fail", "name-not-resolving")
    assert report.to_map()["requests"] == 1


def test_expected_backend_that_is_missing_fails(balancer: Nginx) -> None:
    at = balancer.target(backends=("ECS01", "ECS02", "ECS03"))
    report = verify(at, requests=60, stop=Stop())
    assert (report.verdict, first_code(report)) == ("fail", "backend-down")


def test_backend_of_weight_0_is_not_expected(balancer: Nginx) -> None:
    at = balancer.target(backends=("ECS01", "ECS02", "ECS03"))
    weights = {"ECS01": 100, "ECS02": 100, "ECS03": 0}
    assert verify(at, requests=20, stop=Stop(), weights=weights).verdict == "pass"


def test_backends_need_no_names(balancer: Nginx) -> None:
    report = verify(balancer.target(backends=()), requests=20, stop=Stop())
    assert report.verdict == "pass"
    assert dict(report.tally.backends) == {"ECS01": 10, "ECS02": 10}


def test_typing_error_in_a_file_name_is_a_problem(balancer: Nginx, certs: Certificates) -> None:
    at = replace(balancer.target(), certificate_file=certs.folder / "cleint.crt")
    with pytest.raises(Problem):
        verify(at, stop=Stop())


def test_stopped_verification_ends_soon_and_does_not_pass(certs: Certificates) -> None:
    stop = Stop()
    with serving(over_tls(certs, until_gone)) as server:
        at, began = target(certs, server.port), time.monotonic()
        report = verify(at, stop=stop, on_snapshot=lambda tally: stop.set())
        assert time.monotonic() - began < 3
    assert report.verdict == "fail"
    assert report.refusals == ()


def test_nothing_done_is_nothing_proven(balancer: Nginx) -> None:
    assert conclude(balancer.target(), Tally()).verdict == "fail"
    stop = Stop()
    stop.set()
    assert verify(balancer.target(), stop=stop).verdict == "fail"


def test_key_of_another_certificate_is_a_diagnosis(balancer: Nginx, certs: Certificates) -> None:
    at = replace(balancer.target(), key_file=certs.foreign_client.key_file)
    report = verify(at, requests=4, stop=Stop())
    assert (report.verdict, report.tally.requests) == ("fail", 0)
    assert [each.code for each in report.diagnoses] == ["client-key-mismatch"]


def test_certificate_that_ends_tomorrow_is_a_warning(
    balancer: Nginx, certs: Certificates, tmp_path: Path
) -> None:
    usage = ExtendedKeyUsageOID.CLIENT_AUTH
    short = issue(tmp_path, "short", "client", certs.ca, usage=usage, begins_days=-30, ends_days=1)
    at = replace(
        balancer.target(), certificate_file=short.certificate_file, key_file=short.key_file
    )
    report = verify(at, requests=8, stop=Stop())
    assert report.verdict == "pass"
    assert [each.code for each in report.diagnoses] == ["certificate-ends-soon"]
    assert "CN=client" in report.diagnoses[0].cause()


def test_inside_is_looked_at_only_when_something_is_wrong(balancer: Nginx) -> None:
    looked: list[str] = []

    def look_inside(found: Report) -> Inside:
        looked.append(found.verdict)
        return Inside(direct={"ECS03": Direct(0, "curl: (7) Connection refused")})

    known = Known(look_inside=look_inside)
    assert verify(balancer.target(), requests=8, stop=Stop(), known=known).verdict == "pass"
    assert not looked
    at = balancer.target(backends=("ECS01", "ECS02", "ECS03"))
    report = verify(at, requests=60, stop=Stop(), known=known)
    assert looked == ["fail"]
    assert first_code(report) == "backend-down"
    assert "ECS03 itself" in report.diagnoses[0].evidence


def test_requests_that_hang_are_not_all_waited_for(certs: Certificates) -> None:
    with serving(over_tls(certs, until_gone)) as server:
        at = target(certs, server.port, replace(BRIEF, first_byte_s=0.3))
        report = verify(at, requests=100_000, stop=Stop())
    assert report.tally.requests < 1000
    assert first_code(report) == "backend-silent"
