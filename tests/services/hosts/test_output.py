from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hosts.output import KEPT_CHARACTERS, LINE_CHARACTERS, Transcript, printable


def fed(chunks: list[bytes]) -> tuple[list[str], str]:
    lines: list[str] = []
    transcript = Transcript(lines.append)
    for chunk in chunks:
        transcript.feed(chunk)
    return lines, transcript.finish()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;c2VjcmV0\x1b\\after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$qm\x1b\\after", "after"),
        ("\x1b(B\x1b7\x1bcafter", "after"),
        ("\x1b[2J\x1b[Hhome", "home"),
        ("10%\r20%\r\ndone", "10%\n20%\ndone"),
        ("bell\x07\x08\x00nul", "bellnul"),
        ("right\u202eleft\u2066\u200b", "rightleft"),
        ("c1\x9b31m\x85", "c131m"),
        ("你好 grün 👍", "你好 grün 👍"),
    ],
)
def test_printable(raw: str, shown: str) -> None:
    assert printable(raw) == shown


@given(st.text())
def test_printable_text_holds_nothing_that_steers_a_terminal(text: str) -> None:
    for sign in printable(text):
        assert sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(sign) not in ("LRE", "RLE", "PDF", "LRO", "RLO")


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_where_the_bytes_are_cut_does_not_matter(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[a:b] for a, b in pairwise(places)]
    assert fed(chunks) == fed([data])


@given(st.lists(st.from_regex(r"[^\x00-\x1f\x7f-\x9f]*", fullmatch=True), max_size=10))
def test_lines_come_one_by_one(lines: list[str]) -> None:
    text = "".join(line + "\n" for line in lines)
    got, kept = fed([text.encode(errors="replace")])
    assert len(got) == len(lines)
    assert kept == "".join(line + "\n" for line in got)


def test_line_without_an_end_comes_in_pieces() -> None:
    lines, _ = fed([b"x" * 1000] * 10)
    assert "".join(lines) == "x" * 10_000
    assert max(map(len, lines)) == LINE_CHARACTERS


@given(st.integers(1, 5), st.integers(1, 400_000))
def test_memory_is_bounded_and_both_ends_are_kept(times: int, size: int) -> None:
    _, kept = fed([b"begin", *([b"x" * size] * times), b"end"])
    assert kept.startswith("begin")
    assert kept.endswith("end")
    assert len(kept) <= KEPT_CHARACTERS + 40
    if times * size + 8 <= KEPT_CHARACTERS:
        assert len(kept) == times * size + 8
