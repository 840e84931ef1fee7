"""What a session is about, in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.session.model import Session

_ANSWERS = ("prepare.domain", "prepare.region")
"""Their names are part of the command line's contract."""


def about(session: Session) -> str:
    """The domain and the region; the session's id as long as neither is known."""
    known = [session.answers[name] for name in _ANSWERS if session.answers.get(name)]
    return " · ".join(known or [session.id])
