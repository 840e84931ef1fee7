"""known_hosts files, with ssh-keygen as the judge."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hosts.host_keys import (
    HostKey,
    KnownHosts,
    Verdict,
    lookup_name,
    parse,
    same_fingerprint,
    signature_algorithms,
)
from tests.programs import program
from tests.services.hosts.openssh import KEY_TYPES, fingerprint, public_line
from tests.services.hosts.problems import problem

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJLS5DnWdQT47pLJu6zOFruNDsEFoOyLlL0Ukfo5tVSO"
LINE = f"ssh-ed25519 {KEY}"
OTHER_LINE = LINE.replace("OFruN", "OFruM")


def key_in(line: str) -> HostKey:
    kind, encoded = line.split()
    return HostKey(kind, base64.b64decode(encoded))


def knowing(path: Path, text: str) -> KnownHosts:
    path.write_text(text)
    return KnownHosts(path)


def keygen_finds(path: Path, name: str) -> bool:
    command = [program("ssh-keygen"), "-F", name, "-f", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_fingerprint_and_algorithm_are_spelt_as_ssh_keygen_does(
    host_keys: dict[str, Path], kind: str
) -> None:
    key = key_in(public_line(host_keys[kind]))
    said = subprocess.run(
        [program("ssh-keygen"), "-lf", str(host_keys[kind])],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert key.fingerprint == fingerprint(host_keys[kind])
    assert said.strip().endswith(f"({key.algorithm})")


@pytest.mark.parametrize(
    ("line", "address", "port"),
    [
        (f"ecs01.example.com {LINE}", "ecs01.example.com", 22),
        (f"ecs01.example.com {LINE}", "ECS01.Example.com", 22),
        (f"a,ecs01,b {LINE} a comment", "ecs01", 22),
        (f"[ecs01]:2222 {LINE}", "ecs01", 2222),
        (f"[::1]:2222 {LINE}", "::1", 2222),
        (f"10.0.0.* {LINE}", "10.0.0.17", 22),
        (f"*.example.com,!db.example.com {LINE}", "web.example.com", 22),
        (f"ecs0? {LINE}", "ecs07", 22),
        (f"\t ecs01 \t{LINE}", "ecs01", 22),
    ],
)
def test_known(tmp_path: Path, line: str, address: str, port: int) -> None:
    path = tmp_path / "known_hosts"
    judgement = knowing(path, line + "\n").judge(address, port, key_in(LINE))
    assert judgement.verdict is Verdict.KNOWN
    assert judgement.source == f"{path}:1"
    assert keygen_finds(path, lookup_name(address, port))


@pytest.mark.parametrize(
    ("line", "address", "port"),
    [
        ("", "ecs01", 22),
        (f"# ecs01 {LINE}", "ecs01", 22),
        (f"ecs02 {LINE}", "ecs01", 22),
        (f"[ecs01]:2222 {LINE}", "ecs01", 22),
        (f"[ecs01]:2222 {LINE}", "ecs01", 2223),
        (f"*.example.com,!db.example.com {LINE}", "db.example.com", 22),
        (f"ecs01 {LINE[:-3]}", "ecs01", 22),
        (f"ecs01 ssh-rsa {KEY}", "ecs01", 22),
        ("ecs01 ssh-ed25519", "ecs01", 22),
        (f"@cert-authority ecs01 {LINE}", "ecs01", 22),
        (f"@unknown ecs01 {LINE}", "ecs01", 22),
        (f"|1|bad|hash {LINE}", "ecs01", 22),
        (f"|2|AAAA|AAAA {LINE}", "ecs01", 22),
    ],
)
def test_unknown(tmp_path: Path, line: str, address: str, port: int) -> None:
    known = knowing(tmp_path / "known_hosts", line + "\n")
    assert known.judge(address, port, key_in(LINE)).verdict is Verdict.UNKNOWN


def test_names_hashed_by_ssh_keygen_are_found(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    known = knowing(path, f"ecs01 {LINE}\n[ecs02]:2222 {LINE}\n")
    subprocess.run([program("ssh-keygen"), "-H", "-f", str(path)], check=True, capture_output=True)
    assert "ecs" not in path.read_text()
    assert known.judge("ecs01", 22, key_in(LINE)).verdict is Verdict.KNOWN
    assert known.judge("ecs02", 2222, key_in(LINE)).verdict is Verdict.KNOWN
    assert known.judge("ecs03", 22, key_in(LINE)).verdict is Verdict.UNKNOWN


def test_changed_key_names_what_was_expected_and_where(tmp_path: Path) -> None:
    known = knowing(tmp_path / "k", f"# first\necs01 {LINE}\n")
    judgement = known.judge("ecs01", 22, key_in(OTHER_LINE))
    assert judgement.verdict is Verdict.CHANGED
    assert judgement.expected == (key_in(LINE),)
    assert judgement.source == f"{tmp_path / 'k'}:2"


def test_one_right_key_among_others_is_enough(tmp_path: Path) -> None:
    known = knowing(tmp_path / "k", f"ecs01 {OTHER_LINE}\n*01 {LINE}\n")
    assert known.judge("ecs01", 22, key_in(LINE)).verdict is Verdict.KNOWN


def test_key_of_another_type_than_the_known_one_counts_as_changed(
    tmp_path: Path, host_keys: dict[str, Path]
) -> None:
    rsa = public_line(host_keys["rsa"])
    judgement = knowing(tmp_path / "k", f"ecs01 {rsa}\n").judge("ecs01", 22, key_in(LINE))
    assert (judgement.verdict, judgement.expected) == (Verdict.CHANGED, (key_in(rsa),))


def test_revoked_key_beats_a_line_that_trusts_it(tmp_path: Path) -> None:
    known = knowing(tmp_path / "k", f"ecs01 {LINE}\n@revoked * {LINE}\n")
    assert known.judge("ecs01", 22, key_in(LINE)).verdict is Verdict.REVOKED
    assert known.judge("ecs01", 22, key_in(OTHER_LINE)).verdict is Verdict.CHANGED


def test_revocation_alone_makes_no_host_known(tmp_path: Path) -> None:
    known = knowing(tmp_path / "k", f"@revoked ecs01 {LINE}\n")
    assert known.judge("ecs01", 22, key_in(OTHER_LINE)).verdict is Verdict.UNKNOWN
    assert known.types("ecs01", 22) == ()


def test_key_known_without_a_port_is_good_on_any_port_but_proves_nothing_there(
    tmp_path: Path,
) -> None:
    known = knowing(tmp_path / "k", f"ecs01 {LINE}\n")
    assert known.judge("ecs01", 2222, key_in(LINE)).verdict is Verdict.KNOWN
    assert known.judge("ecs01", 2222, key_in(OTHER_LINE)).verdict is Verdict.UNKNOWN


def test_users_own_file_is_read_and_never_written(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"ecs01 {LINE}\n")
    known = KnownHosts(tmp_path / "home" / "known_hosts", also=(users,))
    assert known.judge("ecs01", 22, key_in(LINE)).verdict is Verdict.KNOWN
    known.remember("ecs02", 22, key_in(LINE))
    assert users.read_text() == f"ecs01 {LINE}\n"


def test_remembered_key_is_private_and_found_by_ssh_keygen(tmp_path: Path) -> None:
    path = tmp_path / "home" / "known_hosts"
    known = KnownHosts(path)
    known.remember("ecs01", 2222, key_in(LINE))
    known.remember("ecs02", 22, key_in(LINE))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert keygen_finds(path, "[ecs01]:2222")
    assert keygen_finds(path, "ecs02")


def test_line_without_an_end_is_not_spoilt(tmp_path: Path) -> None:
    known = knowing(tmp_path / "k", f"ecs01 {LINE}")
    known.remember("ecs02", 22, key_in(OTHER_LINE))
    assert known.judge("ecs01", 22, key_in(LINE)).verdict is Verdict.KNOWN
    assert known.judge("ecs02", 22, key_in(OTHER_LINE)).verdict is Verdict.KNOWN


def test_file_that_cannot_be_read_is_a_problem_when_it_is_ours(tmp_path: Path) -> None:
    with problem("known-hosts-unreadable") as raised:
        KnownHosts(tmp_path).judge("ecs01", 22, key_in(LINE))
    assert raised.facts["path"] == str(tmp_path)
    known = KnownHosts(tmp_path / "k", also=(tmp_path,))
    assert known.judge("ecs01", 22, key_in(LINE)).verdict is Verdict.UNKNOWN


def test_file_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with problem("known-hosts-unwritable"):
        KnownHosts(tmp_path / "file" / "known_hosts").remember("ecs01", 22, key_in(LINE))


def test_full_disk_is_a_problem() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with problem("known-hosts-unwritable") as raised:
        KnownHosts(Path("/dev/full")).remember("ecs01", 22, key_in(LINE))
    assert raised.evidence


def test_known_types_are_asked_for_first() -> None:
    asked = signature_algorithms(["ssh-rsa"])
    assert asked[:3] == ("rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519")
    assert len(asked) == len(set(asked)) == 6
    assert signature_algorithms([])[0] == "ssh-ed25519"


@pytest.mark.parametrize("spelt", ["SHA256:abc", "abc", " SHA256:abc= ", "abc="])
def test_fingerprints_agree_in_any_spelling(spelt: str) -> None:
    assert same_fingerprint(spelt, "SHA256:abc")
    assert not same_fingerprint(spelt, "SHA256:abd")


names = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_no_file_is_too_odd_to_read(text: str) -> None:
    for entry in parse(text):
        entry.is_for("ecs01")


@given(
    names,
    st.integers(1, 65535),
    names,
    st.sampled_from(["{}", "a,{}", "*", "{}*", "|1|AAAA|{}", "!{}", "[{}]:*"]),
)
def test_entries_written_by_remember_and_odd_ones_beside_live_together(
    address: str, port: int, other: str, pattern: str
) -> None:
    text = f"{pattern.format(other)} {LINE}\n{lookup_name(address, port)} {OTHER_LINE}\n"
    found = [entry.key for entry in parse(text) if entry.is_for(lookup_name(address, port))]
    assert key_in(OTHER_LINE) in found
