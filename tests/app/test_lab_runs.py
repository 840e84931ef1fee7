"""The whole way, by the real command in the lab: done, broken off, gone on with, and undone."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from services.cloud.connect import connect
from services.cloud.credentials import AccessKey
from services.stop import Stop
from tests.app.person import DRAWING, at_terminal
from tests.app.running import ROOT, Program, until

PROXY = ("HTTP_PROXY", "http://127.0.0.1:9")
"""A proxy where nobody answers: what is on this computer is not for it."""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "home", extra=(PROXY,))


def labs_of(program: Program) -> list[str]:
    """The command lines of the labs below this home folder that run."""
    return [
        words for words in _command_lines() if " serve " in words and str(program.home) in words
    ]


def _command_lines() -> Iterator[str]:
    proc = Path("/proc")
    if not (proc / "self" / "cmdline").exists():  # macOS
        listed = subprocess.run(
            ["ps", "-axww", "-o", "args="], capture_output=True, text=True, check=True
        )
        yield from listed.stdout.splitlines()
        return
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has just ended
                words = (entry / "cmdline").read_bytes().split(b"\0")
                yield os.fsdecode(b" ".join(words))


def check_result(result: dict[str, Any]) -> None:
    """What the contract says of the last line, and that all is well."""
    assert result["verdict"] == "pass"
    assert set(result["backends"]) == {"ECS01", "ECS02"}
    assert sum(result["backends"].values()) == result["ok"] == result["requests"] == 200
    assert result["failed"] == 0
    assert result["refused"] == {"no_certificate": True, "unknown_ca": True, "plain_http": True}
    assert result["tls"]["version"] == "TLSv1.3"
    assert [each["status"] for each in result["health"]] == ["Normal", "Normal"]
    assert result["diagnosis"] == []
    assert set(result["latency_ms"]) == {"p50", "p99"}
    for name in ("endpoint", "name", "requests_per_second", "session", "time"):
        assert result[name]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """One lab, all steps taken; tests must leave it so."""
    program = Program(tmp_path_factory.mktemp("done") / "home", extra=(PROXY,))
    ended = program.run("lab", "--yes", "--json")
    assert ended.code == 0, ended.err
    check_result(ended.result)
    assert ended.err.count("shown this once only") == 1
    assert labs_of(program) == []
    return program


def test_files_are_private_and_where_the_contract_says(done: Program) -> None:
    (folder,) = (done.home / "sessions").iterdir()
    pki = folder / "pki"
    assert {path.name for path in pki.iterdir() if not path.name.startswith(".")} == {
        *("ca.crt", "ca.key", "server.crt", "server.key"),
        *("client.crt", "client.key", "client.p12"),
    }
    for path in (folder, *folder.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_status_tells_all_of_it(done: Program) -> None:
    ended = done.run("status", "--json")
    assert ended.code == 0
    result = ended.result
    names = ["prepare", "ca", "server", "client", "install", "listener", "verify"]
    assert [step["name"] for step in result["steps"]] == names
    assert {step["state"] for step in result["steps"]} == {"done"}
    assert result["drift"] == []
    assert {each["kind"] for each in result["resources"]} >= {"listener", "ca", "pkcs12"}
    assert all(each["made"] and not each["adopted"] for each in result["resources"])
    days = {each["role"]: each["days_left"] for each in result["certificates"]}
    assert days["server"] <= 398
    assert days["client"] <= 398 < days["ca"]
    assert all(each["not_after"].endswith("Z") for each in result["certificates"])


def test_verify_repeats_the_proof_and_keeps_no_number(done: Program) -> None:
    ended = done.run("verify", "--requests", "20", "--concurrency", "4", "--json")
    assert ended.code == 0
    assert ended.result["requests"] == 20
    assert sum(ended.result["backends"].values()) == 20
    (snapshot,) = (done.home / "sessions").glob("*/session.json")
    assert json.loads(snapshot.read_text())["answers"]["verify.requests"] == "200"


def test_inspect_finds_a_sessions_files_fine(done: Program) -> None:
    (folder,) = (done.home / "sessions").glob("*/pki")
    ended = done.run("inspect", str(folder), "--json")
    assert ended.code == 0
    kinds = [each["kind"] for each in ended.result["findings"]]
    assert kinds.count("certificate") == 3
    assert kinds.count("private-key") == 3
    shown = done.run("inspect", str(folder / "server.crt"), str(folder / "server.key"))
    assert "www.example.com" in shown.out
    assert shown.code == 0
    odd = done.run("inspect", str(folder / "server.crt"), str(folder / "client.key"), "--json")
    assert odd.code == 1


@contextmanager
def served(folder: Path, program: Program, *words: str) -> Iterator[dict[str, Any]]:
    """`lab serve` by itself; its ready line."""
    command = ["lab", "serve", "--dir", str(folder), *words]
    with program.started(*command) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "")


def pointed(program: Program, ready: dict[str, Any], *words: tuple[str, str]) -> Program:
    """The program, with its environment as a person would set it for this lab."""
    environment = (
        ("NLB_MTLS_API", ready["api"]),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", ready["access_key_id"]),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", ready["access_key_secret"]),
    )
    return Program(program.home, extra=(*program.extra, *environment, *words))


def everything(ready: dict[str, Any], folder: Path) -> object:
    """What there is in the lab's cloud and on its hosts."""
    stop = Stop()
    keys = AccessKey(ready["access_key_id"], ready["access_key_secret"])
    cloud = connect(ready["region"], api=ready["api"], keys=keys)
    group = ready["server_group"]["id"]
    instances = cloud.ecs.instances(stop)
    return (
        cloud.nlb.listeners(ready["load_balancer"]["id"], stop),
        cloud.nlb.server_groups(stop),
        cloud.nlb.servers(group, stop),
        cloud.cas.server_certificates(stop),
        cloud.cas.ca_certificates(stop),
        [
            cloud.ecs.ingress_rules(each, stop)
            for one in instances
            for each in one.security_group_ids
        ],
        sorted(
            (str(path.relative_to(folder)), path.read_bytes())
            for path in (folder / "hosts").rglob("*")
            if path.is_file() and "log" not in str(path)
        ),
    )


@pytest.mark.parametrize("source", ["own", "pca"])
def test_two_processes_reach_the_same_and_cleanup_leaves_no_trace(
    program: Program, tmp_path: Path, source: str
) -> None:
    folder = tmp_path / "lab"
    with served(folder, program) as ready:
        before = everything(ready, folder)
        there = pointed(program, ready)
        ended = there.run(
            *("run", "--yes", "--json", "--answers", ready["answers"]),
            *("--answer", f"ca.source={source}", "--pkcs12-password-file", "-"),
            stdin="a password of mine\n",
        )
        assert ended.code == 0, ended.err
        check_result(ended.result)
        assert "a password of mine" not in ended.out + ended.err
        assert "shown this once" not in ended.err
        assert there.run("status", "--json").result["drift"] == []
        check_any_endpoint(program, there.run("status", "--json").result["session"], ended.result)
        removed = there.run("cleanup", "--yes", "--json")
        assert removed.code == 0, removed.err
        assert removed.result["left"] == []
        assert removed.result["removed"][0]["kind"] == "listener"
        assert everything(ready, folder) == before


def check_any_endpoint(program: Program, session: str, result: dict[str, Any]) -> None:
    """`verify --connect` knows no session: an address, a name and three files are enough."""
    pki = program.home / "sessions" / session / "pki"
    endpoint = ("verify", "--connect", result["endpoint"], "--name", "www.example.com")
    client = ("--cert", str(pki / "client.crt"), "--key", str(pki / "client.key"))
    trust = ("--ca", str(pki / "ca.crt"))
    few = ("--requests", "20")
    alone = Program(program.home)
    ended = alone.run(*endpoint, *client, *trust, *few, "--json")
    if ended.code != 0:
        # The CA that clients trust is another one where Private CA issued the client's.
        trust = ("--ca", str(pki / "server-ca.crt"))
        ended = alone.run(*endpoint, *client, *trust, *few, "--json")
    assert ended.code == 0, ended.out
    assert ended.result["requests"] == ended.result["ok"] == 20
    shown = alone.run(*endpoint, *client, *trust, *few)
    assert "Verdict: pass" in shown.out
    assert "refused    plain HTTP" in shown.out
    stranger = alone.run(*endpoint, *trust, *few, "--json")
    assert stranger.code == 1
    assert stranger.result["verdict"] == "fail"
    assert stranger.result["diagnosis"][0]["severity"] == "error"


def test_wrong_keys_and_closed_ports_are_problems(program: Program, tmp_path: Path) -> None:
    with served(tmp_path / "lab", program) as ready:
        answers = ready["answers"]
        wrong = pointed(program, ready, ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-4711"))
        ended = wrong.run("run", "--yes", "--json", "--answers", answers)
        assert ended.code == 1
        assert ended.result["problem"]["code"].startswith("cloud.")
        assert "canary" not in ended.out + ended.err
    gone = pointed(program, ready).run("run", "--yes", "--json", "--answers", answers)
    assert gone.code == 1
    assert gone.result["problem"]["code"].startswith("cloud.")
    # Nothing was made, so nothing is kept.
    assert list((program.home / "sessions").iterdir()) == []


@pytest.mark.parametrize(
    "action",
    ["prepare.web-pages", "ca.ca-upload", "server.server-upload", "listener.listener"],
)
def test_killed_in_an_action_it_goes_on_and_repeats_nothing(program: Program, action: str) -> None:
    with program.started("lab", "--yes", "--json") as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "started" and event["action"] == action:
                break
        time.sleep(random.uniform(0, 0.1))  # at any moment of it
        process.kill()
        process.wait()
    (folder,) = (program.home / "sessions").iterdir()
    keys = {path.name: path.read_bytes() for path in (folder / "pki").glob("*.key")}
    ended = program.run("resume", "--yes", "--json")
    assert ended.code == 0, ended.err
    check_result(ended.result)
    for name, before in keys.items():
        assert (folder / "pki" / name).read_bytes() == before, name
    journal = (folder / "journal.jsonl").read_text().splitlines()
    entries = [json.loads(line)["entry"] for line in journal]
    begun = [entry["deed"]["id"] for entry in entries if entry["entry"] == "begin"]
    assert len(begun) == len(set(begun))
    until(lambda: labs_of(program) == [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_the_prompt_back_within_a_second(
    program: Program, number: signal.Signals
) -> None:
    with program.started("lab", "--yes", "--json", "--fault", "backend-hangs") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "started":
                break
        asked = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        took = time.monotonic() - asked
    assert process.returncode == 128 + number
    result = json.loads(out.splitlines()[-1])
    assert result["event"] == "result"
    session = result["session"]
    assert f"resume {session}" in err
    assert f"cleanup {session}" in err
    assert labs_of(program) == []
    # A second is promised; a machine full of other tests gets more.
    assert took < 5


def test_a_faulty_lab_ends_with_exit_1_and_says_why(program: Program) -> None:
    ended = program.run("lab", "--yes", "--json", "--fault", "mutual-not-enforced")
    assert ended.code == 1
    assert ended.result["verdict"] == "fail"
    assert ended.result["refused"]["no_certificate"] is False
    assert ended.result["diagnosis"][0]["code"] == "mutual-authentication-not-enforced"


def test_a_changed_host_key_is_exit_4(program: Program) -> None:
    ended = program.run("lab", "--yes", "--json", "--fault", "host-key-changed")
    assert ended.code == 4
    assert ended.result["problem"]["code"] == "hosts.key-changed"


def test_a_fault_that_is_none_is_wrong_usage(program: Program) -> None:
    for words in (["lab", "--yes"], ["lab", "serve"]):
        ended = program.run(*words, "--fault", "bakend-down")
        assert ended.code == 2
        assert "backend-down" in ended.err


def test_enter_alone_leads_through_the_lab_line_by_line(program: Program) -> None:
    with at_terminal(program, "lab", "--plain") as person:
        while "Verdict: pass" not in person.shown:
            if person.sees_any("Enter is", "Enter for none", "Verdict: pass") == 2:
                break
            person.types("")
        person.sees("Watch how it goes on? [1] finish")
        person.types("")
        assert person.leaves() == 0
        assert not DRAWING.search(person.shown)
        assert "shown this once only" in person.shown


def test_the_lab_command_ends_its_lab_when_it_is_killed(program: Program) -> None:
    with program.started("lab", "--yes", "--json", "--fault", "backend-hangs") as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(labs_of(program)) == 1
        process.kill()
        process.wait()
    until(lambda: labs_of(program) == [])


def test_the_script_runs_from_anywhere(tmp_path: Path) -> None:
    environment = Program(tmp_path / "home").environment()
    ran = subprocess.run(
        [str(ROOT / "scripts" / "lab"), "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    assert "lab serve" in ran.stdout
