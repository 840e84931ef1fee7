"""Both of the vendor's ways to hand out a long list by pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from services.lab.api.parameters import Parameters
from services.lab.state.account import Json

T = TypeVar("T")


def by_token(
    parameters: Parameters, items: Sequence[T], *, default: int = 20, most: int = 100
) -> tuple[Sequence[T], Json]:
    """A page by `MaxResults` and `NextToken`, and the reply's paging fields.

    `NextToken` is absent on the last page.
    """
    size = parameters.number("MaxResults", default, 1, most)
    start = token_position(parameters, len(items))
    fields: Json = {"MaxResults": size, "TotalCount": len(items)}
    if start + size < len(items):
        fields["NextToken"] = token(start + size)
    return items[start : start + size], fields


def by_number(
    parameters: Parameters, items: Sequence[T], *, default: int, most: int = 1000
) -> tuple[Sequence[T], Json]:
    """A page by `CurrentPage` (from 1) and `ShowSize`, and the reply's paging fields."""
    page = parameters.number("CurrentPage", 1, 1, 10**9)
    size = parameters.number("ShowSize", default, 1, most)
    start = (page - 1) * size
    fields: Json = {"CurrentPage": page, "ShowSize": size, "TotalCount": len(items)}
    return items[start : start + size], fields


def token(position: int) -> str:
    """An opaque token that means: go on from this position."""
    return base64.urlsafe_b64encode(f"lab-page:{position}".encode()).decode()


def token_position(parameters: Parameters, length: int) -> int:
    """Where a call's `NextToken` says to go on; 0 without one."""
    text = parameters.text("NextToken")
    if not text:
        return 0
    try:
        kind, _, position = base64.urlsafe_b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise parameters.illegal("NextToken") from None
    if kind != "lab-page" or not position.isdecimal() or int(position) > length:
        raise parameters.illegal("NextToken")
    return int(position)
