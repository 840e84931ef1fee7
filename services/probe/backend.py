"""Which backend wrote a page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

_NAME = rb"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?"
_TUTORIAL_PAGE = re.compile(rb"Hello World ?! This is (" + _NAME + rb")", re.IGNORECASE)
"""`echo "Hello World ! This is ECS01." > index.html`, as the vendor's tutorial has it."""

_KEPT = 256


class Namer:
    """Names backends by their pages; the same page always has the same name.

    With `expected` names, the first of them that stands in the page as a word, in any case, is
    the name. Otherwise the tutorial's page names itself, and any other page is called after its
    content: `page 1f2e3d4c`, the first 32 bits of its SHA-256.
    """

    def __init__(self, expected: Sequence[str] = ()) -> None:
        self._spelling = {name.lower().encode(): name for name in expected}
        # Longest first, or ECS1 would be found where ECS1-b stands.
        words = sorted((re.escape(name) for name in self._spelling), key=len, reverse=True)
        self._expected = (
            re.compile(rb"(?<![\w-])(?:" + b"|".join(words) + rb")(?![\w-])", re.IGNORECASE)
            if words
            else None
        )
        self._known: dict[bytes, str] = {}

    def name(self, body: bytes) -> str:
        known = self._known.get(body)
        if known is None:
            known = self._look(body)
            # Pages of two backends recur; pages that differ each time must not pile up.
            if len(self._known) < _KEPT and len(body) < 4096:
                self._known[body] = known
        return known

    def _look(self, body: bytes) -> str:
        if self._expected and (found := self._expected.search(body)):
            return self._spelling[found[0].lower()]
        if found := _TUTORIAL_PAGE.search(body):
            return found[1].decode("ascii")
        return f"page {hashlib.sha256(body).hexdigest()[:8]}"
