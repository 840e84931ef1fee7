"""A generated secret, shown this once."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from screens.dialog import Deciding
from screens.widgets.press import Offer, Presses
from services.text import knows, say


class Secret(Deciding[None]):
    """Stands until the person says that it is noted. It is on no clipboard and in no file."""

    DEFAULT_CSS = """
    Secret .secret { height: 1; margin: 1 0; text-style: bold; text-align: center; }
    """
    ALLOW_SELECT = False

    def __init__(self, ask: str, secret: str) -> None:
        """`ask` is the name of the ask that it answers: `step.name`."""
        super().__init__()
        step, _, name = ask.partition(".")
        key = f"{step}.ask.{name}.reveal"
        self._words = say(key) if knows(key) else say("screens.secret.shown")
        self._secret = secret

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(self._words, classes="title", markup=False)
            yield Static(Content(self._secret), classes="secret", markup=False)
            yield Static(say("screens.secret.where"), classes="text", markup=False)
            yield Presses([Offer("noted", say("screens.secret.noted"), primary=True)])

    def on_unmount(self) -> None:
        self._secret = ""

    def decide(self, key: str) -> None:
        self.dismiss()
