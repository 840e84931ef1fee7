"""One data plane a module: hosts and a balancer in an event loop of their own, as in the lab."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from services.lab.balancer.balancer import Balancer
from services.lab.balancer.listener import Authority, Listener, Target
from services.lab.faults import Faults
from services.lab.hosts.host import LabHost, Ran
from services.lab.hosts.plane import HostPlane, HostSpec
from tests.services.lab.plane.certificates import Pki, make_pki

T = TypeVar("T")

SPECS = (
    HostSpec("ECS01", "i-1"),
    HostSpec("ECS02", "i-2"),
    HostSpec("ECS03", "i-3", backend=False),
    HostSpec("DEB01", "i-4", system="debian", backend=False),
)


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="lab-loop")
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float = 20) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@dataclass
class Plane:
    """The data plane under test, driven from the test's thread."""

    folder: Path
    pki: Pki
    thread: LoopThread
    faults: Faults = field(default_factory=Faults)
    authorities: list[Authority] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hosts: HostPlane = None  # type: ignore[assignment]
        self.balancer: Balancer = None  # type: ignore[assignment]

    async def _start(self) -> None:
        self.hosts = HostPlane(
            self.folder, SPECS, faults=self.faults, resolve=self.resolve, password="correct horse"
        )
        self.balancer = Balancer(self.faults, authorities=lambda: self.authorities)
        await self.hosts.start()
        self.hosts.write_ssh_config(self.folder / "ssh_config")

    def start(self) -> None:
        self.thread.call(self._start())

    def stop(self) -> None:
        self.thread.call(self.balancer.close())
        self.thread.call(self.hosts.close())

    def resolve(self, host: str, port: int) -> tuple[str, int] | None:
        if host == "www.example.com":
            return self.balancer.addresses.get(port, ("127.0.0.1", 1))
        return None

    def host(self, name: str) -> LabHost:
        return self.hosts.hosts[name]

    def run(self, name: str, script: str, stdin: bytes = b"") -> Ran:
        return self.host(name).run_script(script, stdin=stdin)

    def serve_pages(self) -> None:
        """Bring ECS01 and ECS02 up as the tutorial does."""
        for name in ("ECS01", "ECS02"):
            ran = self.run(
                name,
                "yum install -y nginx && systemctl start nginx.service && "
                f"cd /usr/share/nginx/html/ && echo 'Hello World ! This is {name}.' > index.html",
            )
            assert ran.status == 0, ran

    def targets(self) -> tuple[Target, ...]:
        hosts = (self.host("ECS01"), self.host("ECS02"))
        return tuple(Target(host.name, *host.web_address) for host in hosts)

    def listener(self, **changes: Any) -> Listener:
        settings: dict[str, Any] = {
            "port": 443,
            "certificate_pem": self.pki.server.certificate,
            "key_pem": self.pki.server.key,
            "ca_pem": self.pki.ca.certificate,
            "mutual": "required",
            "targets": self.targets(),
        }
        return Listener(**(settings | changes))

    def apply(self, *listeners: Listener) -> None:
        self.thread.call(self.balancer.apply(listeners))

    def until_normal(self, port: int = 443) -> None:
        until(lambda: not self.balancer.health(port))

    def reconcile(self) -> None:
        """Wait until what listens has followed the faults."""
        self.thread.call(self.hosts.reconcile())

    @property
    def port(self) -> int:
        return self.balancer.addresses[443][1]


def until(holds: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait until it holds, or fail."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        pause.wait(0.01)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Plane]:
    thread = LoopThread()
    plane = Plane(tmp_path_factory.mktemp("plane"), pki, thread)
    plane.start()
    try:
        yield plane
    finally:
        plane.stop()
        thread.close()


@pytest.fixture(autouse=True)
def _no_fault_stays_on(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "plane" in request.fixturenames:
        plane: Plane = request.getfixturevalue("plane")
        if plane.faults:
            plane.faults.clear()
            plane.reconcile()
