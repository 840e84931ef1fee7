"""The scripts, run by real shells on this computer; nginx and systemd are stand-ins here.

`test_lab` runs them on hosts. Nothing is installed on this computer: the search path leads to a
folder of the test's own, and the stand-ins keep their state there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hosts.files import unfinished
from services.hosts.port import Host, Ran
from services.hosts.scripts import (
    ClientDirectory,
    Installed,
    ListedFile,
    Removed,
    Restored,
    Undone,
    WebHost,
    WebHostState,
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
from services.hosts.scripts.disk import free_bytes, look_at_disk
from services.problem import Exit, Problem
from tests.programs import program
from tests.services.hosts.problems import problem

HOST = Host("ECS01", "192.0.2.1")
PAGE = 'Hello World ! It\'s "ECS01" at $HOME; 100 % \\n `id` — 你好\n'
DEFAULT = "Welcome to nginx!"
SHELLS = ("dash", "bash")
TOOLS = "basename cat chmod date head ln mkdir mv rm rmdir sh sha256sum touch"

# One stand-in for all: a file there is the state.
STAND_IN = """\
#!/bin/sh
s={state}; r={root}
case "$(basename "$0") $1" in
  "systemctl is-active") [ -e $s/active ];;
  "systemctl is-enabled") [ -e $s/enabled ];;
  "systemctl start") [ ! -e $s/broken ] && touch $s/active;;
  "systemctl stop") rm -f $s/active;;
  "systemctl enable") touch $s/enabled;;
  "systemctl disable") rm -f $s/enabled;;
  "systemctl status") echo "port 80 is taken"; exit 3;;
  "dnf install") [ ! -e $s/offline ] || {{ echo no mirror >&2; exit 1; }}
    echo installing; mkdir -p $r
    [ -e $r/index.html ] || printf '{default}' > $r/index.html
    ln -sf $s/../stand-in $s/../bin/nginx;;
  "dnf remove") [ ! -e $s/locked ] || {{ echo locked >&2; exit 1; }}
    rm -f $s/../bin/nginx
    [ -e $s/had-root ] || {{ rm -f $r/index.html; rmdir $r; }} 2>/dev/null; true;;
  "curl -s") [ -e $s/active ] || exit 7
    if [ -e $s/elsewhere ]; then echo elsewhere
    elif [ -e $r/index.html ]; then cat $r/index.html; else echo 403 Forbidden; fi;;
  *) echo "$0 $*: not expected" >&2; exit 99;;
esac
"""


class Machine:
    """A host of its own: its programs, its state, its document root."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.state = folder, folder / "html", folder / "state"
        self.bin = folder / "bin"
        for path in (self.bin, self.state):
            path.mkdir()
        for tool in (*TOOLS.split(), *SHELLS):
            (self.bin / tool).symlink_to(program(tool))
        stand_in = folder / "stand-in"
        stand_in.write_text(STAND_IN.format(state=self.state, root=self.root, default=DEFAULT))
        stand_in.chmod(0o755)
        for name in ("systemctl", "dnf", "curl"):
            (self.bin / name).symlink_to(stand_in)

    def having(self, *names: str) -> Machine:
        """With these marks in its state."""
        for name in names:
            (self.state / name).touch()
        return self

    def with_nginx(self, *marks: str, page: str | None = DEFAULT) -> Machine:
        (self.bin / "nginx").symlink_to(self.folder / "stand-in")
        if page is not None:
            self.with_page(page)
        return self.having(*marks, "had-root")

    def with_page(self, page: str) -> Machine:
        self.root.mkdir(exist_ok=True)
        (self.root / "index.html").write_text(page)
        return self.having("had-root")

    def run(self, script: str, shell: str = "dash") -> Ran:
        # The real search path would lead to this computer's own nginx.
        script = script.replace(":/usr/local/sbin:/usr/sbin:/sbin", "").replace("sleep 1", ":")
        ran = subprocess.run(
            [self.bin / shell, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": str(self.bin)},
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def look(self, shell: str = "dash") -> WebHost:
        return web_host(HOST, self.run(look_at_web_host(str(self.root)), shell))

    def install(self, page: str = PAGE, shell: str = "dash") -> Installed:
        ran = self.run(install_web_page(page, str(self.root)), shell)
        return installed_web_page(HOST, page, ran)

    def remove(self, before: WebHostState, shell: str = "dash") -> Restored:
        ran = self.run(remove_web_page(PAGE, before, str(self.root)), shell)
        return removed_web_page(HOST, ran)

    def snapshot(self) -> set[tuple[str, bytes | str]]:
        """Everything there is: names, contents, targets of links."""
        return {
            (
                str(path.relative_to(self.folder)),
                os.readlink(path)
                if path.is_symlink()
                else path.read_bytes()
                if path.is_file()
                else "directory",
            )
            for path in self.folder.rglob("*")
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_bare_host(machine: Machine, shell: str) -> None:
    root = str(machine.root)
    assert machine.look(shell) == WebHost(False, False, False, root, None, False, None)


@pytest.mark.parametrize("shell", SHELLS)
def test_host_with_a_page_of_its_own(machine: Machine, shell: str) -> None:
    found = machine.with_nginx("active", "enabled", page=PAGE).look(shell)
    assert (found.installed, found.active, found.enabled, found.backup) == (True,) * 3 + (False,)
    assert found.index == found.served
    assert found.index is not None
    assert found.index.text == PAGE
    assert found.index.sha256 == hashlib.sha256(PAGE.encode()).hexdigest()
    assert found.serves(PAGE)
    assert not found.serves(DEFAULT)


def test_long_page_is_shown_in_part_and_hashed_whole(machine: Machine) -> None:
    page = "long\n" * 10_000
    found = machine.with_nginx("active", page=page).look().served
    assert found is not None
    assert page.startswith(found.text)
    assert 4000 < len(found.text) <= 4096
    assert found.sha256 == hashlib.sha256(page.encode()).hexdigest()


def test_page_that_looks_like_an_answer_changes_no_answer(machine: Machine) -> None:
    lines = ("installed=no", "begin", "active=no", "end", "text served", "x")
    page = "".join(f"nlb-mtls: {line}\n" for line in lines)
    found = machine.with_nginx("active", page=page).look()
    assert found.installed
    assert found.active


@pytest.mark.parametrize("shell", SHELLS)
def test_install_from_nothing_and_back(machine: Machine, shell: str) -> None:
    before, files = machine.look(shell).state(), machine.snapshot()
    done = machine.install(shell=shell)
    assert done.did == {"install", "back-up", "write", "enable", "start"}
    assert (machine.root / "index.html").stat().st_mode & 0o777 == 0o644
    assert machine.look(shell).serves(PAGE)
    assert machine.install(shell=shell).did == frozenset()
    undone = machine.remove(before, shell)
    assert undone.did == {"stop", "disable", "uninstall"}
    assert machine.snapshot() == files
    assert machine.remove(before, shell).did == frozenset()


BEFORE: dict[str, Callable[[Machine], Machine]] = {
    "nothing": lambda machine: machine,
    "a page, and no nginx": lambda machine: machine.with_page("somebody's"),
    "nginx off": lambda machine: machine.with_nginx(),
    "nginx on": lambda machine: machine.with_nginx("active", "enabled"),
    "nginx on, not at boot": lambda machine: machine.with_nginx("active"),
    "nginx without a page": lambda machine: machine.with_nginx("enabled", page="").with_page(""),
    "a link for a page": lambda machine: linked(machine.with_nginx("active")),
}


def linked(machine: Machine) -> Machine:
    """With a page that is a link, as on Red Hat's kin."""
    (machine.root / "index.html").rename(machine.root / "testpage.html")
    (machine.root / "index.html").symlink_to("testpage.html")
    return machine


@pytest.mark.parametrize("already", BEFORE)
def test_undo_leaves_what_was_there_before(machine: Machine, already: str) -> None:
    BEFORE[already](machine)
    before, files = machine.look().state(), machine.snapshot()
    machine.install()
    assert machine.look().serves(PAGE)
    kept = WebHostState.from_facts({k: str(v) for k, v in asdict(before).items()})
    machine.remove(kept)
    assert machine.snapshot() == files


def test_page_that_is_served_already_is_left_alone(machine: Machine) -> None:
    machine.with_nginx("active", "enabled", page=PAGE)
    files = machine.snapshot()
    assert machine.install().did == frozenset()
    assert machine.snapshot() == files


def test_backup_is_never_overwritten(machine: Machine) -> None:
    machine.with_nginx("active", "enabled", page="first")
    machine.install()
    (machine.root / "index.html").write_text("second")
    files = machine.snapshot()
    with problem("web-page-in-the-way", Exit.REFUSED, HOST) as raised:
        machine.install()
    assert raised.facts["backup"] == f"{machine.root}/index.html.nlb-mtls-backup"
    assert machine.snapshot() == files


def test_web_server_that_somebody_uses_by_now_is_left_alone(machine: Machine) -> None:
    before = machine.look().state()
    machine.install()
    (machine.root / "index.html").write_text("somebody's")
    files = machine.snapshot()
    assert machine.remove(before) == Restored(Undone.FOREIGN, frozenset())
    assert machine.snapshot() == files


def test_undo_that_failed_half_way_goes_on(machine: Machine) -> None:
    before, files = machine.look().state(), machine.snapshot()
    machine.install()
    machine.having("locked")
    with problem("web-not-undone", host=HOST) as raised:
        machine.remove(before)
    assert "locked" in raised.evidence
    (machine.state / "locked").unlink()
    machine.remove(before)
    assert machine.snapshot() == files


def test_undo_with_nothing_known_of_before_takes_no_program_away(machine: Machine) -> None:
    machine.with_nginx("active", "enabled")
    machine.install()
    machine.remove(WebHostState.from_facts({}))
    found = machine.look()
    assert (found.installed, found.active, found.enabled) == (True, True, True)


@pytest.mark.parametrize(
    ("marks", "code", "evidence"),
    [
        (["offline"], "web-not-installed", "no mirror"),
        (["broken"], "web-not-started", "port 80 is taken"),
        (["elsewhere"], "web-not-answering", "elsewhere"),
    ],
)
def test_what_goes_wrong_on_the_host(
    machine: Machine, marks: list[str], code: str, evidence: str
) -> None:
    machine.having(*marks)
    with problem(code, host=HOST) as raised:
        machine.install()
    assert evidence in raised.evidence


def test_host_without_a_package_manager(machine: Machine) -> None:
    (machine.bin / "dnf").unlink()
    with problem("web-no-package-manager", host=HOST):
        machine.install()


def test_host_without_a_document_root(machine: Machine) -> None:
    machine.with_nginx(page=None)
    with problem("web-no-root", host=HOST) as raised:
        machine.install()
    assert raised.facts["root"] == str(machine.root)


def test_document_root_where_nobody_may_write(machine: Machine) -> None:
    machine.with_nginx()
    (machine.root / ".index.html.nlb-mtls-unfinished").mkdir()
    with problem("web-not-written", host=HOST) as raised:
        machine.install()
    assert raised.evidence


# The client's directory


@pytest.fixture(params=SHELLS)
def act(request: pytest.FixtureRequest) -> Callable[[str], Ran]:
    """Runs a script on this computer; those about a directory touch nothing else."""
    shell = program(request.param)

    def run(script: str) -> Ran:
        ran = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=False)
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_directory_that_is_not_there(act: Callable[[str], Ran], tmp_path: Path) -> None:
    directory = f"{tmp_path}/a b/c'd"
    found = client_directory(HOST, directory, act(look_at_client_directory(directory)))
    assert found == ClientDirectory(directory, "absent", missing=(directory, f"{tmp_path}/a b"))
    assert not found.exists


def test_something_else_in_its_place(act: Callable[[str], Ran], tmp_path: Path) -> None:
    (tmp_path / "ca").touch()
    found = client_directory(
        HOST, f"{tmp_path}/ca", act(look_at_client_directory(f"{tmp_path}/ca"))
    )
    assert found == ClientDirectory(f"{tmp_path}/ca", "other")


def test_files_are_listed_with_modes_and_hashes(act: Callable[[str], Ran], tmp_path: Path) -> None:
    directory = tmp_path / "c a"
    directory.mkdir(mode=0o700)
    for name, mode in [("client.key", 0o600), (".hidden", 0o644), ("it's $x *", 0o400)]:
        (directory / name).write_text(name)
        (directory / name).chmod(mode)
    (directory / "folder").mkdir()
    (directory / "link").symlink_to("client.key")
    found = client_directory(HOST, str(directory), act(look_at_client_directory(str(directory))))
    assert (found.exists, found.mode, found.missing) == (True, 0o700, ())
    assert sorted(found.files, key=lambda each: each.name) == [
        ListedFile(".hidden", 0o644, 7, digest(b".hidden")),
        ListedFile("client.key", 0o600, 10, digest(b"client.key")),
        ListedFile("it's $x *", 0o400, 9, digest(b"it's $x *")),
        ListedFile("link", 0o600, 10, digest(b"client.key")),
    ]


def test_only_what_is_still_as_it_was_placed_is_removed(
    act: Callable[[str], Ran], tmp_path: Path
) -> None:
    directory = tmp_path / "ca"
    directory.mkdir()
    for name in ("client.crt", "client.key", "theirs"):
        (directory / name).write_text(name)
    (directory / "client.key").write_text("renewed by somebody")
    Path(unfinished(f"{directory}/client.crt")).write_text("half")
    files = {name: digest(name.encode()) for name in ("client.crt", "client.key", "ca.crt")}
    made = [str(directory)]
    ran = act(remove_client_files(str(directory), files, made))
    assert removed_client_files(HOST, str(directory), files, made, ran) == Removed(
        removed=("client.crt",), absent=("ca.crt",), changed=("client.key",), directories=()
    )
    assert sorted(path.name for path in directory.iterdir()) == ["client.key", "theirs"]


def test_directories_that_were_made_go_too(act: Callable[[str], Ran], tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    missing = client_directory(
        HOST, str(directory), act(look_at_client_directory(str(directory)))
    ).missing
    directory.mkdir(parents=True)
    (directory / "client.key").write_text("key")
    files = {"client.key": digest(b"key")}
    ran = act(remove_client_files(str(directory), files, missing))
    assert removed_client_files(HOST, str(directory), files, missing, ran).directories == missing
    assert list(tmp_path.iterdir()) == []
    again = act(remove_client_files(str(directory), files, missing))
    assert removed_client_files(HOST, str(directory), files, missing, again) == Removed(
        (), ("client.key",), (), ()
    )


def test_file_that_cannot_be_removed() -> None:
    ran = Ran(1, "nlb-mtls: begin\nnlb-mtls: failed=remove\nnlb-mtls: end\n", "rm: not permitted")
    with problem("permission-denied", host=HOST) as raised:
        removed_client_files(HOST, "/root/ca", {"a": "b"}, (), ran)
    assert raised.evidence == "rm: not permitted"


# The disk


def test_room_on_the_disk(act: Callable[[str], Ran], tmp_path: Path) -> None:
    free = free_bytes(act(look_at_disk(f"{tmp_path}")))
    assert free is not None
    real = shutil.disk_usage(tmp_path).free
    assert abs(free - real) < 1 << 30


@pytest.mark.parametrize("said", ["", "df: not found", "Filesystem\nnone - - - /", "a 5 %"])
def test_room_that_the_host_does_not_tell(said: str) -> None:
    assert free_bytes(Ran(0, said, "")) in (None, 5 * 1024)


# Answers from hosts that say anything at all

words = st.sampled_from(
    [
        "begin",
        "end",
        "text index",
        "text served",
        *(f"{flag}={value}" for flag in ("installed", "active", "enabled", "index", "backup")
          for value in ("yes", "no", "maybe")),
        "served=yes",
        "served=no",
        "root=/r",
        f"index.sha256={'0' * 64}",
        "served.sha256=short",
        "directory=700 root",
        "directory=absent",
        "directory=other",
        "directory=0",
        "directory=999 ?",
        "missing=0",
        "missing=99",
        "removed=0",
        "removed=²",
        "changed=-1",
        f"file=600 12 {'a' * 64} client.key",
        "file=600 12  client.key",
        "file=6x0 12 client.key",
        "failed=start",
        "failed=nonsense",
        "failed=back-up",
        "did=start",
        "page=restored",
        "page=eaten",
    ]
).map("nlb-mtls: ".__add__)  # fmt: skip
answers = st.lists(st.one_of(words, st.text(max_size=20)), max_size=25).map("\n".join)
wrapped = answers.map(lambda text: f"nlb-mtls: begin\n{text}\nnlb-mtls: end\n")


@given(st.one_of(answers, wrapped), st.integers(-1, 255))
def test_no_answer_is_too_odd_to_be_refused(text: str, status: int) -> None:
    ran, files = Ran(status, text, "what it said besides"), {"a": "b", "c": "d"}
    for reader in (
        lambda: web_host(HOST, ran),
        lambda: installed_web_page(HOST, "page", ran),
        lambda: removed_web_page(HOST, ran),
        lambda: client_directory(HOST, "/root/ca", ran),
        lambda: removed_client_files(HOST, "/root/ca", files, ["/root/ca"], ran),
        lambda: free_bytes(ran),
    ):
        with suppress(Problem):
            reader()


@given(st.text(alphabet=st.characters(exclude_characters="\x00", codec="utf-8"), max_size=60))
def test_any_page_survives_quoting(page: str) -> None:
    script = install_web_page(page, "/r")
    line = script[script.index("printf '%s' ") : script.index(' > "$root/.index.html')]
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout == (
        page.encode()
    )
