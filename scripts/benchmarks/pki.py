"""A CA, a server's and a client's certificate and a PKCS#12, in process and by the shell.

Both sides make P-256 keys and the same certificates, and leave the same seven files. The shell's
commands are those that this program shows as the equivalent of what it does (`services.steps`),
run by one `sh`. What is imported once a run is not counted on our side, nor is the disk's
flushing: openssl flushes nothing. So this compares what making them costs, and not the disk.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.child import need
from scripts.benchmarks.finding import Finding, at_least
from scripts.benchmarks.rounds import in_turn, ratio
from services.pki import issue, keys, pkcs12
from services.steps import client, openssl

ROUNDS = 7

NAMES = ("www.example.com", "nlb-example.cn-hangzhou.nlb.aliyuncs.com")
DAYS = 365
PASSWORD = "k7mw-x2fd-9qhr-tb4n"
FILES = ("ca.crt", "ca.key", "server.crt", "server.key", "client.crt", "client.key", "client.p12")


def measure(rounds: int) -> Sequence[Finding]:
    need("openssl")
    spent = in_turn({"ours": _in_process, "theirs": _by_shell}, rounds)
    return [ratio("openssl shell steps / in process", spent["theirs"], spent["ours"], at_least(15))]


def _in_process() -> float:
    from cryptography.hazmat.primitives.serialization import Encoding

    with TemporaryDirectory() as folder:
        began, now = time.perf_counter(), datetime.now(UTC)
        ca_key, server_key, client_key = (keys.new_key() for _ in range(3))
        ca = issue.make_ca(issue.Subject("Example CA"), ca_key, DAYS, now)
        server = issue.make_server(NAMES, server_key, ca, ca_key, DAYS, now)
        person = issue.make_client("client", client_key, ca, ca_key, DAYS, now)
        bundle = pkcs12.bundle("client", client_key, person, [ca], PASSWORD)
        certificates = (each.public_bytes(Encoding.PEM) for each in (ca, server, person))
        pairs = zip(certificates, map(keys.key_pem, (ca_key, server_key, client_key)), strict=True)
        contents = [content for pair in pairs for content in pair]
        for name, content in zip(FILES, [*contents, bundle], strict=True):
            Path(folder, name).write_bytes(content)
        return time.perf_counter() - began


def _by_shell() -> float:
    kind = keys.KeyKind.EC_P256.value
    commands = [
        *openssl.ca("ca", "Example CA", DAYS, kind),
        *openssl.server(NAMES, DAYS, kind, "ca"),
        *openssl.client("client", DAYS, kind, "ca.crt", "ca.key"),
        *client.MakePkcs12("modern", "client", ()).equivalent(),
    ]
    with TemporaryDirectory() as folder:
        Path(folder, "password.txt").write_text(PASSWORD)
        began = time.perf_counter()
        subprocess.run(
            ["sh", "-ec", "\n".join(commands)], cwd=folder, check=True, capture_output=True
        )
        taken = time.perf_counter() - began
        assert all(Path(folder, name).exists() for name in FILES)
    return taken
