"""Every word that a person sees, from one catalogue: a folder a language, a TOML file a room.

The first part of a key names the file, so a start reads only the rooms that it shows. This module
is on the path of `--help`, so it imports next to nothing.
"""

from __future__ import annotations

import os
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = os.path.dirname(__file__)
_language = "en"
_learned: dict[str, Mapping[str, object]] = {}


def speak(language: str) -> None:
    """Choose the language of everything said from here on; one that is missing falls to English."""
    global _language
    _language = language


def spoken(room: str) -> str:
    """The language in which a room is said: the chosen one, or English where that lacks it."""
    return _language if _room(_language, room) else "en"


def learn(room: str, table: Mapping[str, object]) -> None:
    """Add a room of English words that no file holds, for a step that comes from elsewhere.

    Teaching a room again replaces what was taught; the catalogue's own words win over both.
    """
    _learned[room] = table


def say(key: str, /, **facts: object) -> str:
    """The text at `key` (`room.part.part`), its `{placeholders}` filled from `facts`.

    A text with a plural is a table with `one` and `other`, chosen by the fact `count`. Raises
    KeyError for a key that the catalogue does not have: that is a defect, and a test finds it.
    """
    found = _find(_language, key)
    if found is None:
        found = _find("en", key)
    if isinstance(found, dict):
        found = found["one" if facts.get("count") == 1 else "other"]
    if not isinstance(found, str):
        raise KeyError(key)
    return found.format_map(facts) if facts else found


def knows(key: str) -> bool:
    """Whether the catalogue has `key`, for texts that are optional."""
    return isinstance(_find("en", key), str | dict)


def _find(language: str, key: str) -> object:
    room, *parts = key.split(".")
    for table in (_room(language, room), _learned.get(room, {})):
        found: object = table
        for part in parts:
            found = found.get(part) if isinstance(found, dict) else None
        if found is not None:
            return found
    return None


@cache
def _room(language: str, room: str) -> dict[str, object]:
    path = os.path.join(_FOLDER, language, f"{room}.toml")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    table = _simple(text)
    if table is None:
        import tomllib  # 7 ms, as much as argparse

        table = tomllib.loads(text)
    return table


def _simple(text: str) -> dict[str, object] | None:
    """The table of a TOML file that holds headers and strings without escapes, and None for any
    other: enough for the rooms that every start reads, which so need not import a TOML parser.
    """
    root: dict[str, object] = {}
    table = root
    headers = set()
    lines = iter(text.split("\n"))
    for line in lines:
        key, equals, value = line.partition(" = ")
        if not line or line[0] == "#":
            continue
        if line[0] == "[" and line[-1] == "]" and line not in headers:
            headers.add(line)
            table = root
            for part in line[1:-1].split("."):
                inner = table.setdefault(part, {})
                if not _bare(part) or not isinstance(inner, dict):
                    return None
                table = inner
        elif not equals or not _bare(key) or key in table:
            return None
        elif value == '"""':
            block = []
            while (line := next(lines, "\\")) != '"""':
                if _escapes(line):
                    return None
                block.append(f"{line}\n")
            table[key] = "".join(block)
        elif len(value) > 1 and value[0] == value[-1] == '"' and not _escapes(value[1:-1]):
            table[key] = value[1:-1]
        else:
            return None
    return root


_MARKS = {ord("-"): None, ord("_"): None}


def _bare(key: str) -> bool:
    return key.isascii() and key.translate(_MARKS).isalnum()


def _escapes(value: str) -> bool:
    return '"' in value or "\\" in value or not value.isprintable()
