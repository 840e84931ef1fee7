"""The six steps by the real command against a lab in another process: made, proven, undone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.cloud.port import ListenerSettings
from services.pki import issue, keys
from services.session.store import Sessions
from services.steps import material
from services.stop import Stop
from tests.app.running import Ended, until
from tests.end_to_end.conftest import RunningLab, lab_serving
from tests.programs import program as judge

Answers = dict[str, str]


def run(lab: RunningLab, home: Path, answers: Answers | None = None) -> dict[str, Any]:
    """`run --yes --json`, which must pass; its result."""
    ended = lab.program(home).run(*words(lab, answers or {}))
    assert ended.code == 0, ended.err + ended.out[-3000:]
    return ended.result


def words(lab: RunningLab, answers: Answers) -> list[str]:
    given = [word for name, value in answers.items() for word in ("--answer", f"{name}={value}")]
    return ["run", "--yes", "--json", "--answers", lab.answers, *given]


def clean(lab: RunningLab, home: Path) -> None:
    ended = lab.program(home).run("cleanup", "--yes", "--json")
    assert ended.code == 0, ended.err


@pytest.fixture
def home(lab: RunningLab, tmp_path: Path) -> Iterator[Path]:
    """A home folder; what its session makes is removed after the test, however that ends."""
    folder = tmp_path / "home"
    yield folder
    if any(folder.glob("sessions/*/journal.jsonl")):
        clean(lab, folder)


def existing_ca(lab: RunningLab, folder: Path) -> Answers:
    """A CA of ours that is in the repository already, as another tool would have left it."""
    cloud, stop = lab.cloud(), Stop()
    key = material.key(folder / "their-ca.key", keys.KeyKind.EC_P256)
    now = datetime.now(UTC)
    certificate = issue.make_ca(issue.Subject("Their CA"), key, 100, now)
    material.keep_certificates(folder / "their-ca.crt", [certificate])
    pem = (folder / "their-ca.crt").read_text()
    repository = cloud.cas.ca_repositories(stop)[0]
    ca_id = cloud.cas.upload_ca_certificate(repository.id, "their-ca", pem, "t-ca", stop)
    return {
        "ca.source": "existing",
        "ca.existing": ca_id,
        "ca.key_file": str(folder / "their-ca.key"),
    }


def purchased(lab: RunningLab, folder: Path) -> Answers:
    bought = lab.cloud().cas.server_certificates(Stop())[0]
    return {"server.source": "existing", "server.existing": bought.certificate_id}


def own_files(lab: RunningLab, folder: Path) -> Answers:
    """A server certificate and its key that the person has in files."""
    now = datetime.now(UTC)
    ca_key = material.key(folder / "public.key", keys.KeyKind.EC_P256)
    ca = issue.make_ca(issue.Subject("Some public CA"), ca_key, 100, now)
    key = material.key(folder / "my.key", keys.KeyKind.RSA_2048)
    leaf = issue.make_server(["www.example.com"], key, ca, ca_key, 90, now)
    material.keep_certificates(folder / "my.crt", [leaf])
    material.keep_certificates(folder / "public.crt", [ca])
    return {
        "server.source": "files",
        "server.certificate_file": str(folder / "my.crt"),
        "server.key_file": str(folder / "my.key"),
        "server.ca_file": str(folder / "public.crt"),
    }


def own_after_files(lab: RunningLab, folder: Path) -> Answers:
    """Files were named first, and then another source chosen: those answers stay, unused."""
    return {**own_files(lab, folder), "server.source": "own"}


def new_group(lab: RunningLab, folder: Path) -> Answers:
    backends = ",".join(host["instance_id"] for host in lab.ready["hosts"][:2])
    return {"prepare.server_group": "new", "prepare.backends": backends}


def server_by_private_ca(lab: RunningLab, folder: Path) -> Answers:
    return {"server.source": "pca"}


def client_by_private_ca(lab: RunningLab, folder: Path) -> Answers:
    return {"ca.source": "pca", "server.source": "own"}


def rsa(lab: RunningLab, folder: Path) -> Answers:
    kinds = {f"{step}.key_kind": "rsa-2048" for step in ("ca", "server", "client")}
    return {**kinds, "listener.policy": "tls_cipher_policy_1_2", "client.pkcs12_profile": "legacy"}


@pytest.mark.parametrize(
    "way",
    [
        existing_ca,
        purchased,
        own_files,
        own_after_files,
        new_group,
        rsa,
        server_by_private_ca,
        client_by_private_ca,
    ],
    ids=lambda way: way.__name__,
)
def test_every_way_passes_and_leaves_nothing(
    lab: RunningLab, tmp_path: Path, home: Path, way: Any
) -> None:
    answers = way(lab, tmp_path)
    before = lab.holds()
    result = run(lab, home, answers)
    assert result["verdict"] == "pass"
    assert result["refused"] == {"no_certificate": True, "unknown_ca": True, "plain_http": True}
    assert set(result["backends"]) == {"ECS01", "ECS02"}
    clean(lab, home)
    assert lab.holds() == before


def test_strangers_to_this_project_agree(lab: RunningLab, home: Path) -> None:
    result = run(lab, home)
    pki = Sessions(home).folder(result["session"]).pki
    host, port = lab.connect.split(":")
    curl = [judge("curl"), "-sS", "--resolve", f"www.example.com:{port}:{host}"]
    url = f"https://www.example.com:{port}/"
    trust = ["--cacert", f"{pki}/ca.crt"]
    pair = ["--cert", f"{pki}/client.crt", "--key", f"{pki}/client.key"]
    pages = {subprocess.check_output([*curl, *trust, *pair, url], text=True) for _ in range(4)}
    assert pages == {"Hello World ! This is ECS01.", "Hello World ! This is ECS02."}
    bare = subprocess.run([*curl, *trust, url], capture_output=True, text=True)
    assert bare.returncode != 0
    assert bare.stdout == ""
    trust = ["--x509cafile", f"{pki}/ca.crt", "--verify-hostname", "www.example.com"]
    pair = ["--x509certfile", f"{pki}/client.crt", "--x509keyfile", f"{pki}/client.key"]
    gnutls = subprocess.run(
        [judge("gnutls-cli"), *trust, *pair, "--sni-hostname", "www.example.com", "-p", port, host],
        input="GET / HTTP/1.0\r\nHost: www.example.com\r\n\r\n",
        capture_output=True,
        text=True,
    )
    assert "Hello World ! This is ECS" in gnutls.stdout


@pytest.mark.parametrize("entries", [30, 42, 50])
def test_a_kill_at_any_moment_makes_nothing_twice(
    lab: RunningLab, home: Path, entries: int
) -> None:
    before = lab.holds()
    program = lab.program(home)
    process = subprocess.Popen(
        program.command(words(lab, {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=program.environment(),
    )

    def journal() -> list[Path]:
        return [
            path
            for path in home.glob("sessions/*/journal.jsonl")
            if path.read_bytes().count(b"\n") >= entries
        ]

    until(lambda: bool(journal()) or process.poll() is not None)
    process.kill()
    process.wait()
    keys_then = {p.name: p.read_bytes() for p in home.glob("sessions/*/pki/*.key")}
    resumed = program.run("resume", "--yes", "--json")
    assert resumed.code == 0, resumed.err + resumed.out[-4000:]
    assert resumed.result["verdict"] == "pass"
    keys_now = {p.name: p.read_bytes() for p in home.glob("sessions/*/pki/*.key")}
    assert keys_then.items() <= keys_now.items()
    after = lab.holds()
    assert {
        name: len(after[name]) - len(before[name]) for name in ("listeners", "certificates", "cas")
    } == {
        "listeners": 1,
        "certificates": 1,
        "cas": 1,
    }
    clean(lab, home)
    assert lab.holds() == before


def test_a_listener_of_somebody_else_is_refused_and_left_alone(
    lab: RunningLab, home: Path, tmp_path: Path
) -> None:
    run(lab, home)
    before = lab.holds()
    ours = tmp_path / "ours"
    ended = lab.program(ours).run(*words(lab, {"install.host": "none"}))
    assert ended.code == 4
    assert ended.result["problem"]["code"] == "listener.port-taken"
    clean(lab, ours)
    # Their listener, and their pages, which we had adopted.
    assert lab.holds() == before
    assert lab.program(home).run("verify", "--json").code == 0


def test_what_was_refused_and_then_made_by_somebody_else_stays_theirs(
    lab: RunningLab, home: Path
) -> None:
    with lab.fault("no-permission"):
        ended = lab.program(home).run(*words(lab, {}))
    assert ended.code == 1
    assert ended.result["problem"]["code"] == "cloud.forbidden"
    facts = Sessions(home).read().facts
    cloud, stop = lab.cloud(), Stop()
    settings = ListenerSettings(
        port=443,
        server_group_id=facts["server_group.id"],
        certificate_id=facts["server.certificate_id"],
        ca_certificate_id=facts["ca.id"],
        security_policy_id="tls_cipher_policy_1_2_strict_with_1_3",
        name="made-by-the-administrator",
    )
    theirs = cloud.nlb.create_listener(lab.balancer, settings, "t-theirs", stop)
    try:
        resumed = lab.program(home).run("resume", "--yes", "--json")
        assert resumed.code == 0, resumed.err
        assert _actions(resumed, "adopted") == ["listener.listener"]
        lab.program(home).run("cleanup", "--yes")
        assert [x.id for x in cloud.nlb.listeners(lab.balancer, stop)] == [theirs]
    finally:
        cloud.nlb.delete_listener(theirs, "t-theirs-delete", stop)


@pytest.mark.parametrize("fault", ["api-throttled", "api-busy", "api-html-502"])
def test_a_cloud_that_hiccups_is_borne(lab: RunningLab, home: Path, fault: str) -> None:
    before = lab.holds()
    with lab.fault(fault):
        run(lab, home)
        clean(lab, home)
    assert lab.holds() == before


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("backend-down", "backend-down"),
        ("mutual-not-enforced", "mutual-authentication-not-enforced"),
        ("server-certificate-expired", "server-certificate-expired"),
        ("not-tls", "not-tls"),
    ],
)
def test_what_is_wrong_is_named_first(lab: RunningLab, home: Path, fault: str, code: str) -> None:
    # The lab can spoil a certificate only as the private CA, whose key it has.
    run(lab, home, {"ca.source": "pca"})
    with lab.fault(fault):
        ended = lab.program(home).run("verify", "--requests", "40", "--json")
    assert ended.code == 1
    assert ended.result["verdict"] == "fail"
    assert ended.result["diagnosis"][0]["code"] == code


def test_a_client_that_lost_its_certificate_is_not_served(lab: RunningLab, home: Path) -> None:
    run(lab, home)
    session = Sessions(home).read()
    cloud, stop = lab.cloud(), Stop()
    listener = cloud.nlb.listeners(lab.balancer, stop)[0]
    assert listener.settings == ListenerSettings(
        port=443,
        server_group_id=session.facts["server_group.id"],
        certificate_id=session.facts["server.certificate_id"],
        ca_certificate_id=session.facts["ca.id"],
        security_policy_id="tls_cipher_policy_1_2_strict_with_1_3",
        name=f"nlb-mtls-{session.id}",
    )
    cloud.nlb.delete_listener(listener.id, "t-delete", stop)
    drifted = lab.program(home).run("status", "--json")
    assert [each["id"] for each in drifted.lines()[-1]["drift"]] == [listener.id]
    resumed = lab.program(home).run("resume", "--yes", "--json")
    assert resumed.result["verdict"] == "pass"


def test_a_changed_answer_takes_away_what_was_made_with_the_old_one_and_no_more(
    lab: RunningLab, home: Path
) -> None:
    run(lab, home)
    before = lab.holds()
    policy = ["--answer", "listener.policy=tls_cipher_policy_1_2"]
    ended = lab.program(home).run("resume", "--yes", "--json", *policy)
    assert ended.code == 0, ended.err
    assert _actions(ended, "removed") == ["listener.listener"]
    assert _actions(ended, "made") == ["listener.listener"]
    days = ["--answer", "client.days=30"]
    ended = lab.program(home).run("resume", "--yes", "--json", *days)
    assert ended.code == 0, ended.err
    client = ["client.client-certificate", "client.pkcs12", "install.client-material"]
    assert sorted(_actions(ended, "removed")) == sorted(_actions(ended, "made")) == client
    after = lab.holds()
    assert after["cas"] == before["cas"]
    assert after["certificates"] == before["certificates"]


def _actions(ended: Ended, status: str) -> list[str]:
    return [line["action"] for line in ended.lines() if line.get("status") == status]


def test_a_missing_answer_ends_before_anything_is_made(lab: RunningLab, home: Path) -> None:
    before = lab.holds()
    ended = lab.program(home).run("run", "--yes", "--json")
    assert ended.code == 3
    assert "prepare.domain" in ended.err
    assert lab.holds() == before


def test_the_lab_survives_a_restart_on_its_folder(tmp_path: Path) -> None:
    folder, home = tmp_path / "lab", tmp_path / "home"
    with lab_serving(folder) as first:
        run(first, home)
        port = str(first.ready["api"]).rpartition(":")[2]
    with lab_serving(folder, "--port", port) as second:
        assert second.ready == first.ready
        ended = second.program(home).run("resume", "--yes", "--json")
        assert ended.code == 0, ended.err
        made = [line for line in ended.lines() if line.get("status") == "made"]
        assert made == []
        clean(second, home)


@pytest.mark.skipif(os.name != "posix", reason="POSIX permission bits")
def test_no_secret_is_readable_or_told(lab: RunningLab, home: Path, tmp_path: Path) -> None:
    password = "correct horse 77"
    given = tmp_path / "password"
    given.write_text(password + "\n")
    ended = lab.program(home).run(*words(lab, {}), "--pkcs12-password-file", str(given))
    assert ended.code == 0, ended.err
    secret = lab.ready["access_key_secret"]
    for text in (ended.out, ended.err, *_texts(home)):
        assert password not in text
        assert secret not in text
    for text in (ended.out, ended.err, *_texts(home, keys=False)):
        assert "PRIVATE KEY" not in text


def _texts(home: Path, keys: bool = True) -> list[str]:
    return [
        path.read_text(errors="replace")
        for path in home.rglob("*")
        if path.is_file() and (keys or path.suffix != ".key")
    ]
