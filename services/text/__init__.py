"""Every word that a person sees, from one catalogue: a folder a language, a TOML file a room.

The first part of a key names the file, so a start reads only the rooms that it shows.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

_language = "en"


def speak(language: str) -> None:
    """Choose the language of everything said from here on; one that is missing falls to English."""
    global _language
    _language = language


def say(key: str, **facts: object) -> str:
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
    found: object = _room(language, room)
    for part in parts:
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


@cache
def _room(language: str, room: str) -> dict[str, object]:
    path = files(__package__) / language / f"{room}.toml"
    if not path.is_file():
        return {}
    return tomllib.loads(path.read_text(encoding="utf-8"))
