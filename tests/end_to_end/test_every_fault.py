"""Every fault of the lab, switched on while it runs: the verification names it, and first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app.wiring import Wiring
from services.hosts.host_trust import refuse_host_key
from services.lab.faults import FAULTS
from services.probe.diagnosis import RULES
from services.probe.target import Target, Timeouts
from services.steps.endpoint import target
from services.steps.step import Here
from services.stop import Stop
from services.walk import Walk
from tests.app.running import DEADLINE_S
from tests.end_to_end.conftest import RunningLab, lab_serving

NAMED: Mapping[str, str] = {
    # the balancer
    "port-closed": "port-closed",
    "port-filtered": "port-filtered",
    "not-tls": "not-tls",
    "another-protocol": "another-protocol",
    "stalled-handshake": "stalled",
    "handshake-cut": "handshake-cut",
    "reset": "handshake-reset",
    "tls-too-old": "tls-version",
    "no-common-cipher": "tls-cipher",
    "server-certificate-expired": "server-certificate-expired",
    "server-certificate-not-yet-valid": "server-certificate-not-yet-valid",
    "server-certificate-self-signed": "server-certificate-self-signed",
    "server-certificate-unknown-ca": "server-certificate-unknown-ca",
    "server-certificate-namesake-ca": "server-certificate-namesake-ca",
    "server-certificate-without-name": "server-certificate-without-name",
    "server-certificate-without-intermediate": "server-certificate-without-intermediate",
    "server-certificate-wrong-usage": "server-certificate-wrong-usage",
    "server-certificate-weak": "server-certificate-weak",
    "server-certificate-ends-soon": "certificate-ends-soon",
    "wrong-server-certificate": "server-certificate-wrong-name",
    "client-ca-replaced": "client-certificate-unknown-ca",
    "client-ca-namesake": "client-certificate-namesake-ca",
    "client-certificate-revoked": "client-certificate-revoked",
    "client-certificate-expired": "client-certificate-expired",
    "client-certificate-wrong-usage": "client-certificate-wrong-usage",
    "mutual-not-enforced": "mutual-authentication-not-enforced",
    "mutual-optional": "mutual-authentication-optional",
    "mutual-any-ca": "any-ca-accepted",
    "expired-clients-accepted": "expired-certificate-accepted",
    "wrong-usage-accepted": "wrong-usage-accepted",
    "old-tls-accepted": "old-tls-accepted",
    "plain-http-served": "plain-http-served",
    "no-ca-names": "ca-names-not-announced",
    "uneven": "uneven",
    "one-backend": "one-backend",
    "proxy-header": "proxy-header",
    "zone-down": "port-closed",
    "sometimes-reset": "handshake-reset",
    # the backends
    "backend-down": "backend-down",
    "all-backends-down": "all-backends-down",
    "backend-error": "backend-error",
    "backend-slow": "slow",
    "backend-hangs": "backend-silent",
    "backend-redirects": "redirect",
    "backend-empty": "answer-empty",
    "backend-cut": "answer-cut",
    "backend-drips": "answer-stalled",
    "backend-floods": "answer-too-large",
    "backend-garbage": "not-http",
    "backend-another-page": "another-page",
    # the cloud
    "security-group-closed": "security-group-closed",
    "health-check-fails": "health-abnormal",
    "name-not-resolving": "name-not-resolving",
    "name-points-elsewhere": "name-points-elsewhere",
    "clock-skew": "clock-skew",
}
"""Each fault that a verification meets, and the diagnosis that must come first."""

OF_THE_WAY = {
    *("api-busy", "api-html-502", "api-slow", "api-throttled", "certificate-not-found-yet"),
    *("host-key-changed", "job-stuck-a-while", "no-permission", "no-private-ca"),
    *("quota-exceeded", "ssh-down", "ssh-refuses-key"),
}
"""Faults that the steps before meet."""

WARNINGS = {
    *("certificate-ends-soon", "ca-names-not-announced", "uneven", "slow"),
    *("name-not-resolving", "name-points-elsewhere"),
}

WITHOUT_FAULT = {
    # of this computer, its network, and its files
    *("unreachable", "no-socket", "client-key-mismatch", "client-certificate-missing"),
    *("client-certificate-not-yet-valid", "client-certificate-weak"),
    # of what the API alone does, or a person by it
    *("listener-absent", "listener-stopped", "no-backends"),
    # what is said when nothing more exact can be
    *("handshake-failed", "server-certificate-invalid", "client-certificate-refused"),
    *("connections-dropped", "refusal-untried", "too-few-requests", "cannot-tell"),
    # what the tests of strangers and rules see to: it takes another CA's way of issuing
    "server-certificate-accepted",
}
"""Diagnoses that no fault of the lab leads to."""

BRIEF = Timeouts(connect_s=1.5, handshake_s=1.5, first_byte_s=2.5, whole_s=4)
"""Enough for a backend that takes a second, and for a machine that is busy."""


def test_every_fault_and_every_diagnosis_is_in_the_table() -> None:
    assert NAMED.keys() | OF_THE_WAY == FAULTS.keys()
    assert set(NAMED.values()) | WITHOUT_FAULT == {rule.code for rule in RULES}


@dataclass(frozen=True, slots=True)
class Session:
    """A session with all steps done, verified again and again in this process."""

    lab: RunningLab
    walk: Walk

    def verify(self) -> Mapping[str, Any]:
        step, stop = self.walk.steps[-1], Stop()
        self.walk.settle(step, stop)
        self.walk.look(step, stop)
        return self.walk.prove(step, stop).result

    def settle(self) -> None:
        """Wait until the balancer finds every backend well again."""
        cloud, stop = self.lab.cloud(), Stop()
        (listener,) = cloud.nlb.listeners(self.lab.balancer, stop)
        deadline = time.monotonic() + DEADLINE_S
        while {each.status for each in cloud.nlb.health(listener.id, stop)} != {"Normal"}:
            assert time.monotonic() < deadline
            stop.sleep(0.05)


@contextmanager
def all_steps_done(folder: Path, *answers: str) -> Iterator[Session]:
    with lab_serving(folder / "lab") as lab:
        words = [word for answer in answers for word in ("--answer", answer)]
        home = folder / "home"
        ended = lab.program(home).run("run", "--yes", "--json", "--answers", lab.answers, *words)
        assert ended.code == 0, ended.err
        assert ended.result["diagnosis"] == []
        with pytest.MonkeyPatch.context() as patch:
            for name, value in lab.environment:
                patch.setenv(name, value)  # the vendor's SDK reads its keys there itself
            patch.setattr("services.steps.verify.target", _briefly)
            opened = Wiring(home).resume("", lambda e: None, lambda *s: None, refuse_host_key)
            with opened as walk:
                yield Session(lab, walk)


def _briefly(here: Here) -> Target:
    """The endpoint, with time-outs that let no fault take long."""
    return replace(target(here), timeouts=BRIEF)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    # The lab holds the private CA's key: what it spoils is wrong in one way only.
    with all_steps_done(tmp_path_factory.mktemp("faults"), "server.source=pca") as done:
        yield done


def test_every_fault_is_named_first(session: Session) -> None:
    wrong = []
    for fault, code in NAMED.items():
        with session.lab.fault(fault):
            result = session.verify()
        session.settle()
        found = [each["code"] for each in result["diagnosis"]]
        verdict = "pass" if code in WARNINGS else "fail"
        if found[:1] != [code] or result["verdict"] != verdict:
            evidence = [each["evidence"] for each in result["diagnosis"]]
            wrong.append(f"{fault}: {result['verdict']} {found}, not {code}: {evidence}")
    assert not wrong, "\n".join(wrong)
    healthy = session.verify()
    assert (healthy["verdict"], healthy["diagnosis"]) == ("pass", [])


def test_where_one_address_fails_it_is_named(session: Session) -> None:
    with session.lab.fault("zone-down"):
        (found,) = session.verify()["diagnosis"]
    assert "1 of 2 addresses" in found["evidence"]
    assert "1 of 2 addresses" in found["cause"]


def test_where_some_requests_fail_they_are_counted(session: Session) -> None:
    with session.lab.fault("sometimes-reset"):
        (found,) = session.verify()["diagnosis"]
    assert "40 of 200" in found["cause"]


def test_backends_are_asked_where_ssh_is_down(session: Session) -> None:
    with session.lab.fault("ssh-down"), session.lab.fault("backend-down"):
        found = session.verify()["diagnosis"]
    session.settle()
    assert (found[0]["code"], found[0]["confidence"]) == ("backend-down", "certain")
    assert "ECS02 itself: curl: (7)" in found[0]["evidence"]


def test_client_host_that_is_not_served_is_named(session: Session) -> None:
    with session.lab.fault("ssh-down"):
        result = session.verify()
    assert [each["code"] for each in result["diagnosis"]] == ["client-host"]
    assert result["verdict"] == "fail"
