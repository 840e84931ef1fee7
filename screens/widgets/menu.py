"""A few ways to go on, one below the other, each with a line that says more.

Textual's list of options does all this and more, at several times the cost: this one is on the
first screen, which should stand as soon as a bare app's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

LINES = 3
"""Lines that a way takes: its title, what it means, a blank."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to go on."""

    key: str
    title: str
    about: str


class Menu(Static, can_focus=True):
    """The one with the cursor is marked, also without colour."""

    DEFAULT_CSS = "Menu { height: auto; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("enter", "choose", show=False),
    ]
    ALLOW_SELECT = False

    class Chosen(Message):
        """A way was chosen."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = tuple(ways)
        self._cursor = 0
        super().__init__(self._drawn(), markup=False)

    def show(self, ways: Sequence[Way]) -> None:
        """Offer these ways instead. A cursor that was moved stays on its way."""
        before = self._ways[self._cursor].key if self._cursor else ""
        self._ways = tuple(ways)
        keys = [way.key for way in self._ways]
        self._cursor = keys.index(before) if before in keys else 0
        self.update(self._drawn())

    def _drawn(self) -> Content:
        parts: list[tuple[str, str] | str] = []
        for index, way in enumerate(self._ways):
            here = index == self._cursor
            parts += [
                "> " if here else "  ",
                (way.title, "bold reverse" if here else "bold"),
                (f"\n  {way.about}\n\n", "dim"),
            ]
        return Content.assemble(*parts)

    def action_move(self, by: int) -> None:
        self._cursor = (self._cursor + by) % len(self._ways)
        self.update(self._drawn(), layout=False)

    def action_choose(self) -> None:
        self.post_message(self.Chosen(self._ways[self._cursor].key))

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None and at.y // LINES < len(self._ways):
            self._cursor = at.y // LINES
            self.update(self._drawn(), layout=False)
            self.action_choose()
