"""No path leads out of a host's folder."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lab.hosts.filesystem import HostFiles


@pytest.fixture
def files(tmp_path: Path) -> HostFiles:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    found = HostFiles(root)
    found.make_dirs("/etc/deep")
    found.write("/etc/motd", b"hello")
    return found


@pytest.mark.parametrize(
    "path",
    ["/../secret", "../secret", "../../../../../../etc/passwd", "/etc/../../secret", "//../secret"],
)
def test_dots_stop_at_the_root(files: HostFiles, path: str) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        files.read(path, "/etc")
    assert raised.value.filename == path


@pytest.mark.parametrize("target", ["/secret", "../secret", "../../../secret", "/../../secret"])
def test_links_count_from_the_hosts_root(files: HostFiles, tmp_path: Path, target: str) -> None:
    files.symlink(target, "/link")
    files.symlink(str(tmp_path / "secret"), "/absolute")
    for link in ("/link", "/absolute"):
        with pytest.raises(FileNotFoundError):
            files.read(link)
    files.write("/link", b"mine")
    assert (tmp_path / "secret").read_text() == "secret"
    assert files.read("/secret") == b"mine"


def test_folder_that_is_a_link_outside_is_not_entered(files: HostFiles, tmp_path: Path) -> None:
    os.symlink(tmp_path, tmp_path / "root" / "out")
    with pytest.raises(FileNotFoundError):
        files.read("/out/secret")
    with pytest.raises(FileNotFoundError):
        files.write("/out/new", b"")


def test_loop_of_links_is_an_error(files: HostFiles) -> None:
    files.symlink("/b", "/a")
    files.symlink("a", "/b")
    with pytest.raises(OSError, match="symbolic links") as raised:
        files.stat("/a")
    assert raised.value.errno == errno.ELOOP


def test_errors_name_the_hosts_path(files: HostFiles, tmp_path: Path) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: files.read("/no"),
        lambda: files.mkdir("/etc"),
        lambda: files.rmdir("/etc"),
        lambda: files.remove("/etc"),
        lambda: files.names("/etc/motd"),
        lambda: files.stat("/etc/motd/x"),
        lambda: files.readlink("/etc/motd"),
        lambda: files.rename("/no", "/yes"),
        lambda: files.read(""),
        lambda: files.read("/a\0b"),
    ]
    for attempt in attempts:
        with pytest.raises(OSError, match="Errno") as raised:
            attempt()
        assert str(tmp_path) not in str(raised.value)


def test_modes_are_what_was_asked_whatever_the_umask_of_this_process(files: HostFiles) -> None:
    before = os.umask(0o077)
    try:
        files.write("/f", b"", 0o644)
        files.mkdir("/d", 0o755)
    finally:
        os.umask(before)
    assert stat.S_IMODE(files.stat("/f").st_mode) == 0o644
    assert stat.S_IMODE(files.stat("/d").st_mode) == 0o755


def test_no_file_is_ever_setuid(files: HostFiles) -> None:
    files.write("/f", b"", 0o6755)
    files.chmod("/f", 0o6755)
    assert stat.S_IMODE(files.stat("/f").st_mode) == 0o755


def test_everything_belongs_to_root(files: HostFiles) -> None:
    found = files.stat("/etc/motd")
    assert (found.st_uid, found.st_gid, found.st_size) == (0, 0, 5)


def test_root_itself_stays(files: HostFiles) -> None:
    with pytest.raises(PermissionError):
        files.rmdir("/")
    with pytest.raises(PermissionError):
        files.rename("/", "/etc/x")


def test_null_device_swallows_and_gives_nothing(files: HostFiles) -> None:
    files.make_dirs("/dev")
    files.write("/dev/null", b"")
    files.write("/dev/null", b"gone")
    assert files.read("/dev/null") == b""
    assert files.read("../dev/./null", "/etc") == b""


names = st.sampled_from(["a", "b", "..", ".", "", "etc", "secret", "outside", "link"])
paths = st.tuples(st.booleans(), st.lists(names, min_size=1, max_size=6)).map(
    lambda t: ("/" if t[0] else "") + "/".join(t[1])
)


def _operations(files: HostFiles, path: str, other: str) -> Iterator[Callable[[], object]]:
    yield lambda: files.symlink(other, path, "/etc")
    yield lambda: files.write(path, b"written", 0o666, "/etc")
    yield lambda: files.mkdir(path, 0o777, "/etc")
    yield lambda: files.rename(path, other, "/etc")
    yield lambda: files.remove(path, "/etc")
    yield lambda: files.rmdir(path, "/etc")
    yield lambda: files.chmod(path, 0o700, "/etc")
    yield lambda: files.truncate(path, 3, "/etc")
    yield lambda: files.set_times(path, (1, 1), "/etc")
    yield lambda: files.make_dirs(path, 0o777, "/etc")


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), paths, paths), max_size=25), paths)
def test_nothing_outside_is_ever_seen_or_touched(
    steps: list[tuple[int, str, str]], probe: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outside = Path(folder)
        (outside / "secret").write_text("secret")
        (outside / "outside").mkdir()
        (outside / "root").mkdir()
        files = HostFiles(outside / "root")
        files.make_dirs("/etc")
        before = sorted(os.listdir(outside))
        for which, path, other in steps:
            with suppress(OSError):
                list(_operations(files, path, other))[which]()
            with suppress(OSError):
                real = files.real(probe, "/etc").resolve()
                assert real.is_relative_to((outside / "root").resolve())
            with suppress(OSError):
                assert files.read(probe, "/etc") in (b"written", b"wri", b"")
        assert sorted(os.listdir(outside)) == before
        assert (outside / "secret").read_text() == "secret"
        assert os.listdir(outside / "outside") == []
        assert stat.S_IMODE((outside / "secret").stat().st_mode) != 0o700
