"""The commands of a host, judged where that is possible by the real ones."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from services.lab.hosts.shell.streams import Descriptor
from services.problem import Stopped
from services.stop import Stop
from tests.programs import program
from tests.services.lab.plane.conftest import Plane, until

LINES = Path(__file__).with_name("command_lines.txt").read_text(encoding="utf-8").splitlines()
"""Each a script that the real commands must end the same."""


@pytest.mark.parametrize("line", LINES)
def test_commands_do_what_the_real_ones_do(plane: Plane, tmp_path: Path, line: str) -> None:
    setup = (
        "printf 'b 2\\na 10\\nc 1\\na 10\\n' > t\nmkdir -p d/e; touch y; ln -sf t l; umask 022\n"
    )
    script = setup + line
    theirs = subprocess.run(
        [program("bash"), "--norc", "--noprofile", "-c", script],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=20,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/root"},
    )  # fmt: skip
    plane.run("ECS01", "rm -rf /srv/try; mkdir -p /srv/try")
    ours = plane.run("ECS01", "cd /srv/try\n" + script)
    expected = theirs.stdout.replace(str(tmp_path), "/srv/try")
    assert ours.stdout.decode() == expected, ours.stderr.decode()
    assert ours.status == theirs.returncode


def test_host_knows_itself(plane: Plane) -> None:
    ran = plane.run("ECS01", "hostname; uname -sn; . /etc/os-release; echo $ID; pwd; echo $HOME")
    assert ran.stdout == b"ECS01\nLinux ECS01\nalinux\n/root\n/root\n"
    assert plane.run("DEB01", ". /etc/os-release; echo $ID").stdout == b"debian\n"


def test_unknown_command_is_not_found(plane: Plane) -> None:
    ran = plane.run("ECS01", "frobnicate --all")
    assert (ran.status, ran.stderr) == (127, b"bash: frobnicate: command not found\n")


def test_package_manager_is_the_systems_own(plane: Plane) -> None:
    assert plane.run("ECS01", "apt-get update").status == 127
    assert plane.run("DEB01", "yum makecache").status == 127
    assert plane.run("DEB01", "dpkg -s nginx").status == 1
    assert plane.run("ECS01", "rpm -q nginx").stdout == b"package nginx is not installed\n"


def test_nginx_comes_and_goes_with_its_package(plane: Plane) -> None:
    script = """
        command -v nginx || echo absent; systemctl is-active nginx; echo $?
        systemctl start nginx; echo $?
        yum install -y nginx > /dev/null; rpm -q nginx; command -v nginx; nginx -v
        systemctl is-active nginx; systemctl is-enabled nginx; echo $?
        curl -s http://localhost/; echo $?
        systemctl enable --now nginx; systemctl is-active nginx; systemctl is-enabled nginx
        curl -s http://127.0.0.1/ | grep title; ss -ltn | grep -c :80; pgrep nginx
        nginx -t; nginx -s reload; echo $?
        echo '}' >> /etc/nginx/nginx.conf; nginx -t; echo $?; systemctl restart nginx; echo $?
        systemctl is-active nginx
        yum remove -y -q nginx; nginx -v; echo $?; curl -s http://localhost/; echo $?
        ls /usr/share/nginx/html /etc/nginx"""
    ran = plane.run("ECS03", script)
    assert ran.stdout.decode().splitlines() == [
        "absent", "inactive", "3", "5",
        "nginx-1.20.1-9.0.1.al8.x86_64", "/usr/sbin/nginx",
        "inactive", "disabled", "1", "7",
        "active", "enabled",
        "<title>Welcome to nginx!</title>", "1", "1023", "0",
        "1", "1", "inactive", "127", "7",
        "/usr/share/nginx/html:", "", "/etc/nginx:", "conf.d",
    ]  # fmt: skip
    assert b'unexpected "}"' in ran.stderr
    assert b"Created symlink" in ran.stderr


def test_debian_starts_what_it_installs(plane: Plane) -> None:
    ran = plane.run(
        "DEB01",
        "apt-get update -q >/dev/null; apt-get install -y nginx | tail -n 1; "
        "systemctl is-active nginx; echo mine > /var/www/html/index.html; curl -s localhost; "
        "apt-get remove -y nginx nginx-common >/dev/null; systemctl is-active nginx",
    )
    assert ran.stdout == b"Setting up nginx (1.20.1) ...\nactive\nmine\ninactive\n"


def test_stop_ends_a_sleep_at_once(plane: Plane) -> None:
    stop = Stop()
    statuses: list[int] = []
    thread = threading.Thread(
        target=lambda: statuses.append(
            plane.host("ECS01")
            .run_script("touch /tmp/on; sleep 1000 | cat; echo no", stop=stop)
            .status
        )
    )
    thread.start()
    until(lambda: plane.host("ECS01").files.exists("/tmp/on"))
    stop.set()
    thread.join(5)
    assert statuses == [130]
    with pytest.raises(Stopped):
        stop.check()


def test_full_disk_is_said_in_the_commands_name(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.lab.hosts.shell.streams import Descriptor

    def full(self: Descriptor, data: bytes, /) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Descriptor, "write", full)
    ran = plane.run("ECS01", "echo x > /tmp/f || echo $?; seq 1 > /tmp/f || echo $?")
    assert ran.stdout == b"1\n1\n"
    assert ran.stderr == b"bash: echo: No space left on device\nseq: No space left on device\n"


def test_big_input_is_hashed_as_it_comes(plane: Plane) -> None:
    content = b"x" * (3 << 20)
    ran = plane.run("ECS01", "cat | tee /tmp/big | sha256sum | cut -c 1-64", stdin=content)
    assert ran.stdout.decode().strip() == hashlib.sha256(content).hexdigest()


def test_web_server_whose_port_was_taken_does_not_start(plane: Plane) -> None:
    plane.run("ECS03", "yum install -y -q nginx; systemctl start nginx; systemctl stop nginx")
    plane.thread.call(plane.host("ECS03").close())
    with socket.create_server(plane.host("ECS03").web_address):
        plane.thread.call(plane.host("ECS03").start())
        ran = plane.run("ECS03", "systemctl start nginx; echo $?; systemctl is-active nginx")
        assert ran.stdout == b"1\ninactive\n"
        assert b"Job for nginx.service failed" in ran.stderr
    assert plane.run("ECS03", "systemctl start nginx; curl -s localhost").status == 0


def test_room_on_the_disk_is_told(plane: Plane) -> None:
    lines = plane.run("ECS01", "df -Pk /tmp").stdout.decode().splitlines()
    assert len(lines) == 2
    assert int(lines[1].split()[3]) > 0
    assert plane.run("ECS01", "df /no").status == 1
