"""Questions that destroy: rest on the way out, name each thing, and ask anew every time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static

from screens.dialog import Deciding
from screens.widgets.press import Offer, Press, Presses
from services.text import say


class Confirm(Deciding[bool]):
    """Answers True only when the deciding button was pressed on purpose.

    The focus rests on the way out, which is also what Esc does. With a `word`, that has to be
    typed first.
    """

    DEFAULT_CSS = """
    Confirm Input { margin-top: 1; }
    Confirm .note { margin-top: 1; height: auto; color: $text-muted; }
    """

    def __init__(
        self,
        question: str,
        things: Sequence[str],
        verb: str,
        keep: str,
        *,
        word: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._question = question
        self._things = things
        self._verb = verb
        self._keep = keep
        self._word = word

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(self._question, classes="title", markup=False)
            with VerticalScroll(classes="scroll", can_focus=False):
                for thing in self._things:
                    yield Static(f"- {thing}", classes="text", markup=False)
            if self._word:
                yield Static(
                    say("screens.confirm.type", word=self._word), classes="note", markup=False
                )
                yield Input(compact=True)
            yield Presses(
                [
                    Offer("yes", self._verb, danger=True, disabled=bool(self._word)),
                    Offer("no", self._keep, primary=True),
                ]
            )

    def on_mount(self) -> None:
        for field in self.query(Input):
            field.cursor_blink = False

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#press-yes", Press).disabled = event.value.strip() != self._word

    def decide(self, key: str) -> None:
        self.dismiss(key == "yes")
