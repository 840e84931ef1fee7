"""The few shapes of which a report's page is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from services.handover.html.markup import Inner, Markup, element
from services.text import say

Mood = Literal["good", "bad", "warning", "unknown"]

_SIGNS: dict[Mood, str] = {"good": "✓", "bad": "✗", "warning": "!", "unknown": "?"}


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column; numbers stand on the right."""

    heading: str
    number: bool = False


def column(key: str, *, number: bool = False) -> Column:
    """The column with the heading `handover.column.<key>`."""
    return Column(say(f"handover.column.{key}"), number)


def section(key: str, *inner: Inner) -> Markup:
    """A section with the heading `handover.section.<key>`."""
    heading = element("h2", say(f"handover.section.{key}"), id=f"{key}-heading")
    return element("section", heading, *inner, id=key, aria_labelledby=f"{key}-heading")


def subsection(key: str, *inner: Inner) -> Markup:
    """A part of a section with the heading `handover.section.<key>`."""
    return element("div", element("h3", say(f"handover.section.{key}")), *inner, class_="part")


def paragraph(text: Inner, *, class_: str | None = None) -> Markup:
    return element("p", text, class_=class_)


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Inner]]) -> Markup:
    """A table that scrolls by itself where the window is too narrow. The first cell heads its row.

    `caption` says what it shows, also to those who cannot see the heading above it.
    """
    heads = [element("th", each.heading, scope="col", class_=_aligned(each)) for each in columns]
    body = [
        element(
            "tr",
            [
                element("td" if place else "th", cell, class_=_aligned(each), **_scope(place))
                for place, (each, cell) in enumerate(zip(columns, row, strict=True))
            ],
        )
        for row in rows
    ]
    drawn = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", heads)),
        element("tbody", body),
    )
    return element("div", drawn, class_="scroll", role="group", tabindex=0, aria_label=caption)


def facts(pairs: Iterable[tuple[str, Inner]]) -> Markup:
    """A list of facts, each under its label; those without a value are left out."""
    shown = [
        element("div", element("dt", label), element("dd", value))
        for label, value in pairs
        if value not in (None, "", ())
    ]
    return element("dl", shown)


def mark(mood: Mood, words: str) -> Markup:
    """A sign and its words: never a colour alone."""
    sign = element("span", _SIGNS[mood], class_="sign", aria_hidden="true")
    return element("span", sign, " ", words, class_=f"mark {mood}")


def code(text: str) -> Markup:
    return element("code", text)


def command(text: str) -> Markup:
    """A command to copy, on a line of its own."""
    return element("pre", element("code", text))


def moment(text: str) -> Markup:
    """An RFC 3339 time, to the minute, in UTC."""
    at = datetime.fromisoformat(text).astimezone(UTC)
    return element("time", f"{at:%Y-%m-%d %H:%M} UTC", datetime=text)


def number(value: float, digits: int = 0) -> str:
    """With thousands apart."""
    return f"{value:,.{digits}f}"


def milliseconds(value: float | None) -> str:
    return "–" if value is None else number(value, 1)


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _aligned(column: Column) -> str | None:
    return "number" if column.number else None


def _scope(place: int) -> dict[str, str]:
    return {} if place else {"scope": "row"}
