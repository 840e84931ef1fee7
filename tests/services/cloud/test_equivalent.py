"""The shown command means the same call to a POSIX shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cloud.equivalent import FileRef, aliyun
from tests.programs import program


def test_nested_parameters_are_spelt_as_the_api_does() -> None:
    command = aliyun(
        "nlb",
        "AddServersToServerGroup",
        {
            "RegionId": "cn-hangzhou",
            "ServerGroupId": "sgp-1",
            "Servers": [{"ServerId": "i-1", "Port": 80}, {"ServerId": "i-2", "Port": 80}],
            "DryRun": True,
        },
        "cn-hangzhou",
    )
    assert command == (
        "aliyun nlb AddServersToServerGroup --ServerGroupId sgp-1"
        " --Servers.1.ServerId i-1 --Servers.1.Port 80"
        " --Servers.2.ServerId i-2 --Servers.2.Port 80 --DryRun true --region cn-hangzhou"
    )


def test_private_ca_is_another_version_of_cas() -> None:
    assert aliyun("pca", "DescribeCACertificateCount", {}, "cn-hangzhou") == (
        "aliyun cas DescribeCACertificateCount --version 2020-06-30 --force --region cn-hangzhou"
    )


def test_a_files_contents_are_shown_by_its_name_alone() -> None:
    key = FileRef("my keys/server.key", "-----BEGIN PRIVATE KEY-----")
    command = aliyun("cas", "UploadUserCertificate", {"Key": key}, "cn-hangzhou")
    assert """--Key="$(cat 'my keys/server.key')\"""" in command
    assert "BEGIN" not in command
    assert "BEGIN" not in repr(key)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `aliyun` prints its arguments, one a NUL-ended word."""
    folder = tmp_path_factory.mktemp("shell")
    stand_in = folder / "aliyun"
    stand_in.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    stand_in.chmod(0o755)
    (folder / "a b.pem").write_text("-----BEGIN X-----\nab=\n-----END X-----\n")
    (folder / "-dash").write_text("dashed")
    return folder


def _words(command: str, folder: Path) -> list[str]:
    ran = subprocess.run(
        [program("sh"), "-c", command],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    return ran.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
@settings(max_examples=25)
def test_any_value_survives_the_shell(shell: Path, value: str) -> None:
    words = _words(aliyun("nlb", "X", {"Name": value}, "r"), shell)
    assert "=".join(words[2:-2]) == f"--Name={value}"


def test_files_are_read_by_the_shell(shell: Path) -> None:
    files = {"Cert": FileRef("a b.pem"), "Key": FileRef("-dash")}
    words = _words(aliyun("cas", "X", files, "r"), shell)
    assert words[2:4] == ["--Cert=-----BEGIN X-----\nab=\n-----END X-----", "--Key=dashed"]
