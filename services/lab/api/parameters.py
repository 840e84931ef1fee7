"""A call's parameters: dotted names into lists and structures, texts into what they mean."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from services.lab.api.errors import ApiError, invalid, missing

LARGEST_COUNT = 5_000
"""Names in one call; the vendor's largest action takes 200 servers of six fields."""

_DEEPEST = 8
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_INDEX = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


def flat(query: str, form: str) -> dict[str, str]:
    """The names and texts of a query string and of a form, which are one set of parameters."""
    try:
        return dict(
            pair
            for text in (query, form)
            for pair in parse_qsl(text, keep_blank_values=True, max_num_fields=LARGEST_COUNT)
        )
    except ValueError:
        raise ApiError("InvalidParameter", "The request has too many parameters.") from None


def nested(names: Mapping[str, str]) -> dict[str, Any]:
    """`Servers.1.Port=80` as `{"Servers": [{"Port": "80"}]}`."""
    root: dict[str, Any] = {}
    for name, text in names.items():
        *parents, last = name.split(".")
        if len(parents) > _DEEPEST:
            raise invalid(parents[0])
        node = root
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise invalid(parents[0])
        if isinstance(node.get(last), dict):
            raise invalid(name.split(".")[0])
        node[last] = text
    return {name: _listed(value) for name, value in root.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(_INDEX.fullmatch(key) for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(inner) for key, inner in value.items()}


class Parameters:
    """One structure of parameters. A wrong type is the product's own error, by the full name."""

    def __init__(
        self,
        values: Mapping[str, Any],
        illegal: Callable[[str], ApiError] = invalid,
        path: str = "",
    ) -> None:
        self._values = values
        self._illegal = illegal
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def illegal(self, name: str) -> ApiError:
        return self._illegal(self._path + name)

    def text(self, name: str, default: str = "", *, among: Collection[str] = ()) -> str:
        """A text; one of `among` where that is given, whatever its case."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise self.illegal(name)
        if not among or not value:
            return value
        for allowed in among:
            if allowed.lower() == value.lower():
                return allowed
        raise self.illegal(name)

    def needed(self, name: str, *, among: Collection[str] = ()) -> str:
        """A text that must be there, and not be empty."""
        value = self.text(name, among=among)
        if not value:
            raise missing(self._path + name)
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self._values.get(name)
        if value is None or value == "":
            return default
        if not isinstance(value, str) or not _INTEGER.fullmatch(value):
            raise self.illegal(name)
        if not low <= int(value) <= high:
            raise self.illegal(name)
        return int(value)

    def needed_number(self, name: str, low: int, high: int) -> int:
        self.needed(name)
        return self.number(name, 0, low, high)

    def flag(self, name: str, default: bool = False) -> bool:
        """`True` or `false` in any case."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise self.illegal(name)

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """A list of texts (`Name.1=…`); a bare `Name=…` is not one."""
        values = self._values.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.illegal(name)
        if len(values) > most:
            raise self.illegal(name)
        return tuple(values)

    def structure(self, name: str) -> Parameters:
        """A structure; empty when it is absent."""
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            raise self.illegal(name)
        return Parameters(value, self._illegal, f"{self._path}{name}.")

    def structures(self, name: str, most: int) -> tuple[Parameters, ...]:
        values = self._values.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.illegal(name)
        if len(values) > most:
            raise self.illegal(name)
        return tuple(
            Parameters(value, self._illegal, f"{self._path}{name}.{index}.")
            for index, value in enumerate(values, 1)
        )

    def json(self, name: str, default: Any) -> Any:
        """A parameter whose text is JSON (ECS `InstanceIds`, NLB `ProxyProtocolV2Config`)."""
        value = self.text(name)
        if not value:
            return default
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            raise self.illegal(name) from None
        if type(decoded) is not type(default):
            raise self.illegal(name)
        return decoded
