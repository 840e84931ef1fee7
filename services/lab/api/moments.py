"""Times as the vendor's replies write them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(seconds: float) -> str:
    """Unix seconds as `2022-07-02T02:49:05Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(moment: datetime) -> str:
    """A moment as `2022-07-02`."""
    return moment.strftime("%Y-%m-%d")
