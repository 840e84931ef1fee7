"""One lab a test process, started as a person starts it, and the real command pointed at it."""

from __future__ import annotations

import http.client
import json
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.cloud.connect import connect
from services.cloud.credentials import AccessKey
from services.cloud.port import Cloud
from services.stop import Stop
from tests.app.running import Program


@dataclass(frozen=True, slots=True)
class RunningLab:
    """A lab in a process of its own, as its ready line describes it."""

    ready: dict[str, Any]
    folder: Path

    @property
    def answers(self) -> str:
        return str(self.ready["answers"])

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        return (
            ("NLB_MTLS_API", self.ready["api"]),
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", self.ready["access_key_id"]),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", self.ready["access_key_secret"]),
        )

    def program(self, home: Path) -> Program:
        """The command, pointed at this lab."""
        return Program(home, extra=self.environment)

    def cloud(self) -> Cloud:
        keys = AccessKey(self.ready["access_key_id"], self.ready["access_key_secret"])
        return connect(self.ready["region"], api=self.ready["api"], keys=keys)

    def holds(self) -> dict[str, list[str]]:
        """What is in the account, by what it is: compared before and after."""
        cloud, stop = self.cloud(), Stop()
        groups = cloud.nlb.server_groups(stop)
        return {
            "listeners": [x.id for x in cloud.nlb.listeners(self.balancer, stop)],
            "groups": [f"{x.id} {x.preserve_client_ip} {x.server_count}" for x in groups],
            "certificates": [x.certificate_id for x in cloud.cas.server_certificates(stop)],
            "cas": [x.id for x in cloud.cas.ca_certificates(stop)],
            "issued": [x.id for x in cloud.pca.issued_certificates(stop) if x.status == "ISSUE"],
            "hosts": self._files(),
        }

    def _files(self) -> list[str]:
        """Every file of every host, with its content, but for logs and what is volatile."""
        root = self.folder / "hosts"
        found = []
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if path.is_file() and "/var/" not in name and "/tmp/" not in name:
                found.append(f"{name} {path.read_bytes()!r}")
        return found

    @property
    def balancer(self) -> str:
        return str(self.ready["load_balancer"]["id"])

    @property
    def connect(self) -> str:
        """`HOST:PORT` where listener 443 really is."""
        return str(self.ready["connect"]["443"])

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        self._switch("PUT", name)
        try:
            yield
        finally:
            self._switch("DELETE", name)

    def _switch(self, method: str, name: str) -> None:
        where = str(self.ready["api"]).removeprefix("http://")
        connection = http.client.HTTPConnection(where, timeout=10)
        try:
            connection.request(method, f"/_lab/faults/{name}")
            assert connection.getresponse().status == 200
        finally:
            connection.close()

    def answer(self, *path: str) -> str:
        found: Any = tomllib.loads(Path(self.answers).read_text(encoding="utf-8"))
        for part in path:
            found = found[part]
        return str(found)


@contextmanager
def lab_serving(folder: Path, *words: str) -> Iterator[RunningLab]:
    """`lab serve` on `folder` during the block; ended by SIGTERM, which must end it well."""
    program = Program(folder.parent)
    process = subprocess.Popen(
        program.command(["lab", "serve", "--dir", str(folder), *words]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=program.environment(),
    )
    assert process.stdout is not None
    try:
        yield RunningLab(json.loads(process.stdout.readline()), folder)
        assert process.poll() is None, "the lab ended by itself"
    finally:
        process.terminate()
        code = process.wait(20)
        process.stdout.close()
    assert code in (0, 143, -15)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with lab_serving(tmp_path_factory.mktemp("lab") / "dir") as running:
        yield running
