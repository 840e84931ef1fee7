"""HTML that no text can break: only an element makes markup, all else is escaped.

What a backend's page says, and so what a backend is called, is up to whoever answers there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias


class Markup(str):
    """Text that is HTML already. A plain `str` is escaped where it is put into an element."""

    __slots__ = ()


Inner: TypeAlias = "Markup | str | int | Iterable[Inner] | None"
"""What an element may hold; None is nothing."""

_VOID = frozenset({"meta", "link", "img", "br", "col"})
"""Elements without an end tag (WHATWG HTML 13.1.2); those of SVG all have one."""

_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, which HTML forbids in text (WHATWG HTML 13.1.4) and nobody can read, and
those that turn the direction of the text behind them (Unicode UAX 9, 2.1 to 2.4)."""


def element(tag: str, *inner: Inner, **attributes: str | int | bool | None) -> Markup:
    """An element. `class_` and `aria_label` become `class` and `aria-label`.

    An attribute that is None or False is left out; True stands without a value. `tag` and the
    attributes' names are this program's own words; their values are escaped.
    """
    start = [tag]
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        if value is True:
            start.append(name)
        elif value is not None and value is not False:
            start.append(f'{name}="{_escaped(str(value))}"')
    opened = f"<{' '.join(start)}>"
    return Markup(opened if tag in _VOID else f"{opened}{join(inner)}</{tag}>")


def join(inner: Inner) -> Markup:
    """The parts one after another, each escaped unless it is markup."""
    if inner is None:
        return Markup()
    if isinstance(inner, Markup):
        return inner
    if isinstance(inner, str | int):
        return Markup(_escaped(str(inner)))
    return Markup("".join(join(part) for part in inner))


def _escaped(text: str) -> str:
    return html.escape(_UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text))
