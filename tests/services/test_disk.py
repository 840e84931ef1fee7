"""Files whole or not at all, private from the first byte; judged by what is on the disk."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from services import disk
from services.problem import Problem
from tests.programs import program

posix = pytest.mark.skipif(sys.platform == "win32", reason="permission bits are POSIX's")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_is_written_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "key"
    disk.write(path, b"one")
    disk.write(path, b"two")
    assert disk.read(path) == b"two"
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("wanted", [0o600, 0o644])
def test_mode_is_what_was_asked_for_whatever_the_umask(
    tmp_path: Path, umask: int, wanted: int
) -> None:
    before = os.umask(umask)
    try:
        disk.write(tmp_path / "file", b"", wanted)
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == wanted


@posix
def test_a_wider_file_becomes_private_when_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o666)
    disk.write(path, b"new")
    assert mode(path) == 0o600


@posix
def test_a_link_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    link = tmp_path / "link"
    link.symlink_to(target)
    disk.write(link, b"new")
    assert not link.is_symlink()
    assert target.read_bytes() == b"precious"


def test_appended_bytes_follow_what_is_there_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    disk.append(path, b"one\n")
    disk.append(path, b"two\n")
    assert disk.read(path) == b"one\ntwo\n"
    if sys.platform != "win32":
        assert mode(path) == 0o600
    with pytest.raises(Problem, match=r"disk\.cannot-write"):
        disk.append(tmp_path / "missing" / "journal", b"")


@posix
def test_a_write_killed_half_way_leaves_the_old_bytes_and_only_a_private_rest(
    tmp_path: Path,
) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    # The kernel kills the process at its 4096th byte: SIGXFSZ, unless it is ignored.
    with python(
        """
        import os, pathlib, resource, signal, sys
        os.umask(0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        from services import disk
        disk.write(pathlib.Path(sys.argv[1]), b"x" * 100_000, 0o644)
        """,
        str(path),
    ) as process:
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGXFSZ
    assert path.read_bytes() == b"old"
    (rest,) = set(tmp_path.iterdir()) - {path}
    assert rest.name.startswith(".key.")
    assert rest.stat().st_size == 4096
    assert mode(rest) == 0o600


@posix
def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    with python(
        """
        import pathlib, resource, sys
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        from services import disk
        from services.problem import Problem
        try:
            disk.write(pathlib.Path(sys.argv[1]), b"x" * 100_000)
        except Problem as problem:
            print(problem.code, problem.evidence, sep=": ")
        """,
        str(path),
    ) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == (f"disk.cannot-write: {os.strerror(errno.EFBIG)}\n", "")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_a_reader_never_sees_half_a_file_while_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "session"
    contents = {bytes([letter]) * 200_000 for letter in b"ab"}
    disk.write(path, b"a" * 200_000)
    with python(
        """
        import itertools, pathlib, sys
        from services import disk
        print("ready", flush=True)
        for letter in itertools.cycle((b"a", b"b")):
            disk.write(pathlib.Path(sys.argv[1]), letter * 200_000)
        """,
        str(path),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(50):
            assert disk.read(path) in contents
        process.kill()
    assert disk.read(path) in contents


def test_a_full_disk_is_named_and_spares_the_old_file(tmp_path: Path) -> None:
    """On a real file system of 64 KiB, mounted in a namespace that ends with the process."""
    unshare = program("unshare")
    space = [unshare, "--user", "--map-root-user", "--mount"]
    if subprocess.run([*space, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a user make a mount namespace")
    code = textwrap.dedent(
        """
        import pathlib, subprocess, sys
        from services import disk
        from services.problem import Problem
        folder = pathlib.Path(sys.argv[1])
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
        disk.write(folder / "file", b"old")
        try:
            disk.write(folder / "file", b"x" * 1_000_000)
        except Problem as problem:
            print(problem.code)
        print(disk.read(folder / "file"), len(list(folder.iterdir())))
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        for act, name in ((lambda path: disk.write(path, b""), "file"), (disk.make_folder, "new")):
            try:
                act(folder / name)
            except Problem as problem:
                print(problem.code, problem.evidence, sep=": ")
        """
    )
    ran = subprocess.run(
        [*space, sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    read_only = f"disk.cannot-write: {os.strerror(errno.EROFS)}"
    assert ran.stdout.splitlines() == ["disk.full", "b'old' 1", read_only, read_only]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk.full"),
        (errno.EDQUOT, "disk.full"),
        (errno.EROFS, "disk.cannot-write"),
        (errno.EACCES, "disk.cannot-write"),
    ],
)
def test_what_the_system_says_becomes_a_problem(number: int, code: str) -> None:
    problem = disk.cannot_write(Path("/home/a/key"), OSError(number, os.strerror(number)))
    assert problem.code == code
    assert problem.evidence == os.strerror(number)
    assert "/home/a" in problem.words().remedy


@pytest.mark.parametrize("path", ["missing/file", "folder"])
def test_what_cannot_be_written_is_a_problem_and_leaves_nothing(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(Problem, match=r"disk\.cannot-write"):
        disk.write(tmp_path / path, b"")
    assert [found.name for found in tmp_path.iterdir()] == ["folder"]


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"disk\.cannot-read") as caught:
        disk.read(tmp_path / "missing")
    assert caught.value.evidence == os.strerror(errno.ENOENT)
    assert str(tmp_path / "missing") in caught.value.words().what


def test_a_file_over_the_limit_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert disk.read(tmp_path / "file", limit=5) == b"12345"
    with pytest.raises(Problem, match=r"disk\.too-large"):
        disk.read(tmp_path / "file", limit=4)


@posix
def test_folders_are_private_from_the_first_missing_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    disk.make_folder(tmp_path / "a" / "b")
    disk.make_folder(tmp_path / "a" / "b")
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700
    assert mode(tmp_path) == 0o755


def test_a_file_where_a_folder_should_be_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Problem, match=r"disk\.cannot-write"):
            disk.make_folder(path)
