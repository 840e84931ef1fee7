"""When the end of a certificate is near enough to be told: one rule for all that show one."""

from __future__ import annotations

from datetime import datetime, timedelta
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
