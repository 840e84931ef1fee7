"""What the vendor answered, with its scalars made uniform in one place.

The SDK converts nothing: a number may arrive as text, a boolean as "false" (which is true in
Python), a list as null, a PEM with a literal backslash and n for each of its line breaks. What
cannot be read as what it should be is the Problem `cloud.bad-answer`, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from services.cloud.errors import Where, bad_answer


class Answer:
    """A JSON object in the API's own spelling. An absent field reads as empty, zero or false."""

    __slots__ = ("_map", "where")

    def __init__(self, found: Mapping[str, object], where: Where) -> None:
        self._map = found
        self.where = where

    @property
    def request_id(self) -> str:
        """Only for showing: an answer is not worse for a strange one."""
        found = self._map.get("RequestId")
        return found[:40] if isinstance(found, str) and found.isprintable() else ""

    def text(self, name: str) -> str:
        """A text, or a number as text."""
        value = self._map.get(name)
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        raise self._wrong(name, value)

    def required(self, name: str) -> str:
        """A text without which the answer is worthless."""
        if found := self.text(name):
            return found
        raise bad_answer(self.where, f"{name} is missing")

    def number(self, name: str) -> int:
        return self.optional_number(name) or 0

    def optional_number(self, name: str) -> int | None:
        """A whole number, or the text of one; None when absent or empty."""
        value = self._map.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        raise self._wrong(name, value)

    def flag(self, name: str, absent: bool = False) -> bool:
        value = self._map.get(name)
        if value is None or value == "":
            return absent
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        raise self._wrong(name, value)

    def item(self, name: str) -> Answer:
        """An object within; one that is absent reads as empty."""
        value = self._map.get(name)
        if value is None:
            return Answer({}, self.where)
        if isinstance(value, Mapping):
            return Answer(value, self.where)
        raise self._wrong(name, value)

    def items(self, name: str) -> tuple[Answer, ...]:
        """A list of objects."""
        found = []
        for value in self._list(name):
            if not isinstance(value, Mapping):
                raise self._wrong(name, value)
            found.append(Answer(value, self.where))
        return tuple(found)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(Answer({name: value}, self.where).text(name) for value in self._list(name))

    def words(self, name: str) -> tuple[str, ...]:
        """A text that lists things with commas between, such as TLS versions."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def pem(self, name: str) -> str:
        """A PEM with real line breaks and one at its end; empty when absent."""
        found = self.text(name)
        if "\n" not in found:
            found = found.replace("\\r", "").replace("\\n", "\n")
        lines = [line.strip() for line in found.replace("\r", "").split("\n")]
        joined = "\n".join(line for line in lines if line)
        return f"{joined}\n" if joined else ""

    def tags(self) -> tuple[tuple[str, str], ...]:
        """Tags are spelt Key and Value in lists, TagKey and TagValue elsewhere."""
        return tuple(
            (tag.text("Key") or tag.text("TagKey"), tag.text("Value") or tag.text("TagValue"))
            for tag in self.items("Tags")
        )

    def _list(self, name: str) -> list[object]:
        value = self._map.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        raise self._wrong(name, value)

    def _wrong(self, name: str, value: object) -> Exception:
        return bad_answer(self.where, f"{name} is of type {type(value).__name__}")
