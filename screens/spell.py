"""How numbers and moments are spelt on the screens."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.cells import set_cell_size

from services.text import say


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` cells, cut or filled up: signs may be two cells wide."""
    return set_cell_size(text, width)


def span(seconds: float) -> str:
    """A duration for people: `12 s`, `3 min`, `2 h`, `5 days`."""
    if seconds < 120:
        return say("screens.span.seconds", n=int(max(seconds, 0)))
    if seconds < 2 * 3600:
        return say("screens.span.minutes", n=int(seconds // 60))
    if seconds < 48 * 3600:
        return say("screens.span.hours", n=int(seconds // 3600))
    return say("screens.span.days", n=int(seconds // 86400))


def ago(moment: datetime, now: datetime) -> str:
    """How long ago `moment` was."""
    if (now - moment).total_seconds() < 2:
        return say("screens.span.now")
    return say("screens.span.ago", span=span((now - moment).total_seconds()))


def moment(text: str) -> datetime:
    """An RFC 3339 time as the session keeps it."""
    return datetime.fromisoformat(text).astimezone(UTC)


def clock(moment: datetime) -> str:
    """The time of day where the person is."""
    return f"{moment.astimezone():%H:%M:%S}"


def count(number: int) -> str:
    """A count with its thousands apart."""
    return f"{number:,}"
