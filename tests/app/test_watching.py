"""`verify --for` and plain mode's watch: the real command, while the lab is switched about."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.app.person import at_terminal
from tests.app.running import Program
from tests.app.test_lab_runs import PROXY, pointed, served

Ready = dict[str, Any]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Ready]]:
    """A lab that runs, and a session in it that is done."""
    program = Program(tmp_path_factory.mktemp("watching") / "home", extra=(PROXY,))
    with served(tmp_path_factory.mktemp("lab") / "lab", program) as ready:
        there = pointed(program, ready)
        ended = there.run("run", "--yes", "--json", "--answers", ready["answers"])
        assert ended.code == 0, ended.err
        yield there, ready


def switch(ready: Ready, method: str, fault: str) -> None:
    """Switch a fault of the lab on (PUT) or off (DELETE)."""
    request = Request(f"{ready['api']}/_lab/faults/{fault}", method=method)
    with build_opener(ProxyHandler({})).open(request, timeout=30) as response:
        assert response.status == 200


def until(process: subprocess.Popen[str], seen: Callable[[dict[str, Any]], bool]) -> list[Any]:
    """The events until one is `seen`, and that one."""
    assert process.stdout is not None
    found = []
    for line in process.stdout:
        found.append(json.loads(line))
        if seen(found[-1]):
            return found
    raise AssertionError(f"it never came: {found[-3:]}")


def is_change(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "change" and event["kind"] == kind


def test_changes_are_told_as_they_happen_and_ctrl_c_keeps_the_result(
    lab: tuple[Program, Ready],
) -> None:
    program, ready = lab
    with program.started("verify", "--for", "1h", "--rate", "40", "--json") as process:
        until(process, lambda event: event["event"] == "snapshot" and event["requests"] > 20)
        switch(ready, "PUT", "backend-down")
        down = until(process, is_change("backend-down"))[-1]
        switch(ready, "DELETE", "backend-down")
        up = until(process, is_change("backend-up"))[-1]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert down["subject"] == up["subject"] == "ECS02"
    assert up["since"] <= up["until"]
    result = json.loads(out.splitlines()[-1])
    assert result["event"] == "result"
    kinds = [change["kind"] for change in result["changes"]]
    assert kinds.index("backend-down") < kinds.index("backend-up")
    assert result["requests"] == result["ok"] + result["failed"]
    assert sum(result["outcomes"].values()) == result["requests"]
    if result["failed"]:
        assert result["verdict"] == "fail"


def test_snapshots_come_once_a_second_at_most_and_the_end_comes_in_time(
    lab: tuple[Program, Ready],
) -> None:
    program, _ = lab
    ended = program.run("verify", "--for", "3s", "--json")
    assert ended.code == 0, ended.err
    shown = [event for event in ended.lines() if event["event"] == "snapshot"]
    assert 2 <= len(shown) <= 4
    assert 40 <= ended.result["requests"] <= 62
    assert ended.result["changes"] == []
    phases = [event.get("phase") for event in ended.lines()]
    watched = ended.lines()[phases.index("watch") :]
    commands = [event["command"] for event in watched if event["event"] == "command"]
    assert len(commands) == len(set(commands)), "the same look is told once"
    # It was looked at, not proved anew.
    states = {
        step["name"]: step["state"] for step in program.run("status", "--json").result["steps"]
    }
    assert states["verify"] == "done"


def test_a_proof_that_is_broken_off_tells_what_it_had_counted(lab: tuple[Program, Ready]) -> None:
    program, _ = lab
    endless = ("verify", "--requests", "1000000", "--rate", "50")
    with program.started(*endless, "--json") as process:
        until(process, lambda event: event["event"] == "snapshot" and event["requests"] > 20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    result = json.loads(out.splitlines()[-1])
    assert (result["event"], result["verdict"]) == ("result", "fail")
    assert result["interrupted"] is True
    assert result["requests"] > 20
    # What the last command line asked for holds no longer.
    (snapshot,) = (program.home / "sessions").glob("*/session.json")
    assert json.loads(snapshot.read_text())["answers"]["verify.requests"] == "200"


def test_people_get_tables_within_80_columns(lab: tuple[Program, Ready]) -> None:
    program, _ = lab
    ended = program.run("verify", "--for", "2s", "--requests", "30")
    assert ended.code == 0, ended.err
    assert "30 requests, 30 answered, 0 failed" in ended.out
    assert re.search(r"ECS01 +1\d +\d\d\.\d % +50 % +[\d.]+ ms", ended.out)
    assert re.search(r"whole request +[\d.]+ ms +[\d.]+ ms", ended.out)
    assert "✓ refused  plain HTTP" in ended.out
    assert "Nothing changed meanwhile." in ended.out
    assert "Verdict: pass" in ended.out
    findings = ended.out[ended.out.index("requests, 30") : ended.out.index("Session ")]
    assert max(map(len, findings.splitlines())) <= 80


def test_any_endpoint_is_watched_without_a_session(
    lab: tuple[Program, Ready], tmp_path: Path
) -> None:
    program, _ = lab
    (pki,) = (program.home / "sessions").glob("*/pki")
    where = program.run("verify", "--requests", "1", "--json").result["endpoint"]
    alone = Program(tmp_path)
    words = (
        *("verify", "--connect", where, "--name", "www.example.com"),
        *("--cert", str(pki / "client.crt"), "--key", str(pki / "client.key")),
        *("--ca", str(pki / "ca.crt"), "--backend-pattern", r"This is (\w+)"),
    )
    issuer = ("--client-ca-cert", str(pki / "ca.crt"), "--client-ca-key", str(pki / "ca.key"))
    ended = alone.run(*words, *issuer, "--for", "2s", "--json")
    assert ended.code == 0, ended.out
    assert set(ended.result["backends"]) == {"ECS01", "ECS02"}
    fared = {each["name"]: each["refused"] for each in ended.result["refusals"]}
    assert fared["expired"] is True
    assert fared["wrong_usage"] is True
    wrong = ("--client-ca-cert", str(pki / "ca.crt"), "--client-ca-key", str(pki / "server.key"))
    refused = alone.run(*words, *wrong, "--json")
    assert refused.code == 1
    assert refused.result["problem"]["code"] == "pki.key-mismatch"


def test_plain_mode_offers_to_watch_and_tells_only_changes(lab: tuple[Program, Ready]) -> None:
    program, ready = lab
    with at_terminal(program, "resume", "--plain") as person:
        while person.sees_any("Enter is", "Watch how it goes on?") == 0:
            person.types("")
        person.sees("[1] finish  [2] watch. Enter is 1:")
        person.types("2")
        person.sees("Watching")
        switch(ready, "PUT", "mutual-not-enforced")
        person.sees("let in: a client without a certificate")
        switch(ready, "DELETE", "mutual-not-enforced")
        person.sees("refused again: a client without a certificate")
        assert "answered, 0 failed" not in person.shown[person.shown.index("Watching") :]
        person.types("")
        person.sees("Watch how it goes on?")
        person.types("")
        assert person.leaves() == 0
