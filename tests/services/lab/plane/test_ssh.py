"""The hosts' SSH servers, judged by OpenSSH and by paramiko's client."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest

from services.lab.faults import Faults
from services.lab.hosts.plane import HostPlane
from tests.programs import program
from tests.services.lab.plane.conftest import SPECS, LoopThread, Plane, until


def ssh(
    plane: Plane, *command: str, stdin: bytes = b"", tool: str = "ssh"
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program(tool), "-F", str(plane.folder / "ssh_config"), "-o", "BatchMode=yes", *command],
        input=stdin, capture_output=True, check=False, timeout=20,
    )  # fmt: skip


@contextmanager
def client(plane: Plane, name: str = "ECS01", **options: object) -> Iterator[paramiko.SSHClient]:
    host = plane.host(name)
    with paramiko.SSHClient() as made:
        made.set_missing_host_key_policy(paramiko.RejectPolicy())
        kind, blob, _ = host.public_key.split()
        key = paramiko.PKey.from_type_string(kind, b64decode(blob))
        address, port = host.ssh_address
        made.get_host_keys().add(f"[{address}]:{port}", kind, key)
        settings: dict[str, object] = {
            "username": "root", "key_filename": str(plane.hosts.private_key_file),
            "look_for_keys": False, "allow_agent": False, "timeout": 10,
        } | options  # fmt: skip
        made.connect(address, port, **settings)  # type: ignore[arg-type]
        yield made


def test_command_runs_and_its_status_comes_back(plane: Plane) -> None:
    ran = ssh(plane, "ECS01", "cat /etc/os-release; echo oops >&2; exit 42")
    assert ran.returncode == 42
    assert b'ID="alinux"' in ran.stdout
    assert ran.stderr == b"oops\n"


def test_hosts_are_told_apart(plane: Plane) -> None:
    assert [ssh(plane, spec.name, "hostname").stdout for spec in SPECS] == [
        f"{spec.name}\n".encode() for spec in SPECS
    ]


def test_unknown_command_is_127(plane: Plane) -> None:
    ran = ssh(plane, "ECS01", "frobnicate")
    assert (ran.returncode, ran.stderr) == (127, b"bash: frobnicate: command not found\n")


def test_standard_input_reaches_the_command(plane: Plane) -> None:
    content = bytes(range(256)) * 2000
    ran = ssh(plane, "ECS01", "cat > /tmp/in; wc -c < /tmp/in; cat /tmp/in", stdin=content)
    assert ran.stdout == b"512000\n" + content


def test_script_by_standard_input(plane: Plane) -> None:
    script = b"for i in 1 2; do\n echo $i\ndone\nexit 3\n"
    assert ssh(plane, "ECS01", "sh -s", stdin=script).stdout == b"1\n2\n"
    ran = ssh(plane, "-T", "ECS01", stdin=script)
    assert (ran.returncode, ran.stdout) == (3, b"1\n2\n")


def test_short_commands_never_lose_their_answer(plane: Plane) -> None:
    with client(plane) as made:
        for number in range(20):
            _, stdout, _ = made.exec_command(f"echo {number}")
            assert stdout.read() == f"{number}\n".encode()
            assert stdout.channel.recv_exit_status() == 0


def test_many_commands_at_once_on_one_connection(plane: Plane) -> None:
    with client(plane) as made:
        outputs = [made.exec_command(f"sleep 0.05; echo {n}")[1] for n in range(8)]
        assert [out.read() for out in outputs] == [f"{n}\n".encode() for n in range(8)]


def test_output_comes_while_the_command_still_runs(plane: Plane) -> None:
    with client(plane) as made:
        stdin, stdout, _ = made.exec_command("echo first; read line; echo $line")
        assert stdout.readline() == "first\n"
        stdin.write(b"second\n")
        assert stdout.readline() == "second\n"


@pytest.mark.parametrize("script", ["sleep 1000", "cat", "while true; do echo x; done",
                                    "sleep 1000 | cat | cat", "timeout 999 sleep 999"])  # fmt: skip
def test_client_that_leaves_ends_its_command(plane: Plane, script: str) -> None:
    def running() -> int:
        return sum(t.name in ("lab-serve", "lab-stage", "lab-watch") for t in threading.enumerate())

    until(lambda: running() == 0)
    with client(plane) as made:
        kept = made.exec_command(script)
        until(lambda: running() > 0)
        del kept
    until(lambda: running() == 0)


def test_closing_one_channel_ends_its_command_only(plane: Plane) -> None:
    with client(plane) as made:
        _, one, _ = made.exec_command("sleep 1000")
        stdin, other, _ = made.exec_command("read x; echo $x")
        one.channel.close()
        until(lambda: sum(t.name == "lab-serve" for t in threading.enumerate()) == 1)
        stdin.write(b"still here\n")
        assert other.read() == b"still here\n"


def test_scp_there_and_back(plane: Plane, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    source = tmp_path / "a file"
    source.write_bytes(content)
    source.chmod(0o640)
    assert ssh(plane, "-p", str(source), "ECS03:/root/", tool="scp").returncode == 0
    files = plane.host("ECS03").files
    assert files.read("/root/a file") == content
    assert stat.S_IMODE(files.stat("/root/a file").st_mode) == 0o640
    assert ssh(plane, "ECS03:/root/a file", str(tmp_path / "back"), tool="scp").returncode == 0
    assert (tmp_path / "back").read_bytes() == content
    missing = ssh(plane, "ECS03:/root/no", str(tmp_path / "no"), tool="scp")
    assert (missing.returncode, b"No such file" in missing.stderr) == (1, True)


def test_sftp_does_what_files_need(plane: Plane, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("content")
    batch = f"""
        pwd
        mkdir d
        put {tmp_path}/f d/f
        chmod 600 d/f
        ls -l d
        rename d/f d/g
        ln -s g d/l
        get d/l {tmp_path}/got
        ls /../../etc/hostname
        rm d/l
        rm d/g
        rmdir d
    """
    plane.run("ECS03", "rm -rf d")
    ran = ssh(plane, "-b", "-", "ECS03", stdin=batch.encode(), tool="sftp")
    assert ran.returncode == 0, ran.stderr
    assert b"Remote working directory: /root\n" in ran.stdout
    assert b"-rw-------" in ran.stdout
    assert (tmp_path / "got").read_text() == "content"
    refused = ssh(plane, "-b", "-", "ECS03", stdin=f"get {tmp_path}/f x".encode(), tool="sftp")
    assert (refused.returncode, b"not found" in refused.stderr) == (1, True)


def test_sftp_file_is_private_from_its_first_byte(plane: Plane) -> None:
    with client(plane) as made, made.open_sftp() as sftp:
        with sftp.open("/root/plain", "wx") as file:
            file.write(b"x")
            file.chmod(0o600)
        assert stat.S_IMODE(sftp.stat("/root/plain").st_mode or 0) == 0o600
        with pytest.raises(OSError, match="Failure"):
            sftp.open("/root/plain", "wx")
        sftp.posix_rename("/root/plain", "/root/other")
        assert "other" in sftp.listdir("/root")
        assert sftp.normalize(".") == "/root"
        sftp.truncate("/root/other", 0)
        assert sftp.stat("/root/other").st_size == 0
        sftp.remove("/root/other")
        with pytest.raises(FileNotFoundError):
            sftp.stat("/root/other")


def test_fingerprint_is_openssh_s(plane: Plane, tmp_path: Path) -> None:
    host = plane.host("ECS01")
    public = tmp_path / "key.pub"
    public.write_text(host.public_key + "\n")
    shown = subprocess.run(
        [program("ssh-keygen"), "-lf", str(public)], capture_output=True, text=True, check=True
    ).stdout
    assert shown.split()[1] == host.fingerprint


def test_secret_keys_are_for_their_owner_only(plane: Plane) -> None:
    keys = [plane.hosts.private_key_file, *plane.folder.glob("*/ssh_host_ed25519_key")]
    assert len(keys) == 1 + len(SPECS)
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_who_may_come_in(plane: Plane, tmp_path: Path) -> None:
    with client(plane, key_filename=None, password="correct horse") as made:
        assert made.exec_command("echo in")[1].read() == b"in\n"
    with (
        pytest.raises(paramiko.AuthenticationException),
        client(plane, key_filename=None, password="wrong"),
    ):
        pass
    with pytest.raises(paramiko.AuthenticationException), client(plane, username="admin"):
        pass
    other = tmp_path / "other"
    subprocess.run(
        [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True
    )
    with pytest.raises(paramiko.AuthenticationException), client(plane, key_filename=str(other)):
        pass
    # authorized_keys on the host is what counts.
    line = other.with_suffix(".pub").read_text()
    plane.run("ECS01", "cat >> /root/.ssh/authorized_keys", stdin=line.encode())
    with client(plane, key_filename=str(other)) as made:
        assert made.exec_command("whoami")[1].read() == b"root\n"


def test_nothing_but_sessions_is_served(plane: Plane) -> None:
    with client(plane) as made:
        transport = made.get_transport()
        assert transport is not None
        with pytest.raises(paramiko.ChannelException):
            transport.open_channel("direct-tcpip", ("127.0.0.1", 80), ("127.0.0.1", 1))


def test_stranger_that_speaks_no_ssh_disturbs_nobody(
    plane: Plane, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        with socket.create_connection(plane.host("ECS01").ssh_address, 5) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert ssh(plane, "ECS01", "true").returncode == 0
    assert capfd.readouterr() == ("", "")


def test_interactive_shell_on_a_terminal(plane: Plane) -> None:
    with client(plane) as made:
        channel = made.invoke_shell()
        shown = b""

        def read_until(mark: bytes) -> None:
            nonlocal shown
            channel.settimeout(10)
            while mark not in shown:
                shown += channel.recv(4096)

        read_until(b"[root@ECS01 ~]# ")
        channel.sendall(b"cd /etx\x7fc\r")
        read_until(b"[root@ECS01 etc]# ")
        channel.sendall(b"echo $((6*7)) \x1b[A'\r")
        read_until(b"> ")
        channel.sendall(b"x'\r")
        read_until(b"42 \r\nx\r\n")
        channel.sendall(b"junk\x15echo ${\r")
        read_until(b"> ")
        channel.sendall(b"\x03")
        channel.sendall(b"\r}\r")
        read_until(b"bad substitution")
        channel.sendall(b"cat > /tmp/typed\rone\rtwo\r\x04wc -l < /tmp/typed\r")
        read_until(b"]# wc -l < /tmp/typed\r\n2\r\n")
        channel.sendall(b"sleep 1000\r")
        read_until(b"sleep 1000\r\n")
        channel.sendall(b"\x03echo $?\r")
        read_until(b"^C\r\n[root@ECS01 etc]# echo $?\r\n130\r\n")
        channel.sendall("é\x7fexit 7\r".encode())
        assert channel.recv_exit_status() == 7


def test_host_key_changed(plane: Plane) -> None:
    before = plane.host("ECS01").fingerprint
    plane.faults.add("host-key-changed")
    ran = ssh(plane, "ECS01", "true")
    assert ran.returncode == 255
    assert b"REMOTE HOST IDENTIFICATION HAS CHANGED" in ran.stderr
    assert plane.host("ECS01").fingerprint == before
    plane.faults.discard("host-key-changed")
    assert ssh(plane, "ECS01", "true").returncode == 0


def test_ssh_refuses_key(plane: Plane) -> None:
    plane.faults.add("ssh-refuses-key")
    ran = ssh(plane, "ECS01", "true")
    assert (ran.returncode, b"Permission denied" in ran.stderr) == (255, True)


def test_ssh_down_ends_sessions_and_refuses_new_ones(plane: Plane) -> None:
    with client(plane) as made:
        _, stdout, _ = made.exec_command("sleep 1000")
        plane.faults.add("ssh-down")
        plane.reconcile()
        assert stdout.read() == b""
    ran = ssh(plane, "ECS01", "true")
    assert (ran.returncode, b"Connection refused" in ran.stderr) == (255, True)
    plane.faults.discard("ssh-down")
    plane.reconcile()
    assert ssh(plane, "ECS01", "true").returncode == 0


def test_hosts_go_on_where_they_were(tmp_path: Path) -> None:
    thread = LoopThread()

    async def made() -> HostPlane:
        plane = HostPlane(tmp_path, SPECS, faults=Faults(), resolve=lambda host, port: None)
        await plane.start()
        return plane

    try:
        first = thread.call(made())
        ran = first.hosts["ECS01"].run_script(
            "yum install -y nginx; systemctl enable --now nginx\n"
            "echo kept > /usr/share/nginx/html/index.html"
        )
        assert ran.status == 0
        addresses = [(h.ssh_address, h.web_address, h.fingerprint) for h in first.hosts.values()]
        began = time.monotonic()
        thread.call(first.close())
        assert time.monotonic() - began < 5
        second = thread.call(made())
        assert addresses == [
            (h.ssh_address, h.web_address, h.fingerprint) for h in second.hosts.values()
        ]
        ran = second.hosts["ECS01"].run_script("curl -s localhost; systemctl is-enabled nginx")
        assert ran.stdout == b"kept\nenabled\n"
        assert second.host("i-2") is second.hosts["ECS02"]
        thread.call(second.close())
    finally:
        thread.close()
    shutil.rmtree(tmp_path)
