"""The shell's language, judged by bash: the same script must print and end the same."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from shlex import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.lab.hosts.shell.arithmetic import NoValue, evaluate
from services.lab.hosts.shell.lexer import ShellSyntaxError
from services.lab.hosts.shell.parser import parse
from services.lab.hosts.shell.syntax import Literal, Simple
from tests.programs import program
from tests.services.lab.plane.conftest import Plane


def _scripts() -> dict[str, str]:
    """The scripts of `shell_scripts.txt`, by the names in the lines that begin with `#=`."""
    text = Path(__file__).with_name("shell_scripts.txt").read_text(encoding="utf-8")
    blocks = (block.partition("\n") for block in text.split("#= ")[1:])
    return {name: script.strip("\n") for name, _, script in blocks}


SCRIPTS = _scripts()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bash")


def by_bash(script: str, folder: Path) -> tuple[int, bytes]:
    ran = subprocess.run(
        [program("bash"), "--norc", "--noprofile", "-c", script],
        cwd=folder, capture_output=True, check=False, timeout=20, stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return ran.returncode, ran.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_do_what_bash_does(plane: Plane, tmp_path: Path, name: str) -> None:
    script = SCRIPTS[name]
    plane.run("ECS01", "rm -rf /srv/try; mkdir -p /srv/try")
    ours = plane.run("ECS01", "cd /srv/try\n" + script)
    status, stdout = by_bash(script, tmp_path)
    assert ours.stdout.decode() == stdout.decode(), ours.stderr
    assert ours.status == (1 if name == "unset is an error with -u" else status)


@pytest.mark.parametrize(
    "script",
    ["if true; then echo", "echo 'a", 'echo "a', "echo $(true", "fi", "a &&", "(echo", "for", "x |",
     "echo ${a", ";;", "case a in b) c", "{ echo a", "`echo", "a > ", "if true; fi", "echo )"],
)  # fmt: skip
def test_what_is_no_script_is_refused_as_bash_refuses_it(
    plane: Plane, folder: Path, script: str
) -> None:
    assert by_bash(script, folder)[0] in (1, 2)
    ran = plane.run("ECS01", script)
    assert (ran.status, ran.stdout) == (2, b"")
    assert ran.stderr.startswith(b"bash: ")


texts = st.text(
    st.sampled_from(list("ab \t\n'\"\\$`*?[]{}()<>|&;#~=!%-éx1\x01"))
    | st.characters(codec="utf-8"),
    max_size=12,
).filter(lambda text: "\0" not in text)


@given(st.lists(texts, min_size=1, max_size=4))
def test_single_quotes_give_back_any_text(words: list[str]) -> None:
    parsed = parse("x " + " ".join(map(quote, words)))
    (command,) = parsed.lists[0].first.commands
    assert isinstance(command, Simple)
    got = [
        "".join(part.text for part in word.parts if isinstance(part, Literal))
        for word in command.words[1:]
    ]
    assert got == words


pieces = st.sampled_from(
    ["a", "b c", "'q  r'", '"s  t"', '"$v"', "$v", "${v}", "${u:-d e}", '"${u:-d e}"', "\\ ", "\\$",
     "$(echo s  t)", '"$(echo s  t)"', "`echo z`", "''", '""', " ", "  ", "\\\n", "é", "$((1+2))",
     "${v#x}", "${v%y}", '"${v##*x}"', "~", "#", "=", "*zz", "'*'", "$u", '"$u"', "${#v}"]
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, min_size=1, max_size=7))
def test_words_come_apart_as_in_bash(plane: Plane, folder: Path, parts: list[str]) -> None:
    script = "HOME=/h; v='x  y z'; printf '<%s>' " + "".join(parts)
    ours = plane.run("ECS01", script)
    assert (ours.status, ours.stdout) == by_bash(script, folder)


numbers = st.integers(-50, 50).map(str) | st.sampled_from(["v", "w", "010", "0x1f", "u"])
operators = st.sampled_from(["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "&&", "||",
                             "&", "|", "^", "<<", ">>"])  # fmt: skip
expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, operators, inner).map(" ".join),
        inner.map(lambda each: f"({each})"),
        inner.map(lambda each: f"! {each}"),
        st.tuples(inner, inner, inner).map(lambda t: f"{t[0]} ? {t[1]} : {t[2]}"),
    ),
    max_leaves=6,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(expressions, min_size=1, max_size=5))
def test_arithmetic_is_bashs(folder: Path, wanted: list[str]) -> None:
    values: list[str] = []
    for each in wanted:
        try:
            values.append(str(evaluate(each, {"v": "7", "w": "-3"}.get)))  # type: ignore[arg-type]
        except (NoValue, AttributeError):
            return
    script = "v=7; w=-3; " + "; ".join(f"echo $(({each}))" for each in wanted)
    status, stdout = by_bash(script, folder)
    if status == 0 and len(stdout.split()) == len(values):
        assert stdout.decode().split() == values


@given(st.text(st.sampled_from(list("ab \n'\"\\$`(){};&|<>!#=*?[]-if then fi do done case esac"))))
def test_any_text_is_a_script_or_a_syntax_error(text: str) -> None:
    with suppress(ShellSyntaxError):
        parse(text)


def test_deep_nesting_ends_in_words(plane: Plane) -> None:
    ran = plane.run("ECS01", "(" * 5000 + "true" + ")" * 5000)
    assert (ran.status, b"nested too deeply" in ran.stderr) == (2, True)
    ran = plane.run("ECS01", "f() { f; }; f")
    assert (ran.status, b"nesting level" in ran.stderr) == (1, True)


def test_fork_bomb_is_defused(plane: Plane) -> None:
    ran = plane.run("ECS01", "f() { f | f; }; f")
    assert ran.status != 0
    assert b"fork: Resource temporarily unavailable" in ran.stderr


def test_nothing_of_this_computer_is_executed(plane: Plane, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    ran = plane.run("ECS01", f"/usr/bin/python3 -c 1; touch {mark}; $(which perl) -e 1; python3")
    assert not mark.exists()
    assert b"python3: command not found" in ran.stderr
