"""Every fault of the data plane really happens, and only while it is on."""

from __future__ import annotations

import subprocess
import time
from collections import Counter

import pytest

from services.lab.faults import FAULTS
from services.text import knows
from tests.programs import program
from tests.services.lab.plane.certificates import NAME
from tests.services.lab.plane.conftest import Plane, until


@pytest.fixture(scope="module", autouse=True)
def _serving(plane: Plane) -> None:
    plane.serve_pages()
    plane.apply(plane.listener())


@pytest.fixture(autouse=True)
def _all_is_well(plane: Plane) -> None:
    plane.until_normal()


def curl(plane: Plane, *options: str, client: bool = True) -> subprocess.CompletedProcess[str]:
    pki = plane.pki
    credentials = ["--cert", str(pki.client.certificate_file), "--key", str(pki.client.key_file)]
    return subprocess.run(
        [
            program("curl"), "-sS", "--max-time", "5", "-w", "%{http_code}",
            "--connect-to", f"{NAME}:443:127.0.0.1:{plane.port}",
            "--cacert", str(pki.ca.certificate_file), *(credentials if client else []), *options,
            f"https://{NAME}/",
        ],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


def backends(plane: Plane, count: int) -> Counter[str]:
    return Counter(curl(plane).stdout[-10:-5] for _ in range(count))


def test_every_fault_has_its_sentence() -> None:
    assert [name for name, kind in FAULTS.items() if not knows(kind.key)] == []


def test_backend_down(plane: Plane) -> None:
    plane.faults.add("backend-down")
    until(lambda: plane.balancer.health(443) == {"ECS02": ("Unhealthy", "CONNECT_FAILED")})
    assert backends(plane, 2) == {"ECS01": 2}
    ran = plane.run("ECS02", "systemctl is-active nginx; systemctl start nginx; echo $?")
    assert ran.stdout == b"inactive\n1\n"
    plane.faults.discard("backend-down")
    plane.until_normal()


def test_all_backends_down(plane: Plane) -> None:
    plane.faults.add("all-backends-down")
    until(lambda: len(plane.balancer.health(443)) == 2)
    until(lambda: {s for s, _ in plane.balancer.health(443).values()} == {"Unhealthy"})
    assert curl(plane).returncode == 52


def test_backend_error(plane: Plane) -> None:
    plane.faults.add("backend-error")
    assert sorted(curl(plane).stdout[-3:] for _ in range(2)) == ["200", "500"]
    assert not plane.balancer.health(443)


def test_backend_slow(plane: Plane) -> None:
    plane.faults.add("backend-slow")
    began = time.monotonic()
    assert {curl(plane).stdout[-3:] for _ in range(2)} == {"200"}
    assert 1 <= time.monotonic() - began < 5


def test_backend_hangs(plane: Plane) -> None:
    plane.faults.add("backend-hangs")
    assert sorted(curl(plane, "--max-time", "0.5").returncode for _ in range(2)) == [0, 28]
    assert not plane.balancer.health(443)
