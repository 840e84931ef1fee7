"""What the screens ask of the application, besides errands for the walk."""

from __future__ import annotations

from textual.message import Message


class LeaveSession(Message):
    """Back to the welcome screen; the session is saved as it stands."""


class Finish(Message):
    """The last step is proved."""


class CleanUp(Message):
    """Remove everything that this session made, once the person has confirmed it."""
