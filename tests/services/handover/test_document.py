"""The page as a parser sees it: whole, self-contained, and nothing in it but what was meant."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from msgspec.structs import replace

from services.handover.content import Content
from services.handover.html.document import document
from tests.services.handover.sample import CONTENT, EVIL, HOSTILE, PROVEN, TRACKER

PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg"><text>live</text></svg>'

VOID = {"meta", "link", "img"}
ELEMENTS = (
    VOID
    | {"html", "head", "title", "style", "body", "header", "main", "footer", "section", "article"}
    | {"div", "h1", "h2", "h3", "p", "span", "strong", "time", "code", "pre", "ol", "ul", "li"}
    | {"table", "caption", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd"}
    | {"figure", "figcaption", "svg", "rect", "line"}
)
"""What a page is made of; `script`, `a`, `iframe` and `form` are not among them."""


class Page(HTMLParser):
    """Reads a page and insists that every element is closed where it was opened."""

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: dict[str, list[str]] = {}
        self.feed(source.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag in ("rect", "line"):
            # Inside another shape it would be drawn by nobody.
            assert self.open[-1] == "svg"
        if tag not in VOID:
            self.open.append(tag)
            self.text.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.text[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=[CONTENT, HOSTILE], ids=["well", "hostile"])
def content(request: pytest.FixtureRequest) -> Content:
    found: Content = request.param
    return found


def test_nothing_in_the_page_loads_or_runs_anything(content: Content) -> None:
    source = document(content, "en", PICTURE)
    page = Page(source)
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in page.text["style"][0]
    assert "@import" not in page.text["style"][0]
    # As a parser sees it, the only place that names the tracker is text.
    assert not [a for _, a in page.elements if TRACKER in (a.get("src") or "")]


def test_the_policy_allows_this_style_and_images_in_the_file_only() -> None:
    page = Page(document(CONTENT, "en", PICTURE))
    [policy] = [m["content"] for m in page.all("meta") if m.get("http-equiv")]
    digest = base64.b64encode(hashlib.sha256(page.text["style"][0].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_what_a_backend_says_is_shown_and_does_nothing() -> None:
    page = Page(document(HOSTILE, "en", PICTURE))
    shown = re.sub("[\x00\x1b\u202e]", "\ufffd", EVIL)
    assert shown in page.text["th"]
    assert len(page.text["title"]) == 1
    assert page.text["title"][0] == f"Mutual TLS for {shown}"
    assert "{{x}}" in page.text["body"][0]


def test_those_who_listen_to_it_find_their_way(content: Content) -> None:
    page = Page(document(content, "zh", PICTURE))
    assert page.all("html") == [{"lang": "zh"}]
    assert len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    assert [image.get("alt") for image in page.all("img")] != [""]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [section["aria-labelledby"] for section in page.all("section")]
    assert set(named) <= set(ids)
    assert all("aria-hidden" in drawing for drawing in page.all("svg"))


def test_all_parts_are_told() -> None:
    text = Page(document(CONTENT, "en", PICTURE)).text["body"][0]
    for words in (
        "Verdict: pass",
        "200 of 200 requests to www.example.com were answered, and 1 of 1 strangers refused",
        "2026-11-24 12:00 UTC",
        "Make a record.",
        "dig +short www",
        "lsn-1@443",
        "was there",
        "within chance",
        "36.4% – 63.6%",
        "not tried",
        "no CA key here",
        "TCP connect",
        "203.0.113.8:443",
        "x25519",
        "Up to 16 connections at once.",
        "CN=www.example.com",
        "396 days left",
        "6 days left: renew it now",
        "nlb-mtls cleanup 20261124-c0ffee",
        "delete it",
        "What was there before, and stays",
        "Listener: Port",
    ):
        assert words in text, words
    assert "What is wrong" not in text


def test_a_failure_tells_the_causes_first() -> None:
    failed = replace(PROVEN, verdict="fail", diagnosis=HOSTILE.verification.diagnosis)  # type: ignore[union-attr]
    text = Page(document(replace(CONTENT, verification=failed), "en")).text["main"][0]
    assert text.startswith("What is wrong")
    assert "What to do:" in text


def test_what_was_never_verified_says_so() -> None:
    bare = replace(CONTENT, verification=None, remaining=(), certificates=(), settings=())
    empty = replace(bare, resources=(), undo=replace(CONTENT.undo, removes=(), keeps=()))
    text = Page(document(empty, "en")).text["body"][0]
    assert "Verdict: not verified" in text
    assert "Nothing is left to do." in text
    assert "nothing to undo" in text
    assert "The proof" not in text


def luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_text_stands_out_from_its_ground() -> None:
    style = Page(document(CONTENT, "en")).text["style"][0]
    blocks = re.findall(r":root \{([^}]*)\}", style)
    assert len(blocks) == 3  # light, dark, paper
    for block in blocks:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        for text in ("ink", "soft", "good", "bad", "warning"):
            for ground in ("ground", "panel"):
                light, dark = sorted(
                    (luminance(colours[text]), luminance(colours[ground])), reverse=True
                )
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
