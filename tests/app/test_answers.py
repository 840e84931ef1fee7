"""Answers given beforehand: files, arguments, and what is wrong with them."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.answers import HOST_PARTS, PKCS12_PASSWORD, Answer, Vocabulary, _line, read
from app.answers import given as everything_given
from app.options import Options
from services.problem import Exit, Problem
from services.steps.step import Ask
from tests import toy

VOCABULARY = Vocabulary(
    ["prepare.domain", "prepare.pages", "listener.port", PKCS12_PASSWORD], {PKCS12_PASSWORD}
)


def file(folder: Path, text: str) -> Path:
    path = folder / "answers.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> Problem:
    with pytest.raises(Problem) as raised:
        read(path, VOCABULARY)
    assert raised.value.exit is Exit.USAGE
    return raised.value


def test_tables_dotted_keys_and_hosts_become_flat_names(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        """
        listener.port = 8443
        [prepare]
        domain = "www.example.com"
        pages = true
        [hosts.ECS01]
        address = "127.0.0.1"
        port = 2222
        [hosts."a.b"]
        user = "root"
        """,
    )
    found = {answer.name: answer.value for answer in read(path, VOCABULARY)}
    assert found == {
        "listener.port": "8443",
        "prepare.domain": "www.example.com",
        "prepare.pages": "yes",
        "hosts.ECS01.address": "127.0.0.1",
        "hosts.ECS01.port": "2222",
        "hosts.a.b.user": "root",
    }


def test_an_answer_knows_its_line(tmp_path: Path) -> None:
    path = file(tmp_path, '# note\n[prepare]\n\ndomain = "www.example.com"\n')
    (answer,) = read(path, VOCABULARY)
    assert answer.source == f"{path}, line 4"


def test_broken_toml_names_file_and_line(tmp_path: Path) -> None:
    path = file(tmp_path, "[prepare]\ndomain = www.example.com\n")
    problem = refused(path)
    assert problem.code == "app.answers-broken"
    assert str(path) in problem.evidence
    assert "line 2" in problem.evidence


def test_what_is_not_utf_8_is_broken_too(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_bytes(b'[prepare]\ndomain = "\xff"\n')
    assert refused(path).code == "app.answers-broken"


@pytest.mark.parametrize(
    ("text", "line", "near"),
    [
        ('[prepare]\ndomian = "x"\n', 2, "prepare.domain"),
        ("\n\nlistener.prot = 1\n", 3, "listener.port"),
        ('[hosts.ECS01]\nadress = "x"\n', 2, "hosts.NAME.address"),
        ('hosts = { ECS01 = { adress = "x" } }\n', 1, "hosts.NAME.address"),
    ],
)
def test_an_unknown_name_is_told_with_its_line_and_the_nearest(
    tmp_path: Path, text: str, line: int, near: str
) -> None:
    problem = refused(file(tmp_path, text))
    assert problem.code == "app.answer-unknown"
    assert f"line {line}" in problem.evidence
    assert problem.facts["near"] == near


@pytest.mark.parametrize("value", ["[1, 2]", "1.5", "2026-11-24"])
def test_what_is_neither_text_nor_number_is_refused(tmp_path: Path, value: str) -> None:
    problem = refused(file(tmp_path, f"[listener]\nport = {value}\n"))
    assert problem.code == "app.answer-not-a-value"
    assert "line 2" in problem.evidence


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"disk\.cannot-read"):
        read(tmp_path / "none.toml", VOCABULARY)


NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)


@given(
    st.dictionaries(NAMES, st.dictionaries(st.sampled_from(HOST_PARTS), st.text()), max_size=5),
    st.text(),
)
def test_any_text_survives_the_way_through_a_file(
    tmp_path_factory: pytest.TempPathFactory, hosts: dict[str, dict[str, str]], domain: str
) -> None:
    lines = [f"prepare.domain = {json.dumps(domain)}"]
    wanted = {"prepare.domain": domain}
    for host, parts in hosts.items():
        lines.append(f"[hosts.{host}]")
        for part, value in parts.items():
            # A JSON string is a TOML string but for one sign.
            lines.append(f"{part} = {json.dumps(value)}".replace("\x7f", "\\u007f"))
            wanted[f"hosts.{host}.{part}"] = value
    text = "\n".join(lines).replace("\x7f", "\\u007f")
    if "\\ud" in text:  # lone surrogates are no text at all
        return
    found = read(file(tmp_path_factory.mktemp("answers"), text), VOCABULARY)
    assert {answer.name: answer.value for answer in found} == wanted
    for answer in found:
        number = int(answer.source.rpartition(" ")[2])
        assert lines[number - 1].startswith(answer.name.rpartition(".")[2]) or number == 1


@given(st.text(), NAMES)
def test_a_line_is_always_found(text: str, name: str) -> None:
    assert 1 <= _line(text, f"prepare.{name}") <= max(1, len(text.splitlines()))


def test_arguments_beat_the_file_and_come_in_the_order_of_the_asks(tmp_path: Path) -> None:
    options = Options()
    options.answers = str(file(tmp_path, '[toy]\ncolour = "blue"\nsize = 1\n'))
    options.answer = ["toy.size=2"]
    options.host_key = ["ECS01=SHA256:abc"]
    found = everything_given(options, (toy,))
    assert [(answer.name, answer.value) for answer in found] == [
        ("hosts.ECS01.fingerprint", "SHA256:abc"),
        ("toy.size", "2"),
        ("toy.colour", "blue"),
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"answer": ["toy.size"]}, "app.answer-spelling"),
        ({"answer": ["toy.sise=1"]}, "app.answer-unknown"),
        ({"answer": ["toy.password=canary"]}, "app.answer-secret"),
        ({"host_key": ["SHA256:abc"]}, "app.host-key-spelling"),
        ({"host_key": ["ECS01=MD5:00"]}, "app.host-key-spelling"),
    ],
)
def test_wrong_arguments_are_wrong_usage(words: dict[str, list[str]], code: str) -> None:
    options = Options()
    for name, value in words.items():
        setattr(options, name, value)
    with pytest.raises(Problem) as raised:
        everything_given(options, (toy,))
    assert raised.value.code == code
    assert raised.value.exit is Exit.USAGE
    assert "canary" not in str(raised.value.words())


@pytest.mark.parametrize("content", ["pass word\n", "pass word\r\nsecond line\n", "pass word"])
def test_a_password_file_is_read_to_the_end_of_its_first_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "password.txt"
    path.write_bytes(content.encode())
    options = Options()
    options.pkcs12_password_file = str(path)
    assert everything_given(options, ()) == [Answer(PKCS12_PASSWORD, "pass word", str(path))]


def test_names_come_from_the_asks() -> None:
    vocabulary = Vocabulary.of((toy,))
    assert vocabulary.knows("toy.size")
    assert not vocabulary.knows("toy")
    assert vocabulary.secrets == {"toy.password"}
    assert isinstance(toy.ASKS[0], Ask)
