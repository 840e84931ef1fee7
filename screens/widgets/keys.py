"""The last line of a screen: at most six keys, the most useful here, by use from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.widgets import Static

MOST = 6
"""More than six keys are not read."""
GAP = 3
"""Cells between two of them."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the line shows it, and the action that a click on it runs."""

    show: str
    words: str
    action: str
    enabled: bool = True

    @property
    def width(self) -> int:
        """How many cells it takes."""
        return cell_len(self.show) + 1 + cell_len(self.words)


class KeyLine(Static):
    """Shows the keys; a click on one does what the key does."""

    DEFAULT_CSS = """
    KeyLine {
        height: 2; padding: 0 1; color: $text-muted; text-wrap: nowrap;
        border-top: solid $foreground 35%;
        &.-lab { border-top: solid $warning; }
    }
    """
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._keys: tuple[Key, ...] = ()

    def show(self, keys: Sequence[Key]) -> None:
        """Show these keys instead, as many as there is room for."""
        shown = tuple(keys)[:MOST]
        if shown != self._keys:
            self._keys = shown
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        parts: list[tuple[str, str] | str] = []
        left = 0
        for key in self._keys:
            left += key.width
            if left > self.content_size.width > 0:
                break
            style = "" if key.enabled else "dim"
            parts += [(key.show, f"{style} bold".strip()), (f" {key.words}", style), " " * GAP]
            left += GAP
        self.update(Content.assemble(*parts[:-1]), layout=False)

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        left = 0
        for key in self._keys:
            if left <= at.x < left + key.width and key.enabled:
                self.call_later(self.screen.run_action, key.action)
                return
            left += key.width + GAP
