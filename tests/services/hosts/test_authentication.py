"""Keys of every kind, passphrases, passwords, the agent; with ssh-keygen, openssl and sshd."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.hosts import agent as agent_module
from services.hosts.authentication import KeyIsEncrypted, SecretKind, load_key
from services.hosts.port import Host
from services.problem import Exit, Problem
from services.stop import Stop
from tests.programs import program
from tests.services.hosts.conftest import Make
from tests.services.hosts.faulty import Behaviour, faulty
from tests.services.hosts.openssh import OpenSsh, make_key, public_line, serving
from tests.services.hosts.problems import problem
from tests.services.hosts.stopping import stops_within_a_second

SECRET = "correct horse"


def answering(**secrets: str) -> tuple[list[str], Callable[[Host, SecretKind], str | None]]:
    asked: list[str] = []

    def ask(host: Host, kind: SecretKind) -> str | None:
        asked.append(kind)
        return secrets.get(kind)

    return asked, ask


def openssl(path: Path, *command: str) -> Path:
    subprocess.run(
        [program("openssl"), *command, "-out", str(path)], check=True, capture_output=True
    )
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {
    "OpenSSH Ed25519": lambda path: make_key(path, "ed25519"),
    "OpenSSH ECDSA": lambda path: make_key(path, "ecdsa"),
    "OpenSSH ECDSA P-521": lambda path: make_key(path, "ecdsa", "", "-b", "521"),
    "OpenSSH RSA": lambda path: make_key(path, "rsa"),
    "PKCS#1": lambda path: make_key(path, "rsa", "", "-m", "PEM"),
    "SEC 1": lambda path: make_key(path, "ecdsa", "", "-m", "PEM"),
    "PKCS#8": lambda path: make_key(path, "rsa", "", "-m", "PKCS8"),
    "PKCS#8 Ed25519": lambda path: openssl(path, "genpkey", "-algorithm", "ed25519"),
}


@pytest.mark.parametrize("form", MAKERS)
def test_key_is_read_in_every_form(tmp_path: Path, form: str) -> None:
    path = MAKERS[form](tmp_path / "key")
    key = load_key(path.read_bytes())
    if "Ed25519" not in form or "OpenSSH" in form:  # ssh-keygen itself reads no PKCS#8 Ed25519
        said = subprocess.run(
            [program("ssh-keygen"), "-yf", str(path)], check=True, capture_output=True, text=True
        ).stdout
        assert said.split()[:2] == [key.get_name(), key.get_base64()]
    assert key.can_sign()


@pytest.mark.parametrize(
    "options", [("-a", "1"), ("-m", "PEM"), ("-m", "PKCS8")], ids=["OpenSSH", "SEC 1", "PKCS#8"]
)
def test_encrypted_key_wants_its_passphrase(tmp_path: Path, options: tuple[str, ...]) -> None:
    data = make_key(tmp_path / "key", "ecdsa", SECRET, *options).read_bytes()
    with pytest.raises(KeyIsEncrypted):
        load_key(data)
    with pytest.raises(ValueError, match=r"."):
        load_key(data, "wrong")
    assert load_key(data, SECRET).get_name() == "ecdsa-sha2-nistp256"


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_log_in_with_other_key_types(
    tmp_path: Path, host_keys: dict[str, Path], hosts: Make, kind: str
) -> None:
    key = make_key(tmp_path / "key", kind)
    with serving(tmp_path / "sshd", host_keys, key) as server:
        assert hosts().run(server.pinned(), "echo in", Stop()).stdout == "in\n"


def test_passphrase_is_asked_for_once_for_all_hosts(
    tmp_path: Path, host_keys: dict[str, Path], hosts: Make
) -> None:
    key = make_key(tmp_path / "key", "ed25519", SECRET, "-a", "1")
    asked, ask = answering(passphrase=SECRET)
    with serving(tmp_path / "sshd", host_keys, key) as server:
        scripts = {server.pinned(f"ECS{n}"): "true" for n in range(4)}
        ran = hosts(ask_secret=ask).run_all(scripts, Stop())
    assert not [each for each in ran.values() if isinstance(each, Problem)]
    assert asked == ["passphrase"]


def test_passphrase_that_is_missing_or_wrong(tmp_path: Path, sshd: OpenSsh, hosts: Make) -> None:
    path = make_key(tmp_path / "key", "ed25519", SECRET, "-a", "1")
    host, before = sshd.pinned(private_key_file=str(path)), len(sshd.sessions)
    with problem("passphrase-needed", Exit.ANSWER_MISSING) as raised:
        hosts().run(host, "true", Stop())
    assert raised.facts["path"] == str(path)
    wrong = "not the passphrase"
    with problem("passphrase-wrong") as raised:
        hosts(ask_secret=answering(passphrase=wrong)[1]).run(host, "true", Stop())
    assert wrong not in f"{raised.facts}{raised.evidence}{raised.problem!r}"
    assert len(sshd.sessions) == before


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\x00\xff",
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJLS5DnWdQT47pLJu6zOFruNDsEFoOyLlL0Ukfo5tVSO",
        b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    ],
)
def test_key_file_that_is_none(
    tmp_path: Path, sshd: OpenSsh, hosts: Make, content: bytes | None
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    host = sshd.pinned(private_key_file=str(path))
    with problem("key-file-unreadable") as raised:
        hosts().run(host, "true", Stop())
    assert raised.facts["path"] == str(path)


@pytest.mark.parametrize(
    "command",
    [("genpkey", "-algorithm", "x25519"), ("ecparam", "-genkey", "-noout", "-name", "secp256k1")],
)
def test_key_that_ssh_does_not_use(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = openssl(tmp_path / "key", *command)
    with pytest.raises(ValueError, match=r"."):
        load_key(path.read_bytes())


def test_key_replaced_after_a_refusal_is_read_anew(
    tmp_path: Path, sshd: OpenSsh, hosts: Make
) -> None:
    path = make_key(tmp_path / "key")
    host, reach = sshd.pinned(private_key_file=str(path)), hosts()
    with problem("auth-failed") as raised:
        reach.run(host, "true", Stop())
    assert str(path) in raised.evidence
    path.write_bytes(sshd.client_key.read_bytes() + b"\n")
    assert reach.run(host, "echo in", Stop()).stdout == "in\n"


def test_user_that_is_not_there(sshd: OpenSsh, hosts: Make) -> None:
    host = sshd.pinned(user="no-such-user")
    with problem("auth-failed", host=host) as raised:
        hosts().run(host, "true", Stop())
    assert raised.facts["user"] == "no-such-user"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without keys, and no agent."""
    home = tmp_path / "home-folder"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


def keyless(server: OpenSsh) -> Host:
    return server.pinned(private_key_file=None)


def test_default_key_logs_in(home: Path, sshd: OpenSsh, hosts: Make) -> None:
    make_key(home / ".ssh" / "id_rsa", "rsa", SECRET, "-a", "1")  # encrypted: passed over
    make_key(home / ".ssh" / "id_ed25519")  # not the one that the host knows
    (home / ".ssh" / "id_ecdsa").write_bytes(sshd.client_key.read_bytes())
    assert hosts().run(keyless(sshd), "echo in", Stop()).stdout == "in\n"


def test_nothing_to_log_in_with(home: Path, sshd: OpenSsh, hosts: Make) -> None:
    with problem("auth-failed") as raised:
        hosts().run(keyless(sshd), "true", Stop())
    assert "nothing" in raised.evidence


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real ssh-agent."""
    path = home / "agent"
    command = [program("ssh-agent"), "-D", "-a", str(path)]
    # Whoever has to confirm says no.
    environment = {**os.environ, "SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as running:
        assert running.stdout is not None
        running.stdout.readline()  # it prints where it listens, once it does
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield
        running.send_signal(signal.SIGTERM)


@pytest.mark.usefixtures("agent")
def test_agents_key_logs_in(sshd: OpenSsh, hosts: Make, home: Path) -> None:
    for key in (make_key(home / "stranger"), sshd.client_key):
        subprocess.run([program("ssh-add"), "-q", str(key)], check=True, env=os.environ)
    assert hosts().run(keyless(sshd), "echo in", Stop()).stdout == "in\n"


@pytest.mark.usefixtures("agent")
def test_host_that_hangs_up_after_too_many_keys_has_refused(
    sshd: OpenSsh, hosts: Make, home: Path, host_keys: dict[str, Path]
) -> None:
    for number in range(3):
        key = make_key(home / f"stranger{number}")
        subprocess.run([program("ssh-add"), "-q", str(key)], check=True, env=os.environ)
    folder, client = home / "strict", make_key(home / "client")
    with serving(folder, host_keys, client, "MaxAuthTries 2") as strict:
        with problem("auth-failed") as raised:
            hosts().run(keyless(strict), "true", Stop())
        assert raised.evidence.count("ssh-agent SHA256:") == 2


@pytest.mark.usefixtures("home")
def test_agent_that_is_gone_is_no_hindrance(
    sshd: OpenSsh, hosts: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with problem("auth-failed"):
        hosts().run(keyless(sshd), "true", Stop())


@pytest.mark.usefixtures("home")
def test_agent_that_hangs_holds_up_neither_stop_nor_log_in(
    sshd: OpenSsh, hosts: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "hanging"))
        hanging.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "hanging"))
        asked = threading.Event()

        def accept() -> None:
            for _ in range(2):
                connected, _ = hanging.accept()
                with connected:
                    asked.set()
                    while connected.recv(100):
                        pass

        accepting = threading.Thread(target=accept)
        accepting.start()
        stops_within_a_second(lambda stop: hosts().run(keyless(sshd), "true", stop), asked)
        monkeypatch.setattr(agent_module, "ANSWER_S", 0.2)
        with problem("auth-failed"):
            hosts().run(keyless(sshd), "true", Stop())
        accepting.join()


@pytest.mark.usefixtures("agent")
def test_agent_whose_owner_does_not_confirm(sshd: OpenSsh, hosts: Make) -> None:
    subprocess.run([program("ssh-add"), "-q", "-c", str(sshd.client_key)], check=True)
    with problem("auth-failed") as raised:
        hosts().run(keyless(sshd), "true", Stop())
    assert "signing" in raised.evidence


def test_password_logs_in(hosts: Make) -> None:
    asked, ask = answering(password=SECRET)
    with faulty(Behaviour(password=SECRET)) as host, problem("session-refused"):
        hosts(ask_secret=ask).run(host, "true", Stop())  # in, but this server runs nothing
    assert asked == ["password"]


def test_password_that_is_wrong_is_nowhere_to_be_seen(hosts: Make) -> None:
    wrong = "wr0ng-canary"
    _, ask = answering(password=wrong)
    with faulty(Behaviour(password=SECRET)) as host:
        with problem("auth-failed", host=host) as raised:
            hosts(ask_secret=ask).run(host, "true", Stop())
        assert wrong not in f"{raised.problem!r}{raised.facts}{raised.evidence}"
        assert "password" in raised.evidence


def test_password_where_only_keys_are_allowed(sshd: OpenSsh, hosts: Make) -> None:
    _, ask = answering(password=SECRET)
    with problem("auth-failed") as raised:
        hosts(ask_secret=ask).run(keyless(sshd), "true", Stop())
    assert "publickey" in raised.evidence


def test_key_and_password_both(sshd: OpenSsh, hosts: Make) -> None:
    asked, ask = answering(password=SECRET)
    with faulty(Behaviour(second=SECRET)) as there:
        host = Host(
            there.name,
            there.address,
            there.port,
            private_key_file=str(sshd.client_key),
            fingerprint=there.fingerprint,
        )
        with problem("session-refused"):
            hosts(ask_secret=ask).run(host, "true", Stop())
        assert asked == ["password"]
        with problem("auth-failed") as raised:
            hosts().run(host, "true", Stop())
        assert "password" in raised.evidence


def test_public_line_is_what_sshd_reads(sshd: OpenSsh) -> None:
    key = load_key(sshd.client_key.read_bytes())
    assert public_line(sshd.client_key) == f"{key.get_name()} {key.get_base64()}"
