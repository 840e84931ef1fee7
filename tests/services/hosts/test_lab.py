"""The scripts, files and faults on hosts of the lab: SSH, SFTP, a shell and nginx for real."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

from services.hosts.port import Host, RemoteFile
from services.hosts.scripts import (
    ClientDirectory,
    Undone,
    WebHost,
    client_directory,
    install_web_page,
    installed_web_page,
    look_at_client_directory,
    look_at_web_host,
    remove_client_files,
    remove_web_page,
    removed_client_files,
    removed_web_page,
    web_host,
)
from services.hosts.ssh import SshHosts
from services.lab.faults import Faults
from services.lab.hosts.host import LabHost
from services.lab.hosts.image import System
from services.problem import Exit
from services.stop import Stop
from tests.services.hosts.conftest import Make
from tests.services.hosts.openssh import public_line
from tests.services.hosts.problems import problem

PAGE = 'Hello World ! It\'s "ECS01".\n'


@dataclass(frozen=True)
class There:
    """A lab host: how to reach it, where its files are, and what goes wrong with it."""

    host: Host
    lab: LabHost
    root: Path
    faults: Faults

    def tree(self) -> dict[str, bytes]:
        """Its files, without what a running system writes by itself."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file()
            and not path.is_relative_to(self.root / "var" / "log")
            and not path.is_symlink()
        }


@contextmanager
def lab_host(folder: Path, key: Path, system: System) -> Iterator[There]:
    faults = Faults()
    loop = asyncio.new_event_loop()
    turning = threading.Thread(target=loop.run_forever)
    turning.start()

    async def make() -> LabHost:
        made = LabHost(
            "ECS01",
            "i-1",
            folder,
            faults=faults,
            resolve=lambda name, port: None,
            authorized_key=public_line(key),
            system=system,
            faulty=True,
        )
        await made.start()
        return made

    try:
        lab = asyncio.run_coroutine_threadsafe(make(), loop).result(30)
        try:
            address, port = lab.ssh_address
            host = Host("ECS01", address, port, "root", str(key), lab.fingerprint)
            yield There(host, lab, folder / "root", faults)
        finally:
            asyncio.run_coroutine_threadsafe(lab.close(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        turning.join()
        loop.close()


@pytest.fixture(params=["alinux", "debian"])
def there(request: pytest.FixtureRequest, tmp_path: Path, client_key: Path) -> Iterator[There]:
    with lab_host(tmp_path / "lab", client_key, request.param) as found:
        yield found


def listed(hosts: SshHosts, host: Host, directory: str) -> ClientDirectory:
    ran = hosts.run(host, look_at_client_directory(directory), Stop())
    return client_directory(host, directory, ran)


def looked(hosts: SshHosts, host: Host) -> WebHost:
    return web_host(host, hosts.run(host, look_at_web_host(), Stop()))


def test_page_is_served_and_taken_back(there: There, hosts: Make) -> None:
    reach, host = hosts(), there.host
    tree, before = there.tree(), looked(reach, host)
    assert (before.installed, before.active, before.served) == (False, False, None)

    lines: list[str] = []
    ran = reach.run(host, install_web_page(PAGE), Stop(), lambda name, line: lines.append(line))
    done = installed_web_page(host, PAGE, ran)
    assert {"install", "write"} <= done.did
    assert lines  # what dnf or apt-get says, and nothing of the answer
    assert not [line for line in lines if "did=" in line]
    assert looked(reach, host).serves(PAGE)
    address, port = there.lab.web_address
    with urlopen(f"http://{address}:{port}/", timeout=10) as answer:
        assert answer.read().decode() == PAGE
    again = installed_web_page(host, PAGE, reach.run(host, install_web_page(PAGE), Stop()))
    assert again.did == frozenset()

    undo = remove_web_page(PAGE, before.state())
    undone = removed_web_page(host, reach.run(host, undo, Stop()))
    assert "uninstall" in undone.did
    assert looked(reach, host).state() == before.state()
    assert there.tree() == tree


def test_page_of_somebodys_comes_back(there: There, hosts: Make) -> None:
    reach, host = hosts(), there.host
    theirs = 'echo theirs > "$(ls -d /var/www/html /usr/share/nginx/html 2>/dev/null | head -n 1)/'
    installing = "apt-get install -y nginx || yum install -y nginx; systemctl start nginx"
    assert reach.run(host, f'{installing}; {theirs}index.html"', Stop()).exit_status == 0
    before = looked(reach, host)
    assert before.served is not None
    assert before.served.text == "theirs\n"
    ran = reach.run(host, install_web_page(PAGE), Stop())
    assert "back-up" in installed_web_page(host, PAGE, ran).did
    undo = remove_web_page(PAGE, before.state())
    assert removed_web_page(host, reach.run(host, undo, Stop())).page is Undone.RESTORED
    assert looked(reach, host) == before


@pytest.mark.parametrize(
    ("fault", "evidence"),
    [
        ("backend-empty", "Content-Length: 0"),
        ("backend-floods", "without an end"),
        ("backend-garbage", "HTTP/0.9"),
        ("backend-hangs", "timed out"),
        ("backend-redirects", "Location: https://127.0.0.1/"),
    ],
)
def test_server_that_does_not_show_the_page_is_a_problem_with_what_came_instead(
    there: There, hosts: Make, fault: str, evidence: str
) -> None:
    reach, host = hosts(), there.host
    there.faults.add(fault)
    hurried = (
        install_web_page(PAGE)
        .replace("sleep 1", ":")
        .replace("--max-time 5", "--max-time 0.1")
        .replace("--max-time 2", "--max-time 0.1")
    )
    with problem("web-not-answering", host=host) as raised:
        installed_web_page(host, PAGE, reach.run(host, hurried, Stop()))
    assert evidence in raised.evidence
    looking = look_at_web_host().replace("--max-time 5", "--max-time 0.1")
    assert not web_host(host, reach.run(host, looking, Stop())).serves(PAGE)


def test_clients_files_are_placed_and_taken_back(there: There, hosts: Make) -> None:
    reach, host, directory = hosts(), there.host, "/root/clients/ca"
    tree = there.tree()
    before = listed(reach, host, directory)
    contents = {"client.crt": b"certificate\n", "client.key": b"key\n", "ca.crt": b"ca\n"}
    reach.put(
        host,
        directory,
        [RemoteFile(f"{directory}/{name}", content) for name, content in contents.items()],
        Stop(),
    )
    found = listed(reach, host, directory)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    assert found.mode == 0o700
    assert {file.name: (file.mode, file.sha256) for file in found.files} == {
        name: (0o600, digest) for name, digest in digests.items()
    }
    assert reach.read(host, f"{directory}/client.key", Stop()) == b"key\n"
    assert reach.read(host, f"{directory}/server.key", Stop()) is None
    ran = reach.run(host, remove_client_files(directory, digests, before.missing), Stop())
    gone = removed_client_files(host, directory, digests, before.missing, ran)
    assert gone.removed == tuple(contents)
    assert gone.directories == before.missing == (directory, "/root/clients")
    assert there.tree() == tree


def test_script_longer_than_an_argument(there: There, hosts: Make) -> None:
    ran = hosts().run(there.host, f": {'x' * 150_000}\necho end; exit 7", Stop())
    assert (ran.exit_status, ran.stdout) == (7, "end\n")


@pytest.mark.parametrize("there", ["alinux"], indirect=True)
def test_changed_host_key_of_the_lab_stops(there: There, hosts: Make) -> None:
    there.faults.add("host-key-changed")
    with problem("key-changed", Exit.REFUSED, there.host) as raised:
        hosts().run(there.host, "true", Stop())
    assert raised.facts["expected"] == there.host.fingerprint != raised.facts["actual"]
    there.faults.discard("host-key-changed")
    assert hosts().run(there.host, "echo mended", Stop()).stdout == "mended\n"


@pytest.mark.parametrize("there", ["alinux"], indirect=True)
def test_lab_host_that_refuses_the_key(there: There, hosts: Make) -> None:
    there.faults.add("ssh-refuses-key")
    with problem("auth-failed", host=there.host):
        hosts().run(there.host, "true", Stop())
