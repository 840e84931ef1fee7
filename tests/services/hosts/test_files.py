"""Files over SFTP, on a real OpenSSH server whose file system is this computer's."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.hosts import files
from services.hosts.files import READ_LIMIT_BYTES, unfinished
from services.hosts.port import RemoteFile
from services.problem import Stopped
from services.stop import Stop
from tests.programs import program
from tests.services.hosts.conftest import Make
from tests.services.hosts.openssh import OpenSsh
from tests.services.hosts.problems import problem


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def file(path: Path, content: bytes = b"content", mode: int = 0o600) -> RemoteFile:
    return RemoteFile(str(path), content, mode)


def test_directory_and_files_have_the_modes_asked_for(
    sshd: OpenSsh, hosts: Make, tmp_path: Path
) -> None:
    directory = tmp_path / "new" / "ca"
    wanted = {"client.crt": 0o644, "client.key": 0o600, "tool": 0o755, "read-only": 0o400}
    hosts().put(
        sshd.pinned(),
        str(directory),
        [file(directory / name, name.encode(), mode) for name, mode in wanted.items()],
        Stop(),
    )
    assert (mode(directory), mode(directory.parent)) == (0o700, 0o700)
    assert {path.name: mode(path) for path in directory.iterdir()} == wanted
    assert all(path.read_text() == path.name for path in directory.iterdir())


def test_another_sftp_client_sees_the_same(sshd: OpenSsh, hosts: Make, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    hosts().put(sshd.pinned(), str(tmp_path), [file(tmp_path / "a b'c", content)], Stop())
    command = [program("sftp"), "-q", "-F", "none", "-i", str(sshd.client_key)]
    command += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    command += ["-P", str(sshd.port), f"127.0.0.1:{tmp_path}/a\\ b\\'c", str(tmp_path / "copy")]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"x", b"\x00\xff\r\n" * 50_000])
def test_what_is_placed_is_read_again(
    sshd: OpenSsh, hosts: Make, tmp_path: Path, content: bytes
) -> None:
    reach = hosts()
    reach.put(sshd.pinned(), f"{tmp_path}/", [file(tmp_path / "f", content)], Stop())
    assert reach.read(sshd.pinned(), f"{tmp_path}/f", Stop()) == content


def test_file_that_is_not_there_is_none(sshd: OpenSsh, hosts: Make, tmp_path: Path) -> None:
    assert hosts().read(sshd.pinned(), f"{tmp_path}/no/such", Stop()) is None


def test_existing_directory_keeps_its_mode(sshd: OpenSsh, hosts: Make, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    hosts().put(sshd.pinned(), str(tmp_path), [file(tmp_path / "f")], Stop())
    assert mode(tmp_path) == 0o755


def test_file_is_replaced_whole_with_its_new_mode(
    sshd: OpenSsh, hosts: Make, tmp_path: Path
) -> None:
    path = tmp_path / "client.key"
    path.write_bytes(b"a much longer content than the new one")
    path.chmod(0o644)
    with path.open("rb") as opened_before:
        hosts().put(sshd.pinned(), str(tmp_path), [file(path, b"new")], Stop())
        assert opened_before.read() == b"a much longer content than the new one"
    assert (path.read_bytes(), mode(path)) == (b"new", 0o600)


def test_link_is_replaced_and_not_followed(sshd: OpenSsh, hosts: Make, tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "client.key"
    elsewhere.write_text("untouched")
    path.symlink_to(elsewhere)
    hosts().put(sshd.pinned(), str(tmp_path), [file(path, b"new")], Stop())
    assert not path.is_symlink()
    assert elsewhere.read_text() == "untouched"


def test_remains_of_an_interrupted_transfer_are_replaced(
    sshd: OpenSsh, hosts: Make, tmp_path: Path
) -> None:
    path = tmp_path / "client.key"
    remains = Path(unfinished(str(path)))
    remains.write_bytes(b"half")
    remains.chmod(0o644)
    hosts().put(sshd.pinned(), str(tmp_path), [file(path)], Stop())
    assert [each.name for each in tmp_path.iterdir()] == ["client.key"]
    assert mode(path) == 0o600


def test_file_is_private_before_its_first_byte(
    sshd: OpenSsh, hosts: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    create = files._create

    def creating(sftp, path):  # type: ignore[no-untyped-def]
        created = create(sftp, path)
        found = os.stat(path)
        seen.append((stat.S_IMODE(found.st_mode), found.st_size))
        return created

    monkeypatch.setattr(files, "_create", creating)
    hosts().put(sshd.pinned(), str(tmp_path), [file(tmp_path / "f", b"x", 0o644)], Stop())
    assert seen == [(0o600, 0)]
    assert mode(tmp_path / "f") == 0o644


def test_file_in_the_place_of_the_directory(sshd: OpenSsh, hosts: Make, tmp_path: Path) -> None:
    (tmp_path / "ca").touch()
    host = sshd.pinned()
    with problem("not-a-directory", host=host) as raised:
        hosts().put(host, f"{tmp_path}/ca", [file(tmp_path / "ca" / "f")], Stop())
    assert raised.facts["path"] == f"{tmp_path}/ca"


def test_directory_in_the_place_of_the_file(sshd: OpenSsh, hosts: Make, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "inside").touch()
    host = sshd.pinned()
    with problem("transfer-failed", host=host):
        hosts().put(host, str(tmp_path), [file(tmp_path / "f")], Stop())
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_file_too_large_to_be_read(sshd: OpenSsh, hosts: Make, tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as sparse:
        sparse.truncate(READ_LIMIT_BYTES + 1)
    host = sshd.pinned()
    with problem("file-too-large", host=host):
        hosts().read(host, f"{tmp_path}/f", Stop())


@pytest.mark.parametrize(
    ("directory", "path"),
    [("/a", "/b/f"), ("/a", "/a/b/f"), ("a", "a/f"), ("/a", "f"), ("/a", "/a/../f")],
)
def test_file_outside_its_directory_is_a_mistake(
    sshd: OpenSsh, hosts: Make, directory: str, path: str
) -> None:
    with pytest.raises(ValueError, match=path if directory.startswith("/") else directory):
        hosts().put(sshd.pinned(), directory, [RemoteFile(path, b"")], Stop())


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system with hardly any room."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    path = tmp_path / "full"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_disk_is_full(sshd: OpenSsh, hosts: Make, full: Path) -> None:
    (full / "kept").write_bytes(b"before")
    host = sshd.pinned()
    with problem("disk-full", host=host) as raised:
        hosts().put(host, str(full), [file(full / "kept", b"x" * 200_000)], Stop())
    assert raised.facts["path"] == str(full)
    assert [each.name for each in full.iterdir()] == ["kept"]
    assert (full / "kept").read_bytes() == b"before"


def test_stop_between_files_leaves_each_whole(
    sshd: OpenSsh, hosts: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, create = Stop(), files._create

    def creating(sftp, path):  # type: ignore[no-untyped-def]
        if "second" in path:
            threading.Thread(target=stop.set).start()
            threading.Event().wait(0.05)
        return create(sftp, path)

    monkeypatch.setattr(files, "_create", creating)
    wanted = [file(tmp_path / "first"), file(tmp_path / "second", b"x" * 1_000_000)]
    with pytest.raises(Stopped):
        hosts().put(sshd.pinned(), str(tmp_path), wanted, stop)
    assert (tmp_path / "first").read_bytes() == b"content"
    assert not (tmp_path / "second").exists()
