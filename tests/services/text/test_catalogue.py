"""The catalogue: its files, the quick reader, and words taught from elsewhere."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import text
from services.text import knows, learn, say, speak, spoken

ROOMS = sorted(Path(text.__file__).parent.glob("*/*.toml"))


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_room_reads_the_same_as_with_a_toml_parser(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    simple = text._simple(source)
    assert simple is None or simple == tomllib.loads(source)


TOML_PIECES = st.sampled_from(
    [
        "[a]",
        "[a.b]",
        "[a-b]",
        "[a..b]",
        "[[a]]",
        "[]",
        "# note",
        "",
        'a = "one"',
        'b = "two {x}"',
        'a.b = "dotted"',
        '"q" = "quoted"',
        'c = """',
        '"""',
        'c = "back\\\\slash"',
        'c = "quo"te"',
        "d = 1",
        "e = 'literal'",
        'f = ""',
        'ü = "bare keys are ASCII"',
        'g = "tab\there"',
        "line of a block",
        "  indented = 3",
    ]
)


@given(st.lists(TOML_PIECES, max_size=8))
def test_what_the_quick_reader_accepts_a_toml_parser_reads_alike(lines: list[str]) -> None:
    source = "\n".join(lines)
    if (simple := text._simple(source)) is not None:
        assert simple == tomllib.loads(source)


def test_words_taught_from_elsewhere_are_said_like_the_catalogues_own() -> None:
    learn("borrowed", {"title": "A step from {where}", "deep": {"er": "found"}})
    assert say("borrowed.title", where="elsewhere") == "A step from elsewhere"
    assert knows("borrowed.deep.er")
    assert not knows("borrowed.deep.est")


def test_what_is_taught_does_not_change_the_catalogue() -> None:
    learn("core", {"no-cost": "a lot", "new-word": "said"})
    assert say("core.no-cost") != "a lot"
    assert say("core.new-word") == "said"


def test_an_unknown_key_is_a_defect() -> None:
    with pytest.raises(KeyError):
        say("core.never-written")


def test_a_room_is_said_in_english_where_the_chosen_language_lacks_it() -> None:
    speak("xx")
    try:
        assert spoken("core") == "en"
        assert say("core.no-cost")
    finally:
        speak("en")
    assert spoken("core") == "en"
