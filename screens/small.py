"""The terminal is too small: says so, and gives everything back as it was when it grows."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from services.text import say

LEAST = Size(60, 18)
"""Below this the frame has no room for a field, its help and the buttons."""


def too_small(size: Size) -> bool:
    """Whether the screens cannot be drawn in `size`."""
    return size.width < LEAST.width or size.height < LEAST.height


class TooSmall(ModalScreen[None]):
    """One centred message. It takes no key, so nothing happens behind it unseen."""

    DEFAULT_CSS = """
    TooSmall { align: center middle; background: $background; }
    TooSmall Static { width: auto; height: auto; text-align: center; }
    """

    def compose(self) -> ComposeResult:
        yield Static(self._words(self.app.size), markup=False)

    @staticmethod
    def _words(size: Size) -> str:
        return say(
            "screens.small",
            width=LEAST.width,
            height=LEAST.height,
            now_width=size.width,
            now_height=size.height,
        )

    def on_resize(self, event: events.Resize) -> None:
        self._fit(event.size)

    def on_screen_resume(self) -> None:
        self._fit(self.app.size)

    def _fit(self, size: Size) -> None:
        for words in self.query(Static):
            words.update(self._words(size))
        if not too_small(size) and self.is_current:
            self.dismiss()
