"""Whatever the text, an HTML parser finds the elements that were meant, and the text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from services.handover.html.markup import Markup, element, join

TURNING = "\r\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters=TURNING), max_size=60
) | st.sampled_from(["<script>", "</td>", "&amp;", "&lt", '" onload="x', "'", "<!--", "]]>"])


class Seen(HTMLParser):
    """Every tag, attribute and text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


@given(TEXT, TEXT)
def test_text_and_values_come_back_and_make_no_elements(text: str, value: str) -> None:
    seen = Seen(element("p", text, element("b", text), title=value))
    assert seen.tags == [("p", [("title", value)]), ("b", [])]
    assert seen.text == text * 2


@given(st.lists(TEXT))
def test_parts_are_joined_each_escaped(texts: list[str]) -> None:
    assert Seen(join(texts)).text == "".join(texts)


def test_markup_is_taken_as_it_is_and_loses_that_when_text_is_added() -> None:
    assert join(element("b", "x")) == "<b>x</b>"
    assert join(Markup("<b>") + "<i>") == "&lt;b&gt;&lt;i&gt;"


def test_attributes_are_left_out_or_stand_alone() -> None:
    assert element("a", class_=None, hidden=True, open=False, tabindex=0, aria_label="l") == (
        '<a hidden tabindex="0" aria-label="l"></a>'
    )
    assert element("br") == "<br>"


def test_what_nobody_can_read_is_shown_as_such() -> None:
    assert join("a\x00b\x1bc\x85d\te\n") == "a\ufffdb\ufffdc\ufffdd\te\n"


def test_no_text_turns_the_direction_of_what_follows_it() -> None:
    assert join("\u202efdp.exe\u2066") == "\ufffdfdp.exe\ufffd"
