from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.probe.backend import Namer


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (b"Hello World ! This is ECS01.\n", "ECS01"),
        (b"<h1>hello world! this is web-1.b.</h1>", "web-1.b"),
        (b"Hello World ! This is ECS02", "ECS02"),
    ],
)
def test_tutorials_page_names_itself(page: bytes, name: str) -> None:
    assert Namer().name(page) == name


def test_other_page_is_called_after_its_content() -> None:
    page = b"This is the default page"
    assert Namer().name(page) == f"page {hashlib.sha256(page).hexdigest()[:8]}"


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (b"served by ECS01", "ECS01"),
        (b"host: ecs02!", "ECS02"),
        (b"Hello World ! This is ECS03.", "ECS03"),
        (b"ECS01-old", None),
        (b"xECS01", None),
        (b"ECS01-b and ECS01", "ECS01-b"),
    ],
)
def test_expected_name_is_found_as_a_word(page: bytes, name: str | None) -> None:
    found = Namer(("ECS01", "ECS02", "ECS01-b")).name(page)
    assert found == name if name else found.startswith("page ")


@given(st.binary(max_size=100), st.lists(st.text(min_size=1, max_size=5), max_size=4))
def test_same_page_always_has_the_same_name(page: bytes, expected: list[str]) -> None:
    namer = Namer(expected)
    first = namer.name(page)
    assert first
    assert namer.name(page) == first == Namer(expected).name(page)
