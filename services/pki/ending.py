"""When the end of a certificate is near enough to be told: one rule for all that show one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

NOTICE = timedelta(days=30)
"""A month is what it takes where certificates are still renewed by hand, and what the vendor's
console takes for `WILLEXPIRED`."""

LAST_PART = 3
"""Of a certificate that lives less than three months only the last third of its life is near its
end: until then nobody renews it, ACME clients neither, and a warning that always shows is none."""

Ending = Literal["", "soon", "over"]


def ending(not_after: datetime, now: datetime, not_before: datetime | None = None) -> Ending:
    """Whether a certificate has ended, or does soon; empty while there is time.

    Without `not_before` its lifetime is unknown, and the whole of `NOTICE` counts.
    """
    if now > not_after:
        return "over"
    notice = NOTICE
    if not_before is not None:
        notice = min(notice, (not_after - not_before) / LAST_PART)
    return "soon" if not_after - now < notice else ""


@dataclass(frozen=True, slots=True)
class End:
    """When a certificate ends, by the role that it has here."""

    role: str
    not_after: datetime
    ending: Ending
    days_left: int
    """Whole days until then; negative when it has ended."""


def ends(facts: Mapping[str, str], now: datetime) -> tuple[End, ...]:
    """The ends that are known of `facts`: `<role>.not_after`, and `<role>.not_before` beside it.

    No file is read, so this costs nothing. What is no time is left out.
    """
    found = []
    for name, text in sorted(facts.items()):
        role, _, what = name.rpartition(".")
        not_after = _moment(text) if what == "not_after" else None
        if not_after is not None:
            not_before = _moment(facts.get(f"{role}.not_before", ""))
            told = ending(not_after, now, not_before)
            found.append(End(role, not_after, told, (not_after - now).days))
    return tuple(found)


def _moment(text: str) -> datetime | None:
    """An RFC 3339 time; one without a zone is taken for UTC, as the vendor's are."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
