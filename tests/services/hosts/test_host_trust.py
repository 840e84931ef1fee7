"""Whose key is trusted, against a real OpenSSH server that has a key of every type."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from services.hosts.host_keys import KnownHosts
from services.hosts.port import Host, HostKeyQuestion
from services.problem import Exit, Problem, Stopped
from services.stop import Stop
from tests.programs import program
from tests.services.hosts.conftest import Make
from tests.services.hosts.openssh import KEY_TYPES, OpenSsh, fingerprint, make_key, public_line
from tests.services.hosts.problems import problem


class Person:
    """Answers every question in the same way, and keeps them."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[HostKeyQuestion] = []

    def __call__(self, question: HostKeyQuestion) -> bool:
        self.asked.append(question)
        return self.answer


def line(server: OpenSsh, key: Path, marker: str = "") -> str:
    return f"{marker}[127.0.0.1]:{server.port} {public_line(key)}\n"


def know(known: KnownHosts, text: str) -> None:
    known.file.parent.mkdir(exist_ok=True)
    known.file.write_text(text)


def test_unknown_key_is_refused_where_nobody_is_asked(
    sshd: OpenSsh, hosts: Make, known: KnownHosts
) -> None:
    host = sshd.host()
    with problem("key-unknown", Exit.REFUSED, host) as raised:
        hosts().run(host, "true", Stop())
    assert raised.facts["fingerprint"] == fingerprint(sshd.keys["ed25519"])
    words = raised.problem.words()
    assert f"--host-key ECS01={raised.facts['fingerprint']}" in words.remedy
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in words.remedy
    assert not known.file.exists()


def test_person_who_says_no_is_obeyed(sshd: OpenSsh, hosts: Make, known: KnownHosts) -> None:
    person, host = Person(answer=False), sshd.host()
    with problem("key-unknown", Exit.REFUSED, host):
        hosts(person).run(host, "true", Stop())
    assert person.asked == [HostKeyQuestion(host, "ED25519", fingerprint(sshd.keys["ed25519"]))]
    assert not known.file.exists()


def test_accepted_key_is_kept_and_not_asked_for_again(
    sshd: OpenSsh, hosts: Make, known: KnownHosts
) -> None:
    person = Person(answer=True)
    for _ in range(2):
        assert hosts(person).run(sshd.host(), "echo in", Stop()).stdout == "in\n"
    assert len(person.asked) == 1
    ssh = [program("ssh"), "-F", "none", "-o", f"UserKnownHostsFile={known.file}"]
    ssh += ["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-i", str(sshd.client_key)]
    said = subprocess.run(
        [*ssh, "-p", str(sshd.port), "127.0.0.1", "echo in"], capture_output=True, check=False
    )
    assert said.stdout == b"in\n", said.stderr


def test_hosts_that_share_an_address_are_asked_about_once(sshd: OpenSsh, hosts: Make) -> None:
    person = Person(answer=True)
    ran = hosts(person).run_all({sshd.host(f"ECS{n}"): "true" for n in range(4)}, Stop())
    assert not [each for each in ran.values() if isinstance(each, Problem)]
    assert len(person.asked) == 1


def test_questions_come_one_at_a_time(sshd: OpenSsh, hosts: Make) -> None:
    asking = threading.Lock()

    def person(question: HostKeyQuestion) -> bool:
        assert asking.acquire(blocking=False)
        try:
            return False
        finally:
            asking.release()

    ran = hosts(person).run_all({sshd.host(f"ECS{n}"): "true" for n in range(4)}, Stop())
    assert {each.code for each in ran.values() if isinstance(each, Problem)} == {
        "hosts.key-unknown"
    }


def test_stop_during_the_question_counts_more_than_the_answer(
    sshd: OpenSsh, hosts: Make, known: KnownHosts
) -> None:
    stop = Stop()

    def person(question: HostKeyQuestion) -> bool:
        stop.set()
        return True

    with pytest.raises(Stopped):
        hosts(person).run(sshd.host(), "true", stop)
    assert not known.file.exists()


def test_changed_key_stops_and_nobody_can_wave_it_through(
    sshd: OpenSsh, hosts: Make, known: KnownHosts, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "other")
    know(known, line(sshd, other))
    person, host = Person(answer=True), sshd.host()
    with problem("key-changed", Exit.REFUSED, host) as raised:
        hosts(person).run(host, "true", Stop())
    assert raised.facts["expected"] == fingerprint(other)
    assert raised.facts["actual"] == fingerprint(sshd.keys["ed25519"])
    assert raised.facts["source"] == f"{known.file}:1"
    assert person.asked == []
    assert known.file.read_text() == line(sshd, other)


def test_revoked_key_stops(sshd: OpenSsh, hosts: Make, known: KnownHosts) -> None:
    key = sshd.keys["ed25519"]
    know(known, line(sshd, key) + line(sshd, key, "@revoked "))
    host = sshd.host()
    with problem("key-revoked", Exit.REFUSED, host) as raised:
        hosts(Person(answer=True)).run(host, "true", Stop())
    assert raised.facts["fingerprint"] == fingerprint(key)


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_key_type_that_is_known_is_asked_for(
    sshd: OpenSsh, hosts: Make, known: KnownHosts, kind: str
) -> None:
    know(known, line(sshd, sshd.keys[kind]))
    person = Person(answer=False)
    assert hosts(person).run(sshd.host(), "echo in", Stop()).stdout == "in\n"
    assert person.asked == []


def test_users_known_hosts_is_enough(sshd: OpenSsh, hosts: Make, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(line(sshd, sshd.keys["ecdsa"]))
    subprocess.run([program("ssh-keygen"), "-H", "-f", str(users)], check=True, capture_output=True)
    known = KnownHosts(tmp_path / "own", also=(users,))
    assert hosts(known_hosts=known).run(sshd.host(), "echo in", Stop()).stdout == "in\n"


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_pinned_key_of_any_type_is_found(sshd: OpenSsh, hosts: Make, kind: str) -> None:
    host = sshd.host(fingerprint=fingerprint(sshd.keys[kind]))
    assert hosts().run(host, "echo in", Stop()).stdout == "in\n"


def test_pin_decides_alone(sshd: OpenSsh, hosts: Make, known: KnownHosts, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    know(known, line(sshd, other))
    assert hosts().run(sshd.pinned(), "echo in", Stop()).stdout == "in\n"
    know(known, "".join(line(sshd, key) for key in sshd.keys.values()))
    person = Person(answer=True)
    host = sshd.host(fingerprint=fingerprint(other))
    with problem("key-changed", Exit.REFUSED, host) as raised:
        hosts(person).run(host, "true", Stop())
    assert raised.facts["expected"] == fingerprint(other)
    assert raised.facts["actual"] == fingerprint(sshd.keys["ed25519"])
    assert person.asked == []


def test_nothing_secret_is_sent_before_the_key_is_trusted(sshd: OpenSsh, hosts: Make) -> None:
    before = sshd.log().count("Accepted")
    unpinned = Host("x", "127.0.0.1", sshd.port, "root", str(sshd.client_key), "SHA256:no")
    with problem("key-changed", Exit.REFUSED):
        hosts().run(unpinned, "true", Stop())
    assert sshd.log().count("Accepted") == before
