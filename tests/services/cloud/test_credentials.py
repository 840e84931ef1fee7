"""Where keys come from. Each in a process of its own: the vendor reads HOME once, at import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.cloud.connect import connect
from services.cloud.credentials import AccessKey, from_environment
from services.stop import Stop
from tests.services.cloud.conftest import SECRET, Ask
from tests.services.cloud.responder import Reply, answer, responding

ASK = """
import os, sys
from services.cloud.connect import connect
from services.problem import Problem
from services.stop import Stop
try:
    print(connect("cn-hangzhou", api=sys.argv[1]).sts.caller(Stop()).account_id)
except Problem as problem:
    print(problem.code, problem.evidence)
"""


def _run(url: str, home: Path, **environment: str) -> str:
    """What the script prints; that it prints nothing else is checked here."""
    clean = {name: value for name, value in os.environ.items() if "ALIBABA" not in name}
    ran = subprocess.run(
        [sys.executable, "-c", ASK, url],
        env=clean | {"HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stderr == ""
    return ran.stdout.strip()


def test_without_any_key_the_problem_names_the_places(tmp_path: Path) -> None:
    with responding(lambda request: answer(AccountId="1")) as responder:
        said = _run(responder.url, tmp_path)
        assert responder.seen == []
    assert said.startswith("cloud.no-credentials ALIBABA_CLOUD_ACCESS_KEY_ID: not set;")
    assert f"{tmp_path}/.aliyun/config.json: absent" in said
    assert "ECS RAM role: not asked" in said


def test_the_profile_of_the_vendors_command_is_used(tmp_path: Path) -> None:
    (tmp_path / ".aliyun").mkdir()
    profile = {"name": "p", "mode": "AK", "access_key_id": "LTAI-P", "access_key_secret": SECRET}
    config = tmp_path / ".aliyun" / "config.json"
    config.write_text(json.dumps({"current": "p", "profiles": [profile]}))
    with responding(lambda request: answer(AccountId="42")) as responder:
        assert _run(responder.url, tmp_path) == "42"
        assert "Credential=LTAI-P," in responder.seen[0].headers["authorization"]
        config.write_text(json.dumps({"current": "q", "profiles": [profile]}))
        said = _run(responder.url, tmp_path)
    assert said.startswith("cloud.no-credentials")
    assert "config.json: no usable profile" in said
    assert SECRET not in said


def test_the_environment_is_read_at_each_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with responding(lambda request: answer(AccountId="1")) as responder:
        cloud = connect("cn-hangzhou", api=responder.url)
        for key_id, token in (("LTAI-1", ""), ("STS.2", "token-2")):
            monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", f" {key_id}\n")
            monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
            monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", token)
            cloud.sts.caller(Stop())
    first, second = (request.headers for request in responder.seen)
    assert "Credential=LTAI-1," in first["authorization"]
    assert "x-acs-security-token" not in first
    assert "Credential=STS.2," in second["authorization"]
    assert second["x-acs-security-token"] == "token-2"


def test_half_a_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI")
    assert from_environment() is None


def test_given_keys_win_over_the_environment(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI-other")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "other")
    cloud, responder, _ = ask(lambda request: answer(AccountId="1"))
    cloud.sts.caller(Stop())
    assert "Credential=LTAI5tTestTestTest," in responder.seen[0].headers["authorization"]


def test_no_representation_of_a_key_or_of_a_cloud_holds_the_secret() -> None:
    keys = AccessKey("LTAI", SECRET, "token-secret")
    cloud = connect("cn-hangzhou", keys=keys)
    for thing in (keys, cloud, cloud.nlb, vars(cloud.nlb)):
        assert SECRET not in repr(thing)
        assert "token-secret" not in repr(thing)


def test_a_credential_source_that_breaks_is_a_problem_without_its_text(tmp_path: Path) -> None:
    page = f"<html>{SECRET}</html>".encode()
    with responding(lambda request: Reply(500, page)) as responder:
        uri = f"{responder.url}/keys"
        said = _run(responder.url, tmp_path, ALIBABA_CLOUD_CREDENTIALS_URI=uri)
    assert said.startswith("cloud.no-credentials")
    assert SECRET not in said
