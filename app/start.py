"""What the assistant needs of whoever composes the program: `app.wiring.Wiring` provides it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from services.events import Emit
    from services.hosts.port import HostKeyQuestion
    from services.problem import Problem
    from services.session.model import Session
    from services.walk import Walk
    from services.world import Place

Reveal = Callable[[str, str], None]
"""Shows a generated secret, by the name of its ask, and returns once the person has seen it."""

AskHostKey = Callable[["HostKeyQuestion"], bool]
"""Asks whether an unknown host key is the right one. Called in any thread; it blocks."""

Begin = Literal["welcome", "lab", "cloud"] | tuple[Literal["resume"], str]
"""Where the assistant opens. A resume of "" is the session that changed last."""


class Start(Protocol):
    """Opens walks. Every method may block, so each is called in the walk's thread.

    The contexts are entered and left in one and the same thread; leaving one ends whatever was
    started for it (the lab's process, connections, the session's lock).
    """

    def new(
        self, place: Place, emit: Emit, reveal: Reveal, ask_host_key: AskHostKey
    ) -> AbstractContextManager[Walk]:
        """A new session in the cloud or in a lab of its own. May raise Problem."""
        ...

    def resume(
        self, id: str, emit: Emit, reveal: Reveal, ask_host_key: AskHostKey
    ) -> AbstractContextManager[Walk]:
        """A saved session. May raise Problem."""
        ...

    def sessions(self) -> Sequence[Session | tuple[str, Problem]]:
        """What is saved, latest first."""
        ...

    def has_credentials(self) -> bool:
        """Whether keys of a real account can be found on this computer; asks no network."""
        ...
