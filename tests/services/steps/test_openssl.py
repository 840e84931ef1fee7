"""The commands shown instead of what is done here, pasted into a shell: the real openssl runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from services.steps import openssl
from tests.programs import program


@pytest.mark.parametrize("kind", ["ec-p256", "rsa-2048"])
def test_pasted_commands_make_certificates_that_openssl_accepts(tmp_path: Path, kind: str) -> None:
    program("openssl")
    names = ["www.example.com", "nlb-1.cn-hangzhou.nlb.aliyuncsslb.com"]
    script = "\n".join(
        [
            *openssl.ca("ca", "A / CA + of 'ours'", 3650, kind),
            *openssl.server(names, 397, kind, "ca"),
            *openssl.client("it's me", 30, kind, "ca.crt", "ca.key"),
            "openssl verify -CAfile ca.crt -purpose sslserver -verify_hostname "
            f"{names[0]} server.crt",
            "openssl verify -CAfile ca.crt -purpose sslclient client.crt",
        ]
    )
    ran = subprocess.run(["sh", "-eu"], input=script, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-2:] == ["server.crt: OK", "client.crt: OK"]
