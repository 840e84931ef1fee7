from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.hosts.authentication import AskSecret, no_secret
from services.hosts.connection import Timeouts
from services.hosts.host_keys import KnownHosts
from services.hosts.host_trust import AskHostKey, refuse_host_key
from services.hosts.ssh import SshHosts
from tests.services.hosts.openssh import KEY_TYPES, OpenSsh, make_key, serving

Make = Callable[..., SshHosts]


@pytest.fixture(scope="session")
def host_keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Host keys of every type, by ssh-keygen."""
    folder = tmp_path_factory.mktemp("host-keys")
    return {kind: make_key(folder / kind, kind) for kind in KEY_TYPES}


@pytest.fixture(scope="session")
def client_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("client-key") / "id")


@pytest.fixture(scope="session")
def sshd(
    tmp_path_factory: pytest.TempPathFactory, host_keys: dict[str, Path], client_key: Path
) -> Iterator[OpenSsh]:
    """An OpenSSH server with a key of every type, shared by the tests of a worker."""
    with serving(tmp_path_factory.mktemp("sshd"), host_keys, client_key) as server:
        yield server


@pytest.fixture
def known(tmp_path: Path) -> KnownHosts:
    """An empty known_hosts file of the program's own."""
    return KnownHosts(tmp_path / "home" / "known_hosts")


@pytest.fixture
def hosts(known: KnownHosts) -> Iterator[Make]:
    """Makes `SshHosts`, and closes them after the test: no thread of theirs may be left then."""
    made: list[SshHosts] = []

    def make(
        ask_host_key: AskHostKey = refuse_host_key,
        known_hosts: KnownHosts = known,
        ask_secret: AskSecret = no_secret,
        width: int = 20,
        timeouts: Timeouts | None = None,
    ) -> SshHosts:
        each = SshHosts(ask_host_key, known_hosts, ask_secret, width=width, timeouts=timeouts)
        made.append(each)
        return each

    yield make
    for each in made:
        each.close()
    left = [thread for thread in threading.enumerate() if thread.name.startswith("ssh")]
    for thread in left:
        thread.join(timeout=5)
    assert [thread for thread in left if thread.is_alive()] == []


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says anything."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
