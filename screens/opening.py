"""A walk on its way: the lab starts, or a session is read and compared with the world."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.widgets import Static

from screens.frame import Frame
from screens.spell import span
from screens.widgets.keys import Key
from services.problem import Problem
from services.text import say


class Opening(Frame[None]):
    """Says what is awaited and since when; Esc gives it up."""

    DEFAULT_CSS = """
    Opening #doing { height: 1fr; margin: 1 3; text-style: bold; }
    Opening.-failed #doing { height: 1; }
    Opening Outcome { margin: 0 3; height: 1fr; }
    Opening Press { margin: 1 3; }
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
        yield Static(self._doing, id="doing", markup=False)

    def on_mount(self) -> None:
        self.show_head("nlb-mtls", lab=self._lab)
        self.set_interval(1, self._tick)

    def _tick(self) -> None:
        waited = self._clock() - self._since
        if waited > 2 and not self.has_class("-failed"):
            self.query_one("#doing", Static).update(f"{self._doing} {span(waited)}")

    def now_doing(self, words: str) -> None:
        """The next thing is under way."""
        self._doing = words
        self._since = self._clock()
        self.query_one("#doing", Static).update(words)

    async def failed(self, problem: Problem) -> None:
        """It did not open."""
        from screens.widgets.outcome import Outcome
        from screens.widgets.press import Offer, Press

        doing = self.query_one("#doing", Static)
        self.add_class("-failed")
        doing.update(say("screens.opening.failed"))
        outcome = Outcome()
        back = Press(Offer("back", say("screens.press.back")))
        await self.mount(outcome, back, after=doing)
        outcome.show(problem)
        back.focus()

    def keys(self) -> Sequence[Key]:
        return (Key("Esc", say("screens.key.back"), "back"), *self.common_keys())

    def action_back(self) -> None:
        self._give_up()

    def on_press_pressed(self) -> None:
        """The one button, which is there after a failure only, leads back."""
        self._give_up()
