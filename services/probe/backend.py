"""Which backend gave an answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.probe.answer import header

if TYPE_CHECKING:
    from services.probe.answer import Answer

_NAME = rb"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?"
_TUTORIAL_PAGE = re.compile(rb"Hello World ?! This is (" + _NAME + rb")", re.IGNORECASE)
"""`echo "Hello World ! This is ECS01." > index.html`, as the vendor's tutorial has it."""

_KEPT = 256
_SEARCHED = 64 * 1024
"""How much of a page is searched with a person's own expression, which may be a slow one."""
_LONGEST = 64
"""Signs of a name; it is to be read in a table."""


class Namer:
    """Names backends by their answers; the same answer always has the same name.

    The first of these that says something is the name: the `name_header` of the answer; what the
    regular expression `pattern` finds in the page, its first group or else all of it; the first
    of the `expected` names that stands in the page as a word, in any case; the tutorial's page,
    which names itself. Any other page is called after its content: `page 1f2e3d4c`, the first 32
    bits of its SHA-256.
    """

    def __init__(
        self,
        expected: Sequence[str] = (),
        *,
        pattern: str | None = None,
        name_header: str | None = None,
    ) -> None:
        self._spelling = {name.lower().encode(): name for name in expected}
        # Longest first, or ECS1 would be found where ECS1-b stands.
        words = sorted((re.escape(name) for name in self._spelling), key=len, reverse=True)
        self._expected = (
            re.compile(rb"(?<![\w-])(?:" + b"|".join(words) + rb")(?![\w-])", re.IGNORECASE)
            if words
            else None
        )
        self._pattern = re.compile(pattern) if pattern is not None else None
        self._header = name_header
        self._known: dict[bytes, str | None] = {}

    def name(self, answer: Answer) -> str:
        """The backend of an answer that is ok."""
        return self.signed(answer) or f"page {hashlib.sha256(answer.body).hexdigest()[:8]}"

    def signed(self, answer: Answer) -> str | None:
        """The backend that an answer, good or bad, names itself; None where it names none."""
        if self._header is not None and (value := header(answer.head, self._header)):
            return _readable(value.decode("utf-8", "replace")) or None
        body = answer.body
        try:
            return self._known[body]
        except KeyError:
            found = self._look(body)
        # Pages of two backends recur; pages that differ each time must not pile up.
        if len(self._known) < _KEPT and len(body) < 4096:
            self._known[body] = found
        return found

    def _look(self, body: bytes) -> str | None:
        if self._pattern:
            searched = body[:_SEARCHED].decode("utf-8", "replace")
            if found := self._pattern.search(searched):
                name = found[1] if self._pattern.groups else found[0]
                if name and (readable := _readable(name)):
                    return readable
        if self._expected and (word := self._expected.search(body)):
            return self._spelling[word[0].lower()]
        if page := _TUTORIAL_PAGE.search(body):
            return page[1].decode("ascii")
        return None


def _readable(text: str) -> str:
    """A name from the network for a table: one line, nothing that steers a terminal, not long."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text[:_LONGEST])
    return " ".join(shown.split())
