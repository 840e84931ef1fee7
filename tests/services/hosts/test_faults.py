"""What goes wrong on the way to a host and on it, each told apart and never waited for too long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import paramiko
import pytest
from paramiko import Channel
from paramiko.common import AUTH_FAILED, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
from paramiko.sftp import SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_OK, SFTP_PERMISSION_DENIED

from services.hosts import dial
from services.hosts.connection import Timeouts
from services.hosts.port import Host, RemoteFile
from services.stop import Stop
from tests.services.hosts.conftest import Make
from tests.services.hosts.faulty import Behaviour, faulty, talking
from tests.services.hosts.openssh import OpenSsh
from tests.services.hosts.problems import problem
from tests.services.hosts.stopping import stops_within_a_second

if TYPE_CHECKING:
    from typing_extensions import Buffer

SHORT = Timeouts(connect_s=0.3, handshake_s=0.3, login_s=0.3, channel_s=0.3, transfer_s=0.3)


def key_host(host: Host, sshd: OpenSsh) -> Host:
    """The host, with a key file to log in with."""
    return Host(
        host.name,
        host.address,
        host.port,
        private_key_file=str(sshd.client_key),
        fingerprint=host.fingerprint,
    )


def test_nothing_listens(hosts: Make, closed_port: int) -> None:
    host = Host("ECS01", "127.0.0.1", closed_port)
    with problem("port-closed", host=host) as raised:
        hosts().run(host, "true", Stop())
    assert raised.facts["port"] == str(closed_port)


def test_name_has_no_address(hosts: Make) -> None:
    host = Host("ECS01", "no-such-host.invalid")
    with problem("name-not-resolving", host=host):
        hosts().run(host, "true", Stop())


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "..", "a b"])
def test_odd_name_has_no_address(hosts: Make, name: str) -> None:
    with problem("name-not-resolving"):
        hosts().run(Host("ECS01", name), "true", Stop())


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Name servers that do not answer; the event tells that one was asked."""
    asked, over = threading.Event(), threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **more: Any) -> Any:
        if more["flags"] & socket.AI_NUMERICHOST:
            return real(host, port, **more)
        asked.set()
        over.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "slow")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    over.set()


def test_stop_does_not_wait_for_a_name_server(hosts: Make, slow_names: threading.Event) -> None:
    host = Host("ECS01", "slow.example.com")
    stops_within_a_second(lambda stop: hosts().run(host, "true", stop), slow_names)


def test_name_server_may_not_take_for_ever(hosts: Make, slow_names: threading.Event) -> None:
    with problem("name-not-resolving"):
        hosts(timeouts=SHORT).run(Host("ECS01", "slow.example.com"), "true", Stop())


def full_port(stack: ExitStack) -> int:
    """A port whose queue is full, so that Linux drops what comes: as a firewall does."""
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    address = listening.getsockname()
    for _ in range(8):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(address)
    return int(address[1])


def test_packets_are_dropped(hosts: Make) -> None:
    with ExitStack() as stack:
        host = Host("ECS01", "127.0.0.1", full_port(stack))
        with problem("timeout", host=host) as raised:
            hosts(timeouts=SHORT).run(host, "true", Stop())
    assert raised.facts["seconds"] == "0.3"


def test_stop_does_not_wait_for_a_connection(hosts: Make) -> None:
    with ExitStack() as stack:
        host = Host("ECS01", "127.0.0.1", full_port(stack))
        ready = threading.Event()
        ready.set()
        stops_within_a_second(lambda stop: hosts().run(host, "true", stop), ready)


def test_no_way_there(hosts: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "_UNDER_WAY", frozenset[int]())
    with problem("unreachable", host=Host("ECS01", "127.0.0.1")):
        hosts().run(Host("ECS01", "127.0.0.1"), "true", Stop())


def test_second_address_is_tried(
    hosts: Make, sshd: OpenSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(host: str, port: int, **more: Any) -> Any:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.9", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    host = sshd.pinned(address="both.example.com")
    assert hosts().run(host, "echo in", Stop()).stdout == "in\n"


def test_address_that_refuses_says_more_than_one_without_a_way(
    hosts: Make, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(host: str, port: int, **more: Any) -> Any:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("255.255.255.255", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with problem("port-closed") as raised:
        hosts().run(Host("ECS01", "both.example.com", closed_port), "true", Stop())
    assert "127.0.0.1: Connection refused, 255.255.255.255: " in raised.evidence


def test_server_says_nothing(hosts: Make, silent_port: int) -> None:
    host = Host("ECS01", "127.0.0.1", silent_port)
    with problem("handshake-timeout", host=host):
        hosts(timeouts=SHORT).run(host, "true", Stop())


def test_stop_does_not_wait_for_a_greeting(hosts: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host = Host("ECS01", "127.0.0.1", listening.getsockname()[1])
        ready = threading.Event()

        def accept() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.recv(10)  # the client's greeting: it waits for ours now
                ready.set()
                while connected.recv(1000):
                    pass

        accepting = threading.Thread(target=accept)
        accepting.start()
        stops_within_a_second(lambda stop: hosts().run(host, "true", stop), ready)
        accepting.join()


def test_server_hangs_up_at_once(hosts: Make) -> None:
    with talking(None) as host, problem("hung-up", host=host):
        hosts().run(host, "true", Stop())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x0a",
        b"220 mail.example.com ESMTP\r\n",
        b"\xff" * 5000,
    ],
)
def test_server_is_not_ssh(hosts: Make, answer: bytes) -> None:
    with talking(answer) as host, problem("not-ssh", host=host) as raised:
        hosts().run(host, "true", Stop())
    assert raised.evidence.startswith(answer[:3].decode("ascii", "replace").lstrip("\x15\x03"))


def test_server_is_not_ssh_and_stays(hosts: Make) -> None:
    with talking(b"220 ready\r\n", hang_up=False) as host:
        with problem("handshake-timeout") as raised:
            hosts(timeouts=SHORT).run(host, "true", Stop())
        assert raised.evidence == "220 ready"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"SSH-2.0-x\r\n", "handshake-failed"),
        (b"SSH-1.5-old\r\n", "no-common-algorithm"),
        (b"SSH-2.0-x\r\n" + b"\x00\x00\x00\x14\x06\x14" + b"\xff" * 100, "no-common-algorithm"),
        (b"SSH-2.0-x\r\n" + b"\x00" * 100, "handshake-failed"),
    ],
)
def test_server_speaks_broken_ssh(hosts: Make, answer: bytes, code: str) -> None:
    with talking(answer) as host, problem(code, host=host):
        hosts().run(host, "true", Stop())


def test_log_in_is_refused(hosts: Make, sshd: OpenSsh) -> None:
    with faulty(Behaviour(log_in=lambda: AUTH_FAILED)) as there:
        host = key_host(there, sshd)
        with problem("auth-failed", host=host) as raised:
            hosts().run(host, "true", Stop())
        assert str(sshd.client_key) in raised.evidence


def test_log_in_stalls(hosts: Make, sshd: OpenSsh) -> None:
    asked, end = threading.Event(), threading.Event()

    def stall() -> int:
        asked.set()
        end.wait(10)
        return AUTH_FAILED

    with faulty(Behaviour(log_in=stall)) as there:
        host = key_host(there, sshd)
        with problem("login-timeout", host=host):
            hosts(timeouts=SHORT).run(host, "true", Stop())
        asked.clear()
        stops_within_a_second(lambda stop: hosts().run(host, "true", stop), asked)
        end.set()


def test_commands_are_refused(hosts: Make, sshd: OpenSsh) -> None:
    with faulty(Behaviour()) as there:
        host = key_host(there, sshd)
        with problem("session-refused", host=host):
            hosts().run(host, "true", Stop())


def test_channels_are_refused(hosts: Make, sshd: OpenSsh, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
    monkeypatch.setattr(Behaviour, "check_channel_request", lambda *_: refused)
    with faulty(Behaviour()) as there:
        host = key_host(there, sshd)
        with problem("session-refused", host=host):
            hosts().run(host, "true", Stop())


def test_host_hangs_up_in_the_middle(hosts: Make, sshd: OpenSsh) -> None:
    def script(channel: Channel, text: str) -> None:
        channel.sendall(b"half a li")
        channel.get_transport().close()

    with faulty(Behaviour(script=script)) as there:
        host = key_host(there, sshd)
        with problem("connection-lost", host=host):
            hosts().run(host, "true", Stop())


def test_host_runs_for_ever(hosts: Make, sshd: OpenSsh) -> None:
    started = threading.Event()

    def script(channel: Channel, text: str) -> None:
        with channel:
            while True:
                channel.sendall(b"y\n" * 1000)
                started.set()

    with faulty(Behaviour(script=script)) as there:
        host = key_host(there, sshd)
        with problem("command-timeout", host=host):
            hosts().run(host, "yes", Stop(), timeout_s=0.3)
        started.clear()
        stops_within_a_second(lambda stop: hosts().run(host, "yes", stop), started)


def test_no_file_transfer_there(hosts: Make, sshd: OpenSsh) -> None:
    with faulty(Behaviour()) as there:
        host = key_host(there, sshd)
        with problem("no-sftp", host=host):
            hosts().read(host, "/x", Stop())


class FullHandle(paramiko.SFTPHandle):
    def write(self, offset: int, data: Buffer) -> int:
        return SFTP_FAILURE


class FullDisk(paramiko.SFTPServerInterface):
    """Has room for a name, and none for a byte."""

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        found = paramiko.SFTPAttributes()
        found.st_mode = 0o40755
        return found

    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes
    ) -> paramiko.SFTPHandle | int:
        FullDisk.opened = (flags, attr.st_mode)
        return FullHandle(flags)

    def remove(self, path: str) -> int:
        FullDisk.removed.append(path)
        return SFTP_OK

    opened: tuple[int, int | None] = (0, None)
    removed: list[str] = []  # noqa: RUF012


@pytest.mark.parametrize(("free", "code"), [(0, "disk-full"), (4, "transfer-failed")])
def test_disk_is_full_or_something_else_is_wrong(
    hosts: Make, sshd: OpenSsh, free: int, code: str
) -> None:
    def script(channel: Channel, text: str) -> None:
        with channel:
            channel.sendall(
                b"Filesystem 1024-blocks Used Available Capacity Mounted on\n"
                b"/dev/vda1 41152812 41152812 %d 100%% /\n" % free
            )
            channel.send_exit_status(0)

    with faulty(Behaviour(script=script, files=FullDisk)) as there:
        host = key_host(there, sshd)
        with problem(code, host=host):
            hosts().put(host, "/d", [RemoteFile("/d/client.key", b"secret")], Stop())
    assert FullDisk.opened[1] == 0o600
    assert FullDisk.removed[-1] == "/d/.client.key.nlb-mtls-unfinished"


class Forbidden(FullDisk):
    """Lets nobody touch anything."""

    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes
    ) -> paramiko.SFTPHandle | int:
        return SFTP_PERMISSION_DENIED


def test_files_of_somebody_else(hosts: Make, sshd: OpenSsh) -> None:
    with faulty(Behaviour(files=Forbidden)) as there:
        host = key_host(there, sshd)
        with problem("permission-denied", host=host) as raised:
            hosts().put(host, "/d", [RemoteFile("/d/client.key", b"secret")], Stop())
        assert raised.facts["path"] == "/d"
        with problem("permission-denied", host=host):
            hosts().read(host, "/d/client.key", Stop())


def test_stalled_transfer_ends(hosts: Make, sshd: OpenSsh) -> None:
    asked, end = threading.Event(), threading.Event()

    class Stalled(FullDisk):
        def stat(self, path: str) -> int:
            asked.set()
            end.wait(10)
            return SFTP_NO_SUCH_FILE

    with faulty(Behaviour(files=Stalled)) as there:
        host = key_host(there, sshd)
        files = [RemoteFile("/d/client.key", b"secret")]
        with problem("transfer-timeout", host=host):
            hosts(timeouts=SHORT).put(host, "/d", files, Stop())
        asked.clear()
        stops_within_a_second(lambda stop: hosts().put(host, "/d", files, stop), asked)
        end.set()
