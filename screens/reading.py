"""Something longer to read, on top of what one was doing."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.dialog import Dialog
from screens.widgets.press import Offer, Press, Presses
from services.text import say


class Reading(Dialog[None]):
    """A title and a text that scrolls. Enter and Esc close it."""

    DEFAULT_CSS = "Reading .scroll { max-height: 17; }"

    def __init__(self, title: str, text: str | Content) -> None:
        super().__init__()
        self._title_words = title
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(self._title_words, classes="title", markup=False)
            with VerticalScroll(classes="scroll"):
                yield Static(self._text, classes="text", markup=False)
            yield Presses([Offer("close", say("screens.press.close"), primary=True)])

    def on_mount(self) -> None:
        self.query_one("#press-close").focus()

    @on(Press.Pressed)
    def _pressed(self) -> None:
        self.dismiss()
