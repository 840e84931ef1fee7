"""A foreign text made fit to be shown: the vendor's messages, which may repeat what was sent.

Stricter than the filter that all of the program's output passes: here the secrets that the call
carried are known, and no piece of them may come back, however a server or proxy mangled it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

_PEM = re.compile(r"-{3,}\s*BEGIN.*?(-{3,}\s*END[^-]*-{3,}|$)", re.DOTALL)
_QUERY = re.compile(r"\?[^\s\"'<>]*=[^\s\"'<>]*")
_BLOB = re.compile(r"[A-Za-z0-9+/=_%\\-]{65,}")
_SHOWN_AT_MOST = 300
"""Characters of a foreign message that are shown: enough for any of the vendor's own."""

_READ_AT_MOST = 20_000

_TELLING = 6
"""Letters and digits of a secret in a row that are no coincidence."""


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """A foreign text made fit to be shown: one line, short, and without what must stay secret.

    Taken out are URL queries, PEM blocks (also half of one), long runs that look encoded, and
    every piece of one of `secrets`, however it was encoded, quoted or broken into lines.
    """
    text = text[:_READ_AT_MOST]
    for _ in range(3):
        if "%" in text:
            text = unquote_plus(text)
    text = re.sub(r"\\+[rn]", " ", text)
    text = _PEM.sub("[…]", text)
    text = _QUERY.sub("?[…]", text)
    text = _BLOB.sub("[…]", text)
    for secret in secrets:
        text = _without(secret, text)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _SHOWN_AT_MOST else line[:_SHOWN_AT_MOST] + "…"


def _without(secret: str, text: str) -> str:
    """`text` without any piece of `secret`; only letters and digits are compared."""
    hidden = "".join(filter(str.isalnum, secret))
    places = [at for at, sign in enumerate(text) if sign.isalnum()]
    bare = "".join(text[at] for at in places)
    out: set[int] = set()
    for start in range(len(bare) - _TELLING + 1):
        if bare[start : start + _TELLING] in hidden:
            out.update(range(places[start], places[start + _TELLING - 1] + 1))
    kept = "".join("\0" if at in out else sign for at, sign in enumerate(text))
    return re.sub("\0+", "[…]", kept)
