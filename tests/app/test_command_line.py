"""The command line as a script meets it: words in, two streams and an exit code out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.options import COMMANDS
from app.version import __version__
from tests.app.person import at_terminal
from tests.app.running import ROOT, TOY, Program, until
from tests.programs import program as installed

HEAVY = ("textual", "rich", "paramiko", "cryptography", "Tea", "darabonba", "aiohttp", "msgspec")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "home")


@pytest.fixture
def toy(tmp_path: Path) -> Program:
    world = tmp_path / "world"
    world.mkdir()
    return Program(tmp_path / "home", TOY, (("TOY_WORLD", str(world)),))


def test_version_says_what_runs_it(program: Program) -> None:
    ended = program.run("--version")
    assert ended.code == 0
    assert ended.out.startswith(f"nlb-mtls {__version__} (Python 3.")
    assert program.run("--lang", "en", "--version").out == ended.out


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["run", "--help"]])
def test_quick_answers_import_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom app.cli import main\n"
        f"try: main({words!r})\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stderr.strip() == "[]"


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["lab", "serve"]])
def test_help_begins_with_examples_and_ends_with_exit_codes(
    program: Program, command: list[str]
) -> None:
    ended = program.run(*command, "--help")
    assert ended.code == 0
    assert ended.out.index("usage:") > 0
    if "Examples:" in ended.out:
        assert ended.out.index("Examples:") < ended.out.index("usage:")
    assert "130 interrupted" in ended.out.strip().splitlines()[-1]
    assert max(map(len, ended.out.splitlines())) <= 110


def test_every_command_is_in_the_help(program: Program) -> None:
    shown = program.run("--help").out
    for name in COMMANDS:
        assert f"    {name} " in shown


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["verfy"], "verify"),
        (["run", "--anser", "x=1"], "--answer"),
        (["lab", "--bakends", "2"], "--backends"),
        (["lab", "--backends", "0"], "1 to 200"),
        (["status", "a", "b"], "one word too many"),
        (["inspect"], "FILE"),
        (["verify", "--cert", "x"], "--connect"),
        (["verify", "s", "--connect", "localhost:1"], "session"),
        (["verify", "--for", "10x"], "90s, 10m or 1h30m"),
        (["verify", "--for", "0s"], "90s, 10m or 1h30m"),
        (["verify", "--rate", "0"], "1 to 100000"),
        (["verify", "--path", "/x"], "--path goes with --connect only"),
        (["verify", "--backend-pattern", "x"], "--backend-pattern goes with --connect only"),
        (
            ["verify", "--connect", "localhost:1", "--client-ca-key", "x"],
            "--client-ca-key goes with --client-ca-cert only",
        ),
        (["--lang", "xx", "sessions"], "xx"),
        (["run", "--home"], "--home"),
    ],
)
def test_wrong_words_are_told_with_the_nearest_right_one(
    program: Program, words: list[str], near: str
) -> None:
    ended = program.run(*words)
    assert ended.code == 2
    assert near in ended.err
    assert "--help" in ended.err
    assert ended.out == ""


def test_an_address_without_a_port_is_wrong_usage(program: Program) -> None:
    ended = program.run("verify", "--connect", "localhost")
    assert ended.code == 2
    assert "HOST:PORT" in ended.err


def test_wrong_words_with_json_are_json_too(program: Program) -> None:
    ended = program.run("sessions", "--json", "--fruit")
    assert ended.code == 2
    assert ended.result["problem"]["code"] == "app.usage"


@pytest.mark.parametrize("place", ["before", "after", "environment"])
def test_the_home_folder_is_chosen_anywhere(program: Program, tmp_path: Path, place: str) -> None:
    home = str(tmp_path / "elsewhere")
    if place == "before":
        ended = program.run("--home", home, "sessions")
    elif place == "after":
        ended = program.run("sessions", "--home", home)
    else:
        ended = Program(tmp_path / "elsewhere").run("sessions")
    assert home in ended.out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["run"],
        ["run", "--json"],
        ["run", "--plain"],
        ["lab"],
        ["lab", "--plain"],
        ["resume"],
        ["cleanup"],
        ["sessions"],
        ["status"],
        ["--plain"],
    ],
)
def test_nothing_hangs_or_is_made_where_nobody_can_answer(toy: Program, words: list[str]) -> None:
    """With stdin an open silent pipe, as a parent process leaves it."""
    ours, theirs = os.pipe()
    try:
        ran = subprocess.run(
            toy.command(words),
            stdin=ours,
            capture_output=True,
            text=True,
            env=toy.environment(),
            cwd=ROOT,
            timeout=30,
            check=False,
            start_new_session=True,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert ran.returncode in (0, 1, 3)
    assert not (toy.home / "lab").exists()
    assert not (toy.home / "sessions").exists()
    if words[:1] in (["run"], ["lab"]):
        assert ran.returncode == 3
        assert "--yes" in ran.stderr
    if words[:1] == ["run"]:
        assert "toy.size" in ran.stderr


def test_json_means_json_alone_on_stdout(toy: Program) -> None:
    for words in (
        ["sessions"],
        ["status"],
        ["run", "--yes"],
        ["run", "--yes", "--answer", "toy.size=1"],
        ["run", "--yes", "--answer", "toy.colour=1=2", "--answer", "x"],
        ["cleanup", "--yes"],
    ):
        ended = toy.run(*words, "--json")
        assert ended.result["time"].endswith("Z")
        for line in ended.lines():
            assert line["event"]
            assert line["time"]


def test_secrets_reach_no_stream_and_no_file(toy: Program, tmp_path: Path) -> None:
    canary = "canary-f00-4711"
    password = tmp_path / "password.txt"
    password.write_text(f"{canary}\n")
    (tmp_path / "world" / "broken").touch()
    leaky = Program(
        toy.home,
        TOY,
        (
            *toy.extra,
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-key-4711"),
            ("TOY_SAYS", f"tried canary-key-4711 with password={canary}"),
        ),
    )
    ended = leaky.run("run", "--yes", "--json", "--answer", "toy.size=1")
    assert ended.code == 1
    assert "tried" in ended.out
    (tmp_path / "world" / "broken").unlink()
    (tmp_path / "world" / "crash").touch()
    crashed = leaky.run("resume", "--yes", "--json")
    assert crashed.code == 1
    assert crashed.result["problem"]["code"] == "core.unexpected"
    assert list((toy.home / "reports").iterdir())
    for text in (ended.out, ended.err, crashed.out, crashed.err):
        assert "canary-key" not in text
        assert canary not in text
    for path in toy.home.rglob("*"):
        assert path.is_dir() or b"canary" not in path.read_bytes()


def test_a_made_up_secret_is_shown_once_on_stderr(toy: Program) -> None:
    ended = toy.run("run", "--yes", "--json", "--answer", "toy.size=1")
    assert ended.err.count("made-up-canary") == 1
    assert "made-up-canary" not in ended.out


def test_a_proof_that_fails_is_exit_1(toy: Program, tmp_path: Path) -> None:
    (tmp_path / "world" / "doubt").touch()
    ended = toy.run("run", "--yes", "--json", "--answer", "toy.size=1")
    assert ended.code == 1
    assert ended.result["verdict"] == "fail"
    assert ended.result["session"]
    shown = toy.run("resume", "--yes")
    assert "Verdict: fail" in shown.out


def test_a_reader_that_leaves_ends_the_run_without_a_word_of_it(toy: Program) -> None:
    command = [*toy.command(["run", "--yes", "--json", "--answer", "toy.size=1"])]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=toy.environment(),
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        process.wait(30)
    assert "Broken" not in err
    assert "Traceback" not in err
    assert process.returncode in (141, 143)


def test_a_full_disk_is_a_problem_wherever_it_shows(toy: Program, tmp_path: Path) -> None:
    (tmp_path / "world" / "full").touch()
    ended = toy.run("run", "--yes", "--json", "--answer", "toy.size=1")
    assert ended.code == 1
    assert ended.result["problem"]["code"] == "disk.full"
    assert str(tmp_path / "world") in ended.err


def test_a_home_that_cannot_be_written_is_a_problem(toy: Program, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    ended = toy.run("run", "--yes", "--json", "--answer", "toy.size=1", "--home", str(taken))
    assert ended.code == 1
    assert ended.result["problem"]["code"] == "disk.cannot-write"


def test_a_broken_session_file_is_moved_aside_and_the_session_goes_on(toy: Program) -> None:
    toy.run("run", "--yes", "--answer", "toy.size=1")
    (snapshot,) = (toy.home / "sessions").glob("*/session.json")
    snapshot.write_text("{")
    ended = toy.run("status")
    assert ended.code == 1
    assert "session.json.broken-" in ended.err
    assert toy.run("status").code == 0


def test_a_session_in_use_is_left_alone(toy: Program, tmp_path: Path) -> None:
    hold = tmp_path / "world" / "hold"
    hold.touch()
    with toy.started("run", "--yes", "--answer", "toy.size=1"):
        until(lambda: (tmp_path / "world" / "thing").exists())
        ended = toy.run("resume", "--yes")
        assert ended.code == 1
        assert "session.in-use" in ended.err
        assert toy.run("status").code == 0


def test_cleanup_wants_the_id_typed(toy: Program, tmp_path: Path) -> None:
    toy.run("run", "--yes", "--answer", "toy.size=1")
    session = toy.run("sessions", "--json").result["sessions"][0]["session"]
    with at_terminal(toy, "cleanup") as person:
        person.sees("Type the session's id")
        person.types("yes")
        person.sees("Nothing was removed")
        assert person.leaves() == 0
    assert (tmp_path / "world" / "thing").exists()
    with at_terminal(toy, "cleanup") as person:
        person.sees("Type the session's id")
        person.types(session)
        person.sees("Removed.")
        assert person.leaves() == 0
    assert not (tmp_path / "world" / "thing").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish", "powershell"])
def test_each_shell_gets_a_completion(program: Program, shell: str) -> None:
    ended = program.run("--print-completion", shell)
    assert ended.code == 0
    assert "cleanup" in ended.out
    assert str(program.home / "sessions") in ended.out


def test_bash_completes_commands_and_sessions(toy: Program, tmp_path: Path) -> None:
    bash = installed("bash")
    toy.run("run", "--yes", "--answer", "toy.size=1")
    session = toy.run("sessions", "--json").result["sessions"][0]["session"]
    script = tmp_path / "completion.bash"
    script.write_text(toy.run("--print-completion", "bash").out)
    ask = (
        f"source {script}; COMP_WORDS=(nlb-mtls @WORDS@); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); "
        "_shtab_nlb_mtls; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    for words, wanted in (("ver", "verify"), ("status ''", session)):
        ran = subprocess.run(
            [bash, "--norc", "-c", ask.replace("@WORDS@", words)],
            capture_output=True,
            text=True,
            check=True,
            env=toy.environment(),
        )
        assert wanted in ran.stdout.split(), ran.stderr
