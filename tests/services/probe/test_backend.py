from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.probe.answer import Answer
from services.probe.backend import Namer


def answer(page: bytes, *headers: bytes, status: int = 200) -> Answer:
    head = b"HTTP/1.1 %d OK\r\n" % status + b"".join(each + b"\r\n" for each in headers)
    return Answer(status, head, page)


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (b"Hello World ! This is ECS01.\n", "ECS01"),
        (b"<h1>hello world! this is web-1.b.</h1>", "web-1.b"),
        (b"Hello World ! This is ECS02", "ECS02"),
    ],
)
def test_tutorials_page_names_itself(page: bytes, name: str) -> None:
    assert Namer().name(answer(page)) == name


def test_other_page_is_called_after_its_content() -> None:
    page = b"This is the default page"
    assert Namer().name(answer(page)) == f"page {hashlib.sha256(page).hexdigest()[:8]}"


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
    found = Namer(("ECS01", "ECS02", "ECS01-b")).name(answer(page))
    assert found == name if name else found.startswith("page ")


@given(st.binary(max_size=100), st.lists(st.text(min_size=1, max_size=5), max_size=4))
def test_same_page_always_has_the_same_name(page: bytes, expected: list[str]) -> None:
    namer = Namer(expected)
    first = namer.name(answer(page))
    assert first
    assert namer.name(answer(page)) == first == Namer(expected).name(answer(page))


def test_pattern_names_by_its_group_or_the_whole_match() -> None:
    assert Namer(pattern=r"node=(\w+)").name(answer(b"x node=web1 y")) == "web1"
    assert Namer(pattern=r"web\d").name(answer(b"x node=web1 y")) == "web1"
    assert Namer(pattern=r"(web)?x").name(answer(b"x")).startswith("page ")
    assert Namer(("ECS01",), pattern=r"v(\d)").name(answer(b"v2 of ECS01")) == "2"
    assert Namer(("ECS01",), pattern=r"w(\d)").name(answer(b"v2 of ECS01")) == "ECS01"
    assert Namer(pattern="主机(\\d)").name(answer("主机7".encode())) == "7"


def test_header_goes_before_all_else() -> None:
    namer = Namer(("ECS01",), pattern="ECS(..)", name_header="X-Backend")
    page = b"This is ECS01"
    assert namer.name(answer(page, b"x-backend:  web 7 ")) == "web 7"
    assert namer.name(answer(page, b"X-Backend-Not: web")) == "01"
    assert namer.name(answer(page, b"X-Backend:")) == "01"


def test_name_from_the_network_is_fit_to_be_shown() -> None:
    namer = Namer(name_header="X-Backend")
    found = namer.name(answer(b"", b"X-Backend: \xff\xc2\x9b2J " + b"n" * 500))
    assert found.isprintable()
    assert len(found) <= 64


def test_answer_that_failed_is_signed_or_nobodys() -> None:
    namer = Namer(("ECS01",))
    assert namer.signed(answer(b"ECS01 is broken", status=503)) == "ECS01"
    assert namer.signed(answer(b"sorry", status=503)) is None
    assert namer.name(answer(b"sorry")).startswith("page ")
