"""Every code of this room has its words, and the words find the facts that they name."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path

import pytest

import services.pki
import services.text
from services.pki.contents import Kind
from services.pki.verdict import Verifier
from services.text import say

ROOM = Path(services.pki.__path__[0])
CODE = "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOM.glob("*.py")))
WORDS = tomllib.loads(
    (Path(services.text.__file__).parent / "en" / "pki.toml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(
    ("table", "parts"), [("problem", {"what", "cause", "remedy"}), ("verdict", {"what", "remedy"})]
)
def test_every_code_has_all_its_words_and_no_words_are_left_over(
    table: str, parts: set[str]
) -> None:
    given = WORDS[table]
    for name, words in given.items():
        assert set(words) == parts, name
        prefix = "pki." if table == "problem" else ""
        assert f'"{prefix}{name}"' in CODE, f"{name} is said nowhere"
    if table == "problem":
        used = set(re.findall(r'Problem\(\s*"pki\.([a-z0-9-]+)"', CODE))
    else:
        used = set(re.findall(r'\b(?:error|warning|info)\(\s*"([a-z0-9-]+)"', CODE))
    assert used <= set(given)


@pytest.mark.parametrize("room", ["verifier", "kind"])
def test_every_sign_has_a_word(room: str) -> None:
    members = {"verifier": Verifier, "kind": Kind}[room]
    assert {say(f"pki.{room}.{member.value}") for member in members} == set(WORDS[room].values())


def test_every_reason_why_a_text_is_no_domain_has_words() -> None:
    assert set(re.findall(r'_BadDomain\("([a-z]+)"', CODE)) | {"wide", "single"} == set(
        WORDS["domain"]
    )


def test_placeholders_are_names() -> None:
    def walk(value: object) -> None:
        if isinstance(value, dict):
            for each in value.values():
                walk(each)
        else:
            for _, name, spec, conversion in string.Formatter().parse(str(value)):
                assert name is None or (name.isidentifier() and not spec and not conversion)

    walk(WORDS)
