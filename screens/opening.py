"""A walk on its way: the lab starts, or a session is read and compared with the world."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from screens.frame import Frame
from screens.spell import span
from screens.widgets.keys import Key
from screens.widgets.outcome import Outcome
from screens.widgets.press import Offer, Press, Presses
from services.problem import Problem
from services.text import say


class Opening(Frame[None]):
    """Says what is awaited and since when; Esc gives it up."""

    DEFAULT_CSS = """
    Opening {
        & #opening { height: 1fr; padding: 1 3; }
        & #doing { height: 1; text-style: bold; }
        & #space { height: 1fr; }
    }
    """

    AUTO_FOCUS = ""
    """An Enter that comes too early must not give up what is under way."""

    def __init__(
        self,
        words: str,
        *,
        lab: bool,
        give_up: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._doing = words
        self._lab = lab
        self._give_up = give_up
        self._clock = clock
        self._since = clock()

    def body(self) -> ComposeResult:
        with Vertical(id="opening"):
            yield Static(self._doing, id="doing", markup=False)
            yield Outcome()
            yield Static(id="space")
            yield Presses([Offer("back", say("screens.press.back"))])

    def on_mount(self) -> None:
        self.show_head("nlb-mtls", lab=self._lab)
        self.set_interval(1, self._tick)

    def _tick(self) -> None:
        waited = self._clock() - self._since
        if waited > 2 and not self.query_one(Outcome).text:
            self.query_one("#doing", Static).update(f"{self._doing} {span(waited)}")

    def now_doing(self, words: str) -> None:
        """The next thing is under way."""
        self._doing = words
        self._since = self._clock()
        self.query_one("#doing", Static).update(words)

    def failed(self, problem: Problem) -> None:
        """It did not open."""
        self.query_one("#doing", Static).update(say("screens.opening.failed"))
        self.query_one(Outcome).show(problem)
        self.query_one(Press).focus()

    def keys(self) -> Sequence[Key]:
        return (Key("Esc", say("screens.key.back"), "back"), *self.common_keys())

    @on(Press.Pressed)
    def action_back(self) -> None:
        self._give_up()
