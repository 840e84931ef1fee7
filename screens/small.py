"""The terminal is too small: says so, and gives everything back as it was when it grows."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from services.text import say


class TooSmall(ModalScreen[None]):
    """One centred message. It takes no key, so nothing happens behind it unseen."""

    DEFAULT_CSS = """
    TooSmall { align: center middle; background: $background; }
    TooSmall Static { width: auto; height: auto; text-align: center; }
    """

    def __init__(self, least: tuple[int, int]) -> None:
        """`least`: the columns and rows that are needed."""
        super().__init__()
        self._least = least

    def compose(self) -> ComposeResult:
        yield Static(self._words(self.app.size), markup=False)

    def _words(self, size: Size) -> str:
        return say(
            "screens.small",
            width=self._least[0],
            height=self._least[1],
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
        if size.width >= self._least[0] and size.height >= self._least[1] and self.is_current:
            self.dismiss()
