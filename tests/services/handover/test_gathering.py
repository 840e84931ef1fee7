"""What is told of a session's certificates, and what is left to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec.structs import replace

from services.handover.certificates import certificates
from services.handover.content import Certificate, Dns, StepState, Stranger, Verification
from services.handover.remaining import Situation, remaining
from services.session.model import Session
from tests.services.handover.sample import PROVEN
from tests.services.probe.certificates import issue

NOW = datetime.now(UTC)

DONE = StepState(name="listener", title="Listener", state="done", state_words="done")
BEGUN = StepState(name="verify", title="Verify", state="begun", state_words="begun")


def test_a_certificate_file_is_told_by_its_first_certificate(tmp_path: Path) -> None:
    ca = issue(tmp_path, "ca", "CA", ca=True, ends_days=3000)
    pair = issue(
        tmp_path,
        "server",
        "www.example.com",
        ca,
        names=["www.example.com", "192.0.2.1"],
        usage=ExtendedKeyUsageOID.SERVER_AUTH,
        begins_days=-300,
        ends_days=10.5,
    )
    pair.certificate_file.write_bytes(
        pair.certificate_file.read_bytes() + ca.certificate_file.read_bytes()
    )
    (tmp_path / "broken.crt").write_text("no certificate")
    first, second = certificates(tmp_path, {}, NOW)
    assert (first.role, first.ending) == ("ca", "")
    assert second.role == second.file.removesuffix(".crt") == "server"  # type: ignore[union-attr]
    assert second.subject == "CN=www.example.com,O=example"
    assert second.issuer == "CN=CA,O=example"
    assert second.names == ("www.example.com", "192.0.2.1")
    assert second.usage == ("serverAuth",)
    assert second.key == "EC P-256"
    assert (second.days_left, second.ending) == (10, "soon")
    assert second.sha256 is not None
    assert len(second.sha256) == 64


def test_of_a_certificate_that_is_elsewhere_the_end_is_told(tmp_path: Path) -> None:
    issue(tmp_path, "client", "client", ends_days=30.5)
    facts = {
        "client.not_after": "2030-01-01T00:00:00Z",
        "server.not_after": (NOW - timedelta(days=2, hours=1)).isoformat(),
        "ca.not_after": f"{NOW + timedelta(days=90):%Y-%m-%d}",
        "odd.not_after": "some day",
    }
    found = {each.role: each for each in certificates(tmp_path, facts, NOW)}
    assert list(found) == ["client", "ca", "server"]
    assert found["client"].file == "client.crt"
    assert found["client"].days_left == 30
    assert (found["server"].days_left, found["server"].ending) == (-3, "over")
    assert (found["ca"].subject, found["ca"].ending) == (None, "")


def left(
    tmp_path: Path,
    session: Session,
    steps: tuple[StepState, ...] = (DONE,),
    held: tuple[Certificate, ...] = (),
    verification: Verification | None = PROVEN,
) -> dict[str, tuple[str, str | None]]:
    found = remaining(Situation(session, steps, held, verification, tmp_path))
    return {each.code: (each.text, each.command) for each in found}


def test_a_session_of_unknown_steps_leaves_nothing(tmp_path: Path) -> None:
    tried = replace(PROVEN, strangers=PROVEN.strangers[:1])
    assert left(tmp_path, Session(id="s"), verification=tried) == {}


def test_what_stopped_half_way_comes_first(tmp_path: Path) -> None:
    found = left(tmp_path, Session(id="s-1"), (DONE, BEGUN), verification=None)
    assert list(found) == ["unfinished", "not-verified"]
    assert found["unfinished"][1] == "nlb-mtls resume s-1"
    assert "“Verify”" in found["unfinished"][0]
    assert found["not-verified"][1] == "nlb-mtls verify s-1"


def test_a_failed_verification_is_to_be_made_again(tmp_path: Path) -> None:
    failed = replace(PROVEN, verdict="fail", strangers=())
    step = replace(BEGUN, state="failed")
    found = left(tmp_path, Session(id="s"), (DONE, step), verification=failed)
    assert list(found) == ["failed"]
    assert found["failed"][1] == "nlb-mtls verify s"


def test_certificates_are_told_by_their_end(tmp_path: Path) -> None:
    held = (
        Certificate(role="ca", not_after="2036-01-01T00:00:00Z", days_left=3000),
        Certificate(role="server", not_after="2027-01-01T00:00:00Z", days_left=38),
        Certificate(role="client", not_after="2026-11-25T00:00:00Z", days_left=1, ending="soon"),
        Certificate(role="old", not_after="2026-11-01T00:00:00Z", days_left=-23, ending="over"),
    )
    found = left(tmp_path, Session(id="s"), held=held)
    assert "The old certificate ended on 2026-11-01." in found["certificate-ended"][0]
    assert (
        "The client certificate ends on 2026-11-25, in 1 day." in found["certificate-ends-soon"][0]
    )
    assert "The server certificate is the first to end" in found["renewal"][0]


def test_what_a_person_has_to_do_elsewhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.key").touch(mode=0o600)
    session = Session(
        id="s",
        answers={"prepare.domain": "*.example.com"},
        seen={
            "any": {
                "balancer.dns_name": "nlb-1.example.net",
                "client.certificate": "client.crt",
                "client.pkcs12": "client.p12",
                "install.instructions": "/reports/install.txt",
            }
        },
    )
    found = left(tmp_path, session)
    assert list(found) == ["dns", "browsers", "linux-client", "untried", "ca-key"]
    assert "CNAME record must lead it to nlb-1.example.net" in found["dns"][0]
    assert found["dns"][1] == "dig +short CNAME example.com"
    assert "/reports/install.txt" in found["browsers"][0]
    assert "One stranger was not tried" in found["untried"][0]
    assert str(tmp_path / "ca.key") in found["ca-key"][0]
    installed = replace(session, seen={"any": {**session.facts, "install.directory": "/root/ca"}})
    assert "linux-client" not in left(tmp_path, installed)
    dns = Dns(name="www.example.com", addresses=("203.0.113.7",))
    for leads, told in ((False, True), (True, False)):
        proven = replace(PROVEN, dns=replace(dns, leads_to_balancer=leads))
        assert ("dns" in left(tmp_path, session, verification=proven)) is told


def test_several_strangers_that_were_not_tried_are_counted(tmp_path: Path) -> None:
    strangers = tuple(
        Stranger(name=name, title=name, refused=None, untried="no key") for name in ("a", "b")
    )
    found = left(tmp_path, Session(id="s"), verification=replace(PROVEN, strangers=strangers))
    assert "2 strangers were not tried" in found["untried"][0]
    assert "a; b" in found["untried"][0]
