"""Secrets out of whatever leaves the program in words: output, reports, crash reports.

Two ways, both always: secrets that are known by value, in every spelling in which they travel, and
shapes that are secret wherever they stand (private keys, passwords and tokens by their names).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

GONE = "…"
"""What stands where a secret was."""

_SHORTEST = 6
"""A shorter secret is left to the shapes: taking out each "1234" would ruin the text around it."""

_BLANK = r"(?:[ +]|%20)"
_PRIVATE_KEY = re.compile(
    # PEM, also within a URL or JSON. One that was cut short hides all that follows it.
    rf"-----BEGIN{_BLANK}(?:[A-Z0-9]+{_BLANK})*PRIVATE{_BLANK}KEY-----"
    rf"(?:[^-]|-(?!----END))*"
    rf"(?:-----END{_BLANK}(?:[A-Z0-9]+{_BLANK})*PRIVATE{_BLANK}KEY-----)?"
)
_NAMED = re.compile(
    r"""(?ix)
    (?<![a-z])(
      (?:access[-_]?key[-_]?)?secret | (?:x[-_]acs[-_])?security[-_]?token
      | (?:export[-_]?)?password | passphrase | private[-_]?key | encrypted[-_]?(?:data|key)
      | authorization | signature
    )
    (["']?\s*[=:]\s*["']?|(?<=-secret)\ )
    ((?:(?:ACS3|Basic|Bearer)[-\w]*\s)?[^\s"'&;]+)
    """
)
_QUERY_KEY = re.compile(r"(?<=[?&]Key=)[^&\s\"']+")


class Redactor:
    """Takes secrets out of texts. May be taught more of them at any time, from any thread."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: re.Pattern[str] | None = None
        self._spellings: frozenset[str] = frozenset()
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Take out `secret` from here on, wherever it stands."""
        if len(secret) < _SHORTEST:
            return
        import json
        from urllib.parse import quote, quote_plus

        new = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
        new |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        self._spellings |= new
        longest_first = sorted(self._spellings, key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(spelling) for spelling in longest_first))

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        if self._known is not None:
            text = self._known.sub(GONE, text)
        text = _PRIVATE_KEY.sub(GONE, text)
        text = _NAMED.sub(rf"\1\2{GONE}", text)
        return _QUERY_KEY.sub(GONE, text)

    def within(self, found: Any) -> Any:
        """JSON-like data with every text in it redacted; the keys of maps stay."""
        if isinstance(found, str):
            return self(found)
        if isinstance(found, Mapping):
            return {key: self.within(value) for key, value in found.items()}
        if isinstance(found, list | tuple):
            return [self.within(value) for value in found]
        return found
